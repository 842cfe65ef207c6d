//! Jobs as the commands request and show them. The crate `job` defines a job; its JSON has the
//! schema's names.

use anstyle::Style;
use job::{Job, Status, Step, StepStatus, Time};
use serde_json::Value;

use crate::cli::show::text::{CYAN, DIM, GREEN, RED, YELLOW};

/// The fields of a job, as a fragment `Job` of a document.
pub(crate) const FRAGMENT: &str = "fragment Job on Job { id type owner status progress message tags attempt version createdAt startedAt \
    updatedAt finishedAt expiresAt execution error { name message step } steps { name index type status progress attempt itemsDone \
    itemsTotal startedAt finishedAt error { name message step } } }";

/// A job from a response, with the JSON for scripts.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) job: Job,
    /// The JSON that the server sent; `input` and `result` are JSON values instead of text.
    pub(crate) json: Value,
}

impl Seen {
    /// Reads a job that has at least the fields of [`FRAGMENT`].
    pub(crate) fn read(mut fields: Value) -> Result<Seen, serde_json::Error> {
        let job = serde::Deserialize::deserialize(&fields)?;
        for name in ["input", "result"] {
            if let Some(value) = fields.get_mut(name)
                && let Value::String(text) = value
            {
                *value = json::read_made(text).map_err(serde::de::Error::custom)?;
            }
        }
        Ok(Seen { job, json: fields })
    }

    /// The result of a job that succeeded, if it was requested.
    pub(crate) fn result(&self) -> Option<&Value> {
        self.json.get("result").filter(|value| !value.is_null())
    }

    /// The input, if it was requested.
    pub(crate) fn input(&self) -> Option<&Value> {
        self.json.get("input").filter(|value| !value.is_null())
    }
}

/// How a status is displayed.
pub(crate) trait Look {
    fn style(self) -> Style;
    /// A mark of one character.
    fn mark(self) -> &'static str;
}

impl Look for Status {
    fn style(self) -> Style {
        match self {
            Status::Queued => DIM,
            Status::Running => CYAN,
            Status::Waiting | Status::Cancelled => YELLOW,
            Status::Succeeded => GREEN,
            Status::Failed | Status::TimedOut => RED,
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Status::Queued => "·",
            Status::Running => "▸",
            Status::Waiting => "…",
            Status::Succeeded => "✔",
            Status::Failed | Status::TimedOut => "✘",
            Status::Cancelled => "■",
        }
    }
}

impl Look for StepStatus {
    fn style(self) -> Style {
        match self {
            StepStatus::Pending | StepStatus::Skipped => DIM,
            StepStatus::Running => CYAN,
            StepStatus::Waiting | StepStatus::Cancelled => YELLOW,
            StepStatus::Succeeded => GREEN,
            StepStatus::Failed | StepStatus::TimedOut => RED,
        }
    }

    fn mark(self) -> &'static str {
        match self {
            StepStatus::Pending => "·",
            StepStatus::Running => "▸",
            StepStatus::Waiting => "…",
            StepStatus::Succeeded => "✔",
            StepStatus::Failed | StepStatus::TimedOut => "✘",
            StepStatus::Cancelled => "■",
            StepStatus::Skipped => "-",
        }
    }
}

/// `2/4` of a Map or Parallel.
pub(crate) fn items(step: &Step) -> Option<String> {
    let total = step.items_total?;
    Some(format!("{}/{total}", step.items_done.unwrap_or(0)))
}

/// Duration of a finished step.
pub(crate) fn step_millis(step: &Step) -> Option<i64> {
    Some(step.finished_at?.as_millis() - step.started_at?.as_millis())
}

/// Duration of a finished job, from its start.
pub(crate) fn millis(job: &Job) -> Option<i64> {
    let began = job.started_at.unwrap_or(job.created_at);
    Some(job.finished_at?.as_millis() - began.as_millis())
}

/// Milliseconds since a time.
pub(crate) fn age(time: Time) -> i64 {
    resolvers::jobs::now().as_millis() - time.as_millis()
}
