//! The sweep reconciles jobs with their executions after an interruption, such as a lost start or
//! an end without a listener. A job with an error does not end a sweep: the others go on.
//!
//! Where several nodes have one job table, a lease lets one of them sweep at a time, and a job that
//! stands still is looked at less often the longer it does: each look is a read with a quota.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use job::filter::Condition;
use job::{Change, Filter, Job, JobError, JobId, Status, Update};
use parking_lot::Mutex;

use super::execution::keep_last_entries;
use super::{Resolvers, now};
use crate::Error;
use crate::store::{Lease, ListQuery, Sort};
use crate::workflow::LOG_COMPLETE;
use crate::workflow::change::job_of;

/// Time in milliseconds after which the sweep starts a job that is still queued.
pub const START_AFTER_MILLIS: i64 = 2_000;
/// Time in milliseconds without a change after which an open job is compared with its execution.
pub const RECONCILE_AFTER_MILLIS: i64 = 60_000;
/// Maximum time in milliseconds between two looks at an open job that stands still.
const LONGEST_STILL_MILLIS: i64 = 16 * RECONCILE_AFTER_MILLIS;
/// Interval at which the sweep of a process with its own jobs looks for jobs that were not started.
const SWEEP: Duration = Duration::from_secs(2);
/// Interval at which the sweep looks at other open jobs. A job may wait for days, and each look
/// sends a request to the workflow.
const SWEEP_OPEN: Duration = Duration::from_secs(60);
/// Interval at which a node with others takes the lease of the sweep, or tries to.
const LEASE_EVERY: Duration = Duration::from_secs(5);
/// Interval at which the node with the lease looks for jobs that were not started.
const SWEEP_SHARED: Duration = Duration::from_secs(15);
/// Life of the lease of the sweep, in milliseconds. After a node was killed, another sweeps within
/// this time and [`LEASE_EVERY`].
const LEASE_MILLIS: i64 = 12_000;
/// Life of the lease of the look at all open jobs, in milliseconds: nodes that start together look
/// once.
const OPEN_LEASE_MILLIS: i64 = 60_000;
/// Maximum number of jobs that a sweep reconciles at once.
const AT_ONCE: usize = 8;
/// Number of errors in a row, without a job that could be reconciled, that end a sweep: a service
/// is not available.
const ERRORS_IN_A_ROW: usize = 20;

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

/// The sweeps of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweeps {
    /// All jobs are this process's own.
    Alone,
    /// One of several nodes sweeps: the one with the lease.
    Shared,
    /// Something else calls [`Resolvers::sweep`]. This process reconciles only jobs whose events it
    /// could not keep.
    Elsewhere,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Number of jobs that were compared with their executions.
    pub reconciled: usize,
    /// Number of jobs that could not be compared; each is in the log.
    pub failed: usize,
}

/// Runs the sweeps of a process until it is dropped. `missed` has the executions with an event that
/// was dropped.
pub(super) async fn run_sweeps(
    resolvers: Resolvers,
    sweeps: Sweeps,
    missed: Arc<Mutex<HashSet<String>>>,
) {
    let mut pace = Pace::new(sweeps);
    loop {
        resolvers.mend(&missed).await;
        if let Some(sweep) = resolvers.next_sweep(&mut pace).await {
            match resolvers.sweep_once(sweep).await {
                Ok(_) => pace.done(sweep),
                Err(error) => {
                    tracing::warn!(%error, "the sweep was cut short; the next one goes on");
                }
            }
        }
        tokio::time::sleep(pace.pause()).await;
    }
}

/// When a process sweeps.
#[derive(Debug)]
struct Pace {
    sweeps: Sweeps,
    /// Whether all open jobs were looked at.
    opened: bool,
    /// Whether the lease was granted the last time.
    holds: bool,
    queued: Option<Instant>,
    still: Instant,
}

impl Pace {
    fn new(sweeps: Sweeps) -> Self {
        Self {
            sweeps,
            opened: false,
            holds: false,
            queued: None,
            still: Instant::now(),
        }
    }

