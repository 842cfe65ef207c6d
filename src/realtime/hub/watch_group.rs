//! The watches that share one payload group, walked in short steps so that a long fan-out does not
//! hold a lock.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use slab::Slab;

use super::mailbox::{Mailbox, WatchId};
use super::payload_group::{PayloadGroup, PayloadGroupKey};

/// Maximum number of watches that a publish visits under one hold of a lock.
pub(super) const STEP: usize = 256;

/// One watch, with the mailbox that it belongs to.
pub(super) struct Watcher {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) watch: WatchId,
}

/// All watches of one payload group.
pub(super) struct WatchGroup {
    pub(super) key: PayloadGroupKey,
    pub(super) payloads: Arc<PayloadGroup>,
    pub(super) watchers: Slab<Watcher>,
}

/// The position of a walk over several groups: the group, and the watcher in it.
#[derive(Clone, Copy, Default)]
struct Cursor {
    group: usize,
    watcher: usize,
}

impl WatchGroup {
    pub(super) fn new(key: PayloadGroupKey, payloads: PayloadGroup) -> Self {
        Self {
            key,
            payloads: Arc::new(payloads),
            watchers: Slab::new(),
        }
    }

    /// Visits watchers until `left` is used up. Returns `true` when all of them have been visited.
    ///
    /// A watcher that joins during the walk may be missed: it reads the store after it has joined.
    pub(super) fn walk(
        &self,
        from: &mut usize,
        left: &mut usize,
        visit: &mut impl FnMut(&Watcher),
    ) -> bool {
        while *from < self.watchers.capacity() {
            if *left == 0 {
                return false;
            }
            if let Some(watcher) = self.watchers.get(*from) {
                visit(watcher);
                *left -= 1;
            }
            *from += 1;
        }
        true
    }
}

/// Visits the watchers of all groups behind a lock, and releases the lock after each [`STEP`].
/// Returns how many watchers there were.
pub(super) fn walk_all<T>(
    lock: &Mutex<T>,
    groups: impl Fn(&T) -> &Slab<WatchGroup>,
    mut visit: impl FnMut(&WatchGroup, &Watcher),
) -> usize {
    let mut cursor = Cursor::default();
    let mut visited = 0;
    let mut held = lock.lock();
    loop {
        let mut left = STEP;
        while cursor.group < groups(&held).capacity() {
            if let Some(group) = groups(&held).get(cursor.group)
                && !group.walk(&mut cursor.watcher, &mut left, &mut |watcher| {
                    visited += 1;
                    visit(group, watcher);
                })
            {
                break;
            }
            cursor.group += 1;
            cursor.watcher = 0;
        }
        if left > 0 {
            return visited;
        }
        MutexGuard::bump(&mut held);
    }
}
