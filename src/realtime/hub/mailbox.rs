//! The mailbox of one connection: for each watch of a job a slot with the newest version that has
//! not been sent, for each watch of a list a [`LiveList`]. Its size is bounded by the number of
//! watches.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use job::{Job, JobId, Version};
use parking_lot::{Mutex, MutexGuard};
use slab::Slab;

use super::ListEventKind;
use super::live_list::{LiveList, Offered};
use super::payload_group::{PayloadGroup, RenderedUpdate};
use super::wake_batch::WakeBatch;

/// Identifies a watch within its mailbox. An id is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId {
    index: u32,
    serial: u32,
}

impl WatchId {
    /// A small number that no other open watch of the mailbox has.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// Where the hub keeps a watch: the number of its group, and its number in the group.
#[derive(Debug, Clone, Copy)]
pub(super) enum WatchLocation {
    Job {
        job: JobId,
        group: usize,
        watcher: usize,
    },
    List {
        group: usize,
        watcher: usize,
    },
}

/// The next event of one watch.
#[derive(Debug)]
pub struct Delivery {
    /// The watch.
    pub watch: WatchId,
    /// `None` for `onJob`.
    pub kind: Option<ListEventKind>,
    /// The job and its payload.
    pub update: Arc<RenderedUpdate>,
    /// Whether a publish brought it, not a snapshot or a page.
    pub live: bool,
}

impl Delivery {
    /// The payload, if it has been rendered already.
    pub fn ready(&self) -> Option<&Bytes> {
        self.update.ready(self.kind)
    }

    /// The payload, rendered once for the group.
    pub async fn payload(&self) -> &Bytes {
        self.update.payload(self.kind).await
    }

    /// Whether this is the end of the watch: a job in a terminal status.
    pub fn is_last(&self) -> bool {
        self.kind.is_none() && self.update.is_terminal()
    }
}

/// What [`Mailbox::snapshot`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshot {
    /// The watch goes on.
    Open,
    /// The client has the newest version already, and its status is terminal: nothing more follows.
    Finished,
}

/// The pending events of one connection. Publishers offer them, the connection's driver takes them.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<MailboxState>,
}

#[derive(Default)]
struct MailboxState {
    serial: u32,
    watches: Slab<WatchEntry>,
    /// The indexes of watches with a pending event, in the order of arrival, each at most once.
    ready: VecDeque<u32>,
    waker: Option<Waker>,
    leaving: bool,
}

struct WatchEntry {
    serial: u32,
    location: WatchLocation,
    group: Arc<PayloadGroup>,
    /// Whether its index is in `ready`.
    queued: bool,
    pending: PendingEvents,
}

enum PendingEvents {
    Job {
        /// The newest version that was sent. Until the snapshot arrives, the version that the
        /// client says it has.
        sent: Version,
        /// The newest version that has not been sent, and whether a publish brought it.
        slot: Option<(Arc<RenderedUpdate>, bool)>,
        /// Whether the snapshot has arrived. Nothing is sent before it.
        primed: bool,
    },
    List(Box<LiveList>),
}

/// The result of [`Mailbox::poll_take`].
#[derive(Debug)]
pub enum Mail {
    /// The next event. It counts as sent.
    Delivery {
        /// The event.
        delivery: Delivery,
        /// Whether it was the last one. The task is then woken by the next event.
        last: bool,
    },
    /// The node is shutting down: the client should connect to another one.
    Leave,
}

/// Maximum capacity that an empty `ready` queue keeps.
const IDLE_READY: usize = 8;

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Mailbox")
            .field("watches", &state.watches.len())
            .field("ready", &state.ready.len())
            .finish()
    }
}

fn version(update: &RenderedUpdate) -> Version {
    update.job().map(|job| job.version).unwrap_or_default()
}

impl Mailbox {
    pub(super) fn open_job(
        &self,
        location: WatchLocation,
        group: Arc<PayloadGroup>,
        after: Version,
    ) -> WatchId {
        let pending = PendingEvents::Job {
            sent: after,
            slot: None,
            primed: false,
        };
        self.open(location, group, pending)
    }

    pub(super) fn open_list(
        &self,
        location: WatchLocation,
        group: Arc<PayloadGroup>,
        list: LiveList,
    ) -> WatchId {
        self.open(location, group, PendingEvents::List(Box::new(list)))
    }

