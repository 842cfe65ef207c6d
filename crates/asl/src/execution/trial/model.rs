//! What a trial takes and returns.

use std::sync::Arc;

use serde_json::{Map, Value};

/// The outcome of a Task, a Map or a Parallel.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The result.
    Result(Value),
    /// The failure.
    Error {
        /// Its name.
        error: Option<String>,
        /// Its cause.
        cause: Option<String>,
    },
}

/// The relevant past of the state.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// Variables by name.
    pub variables: Map<String, Value>,
    /// The context object.
    pub context: Value,
    /// Number of retries so far of the retrier that matches the error.
    pub retries: u32,
    /// Number of failed iterations of a Map.
    pub failures: Option<u64>,
    /// The items that a Map's `ItemReader` reads.
    pub items: Option<Vec<Value>>,
}

/// The end of a trial (`TestExecutionStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum TrialStatus {
    Succeeded,
    Failed,
    Retriable,
    CaughtError,
}

/// The result of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Its end.
    pub status: TrialStatus,
    /// The output, as JSON.
    pub output: Option<Arc<str>>,
    /// The error's name.
    pub error: Option<String>,
    /// The error's text.
    pub cause: Option<String>,
    /// The next state.
    pub next: Option<String>,
    /// `InspectionData`.
    pub inspection: Map<String, Value>,
}
