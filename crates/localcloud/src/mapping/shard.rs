//! One shard of a stream under an event source mapping: which records the function receives when,
//! and what becomes of those that it does not take. Pure: time is an argument.
//!
//! A shard has as many lanes as its parallelization factor; the records of one partition key are
//! always in the same lane, and a lane runs one batch at a time. So each key stays in order.

use std::collections::VecDeque;
use std::time::Duration;

use super::answer::{Failures, failures};
use super::config::StreamPolicy;
use crate::record::StreamRecord;

/// Maximum bytes of the records of one batch: the payload of an invocation.
pub const BATCH_BYTES: usize = 6 * 1024 * 1024;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The function answered.
    Answered(Vec<u8>),
    /// The function failed.
    FunctionError,
    /// The function was not run: it is throttled or unknown. This is no attempt.
    NotInvoked,
}

/// Why records are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The maximum number of retries was used.
    RetryAttemptsExhausted,
    /// The records are older than the mapping allows.
    RecordAgeExceeded,
}

impl Condition {
    /// As the failure destination receives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Condition::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Condition::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// Records that are given up; the failure destination is to be notified.
#[derive(Clone, Debug, PartialEq)]
pub struct Discarded {
    /// Why.
    pub condition: Condition,
    /// The records, in order, at least one.
    pub records: Vec<StreamRecord>,
    /// How often the function was invoked with them, at least one.
    pub invocations: u32,
    /// Whether the last invocation ended with a function error.
    pub function_error: bool,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Invoke the function; [`Shard::ended`] takes the outcome.
    Invoke {
        /// The lane that waits for the outcome.
        lane: usize,
        /// The records.
        records: Vec<StreamRecord>,
    },
    /// Notify the failure destination, if there is one.
    Discard(Discarded),
    /// Nothing until this time, in milliseconds since the Unix epoch; `None`: until a record or an
    /// outcome comes.
    Wait(Option<i64>),
}

/// Records that go to the function together.
#[derive(Clone, Debug)]
struct Batch {
    records: Vec<StreamRecord>,
    /// Failed invocations that count as attempts.
    attempts: u32,
    invocations: u32,
    /// Refused invocations in a row.
    refusals: u32,
    not_before: i64,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    waiting: VecDeque<StreamRecord>,
    /// When the first of `waiting` came here.
    since: i64,
    /// What is to be tried again, in order, before all that waits.
    again: VecDeque<Batch>,
    running: Option<Batch>,
}

/// A shard under a mapping.
#[derive(Clone, Debug)]
pub struct Shard {
    policy: StreamPolicy,
    lanes: Vec<Lane>,
    discarded: VecDeque<Discarded>,
    /// The delay before the first retry; each further one is twice as long.
    retry: Duration,
}

/// The delay before the first retry of a batch. Recorded: eight invocations in a minute.
pub const RETRY_FIRST: Duration = Duration::from_millis(250);
/// How many times the first delay the longest one is.
const LONGEST_OF_FIRST: u32 = 240;
/// Maximum delay before a retry of a batch.
pub const RETRY_LONGEST: Duration = Duration::from_secs(60);

impl Shard {
    /// A shard without records. `retry` is the delay before the first retry, [`RETRY_FIRST`] on
    /// AWS.
    #[must_use]
    pub fn new(policy: StreamPolicy, retry: Duration) -> Self {
        let lanes = vec![Lane::default(); policy.parallelization];
        Shard {
            policy,
            lanes,
            discarded: VecDeque::new(),
            retry,
        }
    }

    /// Takes the next record of the shard. One that the filters leave out is gone.
    pub fn push(&mut self, record: StreamRecord, now: i64) {
        if !self.policy.filters.admit_record(&record) {
            return;
        }
        let count = self.lanes.len() as u64;
        let lane = &mut self.lanes[(hash(&record.partition_key) % count) as usize];
        if lane.waiting.is_empty() {
            lane.since = now;
        }
        lane.waiting.push_back(record);
    }

    /// The number of records that wait or run.
    #[must_use]
    pub fn pending(&self) -> usize {
        let of = |lane: &Lane| {
            let again = lane.again.iter().chain(&lane.running);
            lane.waiting.len() + again.map(|batch| batch.records.len()).sum::<usize>()
        };
        self.lanes.iter().map(of).sum()
    }

    /// What is to be done now.
    pub fn next(&mut self, now: i64) -> Next {
        let mut wake: Option<i64> = None;
        for at in 0..self.lanes.len() {
            if self.lanes[at].running.is_some() {
                continue;
            }
            self.expire(at, now);
            let ready = match self.lanes[at].again.front() {
                Some(batch) => Some(batch.not_before),
                None => self.ready_at(at),
            };
            match ready {
                Some(ready) if ready <= now => {
                    if let Some(discarded) = self.discarded.pop_front() {
                        return Next::Discard(discarded);
                    }
                    return self.invoke(at);
                }
                Some(ready) => wake = Some(wake.map_or(ready, |wake| wake.min(ready))),
                None => {}
            }
        }
        match self.discarded.pop_front() {
            Some(discarded) => Next::Discard(discarded),
            None => Next::Wait(wake),
        }
    }

    /// When the records that wait in a lane are a batch.
    fn ready_at(&self, at: usize) -> Option<i64> {
        let lane = &self.lanes[at];
        if lane.waiting.is_empty() {
            return None;
        }
        let full = lane.waiting.len() >= self.policy.batch_size;
        let bytes = || {
            lane.waiting
                .iter()
                .map(|record| record.bytes)
                .sum::<usize>()
        };
        if full || self.policy.window.is_zero() || bytes() >= BATCH_BYTES {
            return Some(lane.since);
        }
        Some(lane.since.saturating_add(millis(self.policy.window)))
    }

