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
        let Room { circles, by_key } = &mut *room;
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
        self.tell(job, wakes, |_| {})
    }

    /// The same, and returns for how many it was new.
    pub(super) fn repair(&self, job: &Arc<Job>, wakes: &mut Wakes) -> usize {
        let mut behind = 0;
        self.tell(job, wakes, |new| behind += usize::from(new));
        behind
    }

    fn tell(&self, job: &Arc<Job>, wakes: &mut Wakes, mut offered: impl FnMut(bool)) -> usize {
        let Some(room) = self.shard(job.id).lock().get(&job.id).cloned() else {
            return 0;
        };
        let mut current: Option<(Arc<Group>, Arc<Telling>)> = None;
        walk_all(
            &room,
            |room| &room.circles,
            |circle, member| {
                let telling = match &current {
                    Some((group, telling)) if Arc::ptr_eq(group, &circle.group) => telling,
                    _ => {
                        let telling = circle.group.telling(job);
                        &current.insert((Arc::clone(&circle.group), telling)).1
                    }
                };
                offered(member.mailbox.offer(member.watch, telling, wakes));
            },
        )
    }

    pub(super) fn watched(&self) -> Vec<JobId> {
        let ids = |shard: &Shard| shard.lock().keys().copied().collect::<Vec<_>>();
        self.shards.iter().flat_map(ids).collect()
    }
}
