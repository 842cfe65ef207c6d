//! Every bound of this crate, as a named constant.

use std::time::Duration;

/// Requests that wait for the writer. One more is refused as busy: at some 30,000 requests a second, two seconds of work are waiting.
pub const QUEUE_REQUESTS: usize = 65_536;
/// Requests in one commit.
pub const GROUP_REQUESTS: usize = 1_024;
/// How long a group takes requests in before it commits: it bounds what the first of the group waits for the others.
pub const GROUP_TIME: Duration = Duration::from_millis(10);
/// Connections that read, opened as they are needed. More reads wait for a free one.
pub const READERS: usize = 4;
/// Pages of the write-ahead log (4 KiB each) after which they are copied into the database file.
pub const CHECKPOINT_PAGES: u32 = 8_000;
/// The write-ahead log is made so long when a database is opened: as long as it gets where no reader holds it back.
pub const RESERVED_LOG_BYTES: u64 = 32 + CHECKPOINT_PAGES as u64 * (24 + 4096);
/// Pages of the write-ahead log after which the writer waits for readers so that the log can begin anew.
pub const LOG_PAGES: u32 = 8 * CHECKPOINT_PAGES;
/// How long a connection waits for a lock of another one (a reader that holds the log back, a copy being made).
pub const LOCK_WAIT: Duration = Duration::from_millis(250);
/// Memory for pages of the writing connection, in KiB.
pub const WRITER_CACHE_KIB: i32 = 8 * 1024;
/// Memory for pages of one reading connection, in KiB.
pub const READER_CACHE_KIB: i32 = 1024;
/// Prepared statements that a connection keeps.
pub const STATEMENTS: usize = 256;
