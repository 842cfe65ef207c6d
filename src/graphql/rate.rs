//! Limits the rate at which one caller submits jobs: a token bucket for each caller. The limits of
//! one job are in `job::limits`.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Maximum number of jobs that one caller may submit in a second, by default (AppSync's request
/// tokens: 5,000 or 10,000).
pub const SUBMITS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10_000).expect("it is not zero");
/// Burst size in seconds: an idle caller may submit this many seconds' worth at once, and always
/// one whole `submitJobs`.
pub const BURST_SECONDS: f64 = 2.0;
/// Maximum number of callers that are remembered. A caller that was idle for [`BURST_SECONDS`]
/// needs no entry.
pub const CALLERS: usize = 10_000;

tokio::task_local! {
    /// Tokens that the current request took.
    static TAKEN: Cell<Taken>;
}

/// Tokens that a request took from its caller's bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    some: bool,
    /// Time until the refused jobs would be accepted.
    come_back: Option<Duration>,
}

/// Executes a request. The second value is the time after which the caller may try again, if all
/// its jobs were refused.
pub async fn noting<T>(request: impl Future<Output = T>) -> (T, Option<Duration>) {
    let noted = async {
        let answer = request.await;
        (answer, TAKEN.with(Cell::get))
    };
    let (answer, taken) = TAKEN.scope(Cell::default(), noted).await;
    (answer, taken.come_back.filter(|_| !taken.some))
}

fn note(change: impl FnOnce(&mut Taken)) {
    // Sockets have no status for this, and no scope.
    let _ = TAKEN.try_with(|taken| {
        let mut now = taken.get();
        change(&mut now);
        taken.set(now);
    });
}

/// The buckets of all callers.
#[derive(Debug)]
pub struct SubmitRate {
    per_second: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// A caller submits too fast.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "too many jobs at once: one caller may submit {per_second} a second, and {burst} after an idle time; try again in {seconds:.1} s"
)]
pub struct TooFast {
    per_second: f64,
    burst: f64,
    /// Time until there is room, in seconds with one decimal.
    seconds: f64,
}

impl TooFast {
    /// Time until there is room, in seconds.
    #[must_use]
    pub fn retry_after(&self) -> f64 {
        self.seconds
    }
}

impl Default for SubmitRate {
    fn default() -> Self {
        Self::new(SUBMITS_PER_SECOND)
    }
}

