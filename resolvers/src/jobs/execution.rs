//! What the workflow tells, put into the rows; and the sweep that brings jobs and executions together when something was cut off between
//! them: a submit whose start was lost, an execution that ended while nobody listened.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use job::change::{Source, StepUpdate};
use job::filter::Condition;
use job::{Change, Filter, Job, JobError, JobId, Status, Time, Update};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Resolvers, now};
use crate::Error;
use crate::store::{ListQuery, Sort, StoreError};
use crate::token::{first_attempt, hide};
use crate::workflow::{End, ExecutionEvent, ExecutionStatus, Listener};

/// Events of one job are applied in order, those of different jobs side by side: so many at a time.
const LANES: usize = 64;
/// Events that wait in one lane. One more is not kept: the job is reconciled instead.
const LANE_EVENTS: usize = 1_024;
/// Waits between attempts to write an event that the store does not take.
const WAITS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// A queued job is started by the sweep when nobody else did so for this long, in milliseconds.
pub const START_AFTER_MILLIS: i64 = 2_000;
/// An open job is compared with its execution when it has not changed for this long, in milliseconds.
pub const RECONCILE_AFTER_MILLIS: i64 = 60_000;
/// How often the sweep looks for jobs that were not started.
const SWEEP: Duration = Duration::from_secs(2);
/// How often it looks at the other open jobs: a job may wait for days, and each look asks the workflow.
const SWEEP_OPEN: Duration = Duration::from_secs(60);

/// Which jobs a sweep looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Those that were not started for [`START_AFTER_MILLIS`].
    Queued,
    /// Also the open ones that have not changed for [`RECONCILE_AFTER_MILLIS`].
    Still,
    /// All open ones: after a start of the server.
    Open,
}

/// Takes the events of executions and applies them to their jobs.
#[derive(Debug)]
pub struct ExecutionEvents {
    lanes: Vec<mpsc::Sender<ExecutionEvent>>,
    inlets: Mutex<Vec<mpsc::Receiver<ExecutionEvent>>>,
    hasher: RandomState,
    /// Executions of which an event could not be kept.
    missed: Arc<Mutex<HashSet<String>>>,
}

impl Default for ExecutionEvents {
    fn default() -> Self {
        let (lanes, inlets) = (0..LANES).map(|_| mpsc::channel(LANE_EVENTS)).unzip();
        ExecutionEvents {
            lanes,
            inlets: Mutex::new(inlets),
            hasher: RandomState::new(),
            missed: Arc::default(),
        }
    }
}

impl Listener for ExecutionEvents {
    fn notify(&self, event: ExecutionEvent) {
        let lane = self.hasher.hash_one(&event.execution) as usize % self.lanes.len();
        if let Err(error) = self.lanes[lane].try_send(event) {
            let (mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) =
                error;
            self.missed.lock().insert(event.execution);
        }
    }
}

impl ExecutionEvents {
    /// Applies events and sweeps until `stop`. Runs in tasks of `tracker`; to be called once.
    pub fn run(&self, resolvers: &Resolvers, tracker: &TaskTracker, stop: &CancellationToken) {
        for inlet in std::mem::take(&mut *self.inlets.lock()) {
            let (resolvers, missed) = (resolvers.clone(), Arc::clone(&self.missed));
            let lane = stop.child_token();
            tracker.spawn(async move {
                lane.run_until_cancelled(drain(resolvers, inlet, missed))
                    .await
            });
        }
        let (resolvers, missed, stop) = (resolvers.clone(), Arc::clone(&self.missed), stop.clone());
        tracker.spawn(async move { stop.run_until_cancelled(sweep(resolvers, missed)).await });
    }
}

