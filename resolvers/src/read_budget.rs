//! The budget of reads: all nodes and functions of an account together call `GetExecutionHistory`
//! and `DescribeExecution` at most [`READS_PER_SECOND`] times a second. AWS allows 20 and 15 calls
//! a second for everything in an account and region, and the budget leaves the rest to others.
//!
//! The shared state is one number: the time of the next free slot. A process reserves a few slots
//! at a time, by a conditional update ([`Slots`]), and makes one call at the time of each slot.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;

/// Maximum number of reads of histories and descriptions in a second, of all nodes and functions
/// together.
pub const READS_PER_SECOND: u32 = 10;
/// Time between two slots, in milliseconds. It is longer than a share of a second, so that a call
/// that is a little late is not one too many in its second.
pub const SLOT_MILLIS: i64 = 1_000 / READS_PER_SECOND as i64 + 10;
/// Maximum number of slots that a process reserves at once.
pub const LEASE_SLOTS: u32 = 5;
/// Time after which a reserved slot that was not used is given up, in milliseconds.
const SLOT_LIFE_MILLIS: i64 = 200;
/// Maximum time for which slots are reserved in advance, in milliseconds. A later time comes from a
/// clock that is wrong, and is replaced.
pub const AHEAD_MILLIS: i64 = 60_000;

/// The shared list of slots.
#[async_trait]
pub trait Slots: Send + Sync + fmt::Debug {
    /// Reserves `count` slots in a row, none before `now`, and returns the time of the first. Times
    /// are in milliseconds since 1970.
    ///
    /// # Errors
    /// [`NoSlot`]: nothing was reserved.
    async fn reserve(&self, now: i64, count: u32) -> Result<i64, NoSlot>;
}

/// No slot can be reserved now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget of reads cannot be reached: {0}")]
pub struct NoSlot(
    /// The reason, without secrets.
    pub String,
);

/// The first of `count` slots and the time of the slot after them, if `free` is the next free one.
#[must_use]
pub fn reserved(free: Option<i64>, now: i64, count: u32) -> (i64, i64) {
    let free = free.filter(|free| *free <= now + AHEAD_MILLIS);
    let first = free.unwrap_or(now).max(now);
    (first, first + SLOT_MILLIS * i64::from(count))
}

/// The slots of a single process.
#[derive(Debug, Default)]
pub struct LocalSlots(Mutex<Option<i64>>);

#[async_trait]
impl Slots for LocalSlots {
    async fn reserve(&self, now: i64, count: u32) -> Result<i64, NoSlot> {
        let mut free = self.0.lock();
        let (first, next) = reserved(*free, now, count);
        *free = Some(next);
        Ok(first)
    }
}

/// The budget, as one process uses it.
#[derive(Debug)]
pub struct ReadBudget {
    slots: Arc<dyn Slots>,
    /// The reserved slots. The lock is fair: callers get their slots in the order of their calls.
    reserved: tokio::sync::Mutex<VecDeque<i64>>,
    /// Number of callers that wait for the lock.
    waiting: AtomicU32,
}

impl ReadBudget {
    /// The budget over these slots.
    #[must_use]
    pub fn new(slots: Arc<dyn Slots>) -> Self {
        Self {
            slots,
            reserved: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
        }
    }

    /// Waits for the next slot. The caller makes one read after it.
    ///
    /// # Errors
    /// [`NoSlot`].
    pub async fn take(&self) -> Result<(), NoSlot> {
        let slot = self.slot().await?;
        let wait = u64::try_from(slot - now_millis()).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Ok(())
    }

    async fn slot(&self) -> Result<i64, NoSlot> {
        let counted = Counted::new(&self.waiting);
        let mut slots = self.reserved.lock().await;
        let now = now_millis();
        while slots
            .front()
            .is_some_and(|slot| slot + SLOT_LIFE_MILLIS < now)
        {
            slots.pop_front();
        }
        if let Some(slot) = slots.pop_front() {
            return Ok(slot);
        }
        let count = counted.number().clamp(1, LEASE_SLOTS);
        let first = self.slots.reserve(now, count).await?;
        slots.extend((1..count).map(|place| first + SLOT_MILLIS * i64::from(place)));
        Ok(first)
    }
}

/// The time on this machine's clock, in milliseconds since 1970.
fn now_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Counts a caller while it waits.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn new(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }

    fn number(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_never_closer_than_the_rate_allows() {
        assert_eq!(reserved(None, 1_000, 1), (1_000, 1_110));
        assert_eq!(reserved(Some(1_110), 1_050, 5), (1_110, 1_660));
        assert_eq!(
            reserved(Some(500), 1_000, 2),
            (1_000, 1_220),
            "idle time is not saved up"
        );
    }

    #[test]
    fn a_time_far_ahead_is_replaced() {
        let ahead = 1_000 + AHEAD_MILLIS;
        assert_eq!(reserved(Some(ahead), 1_000, 1).0, ahead);
        assert_eq!(reserved(Some(ahead + 1), 1_000, 1).0, 1_000);
    }

    #[tokio::test]
    async fn two_processes_share_the_rate() {
        let slots: Arc<dyn Slots> = Arc::new(LocalSlots::default());
        let budgets = [(); 2].map(|()| ReadBudget::new(Arc::clone(&slots)));
        let mut taken = Vec::new();
        for turn in 0..40 {
            taken.push(budgets[turn % 2].slot().await.unwrap());
        }
        taken.sort_unstable();
        let close = taken.windows(2).filter(|two| two[1] - two[0] < SLOT_MILLIS);
        assert_eq!(close.count(), 0, "{taken:?}");
    }
}
