//! A group: watchers who get the same bytes. One execution and one serialization per event, whoever asks first.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use job::{Job, JobId};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{Event, JobChange, Kind};

/// Equal for watchers who share an execution: document, operation name, variables and visible scope, so hashed or
/// joined by the edge that it never holds equal for two callers who may see different fields. What does not change the
/// bytes (such as `after`) is best left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupKey(pub Arc<str>);

/// Executes the group's operation on one event.
#[async_trait]
pub trait Render: Send + Sync + 'static {
    /// The JSON text of the `payload`: `{"data":{…}}`, with `errors` when there are any, on one line.
    async fn render(&self, event: Event) -> Bytes;
}

/// What one group is told of one version of a job, or of a list as a whole. Rendered when the first watcher takes it,
/// for all of them; freed when the last one has.
pub struct Telling {
    job: Option<Arc<Job>>,
    /// Whether the job's status is terminal; asked for each delivery, so found out once.
    terminal: bool,
    render: Arc<dyn Render>,
    /// By [`place`]: the same version may be ENTER to one watcher and CHANGE to another.
    payloads: [OnceCell<Bytes>; 3],
    delivered: AtomicU32,
}

fn place(kind: Option<Kind>) -> usize {
    match kind {
        None | Some(Kind::Enter | Kind::Snapshot) => 0,
        Some(Kind::Change | Kind::Resync) => 1,
        Some(Kind::Leave) => 2,
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling")
            .field("job", &self.job.as_ref().map(|job| (job.id, job.version)))
            .finish_non_exhaustive()
    }
}

impl Telling {
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

    /// How many have been given it before; for sampling.
    pub fn count_delivery(&self) -> u32 {
        self.delivered.fetch_add(1, Ordering::Relaxed)
    }

    /// The payload if it is there already. `kind` is `None` for `onJob`.
    pub(super) fn ready(&self, kind: Option<Kind>) -> Option<&Bytes> {
        self.payloads[place(kind)].get()
    }

    /// The payload: executed once, shared by all who ask.
    pub(super) async fn payload(&self, kind: Option<Kind>) -> &Bytes {
        self.payloads[place(kind)]
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

/// One operation with what it was told last.
pub struct Group {
    render: Arc<dyn Render>,
    tellings: Mutex<Tellings>,
}

#[derive(Default)]
struct Tellings {
    /// Kept, so that who comes later to a quiet job finds it rendered.
    newest: Option<Arc<Telling>>,
    marker: Option<Arc<Telling>>,
    /// Of a list's other jobs, as long as somebody still has to take them.
    others: HashMap<JobId, Weak<Telling>>,
    sweep_at: usize,
}

/// Fewer entries are not worth a sweep.
const SWEEP_MINIMUM: usize = 128;

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("newest", &self.tellings.lock().newest)
            .finish_non_exhaustive()
    }
}

impl Group {
    pub(super) fn new(render: Arc<dyn Render>) -> Self {
        Self {
            render,
            tellings: Mutex::default(),
        }
    }

    /// What the group is told of this version: the same for all who ask.
    pub(super) fn telling(&self, job: &Arc<Job>) -> Arc<Telling> {
        let mut tellings = self.tellings.lock();
        if let Some(newest) = tellings.newest.as_ref()
            && let Some(known) = newest.job()
        {
            if known.id != job.id {
                return tellings.other(job, &self.render);
            }
            if known.version == job.version {
                return Arc::clone(newest);
            }
            if known.version > job.version {
                // Rare: somebody is already further. Executed for one watcher alone.
                return Telling::new(Some(Arc::clone(job)), &self.render);
            }
        }
        let telling = Telling::new(Some(Arc::clone(job)), &self.render);
        tellings.newest = Some(Arc::clone(&telling));
        telling
    }

    /// SNAPSHOT and RESYNC of a list.
    pub(super) fn marker(&self) -> Arc<Telling> {
        let mut tellings = self.tellings.lock();
        let marker = tellings
            .marker
            .get_or_insert_with(|| Telling::new(None, &self.render));
        Arc::clone(marker)
    }
}

impl Tellings {
    fn other(&mut self, job: &Arc<Job>, render: &Arc<dyn Render>) -> Arc<Telling> {
        let known = self.others.get(&job.id).and_then(Weak::upgrade);
        if let Some(known) = known
            && known
                .job()
                .is_some_and(|known| known.version == job.version)
        {
            return known;
        }
        if self.others.len() >= self.sweep_at.max(SWEEP_MINIMUM) {
            self.others.retain(|_, telling| telling.strong_count() > 0);
            self.sweep_at = self.others.len() * 2;
        }
        let telling = Telling::new(Some(Arc::clone(job)), render);
        self.others.insert(job.id, Arc::downgrade(&telling));
        telling
    }
}
