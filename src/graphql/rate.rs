//! How often one caller may submit: a token bucket for each. Says nothing of how much a job may ask for; the limits of a job are in `job::limits`.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Instant;

use parking_lot::Mutex;

/// Jobs that one caller may submit in a second when nothing else is configured (AppSync's request tokens: 5,000 or 10,000).
pub const SUBMITS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10_000).expect("it is not zero");
/// So many seconds' worth, and always one whole `submitJobs`, may be submitted at once by who was silent before.
pub const BURST_SECONDS: f64 = 2.0;
/// Callers who are remembered; who was silent for [`BURST_SECONDS`] needs no place.
pub const CALLERS: usize = 10_000;

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
    "too many jobs at once: one caller may submit {per_second} a second, and {burst} after a silence; come back in {seconds:.1} s"
)]
pub struct TooFast {
    per_second: f64,
    burst: f64,
    /// When there is room, in whole tenths.
    seconds: f64,
}

impl TooFast {
    /// When there is room, in seconds.
    pub fn retry_after(&self) -> f64 {
        self.seconds
    }
}

impl Default for SubmitRate {
    fn default() -> Self {
        SubmitRate::new(SUBMITS_PER_SECOND)
    }
}

impl SubmitRate {
    /// For so many jobs a second.
    pub fn new(per_second: NonZeroU32) -> SubmitRate {
        SubmitRate {
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

    /// Forgets the half that has most left: those gain the least by it, and who has used up its rate stays held back, however many names
    /// come.
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
            return Err(TooFast {
                per_second: self.per_second,
                burst: self.burst(),
                seconds: (10.0 * (jobs - left) / self.per_second).ceil() / 10.0,
            });
        }
        if buckets.len() >= CALLERS && !buckets.contains_key(caller) {
            buckets.retain(|_, bucket| self.left(*bucket, now) < self.burst());
            if buckets.len() >= CALLERS {
                self.forget_half(&mut buckets, now);
            }
        }
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = SubmitRate::new(NonZeroU32::new(100).expect("not zero"));
        let start = Instant::now();
        for _ in 0..200 {
            assert_eq!(rate.take("ann", 1, start), Ok(()));
        }
        let error = rate.take("ann", 1, start).expect_err("the bucket is empty");
        assert_eq!(
            error.to_string(),
            "too many jobs at once: one caller may submit 100 a second, and 200 after a silence; come back in 0.1 s"
        );
        assert_eq!(rate.take("bob", 200, start), Ok(()), "each has a bucket");
        let later = start + Duration::from_millis(100);
        assert!(rate.take("ann", 11, later).is_err(), "all or none");
        assert_eq!(rate.take("ann", 10, later), Ok(()));
        assert!(rate.take("ann", 1, later).is_err());
        // Silence fills the bucket, and no more than that.
        let silence = later + Duration::from_secs(60);
        assert!(rate.take("ann", 201, silence).is_err());
        assert_eq!(rate.take("ann", 200, silence), Ok(()));
    }

    #[test]
    fn callers_up_to_their_limit() {
        let rate = SubmitRate::new(NonZeroU32::new(100).expect("not zero"));
        let start = Instant::now();
        for caller in 0..CALLERS {
            assert_eq!(rate.take(&caller.to_string(), 1, start), Ok(()));
        }
        assert_eq!(rate.buckets.lock().len(), CALLERS);
        // All of them have been silent: their places are free.
        let later = start + Duration::from_secs(1);
        assert_eq!(rate.take("ann", 1, later), Ok(()));
        assert_eq!(rate.buckets.lock().len(), 1);
        for caller in 0..CALLERS {
            assert_eq!(rate.take(&caller.to_string(), 1, later), Ok(()));
        }
        assert!(rate.buckets.lock().len() <= CALLERS);
    }

    #[test]
    fn names_without_number_let_nobody_go_faster() {
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
