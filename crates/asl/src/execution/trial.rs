//! Tries one state alone with a given outcome (`TestState`): shows what its fields make of the
//! data, step by step. It calls nothing and waits for nothing.
//!
//! Source: the API reference of `TestState`, `InspectionData`. The fields that each type of state
//! fills in follow recordings.

mod cut;
mod model;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use self::cut::{alone, find};
pub use self::model::{Before, Outcome, TrialStatus, Tried};
use super::data::Data;
use super::enter::{StateExit, StatePlan};
use super::fields::{fill, select};
use super::map_plan::ItemList;
use super::model::{Thread, ThreadPhase};
use super::{Execution, Start};
use crate::definition::model::{Language, MapState, State, StateKind};
use crate::fault::{Fault, Origin};
use crate::path::Path;
use crate::scope::{Context, Scope, Variables};
use crate::{Diagnostic, Resource, StateMachine};

/// A state that is ready for a trial.
#[derive(Debug)]
pub struct Trial {
    execution: Execution,
    thread: u64,
    before: Before,
}

impl Trial {
    /// Takes a state's definition, or a state machine's definition with the name of one of its
    /// states, which may be nested.
    ///
    /// # Errors
    /// All problems of the definition. `None` if the state machine has no such state.
    pub fn new(
        definition: &str,
        name: Option<&str>,
        start: Start,
        before: Before,
    ) -> Result<Option<Trial>, Vec<Diagnostic>> {
        json::with_room(|| Self::read(definition, name, start, before))
    }

    fn read(
        definition: &str,
        name: Option<&str>,
        start: Start,
        before: Before,
    ) -> Result<Option<Trial>, Vec<Diagnostic>> {
        let root: Value = match crate::definition::root(definition) {
            Ok(root) => root,
            Err(problem) => return Err(vec![*problem]),
        };
        let alone = match name {
            None => alone(&root, Value::Null),
            Some(name) => {
                StateMachine::parse(definition)?;
                let Some(state) = find(&root, name) else {
                    return Ok(None);
                };
                alone(state, root["QueryLanguage"].clone())
            }
        };
        let machine = Arc::new(StateMachine::parse(&alone.to_string())?);
        let graph = Arc::clone(&machine.graph);
        let input = Arc::new(Data::of_text(Arc::clone(&start.input)));
        let now = start.start_time;
        let mut execution = Execution::new(machine, start);
        execution.begun = true;
        execution.input = Some(Arc::clone(&input));
        execution.shown = Some(Box::new(before.context.clone()));
        let variables: Variables = before.variables.clone();
        execution.spawn(None, &graph, input, Arc::new(variables), 0, None, None);
        let thread = execution.counter;
        if let Some(thread) = execution.threads.get_mut(&thread) {
            // Its event is the second: the first one starts the execution.
            (thread.entered, thread.phase) = ((2, now), ThreadPhase::Run);
        }
        Ok(Some(Trial {
            execution,
            thread,
            before,
        }))
    }

    fn thread(&self) -> &Thread {
        self.execution
            .threads
            .get(&self.thread)
            .expect("a trial's thread stays")
    }

    fn state(&self) -> &State {
        &self.thread().state
    }

    fn map(&self) -> Option<&MapState> {
        match &self.state().kind {
            StateKind::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The state's `Type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let entered = self.state().kind.entered();
        entered.strip_suffix("StateEntered").unwrap_or(entered)
    }

    /// Number of branches of a Parallel.
    #[must_use]
    pub fn branches(&self) -> Option<usize> {
        match &self.state().kind {
            StateKind::Parallel(branches) => Some(branches.len()),
            _ => None,
        }
    }

    /// Whether a Map has a `ResultWriter`.
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.map().is_some_and(|map| map.writer.is_some())
    }

    /// Whether a Map has an `ItemReader`.
    #[must_use]
    pub fn has_reader(&self) -> bool {
        self.map().is_some_and(|map| map.reader.is_some())
    }

