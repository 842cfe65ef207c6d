//! Keeps the map runs of an execution: opens, counts, changes and closes them.

use std::sync::Arc;

use super::Execution;
use super::children::ChildExecution;
use super::data::Data;
use super::map_run::{MapRun, MapRunChild, at_once};
use super::model::ThreadPhase;
use crate::{Effect, Status};

impl Execution {
    /// The map runs, in the order of their start.
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

    /// Adds a child execution to a run.
    pub(super) fn child(&mut self, run: usize, input: &Arc<Data>) -> Arc<ChildExecution> {
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
        Arc::new(ChildExecution::new(
            number,
            arn,
            name,
            Arc::clone(input),
            started,
        ))
    }

    /// Counts a child execution that ended.
    pub(super) fn count(&mut self, run: usize, child: &ChildExecution, well: bool) {
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

    /// Ends the open runs, since the execution has ended.
    pub(super) fn end_runs(&mut self) {
        let (status, now) = (self.status, self.now);
        for run in self.runs.iter_mut().filter(|r| r.status == Status::Running) {
            (run.status, run.stop) = (status, Some(now));
        }
    }

    /// The thread of the Map whose run is open.
    fn thread_of_run(&self, index: usize) -> Option<u64> {
        let runs = |phase: &ThreadPhase| match phase {
            ThreadPhase::Children(children) => children.run.as_ref().map(|run| run.index),
            _ => None,
        };
        let found = self
            .threads
            .iter()
            .find(|(_, thread)| runs(&thread.phase) == Some(index));
        found.map(|(id, _)| *id)
    }

    /// Changes an open map run.
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
        self.out.push(Effect::Changed);
        let Some(id) = self.thread_of_run(index) else {
            return;
        };
        if let Some(thread) = self.threads.get_mut(&id)
            && let ThreadPhase::Children(children) = &mut thread.phase
        {
            children.concurrency = concurrency;
        }
        self.iterate(id);
    }
}