    fn invoke(&mut self, at: usize) -> Next {
        let lane = &mut self.lanes[at];
        let mut batch = lane.again.pop_front().unwrap_or_else(|| {
            let mut bytes = 0;
            let mut count = 0;
            for record in lane.waiting.iter().take(self.policy.batch_size) {
                bytes += record.bytes;
                if count > 0 && bytes > BATCH_BYTES {
                    break;
                }
                count += 1;
            }
            Batch {
                records: lane.waiting.drain(..count).collect(),
                attempts: 0,
                invocations: 0,
                refusals: 0,
                not_before: 0,
            }
        });
        batch.invocations += 1;
        let records = batch.records.clone();
        lane.running = Some(batch);
        Next::Invoke { lane: at, records }
    }

    /// Gives up what is older than the mapping allows: a retry that is due, and what waits.
    fn expire(&mut self, at: usize, now: i64) {
        let Some(oldest) = self.oldest(now) else {
            return;
        };
        let lane = &mut self.lanes[at];
        while let Some(batch) = lane.again.front_mut() {
            if batch.not_before > now {
                return;
            }
            let old = batch.records.iter().take_while(|one| one.arrived < oldest);
            let old = old.count();
            if old == 0 {
                return;
            }
            self.discarded.push_back(Discarded {
                condition: Condition::RecordAgeExceeded,
                records: batch.records.drain(..old).collect(),
                invocations: batch.invocations,
                function_error: false,
            });
            if !batch.records.is_empty() {
                return;
            }
            lane.again.pop_front();
        }
        let old = lane.waiting.iter().take_while(|one| one.arrived < oldest);
        let old = old.count();
        if old > 0 {
            self.discarded.push_back(Discarded {
                condition: Condition::RecordAgeExceeded,
                records: lane.waiting.drain(..old).collect(),
                // Recorded, although the function was not invoked.
                invocations: 1,
                function_error: false,
            });
            lane.since = now;
        }
    }

    /// The arrival before which a record is too old.
    fn oldest(&self, now: i64) -> Option<i64> {
        self.policy.record_age.map(|age| now - millis(age))
    }

    /// Takes the outcome of a lane's invocation.
    pub fn ended(&mut self, lane: usize, ended: &Ended, now: i64) {
        let Some(mut batch) = self.lanes[lane].running.take() else {
            return;
        };
        match ended {
            Ended::Answered(_) if !self.policy.report_failures => {}
            Ended::Answered(answer) => match failures(answer) {
                Failures::None => {}
                Failures::All => self.failed(lane, batch, false, now),
                Failures::Items(items) => self.reported(lane, batch, &items, now),
            },
            Ended::FunctionError if self.policy.bisect && batch.records.len() > 1 => {
                self.halve(lane, batch);
            }
            Ended::FunctionError => self.failed(lane, batch, true, now),
            Ended::NotInvoked => {
                batch.invocations -= 1;
                batch.refusals += 1;
                batch.not_before = now + self.delay(batch.refusals);
                self.lanes[lane].again.push_front(batch);
            }
        }
        let lane = &mut self.lanes[lane];
        if lane.again.is_empty() && !lane.waiting.is_empty() {
            lane.since = lane.since.max(now);
        }
    }

    /// A checkpoint: what is before the first reported record is done, the rest comes again.
    fn reported(&mut self, lane: usize, mut batch: Batch, items: &[String], now: i64) {
        let place = |item: &String| {
            let mut records = batch.records.iter();
            records.position(|record| record.sequence == *item)
        };
        // A number that is not in the batch fails all of it.
        let Some(places) = items.iter().map(place).collect::<Option<Vec<_>>>() else {
            return self.failed(lane, batch, false, now);
        };
        let first = places.into_iter().min().unwrap_or_default();
        if first == 0 {
            return match self.policy.bisect && batch.records.len() > 1 {
                true => self.halve(lane, batch),
                false => self.failed(lane, batch, false, now),
            };
        }
        batch.records.drain(..first);
        if self.policy.bisect {
            batch.not_before = now;
            self.lanes[lane].again.push_front(batch);
        } else {
            self.failed(lane, batch, false, now);
        }
    }

    /// Two batches instead of one, which is no attempt.
    fn halve(&mut self, lane: usize, mut batch: Batch) {
        let second = Batch {
            records: batch.records.split_off(batch.records.len() / 2),
            ..batch.clone()
        };
        let again = &mut self.lanes[lane].again;
        again.push_front(second);
        again.push_front(batch);
    }

    /// One more attempt failed: the batch comes again, or is given up.
    fn failed(&mut self, lane: usize, mut batch: Batch, function_error: bool, now: i64) {
        batch.attempts += 1;
        batch.refusals = 0;
        let last = batch.records.last().map(|record| record.arrived);
        let expired = self.oldest(now).is_some_and(|oldest| last < Some(oldest));
        let exhausted = self
            .policy
            .retries
            .is_some_and(|retries| batch.attempts > retries);
        if expired || exhausted {
            self.discarded.push_back(Discarded {
                condition: if expired {
                    Condition::RecordAgeExceeded
                } else {
                    Condition::RetryAttemptsExhausted
                },
                records: batch.records,
                invocations: batch.invocations,
                function_error,
            });
            return;
        }
        batch.not_before = now + self.delay(batch.attempts);
        self.lanes[lane].again.push_front(batch);
    }

    fn delay(&self, attempts: u32) -> i64 {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        // Where the first delay is shorter than on AWS, so is the longest one.
        let longest = self
            .retry
            .saturating_mul(LONGEST_OF_FIRST)
            .min(RETRY_LONGEST);
        millis(self.retry.saturating_mul(doubled).min(longest))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// FNV-1a: the same key is always in the same lane.
fn hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
