//! The port to the job table and its change feed. It consists of jobs, changes and positions, and
//! does not depend on how an adapter stores them.
//!
//! Every adapter passes the same contract suite (`resolvers/tests/store/`).

#[cfg(feature = "aws")]
pub mod dynamodb;
mod range;
pub mod sqlite;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use job::change::Refused;
use job::{Change, Filter, Job, JobId, OverLimit, Time};

/// A new job with the data that is stored with its row.
#[derive(Clone, Debug)]
pub struct CreateJob {
    /// The job, at version 1 ([`job::NewJob::into_job`]).
    pub job: Job,
    /// The input, as JSON text.
    pub input: Arc<str>,
    /// Makes a repeat of the request recognizable.
    pub request: Option<RequestToken>,
}

/// A `clientRequestToken` with its submission. Tokens belong to their owner: two owners may use the
/// same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToken {
    /// The text that the client chose.
    pub token: String,
    /// SHA-256 of the whole submission. The same token with another digest is a conflict.
    pub digest: [u8; 32],
    /// When the token is forgotten.
    pub expires_at: Time,
}

/// The result of `create`.
#[derive(Clone, Debug)]
pub enum Created {
    /// The job is new and durable.
    New(Arc<Job>),
    /// The owner made the same submission before: its job, in its current version.
    Repeat(Arc<Job>),
}

impl Created {
    /// The job, new or not.
    pub fn job(&self) -> &Arc<Job> {
        match self {
            Created::New(job) | Created::Repeat(job) => job,
        }
    }
}

/// The result of `apply`.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The job has a new version, and it is durable.
    Changed(Arc<Job>),
    /// The change was a repeat: the job is unchanged.
    Unchanged(Arc<Job>),
}

impl Outcome {
    /// The job after the change.
    pub fn job(&self) -> &Arc<Job> {
        match self {
            Outcome::Changed(job) | Outcome::Unchanged(job) => job,
        }
    }
}

/// The order of a list. Ids sort by the time of submission, so it is the order of the ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The newest job first.
    #[default]
    Newest,
    /// The oldest job first.
    Oldest,
}

/// A query of a list: filter, order, and beginning.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// The filter. Its limits are already checked.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// Maximum number of jobs, `1..=`[`job::limits::LIST_PAGE`].
    pub limit: usize,
    /// The last job of the previous page.
    pub after: Option<JobId>,
}

impl ListQuery {
    /// Refuses a page over the limit.
    ///
    /// # Errors
    /// [`OverLimit`].
    pub fn check(&self) -> Result<(), OverLimit> {
        job::limits::check("limit", "jobs", self.limit, job::limits::LIST_PAGE)
    }
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The jobs. A page may have fewer jobs than its limit, even none, although more follow: an
    /// adapter reads at most [`SCAN_ROWS`] rows for one page.
    pub jobs: Vec<Arc<Job>>,
    /// The beginning of the next page; `None` at the end of the list.
    pub next: Option<JobId>,
}

/// Maximum number of rows that an adapter reads for one page. It bounds the time of a list for any
/// filter.
pub const SCAN_ROWS: usize = 1_000;

/// A position in the change feed. Only the adapter that issued it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(pub String);

/// One change of one job, after it became durable.
#[derive(Clone, Debug)]
pub struct FeedEvent {
    /// Its position in the feed.
    pub position: Position,
    /// The job before the change. `None` if the change created it, or if the feed is read back and
    /// no longer has it.
    pub old: Option<Arc<Job>>,
    /// The job after the change; `None` if it was purged.
    pub new: Option<Arc<Job>>,
}

/// The changes of all jobs; those of one job are in the order of their versions. The feed does not
/// end, and continues after an error.
pub type Feed = BoxStream<'static, Result<FeedEvent, StoreError>>;

/// A task that one process at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Looks for jobs that stand still.
    Sweep,
    /// Looks at all open jobs after a start.
    OpenSweep,
}

/// The job table and its change feed.
#[async_trait]
pub trait JobStore: Send + Sync + fmt::Debug {
    /// Creates a job, or returns the job that the same request created before.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyConflict`], [`StoreError::Unavailable`].
    async fn create(&self, new: CreateJob) -> Result<Created, StoreError>;

    /// Changes a job by [`Job::apply`], under the condition that it has not changed meanwhile. A
    /// lost race is tried again. When this returns, the new version is durable.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Refused`], [`StoreError::Unavailable`].
    async fn apply(&self, id: JobId, change: Change, now: Time) -> Result<Outcome, StoreError>;

    /// The current version of the job. A read sees every write that was acknowledged before it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn get(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError>;

    /// The jobs that exist, in any order. For at most [`job::limits::BATCH`] ids.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn get_many(&self, ids: &[JobId]) -> Result<Vec<Arc<Job>>, StoreError>;

    /// The input of a job, as JSON text.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn input(&self, id: JobId) -> Result<Option<Arc<str>>, StoreError>;

    /// The result of a job, as JSON text; `None` until it has succeeded.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn result(&self, id: JobId) -> Result<Option<Arc<str>>, StoreError>;

    /// One page of the jobs that match a filter.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError>;

    /// The changes after `after`; without it, the changes after this call: every write that starts
    /// when this future is ready is seen.
    ///
    /// # Errors
    /// [`StoreError::PositionLost`] if the feed no longer reaches back to this position,
    /// [`StoreError::Unavailable`].
    async fn changes(&self, after: Option<Position>) -> Result<Feed, StoreError>;

    /// The first jobs that expired before `now`, at most `at_most` and at most
    /// [`job::limits::BATCH`]. [`purge`](JobStore::purge) with the same arguments deletes them,
    /// unless they have changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn expired(&self, now: Time, at_most: usize) -> Result<Vec<JobId>, StoreError>;

    /// Deletes at most `at_most` jobs that expired before `now`, with all that belongs to them, and
    /// forgets old tokens and changes. Returns how many jobs were deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn purge(&self, now: Time, at_most: usize) -> Result<usize, StoreError>;

    /// Takes or renews a lease, so that one process at a time does a task. Returns whether `holder`
    /// has it until `now` + `life_millis`. A store of a single process always grants it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn lease(
        &self,
        _name: Lease,
        _holder: &str,
        _now: Time,
        _life_millis: i64,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Whether the store can be read and written at this moment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn check(&self) -> Result<(), StoreError>;
}

/// Errors of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such job; it may have expired.
    #[error("there is no job {0}: it never existed, or it has expired")]
    NotFound(JobId),
    /// The rules do not allow the change.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A value is over its limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The request token was used for another submission.
    #[error(
        "clientRequestToken `{token}` was used before with another type, input or tags (job {first}): use a new token for a new job"
    )]
    IdempotencyConflict {
        /// The token.
        token: String,
        /// The job of the token.
        first: JobId,
    },
    /// The feed no longer has the changes after this position. Read the jobs themselves and
    /// continue from now.
    #[error("the change feed no longer reaches back to the position asked for")]
    PositionLost,
    /// The store failed, and nothing was changed: no disk space, no connection, too much load. A
    /// later try may succeed.
    #[error("the job store is not available: {reason}")]
    Unavailable {
        /// The reason, without secrets.
        reason: String,
        /// The cause, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
