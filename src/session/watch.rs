//! A subscription on its way from the executor into the hub.

use std::fmt;
use std::sync::Arc;

use job::{Job, JobId, Time, Version};

use super::BoxFuture;
use crate::realtime::hub::{Hub, ListScope, Mailbox, PayloadGroupKey, Render, WatchId};

/// What a read of the store gives; an error ends the operation.
pub type ReadResult<T> = Result<T, Unread>;

/// Why there is nothing to begin with.
#[derive(Debug, Clone)]
pub struct Unread {
    /// A JSON array of GraphQL errors.
    pub errors: String,
    /// Whether it is the server's fault, and not that there is no such job or that it is not for this caller.
    pub unavailable: bool,
}

/// Reads the first page of a list: what matches now, in the list's order, at most [`job::limits::LIST_PAGE`] jobs.
pub type ReadPage = Arc<dyn Fn() -> BoxFuture<ReadResult<Vec<Arc<Job>>>> + Send + Sync>;

/// A subscription, ready to be registered.
pub struct Watch {
    /// What is watched.
    pub target: Target,
    /// Who gets the same bytes.
    pub group: PayloadGroupKey,
    /// Makes the bytes; used if the group is new.
    pub render: Arc<dyn Render>,
    /// When the credentials of this operation end; the connection is closed at the earliest such time.
    pub expires_at: Option<Time>,
}

/// What a subscription watches.
pub enum Target {
    /// `onJob`.
    Job {
        /// The job.
        id: JobId,
        /// The version that the client has: it is not told again. See [`Mailbox::snapshot`].
        after: Option<Version>,
        /// Reads the job from the store; polled after the watch is live.
        snapshot: BoxFuture<ReadResult<Arc<Job>>>,
    },
    /// `onJobs`.
    Jobs {
        /// Which jobs.
        scope: Arc<ListScope>,
        /// Called after the watch is live, and again after each RESYNC.
        page: ReadPage,
    },
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { id, after, .. } => f.debug_tuple("Job").field(id).field(after).finish(),
            Self::Jobs { scope, .. } => f.debug_tuple("Jobs").field(scope).finish(),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("target", &self.target)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// What was read for a watch.
pub(super) enum Read {
    Snapshot(ReadResult<Arc<Job>>),
    Page(ReadResult<Vec<Arc<Job>>>),
}

/// A watch in the hub.
pub(super) struct Registered {
    pub(super) watch: WatchId,
    /// Gives what the watch begins with.
    pub(super) read: BoxFuture<Read>,
    /// For a list.
    pub(super) page: Option<ReadPage>,
}

pub(super) fn read_page(page: &ReadPage) -> BoxFuture<Read> {
    let reading = page();
    Box::pin(async move { Read::Page(reading.await) })
}

/// From the return on, every publish reaches the mailbox.
pub(super) fn register(
    hub: &Hub,
    mailbox: &Arc<Mailbox>,
    target: Target,
    group: PayloadGroupKey,
    render: Arc<dyn Render>,
) -> Registered {
    match target {
        Target::Job {
            id,
            after,
            snapshot,
        } => {
            let watch = hub.watch(id, mailbox, group, || render, after);
            let live = hub.live_job(id);
            Registered {
                watch,
                read: Box::pin(async move {
                    wait(live).await;
                    Read::Snapshot(snapshot.await)
                }),
                page: None,
            }
        }
        Target::Jobs { scope, page } => {
            let watch = hub.watch_list(Arc::clone(&scope), mailbox, group, || render);
            let live = hub.live_list(&scope);
            let first = Arc::clone(&page);
            Registered {
                watch,
                read: Box::pin(async move {
                    wait(live).await;
                    Read::Page(first().await)
                }),
                page: Some(page),
            }
        }
    }
}

/// What other nodes publish has to arrive before the store is read: else a change may fall between the two.
async fn wait(live: Option<futures_util::future::BoxFuture<'static, ()>>) {
    if let Some(live) = live {
        live.await;
    }
}