async fn drain(
    resolvers: Resolvers,
    mut inlet: mpsc::Receiver<ExecutionEvent>,
    missed: Arc<Mutex<HashSet<String>>>,
) {
    let mut waiting = Vec::new();
    while inlet.recv_many(&mut waiting, LANE_EVENTS).await > 0 {
        // What came in meanwhile for one job is one change: watchers would conflate it anyway.
        let mut changes: Vec<(JobId, Change, Time)> = Vec::new();
        let mut places = HashMap::new();
        for event in waiting.drain(..) {
            let Some(id) = job_of(&event.execution) else {
                continue;
            };
            match places.get(&event.execution) {
                Some(&place) => merge(&mut changes, place, &resolvers, &event),
                None => {
                    places.insert(event.execution.clone(), changes.len());
                    changes.push((id, resolvers.change_of(&event), event.at));
                }
            }
        }
        let applied = changes.into_iter().map(|(id, change, at)| {
            let (resolvers, missed) = (resolvers.clone(), Arc::clone(&missed));
            async move {
                let execution = change.source.as_ref().map(|source| source.execution.clone());
                if let Err(error) = resolvers.apply_patiently(id, change, at).await {
                    tracing::warn!(job_id = %id, %error, "an execution's event could not be written; the job will be reconciled");
                    missed.lock().extend(execution);
                }
            }
        });
        futures_util::future::join_all(applied).await;
    }
}

fn merge(
    changes: &mut [(JobId, Change, Time)],
    place: usize,
    resolvers: &Resolvers,
    event: &ExecutionEvent,
) {
    let (_, merged, at) = &mut changes[place];
    follow(merged, resolvers.change_of(event));
    *at = event.at;
}

/// What events of one execution, one after another, mean for its job.
pub(crate) fn change_of_all(
    events: impl IntoIterator<Item = ExecutionEvent>,
    retention_millis: Option<i64>,
) -> Recorded {
    let mut all: Option<(JobId, Change, Time)> = None;
    let mut urgent = false;
    for event in events {
        let Some(id) = job_of(&event.execution) else {
            return Recorded::NoJob;
        };
        urgent |= event.end.is_some()
            || event
                .steps
                .iter()
                .any(|(_, update)| !matches!(update, StepUpdate::Items { .. }));
        let change = change_of(&event, retention_millis);
        match &mut all {
            None => all = Some((id, change, event.at)),
            Some((_, merged, at)) => {
                follow(merged, change);
                *at = event.at;
            }
        }
    }
    match all {
        Some((id, change, at)) if urgent => Recorded::Change(id, Box::new(change), at),
        Some(_) => Recorded::Later,
        None => Recorded::NoJob,
    }
}

/// Leaves of each step only what it did since it was entered last: entries before that belong to tries, or attempts, that the job has
/// counted.
fn keep_last_entries(so_far: &mut ExecutionEvent) {
    let mut entered = HashSet::new();
    let mut kept: Vec<(String, StepUpdate)> = std::mem::take(&mut so_far.steps)
        .into_iter()
        .rev()
        .filter(|(name, update)| {
            let kept = !entered.contains(name);
            if *update == StepUpdate::Entered {
                entered.insert(name.clone());
            }
            kept
        })
        .collect();
    kept.reverse();
    so_far.steps = kept;
}

/// What is to be done with events while they are written.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// The execution is of no job.
    NoJob,
    /// Worth no version of its own: many items are done in a moment, and are told together.
    Later,
    /// What becomes of the job, and when.
    Change(JobId, Box<Change>, Time),
}

/// Lets `change` come after `before`, as one change.
fn follow(before: &mut Change, change: Change) {
    before.updates.extend(change.updates);
    before.source = change.source;
    before.result = change.result.or(before.result.take());
}

fn change_of(event: &ExecutionEvent, retention_millis: Option<i64>) -> Change {
    let mut updates = vec![Update::Start];
    updates.extend(event.steps.iter().map(|(name, update)| Update::Step {
        name: name.clone(),
        update: match update {
            StepUpdate::Failed(error) => {
                StepUpdate::Failed(JobError::new(&error.name, &hide(&readable(&error.message))))
            }
            other => other.clone(),
        },
    }));
    let mut result = None;
    if let Some(end) = &event.end {
        let (update, output) = ending_of(end);
        updates.extend(update);
        result = output;
    }
    Change {
        updates,
        source: Some(Source {
            execution: event.execution.clone(),
            position: event.position,
            attempt: attempt_of(event),
            so_far: false,
        }),
        result,
        retention_millis,
        ..Change::default()
    }
}

