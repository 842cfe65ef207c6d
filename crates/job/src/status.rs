//! The state machine of a job, as one table. No other code decides by comparing statuses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Accepted and durable; its execution has not started. The workflow moves it on.
    Queued,
    /// Its execution runs a state.
    Running,
    /// Its execution waits for a time, or for the answer to a task.
    Waiting,
    /// Its execution succeeded; the result is available.
    Succeeded,
    /// Its execution ended with an error.
    Failed,
    /// A caller cancelled it, or its execution was stopped.
    Cancelled,
    /// Its execution took longer than its definition allows.
    TimedOut,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The execution started.
    Start,
    /// A step moved, or a function reported.
    Progress,
    /// The current step started to wait.
    Wait,
    /// The current step resumed.
    Resume,
    /// The execution succeeded.
    Succeed,
    /// The execution failed, or could not be started.
    Fail,
    /// A caller cancelled the job, or the execution was stopped.
    Cancel,
    /// The execution timed out.
    TimeOut,
    /// A caller asked for another attempt.
    Retry,
}

use Event::{Cancel, Fail, Progress, Resume, Retry, Start, Succeed, TimeOut, Wait};
use Status::{Cancelled, Failed, Queued, Running, Succeeded, TimedOut, Waiting};

/// The whole state machine: each line is a status, an event, and the status that follows. Any other
/// combination is refused.
pub const RULES: &[(Status, Event, Status)] = &[
    (Queued, Start, Running),
    (Queued, Fail, Failed),
    (Queued, Cancel, Cancelled),
    (Queued, TimeOut, TimedOut),
    (Running, Progress, Running),
    (Running, Wait, Waiting),
    (Running, Succeed, Succeeded),
    (Running, Fail, Failed),
    (Running, Cancel, Cancelled),
    (Running, TimeOut, TimedOut),
    (Waiting, Progress, Waiting),
    (Waiting, Resume, Running),
    (Waiting, Succeed, Succeeded),
    (Waiting, Fail, Failed),
    (Waiting, Cancel, Cancelled),
    (Waiting, TimeOut, TimedOut),
    (Failed, Retry, Queued),
    (Cancelled, Retry, Queued),
    (TimedOut, Retry, Queued),
];

impl Status {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Queued, Running, Waiting, Succeeded, Failed, Cancelled, TimedOut,
    ];

    /// The status after `event`, or `None` if [`RULES`] has no such line.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        RULES
            .iter()
            .find(|(from, on, _)| *from == self && *on == event)
            .map(|(_, _, to)| *to)
    }

    /// Whether the job is finished: only a retry can follow.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        RULES
            .iter()
            .all(|(from, on, _)| *from != self || *on == Retry)
    }

    /// The name in the schema: `TIMED_OUT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Queued => "QUEUED",
            Running => "RUNNING",
            Waiting => "WAITING",
            Succeeded => "SUCCEEDED",
            Failed => "FAILED",
            Cancelled => "CANCELLED",
            TimedOut => "TIMED_OUT",
        }
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 9] = [
        Start, Progress, Wait, Resume, Succeed, Fail, Cancel, TimeOut, Retry,
    ];
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a status: it is one of QUEUED, RUNNING, WAITING, SUCCEEDED, FAILED, CANCELLED, TIMED_OUT"
)]
pub struct InvalidStatus(pub String);

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| InvalidStatus(text.to_owned()))
    }
}

/// [`RULES`] as a Mermaid state diagram: the one in docs/design/job.md.
pub fn diagram() -> String {
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        format!("    [*] --> {Queued}"),
    ];
    for (from, event, to) in RULES {
        lines.push(format!("    {from} --> {to}: {event:?}"));
    }
    for status in Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
    {
        lines.push(format!("    {status} --> [*]"));
    }
    lines.join("\n")
}
