//! The errors of the engine, and their names in the API of Step Functions.

use std::sync::Arc;

use super::model::limits;

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No state machine has this name.
    #[error("there is no state machine `{0}`")]
    UnknownMachine(String),
    /// No execution has this name.
    #[error("there is no execution `{0}`")]
    UnknownExecution(String),
    /// Nothing waits for the token.
    #[error(
        "no task waits for this token: it was answered before, it timed out, or its execution ended"
    )]
    NoSuchTask,
    /// The text is no token of ours.
    #[error("this is not a task token")]
    InvalidToken,
    /// The execution cannot go on where it stopped.
    #[error("execution `{name}` cannot be redriven: {reason}")]
    NotRedrivable {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The name is empty, too long, or has characters that AWS refuses.
    #[error(
        "`{0}` is no name for an execution: 1 to {max} characters, no white space, control characters or any of < > {{ }} [ ] ? * \" # % \\ ^ | ~ ` $ & , ; : /",
        max = limits::NAME_CHARACTERS
    )]
    InvalidName(String),
    /// The text is not JSON, or not within its limits.
    #[error("the {what} is {reason}")]
    NotJson {
        /// The input or the output.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The text is over [`limits::PAYLOAD_BYTES`].
    #[error("the {what} is {bytes} bytes, and it may have {max}", max = limits::PAYLOAD_BYTES)]
    TooLarge {
        /// The input or the output.
        what: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// Over [`limits::INBOX_EVENTS`].
    #[error("too much happens to this execution at once: try again later")]
    Busy,
    /// The engine stops.
    #[error("the workflow engine is stopping: try again later")]
    Closed,
    /// The journal could not be read or written. Nothing was done.
    #[error("the journal of executions cannot be used: {0}")]
    Journal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// The engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tables could not be brought to this version.
    #[error(transparent)]
    Migrate(#[from] sqlite::OpenError),
    /// The open executions could not be read.
    #[error("the open executions cannot be read: {0}")]
    Journal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl EngineError {
    /// The error's name and message in the API of Step Functions.
    pub(crate) fn in_api(&self) -> (&'static str, String) {
        let kind = match self {
            Self::UnknownMachine(_) => "StateMachineDoesNotExist",
            Self::UnknownExecution(_) => "ExecutionDoesNotExist",
            Self::NoSuchTask => {
                let message = "Task Timed Out: 'Provided task does not exist anymore'";
                return ("TaskTimedOut", message.to_owned());
            }
            Self::InvalidToken => {
                return ("InvalidToken", "Invalid Token: 'Invalid token'".to_owned());
            }
            Self::NotRedrivable { reason, .. } => {
                return ("ExecutionNotRedrivable", reason.clone());
            }
            Self::InvalidName(name) => return ("InvalidName", format!("Invalid Name: '{name}'")),
            Self::NotJson { what, reason } => {
                let (kind, words) = if *what == "input" {
                    (
                        "InvalidExecutionInput",
                        "Invalid State Machine Execution Input",
                    )
                } else {
                    ("InvalidOutput", "Invalid Output")
                };
                return (kind, format!("{words}: '{reason}'"));
            }
            Self::TooLarge { what, .. } if *what == "input" => "InvalidExecutionInput",
            Self::TooLarge { .. } => "InvalidOutput",
            Self::Busy => "ThrottlingException",
            Self::Closed | Self::Journal(_) => "ServiceException",
        };
        (kind, self.to_string())
    }
}
