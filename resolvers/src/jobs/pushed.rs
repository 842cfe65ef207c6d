//! Applies events of executions that AWS pushes: log entries and changes of status. Each call reads
//! the job's row, and applies what follows its position without a gap.
//!
//! What cannot be applied yet waits in this process, for at most [`GAP`]: the missing entries may
//! come in another call, here or in another process, which shows in the row. Then the history is
//! read once, from the account's budget. The sweep finds the rest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use job::Job;
use job::change::Refused;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Resolvers;
use crate::Error;
use crate::store::StoreError;
use crate::workflow::ExecutionEvent;
use crate::workflow::change::job_of;
use crate::workflow::step_functions::pushed::{
    Followed, Lack, LogEntry, Pushed, StatusChange, follow, success,
};

/// Time allowed for missing entries to arrive before the history is read.
pub const GAP: Duration = Duration::from_secs(2);
/// Interval at which the row is read again while entries are missing.
const GAP_LOOK: Duration = Duration::from_millis(500);
/// Maximum number of entries that wait in one process. Beyond it all are dropped, and histories are
/// read instead.
const WAITING_ENTRIES: usize = 100_000;
/// Maximum number of executions whose events are applied at once.
const AT_ONCE: usize = 32;
/// Maximum number of tries of a change that loses races.
const RACES: u32 = 16;

/// The result of applying pushed events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppliedPushes {
    /// Number of jobs that changed.
    pub changed: usize,
    /// Number of histories and descriptions that were read.
    pub reads: usize,
    /// Number of jobs that are left to the sweep; each is in the log.
    pub left: usize,
}

/// The events that could not be applied yet, by execution.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    executions: Mutex<HashMap<String, Received>>,
    arrived: Notify,
}

#[derive(Clone, Debug, Default)]
struct Received {
    entries: BTreeMap<u64, LogEntry>,
    status: Option<StatusChange>,
}

impl Waiting {
    /// Adds events, and returns the executions that they belong to.
    fn add(&self, pushed: Vec<Pushed>) -> Vec<String> {
        let mut executions = self.executions.lock();
        let waiting: usize = executions.values().map(|one| one.entries.len()).sum();
        if waiting > WAITING_ENTRIES {
            tracing::warn!(
                waiting,
                "too many log entries wait for others; histories are read instead"
            );
            executions.clear();
        }
        let mut names = std::collections::BTreeSet::new();
        for one in pushed {
            names.insert(one.execution().to_owned());
            let received = executions.entry(one.execution().to_owned()).or_default();
            match one {
                Pushed::Entry(entry) => {
                    received.entries.insert(entry.id, entry);
                }
                Pushed::Status(status) => {
                    let known = received.status.as_ref();
                    // A later redrive replaces an end, and an end the beginning before it.
                    let newer = known.is_none_or(|known| {
                        (known.redrives, known.end.is_some())
                            <= (status.redrives, status.end.is_some())
                    });
                    if newer {
                        received.status = Some(status);
                    }
                }
            }
        }
        drop(executions);
        self.arrived.notify_waiters();
        names.into_iter().collect()
    }

    /// The events of an execution that its job does not show yet.
    fn of(&self, name: &str, position: u64) -> Received {
        let mut executions = self.executions.lock();
        let Some(received) = executions.get_mut(name) else {
            return Received::default();
        };
        received.entries = received.entries.split_off(&(position.saturating_add(1)));
        received.clone()
    }

    fn forget(&self, name: &str) {
        self.executions.lock().remove(name);
    }

    /// Drops an execution without waiting events.
    fn forget_if_empty(&self, name: &str, position: u64) {
        let received = self.of(name, position);
        let is_end = received.status.is_some_and(|status| status.end.is_some());
        if received.entries.is_empty() && !is_end {
            self.forget(name);
        }
    }
}

/// The progress of one call for one execution.
#[derive(Debug, Default)]
struct Try {
    changed: bool,
    reads: usize,
    since: Option<Instant>,
}

