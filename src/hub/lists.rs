//! Who watches which list. Lists are found by what their filter wants equal, so that an event costs the lists it
//! matters to and not all that are watched.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use job::filter::{Condition, Filter, equal_to};
use job::{Job, JobId, Status};
use parking_lot::Mutex;
use slab::Slab;

use super::circle::{Circle, Member, STEP};
use super::group::{Group, GroupKey, Render};
use super::interest::{Told, topics_for};
use super::live_list::{LiveList, Offered};
use super::mailbox::{Mailbox, Place, WatchId};
use super::recent::{Before, Recent};
use super::wakes::Wakes;

/// Which jobs a list holds.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What the caller asks for.
    pub filter: Filter,
    /// What the caller may see; over fields that never change (id, owner, type), so that a job never leaves it.
    pub visible: Filter,
}

/// All lists that are watched.
pub(super) struct Lists {
    /// See [`super::LIST_SLOTS`].
    slots: usize,
    /// Publishes to lists go one after the other, so that a watcher never gets a lower version after a higher one.
    recent: Mutex<Recent>,
    registry: Mutex<Registry>,
    /// Watches, so that a publish need not look when there are none.
    watches: AtomicUsize,
    interest: Told,
}

#[derive(Default)]
struct Registry {
    circles: Slab<(Circle, Arc<Wanted>)>,
    by_key: HashMap<GroupKey, usize>,
    by_id: HashMap<JobId, BTreeSet<usize>>,
    by_owner: HashMap<String, BTreeSet<usize>>,
    by_type: HashMap<String, BTreeSet<usize>>,
    by_status: HashMap<Status, BTreeSet<usize>>,
    rest: BTreeSet<usize>,
}

/// Where a list is found: by the first of these that its filter bounds.
enum Index {
    Id(Vec<JobId>),
    Owner(Vec<String>),
    Type(Vec<String>),
    Status(Vec<Status>),
    Rest,
}

fn index(wanted: &Wanted) -> Index {
    fn both<T: Clone + PartialEq>(
        wanted: &Wanted,
        of: impl Fn(&Filter) -> &Vec<Condition<T>>,
    ) -> Option<Vec<T>> {
        let all: Vec<Condition<T>> = [&wanted.filter, &wanted.visible]
            .into_iter()
            .flat_map(|filter| of(filter).iter().cloned())
            .collect();
        equal_to(&all)
    }
    None.or_else(|| both(wanted, |filter| &filter.id).map(Index::Id))
        .or_else(|| both(wanted, |filter| &filter.owner).map(Index::Owner))
        .or_else(|| both(wanted, |filter| &filter.job_type).map(Index::Type))
        .or_else(|| both(wanted, |filter| &filter.status).map(Index::Status))
        .unwrap_or(Index::Rest)
}

impl Registry {
    fn enter(&mut self, index: Index, circle: usize) {
        match index {
            Index::Id(values) => enter(&mut self.by_id, values, circle),
            Index::Owner(values) => enter(&mut self.by_owner, values, circle),
            Index::Type(values) => enter(&mut self.by_type, values, circle),
            Index::Status(values) => enter(&mut self.by_status, values, circle),
            Index::Rest => {
                self.rest.insert(circle);
            }
        }
    }

    fn erase(&mut self, index: &Index, circle: usize) {
        match index {
            Index::Id(values) => erase(&mut self.by_id, values, circle),
            Index::Owner(values) => erase(&mut self.by_owner, values, circle),
            Index::Type(values) => erase(&mut self.by_type, values, circle),
            Index::Status(values) => erase(&mut self.by_status, values, circle),
            Index::Rest => {
                self.rest.remove(&circle);
            }
        }
    }

    /// The circles that the change may matter to, each once.
    fn candidates(&self, before: &Before, new: &Job) -> BTreeSet<usize> {
        let mut found = self.rest.clone();
        found.extend(self.by_id.get(&new.id).into_iter().flatten());
        found.extend(self.by_owner.get(&new.owner).into_iter().flatten());
        found.extend(self.by_type.get(&new.job_type).into_iter().flatten());
        let statuses: Vec<Status> = if before.is_certain() {
            let old = before.image.iter().map(|image| image.status);
            old.chain([new.status]).collect()
        } else {
            Status::ALL.to_vec()
        };
        for status in statuses {
            found.extend(self.by_status.get(&status).into_iter().flatten());
        }
        found
    }
}

fn enter<T: Eq + std::hash::Hash>(
    map: &mut HashMap<T, BTreeSet<usize>>,
    values: Vec<T>,
    circle: usize,
) {
    for value in values {
        map.entry(value).or_default().insert(circle);
    }
}

fn erase<T: Eq + std::hash::Hash>(
    map: &mut HashMap<T, BTreeSet<usize>>,
    values: &[T],
    circle: usize,
) {
    for value in values {
        if let Some(circles) = map.get_mut(value) {
            circles.remove(&circle);
            if circles.is_empty() {
                map.remove(value);
            }
        }
    }
}

impl Lists {
    pub(super) fn new(slots: usize, interest: Told) -> Self {
        Self {
            slots,
            interest,
            recent: Mutex::default(),
            registry: Mutex::default(),
            watches: AtomicUsize::new(0),
        }
    }

