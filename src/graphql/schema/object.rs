//! The schema's object types: jobs and what hangs on them.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, Object, SimpleObject};
use job::{Job, StepKind, StepStatus};
use resolvers::Resolvers;
use resolvers::files::Upload;
use resolvers::jobs::{DurationStats, JobStats, WatchToken};
use resolvers::workflow::JobType;

use crate::graphql::response::allowance::Allowance;
use crate::graphql::response::error::to_graphql;
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
        let bad = |argument: &'static str, reason: &str| {
            let reason = reason.to_owned();
            to_graphql(resolvers::Error::BadInput { argument, reason })
        };
        let after = u64::try_from(after).map_err(|_| bad("after", "must not be negative"))?;
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=HISTORY_PAGE).contains(limit))
            .ok_or_else(|| bad("limit", "must be from 1 to 1000"))?;
        let allowance = ctx.data_opt::<Arc<Allowance>>();
        let resolvers = ctx.data::<Resolvers>()?;
        let mut events = Vec::new();
        let (mut last, mut bytes, mut next) = (after, 0, None);
        // Read in parts, and no longer than the answer may be: an event may hold a whole input and
        // a whole output.
        while events.len() < limit {
            let part = (limit - events.len()).min(HISTORY_PART);
            let page = resolvers.history_of(&self.0, last, part).await;
            let page = page.map_err(to_graphql)?;
            for event in &page.events {
                let text = event.to_string();
                bytes += text.len();
                events.push(AwsJson(text.into()));
            }
            next = page.next;
            let is_over = allowance.is_some_and(|allowance| allowance.is_over());
            match next {
                Some(id) if bytes < HISTORY_BYTES && !is_over => last = id,
                _ => break,
            }
        }
        Ok(JobHistory {
            events,
            next: next.map(int),
        })
    }
}

/// Events that are read at once.
const HISTORY_PART: usize = 50;
/// Size in bytes of a page of a history from which on it ends, before its limit of events.
const HISTORY_BYTES: usize = 1024 * 1024;

/// Events of a history in one page (AWS's `GetExecutionHistory`: 1,000).
pub const HISTORY_PAGE: usize = 1_000;

