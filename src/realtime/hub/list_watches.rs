//! The watches of lists. They are indexed by the first condition of equality in their filter, so
//! that an event costs only the lists that it may matter to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use job::filter::{Condition, Filter, equal_to};
use job::{Job, JobId, Status};
use parking_lot::Mutex;
use slab::Slab;

use super::interest::{InterestSink, topics_for};
use super::last_published::{Before, LastPublished};
use super::live_list::{LiveList, Offered};
use super::mailbox::{Mailbox, WatchId, WatchLocation};
use super::payload_group::{PayloadGroup, PayloadGroupKey, Render};
use super::wake_batch::WakeBatch;
use super::watch_group::{STEP, WatchGroup, Watcher};

/// The jobs that a list holds: those that match both filters.
#[derive(Debug, Clone, Default)]
pub struct ListScope {
    /// The caller's filter.
    pub filter: Filter,
    /// The jobs that the caller may see. It filters by fields that never change (id, owner, type),
    /// so that a job never leaves it.
    pub visible: Filter,
}

/// All watched lists.
pub(super) struct ListWatches {
    /// Maximum number of pending events per watcher: [`super::LIST_SLOTS`], fewer in tests.
    slots: usize,
    /// Locked for the whole of a publish: publishes to lists are serialized, so that no watcher
    /// receives a lower version after a higher one.
    last_published: Mutex<LastPublished>,
    registry: Mutex<Registry>,
    /// Number of watches. A publish returns early when there are none.
    watches: AtomicUsize,
    interest: InterestSink,
}

#[derive(Default)]
struct Registry {
    groups: Slab<(WatchGroup, Arc<ListScope>)>,
    by_key: HashMap<PayloadGroupKey, usize>,
    by_id: HashMap<JobId, BTreeSet<usize>>,
    by_owner: HashMap<String, BTreeSet<usize>>,
    by_type: HashMap<String, BTreeSet<usize>>,
    by_status: HashMap<Status, BTreeSet<usize>>,
    rest: BTreeSet<usize>,
}

/// The index that holds a list: the first of these that its filter compares for equality.
enum ListIndex {
    Id(Vec<JobId>),
    Owner(Vec<String>),
    Type(Vec<String>),
    Status(Vec<Status>),
    Rest,
}

fn index(scope: &ListScope) -> ListIndex {
    fn both<T: Clone + PartialEq>(
        scope: &ListScope,
        of: impl Fn(&Filter) -> &Vec<Condition<T>>,
    ) -> Option<Vec<T>> {
        let all: Vec<Condition<T>> = [&scope.filter, &scope.visible]
            .into_iter()
            .flat_map(|filter| of(filter).iter().cloned())
            .collect();
        equal_to(&all)
    }
    both(scope, |filter| &filter.id)
        .map(ListIndex::Id)
        .or_else(|| both(scope, |filter| &filter.owner).map(ListIndex::Owner))
        .or_else(|| both(scope, |filter| &filter.job_type).map(ListIndex::Type))
        .or_else(|| both(scope, |filter| &filter.status).map(ListIndex::Status))
        .unwrap_or(ListIndex::Rest)
}

impl Registry {
    fn enter(&mut self, index: ListIndex, group: usize) {
        match index {
            ListIndex::Id(values) => enter(&mut self.by_id, values, group),
            ListIndex::Owner(values) => enter(&mut self.by_owner, values, group),
            ListIndex::Type(values) => enter(&mut self.by_type, values, group),
            ListIndex::Status(values) => enter(&mut self.by_status, values, group),
            ListIndex::Rest => {
                self.rest.insert(group);
            }
        }
    }

    fn erase(&mut self, index: &ListIndex, group: usize) {
        match index {
            ListIndex::Id(values) => erase(&mut self.by_id, values, group),
            ListIndex::Owner(values) => erase(&mut self.by_owner, values, group),
            ListIndex::Type(values) => erase(&mut self.by_type, values, group),
            ListIndex::Status(values) => erase(&mut self.by_status, values, group),
            ListIndex::Rest => {
                self.rest.remove(&group);
            }
        }
    }

    /// The groups whose lists the change may matter to, each once.
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
    group: usize,
) {
    for value in values {
        map.entry(value).or_default().insert(group);
    }
}

fn erase<T: Eq + std::hash::Hash>(
    map: &mut HashMap<T, BTreeSet<usize>>,
    values: &[T],
    group: usize,
) {
    for value in values {
        if let Some(groups) = map.get_mut(value) {
            groups.remove(&group);
            if groups.is_empty() {
                map.remove(value);
            }
        }
    }
}

impl ListWatches {
    pub(super) fn new(slots: usize, interest: InterestSink) -> Self {
        Self {
            slots,
            interest,
            last_published: Mutex::default(),
            registry: Mutex::default(),
            watches: AtomicUsize::new(0),
        }
    }