    fn pause(&self) -> Duration {
        match self.sweeps {
            Sweeps::Shared => LEASE_EVERY,
            Sweeps::Alone | Sweeps::Elsewhere => SWEEP,
        }
    }

    /// The sweep whose time has come.
    fn due(&self) -> Option<Sweep> {
        let every = if self.sweeps == Sweeps::Shared {
            SWEEP_SHARED
        } else {
            Duration::ZERO
        };
        if !self.opened {
            Some(Sweep::Open)
        } else if self.still.elapsed() >= SWEEP_OPEN {
            Some(Sweep::Still)
        } else if self.queued.is_none_or(|at| at.elapsed() >= every) {
            Some(Sweep::Queued)
        } else {
            None
        }
    }

    fn done(&mut self, sweep: Sweep) {
        self.queued = Some(Instant::now());
        if sweep != Sweep::Queued {
            (self.opened, self.still) = (true, Instant::now());
        }
    }
}

impl Resolvers {
    /// Reconciles the jobs of executions with an event that was dropped.
    async fn mend(&self, missed: &Mutex<HashSet<String>>) {
        let mended = std::mem::take(&mut *missed.lock());
        for execution in mended {
            if let Some(id) = job_of(&execution)
                && let Err(error) = self.reconcile_id(id).await
            {
                tracing::warn!(job_id = %id, %error, "not reconciled; the next sweep tries again");
                missed.lock().insert(execution);
            }
        }
    }

    /// The next sweep, if this process does one now.
    async fn next_sweep(&self, pace: &mut Pace) -> Option<Sweep> {
        match pace.sweeps {
            Sweeps::Alone => return pace.due(),
            Sweeps::Elsewhere => return None,
            Sweeps::Shared => {}
        }
        let holds = self.holds(Lease::Sweep, LEASE_MILLIS).await;
        if holds && !pace.holds {
            // Another node may have been killed, with executions that it followed.
            pace.opened = false;
        }
        pace.holds = holds;
        if !pace.opened {
            // Nodes that start together look once, whichever has the lease of the sweep.
            if self.holds(Lease::OpenSweep, OPEN_LEASE_MILLIS).await {
                return Some(Sweep::Open);
            }
            pace.opened = true;
        }
        pace.due().filter(|_| holds)
    }

    async fn holds(&self, lease: Lease, life_millis: i64) -> bool {
        let parts = &self.parts;
        let granted = parts.store.lease(lease, &parts.holder, now(), life_millis);
        granted.await.unwrap_or_else(|error| {
            tracing::warn!(?lease, %error, "a lease cannot be taken; trying again");
            false
        })
    }

