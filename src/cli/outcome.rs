//! How a command ended.

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The command is done, and the watched job, if any, succeeded.
    Succeeded,
    /// The command is done, and the watched job did not succeed.
    Failed,
}
