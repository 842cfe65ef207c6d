//! The values that the engine takes and returns.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use asl::Status;
use asl::StepChange;
use jiff::Timestamp;

use crate::Machines;
use crate::arn::Scope;

/// Every bound of the engine.
pub mod limits {
    use std::time::Duration;

    /// Maximum bytes of an execution's input and of a task's output (Step Functions quotas).
    pub const PAYLOAD_BYTES: usize = asl::MAX_PAYLOAD;
    /// Maximum number of characters of an execution's name (`StartExecution`).
    pub const NAME_CHARACTERS: usize = 80;
    /// Maximum number of events of one execution that are handled in one commit.
    pub const EVENTS_PER_COMMIT: usize = 256;
    /// Maximum number of events that wait for one execution before callers are refused. The
    /// engine's own events are always accepted.
    pub const INBOX_EVENTS: usize = 65_536;
    /// Minimum time for which the event that a worker took a task is held, so that it can share a
    /// commit with the task's result. The maximum is twice this time.
    pub const STARTED_DELAY: Duration = Duration::from_millis(100);
    /// Waits between tries to write when the disk refuses: the first, doubled up to the last.
    pub const WRITE_RETRY: (Duration, Duration) =
        (Duration::from_millis(50), Duration::from_secs(5));
    /// Maximum number of events of one page of a history (`GetExecutionHistory`).
    pub const HISTORY_PAGE: usize = 1_000;
    /// Maximum number of executions of one page of a list (`ListExecutions`).
    pub const LIST_PAGE: usize = 1_000;
    /// Maximum number of closed executions that one write purges.
    pub const PURGE_BATCH: usize = 64;
    /// Interval between searches for closed executions that have outlived their retention.
    pub const PURGE_EVERY: Duration = Duration::from_secs(60);
    /// Maximum number of parsed definitions that are kept although no execution in memory uses
    /// them.
    pub const PARSED_DEFINITIONS: usize = 256;
}

/// The settings of the engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state machines of the directory.
    pub machines: Machines,
    /// Time for which a closed execution is kept; `None` keeps it for ever. AWS keeps 90 days.
    pub retention: Option<Duration>,
    /// Waiting executions that stay in memory; more are rebuilt from the journal when something
    /// happens to them.
    pub idle_in_memory: usize,
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs.
    pub account: String,
}

impl Settings {
    /// The ARN of the role that executions show when their state machine names none.
    pub(crate) fn role_arn(&self) -> String {
        self.scope(&self.account).default_role()
    }

    /// The region and the account of ARNs.
    pub(crate) fn scope<'a>(&'a self, account: &'a str) -> Scope<'a> {
        Scope {
            region: &self.region,
            account,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            machines: Machines::default(),
            retention: Some(Duration::from_secs(90 * 24 * 3600)),
            idle_in_memory: 4_096,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }
}

/// The number that a row of the journal has for a status.
pub(super) fn status_code(status: Status) -> i64 {
    match status {
        Status::Running => 0,
        Status::Succeeded => 1,
        Status::Failed => 2,
        Status::TimedOut => 3,
        Status::Aborted => 4,
    }
}

/// The status of a number in a row of the journal.
pub(super) fn status_of_code(code: i64) -> Status {
    match code {
        0 => Status::Running,
        1 => Status::Succeeded,
        3 => Status::TimedOut,
        4 => Status::Aborted,
        _ => Status::Failed,
    }
}

/// The result of a start.
#[derive(Clone, Debug)]
pub enum Started {
    /// The execution is new and durable since then.
    New(Timestamp),
    /// An execution of this name and state machine exists, open or closed.
    Already(Earlier),
}

/// The execution that has the name already.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Its status.
    pub status: Status,
    /// Its input, JSON.
    pub input: Arc<str>,
    /// When it started.
    pub started: Timestamp,
}

/// The end of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ended; not [`Status::Running`].
    pub status: Status,
    /// The output, JSON, when it succeeded.
    pub output: Option<Arc<str>>,
    /// The error's name.
    pub error: Option<String>,
    /// The error's text.
    pub cause: Option<String>,
}

/// What happened in an execution, after it became durable. Positions rise from event to event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionEvent {
    /// The execution's name.
    pub execution: Arc<str>,
    /// The state machine's name.
    pub machine: Arc<str>,
    /// The id of the last history event so far.
    pub position: u64,
    /// When.
    pub at: Timestamp,
    /// How often the execution was redriven by then.
    pub redrives: u32,
    /// What the top-level states did, in order.
    pub steps: Vec<StepChange>,
    /// The end, if this was it.
    pub end: Option<End>,
}

/// Receives the events of executions, in order for each execution.
pub trait Listener: Send + Sync + fmt::Debug {
    /// Writes the effect of the events of one turn into the commit that makes them durable. Returns
    /// whether it did: then [`Listener::notify`] is not called for them. It is called by the
    /// database's writer, with at least one event, all of one execution; and again when the commit
    /// failed.
    ///
    /// # Errors
    /// Nothing of the turn and its group is kept, and the write is tried again later. Return
    /// `Ok(false)`, not an error, if the caller can recover and nothing was written.
    fn record(
        &self,
        _write: &mut sqlite::Write<'_>,
        _events: &[ExecutionEvent],
    ) -> rusqlite::Result<bool> {
        Ok(false)
    }

    /// Takes an event after it became durable, in the driver's own loop: it must not block. An
    /// event may be lost when the process ends between the commit and the call:
    /// [`crate::Engine::describe`] has it all again.
    fn notify(&self, event: ExecutionEvent);
}

/// A listener that ignores every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoListener;

impl Listener for NoListener {
    fn notify(&self, _: ExecutionEvent) {}
}

/// The definition that an execution started with.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The state machine's name.
    pub machine: Arc<str>,
    /// The text, Amazon States Language.
    pub text: Arc<str>,
}

/// An execution as it is now.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its name.
    pub name: Arc<str>,
    /// Its state machine's name.
    pub machine: Arc<str>,
    /// Its input, JSON.
    pub input: Arc<str>,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub stopped: Option<Timestamp>,
    /// Its status.
    pub status: Status,
    /// Whether [`crate::Engine::redrive`] goes on with it.
    pub is_redrivable: bool,
    /// All that happened, as one event: the last known state of each step, in the order in which
    /// they were entered.
    pub so_far: ExecutionEvent,
}

/// One line of a list of executions.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Rises from execution to execution.
    pub id: i64,
    /// Its name.
    pub name: Arc<str>,
    /// Its state machine's name.
    pub machine: Arc<str>,
    /// Its status.
    pub status: Status,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub stopped: Option<Timestamp>,
}

/// One page of a history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The events, in AWS's JSON.
    pub events: Vec<serde_json::Value>,
    /// The id of the last event of the page, when more follow.
    pub next: Option<u64>,
}
