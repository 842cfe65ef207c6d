//! A payload group: watchers that receive the same bytes. Each event is executed and serialized
//! once for the whole group, when the first watcher takes it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use job::{Job, JobId};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{Event, JobChange, ListEventKind};

/// Identifies a payload group. Watchers with equal keys share payloads.
///
/// The edge makes the key from the document, the operation name, the variables and the scope that
/// the caller may see, so that two callers who may see different fields never have equal keys. What
/// does not change the bytes (such as `after`) is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PayloadGroupKey(pub Arc<str>);

/// Executes the group's operation on one event.
#[async_trait]
pub trait Render: Send + Sync + 'static {
    /// The JSON text of the `payload`: `{"data":{…}}`, with `errors` when there are any, on one
    /// line.
    async fn render(&self, event: Event) -> Bytes;
}

/// One version of a job, or a marker of a list, with the payloads that a group receives for it.
///
/// A payload is rendered when the first watcher takes it, and freed when the last one has.
pub struct RenderedUpdate {
    job: Option<Arc<Job>>,
    /// Whether the job's status is terminal. Each delivery asks for it, so it is computed once.
    terminal: bool,
    render: Arc<dyn Render>,
    /// Indexed by [`payload_index`]: the same version may be ENTER to one watcher and CHANGE to
    /// another.
    payloads: [OnceCell<Bytes>; 3],
    delivered: AtomicU32,
}

fn payload_index(kind: Option<ListEventKind>) -> usize {
    match kind {
        None | Some(ListEventKind::Enter | ListEventKind::Snapshot) => 0,
        Some(ListEventKind::Change | ListEventKind::Resync) => 1,
        Some(ListEventKind::Leave) => 2,
    }
}

impl fmt::Debug for RenderedUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedUpdate")
            .field("job", &self.job.as_ref().map(|job| (job.id, job.version)))
            .finish_non_exhaustive()
    }
}

impl RenderedUpdate {
    fn new(job: Option<Arc<Job>>, render: &Arc<dyn Render>) -> Arc<Self> {
        let terminal = job.as_ref().is_some_and(|job| job.status.is_terminal());
        Arc::new(Self {
            job,
            terminal,
            render: Arc::clone(render),
            payloads: Default::default(),
            delivered: AtomicU32::new(0),
        })
    }

    /// The job; `None` for a marker of a list.
    pub fn job(&self) -> Option<&Arc<Job>> {
        self.job.as_ref()
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Counts a delivery, and returns how many there were before it. Metrics sample by this count.
    pub fn count_delivery(&self) -> u32 {
        self.delivered.fetch_add(1, Ordering::Relaxed)
    }

    /// The payload, if it has been rendered already. `kind` is `None` for `onJob`.
    pub(super) fn ready(&self, kind: Option<ListEventKind>) -> Option<&Bytes> {
        self.payloads[payload_index(kind)].get()
    }

    /// The payload. The first caller renders it; concurrent callers wait for it.
    pub(super) async fn payload(&self, kind: Option<ListEventKind>) -> &Bytes {
        self.payloads[payload_index(kind)]
            .get_or_init(|| {
                let job = self.job.clone();
                self.render.render(match (kind, job) {
                    (Some(kind), job) => Event::Jobs(JobChange { kind, job }),
                    (None, Some(job)) => Event::Job(job),
                    (None, None) => unreachable!("only a list has markers"),
                })
            })
            .await
    }
}

/// One operation, with the updates that its watchers received last.
pub struct PayloadGroup {
    render: Arc<dyn Render>,
    updates: Mutex<Updates>,
}

#[derive(Default)]
struct Updates {
    /// Kept, so that a watcher that joins later finds the newest version of a quiet job rendered.
    newest: Option<Arc<RenderedUpdate>>,
    marker: Option<Arc<RenderedUpdate>>,
    /// Updates of a list's other jobs, until every watcher has taken them.
    others: HashMap<JobId, Weak<RenderedUpdate>>,
    sweep_at: usize,
}

/// Number of entries in [`Updates::others`] below which they are not swept.
const SWEEP_MINIMUM: usize = 128;

impl fmt::Debug for PayloadGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadGroup")
            .field("newest", &self.updates.lock().newest)
            .finish_non_exhaustive()
    }
}

impl PayloadGroup {
    pub(super) fn new(render: Arc<dyn Render>) -> Self {
        Self {
            render,
            updates: Mutex::default(),
        }
    }

    /// The group's update for this version of the job: the same one for all callers.
    pub(super) fn update(&self, job: &Arc<Job>) -> Arc<RenderedUpdate> {
        let mut updates = self.updates.lock();
        if let Some(newest) = updates.newest.as_ref()
            && let Some(known) = newest.job()
        {
            if known.id != job.id {
                return updates.other(job, &self.render);
            }
            if known.version == job.version {
                return Arc::clone(newest);
            }
            if known.version > job.version {
                // Rare: another watcher is ahead already. This update is rendered for one watcher.
                return RenderedUpdate::new(Some(Arc::clone(job)), &self.render);
            }
        }
        let update = RenderedUpdate::new(Some(Arc::clone(job)), &self.render);
        updates.newest = Some(Arc::clone(&update));
        update
    }

    /// The update for SNAPSHOT and RESYNC of a list.
    pub(super) fn marker(&self) -> Arc<RenderedUpdate> {
        let mut updates = self.updates.lock();
        let marker = updates
            .marker
            .get_or_insert_with(|| RenderedUpdate::new(None, &self.render));
        Arc::clone(marker)
    }
}

impl Updates {
    fn other(&mut self, job: &Arc<Job>, render: &Arc<dyn Render>) -> Arc<RenderedUpdate> {
        let known = self.others.get(&job.id).and_then(Weak::upgrade);
        if let Some(known) = known
            && known
                .job()
                .is_some_and(|known| known.version == job.version)
        {
            return known;
        }
        if self.others.len() >= self.sweep_at.max(SWEEP_MINIMUM) {
            self.others.retain(|_, update| update.strong_count() > 0);
            self.sweep_at = self.others.len() * 2;
        }
        let update = RenderedUpdate::new(Some(Arc::clone(job)), render);
        self.others.insert(job.id, Arc::downgrade(&update));
        update
    }
}
