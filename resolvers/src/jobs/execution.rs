//! Applies the workflow's events to jobs, and sweeps: the sweep reconciles jobs with their
//! executions after an interruption, such as a lost start or an end without a listener.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use job::change::StepUpdate;
use job::filter::Condition;
use job::{Change, Filter, Job, JobError, JobId, Status, Time, Update};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Resolvers, now};
use crate::Error;
use crate::store::{ListQuery, Sort, StoreError};
use crate::workflow::change::{change_of, follow, job_of};
use crate::workflow::{ExecutionEvent, ExecutionStatus, Listener};

/// Number of lanes. Events of one job are applied in order in one lane; lanes run concurrently.
const LANES: usize = 64;
/// Maximum number of events that wait in one lane. Further ones are dropped, and the job is
/// reconciled instead.
const LANE_EVENTS: usize = 1_024;
/// Delays before the tries to write an event that the store refused.
const WAITS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// Time in milliseconds after which the sweep starts a job that is still queued.
pub const START_AFTER_MILLIS: i64 = 2_000;
/// Time in milliseconds without a change after which an open job is compared with its execution.
pub const RECONCILE_AFTER_MILLIS: i64 = 60_000;
/// Interval at which the sweep looks for jobs that were not started.
const SWEEP: Duration = Duration::from_secs(2);
/// Interval at which the sweep looks at other open jobs. A job may wait for days, and each look
/// sends a request to the workflow.
const SWEEP_OPEN: Duration = Duration::from_secs(60);

/// The jobs that a sweep looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Jobs that were not started for [`START_AFTER_MILLIS`].
    Queued,
    /// Also open jobs that have not changed for [`RECONCILE_AFTER_MILLIS`].
    Still,
    /// All open jobs: after a start of the server.
    Open,
}

/// Receives the events of executions and applies them to their jobs.
#[derive(Debug)]
pub struct ExecutionEvents {
    lanes: Vec<mpsc::Sender<ExecutionEvent>>,
    inlets: Mutex<Vec<mpsc::Receiver<ExecutionEvent>>>,
    hasher: RandomState,
    /// Executions with an event that was dropped.
    missed: Arc<Mutex<HashSet<String>>>,
}

impl Default for ExecutionEvents {
    fn default() -> Self {
        let (lanes, inlets) = (0..LANES).map(|_| mpsc::channel(LANE_EVENTS)).unzip();
        ExecutionEvents {
            lanes,
            inlets: Mutex::new(inlets),
            hasher: RandomState::new(),
            missed: Arc::default(),
        }
    }
}

impl Listener for ExecutionEvents {
    fn notify(&self, event: ExecutionEvent) {
        let lane = self.hasher.hash_one(&event.execution) as usize % self.lanes.len();
        if let Err(error) = self.lanes[lane].try_send(event) {
            let (mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) =
                error;
            self.missed.lock().insert(event.execution);
        }
    }
}

impl ExecutionEvents {
    /// Applies events and sweeps until `stop`. Runs in tasks of `tracker`. Call it once.
    pub fn run(&self, resolvers: &Resolvers, tracker: &TaskTracker, stop: &CancellationToken) {
        for inlet in std::mem::take(&mut *self.inlets.lock()) {
            let (resolvers, missed) = (resolvers.clone(), Arc::clone(&self.missed));
            let lane = stop.child_token();
            tracker.spawn(async move {
                lane.run_until_cancelled(drain(resolvers, inlet, missed))
                    .await
            });
        }
        let (resolvers, missed, stop) = (resolvers.clone(), Arc::clone(&self.missed), stop.clone());
        tracker.spawn(async move { stop.run_until_cancelled(sweep(resolvers, missed)).await });
    }
}

async fn drain(
    resolvers: Resolvers,
    mut inlet: mpsc::Receiver<ExecutionEvent>,
    missed: Arc<Mutex<HashSet<String>>>,
) {
    let mut waiting = Vec::new();
    while inlet.recv_many(&mut waiting, LANE_EVENTS).await > 0 {
        // Events of one job that arrived meanwhile become one change: watchers would conflate them
        // anyway.
        let mut changes: Vec<(JobId, Change, Time)> = Vec::new();
        let mut places = HashMap::new();
        for event in waiting.drain(..) {
            let Some(id) = job_of(&event.execution) else {
                continue;
            };
            match places.get(&event.execution) {
                Some(&place) => merge(&mut changes, place, &resolvers, &event),
                None => {
                    places.insert(event.execution.clone(), changes.len());
                    changes.push((id, resolvers.change_of(&event), event.at));
                }
            }
        }
        let applied = changes.into_iter().map(|(id, change, at)| {
            let (resolvers, missed) = (resolvers.clone(), Arc::clone(&missed));
            async move {
                let execution = change.source.as_ref().map(|source| source.execution.clone());
                if let Err(error) = resolvers.apply_patiently(id, change, at).await {
                    tracing::warn!(job_id = %id, %error, "an execution's event could not be written; the job will be reconciled");
                    missed.lock().extend(execution);
                }
            }
        });
        futures_util::future::join_all(applied).await;
    }
}

