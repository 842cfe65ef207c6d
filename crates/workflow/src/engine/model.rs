//! What the engine takes and gives. No behaviour.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use asl::StepChange;
use jiff::Timestamp;

use crate::Machines;
use crate::arn::Scope;

/// Every bound of the engine.
pub mod limits {
    use std::time::Duration;

    /// Bytes of an execution's input and of a task's output (Step Functions quotas).
    pub const PAYLOAD_BYTES: usize = asl::MAX_PAYLOAD;
    /// Characters of an execution's name (`StartExecution`).
    pub const NAME_CHARACTERS: usize = 80;
    /// Events of one execution that are handled before one commit.
    pub const EVENTS_PER_COMMIT: usize = 256;
    /// Bytes of events that wait for one execution's turn, after which callers are refused. The engine's own events always pass.
    pub const MAILBOX_EVENTS: usize = 65_536;
    /// How long, at least, the news that a worker took a task waits for the task's result to be written together with it; at most twice
    /// as long.
    pub const STARTED_DELAY: Duration = Duration::from_millis(100);
    /// Waits between tries to write when the disk refuses: the first, doubled up to the last.
    pub const WRITE_RETRY: (Duration, Duration) =
        (Duration::from_millis(50), Duration::from_secs(5));
    /// Events of one page of a history (`GetExecutionHistory`).
    pub const HISTORY_PAGE: usize = 1_000;
    /// Executions of one page of a list (`ListExecutions`).
    pub const LIST_PAGE: usize = 1_000;
    /// Closed executions that one write purges.
    pub const PURGE_BATCH: usize = 64;
    /// How often closed executions are looked for that have outlived their retention.
    pub const PURGE_EVERY: Duration = Duration::from_secs(60);
    /// Parsed definitions kept although no execution in memory uses them.
    pub const PARSED_DEFINITIONS: usize = 256;
}

/// How the engine runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state machines of the directory.
    pub machines: Machines,
    /// How long a closed execution is kept; `None` keeps it for ever. AWS keeps 90 days.
    pub retention: Option<Duration>,
    /// Waiting executions that stay in memory; more are rebuilt from the journal when something happens to them.
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

    /// Where ARNs of this account are.
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

/// How an execution stands (`DescribeExecution`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "AWS's own words")]
pub enum Status {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl Status {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "RUNNING",
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::TimedOut => "TIMED_OUT",
            Status::Aborted => "ABORTED",
        }
    }

    pub(crate) fn code(self) -> i64 {
        match self {
            Status::Running => 0,
            Status::Succeeded => 1,
            Status::Failed => 2,
            Status::TimedOut => 3,
            Status::Aborted => 4,
        }
    }

    pub(crate) fn from_code(code: i64) -> Status {
        match code {
            0 => Status::Running,
            1 => Status::Succeeded,
            3 => Status::TimedOut,
            4 => Status::Aborted,
            _ => Status::Failed,
        }
    }

    pub(crate) fn of(status: asl::Status) -> Status {
        match status {
            asl::Status::Running => Status::Running,
            asl::Status::Succeeded => Status::Succeeded,
            asl::Status::TimedOut => Status::TimedOut,
            asl::Status::Aborted => Status::Aborted,
            // Whatever else the language may come to know as an end is not a success.
            _ => Status::Failed,
        }
    }
}

/// What `start` came to.
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
    /// How it stands.
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

/// Who hears of executions, in order for each of them.
pub trait Listener: Send + Sync + fmt::Debug {
    /// Writes what the events of one turn mean into the same commit that makes them durable. Whether it did: then [`Listener::notify`] is not
    /// called for them. Called by the database's writer, with at least one event, all of one execution; again when the commit failed.
    ///
    /// # Errors
    /// Nothing of the turn is kept, nor of its group, and it is tried again later. What can be mended otherwise is no error but
    /// `false`, as long as nothing was written.
    fn record(
        &self,
        _write: &mut sqlite::Write<'_>,
        _events: &[ExecutionEvent],
    ) -> rusqlite::Result<bool> {
        Ok(false)
    }

    /// Takes an event after it became durable, in the driver's own loop: it must not block. An event may be lost when the process ends between
    /// the commit and the call: [`crate::Engine::describe`] has it all again.
    fn notify(&self, event: ExecutionEvent);
}

/// Nobody listens.
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
    /// How it stands.
    pub status: Status,
    /// Whether [`crate::Engine::redrive`] goes on with it.
    pub is_redrivable: bool,
    /// All that happened, as one event: the last known state of each step, in the order in which they were entered.
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
    /// How it stands.
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
