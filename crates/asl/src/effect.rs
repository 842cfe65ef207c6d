//! The requests of an execution to its driver. Effects are values; nothing here acts.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{HistoryEvent, Resource, Status, TaskId, TimerId};

/// A request that the driver must run.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The id for the answer.
    pub task: TaskId,
    /// The state.
    pub state: String,
    /// The top-level state that contains it.
    pub step: String,
    /// The function or service to call.
    pub resource: Resource,
    /// The request, as JSON.
    pub payload: Arc<str>,
    /// The callback token, for `.waitForTaskToken` and activities.
    pub token: Option<String>,
    /// Number of the attempt, from 0.
    pub attempt: u32,
    /// The role that the task asks for with `Credentials`.
    pub credentials: Option<String>,
}

/// A request to read the items of a distributed Map from an object or a list of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadItems {
    /// The id for the answer: [`crate::Event::ItemsRead`] or [`crate::Event::TaskFailed`].
    pub task: TaskId,
    /// The Map state.
    pub state: String,
    /// The top-level state that contains it.
    pub step: String,
    /// `s3:getObject`: the answer is the object's text. `s3:listObjectsV2`: the answer is a JSON
    /// list of the objects.
    pub resource: Resource,
    /// `Bucket` and `Key`, or `Bucket` and `Prefix`, as JSON.
    pub arguments: Arc<str>,
}

/// A request to store the results of a distributed Map.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteResults {
    /// The id for the answer: [`crate::Event::ResultsWritten`] or [`crate::Event::TaskFailed`].
    pub task: TaskId,
    /// The Map state.
    pub state: String,
    /// The top-level state that contains it.
    pub step: String,
    /// The bucket to write to.
    pub bucket: String,
    /// The keys and JSON texts of the files, the manifest last.
    pub files: Vec<(String, Arc<str>)>,
}

/// Progress of a top-level state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "every `step` is a top-level state's name")]
#[non_exhaustive]
pub enum StepChange {
    /// The state was entered.
    Entered { step: String },
    /// An attempt failed and another follows.
    Retrying {
        step: String,
        attempt: u32,
        error: String,
    },
    /// The state is a Wait, or a task that a caller answers by its token.
    Waiting { step: String, token: Option<String> },
    /// A task is running.
    Running { step: String },
    /// Iterations of a Map or branches of a Parallel.
    Items { step: String, done: u64, total: u64 },
    /// The state succeeded, or its error was caught.
    Exited { step: String },
    /// The state failed and its error was not caught.
    Failed {
        step: String,
        error: String,
        cause: String,
    },
}

/// An output of [`crate::Execution::handle`].
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "the fields of `End` are those of DescribeExecution"
)]
#[non_exhaustive]
pub enum Effect {
    /// Append to the history.
    Record(HistoryEvent),
    /// Run a task.
    Schedule(Task),
    /// Read a distributed Map's items.
    ReadItems(ReadItems),
    /// Store a distributed Map's results.
    WriteResults(WriteResults),
    /// Cancel the task: its answer is no longer needed.
    CancelTask(TaskId),
    /// Send `TimerFired` at the time. If the timer is already set, this is its new time.
    SetTimer(TimerId, Timestamp),
    /// Cancel the timer.
    CancelTimer(TimerId),
    /// Report the progress of a top-level state.
    Step(StepChange),
    /// Nothing to do, but the event changed the execution, so a journal must keep it.
    Changed,
    /// Send `Continue`: the maximum number of transitions in one call was reached.
    Yield,
    /// The execution has ended.
    End {
        status: Status,
        output: Option<Arc<str>>,
        error: Option<String>,
        cause: Option<String>,
    },
}