    pub(super) fn watch(
        &self,
        scope: Arc<ListScope>,
        mailbox: &Arc<Mailbox>,
        key: PayloadGroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
    ) -> WatchId {
        // Counted before the list is registered, and so before its page is read.
        let opened = self.last_published.lock().pages();
        let mut registry = self.registry.lock();
        let number = match registry.by_key.get(&key) {
            Some(number) => *number,
            None => self.add_group(&mut registry, scope, key, PayloadGroup::new(render())),
        };
        let group = &mut registry.groups[number].0;
        let entry = group.watchers.vacant_entry();
        let location = WatchLocation::List {
            group: number,
            watcher: entry.key(),
        };
        let list = LiveList::new(self.slots, opened);
        let watch = mailbox.open_list(location, Arc::clone(&group.payloads), list);
        entry.insert(Watcher {
            mailbox: Arc::clone(mailbox),
            watch,
        });
        self.watches.fetch_add(1, Ordering::SeqCst);
        watch
    }

    fn add_group(
        &self,
        registry: &mut Registry,
        scope: Arc<ListScope>,
        key: PayloadGroupKey,
        payloads: PayloadGroup,
    ) -> usize {
        let index = index(&scope);
        if let Some(interest) = &self.interest {
            let topics = topics_for(&scope).into_iter();
            topics.for_each(|topic| interest.joined(topic));
        }
        let group = WatchGroup::new(key.clone(), payloads);
        let number = registry.groups.insert((group, scope));
        registry.by_key.insert(key, number);
        registry.enter(index, number);
        number
    }

    pub(super) fn forget(&self, group: usize, watcher: usize) {
        let mut registry = self.registry.lock();
        registry.groups[group].0.watchers.remove(watcher);
        if registry.groups[group].0.watchers.is_empty() {
            let (gone, scope) = registry.groups.remove(group);
            registry.by_key.remove(&gone.key);
            registry.erase(&index(&scope), group);
            if let Some(interest) = &self.interest {
                let topics = topics_for(&scope).into_iter();
                topics.for_each(|topic| interest.left(topic));
            }
        }
        drop(registry);
        if self.watches.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.last_published.lock().drop_images();
        }
    }

    /// Offers the new version to each watcher whose list the job enters, stays in or leaves.
    /// Returns the number of these watchers.
    pub(super) fn publish(
        &self,
        old: Option<&Arc<Job>>,
        new: &Arc<Job>,
        wakes: &mut WakeBatch,
    ) -> usize {
        let mut last_published = self.last_published.lock();
        let watched = self.watches.load(Ordering::SeqCst) > 0;
        let Some(before) = last_published.note(old, new, watched) else {
            return 0;
        };
        if !watched {
            return 0;
        }
        let candidates = self.registry.lock().candidates(&before, new);
        candidates
            .into_iter()
            .map(|group| self.offer(group, &before, new, wakes))
            .sum()
    }

    /// Offers the new version to the watchers of one group, and returns how many there are.
    fn offer(&self, group: usize, before: &Before, new: &Arc<Job>, wakes: &mut WakeBatch) -> usize {
        let (mut from, mut offered) = (0, 0);
        loop {
            // Between two steps the group may be removed and another may take its number. The
            // watchers of that one have yet to read their page, so an offer does no harm.
            let registry = self.registry.lock();
            let Some((group, scope)) = registry.groups.get(group) else {
                return offered;
            };
            if !scope.visible.matches(new) {
                return offered;
            }
            let matches = scope.filter.matches(new);
            let matched = match &before.image {
                Some(image) => scope.filter.matches(image) || (before.gap && !before.published),
                None => before.gap,
            };
            if !matches && !matched && before.is_certain() {
                return offered;
            }
            let update = group.payloads.update(new);
            let mut left = STEP;
            let done = group.walk(&mut from, &mut left, &mut |watcher| {
                let change = Offered {
                    update: &update,
                    matched,
                    matches,
                    ahead: before.ahead,
                };
                watcher.mailbox.offer_change(watcher.watch, change, wakes);
                offered += 1;
            });
            if done {
                return offered;
            }
        }
    }

    /// Gives a list its page, see [`Mailbox::page`].
    pub(super) fn page(&self, mailbox: &Mailbox, watch: WatchId, jobs: &[Arc<Job>]) -> bool {
        // Recorded before the client receives it: the client may then reconnect at once.
        self.last_published.lock().note_page(jobs);
        mailbox.page(watch, jobs)
    }

    /// Gives all lists RESYNC and a new page. `set_back`: the store was set back, so what was
    /// published before no longer counts.
    pub(super) fn resync(&self, set_back: bool, wakes: &mut WakeBatch) {
        // Locked, so that no publish falls between the RESYNCs of two lists.
        let mut last_published = self.last_published.lock();
        if set_back {
            *last_published = LastPublished::default();
        }
        let registry = self.registry.lock();
        for (_, (group, _)) in &registry.groups {
            for (_, watcher) in &group.watchers {
                watcher.mailbox.resync(watcher.watch, set_back, wakes);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let registry = self.registry.lock();
        registry.groups.is_empty()
            && registry.by_key.is_empty()
            && registry.by_id.is_empty()
            && registry.by_owner.is_empty()
            && registry.by_type.is_empty()
            && registry.by_status.is_empty()
            && registry.rest.is_empty()
    }
}
