//! A connection's mailbox: per watch of a job one slot with the newest version not yet told, per watch of a list a
//! [`LiveList`]. Bounded by the number of watches.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use job::{Job, JobId, Version};
use parking_lot::{Mutex, MutexGuard};
use slab::Slab;

use super::Kind;
use super::group::{Group, Telling};
use super::live_list::{LiveList, Offered};
use super::wakes::Wakes;

/// A watch within its mailbox; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId {
    index: u32,
    serial: u32,
}

impl WatchId {
    /// A small number, at any time held by one watch of the mailbox only.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// Where the hub keeps a watch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Job {
        job: JobId,
        circle: usize,
        member: usize,
    },
    List {
        circle: usize,
        member: usize,
    },
}

/// What is to be told next for one watch.
#[derive(Debug)]
pub struct Delivery {
    /// Whom it concerns.
    pub watch: WatchId,
    /// `None` for `onJob`.
    pub kind: Option<Kind>,
    /// Has the job, and makes the payload.
    pub telling: Arc<Telling>,
    /// Whether it comes from a publish, not from a snapshot or a page.
    pub live: bool,
}

impl Delivery {
    /// The payload if it has been made already.
    pub fn ready(&self) -> Option<&Bytes> {
        self.telling.ready(self.kind)
    }

    /// The payload: made once for the group.
    pub async fn payload(&self) -> &Bytes {
        self.telling.payload(self.kind).await
    }

    /// Whether this is the end of the watch: a job in a terminal status.
    pub fn is_last(&self) -> bool {
        self.kind.is_none() && self.telling.is_terminal()
    }
}

/// What [`Mailbox::snapshot`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshot {
    /// The watch goes on.
    Open,
    /// The client has the newest version already, and its status is terminal: there is nothing more to tell.
    Finished,
}

/// The slots of one connection. Publishers offer, the connection's driver takes.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    serial: u32,
    watches: Slab<Watch>,
    /// Watches with something to tell, in the order in which it came; each at most once.
    ready: VecDeque<u32>,
    waker: Option<Waker>,
    leaving: bool,
}

struct Watch {
    serial: u32,
    place: Place,
    group: Arc<Group>,
    /// Whether it stands in `ready`.
    queued: bool,
    waiting: Waiting,
}

enum Waiting {
    Job {
        /// The newest version that was told; until the snapshot is there, the one that the client says it has.
        told: Version,
        /// The newest version that was published and not told yet, and whether it comes from a publish.
        slot: Option<(Arc<Telling>, bool)>,
        /// Until the snapshot is there nothing is told.
        primed: bool,
    },
    List(Box<LiveList>),
}

/// What [`Mailbox::poll_take`] gives.
#[derive(Debug)]
pub enum Mail {
    /// The next thing to tell; it counts as told.
    Delivery {
        /// What, and to whom.
        delivery: Delivery,
        /// Whether nothing is left: the task is woken as soon as there is.
        last: bool,
    },
    /// The node drains.
    Leave,
}

/// Entries that an idle `ready` queue may keep allocated.
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

fn version(telling: &Telling) -> Version {
    telling.job().map(|job| job.version).unwrap_or_default()
}

impl Mailbox {
    pub(super) fn open_job(&self, place: Place, group: Arc<Group>, after: Version) -> WatchId {
        let waiting = Waiting::Job {
            told: after,
            slot: None,
            primed: false,
        };
        self.open(place, group, waiting)
    }

    pub(super) fn open_list(&self, place: Place, group: Arc<Group>, list: LiveList) -> WatchId {
        self.open(place, group, Waiting::List(Box::new(list)))
    }

    fn open(&self, place: Place, group: Arc<Group>, waiting: Waiting) -> WatchId {
        let mut state = self.state.lock();
        let serial = state.serial;
        state.serial = serial.wrapping_add(1);
        // Most connections have one watch: room for four would be a tenth of what an idle one takes.
        if state.watches.is_empty() {
            state.watches.reserve_exact(1);
        }
        let index = state.watches.insert(Watch {
            serial,
            place,
            group,
            queued: false,
            waiting,
        });
        WatchId {
            index: u32::try_from(index).expect("a connection has a bounded number of watches"),
            serial,
        }
    }

    /// Ends a watch; returns where the hub keeps it, `None` when it is unknown.
    pub(super) fn close(&self, watch: WatchId) -> Option<Place> {
        let mut state = self.state.lock();
        if state.watch(watch)?.queued {
            state.ready.retain(|index| *index != watch.index);
        }
        Some(state.watches.remove(watch.index()).place)
    }

    pub(super) fn close_all(&self) -> Vec<Place> {
        let mut state = self.state.lock();
        state.ready = VecDeque::new();
        state.watches.drain().map(|watch| watch.place).collect()
    }

