//! The hub: which connection watches which job or list, and what each has still to be told.
//!
//! It knows no GraphQL, no protocol and no socket: payloads come from a [`Render`] given by the edge. Nothing in it
//! waits: publish, offer and take are plain calls, so that any interleaving can be tested.
//!
//! | module | what |
//! |---|---|
//! | `event` | what a watcher is told |
//! | `group` | watchers who get the same bytes, and the one rendering of them |
//! | `circle` | the watches of a group, walked in short steps |
//! | `rooms` | who watches which job |
//! | `lists` | who watches which list, indexed by what the filter wants equal |
//! | `interest` | what this node has to hear from the others |
//! | `recent` | what was published last |
//! | `mailbox` | the slots of one connection |
//! | `live_list` | the slots of one watched list |
//! | `wakes` | who is to be woken when a publish is over |

mod circle;
mod event;
mod group;
mod interest;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod list_tests;
mod lists;
mod live_list;
mod mailbox;
mod recent;
mod rooms;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;
mod wakes;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use job::{Job, JobId, Version};

pub use event::{Event, JobChange, Kind};
pub use group::{Group, GroupKey, Render, Telling};
pub use interest::{Interest, LIST_PARTS, Topic, list_part, topics_of};
pub use lists::Wanted;
pub use live_list::LIST_SLOTS;
pub use mailbox::{Delivery, Mail, Mailbox, Snapshot, WatchId};
pub use recent::RECENT_JOBS;

use interest::Told;
use lists::Lists;
use mailbox::Place;
use rooms::Rooms;
use wakes::Wakes;

/// All watchers of one node.
pub struct Hub {
    rooms: Rooms,
    lists: Lists,
    interest: Told,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(LIST_SLOTS, None)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("jobs", &self.rooms.watched().len())
            .finish_non_exhaustive()
    }
}

impl Hub {
    fn new(slots: usize, interest: Told) -> Self {
        Self {
            rooms: Rooms::new(interest.clone()),
            lists: Lists::new(slots, interest.clone()),
            interest,
        }
    }

    /// One node of several: `interest` is told what has to come from the others.
    pub fn with_interest(interest: Arc<dyn Interest>) -> Self {
        Self::new(LIST_SLOTS, Some(interest))
    }

    #[cfg(test)]
    pub(crate) fn with_list_slots(slots: usize) -> Self {
        Self::new(slots, None)
    }

    /// Ready when what other nodes publish of the job arrives here; `None` where there are none. To be awaited after
    /// [`Hub::watch`] and before the job is read.
    pub fn live_job(&self, job: JobId) -> Option<BoxFuture<'static, ()>> {
        let interest = self.interest.as_ref()?;
        Some(interest.live(vec![Topic::Job(job)]))
    }

    /// The same for a list, after [`Hub::watch_list`] and before its first page is read.
    pub fn live_list(&self, wanted: &Wanted) -> Option<BoxFuture<'static, ()>> {
        let interest = self.interest.as_ref()?;
        Some(interest.live(interest::topics_for(wanted)))
    }

    /// Registers a watch of a job: from the return on, every publish of the job reaches the mailbox.
    ///
    /// The caller then reads the job from the store and hands it to [`Mailbox::snapshot`]; until then what is
    /// published waits, so that a racing publish is neither lost nor told before an older snapshot. `after` is the
    /// version that the client has seen; it is not told again.
    pub fn watch(
        &self,
        job: JobId,
        mailbox: &Arc<Mailbox>,
        key: GroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
        after: Option<Version>,
    ) -> WatchId {
        self.rooms
            .watch(job, mailbox, key, render, after.unwrap_or_default())
    }

    /// Registers a watch of a list. The caller then reads the first page from the store and hands it to
    /// [`Hub::page`], and again after each [`Kind::Resync`] that it takes. `key` is equal only for equal `wanted`.
    pub fn watch_list(
        &self,
        wanted: Arc<Wanted>,
        mailbox: &Arc<Mailbox>,
        key: GroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
    ) -> WatchId {
        self.lists.watch(wanted, mailbox, key, render)
    }

    /// Gives the first page of a list, at most [`job::limits::LIST_PAGE`] jobs as the store has them; from now on the
    /// watch is told. `false`: too much has changed meanwhile, the page must be read again.
    pub fn page(&self, mailbox: &Mailbox, watch: WatchId, jobs: &[Arc<Job>]) -> bool {
        self.lists.page(mailbox, watch, jobs)
    }

    /// Ends a watch; what it had still to be told is dropped.
    pub fn unwatch(&self, mailbox: &Mailbox, watch: WatchId) {
        if let Some(place) = mailbox.close(watch) {
            self.forget(place);
        }
    }

    /// Ends all watches of a connection.
    pub fn leave(&self, mailbox: &Mailbox) {
        for place in mailbox.close_all() {
            self.forget(place);
        }
    }

    fn forget(&self, place: Place) {
        match place {
            Place::Job {
                job,
                circle,
                member,
            } => self.rooms.forget(job, circle, member),
            Place::List { circle, member } => self.lists.forget(circle, member),
        }
    }

    /// Tells everyone who watches the job or a list that it matters to; returns how many watches it concerned.
    ///
    /// `old` is the job before this version, as far as it is known; from it follow ENTER and LEAVE. A repeat, and a
    /// version that comes after a newer one, are harmless.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) -> usize {
        let mut wakes = Wakes::default();
        self.rooms.publish(new, &mut wakes) + self.lists.publish(old, new, &mut wakes)
    }

    /// Publishes a job as the store has it, and returns how many watches were behind: what was published last has not come.
    ///
    /// When the store has been set back since the last repair but one, as by a restore under running nodes, the watches get the job as it
    /// is, and all lists a new page. Each call is for a read that began after the call before it.
    pub fn repair(&self, job: &Arc<Job>) -> usize {
        let mut wakes = Wakes::default();
        let found = self.rooms.repair(job, &mut wakes);
        if found.set_back > 0 {
            self.lists.resync(true, &mut wakes);
        }
        found.behind + found.set_back + self.lists.publish(None, job, &mut wakes)
    }

    /// The jobs that someone watches, for read repair: hand each to [`Hub::repair`] as the store has it.
    pub fn watched(&self) -> Vec<JobId> {
        self.rooms.watched()
    }

    /// Gives every list RESYNC and a new page: after a gap nobody knows what has entered or left.
    pub fn resync_lists(&self) {
        self.lists.resync(false, &mut Wakes::default());
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.rooms.watched().is_empty() && self.lists.is_empty()
    }
}
