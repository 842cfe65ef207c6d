//! The hub: the watchers of this node, and the events that each of them has yet to receive.
//!
//! It does not depend on GraphQL, a protocol or a socket: payloads come from a [`Render`] that the
//! edge gives. Nothing in it waits: publish, offer and take are plain calls, so that tests can run
//! any interleaving.
//!
//! | module | what |
//! |---|---|
//! | `event` | the events that watchers receive |
//! | `payload_group` | watchers that receive the same bytes, rendered once |
//! | `watch_group` | the watches of a payload group, walked in short steps |
//! | `job_watches` | the watches of single jobs |
//! | `list_watches` | the watches of lists, indexed by what their filter compares for equality |
//! | `interest` | the topics that this node needs from the other nodes |
//! | `last_published` | the versions published last, and those that pages sent ahead |
//! | `mailbox` | the pending events of one connection |
//! | `live_list` | the pending events of one watched list |
//! | `wake_batch` | the connections to wake when a publish is over |

mod event;
mod interest;
mod job_watches;
mod last_published;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod list_tests;
mod list_watches;
mod live_list;
mod mailbox;
mod payload_group;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;
mod wake_batch;
mod watch_group;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use job::{Job, JobId, Version};

pub use event::{Event, JobChange, ListEventKind};
pub use interest::{Interest, LIST_PARTS, Topic, list_part, topics_of};
pub use last_published::RECENT_JOBS;
pub use list_watches::ListScope;
pub use live_list::LIST_SLOTS;
pub use mailbox::{Delivery, Mail, Mailbox, Snapshot, WatchId};
pub use payload_group::{PayloadGroup, PayloadGroupKey, Render, RenderedUpdate};

use interest::InterestSink;
use job_watches::JobWatches;
use list_watches::ListWatches;
use mailbox::WatchLocation;
use wake_batch::WakeBatch;

/// All watchers of one node.
pub struct Hub {
    jobs: JobWatches,
    lists: ListWatches,
    interest: InterestSink,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(LIST_SLOTS, None)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("jobs", &self.jobs.watched().len())
            .finish_non_exhaustive()
    }
}

impl Hub {
    fn new(slots: usize, interest: InterestSink) -> Self {
        Self {
            jobs: JobWatches::new(interest.clone()),
            lists: ListWatches::new(slots, interest.clone()),
            interest,
        }
    }

    /// The hub of one node of several. `interest` receives the topics that have to come from the
    /// other nodes.
    pub fn with_interest(interest: Arc<dyn Interest>) -> Self {
        Self::new(LIST_SLOTS, Some(interest))
    }

    #[cfg(test)]
    pub(crate) fn with_list_slots(slots: usize) -> Self {
        Self::new(slots, None)
    }

    /// Ready when the other nodes' publishes of the job arrive here; `None` where this is the only
    /// node. To be awaited after [`Hub::watch`] and before the job is read from the store.
    pub fn live_job(&self, job: JobId) -> Option<BoxFuture<'static, ()>> {
        let interest = self.interest.as_ref()?;
        Some(interest.live(vec![Topic::Job(job)]))
    }

    /// The same for a list, after [`Hub::watch_list`] and before its first page is read.
    pub fn live_list(&self, scope: &ListScope) -> Option<BoxFuture<'static, ()>> {
        let interest = self.interest.as_ref()?;
        Some(interest.live(interest::topics_for(scope)))
    }

    /// Registers a watch of a job. Once it returns, every publish of the job reaches the mailbox.
    ///
    /// The caller then reads the job from the store and hands it to [`Mailbox::snapshot`].
    /// Publishes wait until then, so that none is lost and none is sent before an older snapshot.
    /// `after` is the version that the client has; it is not sent again.
    pub fn watch(
        &self,
        job: JobId,
        mailbox: &Arc<Mailbox>,
        key: PayloadGroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
        after: Option<Version>,
    ) -> WatchId {
        self.jobs
            .watch(job, mailbox, key, render, after.unwrap_or_default())
    }

    /// Registers a watch of a list. The caller then reads the first page from the store and hands
    /// it to [`Hub::page`], and again after each [`ListEventKind::Resync`] that it takes. `key` may
    /// be equal only for equal `scope`.
    pub fn watch_list(
        &self,
        scope: Arc<ListScope>,
        mailbox: &Arc<Mailbox>,
        key: PayloadGroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
    ) -> WatchId {
        self.lists.watch(scope, mailbox, key, render)
    }

    /// Gives a list its first page: at most [`job::limits::LIST_PAGE`] jobs as the store has them.
    /// Events are sent from here on. Returns `false` when too much was published meanwhile and the
    /// page has to be read again.
    pub fn page(&self, mailbox: &Mailbox, watch: WatchId, jobs: &[Arc<Job>]) -> bool {
        self.lists.page(mailbox, watch, jobs)
    }

    /// Ends a watch, and drops its pending events.
    pub fn unwatch(&self, mailbox: &Mailbox, watch: WatchId) {
        if let Some(location) = mailbox.close(watch) {
            self.forget(location);
        }
    }

    /// Ends all watches of a connection.
    pub fn leave(&self, mailbox: &Mailbox) {
        for location in mailbox.close_all() {
            self.forget(location);
        }
    }

    fn forget(&self, location: WatchLocation) {
        match location {
            WatchLocation::Job {
                job,
                group,
                watcher,
            } => self.jobs.forget(job, group, watcher),
            WatchLocation::List { group, watcher } => self.lists.forget(group, watcher),
        }
    }

    /// Offers the version to each watcher of the job, and of each list that it may matter to.
    /// Returns the number of watches that were offered it.
    ///
    /// `old` is the job before this version, as far as the caller has it; ENTER and LEAVE follow
    /// from it. A repeat, and a version older than the last one, change nothing.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) -> usize {
        let mut wakes = WakeBatch::default();
        let offered = self.jobs.publish(new, &mut wakes) + self.lists.publish(old, new, &mut wakes);
        wakes.wake_all();
        offered
    }

    /// Publishes a job as the store has it, and returns the number of watches that had missed the
    /// last publish.
    ///
    /// When the store has been set back since the last repair but one, for example by a restore
    /// under running nodes, the watches receive the job as the store has it and all lists a new
    /// page. The job of each call must have been read after the call before it.
    pub fn repair(&self, job: &Arc<Job>) -> usize {
        let mut wakes = WakeBatch::default();
        let found = self.jobs.repair(job, &mut wakes);
        if found.set_back > 0 {
            self.lists.resync(true, &mut wakes);
        }
        let offered = self.lists.publish(None, job, &mut wakes);
        wakes.wake_all();
        found.behind + found.set_back + offered
    }

    /// The watched jobs, for read repair: each is to be handed to [`Hub::repair`] as the store has
    /// it.
    pub fn watched(&self) -> Vec<JobId> {
        self.jobs.watched()
    }

    /// Gives every list RESYNC and a new page. To be called after a gap: which jobs entered or left
    /// is not known then.
    pub fn resync_lists(&self) {
        let mut wakes = WakeBatch::default();
        self.lists.resync(false, &mut wakes);
        wakes.wake_all();
    }

    /// Whether there is no watch.
    pub fn is_empty(&self) -> bool {
        self.jobs.watched().is_empty() && self.lists.is_empty()
    }
}
