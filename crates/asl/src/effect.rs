//! What the driver must do. Effects are values; nothing here acts.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{HistoryEvent, Resource, Status, TaskId, TimerId};

/// A request that the driver runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Answer with this id.
    pub task: TaskId,
    /// The state.
    pub state: String,
    /// The top-level state that contains it.
    pub step: String,
    /// What to call.
    pub resource: Resource,
    /// The request, JSON.
    pub payload: Arc<str>,
    /// The callback token, for `.waitForTaskToken` and activities.
    pub token: Option<String>,
    /// 0 for the first try.
    pub attempt: u32,
    /// The role that the task asks for with `Credentials`.
    pub credentials: Option<String>,
}

/// An object, or a list of objects, that a distributed Map reads its items from.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadItems {
    /// Answer with this id: [`crate::Event::ItemsRead`] or [`crate::Event::TaskFailed`].
    pub task: TaskId,
    /// The Map state.
    pub state: String,
    /// The top-level state that contains it.
    pub step: String,
    /// `s3:getObject`: the answer is the object's text. `s3:listObjectsV2`: a JSON list of its objects.
    pub resource: Resource,
    /// JSON: `Bucket` and `Key`, or `Bucket` and `Prefix`.
    pub arguments: Arc<str>,
}

/// The results of a distributed Map, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteResults {
    /// Answer with this id: [`crate::Event::ResultsWritten`] or [`crate::Event::TaskFailed`].
    pub task: TaskId,
    /// The Map state.
    pub state: String,
    /// The top-level state that contains it.
    pub step: String,
    /// Where to: the bucket.
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
    /// A Wait, or a task that somebody outside answers by its token.
    Waiting { step: String, token: Option<String> },
    /// A task is running.
    Running { step: String },
    /// Iterations of a Map or branches of a Parallel.
    Items { step: String, done: u64, total: u64 },
    /// The state ended well, or its error was caught.
    Exited { step: String },
    /// The state failed and nothing caught it.
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
    /// Nobody waits for this task any more.
    CancelTask(TaskId),
    /// Send `TimerFired` at the time. For a timer that is set already the time is a new one.
    SetTimer(TimerId, Timestamp),
    /// Forget the timer.
    CancelTimer(TimerId),
    /// Tell the job.
    Step(StepChange),
    /// Nothing is to be done, but the event changed the execution: a journal keeps it.
    Changed,
    /// Send `Continue`: the bound of transitions per call was reached.
    Yield,
    /// The execution is over.
    End {
        status: Status,
        output: Option<Arc<str>>,
        error: Option<String>,
        cause: Option<String>,
    },
}