/// The attempt of the job that an event belongs to: an execution is started for one, and each redrive is another.
fn attempt_of(event: &ExecutionEvent) -> u32 {
    let first = first_attempt(&event.execution).map_or(0, |(_, attempt)| attempt);
    first.saturating_add(event.redrives)
}

fn ending_of(end: &End) -> (Option<Update>, Option<Arc<str>>) {
    let error = || {
        let name = end.error.as_deref().unwrap_or("Error");
        JobError::new(name, &hide(&readable(end.cause.as_deref().unwrap_or(""))))
    };
    match end.status {
        ExecutionStatus::Running => (None, None),
        ExecutionStatus::Succeeded => (Some(Update::Succeed), end.output.clone()),
        ExecutionStatus::Failed => (Some(Update::Fail(error())), None),
        ExecutionStatus::TimedOut => {
            let name = end.error.as_deref().unwrap_or("States.Timeout");
            let cause = end
                .cause
                .as_deref()
                .unwrap_or("the execution took longer than its definition allows");
            (
                Some(Update::TimeOut(JobError::new(
                    name,
                    &hide(&readable(cause)),
                ))),
                None,
            )
        }
        ExecutionStatus::Aborted => (Some(Update::Cancel(error())), None),
    }
}

/// The cause of a failed Lambda function is a JSON object (`{"errorType", "errorMessage", …}`); people want its message. The whole stands
/// in the execution's history.
fn readable(cause: &str) -> std::borrow::Cow<'_, str> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cause {
        error_message: String,
    }
    if !cause.starts_with('{') {
        return cause.into();
    }
    json::object::<Cause>(cause).map_or(cause.into(), |cause| cause.error_message.into())
}

/// Executions are named after their jobs: `ID` or `ID-ATTEMPT`.
fn job_of(execution: &str) -> Option<JobId> {
    execution.get(..36)?.parse().ok()
}

async fn sweep(resolvers: Resolvers, missed: Arc<Mutex<HashSet<String>>>) {
    let mut next = Sweep::Open;
    let mut looked = Instant::now();
    loop {
        let mended = std::mem::take(&mut *missed.lock());
        for execution in mended {
            if let Some(id) = job_of(&execution)
                && let Err(error) = resolvers.reconcile_id(id).await
            {
                tracing::warn!(job_id = %id, %error, "not reconciled; the next sweep tries again");
                missed.lock().insert(execution);
            }
        }
        match resolvers.sweep_once(next).await {
            Ok(()) => next = Sweep::Queued,
            Err(error) => tracing::warn!(%error, "the sweep was cut short; the next one goes on"),
        }
        tokio::time::sleep(SWEEP).await;
        if next == Sweep::Queued && looked.elapsed() >= SWEEP_OPEN {
            (next, looked) = (Sweep::Still, Instant::now());
        }
    }
}

