//! The API's errors, and the one place where the engine's become them.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::EngineError;
use crate::arn::ArnError;
use crate::lambda::http::Answer;
use crate::start::StartError;

/// An error with AWS's name and message.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: &'static str,
    message: String,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn unknown_operation(message: &str) -> ApiError {
        ApiError::new("UnknownOperationException", message)
    }

    /// A rule of an operation that AWS calls a validation.
    pub(super) fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new("ValidationException", message)
    }

    /// Constraints of a request's shape do not hold.
    pub(super) fn validation(problems: &[String]) -> ApiError {
        let (count, s) = (problems.len(), if problems.len() == 1 { "" } else { "s" });
        ApiError::invalid(format!(
            "{count} validation error{s} detected: {}",
            problems.join("; ")
        ))
    }

    /// On AWS the caller lacks the permission `states:RevealSecrets`.
    pub(super) fn secrets_hidden() -> ApiError {
        let message = "revealSecrets is not allowed here: set reveal_secrets = true in [services] of the configuration";
        ApiError::new("AccessDeniedException", message)
    }

    pub(super) fn invalid_name(name: &str) -> ApiError {
        ApiError::new("InvalidName", format!("Invalid Name: '{name}'"))
    }

    pub(super) fn invalid_token() -> ApiError {
        ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'")
    }

    pub(super) fn no_machine(arn: &str) -> ApiError {
        ApiError::new(
            "StateMachineDoesNotExist",
            format!("State Machine Does Not Exist: '{arn}'"),
        )
    }

    pub(super) fn no_resource(arn: &str) -> ApiError {
        ApiError::new("ResourceNotFound", format!("Resource not found: '{arn}'"))
    }

    /// A state machine of the other type is needed.
    pub(super) fn wrong_type() -> ApiError {
        ApiError::new(
            "StateMachineTypeNotSupported",
            "This operation is not supported by this type of state machine",
        )
    }

    /// The catalog could not be read or written.
    fn service(error: &dyn fmt::Display) -> ApiError {
        tracing::error!(%error, "the catalog of state machines cannot be used");
        ApiError::new(
            "ServiceException",
            format!("the database cannot be used: {error}"),
        )
    }

    pub(super) fn answer(self) -> Answer {
        let body = json!({"__type": self.kind, "message": self.message});
        let mut answer = Response::new(Full::new(body.to_string().into()));
        *answer.status_mut() = match self.kind {
            "ServiceException" => StatusCode::INTERNAL_SERVER_ERROR,
            "UnknownOperationException" => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        let headers = answer.headers_mut();
        let json = HeaderValue::from_static("application/x-amz-json-1.0");
        headers.insert(CONTENT_TYPE, json);
        headers.insert("x-amzn-errortype", HeaderValue::from_static(self.kind));
        answer
    }
}

impl From<ArnError> for ApiError {
    fn from(error: ArnError) -> Self {
        let kind = match error {
            ArnError::Invalid(_) => "InvalidArn",
            ArnError::NoMachine(_) => "StateMachineDoesNotExist",
            ArnError::NoExecution(_) => "ExecutionDoesNotExist",
        };
        Self::new(kind, error.to_string())
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> ApiError {
        ApiError::service(&error)
    }
}

impl From<sqlite::WriteError<ApiError>> for ApiError {
    fn from(error: sqlite::WriteError<ApiError>) -> ApiError {
        match error {
            sqlite::WriteError::Refused(error) => error,
            other => ApiError::service(&other),
        }
    }
}

impl From<sqlite::ReadError<ApiError>> for ApiError {
    fn from(error: sqlite::ReadError<ApiError>) -> ApiError {
        match error {
            sqlite::ReadError::Refused(error) => error,
            other => ApiError::service(&other),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let (kind, message) = error.in_api();
        Self::new(kind, message)
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Arn(error) => error.into(),
            StartError::InvalidName(_) => Self::new("InvalidName", error.to_string()),
            StartError::InvalidInput(_) => Self::new("InvalidExecutionInput", error.to_string()),
            StartError::AlreadyExists(_) => Self::new("ExecutionAlreadyExists", error.to_string()),
            StartError::Engine(error) => error.into(),
        }
    }
}
