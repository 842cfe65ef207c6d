//! The port to the job table and its change feed. It speaks of jobs, changes and positions; how an adapter keeps them is its own affair.
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

/// A new job with what goes along with its row.
#[derive(Clone, Debug)]
pub struct CreateJob {
    /// The job, at version 1 ([`job::NewJob::into_job`]).
    pub job: Job,
    /// The input, as JSON text.
    pub input: Arc<str>,
    /// What makes a repeat of the request recognizable.
    pub request: Option<RequestToken>,
}

/// A `clientRequestToken` with what it stands for. Tokens are the owner's own: two owners may use the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToken {
    /// The text that the client chose.
    pub token: String,
    /// SHA-256 of everything that was submitted: the same token with another digest is a conflict.
    pub digest: [u8; 32],
    /// From when on the token is forgotten.
    pub expires_at: Time,
}

/// What `create` came to.
#[derive(Clone, Debug)]
pub enum Created {
    /// The job is new and durable.
    New(Arc<Job>),
    /// The owner submitted the same before: this is that job, as it is now.
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

/// What `apply` came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The job has a new version, and it is durable.
    Changed(Arc<Job>),
    /// The change was a repeat: the job as it is.
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

/// Which jobs, in which order, from where.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// The jobs that are wanted; already checked for its limits.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// At most so many, `1..=`[`job::limits::LIST_PAGE`].
    pub limit: usize,
    /// Where the last page ended.
    pub after: Option<JobId>,
}

impl ListQuery {
    /// Refuses a page that is larger than a page may be.
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
    /// The jobs. It may hold fewer than the limit, even none, although more follow: an adapter looks at no more than
    /// [`SCAN_ROWS`] rows for one page.
    pub jobs: Vec<Arc<Job>>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<JobId>,
}

/// How many rows an adapter looks at for one page, at most: it bounds the time of a list whatever the filter is.
pub const SCAN_ROWS: usize = 1_000;

/// A place in the change feed. Only the adapter that gave it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(pub String);

/// One change of one job, after it became durable.
#[derive(Clone, Debug)]
pub struct FeedEvent {
    /// Where it stands in the feed.
    pub position: Position,
    /// The job before; `None` when the change created it, or when the feed was read back and no longer holds it.
    pub old: Option<Arc<Job>>,
    /// The job after; `None` when it was purged.
    pub new: Option<Arc<Job>>,
}

/// The changes of all jobs, those of one job in the order of their versions. It does not end; an error may be followed by more.
pub type Feed = BoxStream<'static, Result<FeedEvent, StoreError>>;

/// The job table and its change feed.
#[async_trait]
pub trait JobStore: Send + Sync + fmt::Debug {
    /// Creates a job, or finds the one that the same request created before.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyConflict`], [`StoreError::Unavailable`].
    async fn create(&self, new: CreateJob) -> Result<Created, StoreError>;

    /// Changes a job by [`Job::apply`], under the condition that nobody else changed it meanwhile; a lost race is tried again.
    /// When it returns, the new version is durable.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Refused`], [`StoreError::Unavailable`].
    async fn apply(&self, id: JobId, change: Change, now: Time) -> Result<Outcome, StoreError>;

    /// The job as it is now: a read sees every write that was acknowledged before it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn get(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError>;

    /// Those of the jobs that exist, in any order. For at most [`job::limits::BATCH`] ids.
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

    /// One page of the jobs that a filter wants.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError>;

    /// The changes after `after`; without it, those after this call: what is written once this future is ready is seen.
    ///
    /// # Errors
    /// [`StoreError::PositionLost`] when the feed no longer reaches back so far, [`StoreError::Unavailable`].
    async fn changes(&self, after: Option<Position>) -> Result<Feed, StoreError>;

    /// The first of the jobs that expired before `now`: at most `at_most`, for at most [`job::limits::BATCH`]. [`purge`](JobStore::purge) with
    /// the same arguments deletes them, unless they were changed meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn expired(&self, now: Time, at_most: usize) -> Result<Vec<JobId>, StoreError>;

    /// Deletes at most `at_most` jobs that expired before `now`, with all that belongs to them, and forgets old tokens and changes.
    /// Returns how many jobs were deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn purge(&self, now: Time, at_most: usize) -> Result<usize, StoreError>;

    /// Whether the store can be read and written at this moment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn check(&self) -> Result<(), StoreError>;
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such job; it may have expired.
    #[error("there is no job {0}: it never existed, or it has expired")]
    NotFound(JobId),
    /// The rules do not allow the change.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Something is over its limit.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// The request token was used for another submission.
    #[error(
        "clientRequestToken `{token}` was used before with another type, input or tags (job {first}): use a new token for a new job"
    )]
    IdempotencyConflict {
        /// The token.
        token: String,
        /// The job that the token stands for.
        first: JobId,
    },
    /// The feed no longer holds what came after this position. Read the jobs themselves and go on from now.
    #[error("the change feed no longer reaches back to the position asked for")]
    PositionLost,
    /// The store did not do it, and nothing was changed: no disk space, no connection, too much load. It may work later.
    #[error("the job store is not available: {reason}")]
    Unavailable {
        /// What is wrong, without secrets.
        reason: String,
        /// The cause, for the log.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}
