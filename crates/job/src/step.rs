//! A step: one top-level state of the job's state machine that does work. States inside a Map or a
//! Parallel count towards that state's step.

use serde::{Deserialize, Serialize};

use crate::{JobError, Time};

/// The type of the state that a step shows (Amazon States Language, `Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepKind {
    /// A function, a service or an activity.
    Task,
    /// The same states for every item of a list.
    Map,
    /// Parallel branches.
    Parallel,
    /// A pause.
    Wait,
}

impl StepKind {
    /// The name in the schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "TASK",
            Self::Map => "MAP",
            Self::Parallel => "PARALLEL",
            Self::Wait => "WAIT",
        }
    }
}

/// The status of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepStatus {
    /// Not reached yet.
    Pending,
    /// Its work is running.
    Running,
    /// Waiting for a time or an answer.
    Waiting,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped because its job was cancelled.
    Cancelled,
    /// It was stopped because its job timed out.
    TimedOut,
    /// The job succeeded without it: a Choice took another branch.
    Skipped,
}

impl StepStatus {
    /// The name in the schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
            Self::Skipped => "SKIPPED",
        }
    }

    /// Whether the step is running or waiting. At most one step of a job is open.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Waiting)
    }
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The state's name.
    pub name: String,
    /// Position among the job's steps, from 0.
    pub index: u32,
    /// The state's type.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// Its status.
    pub status: StepStatus,
    /// Percent, 0..=100.
    pub progress: u8,
    /// Number of tries; 0 until the first one begins.
    pub attempt: u32,
    /// Number of iterations of a Map (branches of a Parallel) that are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_done: Option<u32>,
    /// Number of iterations of a Map (branches of a Parallel) in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_total: Option<u32>,
    /// When it was first entered; `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Why it failed, or why its last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

impl Step {
    /// A step that has not been reached.
    #[must_use]
    pub fn pending(name: impl Into<String>, index: u32, kind: StepKind) -> Self {
        Self {
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

    /// Begins a try. If the step is already open, a later event arrived first: this is the same
    /// try, and what was reported for it is kept.
    pub(crate) fn enter(&mut self, now: Time) {
        if !self.status.is_open() {
            let (attempt, started_at) = (self.attempt, self.started_at);
            self.reset();
            self.attempt = attempt + 1;
            self.started_at = started_at.or(Some(now));
        }
        self.status = StepStatus::Running;
    }

    /// Resets the step to its state before the first try. Its position is kept.
    pub(crate) fn reset(&mut self) {
        *self = Self::pending(std::mem::take(&mut self.name), self.index, self.kind);
    }
}
