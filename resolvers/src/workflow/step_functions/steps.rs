//! Converts history events to updates of a job's top-level states. Pure: it takes events in order
//! and reads nothing.
//!
//! An event of a task does not name its state; the state is that of the event before it, back to
//! the event that entered it. A failed task is reported as a retry when the next try is scheduled.
//!
//! Steps begin with the first event of a history, or at a job's row ([`Steps::resume`]). The row
//! does not show everything; [`Steps::is_unsure`] says when that matters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use job::change::StepUpdate;
use job::{Job, JobError, StepKind, Time};
use serde_json::Value;

use crate::workflow::{End, ExecutionEvent, ExecutionStatus};

/// The known progress of the steps of an execution.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    /// Top-level states, with the number of branches of a Parallel.
    top: Arc<HashMap<String, u32>>,
    /// Top-level states whose task waits for an answer. A log without execution data may not show
    /// it.
    asks: Arc<HashSet<String>>,
    /// The id of the last event that was not processed here: 0, or the position of the job's row.
    base: u64,
    /// The state of the events up to `base`, if later events refer to them.
    base_owner: Option<Arc<str>>,
    /// The state of each event after `base`.
    owners: Vec<Option<Arc<str>>>,
    /// The top-level state that was entered last and not left.
    current: Option<Arc<str>>,
    /// Of the current state: tries so far, the last failure, items done and in all.
    tries: u32,
    failure: Option<JobError>,
    items: (u32, u32),
    /// Whether the row does not show the number of tries since the current state was entered: the
    /// execution may have been there before.
    tries_unknown: bool,
    /// Whether the row does not show the number of items of the current Map: it is reset by a
    /// redrive, which does not start the Map again.
    items_unknown: bool,
    /// The event before the failure of an iteration of the current Map. If the Map is tried again,
    /// it starts after the same event.
    map_failed: Option<u64>,
    unsure: bool,
    pub(super) position: u64,
}

impl Steps {
    pub(super) fn new(definition: &str) -> Steps {
        let root = json::read(definition).unwrap_or_default();
        let states = root["States"].as_object().into_iter().flatten();
        let asks = states.clone().filter(|(_, state)| {
            let resource = state["Resource"].as_str();
            resource.is_some_and(|resource| resource.ends_with(".waitForTaskToken"))
        });
        let asks = asks.map(|(name, _)| name.clone()).collect();
        let top = states.map(|(name, state)| {
            let branches = state["Branches"].as_array().map_or(0, Vec::len);
            (name.clone(), u32::try_from(branches).unwrap_or(u32::MAX))
        });
        Steps {
            top: Arc::new(top.collect()),
            asks: Arc::new(asks),
            base: 0,
            base_owner: None,
            owners: Vec::new(),
            current: None,
            tries: 0,
            failure: None,
            items: (0, 0),
            tries_unknown: false,
            items_unknown: false,
            map_failed: None,
            unsure: false,
            position: 0,
        }
    }

    /// The progress that a job's row shows, at the row's position.
    pub(super) fn resume(definition: &str, job: &Job) -> Self {
        let mut steps = Self::new(definition);
        if job.position == 0 {
            return steps;
        }
        (steps.base, steps.position) = (job.position, job.position);
        let mut open = job.steps.iter().filter(|step| step.status.is_open());
        let Some(step) = open.next().filter(|_| !job.status.is_terminal()) else {
            return steps;
        };
        // A function may have reported for a step that the execution has not reached.
        steps.unsure = open.next().is_some();
        let current: Arc<str> = step.name.as_str().into();
        let within = matches!(step.kind, StepKind::Map | StepKind::Parallel);
        // Once the number of items is known, events belong to states inside unless they name
        // another.
        if !within || step.items_total.is_none() {
            steps.base_owner = Some(Arc::clone(&current));
        }
        steps.tries = step.attempt;
        steps.tries_unknown = step.attempt > 1 && is_repeatable(definition, &step.name);
        steps.items = (
            step.items_done.unwrap_or_default(),
            step.items_total.unwrap_or_default(),
        );
        steps.items_unknown = step.items_total.is_none();
        steps.current = Some(current);
        steps
    }

    /// Whether an event could not be converted from what the job's row shows: the history must be
    /// read.
    pub(super) fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Whether the row will show everything that is known here. It does not show the failure of a
    /// try before the next try begins.
    pub(super) fn is_shown(&self) -> bool {
        self.failure.is_none() && self.map_failed.is_none() || self.current.is_none()
    }

