//! Errors of use cases. There is one variant per reaction of a caller; `Display` is safe to show.

use job::change::Refused;
use job::id::InvalidJobId;
use job::{JobId, OverLimit};

use crate::caller::Unauthorized;
use crate::store::StoreError;
use crate::token::TokenError;
use crate::workflow::WorkflowError;

/// Why a use case failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller may not do this.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// A token of this server is invalid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is no such job, or the caller may not see it.
    #[error(
        "there is no job {0}: it never existed, it has expired, or it belongs to another owner"
    )]
    NotFound(JobId),
    /// The text is not a job id.
    #[error(transparent)]
    InvalidId(#[from] InvalidJobId),
    /// No state machine has this name.
    #[error("there is no job type `{name}`; known are: {known}")]
    UnknownType {
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
    },
    /// An argument is invalid.
    #[error("{argument}: {reason}")]
    BadInput {
        /// The argument.
        argument: &'static str,
        /// The error and the valid values.
        reason: String,
    },
    /// The input does not fit the job type's schema.
    #[error("input does not fit the schema of job type `{job_type}`: {}", .problems.join("; "))]
    InvalidInput {
        /// The job type.
        job_type: String,
        /// Every problem, with its JSON pointer.
        problems: Vec<String>,
    },
    /// A value is over its limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The rules do not allow it in the job's status.
    #[error(transparent)]
    Refused(Refused),
    /// The request token belongs to another submission.
    #[error("{0}")]
    IdempotencyConflict(String),
    /// No task of the job waits in this step.
    #[error(
        "job {id} has no task that waits in step `{step}`: only a step that is WAITING for an answer can be resumed"
    )]
    NotWaiting {
        /// The job.
        id: JobId,
        /// The step.
        step: String,
    },
    /// A service is temporarily unavailable.
    #[error("{what} is not available: {reason}")]
    Unavailable {
        /// The unavailable service.
        what: &'static str,
        /// The reason.
        reason: String,
        /// The cause, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    /// The code that clients see: AppSync's `errorType`, GraphQL's `extensions.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unauthorized(_) | Error::Token(_) => "Unauthorized",
            Error::NotFound(_) => "NotFound",
            Error::InvalidId(_) | Error::BadInput { .. } => "BadRequest",
            Error::UnknownType { .. } => "UnknownJobType",
            Error::InvalidInput { .. } => "InvalidInput",
            Error::OverLimit(_) => "LimitExceeded",
            Error::Refused(Refused::OverLimit(_)) => "LimitExceeded",
            Error::Refused(Refused::Version { .. }) => "ConflictingVersion",
            Error::Refused(Refused::Attempt { .. }) => "StaleAttempt",
            Error::Refused(Refused::Progress(_) | Refused::UnknownStep(_)) => "BadRequest",
            Error::Refused(Refused::Rule { .. }) => "InvalidStatus",
            Error::IdempotencyConflict(_) => "IdempotencyConflict",
            Error::NotWaiting { .. } => "NotWaiting",
            Error::Unavailable { .. } => "ServiceUnavailable",
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::NotFound(id) => Error::NotFound(id),
            StoreError::Refused(refused) => Error::Refused(refused),
            StoreError::OverLimit(over) => Error::OverLimit(over),
            StoreError::IdempotencyConflict { .. } => Error::IdempotencyConflict(error.to_string()),
            StoreError::PositionLost => Error::Unavailable {
                what: "the change feed",
                reason: error.to_string(),
                source: None,
            },
            StoreError::Unavailable { reason, source } => Error::Unavailable {
                what: "the job store",
                reason,
                source,
            },
        }
    }
}

impl From<WorkflowError> for Error {
    fn from(error: WorkflowError) -> Error {
        let reason = error.to_string();
        Error::Unavailable {
            what: "the workflow",
            reason,
            source: Some(Box::new(error)),
        }
    }
}
