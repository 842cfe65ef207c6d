//! One ordered set of deadlines for any number of waits, and the clock. A sleeping execution costs
//! an entry here, not a task. A deadline's key has no meaning here; the owner drives
//! [`Timers::next`].

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Maximum sleep before the clock is read again: the wall clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Maximum number of entries that are handed out at once.
const BATCH: usize = 1_024;

/// Deadlines (microseconds since the Unix epoch) with keys.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    state: Mutex<Deadlines<K>>,
    earlier: Notify,
}

#[derive(Debug)]
struct Deadlines<K> {
    set: BTreeSet<(i64, K)>,
    /// When the owner looks again by itself. A later deadline need not wake it, and most deadlines
    /// are cancelled before they are due.
    looks_at: i64,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Timers {
            state: Mutex::new(Deadlines {
                set: BTreeSet::new(),
                looks_at: i64::MIN,
            }),
            earlier: Notify::new(),
        }
    }

    pub(crate) fn set(&self, at: i64, key: K) {
        let too_late = {
            let mut state = self.state.lock();
            state.set.insert((at, key));
            at < state.looks_at
        };
        if too_late {
            self.earlier.notify_one();
        }
    }

    pub(crate) fn cancel(&self, at: i64, key: K) {
        self.state.lock().set.remove(&(at, key));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.state.lock().set.len()
    }

    /// Waits for the next deadline and takes what is due, at most [`BATCH`] entries.
    pub(crate) async fn next(&self) -> Vec<K> {
        loop {
            let earlier = self.earlier.notified();
            let now = now();
            let mut due = Vec::new();
            let sleep = {
                let mut state = self.state.lock();
                while due.len() < BATCH
                    && let Some((at, key)) = state.set.first().copied()
                    && at <= now
                {
                    state.set.pop_first();
                    due.push(key);
                }
                if !due.is_empty() {
                    // It looks again before it sleeps.
                    state.looks_at = i64::MIN;
                    return due;
                }
                let first = state.set.first().map(|first| first.0);
                let sleep = first.map_or(LONGEST_SLEEP, |at| {
                    Duration::from_micros(at.abs_diff(now)).min(LONGEST_SLEEP)
                });
                state.looks_at = now.saturating_add(micros_of(sleep));
                sleep
            };
            tokio::select! {
                () = earlier => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}

/// A duration in microseconds, small enough to be added to a time.
pub(crate) fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}

/// The time by the wall clock, in microseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    micros(Timestamp::now())
}

/// A time as the driver keeps it.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time of a number that the driver kept.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_earliest_deadline_is_due_first_and_a_cancelled_one_never() {
        let timers = Timers::new();
        let now = now();
        timers.set(now + 3_000, 'c');
        timers.set(now + 1_000, 'a');
        timers.set(now + 2_000, 'b');
        timers.cancel(now + 2_000, 'b');
        let mut seen = Vec::new();
        while seen.len() < 2 {
            seen.extend(timers.next().await);
        }
        assert_eq!(seen, ['a', 'c']);
        assert_eq!(timers.len(), 0);
    }

    #[tokio::test]
    async fn an_earlier_deadline_wakes_a_sleeper() {
        let timers = std::sync::Arc::new(Timers::new());
        timers.set(now() + 3_600_000_000, 1);
        let sleeper = tokio::spawn({
            let timers = timers.clone();
            async move { timers.next().await }
        });
        tokio::task::yield_now().await;
        timers.set(now() + 1_000, 2);
        let woken = tokio::time::timeout(Duration::from_secs(10), sleeper).await;
        assert_eq!(woken.unwrap().unwrap(), [2]);
    }
}