    /// Processes the next event and adds its updates.
    pub(super) fn take(&mut self, event: &Value, so_far: &mut ExecutionEvent) {
        let Some(id) = event["id"].as_u64().filter(|id| *id > self.position) else {
            return;
        };
        self.position = id;
        let kind = event["type"].as_str().unwrap_or_default();
        let millis = event["timestamp"].as_f64().unwrap_or_default() * 1_000.0;
        (so_far.position, so_far.at) = (id, Time::from_millis(millis.round() as i64));
        let entered = event["stateEnteredEventDetails"]["name"].as_str();
        let exited = event["stateExitedEventDetails"]["name"].as_str();
        let owner = match entered.or(exited) {
            Some(name) => Some(name.into()),
            None => self.owner_of_previous(event),
        };
        let place = usize::try_from(id - 1 - self.base).unwrap_or_default();
        self.owners.resize(place, None);
        self.owners.push(owner.clone());
        if let Some(name) = entered.filter(|name| self.top.contains_key(*name)) {
            (self.tries, self.failure, self.items) = (0, None, (0, 0));
            (self.tries_unknown, self.items_unknown, self.map_failed) = (false, false, None);
            self.current = Some(name.into());
            so_far.steps.push((name.to_owned(), StepUpdate::Entered));
            if kind == "WaitStateEntered" {
                so_far.steps.push((name.to_owned(), StepUpdate::Waiting));
            }
        }
        let is_own = owner.is_some() && owner == self.current;
        if let (true, Some(step)) = (is_own, self.current.clone()) {
            self.within(kind, event, &step, so_far);
        }
        self.iterations(kind, event, so_far);
        self.ending(kind, event, so_far);
    }

    fn owner_of_previous(&self, event: &Value) -> Option<Arc<str>> {
        let previous = event["previousEventId"].as_u64()?.checked_sub(1)?;
        let Some(previous) = previous.checked_sub(self.base) else {
            return self.base_owner.clone();
        };
        self.owners.get(usize::try_from(previous).ok()?)?.clone()
    }

    /// Events of the current state itself.
    fn within(&mut self, kind: &str, event: &Value, step: &str, so_far: &mut ExecutionEvent) {
        let mut push = |update| so_far.steps.push((step.to_owned(), update));
        if let Some(scheduled) = kind.strip_suffix("Scheduled") {
            match self.failure.take() {
                None => self.tries = 1,
                Some(error) => {
                    self.tries += 1;
                    self.unsure |= self.tries_unknown;
                    let attempt = self.tries;
                    push(StepUpdate::Retrying { attempt, error });
                }
            }
            let resource = &event["taskScheduledEventDetails"]["resource"];
            let asks = resource
                .as_str()
                .is_some_and(|resource| resource.ends_with(".waitForTaskToken"));
            push(
                if asks || scheduled == "Activity" || self.asks.contains(step) {
                    StepUpdate::Waiting
                } else {
                    StepUpdate::Running
                },
            );
        } else if is_task(kind) && (kind.ends_with("Failed") || kind.ends_with("TimedOut")) {
            self.failure = Some(error_of(event, kind.ends_with("TimedOut")));
        } else if kind == "ParallelStateStarted" {
            self.items = (0, self.top.get(step).copied().unwrap_or_default());
            let (done, total) = self.items;
            push(StepUpdate::Items { done, total });
        } else if kind == "MapStateSucceeded" {
            // A function may have reported other numbers.
            self.unsure |= self.items_unknown;
            let total = self.items.1;
            if self.items.0 != total {
                push(StepUpdate::Items { done: total, total });
            }
        } else if kind.ends_with("StateExited") {
            if kind == "ParallelStateExited" {
                let total = self.top.get(step).copied().unwrap_or_default();
                push(StepUpdate::Items { done: total, total });
            }
            push(StepUpdate::Exited);
            self.current = None;
        }
    }

