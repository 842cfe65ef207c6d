//! Applies the workflow's events to jobs.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use job::change::{Source, StepUpdate};
use job::{Change, JobError, JobId, Time, Update};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Resolvers;
use super::sweep::{Sweeps, run_sweeps};
use crate::store::StoreError;
use crate::token::{first_attempt, hide};
use crate::workflow::{End, ExecutionEvent, ExecutionStatus, Listener};

/// Number of lanes. Events of one job are applied in order in one lane; lanes run concurrently.
const LANES: usize = 64;
/// Maximum number of events that wait in one lane. Further ones are dropped, and the job is
/// reconciled instead.
const LANE_EVENTS: usize = 1_024;
/// Delays before the tries to write an event that the store refused.
const WAITS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// Receives the events of executions and applies them to their jobs.
#[derive(Debug)]
pub struct ExecutionEvents {
    lanes: Vec<mpsc::Sender<ExecutionEvent>>,
    inlets: Mutex<Vec<mpsc::Receiver<ExecutionEvent>>>,
    hasher: RandomState,
    /// Executions with an event that was dropped.
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
    /// Applies events and sweeps until `stop`. Runs in tasks of `tracker`. Call it once.
    pub fn run(
        &self,
        resolvers: &Resolvers,
        sweeps: Sweeps,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) {
        for inlet in std::mem::take(&mut *self.inlets.lock()) {
            let (resolvers, missed) = (resolvers.clone(), Arc::clone(&self.missed));
            let lane = stop.child_token();
            tracker.spawn(async move {
                lane.run_until_cancelled(drain(resolvers, inlet, missed))
                    .await
            });
        }
        let (resolvers, missed, stop) = (resolvers.clone(), Arc::clone(&self.missed), stop.clone());
        tracker.spawn(async move {
            stop.run_until_cancelled(run_sweeps(resolvers, sweeps, missed))
                .await
        });
    }
}

async fn drain(
    resolvers: Resolvers,
    mut inlet: mpsc::Receiver<ExecutionEvent>,
    missed: Arc<Mutex<HashSet<String>>>,
) {
    let mut waiting = Vec::new();
    while inlet.recv_many(&mut waiting, LANE_EVENTS).await > 0 {
        // Events of one job that arrived meanwhile become one change: watchers would conflate them
        // anyway.
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

/// The change of a job that follows from events of one execution, in order.
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

/// Keeps of each step only the updates since it was entered last. Earlier entries belong to tries,
/// or attempts, that the job has already counted.
pub(super) fn keep_last_entries(so_far: &mut ExecutionEvent) {
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

/// How events are written.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// The execution does not belong to a job.
    NoJob,
    /// The events do not justify a version alone: many items are done within a moment, and are
    /// written together.
    Later,
    /// The job, its change, and the time.
    Change(JobId, Box<Change>, Time),
}

/// Appends `change` to `before`, as one change.
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

/// The attempt of the job that an event belongs to. An execution is started for one attempt, and
/// each redrive is another.
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

/// The message of a failed Lambda function, whose cause is a JSON object (`{"errorType",
/// "errorMessage", …}`). The execution's history has the whole cause.
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
pub(super) fn job_of(execution: &str) -> Option<JobId> {
    execution.get(..36)?.parse().ok()
}

impl Resolvers {
    pub(super) fn change_of(&self, event: &ExecutionEvent) -> Change {
        change_of(event, self.parts.settings.retention_millis)
    }

    pub(super) async fn apply_patiently(
        &self,
        id: JobId,
        change: Change,
        at: Time,
    ) -> Result<(), StoreError> {
        for wait in WAITS {
            match self.parts.store.apply(id, change.clone(), at).await {
                Err(StoreError::Unavailable { reason, .. }) => {
                    tracing::warn!(job_id = %id, reason, "the store did not take an execution's event; trying again");
                }
                // The job has expired or never existed.
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
    fn a_function_error_shows_its_message() {
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
    fn only_updates_of_items_are_delayed() {
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
