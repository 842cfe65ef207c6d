//! Distributed Maps: batches, items from files, results in files, and the end of the map run.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Execution;
use super::children::{ChildExecution, Children, OpenMapRun};
use super::data::Data;
use super::fields::fill;
use super::map_plan::{ItemList, MapPlan, not_integer};
use super::map_run::at_once;
use super::model::ThreadPhase;
use super::record::fault_fields;
use crate::definition::model::{MapState, NumberField, StateKind, Transformation};
use crate::fault::Fault;
use crate::scope::Context;
use crate::{Status, history, items};

impl Execution {
    pub(super) fn enter_distributed(&mut self, id: u64, map: &MapState, plan: MapPlan) {
        let tolerated = match self.tolerated(id, map) {
            Ok(tolerated) => tolerated,
            Err(fault) => return self.fail(id, fault, None),
        };
        let Some(state) = self.threads.get(&id).map(|t| Arc::clone(&t.state)) else {
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
        self.open_run(arn.clone(), &state.name, plan.concurrency, tolerated);
        self.record(id, "MapRunStarted", |_| {
            Some(("mapRunStartedEventDetails", json!({"mapRunArn": arn})))
        });
        let run = Box::new(OpenMapRun {
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
        let read = |number: &Option<NumberField>, whole, most, words: &str| match number {
            None => Ok(None),
            Some(number) => {
                let found = self.number(id, number, whole)?;
                let found = number.within(found, (0.0, most), || words.to_owned());
                found.map(Some)
            }
        };
        let count = read(
            &map.tolerated_count,
            true,
            f64::INFINITY,
            "ToleratedFailureCount must be positive.",
        )?;
        let share = read(
            &map.tolerated_percentage,
            false,
            100.0,
            "ToleratedFailurePercentage must be between 0 and 100.",
        )?;
        Ok((count.map(|c| c as u64), share))
    }

    /// Batches the items and starts the child executions.
    pub(super) fn begin_run(
        &mut self,
        id: u64,
        items: ItemList,
        input: Arc<Data>,
        concurrency: usize,
        run: Box<OpenMapRun>,
    ) {
        let items = match self.batch(id, items, &input) {
            Ok(items) => items,
            Err(fault) => return self.run_failed(id, run.index, fault),
        };
        if let Some(known) = self.runs.get_mut(run.index) {
            known.total = items.values.len() as u64;
        }
        self.begin_items(id, items, input, concurrency, Some(run));
    }

    pub(super) fn batch(
        &self,
        id: u64,
        items: ItemList,
        input: &Arc<Data>,
    ) -> Result<ItemList, Fault> {
        let Some(thread) = self.threads.get(&id) else {
            return Ok(items);
        };
        let state = &*thread.state;
        let StateKind::Map(map) = &state.kind else {
            return Ok(items);
        };
        let Some(batcher) = &map.batcher else {
            return Ok(items);
        };
        let mut selected = Vec::with_capacity(items.values.len());
        for (index, item) in items.values.into_iter().enumerate() {
            let selector = state.parameters.as_ref();
            let item = self.select_item(id, index, (item, items.pairs), selector, input)?;
            selected.push(item.1);
        }
        let context = Context::new(|| self.context_object(thread, None));
        let scope = self.scope(thread, input.value(), &context);
        let common = batcher
            .input
            .as_ref()
            .map(|template| fill(template, &scope, "ItemBatcher/BatchInput", &state.name))
            .transpose()?;
        let limit = |number: &Option<NumberField>| -> Result<Option<usize>, Fault> {
            let Some(number) = number else {
                return Ok(None);
            };
            let limit = number.read(&scope, true, not_integer)?;
            let limit = number.within(limit, (1.0, f64::INFINITY), || {
                format!("{} must be positive.", number.field)
            })?;
            Ok(Some(limit as usize))
        };
        items::batches(
            selected,
            common.as_ref(),
            limit(&batcher.max_items)?,
            limit(&batcher.max_bytes)?,
        )
        .map(ItemList::of)
    }

    /// Fails the run and its Map.
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

    /// Counts a child execution that ended, and adds it to the result files.
    pub(super) fn child_ended(
        &mut self,
        parent: u64,
        child: &ChildExecution,
        outcome: Result<&Data, &Fault>,
    ) {
        let Some(thread) = self.threads.get(&parent) else {
            return;
        };
        let ThreadPhase::Children(children) = &thread.phase else {
            return;
        };
        let Some(run) = children.run.as_ref().map(|run| run.index) else {
            return;
        };
        self.count(run, child, outcome.is_ok());
        let (machine, stop) = (
            self.start.state_machine_arn.clone(),
            history::time(self.now),
        );
        let Some(thread) = self.threads.get_mut(&parent) else {
            return;
        };
        let ThreadPhase::Children(children) = &mut thread.phase else {
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

    /// Ends a run whose child executions have all ended without too many failures.
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
        let state = self.threads.get(&id).map(|t| Arc::clone(&t.state));
        let writer = state.as_ref().and_then(|s| match &s.kind {
            StateKind::Map(map) => map.writer.as_ref(),
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
                // A failure is always listed in full.
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

/// Replaces each list among the values by its items.
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
