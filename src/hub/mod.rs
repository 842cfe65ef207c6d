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
//! | `recent` | what was published last |
//! | `mailbox` | the slots of one connection |
//! | `live_list` | the slots of one watched list |

mod circle;
mod event;
mod group;
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

use std::fmt;
use std::sync::Arc;

use job::{Job, JobId, Version};

pub use event::{Event, JobChange, Kind};
pub use group::{Group, GroupKey, Render, Telling};
pub use lists::Wanted;
pub use live_list::LIST_SLOTS;
pub use mailbox::{Delivery, Mail, Mailbox, Snapshot, WatchId};
pub use recent::RECENT_JOBS;

use lists::Lists;
use mailbox::Place;
use rooms::Rooms;

/// All watchers of one node.
pub struct Hub {
    rooms: Rooms,
    lists: Lists,
}

impl Default for Hub {
    fn default() -> Self {
        Self::with_list_slots(LIST_SLOTS)
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
    pub(crate) fn with_list_slots(slots: usize) -> Self {
        Self {
            rooms: Rooms::default(),
            lists: Lists::new(slots),
        }
    }

    /// Registers a watch of a job: from the return on, every publish of the job reaches the mailbox.
    ///
    /// The caller then reads the job from the store and hands it to [`Mailbox::snapshot`]; until then what is
    /// published waits, so that a racing publish is neither lost nor told before an older snapshot. `after` is the
    /// version that the client has seen; only newer ones are told.
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
    /// [`Mailbox::page`], and again after each [`Kind::Resync`] that it takes. `key` is equal only for equal `wanted`.
    pub fn watch_list(
        &self,
        wanted: Arc<Wanted>,
        mailbox: &Arc<Mailbox>,
        key: GroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
    ) -> WatchId {
        self.lists.watch(wanted, mailbox, key, render)
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
        self.rooms.publish(new) + self.lists.publish(old, new)
    }

    /// The jobs that someone watches, for read repair after a gap: publish each as the store has it.
    pub fn watched(&self) -> Vec<JobId> {
        self.rooms.watched()
    }

    /// Gives every list RESYNC and a new page: after a gap nobody knows what has entered or left.
    pub fn resync_lists(&self) {
        self.lists.resync();
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.rooms.watched().is_empty() && self.lists.is_empty()
    }
}
