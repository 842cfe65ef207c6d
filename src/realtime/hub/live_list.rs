//! The pending events of one watcher of a list: one slot per job, at most [`LIST_SLOTS`]. Pure.
//!
//! A slot records whether the client holds the job in its list and whether the job matches now. The
//! event's kind follows from both when the slot is taken, so that an ENTER and a LEAVE which were
//! never sent cancel out.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use job::{Job, JobId, Version, limits::LIST_PAGE};

use super::ListEventKind;
use super::last_published::{PageCount, SentAhead};
use super::payload_group::RenderedUpdate;

/// Maximum number of jobs with a pending event for one watcher, the jobs of its page aside. A
/// watcher that falls further behind receives RESYNC and a new page.
pub const LIST_SLOTS: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListState {
    /// The page is being read. Publishes wait in slots.
    Reading,
    /// The page is being read, and there were more publishes than slots: it has to be read again.
    Lost,
    /// The page has been received.
    Live,
    /// RESYNC is to be taken. A page is read after it, so publishes need not be kept.
    Resyncing,
}

#[derive(Debug)]
struct Slot {
    update: Arc<RenderedUpdate>,
    matches: bool,
    held: bool,
    live: bool,
    /// Whether the page brought it.
    paged: bool,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Job(JobId),
    Marker(ListEventKind),
}

/// A version that a page sent.
#[derive(Debug, Clone, Copy)]
struct Paged {
    version: Version,
    /// Whether it is of the page that the client holds, not of one before a RESYNC.
    held: bool,
}

/// A version that was published, as it matters to one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered<'a> {
    pub(super) update: &'a Arc<RenderedUpdate>,
    /// Whether the job matched before, as far as the hub knows.
    pub(super) matched: bool,
    /// Whether the job matches now.
    pub(super) matches: bool,
    /// The version that a page of any list sent ahead of this publish.
    pub(super) ahead: Option<SentAhead>,
}

/// One event of a list, before it is rendered.
#[derive(Debug)]
pub(super) struct ListEvent {
    pub(super) kind: ListEventKind,
    /// `None` for a marker.
    pub(super) update: Option<Arc<RenderedUpdate>>,
    /// Whether a publish brought it, not a page.
    pub(super) live: bool,
}

#[derive(Debug)]
pub(super) struct LiveList {
    state: ListState,
    /// Maximum number of slots that the page did not bring: [`LIST_SLOTS`], fewer in tests.
    limit: usize,
    /// How many pages the lists of this hub had received when this list was opened. A client that
    /// reconnects may hold a job from one of them.
    opened: PageCount,
    /// Number of slots that the page brought.
    paged: usize,
    slots: HashMap<JobId, Slot>,
    /// Each slot's job once, in the order of its first event.
    queue: VecDeque<Next>,
    /// Versions already sent in a page. Publishes at or below them are ignored.
    ///
    /// Holds the versions of the last page, and of earlier pages while they are at most
    /// [`LIST_SLOTS`]: a later page may lack a job because of a change whose publish is late.
    ahead: HashMap<JobId, Paged>,
}

fn job(update: &RenderedUpdate) -> &Arc<Job> {
    update.job().expect("a slot holds no marker")
}

impl LiveList {
    pub(super) fn new(limit: usize, opened: PageCount) -> Self {
        Self {
            state: ListState::Reading,
            limit,
            opened,
            paged: 0,
            slots: HashMap::new(),
            queue: VecDeque::new(),
            ahead: HashMap::new(),
        }
    }

    /// The list as it waits for its next page.
    fn restarted(&mut self) -> Self {
        let mut ahead = std::mem::take(&mut self.ahead);
        if ahead.len() > LIST_SLOTS {
            ahead.retain(|_, paged| paged.held);
        }
        ahead.values_mut().for_each(|paged| paged.held = false);
        Self {
            ahead,
            ..Self::new(self.limit, self.opened)
        }
    }

