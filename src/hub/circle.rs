//! A circle: the watches of one group, walked in short steps so that nobody waits for a long fan-out.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use slab::Slab;

use super::group::{Group, GroupKey};
use super::mailbox::{Mailbox, WatchId};

/// Watches that a publish tells under one hold of a lock; then who waits for the lock gets it.
pub(super) const STEP: usize = 256;

/// A watch and whose it is.
pub(super) struct Member {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) watch: WatchId,
}

/// The watches of one group.
pub(super) struct Circle {
    pub(super) key: GroupKey,
    pub(super) group: Arc<Group>,
    pub(super) members: Slab<Member>,
}

/// Where a walk stands: circle, then member.
#[derive(Clone, Copy, Default)]
pub(super) struct Cursor {
    circle: usize,
    member: usize,
}

impl Circle {
    /// Tells members until the step's allowance is used up; `true` when all of them have been.
    ///
    /// Who joins during the walk need not be met: a new watch reads the store after it has joined.
    pub(super) fn walk(
        &self,
        from: &mut usize,
        left: &mut usize,
        tell: &mut impl FnMut(&Member),
    ) -> bool {
        while *from < self.members.capacity() {
            if *left == 0 {
                return false;
            }
            if let Some(member) = self.members.get(*from) {
                tell(member);
                *left -= 1;
            }
            *from += 1;
        }
        true
    }
}

/// Walks all circles behind a lock, letting it go after each [`STEP`]. `tell` is given the circle as well.
pub(super) fn walk_all<T>(
    lock: &Mutex<T>,
    circles: impl Fn(&T) -> &Slab<Circle>,
    mut tell: impl FnMut(&Circle, &Member),
) -> usize {
    let mut cursor = Cursor::default();
    let mut told = 0;
    let mut held = lock.lock();
    loop {
        let mut left = STEP;
        while cursor.circle < circles(&held).capacity() {
            if let Some(circle) = circles(&held).get(cursor.circle)
                && !circle.walk(&mut cursor.member, &mut left, &mut |member| {
                    told += 1;
                    tell(circle, member);
                })
            {
                break;
            }
            cursor.circle += 1;
            cursor.member = 0;
        }
        if left > 0 {
            return told;
        }
        MutexGuard::bump(&mut held);
    }
}
