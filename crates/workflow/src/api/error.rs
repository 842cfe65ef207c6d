//! The API's errors, and the one place where the engine's become them.

use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use serde_json::json;

use super::status_of;
use crate::EngineError;
use crate::lambda::http::Answer;

/// An error with AWS's name and message.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn new(kind: &'static str, message: &str) -> ApiError {
        ApiError {
            kind,
            message: message.to_owned(),
        }
    }

    pub(super) fn unknown_operation(message: &str) -> ApiError {
        ApiError::new("UnknownOperationException", message)
    }

    /// One constraint of a request's shape does not hold.
    pub(super) fn validation(detail: &str) -> ApiError {
        let message = format!("1 validation error detected: {detail}");
        ApiError {
            kind: "ValidationException",
            message,
        }
    }

    pub(super) fn answer(self) -> Answer {
        let body = json!({"__type": self.kind, "message": self.message});
        let mut answer = Response::new(Full::new(body.to_string().into()));
        *answer.status_mut() = status_of(self.kind);
        let headers = answer.headers_mut();
        let json = HeaderValue::from_static("application/x-amz-json-1.0");
        headers.insert(CONTENT_TYPE, json);
        headers.insert("x-amzn-errortype", HeaderValue::from_static(self.kind));
        answer
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> ApiError {
        let kind = match &error {
            EngineError::UnknownMachine(_) => "StateMachineDoesNotExist",
            EngineError::UnknownExecution(_) => "ExecutionDoesNotExist",
            EngineError::NoSuchTask => {
                return ApiError::new(
                    "TaskTimedOut",
                    "Task Timed Out: 'Provided task does not exist anymore'",
                );
            }
            EngineError::InvalidToken => {
                return ApiError::new("InvalidToken", "Invalid Token: 'Invalid token'");
            }
            EngineError::NotRedrivable { .. } => "ExecutionNotRedrivable",
            EngineError::InvalidName(name) => {
                return ApiError::new("InvalidName", &format!("Invalid Name: '{name}'"));
            }
            EngineError::NotJson { what, reason } => {
                let (kind, words) = if *what == "input" {
                    (
                        "InvalidExecutionInput",
                        "Invalid State Machine Execution Input",
                    )
                } else {
                    ("InvalidOutput", "Invalid Output")
                };
                return ApiError::new(kind, &format!("{words}: '{reason}'"));
            }
            EngineError::TooLarge { what, .. } if *what == "input" => "InvalidExecutionInput",
            EngineError::TooLarge { .. } => "InvalidOutput",
            EngineError::Busy => "ThrottlingException",
            EngineError::Closed | EngineError::Journal(_) => "ServiceException",
        };
        ApiError::new(kind, &error.to_string())
    }
}
