//! The port to the service that runs a job's chain of functions: Step Functions, embedded or on
//! AWS.
//!
//! Executions are named after their jobs, so a repeated start has no effect.

pub(crate) mod change;
pub mod embedded;
pub mod recorder;
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
    /// Its description: the definition's `Comment`.
    pub description: Option<String>,
    /// The JSON Schema (2020-12) of its input, as JSON text.
    pub input_schema: Option<Arc<str>>,
    /// The definition, in Amazon States Language.
    pub definition: Arc<str>,
    /// The top-level states that do work, in order of a walk from `StartAt`.
    pub steps: Vec<(String, StepKind)>,
}

/// The result of `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// The execution is new and durable.
    New,
    /// An execution of this name exists, open or closed.
    Already,
}

/// The status of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// Open.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It took longer than its definition allows.
    TimedOut,
    /// It was stopped.
    Aborted,
}

/// The end of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The final status; not [`ExecutionStatus::Running`].
    pub status: ExecutionStatus,
    /// The output, as JSON text, if it succeeded.
    pub output: Option<Arc<str>>,
    /// The error's name, if it failed.
    pub error: Option<String>,
    /// The error's cause.
    pub cause: Option<String>,
}

/// An event of an execution, after it became durable. Delivered at least once; positions rise from
/// event to event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionEvent {
    /// The name of the execution.
    pub execution: String,
    /// The id of its last history event so far.
    pub position: u64,
    /// The time of the event.
    pub at: Time,
    /// Number of redrives so far; each redrive is an attempt of the job. Also 0 if unknown.
    pub redrives: u32,
    /// The updates of its top-level states, in order.
    pub steps: Vec<(String, StepUpdate)>,
    /// The end of the execution, if this is it.
    pub end: Option<End>,
}

/// The current state of an execution.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: ExecutionStatus,
    /// Whether [`Workflow::redrive`] may succeed: the execution has ended without success, and no
    /// known reason forbids it.
    pub is_redrivable: bool,
    /// Everything that happened so far, as one event. Applied to a job, it brings the job up to
    /// date.
    pub so_far: ExecutionEvent,
}

/// One page of an execution's history.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// The events, as AWS's `GetExecutionHistory` shows them, oldest first.
    pub events: Vec<serde_json::Value>,
    /// The id of the last event, if more follow.
    pub next: Option<u64>,
}

/// The position of a job whose pushed events were applied to the end of a successful execution,
/// without its output. It is above all ids of a history (AWS: at most 25,000 events). An execution
/// that succeeded is never redriven, so its exact position is not needed.
pub const LOG_COMPLETE: u64 = 1 << 52;

/// The receiver of the events of executions. It must not block for long: the engine calls it in its
/// own loop.
pub trait Listener: Send + Sync + fmt::Debug {
    /// Receives an event. An event that cannot be kept is found again when the job is reconciled
    /// with its execution.
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

    /// Creates a job and starts its execution in one commit, if executions and jobs are in one
    /// database. A repeat starts nothing. `None`: nothing was done, and the caller must create and
    /// start one after the other.
    async fn create_and_start(
        &self,
        _new: &CreateJob,
        _input: &Arc<str>,
    ) -> Option<Result<Created, StoreError>> {
        None
    }

    /// Stops an execution of this job type. A closed execution is not changed.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn stop(
        &self,
        job_type: &str,
        name: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError>;

    /// Continues at the state that failed, was stopped or timed out.
    ///
    /// # Errors
    /// [`WorkflowError::NotRedrivable`] if a new execution is needed.
    async fn redrive(&self, job_type: &str, name: &str) -> Result<(), WorkflowError>;

    /// Whether the tasks of a redriven execution get its first input unchanged, with the report
    /// token of the attempt for which it was started. Otherwise each attempt has its own token.
    fn keeps_first_token(&self) -> bool {
        false
    }

    /// Whether reads of executions have a quota, so that a start is tried before the execution is
    /// read.
    fn reads_are_limited(&self) -> bool {
        false
    }

    /// Maximum size of an execution's input in bytes, if the workflow has one.
    fn input_limit(&self) -> Option<usize> {
        None
    }

    /// The current state of the execution.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`].
    async fn describe(
        &self,
        job_type: &str,
        name: &str,
    ) -> Result<Option<Execution>, WorkflowError>;

    /// Everything that happened to an execution, as one event. Cheaper than [`Self::describe`]
    /// where histories are read over a network. `None` if there is no such execution.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`].
    async fn so_far(
        &self,
        job_type: &str,
        name: &str,
    ) -> Result<Option<ExecutionEvent>, WorkflowError> {
        let described = self.describe(job_type, name).await?;
        Ok(described.map(|execution| execution.so_far))
    }

    /// What happened to an execution after the event at `position`: one event for each attempt.
    /// Empty if nothing did, or if the workflow cannot tell it apart from what was before.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`].
    async fn events_after(
        &self,
        _job_type: &str,
        _name: &str,
        _position: u64,
    ) -> Result<Vec<ExecutionEvent>, WorkflowError> {
        Ok(Vec::new())
    }

    /// The end of an execution, if it has ended.
    ///
    /// # Errors
    /// [`WorkflowError::Unavailable`].
    async fn end(&self, job_type: &str, name: &str) -> Result<Option<End>, WorkflowError> {
        let described = self.describe(job_type, name).await?;
        Ok(described.and_then(|execution| execution.so_far.end))
    }

    /// One page of the history after the event with the id `after`, at most `limit` events.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn history(
        &self,
        job_type: &str,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, WorkflowError>;

    /// The token of the task that waits in the top-level state `step`.
    ///
    /// # Errors
    /// [`WorkflowError`].
    async fn waiting_token(
        &self,
        job_type: &str,
        name: &str,
        step: &str,
    ) -> Result<Option<String>, WorkflowError>;

    /// Answers a waiting task with its output, as JSON text.
    ///
    /// # Errors
    /// [`WorkflowError::NoSuchTask`] if no task waits for this token (any longer).
    async fn task_success(&self, token: &str, output: Arc<str>) -> Result<(), WorkflowError>;

    /// Answers a waiting task with an error.
    ///
    /// # Errors
    /// [`WorkflowError::NoSuchTask`] if no task waits for this token (any longer).
    async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError>;
}

/// Errors of a workflow.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// No state machine has this name.
    #[error("there is no job type `{0}`")]
    UnknownType(String),
    /// The service has no state machine for a job type that this server knows.
    #[error(
        "there is no state machine `{arn}`: deploy it, or correct the account, region and prefix of state_machine_arn_prefix"
    )]
    NotDeployed {
        /// Its address.
        arn: String,
    },
    /// The service refuses the start, and would refuse each repeat of it.
    #[error("the execution cannot be started: {name}: {reason}")]
    Refused {
        /// The error's name, such as `InvalidExecutionInput`.
        name: String,
        /// The reason.
        reason: String,
    },
    /// No execution has this name.
    #[error("there is no execution `{0}`")]
    UnknownExecution(String),
    /// The execution cannot be redriven.
    #[error("execution `{name}` cannot be redriven: {reason}")]
    NotRedrivable {
        /// Its name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// No task waits for the token.
    #[error(
        "no task waits for this token: it was answered before, it timed out, or its execution ended"
    )]
    NoSuchTask,
    /// The workflow is temporarily unavailable.
    #[error("the workflow engine is not available: {reason}")]
    Unavailable {
        /// The reason, without secrets.
        reason: String,
        /// The cause, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
