//! Handles an error: retries, catches, fails the parent, or ends the execution.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Execution;
use super::data::{cut, data};
use super::enter::StateExit;
use super::fields::{assign, fill};
use super::model::{Thread, ThreadPhase, TimerPurpose};
use super::record::{aborted, fault_fields};
use crate::definition::model::{Catcher, Language, StateKind};
use crate::fault::{Fault, Origin};
use crate::limits::MAX_CAUSE;
use crate::path::Path;
use crate::scope::{Context, Scope};
use crate::{Status, StepChange};

impl Execution {
    pub(super) fn located(&self, id: u64, cause: &str) -> String {
        self.threads.get(&id).map_or_else(String::new, |t| {
            format!(
                "An error occurred while executing the state '{}' (entered at the event id #{}). {cause}",
                t.state.name, t.entered.0
            )
        })
    }

    /// Fails the thread's state. `also` is a second name that matches the error.
    pub(super) fn fail(&mut self, id: u64, fault: Fault, also: Option<&str>) {
        if self.status != Status::Running {
            return;
        }
        let mut fault = fault;
        match &fault.origin {
            Origin::State | Origin::Evaluation(_) => {
                fault.cause = fault
                    .cause
                    .as_deref()
                    .map(|c| cut(self.located(id, c), MAX_CAUSE));
            }
            Origin::Task | Origin::Plain => {}
        }
        if let Origin::Evaluation(location) = fault.origin.clone() {
            if let Some(thread) = self
                .threads
                .get_mut(&id)
                .filter(|t| !matches!(t.state.kind, StateKind::Wait(_)))
            {
                thread.previous = thread.before;
            }
            let mut fields = fault_fields(&fault);
            if let Some(location) = location {
                fields.insert("location".into(), json!(location));
            }
            self.record(id, "EvaluationFailed", |t| {
                fields.insert("state".into(), json!(&*t.state.name));
                Some(("evaluationFailedEventDetails", Value::Object(fields)))
            });
        }
        self.rise(id, fault, also);
    }

    /// Searches for a handler of the error: in the state, then in those around it.
    fn rise(&mut self, id: u64, fault: Fault, also: Option<&str>) {
        let (mut id, mut fault, mut also) = (id, fault, also);
        loop {
            if self.status != Status::Running {
                return;
            }
            if fault.is_final() {
                match self.child_root(id) {
                    None => return self.give_up(id, &fault),
                    Some(root) => id = root,
                }
            } else {
                if self.retry(id, &fault, also) {
                    return;
                }
                self.record_failed(id);
                if self.caught(id, &fault, also) {
                    return;
                }
            }
            let Some(thread) = self.threads.get(&id) else {
                return;
            };
            let Some((parent, index)) = thread.parent else {
                return self.give_up(id, &fault);
            };
            let previous = thread.previous;
            let child = thread.child.clone();
            let Some(above) = self.threads.get_mut(&parent) else {
                return;
            };
            let run = match &above.phase {
                ThreadPhase::Children(children) => children.run.as_ref().map(|r| r.index),
                _ => None,
            };
            if let Some(run) = run {
                if let Some(child) = child {
                    self.child_ended(parent, &child, Err(&fault));
                }
                if !self.iteration_failed(parent, id, run) {
                    return;
                }
                fault = Fault::task(
                    Some("States.ExceedToleratedFailureThreshold"),
                    Some("The specified tolerated failure threshold was exceeded"),
                );
            } else {
                above.previous = previous;
                self.branch_failed(parent, id, index);
                fault.origin = Origin::Task;
            }
            (id, also) = (parent, None);
        }
    }

    /// Counts a failed child execution, and returns whether that is one too many.
    fn iteration_failed(&mut self, parent: u64, failed: u64, run: usize) -> bool {
        self.freeze(failed);
        let Some(thread) = self.threads.get_mut(&parent) else {
            return false;
        };
        let ThreadPhase::Children(children) = &mut thread.phase else {
            return false;
        };
        children.open = children.open.saturating_sub(1);
        children.failed += 1;
        let finished = children.done + children.failed == children.results.len() as u64;
        if self.is_over(run) {
            let fault = Fault::task(
                Some("States.ExceedToleratedFailureThreshold"),
                Some("The specified tolerated failure threshold was exceeded"),
            );
            let fields = fault_fields(&fault);
            self.record(parent, "MapRunFailed", |_| {
                Some(("mapRunFailedEventDetails", Value::Object(fields)))
            });
            let now = self.now;
            if let Some(run) = self.runs.get_mut(run) {
                (run.status, run.stop) = (Status::Failed, Some(now));
            }
            return true;
        }
        if finished {
            self.joined(parent);
        } else {
            self.iterate(parent);
        }
        false
    }

    /// Records the failure of a branch or iteration, and the abort of those that are stopped with
    /// it.
    fn branch_failed(&mut self, parent: u64, failed: u64, index: usize) {
        let Some(above) = self.threads.get(&parent) else {
            return;
        };
        let name = Arc::clone(&above.state.name);
        let is_map = matches!(above.state.kind, StateKind::Map(_));
        if above.child.is_some() {
            return;
        }
        if is_map {
            let details = json!({"name": &*name, "index": index});
            self.record_aside(
                parent,
                "MapIterationFailed",
                Some(("mapIterationFailedEventDetails", details)),
            );
        }
        for below in self.below(parent) {
            let Some(thread) = self.threads.get(&below) else {
                continue;
            };
            if (is_map && below == failed) || matches!(thread.phase, ThreadPhase::Enter) {
                continue;
            }
            let direct = thread.parent.filter(|p| p.0 == parent).map(|p| p.1);
            if let Some(event) = aborted(&thread.state.kind) {
                self.record_aside(below, event, None);
            }
            if let (true, Some(index)) = (is_map, direct) {
                let details = json!({"name": &*name, "index": index});
                self.record_aside(
                    below,
                    "MapIterationAborted",
                    Some(("mapIterationAbortedEventDetails", details)),
                );
            }
        }
    }

