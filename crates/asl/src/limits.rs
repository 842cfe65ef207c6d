//! The limits of definitions, executions and payloads. Most of them are quotas of AWS Step
//! Functions ("Service quotas" in its developer guide).

/// Maximum size of a definition's text, in bytes.
pub const MAX_DEFINITION: usize = 1_048_576;
/// Maximum length of a state's name, in characters.
pub(crate) const MAX_NAME: usize = 80;
/// Maximum number of diagnostics that are reported for one definition.
pub(crate) const MAX_DIAGNOSTICS: usize = 100;
/// Maximum length of a wait, a timeout or an interval, in seconds.
pub(crate) const MAX_SECONDS: f64 = 99_999_999.0;

/// Maximum number of transitions in one call before [`crate::Effect::Yield`]. It keeps a loop of
/// Pass states from blocking its thread.
pub const MAX_TRANSITIONS: usize = 1_000;
/// Maximum number of events in the history of a Standard execution, its end included.
pub const MAX_HISTORY: u64 = 25_000;
/// Maximum number of events in the history of an Express execution. AWS limits only its time,
/// which ends before this number is reached.
pub const MAX_EXPRESS_HISTORY: u64 = 250_000;
/// Maximum duration of an Express execution, in seconds.
pub const MAX_EXPRESS_SECONDS: f64 = 300.0;

/// Maximum size of a state's input or output, in bytes.
pub const MAX_PAYLOAD: usize = 262_144;
/// Maximum nesting of a payload.
pub(crate) const MAX_DEPTH: usize = json::MADE_DEPTH;
/// Maximum size of a cause, in bytes. A longer one is cut.
pub const MAX_CAUSE: usize = 32_768;
/// Maximum size of an error's name, in bytes. A longer one is cut.
pub(crate) const MAX_ERROR: usize = 256;