    /// Looks once at the jobs that were not started or stand still, unless another process does so
    /// now. For a caller that comes every [`RECONCILE_AFTER_MILLIS`].
    ///
    /// # Errors
    /// [`Error::Unavailable`]. The changes made before it are kept.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let parts = &self.parts;
        let lease = parts
            .store
            .lease(Lease::Sweep, &parts.holder, now(), LEASE_MILLIS);
        if !lease.await? {
            return Ok(Swept::default());
        }
        self.sweep_once(Sweep::Still).await
    }

    /// Looks at jobs once: starts those that were not started, and compares others with their
    /// executions. An error of one job is logged, and the others go on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the jobs cannot be read, or many in a row cannot be reconciled.
    /// The changes made before it are kept.
    pub async fn sweep_once(&self, sweep: Sweep) -> Result<Swept, Error> {
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
        let (done, failed, in_a_row) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let started = now().as_millis();
        loop {
            let page = self.parts.store.list(&query).await?;
            let due = page.jobs.into_iter().filter(|job| {
                sweep == Sweep::Open || is_due(job, started - job.updated_at.as_millis())
            });
            let looks = futures_util::stream::iter(due);
            looks
                .for_each_concurrent(AT_ONCE, async |job| {
                    if in_a_row.load(Ordering::Relaxed) >= ERRORS_IN_A_ROW {
                        return;
                    }
                    match self.reconcile(&job).await {
                        Ok(_) => {
                            done.fetch_add(1, Ordering::Relaxed);
                            in_a_row.store(0, Ordering::Relaxed);
                        }
                        Err(error) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            in_a_row.fetch_add(1, Ordering::Relaxed);
                            tracing::warn!(job_id = %job.id, %error, "not reconciled; the next sweep tries again");
                        }
                    }
                })
                .await;
            let errors = in_a_row.load(Ordering::Relaxed);
            if errors >= ERRORS_IN_A_ROW {
                return Err(Error::Unavailable {
                    what: "the workflow",
                    reason: format!("{errors} jobs in a row could not be reconciled"),
                    source: None,
                });
            }
            query.after = page.next;
            if page.next.is_none() {
                return Ok(Swept {
                    reconciled: done.into_inner(),
                    failed: failed.into_inner(),
                });
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
        let still = now().as_millis() - job.updated_at.as_millis();
        let is_queued = job.status == Status::Queued;
        if is_queued && self.parts.workflow.reads_are_limited() && still < RECONCILE_AFTER_MILLIS {
            // Probably its start was lost, and a repeated start costs no read.
            return self.set_off_again(job).await;
        }
        let so_far = self.parts.workflow.so_far(&job.job_type, &job.execution);
        let change = match so_far.await? {
            // The execution has no event since the retry: the redrive was interrupted.
            Some(so_far) if is_queued && so_far.end.is_some() && so_far.position <= job.position => {
                return self.set_off_again(job).await;
            }
            Some(mut so_far) => {
                if job.position >= LOG_COMPLETE {
                    so_far.position = job.position.saturating_add(1);
                }
                keep_last_entries(&mut so_far);
                let mut change = self.change_of(&so_far);
                if let Some(source) = &mut change.source {
                    source.so_far = true;
                }
                change
            }
            None if is_queued => return self.set_off_again(job).await,
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

    async fn set_off_again(&self, job: &Job) -> Result<Arc<Job>, Error> {
        self.set_off(job).await?;
        let job = (job.id, self.parts.store.get(job.id).await?);
        job.1.ok_or(Error::NotFound(job.0))
    }
}

/// Whether a job that has not changed for `still` milliseconds is looked at by a sweep that comes
/// every [`SWEEP_OPEN`]: after one minute, two, four, and so on, and then every 16 minutes.
fn is_due(job: &Job, still: i64) -> bool {
    let every = i64::try_from(SWEEP_OPEN.as_millis()).unwrap_or(i64::MAX);
    if job.status == Status::Queued {
        return still >= START_AFTER_MILLIS;
    }
    let mut mark = RECONCILE_AFTER_MILLIS;
    while mark < LONGEST_STILL_MILLIS && mark.saturating_mul(2) <= still {
        mark *= 2;
    }
    let since = if still >= LONGEST_STILL_MILLIS {
        still % LONGEST_STILL_MILLIS
    } else {
        still - mark
    };
    // Twice the interval: a sweep may come late.
    (0..every.saturating_mul(2)).contains(&since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::{NewJob, Time};

    #[test]
    fn a_job_that_stands_still_is_looked_at_less_and_less() {
        let new = NewJob {
            id: JobId::new(Time::from_millis(1), 1),
            job_type: "t".to_owned(),
            owner: "o".to_owned(),
            tags: vec![],
            steps: vec![],
        };
        let mut job = new.into_job().unwrap();
        assert!(is_due(&job, START_AFTER_MILLIS) && !is_due(&job, START_AFTER_MILLIS - 1));
        job.status = Status::Running;
        let minutes = (0..96).filter(|minute| is_due(&job, minute * RECONCILE_AFTER_MILLIS));
        let minutes: Vec<i64> = minutes.collect();
        assert_eq!(
            minutes,
            [1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 48, 49, 64, 65, 80, 81]
        );
        assert!(!is_due(&job, RECONCILE_AFTER_MILLIS - 1));
    }
}