fn merge(
    changes: &mut [(JobId, Change, Time)],
    place: usize,
    resolvers: &Resolvers,
    event: &ExecutionEvent,
) {
    let (_, merged, at) = &mut changes[place];
    follow(merged, resolvers.change_of(event));
    *at = event.at;
}

/// Keeps of each step only the updates since it was entered last. Earlier entries belong to tries,
/// or attempts, that the job has already counted.
fn keep_last_entries(so_far: &mut ExecutionEvent) {
    let mut entered = HashSet::new();
    let mut kept: Vec<(String, StepUpdate)> = std::mem::take(&mut so_far.steps)
        .into_iter()
        .rev()
        .filter(|(name, update)| {
            let kept = !entered.contains(name);
            if *update == StepUpdate::Entered {
                entered.insert(name.clone());
            }
            kept
        })
        .collect();
    kept.reverse();
    so_far.steps = kept;
}

async fn sweep(resolvers: Resolvers, missed: Arc<Mutex<HashSet<String>>>) {
    let mut next = Sweep::Open;
    let mut looked = Instant::now();
    loop {
        let mended = std::mem::take(&mut *missed.lock());
        for execution in mended {
            if let Some(id) = job_of(&execution)
                && let Err(error) = resolvers.reconcile_id(id).await
            {
                tracing::warn!(job_id = %id, %error, "not reconciled; the next sweep tries again");
                missed.lock().insert(execution);
            }
        }
        match resolvers.sweep_once(next).await {
            Ok(()) => next = Sweep::Queued,
            Err(error) => tracing::warn!(%error, "the sweep was cut short; the next one goes on"),
        }
        tokio::time::sleep(SWEEP).await;
        if next == Sweep::Queued && looked.elapsed() >= SWEEP_OPEN {
            (next, looked) = (Sweep::Still, Instant::now());
        }
    }
}

impl Resolvers {
    /// Looks at jobs once: starts those that were not started, and compares others with their
    /// executions.
    ///
    /// # Errors
    /// [`Error::Unavailable`]. The changes made before it are kept.
    pub async fn sweep_once(&self, sweep: Sweep) -> Result<(), Error> {
        let statuses = match sweep {
            Sweep::Queued => vec![Status::Queued],
            Sweep::Still | Sweep::Open => {
                let open = Status::ALL.into_iter();
                open.filter(|status| !status.is_terminal()).collect()
            }
        };
        let mut query = ListQuery {
            filter: Filter {
                status: vec![Condition::In(statuses)],
                ..Filter::default()
            },
            sort: Sort::Oldest,
            limit: job::limits::LIST_PAGE,
            after: None,
        };
        loop {
            let page = self.parts.store.list(&query).await?;
            let now = now().as_millis();
            for job in page.jobs {
                let still = now - job.updated_at.as_millis();
                let patience = if job.status == Status::Queued {
                    START_AFTER_MILLIS
                } else {
                    RECONCILE_AFTER_MILLIS
                };
                if sweep == Sweep::Open || still >= patience {
                    self.reconcile(&job).await?;
                }
            }
            query.after = page.next;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    async fn reconcile_id(&self, id: JobId) -> Result<(), Error> {
        if let Some(job) = self.parts.store.get(id).await? {
            self.reconcile(&job).await?;
        }
        Ok(())
    }

    /// Brings a job up to date with its execution. If the execution does not exist, it is started,
    /// or it was lost.
    pub(super) async fn reconcile(&self, job: &Job) -> Result<Arc<Job>, Error> {
        let change = match self.parts.workflow.describe(&job.execution).await? {
            // The execution has no event since the retry: the redrive was interrupted.
            Some(execution)
                if job.status == Status::Queued
                    && execution.status != ExecutionStatus::Running
                    && execution.so_far.position <= job.position =>
            {
                self.set_off(job).await?;
                return self.parts.store.get(job.id).await?.ok_or(Error::NotFound(job.id));
            }
            Some(mut execution) => {
                keep_last_entries(&mut execution.so_far);
                let mut change = self.change_of(&execution.so_far);
                if let Some(source) = &mut change.source {
                    source.so_far = true;
                }
                change
            }
            None if job.status == Status::Queued => {
                self.set_off(job).await?;
                return self.parts.store.get(job.id).await?.ok_or(Error::NotFound(job.id));
            }
            None if job.status.is_terminal() => Change::default(),
            None => self.ending(Update::Fail(JobError::new(
                "ExecutionDoesNotExist",
                "the workflow does not know the execution of this job any more; retry the job to run it again",
            ))),
        };
        Ok(Arc::clone(
            self.parts.store.apply(job.id, change, now()).await?.job(),
        ))
    }

    fn change_of(&self, event: &ExecutionEvent) -> Change {
        change_of(event, self.parts.settings.retention_millis)
    }

    async fn apply_patiently(&self, id: JobId, change: Change, at: Time) -> Result<(), StoreError> {
        for wait in WAITS {
            match self.parts.store.apply(id, change.clone(), at).await {
                Err(StoreError::Unavailable { reason, .. }) => {
                    tracing::warn!(job_id = %id, reason, "the store did not take an execution's event; trying again");
                }
                // The job has expired or never existed.
                Ok(_) | Err(StoreError::NotFound(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(wait).await;
        }
        self.parts.store.apply(id, change, at).await.map(|_| ())
    }
}
