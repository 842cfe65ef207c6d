//! The maximum nesting of JSON, and the stack that is kept for it. Limits of size belong to the
//! doors.

/// Maximum nesting of arrays and objects in JSON from a caller. AWS's reader (Jackson) has the same
/// limit.
pub const DEPTH: usize = 1_000;

/// Maximum nesting of a value that an execution makes from its input. A payload template, a
/// `ResultPath` or the field `input` around a job's input adds levels to a value that was accepted,
/// which must not fail because of them.
pub const MADE_DEPTH: usize = 1_100;

/// Maximum nesting that the reader supports.
pub(crate) const FOLLOWED: usize = 1_152;

/// Stack of a thread that runs executions, in bytes. Only the used part takes memory.
pub const THREAD_STACK: usize = 16 * 1024 * 1024;

/// Free stack that is required for a walk over a value as deep as [`MADE_DEPTH`], in bytes. A walk
/// of `serde_json` takes 3 KiB for each level without optimization, and a template has twice as
/// many levels as a value.
pub(crate) const ROOM: usize = 12 * 1024 * 1024;

const _: () = assert!(DEPTH <= MADE_DEPTH && MADE_DEPTH <= FOLLOWED && ROOM < THREAD_STACK);