    fn open(
        &self,
        location: WatchLocation,
        group: Arc<PayloadGroup>,
        pending: PendingEvents,
    ) -> WatchId {
        let mut state = self.state.lock();
        let serial = state.serial;
        state.serial = serial.wrapping_add(1);
        // Most connections have one watch. Room for four would be a tenth of an idle connection's
        // memory.
        if state.watches.is_empty() {
            state.watches.reserve_exact(1);
        }
        let index = state.watches.insert(WatchEntry {
            serial,
            location,
            group,
            queued: false,
            pending,
        });
        WatchId {
            index: u32::try_from(index).expect("a connection has a bounded number of watches"),
            serial,
        }
    }

    /// Ends a watch, and returns where the hub keeps it; `None` for an unknown watch.
    pub(super) fn close(&self, watch: WatchId) -> Option<WatchLocation> {
        let mut state = self.state.lock();
        if state.watch(watch)?.queued {
            state.ready.retain(|index| *index != watch.index);
        }
        Some(state.watches.remove(watch.index()).location)
    }

    pub(super) fn close_all(&self) -> Vec<WatchLocation> {
        let mut state = self.state.lock();
        state.ready = VecDeque::new();
        state.watches.drain().map(|watch| watch.location).collect()
    }

    /// Puts a version into the watch's slot, unless a newer one was sent or is pending. Returns
    /// `true` if the watch has its snapshot and this version is newer than all before it.
    pub(super) fn offer(
        &self,
        watch: WatchId,
        update: &Arc<RenderedUpdate>,
        wakes: &mut WakeBatch,
    ) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.watch(watch) else {
            return false;
        };
        let newer = entry.put(update, true) && entry.is_primed();
        if newer {
            wakes.push(state.announce(watch));
        }
        newer
    }

    /// The newest version that a watch of a job has received or will take next; `None` until it has
    /// its snapshot.
    pub(super) fn newest(&self, watch: WatchId) -> Option<Version> {
        let mut state = self.state.lock();
        let entry = state.watch(watch).filter(|entry| entry.is_primed())?;
        entry.newest()
    }

    /// Gives the watch this version although it has received newer ones: the store was set back.
    pub(super) fn set_back(
        &self,
        watch: WatchId,
        update: &Arc<RenderedUpdate>,
        wakes: &mut WakeBatch,
    ) {
        let mut state = self.state.lock();
        if let Some(entry) = state.watch(watch)
            && let PendingEvents::Job { sent, slot, .. } = &mut entry.pending
        {
            *sent = Version::default();
            *slot = Some((Arc::clone(update), false));
            wakes.push(state.announce(watch));
        }
    }

    /// Records a published version for a watch of a list, see [`LiveList::offer`].
    pub(super) fn offer_change(&self, watch: WatchId, offered: Offered<'_>, wakes: &mut WakeBatch) {
        let mut state = self.state.lock();
        if let Some(WatchEntry {
            pending: PendingEvents::List(list),
            ..
        }) = state.watch(watch)
            && list.offer(offered)
        {
            wakes.push(state.announce(watch));
        }
    }

    /// Gives the watch of a list RESYNC and a new page. `set_back`: the store was set back, so the
    /// versions that it received before no longer count.
    pub(super) fn resync(&self, watch: WatchId, set_back: bool, wakes: &mut WakeBatch) {
        let mut state = self.state.lock();
        if let Some(WatchEntry {
            pending: PendingEvents::List(list),
            ..
        }) = state.watch(watch)
        {
            list.resync();
            if set_back {
                list.forget_versions();
            }
            if list.has_next() {
                wakes.push(state.announce(watch));
            }
        }
    }

    /// Gives the watch the job as the store has it. Events are sent from here on.
    ///
    /// A client that says it has a version which the job has not reached received it before the
    /// store was restored. It receives the job as the store has it, and then each later version,
    /// although these versions are lower than its own.
    pub fn snapshot(&self, watch: WatchId, job: &Arc<Job>) -> Snapshot {
        let mut state = self.state.lock();
        let Some(entry) = state.watch(watch) else {
            return Snapshot::Open;
        };
        let update = entry.group.update(job);
        entry.put(&update, false);
        let PendingEvents::Job { sent, slot, primed } = &mut entry.pending else {
            return Snapshot::Open;
        };
        if !std::mem::replace(primed, true) {
            // A publish may be newer than the snapshot. The newest of both decides whether the
            // client has it already.
            match slot.take_if(|(newest, _)| version(newest) == *sent) {
                Some((newest, _)) if newest.is_terminal() => return Snapshot::Finished,
                Some(_) => {}
                None => *sent = Version::default(),
            }
        }
        if slot.is_some() {
            let waker = state.announce(watch);
            Self::wake(state, waker);
            return Snapshot::Open;
        }
        if job.status.is_terminal() && job.version == *sent {
            Snapshot::Finished
        } else {
            Snapshot::Open
        }
    }

    /// Gives the watch the first page of its list, at most [`job::limits::LIST_PAGE`] jobs. Events
    /// are sent from here on. Returns `false` when too much was published meanwhile and the page
    /// has to be read again.
    pub(super) fn page(&self, watch: WatchId, jobs: &[Arc<Job>]) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.watch(watch) else {
            return true;
        };
        let updates = jobs.iter().map(|job| entry.group.update(job)).collect();
        let PendingEvents::List(list) = &mut entry.pending else {
            return true;
        };
        let taken = list.page(updates);
        if list.has_next() {
            let waker = state.announce(watch);
            Self::wake(state, waker);
        }
        taken
    }

    /// Takes the next event. It counts as sent.
    pub fn take(&self) -> Option<Delivery> {
        self.state.lock().take()
    }

    /// Takes the next event. When there is none, the task is woken by the next one.
    pub fn poll_take(&self, context: &mut Context<'_>) -> Poll<Mail> {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.leaving) {
            return Poll::Ready(Mail::Leave);
        }
        let delivery = state.take();
        let last = state.ready.is_empty();
        if last {
            match &mut state.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
        }
        match delivery {
            Some(delivery) => Poll::Ready(Mail::Delivery { delivery, last }),
            None => Poll::Pending,
        }
    }

    /// Lets the driver know that the node is shutting down.
    pub fn leave(&self) {
        let mut state = self.state.lock();
        state.leaving = true;
        let waker = state.waker.take();
        Self::wake(state, waker);
    }

    /// Forgets the task that waits: it is no longer woken.
    pub(crate) fn forget_waker(&self) {
        // Dropped after releasing the lock: dropping the waker may drop the task.
        let _waker = self.state.lock().waker.take();
    }

    /// Wakes after releasing the lock: the woken task takes it.
    fn wake(state: MutexGuard<'_, MailboxState>, waker: Option<Waker>) {
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl MailboxState {
    /// Queues the watch, and returns the task to wake for it.
    fn announce(&mut self, watch: WatchId) -> Option<Waker> {
        let entry = self.watch(watch)?;
        if std::mem::replace(&mut entry.queued, true) {
            return None;
        }
        self.ready.push_back(watch.index);
        self.waker.take()
    }

    fn take(&mut self) -> Option<Delivery> {
        while let Some(index) = self.ready.pop_front() {
            let Some(entry) = self.watches.get_mut(index as usize) else {
                continue;
            };
            entry.queued = false;
            let watch = WatchId {
                index,
                serial: entry.serial,
            };
            match &mut entry.pending {
                PendingEvents::Job { sent, slot, .. } => {
                    let Some((update, live)) = slot.take() else {
                        continue;
                    };
                    *sent = version(&update);
                    return Some(Delivery {
                        watch,
                        kind: None,
                        update,
                        live,
                    });
                }
                PendingEvents::List(list) => {
                    let Some(taken) = list.take() else { continue };
                    let update = taken.update.unwrap_or_else(|| entry.group.marker());
                    entry.queued = list.has_next();
                    if entry.queued {
                        self.ready.push_back(index);
                    }
                    return Some(Delivery {
                        watch,
                        kind: Some(taken.kind),
                        update,
                        live: taken.live,
                    });
                }
            }
        }
        if self.ready.capacity() > IDLE_READY {
            self.ready = VecDeque::new();
        }
        None
    }

    fn watch(&mut self, watch: WatchId) -> Option<&mut WatchEntry> {
        let entry = self.watches.get_mut(watch.index())?;
        (entry.serial == watch.serial).then_some(entry)
    }
}

impl WatchEntry {
    /// Puts the version into the slot if it is newer than what is pending and what was sent.
    fn put(&mut self, update: &Arc<RenderedUpdate>, live: bool) -> bool {
        let newer = self.newest().is_some_and(|newest| version(update) > newest);
        if newer && let PendingEvents::Job { slot, .. } = &mut self.pending {
            *slot = Some((Arc::clone(update), live));
        }
        newer
    }

    /// The newest version that is pending or was sent; `None` for a list.
    fn newest(&self) -> Option<Version> {
        let PendingEvents::Job { sent, slot, primed } = &self.pending else {
            return None;
        };
        // The version that the client says it has is compared with the store's job only.
        let sent = if *primed { *sent } else { Version::default() };
        Some(slot.as_ref().map_or(sent, |(waiting, _)| version(waiting)))
    }

    /// Whether its snapshot has arrived.
    fn is_primed(&self) -> bool {
        matches!(self.pending, PendingEvents::Job { primed: true, .. })
    }
}
