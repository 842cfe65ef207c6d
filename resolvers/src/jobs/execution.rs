//! Applies the workflow's events to jobs.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use job::change::StepUpdate;
use job::{Change, JobId, Time};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Resolvers;
use super::sweep::{Sweeps, run_sweeps};
use crate::store::StoreError;
use crate::workflow::change::{change_of, follow, job_of};
use crate::workflow::{ExecutionEvent, Listener};

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
    pub fn run(
        &self,
        resolvers: &Resolvers,
        sweeps: Sweeps,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) {
        for inlet in std::mem::take(&mut *self.inlets.lock()) {
            let (resolvers, missed) = (resolvers.clone(), Arc::clone(&self.missed));
            let lane = stop.child_token();
            tracker.spawn(async move {
                lane.run_until_cancelled(drain(resolvers, inlet, missed))
                    .await
            });
        }
        let (resolvers, missed, stop) = (resolvers.clone(), Arc::clone(&self.missed), stop.clone());
        tracker.spawn(async move {
            stop.run_until_cancelled(run_sweeps(resolvers, sweeps, missed))
                .await
        });
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
pub(super) fn keep_last_entries(so_far: &mut ExecutionEvent) {
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

impl Resolvers {
    pub(super) fn change_of(&self, event: &ExecutionEvent) -> Change {
        change_of(event, self.parts.settings.retention_millis)
    }

    pub(super) async fn apply_patiently(
        &self,
        id: JobId,
        change: Change,
        at: Time,
    ) -> Result<(), StoreError> {
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
