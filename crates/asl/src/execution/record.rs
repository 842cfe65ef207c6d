//! Writes the history: ids, previous events and the limit. The callers decide what an event says.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Execution;
use super::model::Thread;
use crate::definition::model::StateKind;
use crate::fault::Fault;
use crate::{Effect, HistoryEvent, Status, StepChange};

pub(super) type Details = Option<(&'static str, Value)>;

impl Execution {
    fn push_event(&mut self, previous: u64, kind: &str, details: Details) {
        self.last += 1;
        self.out.push(Effect::Record(HistoryEvent {
            id: self.last,
            previous_event_id: previous,
            timestamp: self.now,
            kind: kind.to_owned(),
            details,
        }));
    }

    /// Records an event. If only the end of the execution still fits into the history, ends it
    /// instead.
    pub(super) fn record_after(&mut self, previous: u64, kind: &str, details: Details) -> u64 {
        if self.status == Status::Running {
            let most = self.start.kind.max_history();
            if self.last + 1 >= most {
                self.end_after(
                    previous,
                    Status::Failed,
                    None,
                    Some("States.Runtime".to_owned()),
                    Some(format!(
                        "The execution reached the maximum number of history events ({most})."
                    )),
                );
            } else {
                self.push_event(previous, kind, details);
            }
        }
        self.last
    }

    /// Records an event of a thread. Events of a child execution are counted, not recorded.
    pub(super) fn record(&mut self, id: u64, kind: &str, details: impl FnOnce(&Thread) -> Details) {
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        if thread.child.is_some() {
            return;
        }
        let (previous, details) = (thread.previous, details(thread));
        let event = self.record_after(previous, kind, details);
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.previous = event;
        }
    }

    /// Records an event that the thread's next event does not follow.
    pub(super) fn record_aside(&mut self, id: u64, kind: &str, details: Details) {
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        if thread.child.is_none() {
            let previous = thread.previous;
            self.record_after(previous, kind, details);
        }
    }

    pub(super) fn record_end(
        &mut self,
        previous: u64,
        status: Status,
        output: Option<&Arc<str>>,
        error: Option<&String>,
        cause: Option<&String>,
    ) {
        let mut details = Map::new();
        if let Some(output) = output {
            details.insert("output".into(), json!(&**output));
            details.insert("outputDetails".into(), json!({"truncated": false}));
        }
        if let Some(error) = error {
            details.insert("error".into(), json!(error));
        }
        if let Some(cause) = cause {
            details.insert("cause".into(), json!(cause));
        }
        let (kind, field) = match status {
            Status::Succeeded => ("ExecutionSucceeded", "executionSucceededEventDetails"),
            Status::TimedOut => ("ExecutionTimedOut", "executionTimedOutEventDetails"),
            Status::Aborted => ("ExecutionAborted", "executionAbortedEventDetails"),
            _ => ("ExecutionFailed", "executionFailedEventDetails"),
        };
        self.push_event(previous, kind, Some((field, Value::Object(details))));
    }

    /// Reports the progress of a top-level state.
    pub(super) fn step(&mut self, id: u64, change: impl FnOnce(String) -> StepChange) {
        if self.status != Status::Running {
            return;
        }
        if let Some(thread) = self.threads.get(&id).filter(|t| t.parent.is_none()) {
            self.out.push(Effect::Step(change(thread.step.to_string())));
        }
    }
}

/// `error` and `cause` as events have them. Absent values are left out.
pub(super) fn fault_fields(fault: &Fault) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(error) = &fault.error {
        fields.insert("error".into(), json!(error));
    }
    if let Some(cause) = fault.cause.as_ref().filter(|c| !c.is_empty()) {
        fields.insert("cause".into(), json!(cause));
    }
    fields
}

/// The event of a state that was stopped from outside. Pass, Fail and Choice have none.
pub(super) fn aborted(kind: &StateKind) -> Option<&'static str> {
    Some(match kind {
        StateKind::Task(_) => "TaskStateAborted",
        StateKind::Wait(_) => "WaitStateAborted",
        StateKind::Parallel(_) => "ParallelStateAborted",
        StateKind::Map(_) => "MapStateAborted",
        _ => return None,
    })
}
