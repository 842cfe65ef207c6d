//! Leaves states: the result becomes the output, variables are assigned, and the next state or the
//! end of the thread follows.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Execution;
use super::data::data;
use super::enter::StateExit;
use super::fields::{assign, fill, select};
use super::model::{Thread, ThreadPhase};
use crate::definition::model::{Language, StateKind};
use crate::fault::Fault;
use crate::path::Path;
use crate::scope::{Context, Scope, Variables};
use crate::{Status, StepChange};

impl Execution {
    /// The exit of a state with this result.
    pub(super) fn finish(
        &self,
        thread: &Thread,
        result: Value,
        context: &Context<'_>,
    ) -> Result<StateExit, Fault> {
        let state = &*thread.state;
        let raw = &thread.input;
        let name = &*state.name;
        let left = |output, assigned| StateExit {
            output,
            assigned,
            next: state.next.clone(),
        };
        if state.language == Language::Jsonata {
            let is_result = matches!(
                state.kind,
                StateKind::Task(_) | StateKind::Parallel(_) | StateKind::Map(_)
            );
            let scope = Scope {
                result: is_result.then_some(&result),
                ..self.scope(thread, raw.value(), context)
            };
            let assigned = assign(state.assign.as_ref(), &scope, name)?;
            let output = match &state.result {
                Some(template) => data(fill(template, &scope, "Output", name)?, name)?,
                None if !is_result && !matches!(state.kind, StateKind::Pass(Some(_))) => {
                    Arc::clone(raw)
                }
                None => data(result, name)?,
            };
            return Ok(left(output, assigned));
        }
        let scope = self.scope(thread, &result, context);
        let result = match &state.selector {
            None => result,
            Some(template) => fill(template, &scope, "ResultSelector", name)?,
        };
        let assigned = match &state.assign {
            None => None,
            Some(_) => assign(
                state.assign.as_ref(),
                &self.scope(thread, &result, context),
                name,
            )?,
        };
        let output = match &state.result_path {
            None => Arc::clone(raw),
            Some(path) if path.is_whole() => data(result, name)?,
            Some(path) => data(
                path.write(raw.value().clone(), result).ok_or_else(|| {
                    Fault::state(
                        "States.ResultPathMatchFailure",
                        format!(
                            "Unable to apply ReferencePath {} to input {}",
                            path.text, raw.text
                        ),
                    )
                })?,
                name,
            )?,
        };
        if state.output.as_ref().is_some_and(Path::is_whole) {
            return Ok(left(output, assigned));
        }
        let scope = self.scope(thread, output.value(), context);
        let selected = select(state.output.as_ref(), &scope)?.into_owned();
        Ok(left(data(selected, name)?, assigned))
    }

    /// Leaves a state with its result.
    pub(super) fn result(&mut self, id: u64, result: Value) {
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        let context = Context::new(|| self.context_object(thread, None));
        let finished = self.finish(thread, result, &context);
        drop(context);
        match finished {
            Ok(left) => self.leave(id, left),
            Err(fault) => self.fail(id, fault, None),
        }
    }

    /// Leaves a Wait: its input passes on.
    pub(super) fn waited(&mut self, id: u64) {
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        match self.after_wait(thread) {
            Ok(left) => self.leave(id, left),
            Err(fault) => self.fail(id, fault, None),
        }
    }

    pub(super) fn after_wait(&self, thread: &Thread) -> Result<StateExit, Fault> {
        let state = &*thread.state;
        let raw = &thread.input;
        if state.is_plain {
            return Ok(StateExit {
                output: Arc::clone(raw),
                assigned: None,
                next: state.next.clone(),
            });
        }
        let context = Context::new(|| self.context_object(thread, None));
        let scope = self.scope(thread, raw.value(), &context);
        let input = select(state.input.as_ref(), &scope)?.into_owned();
        self.finish(thread, input, &context)
    }

    /// Exits the state with its output and enters the next one, or ends the thread.
    pub(super) fn leave(&mut self, id: u64, left: StateExit) {
        let StateExit {
            output,
            assigned,
            next,
        } = left;
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        let kind = thread.state.kind.exited();
        let quiet = thread.child.is_some();
        let told = if quiet {
            None
        } else {
            assigned.as_ref().map(shown)
        };
        if let Some(assigned) = assigned {
            Arc::make_mut(&mut thread.variables).extend(assigned);
        }
        self.record(id, kind, |t| {
            let mut details = json!({"name": &*t.state.name, "output": &*output.text, "outputDetails": {"truncated": false}});
            if let Some(told) = told {
                details["assignedVariables"] = told;
                details["assignedVariablesDetails"] = json!({"truncated": false});
            }
            Some(("stateExitedEventDetails", details))
        });
        self.step(id, |step| StepChange::Exited { step });
        if self.status != Status::Running {
            return;
        }
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        if let Some(next) = next
            && let Some(state) = thread.graph.states.get(&next).cloned()
        {
            if thread.parent.is_none() {
                thread.step = Arc::clone(&state.name);
            }
            thread.state = state;
            (thread.input, thread.phase, thread.attempt) = (output, ThreadPhase::Enter, 0);
            thread.retries.clear();
            self.ready.push_back(id);
            return;
        }
        let Some(thread) = self.threads.remove(&id) else {
            return;
        };
        match thread.parent {
            None => self.end_after(
                thread.previous,
                Status::Succeeded,
                Some(Arc::clone(&output.text)),
                None,
                None,
            ),
            Some((parent, index)) => {
                if let Some(child) = &thread.child {
                    self.child_ended(parent, child, Ok(&output));
                }
                self.child_done(parent, index, output, thread.previous);
            }
        }
    }
}

/// Variables as an exit event shows them: each value is JSON text.
fn shown(assigned: &Variables) -> Value {
    Value::Object(
        assigned
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.to_string())))
            .collect::<Map<_, _>>(),
    )
}
