//! The change of a job that follows from the events of its execution.

use std::borrow::Cow;
use std::sync::Arc;

use job::change::{Source, StepUpdate};
use job::{Change, JobError, JobId, Time, Update};

use super::{End, ExecutionEvent, ExecutionStatus};
use crate::token::{first_attempt, hide};

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
pub(crate) fn follow(before: &mut Change, change: Change) {
    before.updates.extend(change.updates);
    before.source = change.source;
    before.result = change.result.or(before.result.take());
}

pub(crate) fn change_of(event: &ExecutionEvent, retention_millis: Option<i64>) -> Change {
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
fn readable(cause: &str) -> Cow<'_, str> {
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
pub(crate) fn job_of(execution: &str) -> Option<JobId> {
    execution.get(..36)?.parse().ok()
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
