//! What happens to an execution: the driver journals these. Not the history that users see.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names one attempt of one task within its execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

/// Names one timer within its execution.
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
    /// Start running; the first event of every journal.
    Begin,
    /// Go on after [`crate::Effect::Yield`].
    Continue,
    /// A worker took the task; an activity's may give its name.
    TaskStarted {
        task: TaskId,
        worker: Option<String>,
    },
    /// The service accepted the request of a callback task.
    TaskSubmitted { task: TaskId, output: Arc<str> },
    /// The task's result, JSON.
    TaskSucceeded { task: TaskId, output: Arc<str> },
    /// The task's failure.
    TaskFailed {
        task: TaskId,
        error: String,
        cause: String,
    },
    /// The worker is alive.
    TaskHeartbeat { task: TaskId },
    /// An armed timer's deadline has come.
    TimerFired { timer: TimerId },
    /// A user stops the execution.
    Stop {
        error: Option<String>,
        cause: Option<String>,
    },
    /// The driver cannot go on with this execution.
    Abandon { error: String, cause: String },
    /// The text that [`crate::Effect::ReadItems`] asked for.
    ItemsRead { task: TaskId, body: Arc<str> },
    /// The files of [`crate::Effect::WriteResults`] are stored.
    ResultsWritten { task: TaskId },
    /// A user changes a map run that goes on; what is `None` stays. Failures so far count against the new bounds with the next one.
    MapRunUpdated {
        run: String,
        max_concurrency: Option<u64>,
        tolerated_failure_count: Option<u64>,
        tolerated_failure_percentage: Option<serde_json::Number>,
    },
    /// Go on from where the execution failed, timed out or was stopped; see [`crate::Execution::is_redrivable`].
    Redrive,
}
