//! A step: one top-level state of the job's state machine that does work. States inside a Map or a Parallel roll up into it.

use serde::{Deserialize, Serialize};

use crate::{JobError, Time};

/// What kind of state a step is (Amazon States Language, `Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepKind {
    /// A function, a service or an activity.
    Task,
    /// The same states for every item of a list.
    Map,
    /// Branches side by side.
    Parallel,
    /// A pause.
    Wait,
}

impl StepKind {
    /// As in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::Task => "TASK",
            StepKind::Map => "MAP",
            StepKind::Parallel => "PARALLEL",
            StepKind::Wait => "WAIT",
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepStatus {
    /// Not reached yet.
    Pending,
    /// At work.
    Running,
    /// Waiting for a time or an answer.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Stopped with its job.
    Cancelled,
    /// Stopped since its job took too long.
    TimedOut,
    /// The job ended well without it: a Choice went another way.
    Skipped,
}

impl StepStatus {
    /// As in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            StepStatus::Pending => "PENDING",
            StepStatus::Running => "RUNNING",
            StepStatus::Waiting => "WAITING",
            StepStatus::Succeeded => "SUCCEEDED",
            StepStatus::Failed => "FAILED",
            StepStatus::Cancelled => "CANCELLED",
            StepStatus::TimedOut => "TIMED_OUT",
            StepStatus::Skipped => "SKIPPED",
        }
    }

    /// Whether the step is at work or waits: at most one step of a job is.
    pub fn is_open(self) -> bool {
        matches!(self, StepStatus::Running | StepStatus::Waiting)
    }
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The state's name.
    pub name: String,
    /// Place among the job's steps, from 0.
    pub index: u32,
    /// The state's type.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// Where it stands.
    pub status: StepStatus,
    /// Percent, 0..=100.
    pub progress: u8,
    /// How many times it was tried: 0 before the first, and then only.
    pub attempt: u32,
    /// Iterations of a Map (branches of a Parallel) that are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_done: Option<u32>,
    /// Iterations of a Map (branches of a Parallel) in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_total: Option<u32>,
    /// When it was entered first; `None` before that, and then only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Why it failed, or why its last attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

impl Step {
    /// A step that has not been reached.
    pub fn pending(name: impl Into<String>, index: u32, kind: StepKind) -> Step {
        Step {
            name: name.into(),
            index,
            kind,
            status: StepStatus::Pending,
            progress: 0,
            attempt: 0,
            items_done: None,
            items_total: None,
            started_at: None,
            finished_at: None,
            error: None,
        }
    }

    /// Begins a try. A step that is open already was heard of before this news came: it is the same try, and what was reported
    /// of it stays.
    pub(crate) fn enter(&mut self, now: Time) {
        if !self.status.is_open() {
            let (attempt, started_at) = (self.attempt, self.started_at);
            self.reset();
            self.attempt = attempt + 1;
            self.started_at = started_at.or(Some(now));
        }
        self.status = StepStatus::Running;
    }

    /// Puts the step back to before its first try, keeping its place.
    pub(crate) fn reset(&mut self) {
        *self = Step::pending(std::mem::take(&mut self.name), self.index, self.kind);
    }
}
