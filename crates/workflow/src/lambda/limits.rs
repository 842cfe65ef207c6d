//! Every bound of the Lambda host. What happens at a bound is described where it is used.

use std::time::Duration;

/// Maximum bytes of an invocation's payload and of its response (Lambda quotas, synchronous).
pub const PAYLOAD_BYTES: usize = 6 * 1024 * 1024 + 100;
/// Maximum number of waiting invocations of one function. One more is refused with
/// `Lambda.TooManyRequestsException`.
pub const QUEUE: usize = 100_000;
/// Time allowed, besides the function's timeout, in which no invocation of a function is begun
/// although some wait. After it those that wait are refused with `Lambda.TooManyRequestsException`.
pub const QUEUE_STILL: Duration = Duration::from_secs(60);
/// Time allowed for an outside process to ask for an invocation when none works for its function.
pub const ATTACH_WAIT: Duration = Duration::from_secs(5);
/// Waits between starts of processes that end before they serve an invocation: the first, doubled
/// up to the last.
pub const RESTART: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Time allowed for a process from its start to its first request for work (Lambda, "Init phase").
pub const INIT: Duration = Duration::from_secs(10);
/// Time after which an idle process ends, when it is not the function's only one.
pub const IDLE: Duration = Duration::from_secs(300);
/// Minimum of the processes of a function whose concurrency is not configured; a machine with more
/// cores has as many as those.
pub const CONCURRENCY_LEAST: usize = 4;
/// Time allowed for a process to end with all that it started.
pub const END: Duration = Duration::from_secs(3);
/// Time allowed for reading what a process wrote before its end.
pub const LAST_WORDS: Duration = Duration::from_millis(250);
/// Time that an answer waits for the output that was written before it, when the caller wants the
/// output.
pub const TAIL_WAIT: Duration = Duration::from_millis(10);
/// Maximum bytes of a client context, as base64 (Invoke API, `X-Amz-Client-Context`).
pub const CLIENT_CONTEXT_BYTES: usize = 3_583;
/// Maximum bytes of a version or an alias (Invoke API, `Qualifier`).
pub const QUALIFIER_BYTES: usize = 128;
/// Maximum bytes of a process's last lines in the error of an invocation.
pub const SHOWN_OUTPUT_BYTES: usize = 1_024;
/// Maximum bytes of a word that is kept whole where a long line of output is cut.
pub const WORD_BYTES: usize = 1_024;
/// Maximum bytes of one line of output; the rest of the line is another line.
pub const LINE_BYTES: usize = 16 * 1024;
/// Maximum bytes of output kept for an invocation (`LogType=Tail`).
pub const TAIL_BYTES: usize = 4 * 1024;
/// Maximum number of functions that are known by name because a process attached to them.
pub const ATTACHED_FUNCTIONS: usize = 1_000;
/// Maximum timeout of a function (Lambda quotas).
pub const TIMEOUT: Duration = Duration::from_secs(900);