    /// Records a published version. Returns whether there is an event to take.
    pub(super) fn offer(&mut self, offered: Offered<'_>) -> bool {
        let Offered {
            update,
            matched,
            matches,
            ahead,
        } = offered;
        if matches!(self.state, ListState::Resyncing | ListState::Lost) {
            return self.has_next();
        }
        let (id, version) = (job(update).id, job(update).version);
        let paged = self.ahead.get(&id).copied();
        let is_past = match paged {
            Some(paged) => version <= paged.version,
            None => ahead.is_some_and(|ahead| ahead.covers(version, self.opened)),
        };
        if is_past {
            return self.has_next();
        }
        if paged.is_some() {
            self.ahead.remove(&id);
        }
        let full = self.slots.len() - self.paged >= self.limit;
        match self.slots.entry(id) {
            Entry::Occupied(slot) => {
                let slot = slot.into_mut();
                if version > job(&slot.update).version {
                    slot.update = Arc::clone(update);
                    slot.matches = matches;
                    slot.live = true;
                }
            }
            Entry::Vacant(_) if full => self.overflow(),
            Entry::Vacant(slot) => {
                let held = self.state == ListState::Live
                    && (matched || paged.is_some_and(|paged| paged.held));
                // Until the page has been received, the client may turn out to hold any job.
                if held || matches || self.state == ListState::Reading {
                    slot.insert(Slot {
                        update: Arc::clone(update),
                        matches,
                        held,
                        live: true,
                        paged: false,
                    });
                    self.queue.push_back(Next::Job(id));
                }
            }
        }
        self.has_next()
    }

    fn overflow(&mut self) {
        if self.state == ListState::Reading {
            self.state = ListState::Lost;
            self.slots = HashMap::new();
            self.queue = VecDeque::new();
        } else {
            self.resync();
        }
    }

    /// Drops all pending events: the client receives RESYNC and a new page.
    pub(super) fn resync(&mut self) {
        match self.state {
            ListState::Reading => return self.overflow(),
            ListState::Lost | ListState::Resyncing => return,
            ListState::Live => {}
        }
        *self = Self {
            state: ListState::Resyncing,
            queue: VecDeque::from([Next::Marker(ListEventKind::Resync)]),
            ..self.restarted()
        };
    }

    /// Forgets the versions that pages sent. To be called when the store was set back.
    pub(super) fn forget_versions(&mut self) {
        self.ahead = HashMap::new();
    }

    /// Takes the page: at most [`LIST_PAGE`] jobs, newest first. Returns `false` when too much was
    /// published meanwhile and the page has to be read again.
    pub(super) fn page(&mut self, page: Vec<Arc<RenderedUpdate>>) -> bool {
        debug_assert!(page.len() <= LIST_PAGE, "the store bounds a page");
        match self.state {
            ListState::Reading => {}
            ListState::Lost => {
                *self = self.restarted();
                return false;
            }
            ListState::Live | ListState::Resyncing => return true,
        }
        let mut raced = std::mem::take(&mut self.slots);
        let raced_queue = std::mem::take(&mut self.queue);
        for update in page {
            let (id, version) = (job(&update).id, job(&update).version);
            let mut slot = Slot {
                update,
                matches: true,
                held: false,
                live: false,
                paged: true,
            };
            match raced.remove(&id) {
                Some(newer) if job(&newer.update).version > version => {
                    slot = Slot {
                        paged: true,
                        ..newer
                    }
                }
                _ => {
                    let held = true;
                    self.ahead.insert(id, Paged { version, held });
                }
            }
            if slot.matches && self.slots.insert(id, slot).is_none() {
                self.paged += 1;
                self.queue.push_back(Next::Job(id));
            }
        }
        self.queue.push_back(Next::Marker(ListEventKind::Snapshot));
        for next in raced_queue {
            let Next::Job(id) = next else { continue };
            if let Some(slot) = raced.remove(&id)
                && slot.matches
            {
                self.slots.insert(id, slot);
                self.queue.push_back(Next::Job(id));
            }
        }
        self.state = ListState::Live;
        true
    }

    /// Whether [`LiveList::take`] may return an event.
    pub(super) fn has_next(&self) -> bool {
        matches!(self.state, ListState::Live | ListState::Resyncing) && !self.queue.is_empty()
    }

    pub(super) fn take(&mut self) -> Option<ListEvent> {
        while self.has_next() {
            let marker = |kind| ListEvent {
                kind,
                update: None,
                live: false,
            };
            match self.queue.pop_front()? {
                Next::Marker(ListEventKind::Resync) => {
                    self.state = ListState::Reading;
                    return Some(marker(ListEventKind::Resync));
                }
                Next::Marker(kind) => return Some(marker(kind)),
                Next::Job(id) => {
                    let Some(slot) = self.slots.remove(&id) else {
                        continue;
                    };
                    self.paged -= usize::from(slot.paged);
                    let kind = match (slot.held, slot.matches) {
                        (false, true) => ListEventKind::Enter,
                        (true, true) => ListEventKind::Change,
                        (true, false) => ListEventKind::Leave,
                        (false, false) => continue,
                    };
                    return Some(ListEvent {
                        kind,
                        update: Some(slot.update),
                        live: slot.live,
                    });
                }
            }
        }
        None
    }
}