    /// Iterations of a top-level Map. Their events name it.
    fn iterations(&mut self, kind: &str, event: &Value, so_far: &mut ExecutionEvent) {
        let Some(current) = self.current.clone() else {
            return;
        };
        let of_current = |details: &str| event[details]["name"].as_str() == Some(&*current);
        let previous = event["previousEventId"].as_u64();
        if kind == "MapIterationFailed" && of_current("mapIterationFailedEventDetails") {
            self.map_failed = previous;
            return;
        }
        let is_again = self.map_failed.is_some() && self.map_failed == previous;
        let is_own = self.owners.last() == Some(&Some(current.clone()));
        if kind == "MapStateStarted" && (is_own || is_again) {
            self.map_failed = None;
            if let Some(owner) = self.owners.last_mut() {
                *owner = Some(Arc::clone(&current));
            }
            let length = event["mapStateStartedEventDetails"]["length"].as_u64();
            let length = length.unwrap_or_default();
            self.items = (0, u32::try_from(length).unwrap_or(u32::MAX));
            self.items_unknown = false;
        } else if kind == "MapIterationSucceeded" && of_current("mapIterationSucceededEventDetails")
        {
            self.items.0 = self.items.0.saturating_add(1);
            self.unsure |= self.items_unknown;
            // The iteration is over: later events belong to the Map itself.
            if let Some(owner) = self.owners.last_mut() {
                *owner = Some(current.clone());
            }
        } else if kind == "MapRunSucceeded" {
            self.items.0 = self.items.1;
        } else {
            return;
        }
        let (done, total) = self.items;
        so_far
            .steps
            .push((current.to_string(), StepUpdate::Items { done, total }));
    }

    /// Events of the execution as a whole.
    fn ending(&mut self, kind: &str, event: &Value, so_far: &mut ExecutionEvent) {
        let (status, details) = match kind {
            "ExecutionSucceeded" => (
                ExecutionStatus::Succeeded,
                &event["executionSucceededEventDetails"],
            ),
            "ExecutionFailed" => (
                ExecutionStatus::Failed,
                &event["executionFailedEventDetails"],
            ),
            "ExecutionTimedOut" => (
                ExecutionStatus::TimedOut,
                &event["executionTimedOutEventDetails"],
            ),
            "ExecutionAborted" => (
                ExecutionStatus::Aborted,
                &event["executionAbortedEventDetails"],
            ),
            "ExecutionRedriven" => {
                so_far.end = None;
                so_far.redrives += 1;
                self.unsure |= self.base > 0 && self.current.is_none();
                if let Some(current) = &self.current {
                    (self.tries, self.failure, self.map_failed) = (0, None, None);
                    self.tries_unknown = false;
                    so_far
                        .steps
                        .push((current.to_string(), StepUpdate::Entered));
                    if let Some(owner) = self.owners.last_mut() {
                        *owner = Some(Arc::clone(current));
                    }
                }
                return;
            }
            _ => return,
        };
        let text = |name: &str| details[name].as_str().map(str::to_owned);
        let (error, cause) = (text("error"), text("cause"));
        if let (ExecutionStatus::Failed, Some(current)) = (status, &self.current) {
            let error = JobError::new(
                error.as_deref().unwrap_or_default(),
                cause.as_deref().unwrap_or_default(),
            );
            so_far
                .steps
                .push((current.to_string(), StepUpdate::Failed(error)));
        }
        so_far.end = Some(End {
            status,
            output: text("output").map(Into::into),
            error,
            cause,
        });
    }
}

/// Whether an event is one of a task: of a service, a function or an activity.
fn is_task(kind: &str) -> bool {
    let families = ["Task", "LambdaFunction", "Activity"];
    families.iter().any(|family| kind.starts_with(family)) && !kind.contains("State")
}

/// The error in an event's details.
fn error_of(event: &Value, timed_out: bool) -> JobError {
    let details = event.as_object().into_iter().flatten();
    let details = details
        .filter(|(name, _)| name.ends_with("EventDetails"))
        .map(|(_, details)| details)
        .next();
    let error = match details.and_then(|details| details["error"].as_str()) {
        None | Some("") if timed_out => "States.Timeout",
        error => error.unwrap_or_default(),
    };
    // The cause is reported when the last try has failed.
    JobError::new(error, "")
}

/// Whether an execution may come to this top-level state more than once.
fn is_repeatable(definition: &str, step: &str) -> bool {
    let root = json::read(definition).unwrap_or_default();
    let states = &root["States"];
    let mut open = next_of(&states[step]);
    let mut seen = HashSet::new();
    while let Some(name) = open.pop() {
        if name == step {
            return true;
        }
        if seen.insert(name) {
            open.extend(next_of(&states[name]));
        }
    }
    false
}

/// The states that may follow a state.
fn next_of(state: &Value) -> Vec<&str> {
    let lists = ["Choices", "Catch"].into_iter();
    let lists = lists.filter_map(|list| state[list].as_array()).flatten();
    let named = lists.filter_map(|one| one["Next"].as_str());
    let own = ["Next", "Default"].into_iter();
    own.filter_map(|field| state[field].as_str())
        .chain(named)
        .collect()
}
