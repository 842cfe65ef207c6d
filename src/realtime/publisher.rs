//! From the change feed to the hub, and to the other nodes. `publishJob` calls the same function.
//! What may not have arrived is repaired: the watched jobs are read from the store again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use job::Job;
use parking_lot::Mutex;
use resolvers::store::{JobStore, StoreError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chaos::{Chaos, Fate};
use crate::realtime::broker::{Inbox, Link, Sequence};
use crate::realtime::hub::Hub;

/// Pause before the feed is opened again after an error, and before a failed repair is repeated.
const REOPEN: Duration = Duration::from_millis(250);
/// Maximum of the former pause, which is twice as long after each failure.
const REOPEN_AT_MOST: Duration = Duration::from_secs(5);
/// Maximum number of jobs in one read of a repair.
const REPAIR_BATCH: usize = job::limits::BATCH;
/// Pause between two reads of a regular repair, so that it does not load the store.
const REPAIR_PAUSE: Duration = Duration::from_millis(20);
/// Default interval between repairs when no gap is known.
pub const REPAIR_EVERY: Duration = Duration::from_secs(30);
/// Default interval between repairs under chaos.
pub const REPAIR_EVERY_UNDER_CHAOS: Duration = Duration::from_secs(1);
/// Maximum interval between repairs: an `Instant` cannot hold every configured time.
const REPAIR_AT_LEAST_EVERY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Maximum number of watches for which a publisher yields, so that they receive the change before
/// the publisher has its response. More would delay the publisher.
const FEW_WATCHES: usize = 64;

/// Publishes changes to this node's hub and to the other nodes.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<PublisherParts>);

#[derive(Debug)]
struct PublisherParts {
    hub: Arc<Hub>,
    link: Option<Link>,
    chaos: Option<Disturbed>,
    /// Notified when a change may have been lost.
    gap: Notify,
}

/// Injected faults. Changes are numbered, so that a lost one is found.
#[derive(Debug)]
struct Disturbed {
    chaos: Chaos,
    numbers: Mutex<(u64, Sequence)>,
}

impl Publisher {
    /// A publisher to `hub`, through `link` to the other nodes, with the faults of `chaos`.
    pub fn new(hub: Arc<Hub>, link: Option<Link>, chaos: Option<Chaos>) -> Self {
        let chaos = chaos.map(|chaos| Disturbed {
            chaos,
            numbers: Mutex::default(),
        });
        Self(Arc::new(PublisherParts {
            hub,
            link,
            chaos,
            gap: Notify::new(),
        }))
    }

    /// Publishes a version to the watchers of this node and to the other nodes. Repeats and late
    /// versions change nothing. Never waits for the other nodes. Returns the number of watches on
    /// this node that were offered the version; 0 under chaos.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) -> usize {
        let offered = match &self.0.chaos {
            None => self.0.hub.publish(old, new),
            Some(disturbed) => {
                self.publish_disturbed(disturbed, old, new);
                0
            }
        };
        if let Some(link) = &self.0.link {
            link.publish(old, new);
        }
        offered
    }

    /// As [`Publisher::publish`], and lets a small number of watches send the change before it
    /// returns.
    pub async fn publish_first(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        let offered = self.publish(old, new);
        if (1..=FEW_WATCHES).contains(&offered) {
            tokio::task::yield_now().await;
        }
    }

    fn publish_disturbed(&self, disturbed: &Disturbed, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        let number = {
            let mut numbers = disturbed.numbers.lock();
            numbers.0 += 1;
            numbers.0 - 1
        };
        let Fate(arrivals) = disturbed.chaos.fate();
        for delay in arrivals {
            let (parts, old, new) = (Arc::downgrade(&self.0), old.cloned(), Arc::clone(new));
            let arrive = move || {
                if let Some(parts) = parts.upgrade() {
                    if let Some(disturbed) = &parts.chaos {
                        disturbed.numbers.lock().1.came(number);
                    }
                    parts.hub.publish(old.as_ref(), &new);
                }
            };
            if delay.is_zero() {
                arrive();
            } else {
                // Not joined: it ends by itself soon, and does nothing once the publisher is
                // dropped.
                tokio::spawn(async move {
                    sleep(delay).await;
                    arrive();
                });
            }
        }
    }

    /// Publishes the events of `first`, and then of the feeds that follow it, until it is dropped.
    /// After an error the watched jobs are read again, so that no watcher stays behind. The other
    /// nodes are asked to read theirs again too, since perhaps no node followed the store before a
    /// feed began.
    pub async fn run(self, store: Arc<dyn JobStore>, first: resolvers::store::Feed) {
        let mut feed = first;
        loop {
            if let Some(link) = &self.0.link {
                link.passed_over();
            }
            while let Some(event) = feed.next().await {
                match event {
                    Ok(event) => {
                        if let Some(new) = &event.new {
                            self.publish(event.old.as_ref(), new);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the change feed broke; reading the watched jobs again");
                        break;
                    }
                }
            }
            let mut pause = REOPEN;
            feed = loop {
                match store.changes(None).await {
                    Ok(feed) => break feed,
                    Err(error) => {
                        tracing::warn!(%error, "the change feed cannot be opened; trying again")
                    }
                }
                sleep(pause).await;
                pause = (pause * 2).min(REOPEN_AT_MOST);
            };
            self.gap();
        }
    }

    /// Repairs until it is dropped: at once after a gap, and after `every` in any case, so that a
    /// loss that no check finds is repaired too.
    pub async fn keep_repaired(self, store: Arc<dyn JobStore>, every: Duration) {
        let every = every.min(REPAIR_AT_LEAST_EVERY);
        let mut next = Instant::now() + every;
        loop {
            let gap = tokio::select! {
                () = self.0.gap.notified() => true,
                () = sleep_until(next) => self.has_lost(),
            };
            let pause = if gap { Duration::ZERO } else { REPAIR_PAUSE };
            while let Err(error) = self.repair_jobs(&*store, pause).await {
                tracing::warn!(%error, "the watched jobs cannot be read; trying again");
                sleep(REOPEN).await;
            }
            if gap {
                metrics::counter!("gaps_total").increment(1);
                self.0.hub.resync_lists();
                // A gap that is found meanwhile is repaired after this pause, so that repairs do
                // not follow each other without a break.
                sleep(REOPEN).await;
            } else {
                next = Instant::now() + every;
            }
        }
    }

    /// Whether a change has been lost on its way to this node's hub.
    fn has_lost(&self) -> bool {
        let Some(disturbed) = &self.0.chaos else {
            return false;
        };
        let mut numbers = disturbed.numbers.lock();
        let sent = numbers.0;
        numbers.1.due(sent);
        numbers.1.beat()
    }

    /// Reads every watched job from the store and hands it to the hub.
    async fn repair_jobs(&self, store: &dyn JobStore, pause: Duration) -> Result<(), StoreError> {
        for ids in self.0.hub.watched().chunks(REPAIR_BATCH) {
            for job in store.get_many(ids).await? {
                if self.0.hub.repair(&job) > 0 {
                    metrics::counter!("repaired_after_gap_total").increment(1);
                }
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        Ok(())
    }
}

impl Inbox for Publisher {
    fn receive(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        self.0.hub.publish(old, new);
    }

    fn gap(&self) {
        self.0.gap.notify_one();
    }

    fn loses(&self) -> bool {
        let disturbed = self.0.chaos.as_ref();
        disturbed.is_some_and(|disturbed| disturbed.chaos.loses())
    }
}