impl SubmitRate {
    /// A limit in jobs per second.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self {
            per_second: f64::from(per_second.get()),
            buckets: Mutex::default(),
        }
    }

    fn burst(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        (self.per_second * BURST_SECONDS).max(job::limits::BATCH as f64)
    }

    fn left(&self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.per_second).min(self.burst())
    }

    /// Removes the half of the callers that have the most tokens left. They gain the least by it,
    /// and a caller that has used up its rate remains limited, however many other names appear.
    fn forget_half(&self, buckets: &mut HashMap<String, Bucket>, now: Instant) {
        let left = |bucket: Bucket| self.left(bucket, now);
        let mut all: Vec<(String, Bucket)> = buckets.drain().collect();
        all.sort_unstable_by(|(_, a), (_, b)| left(*a).total_cmp(&left(*b)));
        all.truncate(CALLERS / 2);
        buckets.extend(all);
    }

    /// Counts `jobs` of a caller, all or none.
    ///
    /// # Errors
    /// [`TooFast`].
    pub fn take(&self, caller: &str, jobs: usize, now: Instant) -> Result<(), TooFast> {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let jobs = jobs as f64;
        let mut buckets = self.buckets.lock();
        let left = buckets
            .get(caller)
            .map_or(self.burst(), |bucket| self.left(*bucket, now));
        if jobs > left {
            let seconds = (10.0 * (jobs - left) / self.per_second).ceil() / 10.0;
            note(|taken| taken.come_back = Duration::try_from_secs_f64(seconds).ok());
            return Err(TooFast {
                per_second: self.per_second,
                burst: self.burst(),
                seconds,
            });
        }
        if buckets.len() >= CALLERS && !buckets.contains_key(caller) {
            buckets.retain(|_, bucket| self.left(*bucket, now) < self.burst());
            if buckets.len() >= CALLERS {
                self.forget_half(&mut buckets, now);
            }
        }
        note(|taken| taken.some = true);
        let left = left - jobs;
        match buckets.get_mut(caller) {
            Some(bucket) => *bucket = Bucket { left, at: now },
            None => {
                buckets.insert(caller.to_owned(), Bucket { left, at: now });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_caller_has_a_burst_and_then_the_rate() {
        let rate = SubmitRate::new(NonZeroU32::new(100).expect("not zero"));
        let start = Instant::now();
        for _ in 0..200 {
            assert_eq!(rate.take("ann", 1, start), Ok(()));
        }
        let error = rate.take("ann", 1, start).expect_err("the bucket is empty");
        assert_eq!(
            error.to_string(),
            "too many jobs at once: one caller may submit 100 a second, and 200 after an idle time; try again in 0.1 s"
        );
        assert_eq!(rate.take("bob", 200, start), Ok(()), "each has a bucket");
        let later = start + Duration::from_millis(100);
        assert!(rate.take("ann", 11, later).is_err(), "all or none");
        assert_eq!(rate.take("ann", 10, later), Ok(()));
        assert!(rate.take("ann", 1, later).is_err());
        // An idle time fills the bucket, and adds no more.
        let silence = later + Duration::from_secs(60);
        assert!(rate.take("ann", 201, silence).is_err());
        assert_eq!(rate.take("ann", 200, silence), Ok(()));
    }

    #[test]
    fn the_rate_remembers_at_most_its_limit_of_callers() {
        let rate = SubmitRate::new(NonZeroU32::new(100).expect("not zero"));
        let start = Instant::now();
        for caller in 0..CALLERS {
            assert_eq!(rate.take(&caller.to_string(), 1, start), Ok(()));
        }
        assert_eq!(rate.buckets.lock().len(), CALLERS);
        // All callers have been idle: their entries are free.
        let later = start + Duration::from_secs(1);
        assert_eq!(rate.take("ann", 1, later), Ok(()));
        assert_eq!(rate.buckets.lock().len(), 1);
        for caller in 0..CALLERS {
            assert_eq!(rate.take(&caller.to_string(), 1, later), Ok(()));
        }
        assert!(rate.buckets.lock().len() <= CALLERS);
    }

    #[tokio::test]
    async fn a_request_has_a_retry_time_if_all_its_jobs_were_refused() {
        let rate = SubmitRate::new(NonZeroU32::new(100).expect("not zero"));
        let now = Instant::now();
        let take = |jobs: usize| rate.take("a", jobs, now).is_ok();
        assert_eq!(noting(async { take(150) }).await, (true, None));
        let (taken, come_back) = noting(async { take(100) }).await;
        assert_eq!(
            (taken, come_back),
            (false, Some(Duration::from_millis(500)))
        );
        let both = noting(async { (take(50), take(1)) }).await;
        assert_eq!(both, ((true, false), None));
        assert!(!take(1), "without a request to note it");
    }

    #[test]
    fn a_flood_of_other_names_frees_no_caller_from_its_rate() {
        let rate = SubmitRate::new(NonZeroU32::new(100).expect("not zero"));
        let start = Instant::now();
        assert_eq!(rate.take("ann", 200, start), Ok(()));
        for caller in 0..CALLERS * 3 {
            assert_eq!(rate.take(&caller.to_string(), 1, start), Ok(()));
            assert!(rate.buckets.lock().len() <= CALLERS);
        }
        let error = rate.take("ann", 1, start).expect_err("it is remembered");
        assert!(error.retry_after() > 0.0);
    }
}