    /// Whether the state's context object has a task token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        matches!(&self.state().kind, StateKind::Task(task) if task.resource.offers_token())
    }

    /// Number of iterations of a Map, if its items can be computed.
    #[must_use]
    pub fn iterations(&self) -> Option<usize> {
        if let Some(items) = &self.before.items {
            return Some(items.len());
        }
        let map = self.map()?;
        let plan = json::with_room(|| self.execution.map_plan(self.thread(), map)).ok()?;
        plan.items.map(|items| items.values.len())
    }

    /// The resource of a Task, with its payload as JSON.
    ///
    /// # Errors
    /// The trial of [`Self::run`], if the request cannot be made.
    pub fn request(&self) -> Result<Option<(Resource, Arc<str>)>, Box<Tried>> {
        let StateKind::Task(task) = &self.state().kind else {
            return Ok(None);
        };
        match json::with_room(|| self.execution.plan(self.thread())) {
            Ok(StatePlan::Task(request)) => Ok(Some((task.resource.clone(), request.payload))),
            Ok(_) => Ok(None),
            Err(_) => Err(Box::new(self.run(None))),
        }
    }

    /// Tries the state. A Task, a Map or a Parallel needs an outcome; without one the trial ends
    /// before the work.
    #[must_use]
    pub fn run(&self, outcome: Option<Outcome>) -> Tried {
        json::with_room(|| self.tried(outcome))
    }

    fn tried(&self, outcome: Option<Outcome>) -> Tried {
        let mut shown = Map::new();
        shown.insert("input".into(), json!(&*self.thread().input.text));
        let tried = self.attempt(outcome, &mut shown);
        let mut variables = self.before.variables.clone();
        let (status, left, fault) = match tried {
            Ok(left) => (TrialStatus::Succeeded, Some(left), None),
            Err(fault) => self.failed(fault, &mut shown),
        };
        let (mut output, mut next) = (None, None);
        if let Some(left) = left {
            variables.extend(left.assigned.unwrap_or_default());
            output = Some(Arc::clone(&left.output.text));
            next = left.next.map(|next| next.to_string());
        }
        if !variables.is_empty() {
            shown.insert("variables".into(), text(&Value::Object(variables)));
        }
        let (error, cause) = fault.map_or((None, None), |fault| (fault.error, fault.cause));
        Tried {
            status,
            output,
            error,
            cause,
            next,
            inspection: shown,
        }
    }

    fn attempt(
        &self,
        outcome: Option<Outcome>,
        shown: &mut Map<String, Value>,
    ) -> Result<StateExit, Fault> {
        let (execution, thread, state) = (&self.execution, self.thread(), self.state());
        let context = Context::new(|| execution.context_object(thread, None));
        let paths = state.language == Language::JsonPath;
        let raw = thread.input.value();
        let scope = execution.scope(thread, raw, &context);
        if paths
            && !matches!(
                state.kind,
                StateKind::Pass(Some(_)) | StateKind::Parallel(_)
            )
        {
            let input = select(state.input.as_ref(), &scope)?;
            shown.insert("afterInputPath".into(), text(&input));
        }
        match &state.kind {
            StateKind::Pass(result) => {
                let value = match result {
                    Some(result) => {
                        if paths {
                            shown.insert("result".into(), text(result));
                        }
                        result.clone()
                    }
                    None => self.request_data(&scope, shown)?,
                };
                self.show_result(&value, &context, shown)?;
                execution.finish(thread, value, &context)
            }
            StateKind::Task(_) => {
                self.request_data(&scope, shown)?;
                execution.plan(thread)?;
                let result = given(outcome)?;
                shown.insert("result".into(), text(&result));
                self.show_result(&result, &context, shown)?;
                execution.finish(thread, result, &context)
            }
            StateKind::Parallel(_) => {
                execution.plan(thread)?;
                let result = given(outcome)?;
                self.show_result(&result, &context, shown)?;
                execution.finish(thread, result, &context)
            }
            StateKind::Map(map) => {
                self.show_map(map, shown)?;
                let result = given(outcome)?;
                self.tolerate(map)?;
                self.show_result(&result, &context, shown)?;
                execution.finish(thread, result, &context)
            }
            StateKind::Wait(_) => {
                execution.plan(thread)?;
                execution.after_wait(thread)
            }
            StateKind::Succeed | StateKind::Choice { .. } | StateKind::Fail { .. } => {
                match execution.plan(thread)? {
                    StatePlan::Leave(left) => Ok(left),
                    _ => Err(Fault::runtime("The state did not end")),
                }
            }
        }
    }

    /// The input of the state's work: after `Parameters` or `Arguments`.
    fn request_data(
        &self,
        scope: &Scope<'_>,
        shown: &mut Map<String, Value>,
    ) -> Result<Value, Fault> {
        let state = self.state();
        let input = select(state.input.as_ref(), scope)?;
        let inner = Scope {
            input: &input,
            ..*scope
        };
        let paths = state.language == Language::JsonPath;
        let (field, after) = if paths {
            ("Parameters", "afterParameters")
        } else {
            ("Arguments", "afterArguments")
        };
        let data = match &state.parameters {
            None => (*input).clone(),
            Some(template) => fill(template, &inner, field, &state.name)?,
        };
        if paths || state.parameters.is_some() {
            shown.insert(after.into(), text(&data));
        }
        Ok(data)
    }

    /// Shows the steps of JSONPath from a result to the data before `OutputPath`.
    fn show_result(
        &self,
        result: &Value,
        context: &Context<'_>,
        shown: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let (thread, state) = (self.thread(), self.state());
        if state.language == Language::Jsonata {
            return Ok(());
        }
        let scope = self.execution.scope(thread, result, context);
        let selected = match &state.selector {
            None => result.clone(),
            Some(template) => fill(template, &scope, "ResultSelector", &state.name)?,
        };
        shown.insert("afterResultSelector".into(), text(&selected));
        let raw = thread.input.value();
        let placed = match &state.result_path {
            None => Some(raw.clone()),
            Some(path) if Path::is_whole(path) => Some(selected),
            Some(path) => path.write(raw.clone(), selected),
        };
        // The end of the state reports a location that does not fit.
        if let Some(placed) = placed {
            shown.insert("afterResultPath".into(), text(&placed));
        }
        Ok(())
    }

    fn show_map(&self, map: &MapState, shown: &mut Map<String, Value>) -> Result<(), Fault> {
        let (execution, state) = (&self.execution, self.state());
        let plan = execution.map_plan(self.thread(), map)?;
        let paths = state.language == Language::JsonPath;
        let before = self.before.items.clone().map(ItemList::of);
        let items = plan.items.clone().or(before);
        if paths && let Some(items) = &plan.items {
            shown.insert("afterItemsPath".into(), text(&json!(items.values)));
        }
        if let Some(items) = items {
            if let (true, Some(_)) = (paths, &state.parameters) {
                let mut selected = Vec::with_capacity(items.values.len());
                for (index, item) in items.values.iter().enumerate() {
                    let selector = state.parameters.as_ref();
                    let item = execution.select_item(
                        self.thread,
                        index,
                        (item.clone(), items.pairs),
                        selector,
                        &plan.input,
                    )?;
                    selected.push(item.1);
                }
                shown.insert("afterItemSelector".into(), text(&json!(selected)));
            }
            if paths && map.batcher.is_some() {
                let batches = execution.batch(self.thread, items, &plan.input)?;
                shown.insert("afterItemBatcher".into(), text(&json!(batches.values)));
            }
        }
        shown.insert("maxConcurrency".into(), json!(plan.concurrency));
        let (count, share) = execution.tolerated(self.thread, map)?;
        if let Some(count) = count {
            shown.insert("toleratedFailureCount".into(), json!(count));
        }
        if let Some(share) = share {
            shown.insert("toleratedFailurePercentage".into(), json!(share));
        }
        Ok(())
    }

    /// Fails a Map with more failures than it tolerates.
    fn tolerate(&self, map: &MapState) -> Result<(), Fault> {
        let Some(failed) = self.before.failures else {
            return Ok(());
        };
        let (count, share) = self.execution.tolerated(self.thread, map)?;
        let total = self.iterations().unwrap_or_default().max(1) as f64;
        let over = count.is_some_and(|count| failed > count)
            || share.is_some_and(|share| failed as f64 * 100.0 / total > share);
        if over {
            return Err(Fault::task(
                Some("States.ExceedToleratedFailureThreshold"),
                Some("The specified tolerated failure threshold was exceeded"),
            ));
        }
        Ok(())
    }

    /// Handles an error with the state's retriers and catchers.
    fn failed(
        &self,
        mut fault: Fault,
        shown: &mut Map<String, Value>,
    ) -> (TrialStatus, Option<StateExit>, Option<Fault>) {
        if matches!(fault.origin, Origin::State | Origin::Evaluation(_)) {
            fault.cause = fault
                .cause
                .map(|cause| self.execution.located(self.thread, &cause));
        }
        let (state, mut details) = (self.state(), Map::new());
        if let Origin::Evaluation(Some(location)) = &fault.origin {
            details.insert("location".into(), json!(location));
        }
        let mut status = TrialStatus::Failed;
        let mut left = None;
        if !fault.is_final() {
            let named = |errors: &[String]| fault.is_named_by(errors, None);
            let retrier = state.retry.iter().position(|one| named(&one.errors));
            let catcher = state.catch.iter().position(|one| named(&one.errors));
            if let Some(index) = retrier {
                details.insert("retryIndex".into(), json!(index));
                let retrier = &state.retry[index];
                if self.before.retries < retrier.attempts {
                    let delay =
                        retrier.interval * retrier.backoff.powf(f64::from(self.before.retries));
                    let delay = delay.min(retrier.max).round() as u64;
                    details.insert("retryBackoffIntervalSeconds".into(), json!(delay));
                    status = TrialStatus::Retriable;
                }
            }
            if let (TrialStatus::Failed, Some(index)) = (status, catcher) {
                details.insert("catchIndex".into(), json!(index));
                match self
                    .execution
                    .catch(self.thread(), &state.catch[index], &fault)
                {
                    Ok(caught) => (status, left) = (TrialStatus::CaughtError, Some(caught)),
                    Err(other) => fault = other,
                }
            }
        }
        if !details.is_empty() {
            shown.insert("errorDetails".into(), Value::Object(details));
        }
        (status, left, Some(fault))
    }
}

fn text(value: &Value) -> Value {
    Value::String(value.to_string())
}

fn given(outcome: Option<Outcome>) -> Result<Value, Fault> {
    match outcome {
        Some(Outcome::Result(result)) => Ok(result),
        Some(Outcome::Error { error, cause }) => {
            Err(Fault::task(error.as_deref(), cause.as_deref()))
        }
        None => Err(Fault::runtime("The state's work was not done")),
    }
}

#[cfg(test)]
mod tests;
