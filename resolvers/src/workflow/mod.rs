//! The port to what runs the chain of functions of a job: Step Functions, embedded or AWS's own.
//!
//! Executions are named after their jobs, so that starting one twice starts it once.

pub mod embedded;
#[cfg(feature = "aws")]
pub mod step_functions;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use job::change::StepUpdate;
use job::{StepKind, Time};

use crate::store::{CreateJob, Created, StoreError};

/// A job type: a state machine that may be submitted.
#[derive(Clone, Debug)]
pub struct JobType {
    /// Its name: the file name of its definition.
    pub name: String,
    /// What it does: the definition's `Comment`.
    pub description: Option<String>,
    /// The JSON Schema (2020-12) of its input, as JSON text.
    pub input_schema: Option<Arc<str>>,
    /// The definition, in Amazon States Language.
    pub definition: Arc<str>,
    /// The top-level states that do work, in order of a walk from `StartAt`.
    pub steps: Vec<(String, StepKind)>,
}

/// What `start` came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// The execution is new and durable.
    New,
    /// An execution of this name exists, open or closed.
    Already,
}

/// How an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// Open.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Took longer than its definition allows.
    TimedOut,
    /// Stopped.
    Aborted,
}

/// The end of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ended; not [`ExecutionStatus::Running`].
    pub status: ExecutionStatus,
    /// The output, as JSON text, when it succeeded.
    pub output: Option<Arc<str>>,
    /// The error's name, when it did not.
    pub error: Option<String>,
    /// The error's cause.
    pub cause: Option<String>,
}

/// What happened in an execution, after it became durable. Delivered at least once; positions rise from event to event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionEvent {
    /// The name of the execution.
    pub execution: String,
    /// The id of its last history event so far.
    pub position: u64,
    /// When.
    pub at: Time,
    /// How often it was redriven by then: each redrive is an attempt of its job. 0 also where that is not known.
    pub redrives: u32,
    /// What its top-level states did, in order.
    pub steps: Vec<(String, StepUpdate)>,
    /// Its end, if this was it.
    pub end: Option<End>,
}

/// An execution, as it is now.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: ExecutionStatus,
    /// Whether [`Workflow::redrive`] is worth a try: it has ended, and not well, and nothing is known that forbids it.
    pub is_redrivable: bool,
    /// All that happened, as one event: applied to a job, it brings the job up to date.
    pub so_far: ExecutionEvent,
}

/// One page of an execution's history.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// The events, as AWS's `GetExecutionHistory` shows them, oldest first.
    pub events: Vec<serde_json::Value>,
    /// The id of the last event, when more follow.
    pub next: Option<u64>,
}

/// Where an adapter puts the events of its executions. It must not block for long: it is called in the engine's own loop.
pub trait Listener: Send + Sync + fmt::Debug {
    /// Takes an event. One that cannot be taken is found again when the job is reconciled with its execution.
    fn notify(&self, event: ExecutionEvent);
}

/// Step Functions.
#[async_trait]
pub trait Workflow: Send + Sync + fmt::Debug {
    /// The job types that can be started, by name.
    fn job_types(&self) -> Vec<Arc<JobType>>;

    /// The job type with this name.
    fn job_type(&self, name: &str) -> Option<Arc<JobType>>;

    /// Starts an execution. When it returns, the execution is durable.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn start(
        &self,
        job_type: &str,
        name: &str,
        input: Arc<str>,
    ) -> Result<Started, WorkflowError>;

    /// Creates a job and starts its execution in one commit, where executions and jobs are in one database; a repeat starts nothing.
    /// `None`: nothing was done, and both are to be done one after the other.
    async fn create_and_start(
        &self,
        _new: &CreateJob,
        _input: &Arc<str>,
    ) -> Option<Result<Created, StoreError>> {
        None
    }

    /// Stops an execution. One that is closed already is left alone.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn stop(&self, name: &str, error: &str, cause: &str) -> Result<(), WorkflowError>;

    /// Goes on at the state that failed, was stopped or timed out.
    ///
    /// # Errors
    /// [`WorkflowError::NotRedrivable`] when it can only be started anew.
    async fn redrive(&self, name: &str) -> Result<(), WorkflowError>;

    /// Whether the tasks of a redriven execution get its first input unchanged, and with it the report token of the attempt that it
    /// was started for. Elsewhere each attempt has a token of its own.
    fn keeps_first_token(&self) -> bool {
        false
    }

    /// The execution as it is now.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`].
    async fn describe(&self, name: &str) -> Result<Option<Execution>, WorkflowError>;

    /// One page of the history after the event with the id `after`, at most `limit` events.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn history(
        &self,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, WorkflowError>;

    /// The token of the task that waits in the top-level state `step`.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn waiting_token(&self, name: &str, step: &str) -> Result<Option<String>, WorkflowError>;

    /// Answers a waiting task with its output, as JSON text.
    ///
    /// # Errors
    /// [`WorkflowError::NoSuchTask`] when nothing waits for this token (any more).
    async fn task_success(&self, token: &str, output: Arc<str>) -> Result<(), WorkflowError>;

    /// Answers a waiting task with an error.
    ///
    /// # Errors
    /// [`WorkflowError::NoSuchTask`] when nothing waits for this token (any more).
    async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError>;
}

/// What can go wrong with a workflow.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// No state machine has this name.
    #[error("there is no job type `{0}`")]
    UnknownType(String),
    /// No execution has this name.
    #[error("there is no execution `{0}`")]
    UnknownExecution(String),
    /// The execution cannot go on where it stopped.
    #[error("execution `{name}` cannot be redriven: {reason}")]
    NotRedrivable {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Nothing waits for the token.
    #[error(
        "no task waits for this token: it was answered before, it timed out, or its execution ended"
    )]
    NoSuchTask,
    /// The workflow did not do it. It may work later.
    #[error("the workflow engine is not available: {reason}")]
    Unavailable {
        /// What is wrong, without secrets.
        reason: String,
        /// The cause, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
