//! Errors of the SQS API. SDKs of the query protocol know them by `query`.

use serde_json::{Value, json};

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{query}: {message}")]
pub struct SqsError {
    /// The shape's name in the JSON protocol.
    pub shape: &'static str,
    /// The code in the query protocol, which SDKs show.
    pub query: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong.
    pub message: String,
}

impl SqsError {
    fn new(shape: &'static str, query: &'static str, message: impl Into<String>) -> Self {
        SqsError {
            shape,
            query,
            status: 400,
            message: message.into(),
        }
    }

    pub(super) fn no_queue() -> Self {
        let message = "The specified queue does not exist.";
        Self::new(
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            message,
        )
    }

    pub(super) fn no_resource(message: impl Into<String>) -> Self {
        let name = "ResourceNotFoundException";
        SqsError {
            status: 404,
            ..Self::new(name, name, message)
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(
            "InvalidParameterValueException",
            "InvalidParameterValue",
            message,
        )
    }

    pub(super) fn missing(name: &str) -> Self {
        let message = format!("The request must contain the parameter {name}.");
        Self::new(
            "MissingRequiredParameterException",
            "MissingParameter",
            message,
        )
    }

    pub(super) fn invalid_attribute(message: impl Into<String>) -> Self {
        Self::new("InvalidAttributeValue", "InvalidAttributeValue", message)
    }

    pub(super) fn handle(handle: &str) -> Self {
        let message =
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
        Self::new("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message)
    }

    pub(super) fn not_in_flight() -> Self {
        let message = "the message is not in flight";
        Self::new(
            "MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            message,
        )
    }

    pub(super) fn batch(shape: &'static str, query: &'static str, message: &str) -> Self {
        Self::new(shape, query, message)
    }

    pub(super) fn exists(message: &str) -> Self {
        Self::new("QueueNameExists", "QueueAlreadyExists", message)
    }

    pub(super) fn unknown_action(action: &str) -> Self {
        let message = format!("the local SQS has no action `{action}`");
        Self::new("UnknownOperationException", "InvalidAction", message)
    }

    /// The body of the answer, AWS JSON 1.0.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({
            "__type": format!("com.amazonaws.sqs#{}", self.shape),
            "message": self.message,
        })
    }

    /// The header `x-amzn-query-error`.
    #[must_use]
    pub fn query_error(&self) -> String {
        format!("{};Sender", self.query)
    }
}
