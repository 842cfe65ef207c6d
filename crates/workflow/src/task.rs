//! The boundary between the driver and the code that does the work of a Task state.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use asl::{Event, TaskId};

/// Names one attempt of one task among all executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    pub(crate) execution: i64,
    pub(crate) task: TaskId,
}

/// A request that is durable and to be done now. After a crash the same request may come again.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// Names the attempt.
    pub key: TaskKey,
    /// The execution's name.
    pub execution: Arc<str>,
    /// The state machine's name.
    pub machine: Arc<str>,
    /// How often the execution was redriven.
    pub redrives: u32,
    /// What to do.
    pub task: asl::Task,
    /// It was asked for before a restart already, and may have been done then.
    pub again: bool,
}

/// Does the work of Task states. Called in the driver's own loop: it must not block.
pub trait TaskRunner: Send + Sync + fmt::Debug {
    /// Does the task and answers with `responder`, now or later. A dropped responder never answers:
    /// the task then ends by its timeout.
    fn run(&self, request: TaskRequest, responder: Responder);

    /// Reads the items of a distributed Map and answers with [`Responder::items_read`]. Without
    /// files there are none.
    fn read_items(&self, request: asl::ReadItems, responder: Responder) {
        responder.failed(
            "States.ItemReaderFailed",
            format!("no files can be read here: {}", request.arguments),
        );
    }

    /// Stores the results of a distributed Map and answers with [`Responder::results_written`].
    fn write_results(&self, request: asl::WriteResults, responder: Responder) {
        responder.failed(
            "States.ResultWriterFailed",
            format!("no files can be written here: bucket {}", request.bucket),
        );
    }

    /// The task is no longer waited for. It may still answer; that answer changes nothing.
    fn cancel(&self, key: TaskKey);
}

/// Takes what happens to tasks to the executions that wait for them.
pub(crate) trait TaskEvents: Any + Send + Sync + fmt::Debug {
    /// Hands the event to the execution with this id.
    fn post(self: Arc<Self>, execution: i64, event: Event);

    /// As [`TaskEvents::post`], but the event may be held briefly so that it can share a commit
    /// with the next one.
    fn post_soon(self: Arc<Self>, execution: i64, event: Event);
}

/// The way back to the execution that waits for a task.
#[derive(Clone, Debug)]
pub struct Responder {
    events: Weak<dyn TaskEvents>,
    key: TaskKey,
}

impl Responder {
    pub(crate) fn new(events: Weak<dyn TaskEvents>, key: TaskKey) -> Self {
        Self { events, key }
    }

    /// Where the answers go, for a task that needs more of it than the way back; `None` when it no
    /// longer exists.
    pub(crate) fn events(&self) -> Option<Arc<dyn TaskEvents>> {
        self.events.upgrade()
    }

    /// Which task this answers.
    #[must_use]
    pub fn key(&self) -> TaskKey {
        self.key
    }

    /// A worker took the task. The deadlines of a function's task count from here. The event is
    /// held briefly so that it can share a commit with the answer, which usually follows at once.
    pub fn started(&self, worker: Option<String>) {
        let task = self.key.task;
        if let Some(events) = self.events.upgrade() {
            events.post_soon(self.key.execution, Event::TaskStarted { task, worker });
        }
    }

    /// The service accepted the request of a callback task. The answer arrives by the token.
    pub fn submitted(&self, output: Arc<str>) {
        let task = self.key.task;
        self.post(Event::TaskSubmitted { task, output });
    }

    /// The task's result, JSON.
    pub fn succeeded(&self, output: Arc<str>) {
        let task = self.key.task;
        self.post(Event::TaskSucceeded { task, output });
    }

    /// The task's failure.
    pub fn failed(&self, error: impl Into<String>, cause: impl Into<String>) {
        let (task, error, cause) = (self.key.task, error.into(), cause.into());
        self.post(Event::TaskFailed { task, error, cause });
    }

    /// The text that [`TaskRunner::read_items`] was asked for.
    pub fn items_read(&self, body: Arc<str>) {
        let task = self.key.task;
        self.post(Event::ItemsRead { task, body });
    }

    /// The files of [`TaskRunner::write_results`] are stored.
    pub fn results_written(&self) {
        let task = self.key.task;
        self.post(Event::ResultsWritten { task });
    }

    fn post(&self, event: Event) {
        if let Some(events) = self.events.upgrade() {
            events.post(self.key.execution, event);
        }
    }
}