impl Resolvers {
    /// Applies pushed events of executions to their jobs. Repeats, and events of executions that
    /// belong to no job, change nothing. It returns when each job is up to date or was left to the
    /// sweep, after at most [`GAP`] and one read for each job with missing entries.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the store did not answer. The caller repeats the whole call.
    pub async fn apply_pushed(&self, pushed: Vec<Pushed>) -> Result<AppliedPushes, Error> {
        let names = self.parts.pushed.add(pushed);
        let each = names.into_iter().map(|name| self.follow_pushed(name));
        let mut each = futures_util::stream::iter(each).buffer_unordered(AT_ONCE);
        let (mut all, mut failed) = (AppliedPushes::default(), None);
        while let Some(outcome) = each.next().await {
            match outcome {
                Ok((one, is_left)) => {
                    all.changed += usize::from(one.changed);
                    all.reads += one.reads;
                    all.left += usize::from(is_left);
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(all),
        }
    }

    /// Applies the events of one execution. Returns whether some are left to the sweep.
    async fn follow_pushed(&self, name: String) -> Result<(Try, bool), Error> {
        let (mut turn, waiting) = (Try::default(), &self.parts.pushed);
        let mut races = 0;
        loop {
            let job = match job_of(&name) {
                Some(id) => self.parts.store.get(id).await?,
                None => None,
            };
            let Some(job) = job.filter(|job| job.execution == name) else {
                waiting.forget(&name);
                return Ok((turn, false));
            };
            let arrived = waiting.arrived.notified();
            let received = waiting.of(&name, job.position);
            let followed = self.followed(&job, &received);
            let mut job = job;
            if let Some(event) = &followed.event
                && event.position > job.position
            {
                match self.apply_once(&job, event).await {
                    Ok(now) => {
                        turn.changed |= now.version > job.version;
                        job = now;
                    }
                    // A function reported meanwhile, or another process was faster.
                    Err(StoreError::Refused(Refused::Version { .. })) if races < RACES => {
                        races += 1;
                        continue;
                    }
                    Err(StoreError::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if followed
                .event
                .as_ref()
                .is_some_and(|event| event.end.is_some())
            {
                // The entries of a redrive may follow.
                continue;
            }
            if followed.lacks == Lack::Nothing {
                self.tidy(&name, &job, &followed);
                return Ok((turn, false));
            }
            let since = *turn.since.get_or_insert_with(Instant::now);
            if followed.lacks == Lack::Entries && since.elapsed() < GAP {
                let look = GAP_LOOK.min(GAP.saturating_sub(since.elapsed()));
                // The time is a poll of the row; an entry may arrive before it.
                let _ = tokio::time::timeout(look, arrived).await;
                continue;
            }
            let read = self.read_pushed(&job, &received, followed.lacks).await;
            turn.reads += 1;
            return match read {
                Ok(changed) => {
                    turn.changed |= changed;
                    waiting.forget(&name);
                    Ok((turn, false))
                }
                Err(error) => {
                    tracing::warn!(execution = %name, %error, "log entries are missing and the history cannot be read; the sweep reconciles the job");
                    Ok((turn, true))
                }
            };
        }
    }

    fn followed(&self, job: &Job, received: &Received) -> Followed {
        let job_type = self.parts.workflow.job_type(&job.job_type);
        let definition = job_type.as_ref().map_or("{}", |one| &*one.definition);
        follow(definition, job, &received.entries, received.status.as_ref())
    }

    /// Keeps only what a later call needs.
    fn tidy(&self, name: &str, job: &Job, followed: &Followed) {
        let event = followed.event.as_ref();
        if job.status.is_terminal() || event.is_some_and(|event| event.end.is_some()) {
            self.parts.pushed.forget(name);
        } else {
            // Entries that show nothing are not in the row, and are needed to see that there is no
            // gap.
            self.parts.pushed.forget_if_empty(name, job.position);
        }
    }

    /// Applies an event to the job that it was derived from.
    async fn apply_once(&self, job: &Job, event: &ExecutionEvent) -> Result<Arc<Job>, StoreError> {
        let mut change = self.change_of(event);
        change.expected = Some(job.version);
        let outcome = self.parts.store.apply(job.id, change, event.at).await?;
        Ok(Arc::clone(outcome.job()))
    }

    /// Reads what is missing. Returns whether the job changed.
    async fn read_pushed(
        &self,
        job: &Job,
        received: &Received,
        lacks: Lack,
    ) -> Result<bool, Error> {
        let workflow = &self.parts.workflow;
        let (job_type, name) = (&job.job_type, &job.execution);
        let events = match (lacks, &received.status) {
            (Lack::Output, Some(status)) => {
                let end = workflow.end(job_type, name).await?;
                end.map(|end| success(job, status, end))
                    .into_iter()
                    .collect()
            }
            _ => workflow.events_after(job_type, name, job.position).await?,
        };
        let mut job = Arc::new(job.clone());
        let first = job.version;
        for event in events {
            job = self.apply_read(job, &event).await?;
        }
        Ok(job.version > first)
    }

    /// Applies an event that was read after the job's position. If another process has applied
    /// events meanwhile, nothing changes, and the sweep compares what is left.
    async fn apply_read(
        &self,
        mut job: Arc<Job>,
        event: &ExecutionEvent,
    ) -> Result<Arc<Job>, Error> {
        for _ in 0..RACES {
            match self.apply_once(&job, event).await {
                Err(StoreError::Refused(Refused::Version { .. })) => {}
                Err(error) => return Err(error.into()),
                Ok(changed) => return Ok(changed),
            }
            let newer = self.parts.store.get(job.id).await?;
            let newer = newer.ok_or(Error::NotFound(job.id))?;
            if newer.position != job.position {
                return Ok(newer);
            }
            job = newer;
        }
        Ok(job)
    }
}
