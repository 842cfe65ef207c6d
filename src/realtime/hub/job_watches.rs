//! The watches of single jobs: per watched job the payload groups, per group the watchers.

use std::collections::HashMap;
use std::sync::Arc;

use job::{Job, JobId, Version};
use parking_lot::Mutex;
use slab::Slab;

use super::interest::{InterestSink, Topic};
use super::mailbox::{Mailbox, WatchId, WatchLocation};
use super::payload_group::{PayloadGroup, PayloadGroupKey, Render, RenderedUpdate};
use super::wake_batch::WakeBatch;
use super::watch_group::{WatchGroup, Watcher, walk_all};

/// Number of shards with a lock each, so that subscribes to different jobs do not contend.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<JobId, Arc<Mutex<WatchedJob>>>>;

pub(super) struct JobWatches {
    shards: Vec<Shard>,
    interest: InterestSink,
}

#[derive(Default)]
struct WatchedJob {
    groups: Slab<WatchGroup>,
    by_key: HashMap<PayloadGroupKey, usize>,
    /// The newest version that a watcher received although the last repair read an older one from
    /// the store.
    ahead: Version,
}

/// The result of a repair.
#[derive(Debug, Default)]
pub(super) struct Repaired {
    /// Number of watches that had not received the store's version.
    pub(super) behind: usize,
    /// Number of watches that had received versions which the store no longer has.
    pub(super) set_back: usize,
}

impl JobWatches {
    pub(super) fn new(interest: InterestSink) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            interest,
        }
    }

    /// Shards by the last byte of the id: in a UUIDv7 it is random.
    fn shard(&self, job: JobId) -> &Shard {
        &self.shards[usize::from(job.as_bytes()[15]) % SHARDS]
    }

    pub(super) fn watch(
        &self,
        job: JobId,
        mailbox: &Arc<Mailbox>,
        key: PayloadGroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
        after: Version,
    ) -> WatchId {
        let mut shard = self.shard(job).lock();
        let watched = shard.entry(job).or_insert_with(|| {
            if let Some(interest) = &self.interest {
                interest.joined(Topic::Job(job));
            }
            Arc::default()
        });
        let mut watched = watched.lock();
        let WatchedJob { groups, by_key, .. } = &mut *watched;
        let number = *by_key.entry(key).or_insert_with_key(|key| {
            groups.insert(WatchGroup::new(key.clone(), PayloadGroup::new(render())))
        });
        let group = &mut groups[number];
        let entry = group.watchers.vacant_entry();
        let location = WatchLocation::Job {
            job,
            group: number,
            watcher: entry.key(),
        };
        let watch = mailbox.open_job(location, Arc::clone(&group.payloads), after);
        entry.insert(Watcher {
            mailbox: Arc::clone(mailbox),
            watch,
        });
        watch
    }

    pub(super) fn forget(&self, job: JobId, group: usize, watcher: usize) {
        let mut shard = self.shard(job).lock();
        let Some(watched) = shard.get(&job) else {
            return;
        };
        let mut held = watched.lock();
        held.groups[group].watchers.remove(watcher);
        if held.groups[group].watchers.is_empty() {
            let group = held.groups.remove(group);
            held.by_key.remove(&group.key);
        }
        if held.groups.is_empty() {
            drop(held);
            shard.remove(&job);
            if let Some(interest) = &self.interest {
                interest.left(Topic::Job(job));
            }
        }
    }

    /// Puts the version into the mailbox of each watcher of the job, and returns how many there
    /// are.
    pub(super) fn publish(&self, job: &Arc<Job>, wakes: &mut WakeBatch) -> usize {
        let watched = self.shard(job.id).lock().get(&job.id).cloned();
        watched.map_or(0, |watched| {
            for_each_watcher(&watched, job, |watcher, update| {
                watcher.mailbox.offer(watcher.watch, update, wakes);
            })
        })
    }

    /// Gives each watcher the job as the store has it.
    ///
    /// Every version that a watcher received was in the store before. A read that returns an older
    /// version may have begun before that version was written. A read that returns an older version
    /// than one received before the *last* repair means that the store was set back. Repairs must
    /// not overlap.
    pub(super) fn repair(&self, job: &Arc<Job>, wakes: &mut WakeBatch) -> Repaired {
        let Some(watched) = self.shard(job.id).lock().get(&job.id).cloned() else {
            return Repaired::default();
        };
        let proven = std::mem::take(&mut watched.lock().ahead);
        let (mut found, mut ahead) = (Repaired::default(), Version::default());
        for_each_watcher(&watched, job, |watcher, update| {
            let (mailbox, watch) = (&watcher.mailbox, watcher.watch);
            match mailbox.newest(watch).filter(|newest| *newest > job.version) {
                Some(newest) if newest <= proven => {
                    mailbox.set_back(watch, update, wakes);
                    found.set_back += 1;
                }
                Some(newest) => ahead = ahead.max(newest),
                None => found.behind += usize::from(mailbox.offer(watch, update, wakes)),
            }
        });
        if ahead > Version::default() {
            watched.lock().ahead = ahead;
        }
        found
    }

    pub(super) fn watched(&self) -> Vec<JobId> {
        let ids = |shard: &Shard| shard.lock().keys().copied().collect::<Vec<_>>();
        self.shards.iter().flat_map(ids).collect()
    }
}

/// Visits each watcher of the job with its group's update, and returns how many there are.
fn for_each_watcher(
    watched: &Mutex<WatchedJob>,
    job: &Arc<Job>,
    mut visit: impl FnMut(&Watcher, &Arc<RenderedUpdate>),
) -> usize {
    let mut current: Option<(Arc<PayloadGroup>, Arc<RenderedUpdate>)> = None;
    walk_all(
        watched,
        |watched| &watched.groups,
        |group, watcher| {
            let update = match &current {
                Some((payloads, update)) if Arc::ptr_eq(payloads, &group.payloads) => update,
                _ => {
                    let update = group.payloads.update(job);
                    &current.insert((Arc::clone(&group.payloads), update)).1
                }
            };
            visit(watcher, update);
        },
    )
}