impl Resolvers {
    /// Looks at jobs once: starts what was not started, and compares others with their executions.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was done is done.
    pub async fn sweep_once(&self, sweep: Sweep) -> Result<(), Error> {
        let statuses = match sweep {
            Sweep::Queued => vec![Status::Queued],
            Sweep::Still | Sweep::Open => {
                let open = Status::ALL.into_iter();
                open.filter(|status| !status.is_terminal()).collect()
            }
        };
        let mut query = ListQuery {
            filter: Filter {
                status: vec![Condition::In(statuses)],
                ..Filter::default()
            },
            sort: Sort::Oldest,
            limit: job::limits::LIST_PAGE,
            after: None,
        };
        loop {
            let page = self.parts.store.list(&query).await?;
            let now = now().as_millis();
            for job in page.jobs {
                let still = now - job.updated_at.as_millis();
                let patience = if job.status == Status::Queued {
                    START_AFTER_MILLIS
                } else {
                    RECONCILE_AFTER_MILLIS
                };
                if sweep == Sweep::Open || still >= patience {
                    self.reconcile(&job).await?;
                }
            }
            query.after = page.next;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    async fn reconcile_id(&self, id: JobId) -> Result<(), Error> {
        if let Some(job) = self.parts.store.get(id).await? {
            self.reconcile(&job).await?;
        }
        Ok(())
    }

    /// Brings a job up to what its execution knows; an execution that does not exist is started, or was lost.
    pub(super) async fn reconcile(&self, job: &Job) -> Result<Arc<Job>, Error> {
        let change = match self.parts.workflow.describe(&job.execution).await? {
            // It has done nothing since the retry: what should let it go on was cut off.
            Some(execution)
                if job.status == Status::Queued
                    && execution.status != ExecutionStatus::Running
                    && execution.so_far.position <= job.position =>
            {
                self.set_off(job).await?;
                return self.parts.store.get(job.id).await?.ok_or(Error::NotFound(job.id));
            }
            Some(mut execution) => {
                keep_last_entries(&mut execution.so_far);
                let mut change = self.change_of(&execution.so_far);
                if let Some(source) = &mut change.source {
                    source.so_far = true;
                }
                change
            }
            None if job.status == Status::Queued => {
                self.set_off(job).await?;
                return self.parts.store.get(job.id).await?.ok_or(Error::NotFound(job.id));
            }
            None if job.status.is_terminal() => Change::default(),
            None => self.ending(Update::Fail(JobError::new(
                "ExecutionDoesNotExist",
                "the workflow does not know the execution of this job any more; retry the job to run it again",
            ))),
        };
        Ok(Arc::clone(
            self.parts.store.apply(job.id, change, now()).await?.job(),
        ))
    }

    fn change_of(&self, event: &ExecutionEvent) -> Change {
        change_of(event, self.parts.settings.retention_millis)
    }

    async fn apply_patiently(&self, id: JobId, change: Change, at: Time) -> Result<(), StoreError> {
        for wait in WAITS {
            match self.parts.store.apply(id, change.clone(), at).await {
                Err(StoreError::Unavailable { reason, .. }) => {
                    tracing::warn!(job_id = %id, reason, "the store did not take an execution's event; trying again");
                }
                // A job that expired or was never there has nobody to tell.
                Ok(_) | Err(StoreError::NotFound(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(wait).await;
        }
        self.parts.store.apply(id, change, at).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_cause_is_shown_as_its_message() {
        for (cause, shown) in [
            ("plain", "plain"),
            (r#"{"errorType":"E","errorMessage":"cut off"}"#, "cut off"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("{broken", "{broken"),
        ] {
            assert_eq!(readable(cause), shown);
        }
    }

    #[test]
    fn only_items_wait_for_what_comes_next() {
        let event = |execution: &str, position, update: StepUpdate| ExecutionEvent {
            execution: execution.to_owned(),
            position,
            at: Time::from_millis(1),
            redrives: 0,
            steps: vec![("Each".to_owned(), update)],
            end: None,
        };
        let id = JobId::new(Time::from_millis(1), 1).to_string();
        let items = event(&id, 1, StepUpdate::Items { done: 1, total: 2 });
        let exited = event(&id, 2, StepUpdate::Exited);
        let later = change_of_all([items.clone()], None);
        assert!(matches!(later, Recorded::Later), "{later:?}");
        let both = change_of_all([items.clone(), exited], None);
        let Recorded::Change(_, change, _) = both else {
            panic!("{both:?}");
        };
        assert_eq!(change.source.map(|source| source.position), Some(2));
        assert_eq!(change.updates.len(), 4, "two steps, each after a start");
        let other = change_of_all([event("of-no-job", 1, StepUpdate::Exited)], None);
        assert!(matches!(other, Recorded::NoJob), "{other:?}");
    }
}
