//! The two types of state machines, and the limits that depend on the type.

use crate::limits::{MAX_EXPRESS_HISTORY, MAX_EXPRESS_SECONDS, MAX_HISTORY};

/// The type of a state machine, as in `CreateStateMachine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkflowType {
    /// Durable, with a history that can be read.
    #[default]
    Standard,
    /// Short; runs at least once and cannot be redriven.
    Express,
}

impl WorkflowType {
    /// Maximum number of events in the history of an execution.
    pub(crate) fn max_history(self) -> u64 {
        match self {
            Self::Standard => MAX_HISTORY,
            Self::Express => MAX_EXPRESS_HISTORY,
        }
    }

    /// Time limit of an execution, in seconds, for a machine with this `TimeoutSeconds`.
    pub(crate) fn timeout(self, seconds: Option<f64>) -> Option<f64> {
        match self {
            Self::Standard => seconds,
            Self::Express => {
                Some(seconds.map_or(MAX_EXPRESS_SECONDS, |s| s.min(MAX_EXPRESS_SECONDS)))
            }
        }
    }
}
