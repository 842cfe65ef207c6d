//! The map run of a distributed Map and its child executions: what is known of them, and what may be changed.
use super::{Execution, MAX_HISTORY, Status, data::Data, model::Phase};
use jiff::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Child executions at once, when a Map sets no lower `MaxConcurrency`.
const CONCURRENCY: usize = 1_000;

/// States that a child execution may enter: two events each would fill a history.
pub(super) const MAX_CHILD_STATES: u64 = MAX_HISTORY / 2;

/// A map run, as `DescribeMapRun` shows it.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of DescribeMapRun")]
pub struct MapRun {
    pub arn: String,
    pub state: String,
    pub max_concurrency: u64,
    pub tolerated_failure_count: Option<u64>,
    pub tolerated_failure_percentage: Option<f64>,
    pub total: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub status: Status,
    pub start: Timestamp,
    pub stop: Option<Timestamp>,
    pub redrive_count: u32,
    children: Vec<MapRunChild>,
}
impl MapRun {
    /// Its child executions, in the order in which they began.
    pub fn children(&self) -> impl ExactSizeIterator<Item = MapRunChild> + DoubleEndedIterator {
        self.children.iter().map(|child| {
            let mut child = child.clone();
            if child.status == Status::Running && self.status != Status::Running {
                (child.status, child.stopped) = (Status::Aborted, self.stop);
            }
            child
        })
    }

    /// The ARN of a child execution.
    #[must_use]
    pub fn child_arn(&self, name: &str) -> String {
        let within = self.arn.rsplit_once(':').map_or("", |parts| parts.0);
        format!("{}:{name}", within.replacen(":mapRun:", ":execution:", 1))
    }

    /// The run goes on, with what did not succeed.
    pub(super) fn redrive(&mut self) {
        (self.failed, self.status, self.stop) = (0, Status::Running, None);
        self.redrive_count += 1;
        let again = self
            .children
            .iter_mut()
            .filter(|child| child.status != Status::Succeeded);
        for child in again {
            (child.status, child.stopped) = (Status::Running, None);
            child.redrive_count += 1;
        }
    }

    /// Whether more child executions failed than the Map tolerates.
    fn is_over(&self) -> bool {
        if self.failed == 0 {
            return false;
        }
        let percentage = self.failed as f64 * 100.0 / self.total.max(1) as f64;
        match (
            self.tolerated_failure_count,
            self.tolerated_failure_percentage,
        ) {
            (None, None) => true,
            (count, share) => {
                count.is_some_and(|c| self.failed > c) || share.is_some_and(|s| percentage > s)
            }
        }
    }
}

/// A child execution of a map run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of ListExecutions")]
pub struct MapRunChild {
    pub name: String,
    pub status: Status,
    pub started: Timestamp,
    pub stopped: Option<Timestamp>,
    pub redrive_count: u32,
}

/// A child execution of a distributed Map.
#[derive(Debug)]
pub(super) struct Child {
    /// In the run's `children`.
    number: usize,
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) input: Arc<Data>,
    pub(super) started: Timestamp,
    states: AtomicU64,
}
impl Child {
    /// Counts a state that was entered; gives how many were.
    pub(super) fn count(&self) -> u64 {
        self.states.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The executions at once that a `MaxConcurrency` means; 0 is no bound of its own.
pub(super) fn at_once(concurrency: usize) -> usize {
    if concurrency == 0 {
        CONCURRENCY
    } else {
        concurrency.min(CONCURRENCY)
    }
}

impl Execution {
    /// The map runs that began, in that order.
    #[must_use]
    pub fn map_runs(&self) -> &[MapRun] {
        &self.runs
    }

    pub(super) fn open_run(
        &mut self,
        arn: String,
        state: &str,
        concurrency: usize,
        tolerated: (Option<u64>, Option<f64>),
    ) {
        self.runs.push(MapRun {
            arn,
            state: state.to_owned(),
            max_concurrency: concurrency as u64,
            tolerated_failure_count: tolerated.0,
            tolerated_failure_percentage: tolerated.1,
            total: 0,
            succeeded: 0,
            failed: 0,
            status: Status::Running,
            start: self.now,
            stop: None,
            redrive_count: 0,
            children: Vec::new(),
        });
    }

    /// A new child execution of a run.
    pub(super) fn child(&mut self, run: usize, input: &Arc<Data>) -> Arc<Child> {
        let (name, started) = (self.dice.uuid(), self.now);
        let (mut number, mut arn) = (0, String::new());
        if let Some(run) = self.runs.get_mut(run) {
            (number, arn) = (run.children.len(), run.child_arn(&name));
            run.children.push(MapRunChild {
                name: name.clone(),
                status: Status::Running,
                started,
                stopped: None,
                redrive_count: 0,
            });
        }
        Arc::new(Child {
            number,
            arn,
            name,
            input: input.clone(),
            started,
            states: AtomicU64::new(0),
        })
    }

    /// Counts a child execution that ended.
    pub(super) fn count(&mut self, run: usize, child: &Child, well: bool) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(run) else {
            return;
        };
        let status = if well {
            Status::Succeeded
        } else {
            Status::Failed
        };
        if let Some(known) = run.children.get_mut(child.number) {
            (known.status, known.stopped) = (status, Some(now));
        }
        if well {
            run.succeeded += 1;
        } else {
            run.failed += 1;
        }
    }

    /// Whether the run has more failures than it tolerates.
    pub(super) fn is_over(&self, run: usize) -> bool {
        self.runs.get(run).is_some_and(MapRun::is_over)
    }

    pub(super) fn close_run(&mut self, run: usize, status: Status) {
        let now = self.now;
        if let Some(run) = self.runs.get_mut(run) {
            (run.status, run.stop) = (status, Some(now));
        }
    }

    /// The execution ended: so did its runs.
    pub(super) fn end_runs(&mut self) {
        let (status, now) = (self.status, self.now);
        for run in self.runs.iter_mut().filter(|r| r.status == Status::Running) {
            (run.status, run.stop) = (status, Some(now));
        }
    }

    /// The Map whose run goes on.
    fn thread_of_run(&self, index: usize) -> Option<u64> {
        let runs = |phase: &Phase| match phase {
            Phase::Children(children) => children.run.as_ref().map(|run| run.index),
            _ => None,
        };
        let found = self
            .threads
            .iter()
            .find(|(_, thread)| runs(&thread.phase) == Some(index));
        found.map(|(id, _)| *id)
    }

    /// Changes a map run while it goes on.
    pub(super) fn update_run(
        &mut self,
        arn: &str,
        max_concurrency: Option<u64>,
        tolerated_failure_count: Option<u64>,
        tolerated_failure_percentage: Option<f64>,
    ) {
        let going_on = |run: &MapRun| run.arn == arn && run.status == Status::Running;
        let Some(index) = self.runs.iter().position(going_on) else {
            return;
        };
        let run = &mut self.runs[index];
        run.max_concurrency = max_concurrency.unwrap_or(run.max_concurrency);
        run.tolerated_failure_count = tolerated_failure_count.or(run.tolerated_failure_count);
        run.tolerated_failure_percentage =
            tolerated_failure_percentage.or(run.tolerated_failure_percentage);
        let concurrency = at_once(usize::try_from(run.max_concurrency).unwrap_or(usize::MAX));
        self.out.push(crate::Effect::Changed);
        let Some(id) = self.thread_of_run(index) else {
            return;
        };
        if let Some(thread) = self.threads.get_mut(&id)
            && let Phase::Children(children) = &mut thread.phase
        {
            children.concurrency = concurrency;
        }
        self.iterate(id);
    }
}
