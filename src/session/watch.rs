//! A subscription on its way from the executor into the hub.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use job::{Job, JobId, Time, Version};

use crate::realtime::hub::{Hub, ListScope, Mailbox, PayloadGroupKey, Render, WatchId};

/// A future on the heap. Operations are few compared with idle sockets, whose drivers must stay
/// small.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The result of a read of the store; an error ends the operation.
pub type ReadResult<T> = Result<T, Unread>;

/// Why a watch cannot begin.
#[derive(Debug, Clone)]
pub struct Unread {
    /// A JSON array of GraphQL errors.
    pub errors: String,
    /// Whether the server failed. Otherwise the job does not exist or is not visible to the caller.
    pub unavailable: bool,
}

/// Reads the first page of a list: the jobs that match now, in the list's order, at most
/// [`job::limits::LIST_PAGE`].
pub type ReadPage = Arc<dyn Fn() -> BoxFuture<ReadResult<Vec<Arc<Job>>>> + Send + Sync>;

/// A subscription, ready to be registered.
pub struct Watch {
    /// The job or the list that is watched.
    pub target: Target,
    /// Watchers with the same key receive the same bytes.
    pub group: PayloadGroupKey,
    /// Renders the bytes; used if the group is new.
    pub render: Arc<dyn Render>,
    /// When the credentials of this operation end. The connection is closed at the earliest such
    /// time.
    pub expires_at: Option<Time>,
}

/// The target of a subscription.
pub enum Target {
    /// `onJob`.
    Job {
        /// The job.
        id: JobId,
        /// The version that the client has, which is not sent again. See [`Mailbox::snapshot`].
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

/// What a watch has read from the store.
pub(super) enum WatchRead {
    Snapshot(ReadResult<Arc<Job>>),
    Page(ReadResult<Vec<Arc<Job>>>),
}

/// A watch in the hub.
pub(super) struct Registered {
    pub(super) watch: WatchId,
    /// Reads the beginning of the watch.
    pub(super) read: BoxFuture<WatchRead>,
    /// Reads the first page again; `None` for the watch of one job.
    pub(super) page: Option<ReadPage>,
}

pub(super) fn read_page(page: &ReadPage) -> BoxFuture<WatchRead> {
    let reading = page();
    Box::pin(async move { WatchRead::Page(reading.await) })
}

/// Registers a watch. From the return on, every publish reaches the mailbox.
pub(super) fn register(hub: &Hub, mailbox: &Arc<Mailbox>, watch: Watch) -> Registered {
    let (target, group, render) = (watch.target, watch.group, watch.render);
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
                    WatchRead::Snapshot(snapshot.await)
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
                    WatchRead::Page(first().await)
                }),
                page: Some(page),
            }
        }
    }
}

/// Waits until what other nodes publish arrives here. The store is read only then, since a change
/// could otherwise be in neither.
async fn wait(live: Option<futures_util::future::BoxFuture<'static, ()>>) {
    if let Some(live) = live {
        live.await;
    }
}
