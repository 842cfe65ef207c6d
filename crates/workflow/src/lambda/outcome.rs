//! How an invocation ends, and the caller that receives it.

use std::fmt;

use bytes::Bytes;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered.
    Success {
        /// The response.
        payload: Bytes,
        /// The end of what it wrote.
        log: Vec<u8>,
    },
    /// The function failed, crashed or took too long.
    Failed {
        /// The error's name (`errorType`).
        error: String,
        /// The error as JSON: `errorType`, `errorMessage`, `stackTrace`.
        payload: Bytes,
        /// The end of what it wrote.
        log: Vec<u8>,
    },
    /// The function was not run.
    Refused {
        /// The name that Step Functions gives it, such as `Lambda.ResourceNotFoundException`.
        error: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// The caller of an invocation. It is called in the host's own loop and must not block.
pub trait Caller: Send + fmt::Debug {
    /// A process received the invocation.
    fn started(&self) {}
    /// The invocation ended.
    fn finished(self: Box<Self>, outcome: Outcome);
}
