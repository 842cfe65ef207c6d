//! `Step` and `JobError`.

use async_graphql::{Enum, SimpleObject};
use job::{StepKind, StepStatus};

use super::int;
use crate::graphql::schema::scalar::AwsDateTime;

/// The status of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "StepStatus", remote = "job::StepStatus")]
pub enum GraphqlStepStatus {
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
    /// Stopped because its job was cancelled.
    Cancelled,
    /// Stopped because its job timed out.
    TimedOut,
    /// The job succeeded without it: a Choice took another branch.
    Skipped,
}

/// The type of the state that a step shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "StepType", remote = "job::StepKind")]
pub enum StepType {
    /// A function, a service or an activity.
    Task,
    /// The same states for every item of a list.
    Map,
    /// Parallel branches.
    Parallel,
    /// A pause.
    Wait,
}

/// Why a job or a step failed.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobError")]
pub struct JobErrorObject {
    /// The error's name, as Retry and Catch match it.
    name: String,
    /// A description for people.
    message: String,
    /// The step that failed.
    step: Option<String>,
}

impl From<&job::JobError> for JobErrorObject {
    fn from(error: &job::JobError) -> Self {
        Self {
            name: error.name.clone(),
            message: error.message.clone(),
            step: error.step.clone(),
        }
    }
}

/// One top-level state of the job's state machine.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Step")]
pub struct StepObject {
    /// The state's name.
    name: String,
    /// Position among the steps, from 0.
    index: i32,
    /// The state's type.
    #[graphql(name = "type")]
    kind: StepType,
    /// Its status.
    status: GraphqlStepStatus,
    /// Percent, from 0 to 100.
    progress: i32,
    /// Number of tries; 0 until the first one begins.
    attempt: i32,
    /// Number of iterations of a Map, or branches of a Parallel, that are done.
    items_done: Option<i32>,
    /// Number of iterations of a Map, or branches of a Parallel, in all.
    items_total: Option<i32>,
    /// When it was first entered.
    started_at: Option<AwsDateTime>,
    /// When it finished.
    finished_at: Option<AwsDateTime>,
    /// Why it failed, or why its last try did.
    error: Option<JobErrorObject>,
}

impl From<&job::Step> for StepObject {
    fn from(step: &job::Step) -> Self {
        Self {
            name: step.name.clone(),
            index: int(step.index),
            kind: <StepType as From<StepKind>>::from(step.kind),
            status: <GraphqlStepStatus as From<StepStatus>>::from(step.status),
            progress: step.progress.into(),
            attempt: int(step.attempt),
            items_done: step.items_done.map(int),
            items_total: step.items_total.map(int),
            started_at: step.started_at.map(AwsDateTime),
            finished_at: step.finished_at.map(AwsDateTime),
            error: step.error.as_ref().map(Into::into),
        }
    }
}
