//! Distributed Maps: the map run, its child executions, items read from files, batches, results written to files.
use super::{
    Execution, MAX_HISTORY, Status,
    data::Data,
    enter::fill,
    map::Children,
    map_plan::{MapPlan, not_integer},
    model::Phase,
    record::fault_fields,
};
use crate::{
    definition::model::{Kind, MapState, Transformation},
    fault::Fault,
    history, items,
    scope::Context,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Child executions at once, when a Map sets no lower `MaxConcurrency`.
const CONCURRENCY: usize = 1_000;

/// States that a child execution may enter: two events each would fill a history.
pub(super) const MAX_CHILD_STATES: u64 = MAX_HISTORY / 2;

/// A child execution of a distributed Map.
#[derive(Debug)]
pub(super) struct Child {
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

/// A map run while it goes on.
#[derive(Debug)]
pub(super) struct Run {
    /// In [`Execution::map_runs`].
    pub(super) index: usize,
    /// What `ResultWriter` will list, when there is one.
    pub(super) reports: Option<(Vec<Value>, Vec<Value>)>,
}

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
}
impl MapRun {
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

/// A child execution that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of ListExecutions")]
pub struct MapRunChild {
    pub arn: String,
    pub name: String,
    pub started: Timestamp,
}

/// The executions at once that a `MaxConcurrency` means; 0 is no bound of its own.
fn at_once(concurrency: usize) -> usize {
    if concurrency == 0 {
        CONCURRENCY
    } else {
        concurrency.min(CONCURRENCY)
    }
}

impl Execution {
    /// The child executions of a map run that have not ended, in the order in which they began.
    #[must_use]
    pub fn map_run_children(&self, arn: &str) -> Vec<MapRunChild> {
        let Some(run) = self.runs.iter().position(|run| run.arn == arn) else {
            return Vec::new();
        };
        let Some(above) = self.thread_of_run(run) else {
            return Vec::new();
        };
        let children = self
            .threads
            .values()
            .filter(|thread| thread.parent.is_some_and(|(parent, _)| parent == above));
        children
            .filter_map(|thread| thread.child.as_ref())
            .map(|child| MapRunChild {
                arn: child.arn.clone(),
                name: child.name.clone(),
                started: child.started,
            })
            .collect()
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

    /// The map runs that began, in that order.
    #[must_use]
    pub fn map_runs(&self) -> &[MapRun] {
        &self.runs
    }

    pub(super) fn enter_distributed(&mut self, id: u64, map: &MapState, plan: MapPlan) {
        let tolerated = match self.tolerated(id, map) {
            Ok(tolerated) => tolerated,
            Err(fault) => return self.fail(id, fault, None),
        };
        let Some(state) = self.threads.get(&id).map(|t| t.state.clone()) else {
            return;
        };
        let label = map.label.clone().unwrap_or_else(|| self.dice.uuid());
        let arn = format!(
            "{}:{}/{label}:{}",
            self.start
                .state_machine_arn
                .replacen(":stateMachine:", ":mapRun:", 1)
                .rsplit_once(':')
                .map_or("", |p| p.0),
            self.start.state_machine_name,
            self.dice.uuid()
        );
        let concurrency = at_once(plan.concurrency);
        self.runs.push(MapRun {
            arn: arn.clone(),
            state: state.name.to_string(),
            max_concurrency: plan.concurrency as u64,
            tolerated_failure_count: tolerated.0,
            tolerated_failure_percentage: tolerated.1,
            total: 0,
            succeeded: 0,
            failed: 0,
            status: Status::Running,
            start: self.now,
            stop: None,
            redrive_count: 0,
        });
        self.record(id, "MapRunStarted", |_| {
            Some(("mapRunStartedEventDetails", json!({"mapRunArn": arn})))
        });
        let run = Box::new(Run {
            index: self.runs.len() - 1,
            reports: map.writer.as_ref().map(|_| Default::default()),
        });
        match plan.items {
            Some(items) => self.begin_run(id, items, plan.input, concurrency, run),
            None => self.read_items(id, map, plan.input, concurrency, run),
        }
    }

    pub(super) fn tolerated(
        &self,
        id: u64,
        map: &MapState,
    ) -> Result<(Option<u64>, Option<f64>), Fault> {
        let count = map
            .tolerated_count
            .as_ref()
            .map(|n| self.number(id, n))
            .transpose()?;
        if count.is_some_and(|c| c < 0.0) {
            return Err(Fault::runtime("ToleratedFailureCount must be positive."));
        }
        let share = map
            .tolerated_percentage
            .as_ref()
            .map(|n| self.number(id, n))
            .transpose()?;
        if share.is_some_and(|s| !(0.0..=100.0).contains(&s)) {
            return Err(Fault::runtime(
                "ToleratedFailurePercentage must be between 0 and 100.",
            ));
        }
        Ok((count.map(|c| c as u64), share))
    }

    /// Batches the items and starts the child executions.
    pub(super) fn begin_run(
        &mut self,
        id: u64,
        items: Vec<Value>,
        input: Arc<Data>,
        concurrency: usize,
        run: Box<Run>,
    ) {
        let items = match self.batch(id, items, &input) {
            Ok(items) => items,
            Err(fault) => return self.run_failed(id, run.index, fault),
        };
        if let Some(known) = self.runs.get_mut(run.index) {
            known.total = items.len() as u64;
        }
        self.begin_items(id, items, input, concurrency, Some(run));
    }
    pub(super) fn batch(
        &self,
        id: u64,
        items: Vec<Value>,
        input: &Arc<Data>,
    ) -> Result<Vec<Value>, Fault> {
        let Some(thread) = self.threads.get(&id) else {
            return Ok(items);
        };
        let state = &*thread.state;
        let Kind::Map(map) = &state.kind else {
            return Ok(items);
        };
        let Some(batcher) = &map.batcher else {
            return Ok(items);
        };
        let mut selected = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            selected.push(
                self.select_item(id, index, item, state.parameters.as_ref(), input)?
                    .1,
            );
        }
        let context = Context::new(|| self.context_object(thread, None));
        let scope = self.scope(thread, input.value(), &context);
        let common = batcher
            .input
            .as_ref()
            .map(|template| fill(template, &scope, "ItemBatcher/BatchInput", &state.name))
            .transpose()?;
        let limit =
            |number: &Option<crate::definition::model::Number>| -> Result<Option<usize>, Fault> {
                let Some(number) = number else {
                    return Ok(None);
                };
                let limit = number.read(&scope, true, not_integer)?;
                if limit < 1.0 {
                    return Err(Fault::runtime(format!(
                        "{} must be positive.",
                        number.field
                    )));
                }
                Ok(Some(limit as usize))
            };
        items::batches(
            selected,
            common.as_ref(),
            limit(&batcher.max_items)?,
            limit(&batcher.max_bytes)?,
        )
    }

    /// A new child execution of a run.
    pub(super) fn child(&mut self, run: usize, input: &Arc<Data>) -> Arc<Child> {
        let name = self.dice.uuid();
        let arn = self.runs.get(run).map_or("", |r| r.arn.as_str());
        let within =
            arn.rsplit_once(':')
                .map_or("", |p| p.0)
                .replacen(":mapRun:", ":execution:", 1);
        Arc::new(Child {
            arn: format!("{within}:{name}"),
            name,
            input: input.clone(),
            started: self.now,
            states: AtomicU64::new(0),
        })
    }
    /// Counts a child execution that ended.
    pub(super) fn count(&mut self, run: usize, well: bool) {
        if let Some(run) = self.runs.get_mut(run) {
            if well {
                run.succeeded += 1;
            } else {
                run.failed += 1;
            }
        }
    }
    /// Whether the run has more failures than it tolerates.
    pub(super) fn is_over(&self, run: usize) -> bool {
        self.runs.get(run).is_some_and(MapRun::is_over)
    }
    fn close_run(&mut self, run: usize, status: Status) {
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
    /// The run failed: so does the Map.
    pub(super) fn run_failed(&mut self, id: u64, run: usize, fault: Fault) {
        self.close_run(run, Status::Failed);
        let fields = fault_fields(&fault);
        self.record(id, "MapRunFailed", |_| {
            Some(("mapRunFailedEventDetails", Value::Object(fields)))
        });
        self.fail(
            id,
            Fault {
                origin: crate::fault::Origin::Plain,
                ..fault
            },
            None,
        );
    }

    /// Notes a child execution for the result files.
    pub(super) fn report(&mut self, parent: u64, child: &Child, outcome: Result<&Data, &Fault>) {
        let (machine, stop) = (
            self.start.state_machine_arn.clone(),
            history::time(self.now),
        );
        let Some(thread) = self.threads.get_mut(&parent) else {
            return;
        };
        let Phase::Children(children) = &mut thread.phase else {
            return;
        };
        let Some((good, bad)) = children.run.as_mut().and_then(|r| r.reports.as_mut()) else {
            return;
        };
        let mut entry = json!({
            "ExecutionArn": child.arn, "Input": &*child.input.text, "InputDetails": {"Included": true}, "Name": child.name,
            "StartDate": history::time(child.started), "StateMachineArn": machine, "StopDate": stop,
        });
        match outcome {
            Ok(output) => {
                entry["Output"] = json!(&*output.text);
                entry["OutputDetails"] = json!({"Included": true});
                entry["Status"] = json!("SUCCEEDED");
                good.push(entry);
            }
            Err(fault) => {
                entry["Error"] = json!(fault.error);
                entry["Cause"] = json!(fault.cause);
                entry["Status"] = json!("FAILED");
                bad.push(entry);
            }
        }
    }

    /// Every child execution has ended, and no more failed than is tolerated.
    pub(super) fn run_joined(&mut self, id: u64, children: Children) {
        let Children {
            run: Some(run),
            results,
            input,
            ..
        } = children
        else {
            return;
        };
        let state = self.threads.get(&id).map(|t| t.state.clone());
        let writer = state.as_ref().and_then(|s| match &s.kind {
            Kind::Map(map) => map.writer.as_ref(),
            _ => None,
        });
        let results = results.into_iter().flatten().collect();
        let result = match (writer, run.reports) {
            (Some(writer), Some(reports)) if writer.arguments.is_some() => {
                return self.write_results(id, run.index, &input, writer, reports);
            }
            (Some(writer), Some((good, bad))) => {
                let mut entries = match writer.transformation {
                    Some(Transformation::None) => good,
                    Some(Transformation::Flatten) => flattened(results),
                    Some(Transformation::Compact) | None => results,
                };
                // A failure is always told of whole.
                entries.extend(bad);
                entries
            }
            _ => results,
        };
        self.run_succeeded(id, run.index, &Arc::new(Value::Array(result)));
    }
    pub(super) fn run_succeeded(&mut self, id: u64, run: usize, result: &Arc<Value>) {
        self.close_run(run, Status::Succeeded);
        self.record(id, "MapRunSucceeded", |_| None);
        self.record_aside(id, "MapStateSucceeded", None);
        if self.status == Status::Running {
            self.result(id, (**result).clone());
        }
    }
}

/// Lists among the values give way to their items.
pub(super) fn flattened(values: Vec<Value>) -> Vec<Value> {
    let mut flat = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::Array(items) => flat.extend(items),
            other => flat.push(other),
        }
    }
    flat
}