/// A page of an execution's history.
#[derive(Clone, Debug, SimpleObject)]
pub struct JobHistory {
    /// The events as `GetExecutionHistory` shows them, oldest first.
    events: Vec<AwsJson>,
    /// The id of the last event, if more follow; the next page is `after` this id.
    next: Option<i32>,
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
        JobErrorObject {
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
        StepObject {
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

/// GraphQL's Int has 31 bits; a larger count shows the largest.
pub(in crate::graphql) fn int(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

/// A page of jobs.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobPage")]
pub struct JobPageObject {
    /// The jobs. A page may be short, even empty, although more follow.
    pub items: Vec<JobObject>,
    /// The argument for the next page; null at the end.
    pub next_token: Option<String>,
}

/// A job type: a state machine whose executions are jobs.
#[derive(Clone, Debug)]
pub struct JobTypeObject(pub Arc<JobType>);

/// A job type: a state machine whose executions are jobs.
#[Object(name = "JobType")]
impl JobTypeObject {
    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }
    /// What it does: the definition's Comment.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }
    /// The JSON Schema of its input.
    async fn input_schema(&self) -> Option<AwsJson> {
        self.0.input_schema.clone().map(AwsJson)
    }
    /// The state machine, in Amazon States Language.
    async fn definition(&self) -> AwsJson {
        AwsJson(Arc::clone(&self.0.definition))
    }
    /// The names of its steps, in the order of the definition.
    async fn steps(&self) -> Vec<&str> {
        self.0.steps.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The number of jobs with a status.
#[derive(Clone, Debug, SimpleObject)]
pub struct StatusCount {
    /// The status.
    status: JobStatus,
    /// The number of jobs.
    count: i32,
}

/// Durations of the succeeded jobs of a type.
#[derive(Clone, Debug, SimpleObject)]
pub struct TypeDuration {
    /// The job type.
    #[graphql(name = "type")]
    job_type: String,
    /// Number of jobs that succeeded.
    count: i32,
    /// Median duration, in milliseconds.
    p50_millis: i32,
    /// 95th percentile of the duration, in milliseconds.
    p95_millis: i32,
}

/// Counts and durations of the newest jobs.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobStats")]
pub struct JobStatsObject {
    /// Number of jobs that were counted.
    total: i32,
    /// Whether there are more jobs than were counted (the 10,000 newest).
    truncated: bool,
    /// Counts by status, with an entry for every status.
    by_status: Vec<StatusCount>,
    /// Durations by type.
    durations: Vec<TypeDuration>,
}

impl From<JobStats> for JobStatsObject {
    fn from(stats: JobStats) -> Self {
        let duration = |stats: DurationStats| TypeDuration {
            job_type: stats.job_type,
            count: int(stats.count),
            p50_millis: int(stats.p50_millis),
            p95_millis: int(stats.p95_millis),
        };
        let count = |(status, count): (job::Status, usize)| StatusCount {
            status: status.into(),
            count: int(count),
        };
        JobStatsObject {
            total: int(stats.total),
            truncated: stats.truncated,
            by_status: stats.by_status.into_iter().map(count).collect(),
            durations: stats.durations.into_iter().map(duration).collect(),
        }
    }
}

/// The addresses for one file.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Upload")]
pub struct UploadObject {
    /// The file's key.
    id: async_graphql::ID,
    /// The file's name.
    name: String,
    /// The address to PUT the bytes to, until `expiresAt`.
    put_url: String,
    /// The address to GET the bytes from, for seven days. It needs no credentials.
    get_url: String,
    /// When the PUT address expires.
    expires_at: AwsDateTime,
}

impl From<Upload> for UploadObject {
    fn from(upload: Upload) -> Self {
        UploadObject {
            id: upload.id.into(),
            name: upload.name,
            put_url: upload.put_url,
            get_url: upload.get_url,
            expires_at: AwsDateTime(upload.expires_at),
        }
    }
}

/// A token that can only read one job.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "WatchToken")]
pub struct WatchTokenObject {
    /// The token; send it as `Authorization: Bearer TOKEN`.
    token: String,
    /// When the token expires.
    expires_at: AwsDateTime,
}

impl From<WatchToken> for WatchTokenObject {
    fn from(token: WatchToken) -> Self {
        WatchTokenObject {
            token: token.token,
            expires_at: AwsDateTime(token.expires_at),
        }
    }
}

/// The result for one job of a batch: the job, or the error.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct SubmitJobResult {
    /// The job, if it was accepted.
    pub job: Option<JobObject>,
    /// What went wrong, when it was not.
    #[graphql(skip)]
    pub failure: Option<(String, &'static str)>,
}

/// An error of one job of a batch.
#[derive(Clone, Debug, SimpleObject)]
pub struct SubmitJobError {
    /// The code, as `errorType` of other errors.
    code: String,
    /// A description of the error.
    message: String,
}

#[ComplexObject]
impl SubmitJobResult {
    /// The error, if the job was not accepted.
    async fn error(&self) -> Option<SubmitJobError> {
        self.failure.as_ref().map(|(message, code)| SubmitJobError {
            code: (*code).to_owned(),
            message: message.clone(),
        })
    }
}

/// The kind of a change of a live list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::realtime::hub::ListEventKind")]
pub enum JobChangeKind {
    /// The job now matches the filter.
    Enter,
    /// The job matched before and matches now.
    Change,
    /// The job no longer matches. The event has its current version.
    Leave,
    /// The page is complete; changes follow. Without a job.
    Snapshot,
    /// Too many changes: discard the list, a new page follows. Without a job.
    Resync,
}

/// A change of a live list.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobChange")]
pub struct JobChangeObject {
    /// The kind of the change.
    pub kind: JobChangeKind,
    /// The job.
    pub job: Option<JobObject>,
}