    fn record_failed(&mut self, id: u64) {
        let kind = match self.threads.get(&id).map(|t| &t.state.kind) {
            Some(StateKind::Parallel(_)) => "ParallelStateFailed",
            Some(StateKind::Map(_)) => "MapStateFailed",
            _ => return,
        };
        // A retry would have happened before: the state does not handle the error.
        self.record(id, kind, |_| None);
    }

    /// Ends the execution with an error that was not handled.
    fn give_up(&mut self, id: u64, fault: &Fault) {
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        let previous = thread.previous;
        let root = self.root(id);
        self.step(root, |step| StepChange::Failed {
            step,
            error: fault.error.clone().unwrap_or_default(),
            cause: fault.cause.clone().unwrap_or_default(),
        });
        let cause = fault.cause.clone().filter(|c| !c.is_empty());
        self.end_after(previous, Status::Failed, None, fault.error.clone(), cause);
    }

    /// Retries if a retrier matches the error: starts its delay and returns true.
    fn retry(&mut self, id: u64, fault: &Fault, also: Option<&str>) -> bool {
        let Some(thread) = self.threads.get_mut(&id) else {
            return false;
        };
        let state = Arc::clone(&thread.state);
        thread.retries.resize(state.retry.len(), 0);
        let Some(index) = state
            .retry
            .iter()
            .position(|r| fault.is_named_by(&r.errors, also))
        else {
            return false;
        };
        let (retrier, tries) = (&state.retry[index], thread.retries[index]);
        if tries >= retrier.attempts {
            return false;
        }
        thread.retries[index] += 1;
        thread.attempt += 1;
        let attempt = thread.attempt;
        let mut delay =
            (retrier.interval * retrier.backoff.powf(f64::from(tries))).min(retrier.max);
        if retrier.jitter {
            delay *= self.dice.fraction();
        }
        self.remove_children(id);
        let timer = self.arm(delay, TimerPurpose::Thread(id));
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.phase = ThreadPhase::Backoff(timer);
        }
        self.step(id, |step| StepChange::Retrying {
            step,
            attempt,
            error: fault.error.clone().unwrap_or_default(),
        });
        true
    }

    /// Catches the error if a catcher matches: enters its state and returns true.
    fn caught(&mut self, id: u64, fault: &Fault, also: Option<&str>) -> bool {
        let Some(state) = self.threads.get(&id).map(|t| Arc::clone(&t.state)) else {
            return false;
        };
        let Some(catcher) = state
            .catch
            .iter()
            .find(|c| fault.is_named_by(&c.errors, also))
        else {
            return false;
        };
        self.remove_children(id);
        let Some(thread) = self.threads.get(&id) else {
            return false;
        };
        match self.catch(thread, catcher, fault) {
            Ok(left) => self.leave(id, left),
            Err(fault) => self.rise_uncaught(id, fault),
        }
        true
    }

    /// The catcher's own fields failed. The state cannot catch that.
    fn rise_uncaught(&mut self, id: u64, fault: Fault) {
        let cause = fault.cause.as_deref().map(|c| self.located(id, c));
        let fault = Fault { cause, ..fault };
        self.give_up(id, &fault);
    }

    pub(super) fn catch(
        &self,
        thread: &Thread,
        catcher: &Catcher,
        fault: &Fault,
    ) -> Result<StateExit, Fault> {
        let state = &*thread.state;
        let error = json!({"Error": fault.error, "Cause": fault.cause});
        let context = Context::new(|| self.context_object(thread, None));
        let name = &*state.name;
        let left = |output, assigned| StateExit {
            output,
            assigned,
            next: Some(Arc::clone(&catcher.next)),
        };
        if state.language == Language::Jsonata {
            let scope = Scope {
                error: Some(&error),
                ..self.scope(thread, thread.input.value(), &context)
            };
            let assigned = assign(catcher.assign.as_ref(), &scope, name)?;
            let output = match &catcher.output {
                Some(template) => fill(template, &scope, "Output", name)?,
                None => error.clone(),
            };
            return Ok(left(data(output, name)?, assigned));
        }
        let assigned = assign(
            catcher.assign.as_ref(),
            &self.scope(thread, &error, &context),
            name,
        )?;
        let output = match &catcher.result_path {
            None => return Ok(left(Arc::clone(&thread.input), assigned)),
            Some(path) if Path::is_whole(path) => error,
            Some(path) => path
                .write(thread.input.value().clone(), error)
                .ok_or_else(|| {
                    Fault::state(
                        "States.ResultPathMatchFailure",
                        format!(
                            "Unable to apply ReferencePath {} to input {}",
                            path.text, thread.input.text
                        ),
                    )
                })?,
        };
        Ok(left(data(output, name)?, assigned))
    }
}