    /// Puts a version in the watch's slot unless a newer one was told or is waiting. `true`: the watch has its snapshot, and
    /// this version is newer than all that it was given.
    pub(super) fn offer(&self, watch: WatchId, telling: &Arc<Telling>, wakes: &mut Wakes) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.watch(watch) else {
            return false;
        };
        let newer = entry.put(telling, true) && entry.is_primed();
        if newer {
            wakes.push(state.announce(watch));
        }
        newer
    }

    /// The newest version that a watch of a job was given; `None` as long as it has no snapshot.
    pub(super) fn newest(&self, watch: WatchId) -> Option<Version> {
        let mut state = self.state.lock();
        let entry = state.watch(watch).filter(|entry| entry.is_primed())?;
        entry.newest()
    }

    /// The store was set back: the watch gets this version, although it was given newer ones.
    pub(super) fn set_back(&self, watch: WatchId, telling: &Arc<Telling>, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if let Some(entry) = state.watch(watch)
            && let Waiting::Job { told, slot, .. } = &mut entry.waiting
        {
            *told = Version::default();
            *slot = Some((Arc::clone(telling), false));
            wakes.push(state.announce(watch));
        }
    }

    /// The same for a watch of a list, see [`LiveList::offer`].
    pub(super) fn offer_change(&self, watch: WatchId, offered: Offered<'_>, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if let Some(Watch {
            waiting: Waiting::List(list),
            ..
        }) = state.watch(watch)
            && list.offer(offered)
        {
            wakes.push(state.announce(watch));
        }
    }

    /// The watch of a list gets RESYNC and a new page. `set_back`: what it was told before says nothing about versions any more.
    pub(super) fn resync(&self, watch: WatchId, set_back: bool, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if let Some(Watch {
            waiting: Waiting::List(list),
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

    /// Gives the job as the store has it; from now on the watch is told.
    ///
    /// A client that has a version which the job has not reached comes from before the store was restored: it gets the job as it is,
    /// and then each later version, although they are lower than what it has.
    pub fn snapshot(&self, watch: WatchId, job: &Arc<Job>) -> Snapshot {
        let mut state = self.state.lock();
        let Some(entry) = state.watch(watch) else {
            return Snapshot::Open;
        };
        let telling = entry.group.telling(job);
        entry.put(&telling, false);
        let Waiting::Job { told, slot, primed } = &mut entry.waiting else {
            return Snapshot::Open;
        };
        if !std::mem::replace(primed, true) {
            // What was published meanwhile may be newer than the snapshot; the newest of all decides whether the client has it.
            match slot.take_if(|(newest, _)| version(newest) == *told) {
                Some((newest, _)) if newest.is_terminal() => return Snapshot::Finished,
                Some(_) => {}
                None => *told = Version::default(),
            }
        }
        if slot.is_some() {
            let waker = state.announce(watch);
            Self::wake(state, waker);
            return Snapshot::Open;
        }
        if job.status.is_terminal() && job.version == *told {
            Snapshot::Finished
        } else {
            Snapshot::Open
        }
    }

    /// Gives the first page of a list, at most [`job::limits::LIST_PAGE`] jobs; from now on the watch is told. `false`:
    /// too much has changed meanwhile, the page must be read again.
    pub(super) fn page(&self, watch: WatchId, jobs: &[Arc<Job>]) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.watch(watch) else {
            return true;
        };
        let tellings = jobs.iter().map(|job| entry.group.telling(job)).collect();
        let Waiting::List(list) = &mut entry.waiting else {
            return true;
        };
        let taken = list.page(tellings);
        if list.has_next() {
            let waker = state.announce(watch);
            Self::wake(state, waker);
        }
        taken
    }

    /// The next thing to tell; it counts as told.
    pub fn take(&self) -> Option<Delivery> {
        self.state.lock().take()
    }

    /// The next thing to do. When there is nothing, the task is woken as soon as there is.
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

    /// Lets the driver know that the node drains.
    pub fn leave(&self) {
        let mut state = self.state.lock();
        state.leaving = true;
        let waker = state.waker.take();
        Self::wake(state, waker);
    }

    /// Whoever waits is woken no more.
    pub(crate) fn forget_waker(&self) {
        // Dropped without the lock: with it may go what it wakes.
        let _waker = self.state.lock().waker.take();
    }

    /// Wakes without the lock, which who is woken takes.
    fn wake(state: MutexGuard<'_, State>, waker: Option<Waker>) {
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    /// The watch has something to tell; who is to be woken for it.
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
            match &mut entry.waiting {
                Waiting::Job { told, slot, .. } => {
                    let Some((telling, live)) = slot.take() else {
                        continue;
                    };
                    *told = version(&telling);
                    return Some(Delivery {
                        watch,
                        kind: None,
                        telling,
                        live,
                    });
                }
                Waiting::List(list) => {
                    let Some(taken) = list.take() else { continue };
                    let telling = taken.telling.unwrap_or_else(|| entry.group.marker());
                    entry.queued = list.has_next();
                    if entry.queued {
                        self.ready.push_back(index);
                    }
                    return Some(Delivery {
                        watch,
                        kind: Some(taken.kind),
                        telling,
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

    fn watch(&mut self, watch: WatchId) -> Option<&mut Watch> {
        let entry = self.watches.get_mut(watch.index())?;
        (entry.serial == watch.serial).then_some(entry)
    }
}

impl Watch {
    /// Whether it was newer than what waits and what was told.
    fn put(&mut self, telling: &Arc<Telling>, live: bool) -> bool {
        let newer = self
            .newest()
            .is_some_and(|newest| version(telling) > newest);
        if newer && let Waiting::Job { slot, .. } = &mut self.waiting {
            *slot = Some((Arc::clone(telling), live));
        }
        newer
    }

    /// The newest version that waits or was told; `None` for a list.
    fn newest(&self) -> Option<Version> {
        let Waiting::Job { told, slot, primed } = &self.waiting else {
            return None;
        };
        // What the client says it has is compared with the store's job only.
        let told = if *primed { *told } else { Version::default() };
        Some(slot.as_ref().map_or(told, |(waiting, _)| version(waiting)))
    }

    /// Whether its snapshot is there.
    fn is_primed(&self) -> bool {
        matches!(self.waiting, Waiting::Job { primed: true, .. })
    }
}
