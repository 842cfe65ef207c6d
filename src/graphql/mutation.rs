//! The mutation fields.

use std::sync::Arc;
use std::time::Instant;

use async_graphql::{Context, ID, InputObject, Object};
use job::change::Report;
use job::{Job, JobId};
use resolvers::jobs::{ReportProgress, SubmitJob};
use resolvers::{Caller, Resolvers};

use super::error::{coded, throttled, to_graphql};
use super::object::{JobObject, SubmitJobResult, UploadObject, WatchTokenObject};
use super::rate::SubmitRate;
use super::scalar::AwsJson;
use crate::publisher::Publisher;

/// A job to run.
#[derive(Clone, Debug, InputObject)]
pub struct SubmitJobInput {
    /// The job type, one of `listJobTypes`.
    #[graphql(name = "type")]
    job_type: String,
    /// The input, a JSON document of at most 256 KiB; without one, `{}`.
    input: Option<AwsJson>,
    /// Words to find the job by, at most 10.
    tags: Option<Vec<String>>,
    /// A text of the client's choice, at most 128 bytes: to submit the same again with it returns the first job, for 24 hours.
    client_request_token: Option<String>,
}

impl From<SubmitJobInput> for SubmitJob {
    fn from(input: SubmitJobInput) -> SubmitJob {
        SubmitJob {
            job_type: input.job_type,
            input: input.input.map(|AwsJson(text)| text),
            tags: input.tags.unwrap_or_default(),
            client_request_token: input.client_request_token,
        }
    }
}

/// What a function reports about its step.
#[derive(Clone, Debug, InputObject)]
pub struct ReportProgressInput {
    /// The job.
    id: ID,
    /// The step; without one, the step that is at work.
    step: Option<String>,
    /// Percent of the step, from 0 to 100; less than before is ignored.
    progress: Option<i32>,
    /// For a person, at most 1 KiB.
    message: Option<String>,
    /// Items done.
    items_done: Option<i32>,
    /// Items in all.
    items_total: Option<i32>,
}

/// Submitting and steering jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutation;

fn parse_id(id: &ID) -> async_graphql::Result<JobId> {
    id.parse()
        .map_err(|error| to_graphql(resolvers::Error::InvalidId(error)))
}

fn count(field: &'static str, value: Option<i32>) -> async_graphql::Result<Option<u32>> {
    let bad = |_| coded(format!("{field} must not be negative"), "BadRequest");
    value
        .map(|value| u32::try_from(value).map_err(bad))
        .transpose()
}

/// Counts jobs against what one caller may submit.
fn take(ctx: &Context<'_>, caller: &Caller, jobs: usize) -> async_graphql::Result<()> {
    let taken = ctx
        .data::<Arc<SubmitRate>>()?
        .take(&caller.subject, jobs, Instant::now());
    taken.map_err(|too_fast| throttled(too_fast.to_string(), too_fast.retry_after()))
}

