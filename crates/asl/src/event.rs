//! The inputs of an execution, which its driver journals. They are not the history that users see.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The id of one attempt of one task within its execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

/// The id of one timer within its execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimerId(pub u64);

/// An input of [`crate::Execution::handle`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are the ids of effects and the answers of AWS's task callbacks"
)]
#[non_exhaustive]
pub enum Event {
    /// Start running. It is the first event of every journal.
    Begin,
    /// Continue after [`crate::Effect::Yield`].
    Continue,
    /// A worker took the task. A worker of an activity may give its name.
    TaskStarted {
        task: TaskId,
        worker: Option<String>,
    },
    /// The service accepted the request of a callback task.
    TaskSubmitted { task: TaskId, output: Arc<str> },
    /// The task's result, as JSON.
    TaskSucceeded { task: TaskId, output: Arc<str> },
    /// The task's failure.
    TaskFailed {
        task: TaskId,
        error: String,
        cause: String,
    },
    /// The worker is alive.
    TaskHeartbeat { task: TaskId },
    /// The deadline of an armed timer has passed.
    TimerFired { timer: TimerId },
    /// A user stops the execution.
    Stop {
        error: Option<String>,
        cause: Option<String>,
    },
    /// The driver cannot continue this execution.
    Abandon { error: String, cause: String },
    /// The text that [`crate::Effect::ReadItems`] requested.
    ItemsRead { task: TaskId, body: Arc<str> },
    /// The files of [`crate::Effect::WriteResults`] are stored.
    ResultsWritten { task: TaskId },
    /// A user changes a running map run. A field that is `None` keeps its value. Failures so far
    /// count against the new limits from the next failure on.
    MapRunUpdated {
        run: String,
        max_concurrency: Option<u64>,
        tolerated_failure_count: Option<u64>,
        tolerated_failure_percentage: Option<serde_json::Number>,
    },
    /// Continue where the execution failed, timed out or was stopped; see
    /// [`crate::Execution::is_redrivable`].
    Redrive,
}
