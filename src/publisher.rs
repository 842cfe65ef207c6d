//! From the change feed to the hub, and to the other nodes. The publisher calls the same function that the `publishJob`
//! field calls. What may not have arrived is repaired: the watched jobs are read from the store again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use job::Job;
use parking_lot::Mutex;
use resolvers::store::{JobStore, StoreError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::broker::{Inbox, Link, Sequence};
use crate::chaos::{Chaos, Fate};
use crate::hub::Hub;

/// Wait before the feed is opened anew after an error, or a failed repair is tried again.
const REOPEN: Duration = Duration::from_millis(250);
/// Jobs in one read of a repair.
const REPAIR_BATCH: usize = job::limits::BATCH;
/// Wait between two reads of a repair that nothing calls for, so that it is nobody's burden.
const REPAIR_PAUSE: Duration = Duration::from_millis(20);
/// The watched jobs are read again so often, whether or not anything is known to be lost, when nothing else is said …
pub const REPAIR_EVERY: Duration = Duration::from_secs(30);
/// … and so often under chaos.
pub const REPAIR_EVERY_UNDER_CHAOS: Duration = Duration::from_secs(1);
/// Longest time between two such reads, whatever the configuration says: an instant has an end.
const REPAIR_AT_LEAST_EVERY: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Watches that hear of a change before its publisher has the answer, at most: more would hold the publisher up.
const FEW_WATCHES: usize = 64;

/// Tells the hub what changed, and the other nodes.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    hub: Arc<Hub>,
    link: Option<Link>,
    chaos: Option<Disturbed>,
    /// Something may be lost.
    gap: Notify,
}

/// Where changes get lost on their way, they are numbered.
#[derive(Debug)]
struct Disturbed {
    chaos: Chaos,
    numbers: Mutex<(u64, Sequence)>,
}

impl Publisher {
    /// Publishes to this hub, by `link` to the hubs of other nodes, and under `chaos` not always.
    pub fn new(hub: Arc<Hub>, link: Option<Link>, chaos: Option<Chaos>) -> Publisher {
        let chaos = chaos.map(|chaos| Disturbed {
            chaos,
            numbers: Mutex::default(),
        });
        Publisher(Arc::new(Parts {
            hub,
            link,
            chaos,
            gap: Notify::new(),
        }))
    }

    /// Tells everyone who watches the job, here and on the other nodes. Repeats and late versions are harmless. Never waits:
    /// who watches here hears of it whatever becomes of the other nodes. Returns how many watches were told, where that is known at once.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) -> usize {
        let told = match &self.0.chaos {
            None => self.0.hub.publish(old, new),
            Some(disturbed) => {
                self.publish_disturbed(disturbed, old, new);
                0
            }
        };
        if let Some(link) = &self.0.link {
            link.publish(old, new);
        }
        told
    }

    /// As [`Publisher::publish`]; few watches hear of the change before the caller goes on.
    pub async fn publish_first(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        let told = self.publish(old, new);
        if (1..=FEW_WATCHES).contains(&told) {
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
                // Not joined: it ends by itself, soon, and does nothing once the publisher is gone.
                tokio::spawn(async move {
                    sleep(delay).await;
                    arrive();
                });
            }
        }
    }

    /// Publishes what `first`, and then the store's feed, brings, for ever. After an error the watched jobs are read again:
    /// nobody stays behind. What changed before a feed began, while perhaps nobody followed, the other nodes read again as well.
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
            feed = loop {
                match store.changes(None).await {
                    Ok(feed) => break feed,
                    Err(error) => {
                        tracing::warn!(%error, "the change feed cannot be opened; trying again")
                    }
                }
                sleep(REOPEN).await;
            };
            self.gap();
        }
    }

    /// Repairs for ever: at once after a gap, and every so often in any case. The promise is kept even when something gets
    /// lost that nobody notices.
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
                // A gap that is found meanwhile is repaired after this: repairs do not crowd.
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

    /// Hands every watched job to the hub as the store has it.
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
