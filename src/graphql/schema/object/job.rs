//! `Job` and its status.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object};
use job::Job;
use resolvers::Resolvers;

use super::history::{self, JobHistory};
use super::int;
use super::step::{JobErrorObject, StepObject};
use crate::graphql::error::to_graphql;
use crate::graphql::schema::allowance::Allowance;
use crate::graphql::schema::scalar::{AwsDateTime, AwsJson};

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "job::Status")]
pub enum JobStatus {
    /// Accepted and durable; its execution has not started.
    Queued,
    /// Its execution runs a state.
    Running,
    /// Its execution waits for a time, or for the answer to a task.
    Waiting,
    /// It succeeded; the result is available.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// A caller cancelled it, or its execution was stopped.
    Cancelled,
    /// It took longer than its definition allows.
    TimedOut,
}

/// A job: one run of a state machine, from its submission to its end.
#[derive(Clone, Debug)]
pub struct JobObject(pub Arc<Job>);

/// A job: one run of a state machine, from its submission to its end.
#[Object(name = "Job")]
impl JobObject {
    /// The id, a UUIDv7: ids sort by the time of submission.
    async fn id(&self) -> async_graphql::ID {
        self.0.id.to_string().into()
    }

    /// The job type.
    #[graphql(name = "type")]
    async fn job_type(&self) -> &str {
        &self.0.job_type
    }

    /// The owner who submitted it.
    async fn owner(&self) -> &str {
        &self.0.owner
    }

    /// Its status.
    async fn status(&self) -> JobStatus {
        self.0.status.into()
    }

    /// Percent, from 0 to 100. It never falls within an attempt.
    async fn progress(&self) -> i32 {
        self.0.progress.into()
    }

    /// The last message that a function reported.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The input that was submitted.
    async fn input(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<AwsJson>> {
        let (id, resolvers) = (self.0.id, ctx.data::<Resolvers>()?);
        let read = async {
            let input = resolvers.job_input(id).await.map_err(to_graphql)?;
            Ok(input.map(AwsJson))
        };
        match ctx.data_opt::<Arc<Allowance>>() {
            Some(allowance) => allowance.inputs.get(id, read).await,
            None => read.await,
        }
    }

    /// The result; null until the job has succeeded.
    async fn result(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<AwsJson>> {
        if self.0.status != job::Status::Succeeded {
            return Ok(None);
        }
        let (id, resolvers) = (self.0.id, ctx.data::<Resolvers>()?);
        let read = async {
            let result = resolvers.job_result(id).await.map_err(to_graphql)?;
            Ok(result.map(AwsJson))
        };
        match ctx.data_opt::<Arc<Allowance>>() {
            Some(allowance) => allowance.results.get(id, read).await,
            None => read.await,
        }
    }

    /// Why it failed, was cancelled or timed out.
    async fn error(&self) -> Option<JobErrorObject> {
        self.0.error.as_ref().map(Into::into)
    }

    /// The top-level states that do work, in the order of the definition.
    async fn steps(&self) -> Vec<StepObject> {
        self.0.steps.iter().map(Into::into).collect()
    }

    /// Free-form labels for searching.
    async fn tags(&self) -> &[String] {
        &self.0.tags
    }

    /// The number of the attempt: 1, and one more for each retry.
    async fn attempt(&self) -> i32 {
        int(self.0.attempt)
    }

    /// Number of changes of the job: 1 at its creation, and one more with each change.
    async fn version(&self) -> i32 {
        int(self.0.version.0)
    }

    /// When it was submitted.
    async fn created_at(&self) -> AwsDateTime {
        AwsDateTime(self.0.created_at)
    }

    /// When its execution started, in this attempt.
    async fn started_at(&self) -> Option<AwsDateTime> {
        self.0.started_at.map(AwsDateTime)
    }

    /// When it changed last.
    async fn updated_at(&self) -> AwsDateTime {
        AwsDateTime(self.0.updated_at)
    }

    /// When it finished.
    async fn finished_at(&self) -> Option<AwsDateTime> {
        self.0.finished_at.map(AwsDateTime)
    }

    /// When it will be deleted.
    async fn expires_at(&self) -> Option<AwsDateTime> {
        self.0.expires_at.map(AwsDateTime)
    }

    /// The name of its Step Functions execution.
    async fn execution(&self) -> &str {
        &self.0.execution
    }

    /// The events of its execution, as Step Functions shows them: at most 1,000 events after the
    /// one with the id `after`.
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 0)] after: i32,
        #[graphql(default = 100)] limit: i32,
    ) -> async_graphql::Result<JobHistory> {
        history::read(&self.0, ctx, after, limit).await
    }
}