    pub(super) fn watch(
        &self,
        wanted: Arc<Wanted>,
        mailbox: &Arc<Mailbox>,
        key: GroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
    ) -> WatchId {
        // Before the list is registered, so before its page is read.
        let opened = self.recent.lock().pages();
        let mut registry = self.registry.lock();
        let number = match registry.by_key.get(&key) {
            Some(number) => *number,
            None => {
                let circle = Circle {
                    key: key.clone(),
                    group: Arc::new(Group::new(render())),
                    members: Slab::new(),
                };
                let index = index(&wanted);
                if let Some(interest) = &self.interest {
                    let topics = topics_for(&wanted).into_iter();
                    topics.for_each(|topic| interest.joined(topic));
                }
                let number = registry.circles.insert((circle, wanted));
                registry.by_key.insert(key, number);
                registry.enter(index, number);
                number
            }
        };
        let circle = &mut registry.circles[number].0;
        let entry = circle.members.vacant_entry();
        let place = Place::List {
            circle: number,
            member: entry.key(),
        };
        let watch = mailbox.open_list(
            place,
            Arc::clone(&circle.group),
            LiveList::new(self.slots, opened),
        );
        entry.insert(Member {
            mailbox: Arc::clone(mailbox),
            watch,
        });
        self.watches.fetch_add(1, Ordering::SeqCst);
        watch
    }

    pub(super) fn forget(&self, circle: usize, member: usize) {
        let mut registry = self.registry.lock();
        registry.circles[circle].0.members.remove(member);
        if registry.circles[circle].0.members.is_empty() {
            let (gone, wanted) = registry.circles.remove(circle);
            registry.by_key.remove(&gone.key);
            registry.erase(&index(&wanted), circle);
            if let Some(interest) = &self.interest {
                let topics = topics_for(&wanted).into_iter();
                topics.for_each(|topic| interest.left(topic));
            }
        }
        drop(registry);
        if self.watches.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.recent.lock().drop_images();
        }
    }

    /// Tells the watchers of the lists that the job enters, stays in or leaves, and returns how many were told.
    pub(super) fn publish(
        &self,
        old: Option<&Arc<Job>>,
        new: &Arc<Job>,
        wakes: &mut Wakes,
    ) -> usize {
        let mut recent = self.recent.lock();
        let watched = self.watches.load(Ordering::SeqCst) > 0;
        let Some(before) = recent.note(old, new, watched) else {
            return 0;
        };
        if !watched {
            return 0;
        }
        let candidates = self.registry.lock().candidates(&before, new);
        candidates
            .into_iter()
            .map(|circle| self.tell(circle, &before, new, wakes))
            .sum()
    }

    fn tell(&self, circle: usize, before: &Before, new: &Arc<Job>, wakes: &mut Wakes) -> usize {
        let (mut from, mut told) = (0, 0);
        loop {
            // Between two steps the circle may have gone, and another may have come to its place; that one's watchers
            // have yet to read their page.
            let registry = self.registry.lock();
            let Some((circle, wanted)) = registry.circles.get(circle) else {
                return told;
            };
            if !wanted.visible.matches(new) {
                return told;
            }
            let matches = wanted.filter.matches(new);
            let was = match &before.image {
                Some(image) => wanted.filter.matches(image) || (before.gap && !before.told),
                None => before.gap,
            };
            if !matches && !was && before.is_certain() {
                return told;
            }
            let telling = circle.group.telling(new);
            let mut left = STEP;
            let done = circle.walk(&mut from, &mut left, &mut |member| {
                let (mailbox, watch) = (&member.mailbox, member.watch);
                let change = Offered {
                    telling: &telling,
                    was,
                    matches,
                    ahead: before.ahead,
                };
                mailbox.offer_change(watch, change, wakes);
                told += 1;
            });
            if done {
                return told;
            }
        }
    }

    /// Gives a list its page, see [`Mailbox::page`].
    pub(super) fn page(&self, mailbox: &Mailbox, watch: WatchId, jobs: &[Arc<Job>]) -> bool {
        // Before the client is told: it may come back on another connection at once.
        self.recent.lock().note_page(jobs);
        mailbox.page(watch, jobs)
    }

    /// All lists get RESYNC and a new page. `set_back`: the store was, and what was published before counts no more.
    pub(super) fn resync(&self, set_back: bool, wakes: &mut Wakes) {
        // No publish meanwhile: who is told after RESYNC is told of what comes after it.
        let mut recent = self.recent.lock();
        if set_back {
            *recent = Recent::default();
        }
        let registry = self.registry.lock();
        for (_, (circle, _)) in &registry.circles {
            for (_, member) in &circle.members {
                member.mailbox.resync(member.watch, set_back, wakes);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let registry = self.registry.lock();
        registry.circles.is_empty()
            && registry.by_key.is_empty()
            && registry.by_id.is_empty()
            && registry.by_owner.is_empty()
            && registry.by_type.is_empty()
            && registry.by_status.is_empty()
            && registry.rest.is_empty()
    }
}
