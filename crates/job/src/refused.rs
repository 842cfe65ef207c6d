//! Why a change of a job is not allowed.

use crate::limits::OverLimit;
use crate::{Event, Status, Version};

/// Why a change is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`crate::RULES`] has no line for this status and event.
    #[error("job {id} is {status}: {}", why(*event))]
    Rule {
        /// The job.
        id: crate::JobId,
        /// Its status.
        status: Status,
        /// The event that was refused.
        event: Event,
    },
    /// The job has changed since the caller read it.
    #[error(
        "job is at version {actual}, not at version {expected}: read it again and decide again"
    )]
    Version {
        /// The version that the caller expected.
        expected: Version,
        /// The version of the job.
        actual: Version,
    },
    /// The attempt is over.
    #[error(
        "the report is for attempt {attempt}, and the job is in attempt {actual}: this function's result is not wanted any more"
    )]
    Attempt {
        /// The attempt that the caller expected.
        attempt: u32,
        /// The attempt of the job.
        actual: u32,
    },
    /// A text or list is over its limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// A number is outside its range.
    #[error("progress is {0}, and it must be from 0 to 100")]
    Progress(u8),
    /// The job has no step with this name.
    #[error(
        "the job has no step `{0}`: its steps are the top-level Task, Map, Parallel and Wait states of its state machine"
    )]
    UnknownStep(String),
}

fn why(event: Event) -> &'static str {
    match event {
        Event::Retry => "only a job that is FAILED, CANCELLED or TIMED_OUT can be retried",
        Event::Cancel => "only a job that is not finished can be cancelled",
        Event::Progress => "only a job that is not finished takes reports",
        Event::Start
        | Event::Wait
        | Event::Resume
        | Event::Succeed
        | Event::Fail
        | Event::TimeOut => "its execution can no longer change it",
    }
}
