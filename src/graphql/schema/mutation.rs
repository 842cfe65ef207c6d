//! The mutation fields.

use std::sync::Arc;
use std::time::Instant;

use async_graphql::{Context, ID, InputObject, Object};
use job::change::Report;
use job::{Job, JobId};
use resolvers::jobs::{ReportProgress, SubmitJob};
use resolvers::{Caller, Resolvers};

use crate::graphql::error::{coded, throttled, to_graphql};
use crate::graphql::rate::SubmitRate;
use crate::graphql::schema::object::{JobObject, SubmitJobResult, UploadObject, WatchTokenObject};
use crate::graphql::schema::scalar::AwsJson;
use crate::realtime::publisher::Publisher;

/// A job to run.
#[derive(Clone, Debug, InputObject)]
pub struct SubmitJobInput {
    /// The job type, one of `listJobTypes`.
    #[graphql(name = "type")]
    job_type: String,
    /// The input, a JSON document of at most 256 KiB; by default `{}`.
    input: Option<AwsJson>,
    /// Free-form labels for searching, at most 10.
    tags: Option<Vec<String>>,
    /// A text that the client chooses, at most 128 bytes. A submission with the same text returns
    /// the first job, for 24 hours.
    client_request_token: Option<String>,
}

impl From<SubmitJobInput> for SubmitJob {
    fn from(input: SubmitJobInput) -> Self {
        Self {
            job_type: input.job_type,
            input: input.input.map(|AwsJson(text)| text),
            tags: input.tags.unwrap_or_default(),
            client_request_token: input.client_request_token,
        }
    }
}

/// A report of a function about its step.
#[derive(Clone, Debug, InputObject)]
pub struct ReportProgressInput {
    /// The job.
    id: ID,
    /// The step; by default the step that is running.
    step: Option<String>,
    /// Percent of the step, from 0 to 100. A value below the current one is ignored.
    progress: Option<i32>,
    /// A text for people, at most 1 KiB.
    message: Option<String>,
    /// Number of items that are done.
    items_done: Option<i32>,
    /// Number of items in all.
    items_total: Option<i32>,
}

/// Submits and controls jobs.
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

/// Counts jobs against the rate of the caller.
fn take(ctx: &Context<'_>, caller: &Caller, jobs: usize) -> async_graphql::Result<()> {
    let taken = ctx
        .data::<Arc<SubmitRate>>()?
        .take(&caller.subject, jobs, Instant::now());
    taken.map_err(|too_fast| throttled(too_fast.to_string(), too_fast.retry_after()))
}

#[Object]
impl Mutation {
    /// Accepts a job. When the response arrives, the job is durable and will run exactly once.
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

    /// Accepts at most 100 jobs. Each succeeds or fails alone; results are in the order of the
    /// inputs.
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

    /// Cancels a job that is not finished.
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

    /// Starts the next attempt of a failed, cancelled or timed-out job: from the failed step if the
    /// engine supports it, otherwise from the start.
    async fn retry_job(&self, ctx: &Context<'_>, id: ID) -> async_graphql::Result<JobObject> {
        let (resolvers, caller) = (ctx.data::<Resolvers>()?, ctx.data::<Caller>()?);
        let job = resolvers
            .retry_job(caller, parse_id(&id)?)
            .await
            .map_err(to_graphql)?;
        Ok(JobObject(job))
    }

    /// Completes the task that waits in a step, with its output or with an error's name.
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

    /// For functions: reports on a step. Requires the job's report token, or IAM.
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

    /// Prepares the upload of one file of at most 1 GiB: an address to PUT it to, and one to GET it
    /// from.
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

    /// Creates a token that allows a client without an account to read this job only.
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

    /// For the job table's stream: notifies the watchers that a job changed from `old` to `new`,
    /// both as stored. A repeated version is not delivered again.
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