#[Object]
impl Mutation {
    /// Accepts a job. When this answers, the job is durable and will run, once.
    async fn submit_job(
        &self,
        ctx: &Context<'_>,
        input: SubmitJobInput,
    ) -> async_graphql::Result<JobObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        take(ctx, caller, 1)?;
        let job = resolvers
            .submit_job(caller, input.into())
            .await
            .map_err(to_graphql)?;
        Ok(JobObject(job))
    }

    /// Accepts up to 100 jobs; each succeeds or fails alone, and the answers stand in the order of the inputs.
    async fn submit_jobs(
        &self,
        ctx: &Context<'_>,
        inputs: Vec<SubmitJobInput>,
    ) -> async_graphql::Result<Vec<SubmitJobResult>> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        take(ctx, caller, inputs.len().min(job::limits::BATCH))?;
        let inputs = inputs.into_iter().map(SubmitJob::from).collect();
        let results = resolvers
            .submit_jobs(caller, inputs)
            .await
            .map_err(to_graphql)?;
        let result = |result: Result<Arc<Job>, resolvers::Error>| match result {
            Ok(job) => SubmitJobResult {
                job: Some(JobObject(job)),
                failure: None,
            },
            Err(error) => SubmitJobResult {
                job: None,
                failure: Some((error.to_string(), error.code())),
            },
        };
        Ok(results.into_iter().map(result).collect())
    }

    /// Ends a job that is not finished.
    async fn cancel_job(
        &self,
        ctx: &Context<'_>,
        id: ID,
        reason: Option<String>,
    ) -> async_graphql::Result<JobObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let job = resolvers
            .cancel_job(caller, parse_id(&id)?, reason.as_deref())
            .await;
        Ok(JobObject(job.map_err(to_graphql)?))
    }

    /// Takes a failed, cancelled or timed-out job into its next attempt: from the failed step where the engine can, else from the start.
    async fn retry_job(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<JobObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let job = resolvers
            .retry_job(caller, parse_id(&id)?)
            .await
            .map_err(to_graphql)?;
        Ok(JobObject(job))
    }

    /// Answers the task that waits in a step: with its output, or with an error's name.
    async fn resume_job(
        &self,
        ctx: &Context<'_>,
        id: ID,
        step: String,
        output: Option<AwsJson>,
        error: Option<String>,
    ) -> async_graphql::Result<JobObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let output = output.as_ref().map(|AwsJson(text)| text.as_ref());
        let job = resolvers
            .resume_job(caller, parse_id(&id)?, &step, output, error.as_deref())
            .await;
        Ok(JobObject(job.map_err(to_graphql)?))
    }

    /// For functions: takes a report about a step. Needs the job's report token, or IAM.
    async fn report_progress(
        &self,
        ctx: &Context<'_>,
        input: ReportProgressInput,
    ) -> async_graphql::Result<JobObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let progress = match input.progress {
            Some(progress) => Some(u8::try_from(progress).map_err(|_| {
                coded(
                    format!("progress is {progress}, and it must be from 0 to 100"),
                    "BadRequest",
                )
            })?),
            None => None,
        };
        let report = ReportProgress {
            id: parse_id(&input.id)?,
            report: Report {
                step: input.step,
                progress,
                message: input.message,
                items_done: count("itemsDone", input.items_done)?,
                items_total: count("itemsTotal", input.items_total)?,
            },
        };
        let job = resolvers
            .report_progress(caller, report)
            .await
            .map_err(to_graphql)?;
        Ok(JobObject(job))
    }

    /// A place for one file of at most 1 GiB: an address to PUT it to, and one to GET it from.
    async fn create_upload(
        &self,
        ctx: &Context<'_>,
        name: String,
        content_type: Option<String>,
        size: i32,
    ) -> async_graphql::Result<UploadObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let upload = resolvers.create_upload(caller, &name, content_type.as_deref(), size.into());
        let upload = upload.await;
        Ok(upload.map_err(to_graphql)?.into())
    }

    /// A token with which somebody without an account may read this one job, and nothing else.
    async fn create_watch_token(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default = 900)] ttl_seconds: i32,
    ) -> async_graphql::Result<WatchTokenObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let token = resolvers
            .create_watch_token(caller, parse_id(&id)?, ttl_seconds.into())
            .await;
        Ok(token.map_err(to_graphql)?.into())
    }

    /// For the job table's stream: tells the watchers that a job changed from `old` to `new`, both as stored. To publish the same version
    /// twice tells nobody anything new.
    async fn publish_job(
        &self,
        ctx: &Context<'_>,
        new: AwsJson,
        old: Option<AwsJson>,
    ) -> async_graphql::Result<Option<JobObject>> {
        ctx.data::<Caller>()?.may_publish().map_err(to_graphql)?;
        let read = |argument: &str, json: &AwsJson| {
            json::object::<Job>(&json.0).map(Arc::new).map_err(|error| {
                coded(
                    format!("{argument} is not a job as it is stored: {error}"),
                    "BadRequest",
                )
            })
        };
        let new = read("new", &new)?;
        let old = old.as_ref().map(|old| read("old", old)).transpose()?;
        let publisher = ctx.data::<Publisher>()?;
        publisher.publish_first(old.as_ref(), &new).await;
        Ok(Some(JobObject(new)))
    }
}
