//! Every limit of this crate, as a named constant.

use std::time::Duration;

/// Maximum number of requests that wait for the writer; further ones are refused as busy. At about
/// 30,000 requests per second this is two seconds of work.
pub const QUEUE_REQUESTS: usize = 65_536;
/// Maximum number of requests in one commit.
pub const GROUP_REQUESTS: usize = 1_024;
/// Time for which a group takes requests before it commits. It limits how long the first request of
/// a group waits for the others.
pub const GROUP_TIME: Duration = Duration::from_millis(10);
/// Maximum number of connections that read, opened on demand. Further reads wait for a free one.
pub const READERS: usize = 4;
/// Size of the write-ahead log, in pages of 4 KiB, after which it is copied into the database file.
pub const CHECKPOINT_PAGES: u32 = 8_000;
/// Size in bytes to which the write-ahead log is preallocated on open: its size when no reader
/// delays checkpoints.
pub const RESERVED_LOG_BYTES: u64 = 32 + CHECKPOINT_PAGES as u64 * (24 + 4096);
/// Size of the write-ahead log, in pages, after which the writer waits for readers so that the log
/// can restart.
pub const LOG_PAGES: u32 = 8 * CHECKPOINT_PAGES;
/// Time that a connection waits for a lock of another one (a reader that delays a checkpoint, a
/// copy in progress).
pub const LOCK_WAIT: Duration = Duration::from_millis(250);
/// Page cache of the writing connection, in KiB.
pub const WRITER_CACHE_KIB: i32 = 8 * 1024;
/// Page cache of one reading connection, in KiB.
pub const READER_CACHE_KIB: i32 = 1024;
/// Maximum number of prepared statements that a connection keeps.
pub const STATEMENTS: usize = 256;
