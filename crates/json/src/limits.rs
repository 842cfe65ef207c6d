//! How deep a caller's JSON may nest, and the stack that is kept for it. Limits of size are those of each door.

/// Maximum nesting of JSON that a caller sends: arrays and objects within each other. AWS's reader (Jackson) takes the same.
pub const DEPTH: usize = 1_000;

/// Maximum nesting of a value that an execution makes of what it was given. A payload template, a `ResultPath` or the field
/// `input` around a job's input puts levels around a value that was taken at a door, which must not fail for that.
pub const MADE_DEPTH: usize = 1_100;

/// Maximum nesting that the reader itself can follow.
pub(crate) const FOLLOWED: usize = 1_152;

/// Stack of a thread that runs executions, in bytes. Only what is used of it takes memory.
pub const THREAD_STACK: usize = 16 * 1024 * 1024;

/// Stack that must be free before a value is walked that may nest as deep as [`MADE_DEPTH`], in bytes. A walk of `serde_json`
/// takes 3 KiB for each level without optimization, and a template twice as many levels as a value.
pub(crate) const ROOM: usize = 12 * 1024 * 1024;

const _: () = assert!(DEPTH <= MADE_DEPTH && MADE_DEPTH <= FOLLOWED && ROOM < THREAD_STACK);
