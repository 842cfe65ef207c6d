//! Who watches which job: for each job that is watched a room, for each group in it a circle.

use std::collections::HashMap;
use std::sync::Arc;

use job::{Job, JobId, Version};
use parking_lot::Mutex;
use slab::Slab;

use super::circle::{Circle, Member, walk_all};
use super::group::{Group, GroupKey, Render, Telling};
use super::interest::{Told, Topic};
use super::mailbox::{Mailbox, Place, WatchId};
use super::wakes::Wakes;

/// Parts that are locked on their own, so that subscribes to different jobs do not meet.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<JobId, Arc<Mutex<Room>>>>;

pub(super) struct Rooms {
    shards: Vec<Shard>,
    interest: Told,
}

#[derive(Default)]
struct Room {
    circles: Slab<Circle>,
    by_key: HashMap<GroupKey, usize>,
    /// The newest version that a watcher was given although the last repair found an older one in the store.
    ahead: Version,
}

/// What a repair found.
#[derive(Debug, Default)]
pub(super) struct Repaired {
    /// Watches that lacked the store's version.
    pub(super) behind: usize,
    /// Watches that were given versions which the store no longer has.
    pub(super) set_back: usize,
}

impl Rooms {
    pub(super) fn new(interest: Told) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            interest,
        }
    }

    /// The last byte of a UUIDv7 is random.
    fn shard(&self, job: JobId) -> &Shard {
        &self.shards[usize::from(job.as_bytes()[15]) % SHARDS]
    }

    pub(super) fn watch(
        &self,
        job: JobId,
        mailbox: &Arc<Mailbox>,
        key: GroupKey,
        render: impl FnOnce() -> Arc<dyn Render>,
        after: Version,
    ) -> WatchId {
        let mut shard = self.shard(job).lock();
        let room = shard.entry(job).or_insert_with(|| {
            if let Some(interest) = &self.interest {
                interest.joined(Topic::Job(job));
            }
            Arc::default()
        });
        let mut room = room.lock();
        let Room {
            circles, by_key, ..
        } = &mut *room;
        let number = *by_key.entry(key).or_insert_with_key(|key| {
            circles.insert(Circle {
                key: key.clone(),
                group: Arc::new(Group::new(render())),
                members: Slab::new(),
            })
        });
        let circle = &mut circles[number];
        let entry = circle.members.vacant_entry();
        let place = Place::Job {
            job,
            circle: number,
            member: entry.key(),
        };
        let watch = mailbox.open_job(place, Arc::clone(&circle.group), after);
        entry.insert(Member {
            mailbox: Arc::clone(mailbox),
            watch,
        });
        watch
    }

    pub(super) fn forget(&self, job: JobId, circle: usize, member: usize) {
        let mut shard = self.shard(job).lock();
        let Some(room) = shard.get(&job) else { return };
        let mut held = room.lock();
        held.circles[circle].members.remove(member);
        if held.circles[circle].members.is_empty() {
            let circle = held.circles.remove(circle);
            held.by_key.remove(&circle.key);
        }
        if held.circles.is_empty() {
            drop(held);
            shard.remove(&job);
            if let Some(interest) = &self.interest {
                interest.left(Topic::Job(job));
            }
        }
    }

    /// Tells everyone who watches the job, and returns how many.
    pub(super) fn publish(&self, job: &Arc<Job>, wakes: &mut Wakes) -> usize {
        let room = self.shard(job.id).lock().get(&job.id).cloned();
        room.map_or(0, |room| {
            tell(&room, job, |member, telling| {
                member.mailbox.offer(member.watch, telling, wakes);
            })
        })
    }

    /// Gives everyone the job as the store has it.
    ///
    /// What a watcher was given was in the store before. A store that has an older version may have been read before that; one that has an
    /// older version than what was given before the *last* repair was set back. Repairs must not overlap.
    pub(super) fn repair(&self, job: &Arc<Job>, wakes: &mut Wakes) -> Repaired {
        let Some(room) = self.shard(job.id).lock().get(&job.id).cloned() else {
            return Repaired::default();
        };
        let proven = std::mem::take(&mut room.lock().ahead);
        let (mut found, mut ahead) = (Repaired::default(), Version::default());
        tell(&room, job, |member, telling| {
            let (mailbox, watch) = (&member.mailbox, member.watch);
            match mailbox.newest(watch).filter(|newest| *newest > job.version) {
                Some(newest) if newest <= proven => {
                    mailbox.set_back(watch, telling, wakes);
                    found.set_back += 1;
                }
                Some(newest) => ahead = ahead.max(newest),
                None => found.behind += usize::from(mailbox.offer(watch, telling, wakes)),
            }
        });
        if ahead > Version::default() {
            room.lock().ahead = ahead;
        }
        found
    }

    pub(super) fn watched(&self) -> Vec<JobId> {
        let ids = |shard: &Shard| shard.lock().keys().copied().collect::<Vec<_>>();
        self.shards.iter().flat_map(ids).collect()
    }
}

/// Walks all watchers of a room, each with what its group is told of the job; returns how many there are.
fn tell(room: &Mutex<Room>, job: &Arc<Job>, mut each: impl FnMut(&Member, &Arc<Telling>)) -> usize {
    let mut current: Option<(Arc<Group>, Arc<Telling>)> = None;
    walk_all(
        room,
        |room| &room.circles,
        |circle, member| {
            let telling = match &current {
                Some((group, telling)) if Arc::ptr_eq(group, &circle.group) => telling,
                _ => {
                    let telling = circle.group.telling(job);
                    &current.insert((Arc::clone(&circle.group), telling)).1
                }
            };
            each(member, telling);
        },
    )
}
