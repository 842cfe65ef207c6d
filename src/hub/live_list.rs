//! What one watcher of a list has still to be told: one slot per job, at most [`LIST_SLOTS`] of them. Pure.
//!
//! A slot knows whether the client holds the job in its list and whether the job matches now; its kind follows when it
//! is taken, so that ENTER and LEAVE which were never told cancel out by themselves.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use job::{Job, JobId, Version, limits::LIST_PAGE};

use super::Kind;
use super::group::Telling;
use super::recent::{Ahead, Pages};

/// Jobs with something to tell that wait for one watcher, those of its page aside; over it the watcher gets RESYNC and a
/// new page.
pub const LIST_SLOTS: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The page is being read; what is published meanwhile waits.
    Reading,
    /// As before, but more came than there are slots: the page has to be read again.
    Lost,
    /// The page is there.
    Live,
    /// RESYNC waits to be taken; then a page is read, so nothing need be kept.
    Resyncing,
}

#[derive(Debug)]
struct Slot {
    telling: Arc<Telling>,
    matches: bool,
    held: bool,
    live: bool,
    /// Whether it came with the page.
    paged: bool,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Job(JobId),
    Marker(Kind),
}

/// A version that a page told.
#[derive(Debug, Clone, Copy)]
struct Paged {
    version: Version,
    /// Of the page that the client holds, not of one before RESYNC.
    held: bool,
}

/// A version that was published, as it matters to one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered<'a> {
    pub(super) telling: &'a Arc<Telling>,
    /// Whether the job matched before, as far as the hub knows.
    pub(super) was: bool,
    /// Whether the job matches now.
    pub(super) matches: bool,
    /// What a page of any list told of the job ahead of this publish.
    pub(super) ahead: Option<Ahead>,
}

/// What is told of a list.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) kind: Kind,
    /// `None` for a marker.
    pub(super) telling: Option<Arc<Telling>>,
    /// Whether it comes from a publish rather than from a page.
    pub(super) live: bool,
}

#[derive(Debug)]
pub(super) struct LiveList {
    state: State,
    /// See [`LIST_SLOTS`].
    limit: usize,
    /// The pages that the lists of this hub had been given when this list was opened. A client that comes back on a
    /// new connection may hold what one of them told.
    opened: Pages,
    /// Slots that came with the page.
    paged: usize,
    slots: HashMap<JobId, Slot>,
    /// Each slot's job once, in the order in which it came.
    queue: VecDeque<Next>,
    /// What pages told and publishes have not passed yet: of the last page, and of earlier ones as long as that is at most [`LIST_SLOTS`] jobs. A
    /// later page may lack a job because of a change whose publish comes late; what is published before that is over.
    ahead: HashMap<JobId, Paged>,
}

fn job(telling: &Telling) -> &Arc<Job> {
    telling.job().expect("a slot holds no marker")
}

impl LiveList {
    pub(super) fn new(limit: usize, opened: Pages) -> Self {
        Self {
            state: State::Reading,
            limit,
            opened,
            paged: 0,
            slots: HashMap::new(),
            queue: VecDeque::new(),
            ahead: HashMap::new(),
        }
    }

    /// A list that begins with a new page.
    fn anew(&mut self) -> Self {
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

    /// A version was published. Returns whether there is something to take.
    pub(super) fn offer(&mut self, offered: Offered<'_>) -> bool {
        let Offered {
            telling,
            was,
            matches,
            ahead,
        } = offered;
        if matches!(self.state, State::Resyncing | State::Lost) {
            return self.has_next();
        }
        let (id, version) = (job(telling).id, job(telling).version);
        let paged = self.ahead.get(&id).copied();
        let is_past = match paged {
            Some(paged) => version <= paged.version,
            None => ahead.is_some_and(|ahead| ahead.is_past(version, self.opened)),
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
                if version > job(&slot.telling).version {
                    slot.telling = Arc::clone(telling);
                    slot.matches = matches;
                    slot.live = true;
                }
            }
            Entry::Vacant(_) if full => self.overflow(),
            Entry::Vacant(slot) => {
                let held =
                    self.state == State::Live && (was || paged.is_some_and(|paged| paged.held));
                // Before the page is there nothing is known of what the client will hold.
                if held || matches || self.state == State::Reading {
                    slot.insert(Slot {
                        telling: Arc::clone(telling),
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
        if self.state == State::Reading {
            self.state = State::Lost;
            self.slots = HashMap::new();
            self.queue = VecDeque::new();
        } else {
            self.resync();
        }
    }

    /// Nothing that waits counts any more: the client gets RESYNC and a new page.
    pub(super) fn resync(&mut self) {
        match self.state {
            State::Reading => return self.overflow(),
            State::Lost | State::Resyncing => return,
            State::Live => {}
        }
        *self = Self {
            state: State::Resyncing,
            queue: VecDeque::from([Next::Marker(Kind::Resync)]),
            ..self.anew()
        };
    }

    /// The store was set back: versions that pages told say nothing about those that come.
    pub(super) fn forget_versions(&mut self) {
        self.ahead = HashMap::new();
    }

    /// The page, newest first, at most [`LIST_PAGE`] jobs. `false`: it came too late, read it again.
    pub(super) fn page(&mut self, page: Vec<Arc<Telling>>) -> bool {
        debug_assert!(page.len() <= LIST_PAGE, "a page is bounded by who reads it");
        match self.state {
            State::Reading => {}
            State::Lost => {
                *self = self.anew();
                return false;
            }
            State::Live | State::Resyncing => return true,
        }
        let mut raced = std::mem::take(&mut self.slots);
        let raced_queue = std::mem::take(&mut self.queue);
        for telling in page {
            let (id, version) = (job(&telling).id, job(&telling).version);
            let mut slot = Slot {
                telling,
                matches: true,
                held: false,
                live: false,
                paged: true,
            };
            match raced.remove(&id) {
                Some(newer) if job(&newer.telling).version > version => {
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
        self.queue.push_back(Next::Marker(Kind::Snapshot));
        for next in raced_queue {
            let Next::Job(id) = next else { continue };
            if let Some(slot) = raced.remove(&id)
                && slot.matches
            {
                self.slots.insert(id, slot);
                self.queue.push_back(Next::Job(id));
            }
        }
        self.state = State::Live;
        true
    }

    /// Whether [`LiveList::take`] may have something.
    pub(super) fn has_next(&self) -> bool {
        matches!(self.state, State::Live | State::Resyncing) && !self.queue.is_empty()
    }

    pub(super) fn take(&mut self) -> Option<Taken> {
        while self.has_next() {
            let marker = |kind| Taken {
                kind,
                telling: None,
                live: false,
            };
            match self.queue.pop_front()? {
                Next::Marker(Kind::Resync) => {
                    self.state = State::Reading;
                    return Some(marker(Kind::Resync));
                }
                Next::Marker(kind) => return Some(marker(kind)),
                Next::Job(id) => {
                    let Some(slot) = self.slots.remove(&id) else {
                        continue;
                    };
                    self.paged -= usize::from(slot.paged);
                    let kind = match (slot.held, slot.matches) {
                        (false, true) => Kind::Enter,
                        (true, true) => Kind::Change,
                        (true, false) => Kind::Leave,
                        (false, false) => continue,
                    };
                    return Some(Taken {
                        kind,
                        telling: Some(slot.telling),
                        live: slot.live,
                    });
                }
            }
        }
        None
    }
}
