//! Enters states: first computes what a state's fields say, without changing anything, and then
//! does it.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Execution;
use super::data::{Data, data};
use super::fields::{assign, fill, select};
use super::map_run::MAX_CHILD_STATES;
use super::model::{Thread, ThreadPhase, TimerPurpose};
use super::record::Details;
use crate::definition::model::{
    ChoiceBranch, ChoiceTest, Language, NumberField, State, StateKind, TaskState, TextField, plain,
};
use crate::fault::Fault;
use crate::limits::{MAX_HISTORY, MAX_SECONDS};
use crate::path::Path;
use crate::scope::{Context, Scope, Variables};
use crate::{Status, StepChange, TaskId, token};

/// The action of a state, once its fields are computed.
pub(super) enum StatePlan {
    Leave(StateExit),
    Wait(Timestamp),
    Task(TaskRequest),
    Parallel(Arc<Data>),
    Map,
}

/// The exit of a state.
pub(super) struct StateExit {
    pub(super) output: Arc<Data>,
    pub(super) assigned: Option<Variables>,
    pub(super) next: Option<Arc<str>>,
}

/// A task's request, computed.
pub(super) struct TaskRequest {
    pub(super) payload: Arc<str>,
    pub(super) timeout: Option<f64>,
    pub(super) heartbeat: Option<f64>,
    pub(super) credentials: Option<String>,
    pub(super) token: Option<String>,
}

impl Execution {
    pub(super) fn enter(&mut self, id: u64) {
        let Some(thread) = self.threads.get_mut(&id) else {
            return;
        };
        if matches!(thread.phase, ThreadPhase::Enter) {
            thread.phase = ThreadPhase::Run;
            thread.before = thread.previous;
            if let Some(child) = &thread.child
                && child.count() > MAX_CHILD_STATES
            {
                let fault = Fault::runtime(format!(
                    "The execution reached the maximum number of history events ({}).",
                    MAX_HISTORY
                ));
                return self.fail(id, fault, None);
            }
            let kind = thread.state.kind.entered();
            self.record(id, kind, |t| -> Details {
                Some((
                    "stateEnteredEventDetails",
                    json!({"name": &*t.state.name, "input": &*t.input.text, "inputDetails": {"truncated": false}}),
                ))
            });
            let (now, Some(thread)) = (self.now, self.threads.get_mut(&id)) else {
                return;
            };
            thread.entered = (thread.previous, now);
            self.step(id, |step| StepChange::Entered { step });
        }
        if self.status != Status::Running {
            return;
        }
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        let state = Arc::clone(&thread.state);
        match self.plan(thread) {
            Err(fault) => self.fail(id, fault, None),
            Ok(StatePlan::Leave(left)) => self.leave(id, left),
            Ok(StatePlan::Wait(until)) => {
                let timer = self.arm_at(until, TimerPurpose::Thread(id));
                if let Some(thread) = self.threads.get_mut(&id) {
                    thread.phase = ThreadPhase::Wait(timer);
                }
                self.step(id, |step| StepChange::Waiting { step, token: None });
            }
            Ok(StatePlan::Task(request)) => {
                if let StateKind::Task(task) = &state.kind {
                    self.schedule(id, task, request);
                }
            }
            Ok(StatePlan::Parallel(input)) => {
                if let StateKind::Parallel(branches) = &state.kind {
                    self.split(id, branches, &input);
                }
            }
            Ok(StatePlan::Map) => self.enter_map(id),
        }
    }

    /// Computes the action of the thread's state.
    pub(super) fn plan(&self, thread: &Thread) -> Result<StatePlan, Fault> {
        let state = &*thread.state;
        let raw = &thread.input;
        if let Some(plan) = self.plain_plan(thread) {
            return Ok(plan);
        }
        let token = match &state.kind {
            StateKind::Task(task) if task.resource.offers_token() => Some(token::encode(
                &self.start.execution_name,
                TaskId(self.counter + 1),
                self.dice.roll(),
            )),
            _ => None,
        };
        let context = Context::new(|| self.context_object(thread, token.as_deref()));
        let scope = self.scope(thread, raw.value(), &context);
        let input = select(state.input.as_ref(), &scope)?;
        let scope = Scope {
            input: &input,
            ..scope
        };
        let effective = || match &state.parameters {
            None => Ok(match &input {
                Cow::Borrowed(value) if std::ptr::eq(*value, raw.value()) => None,
                other => Some(other.clone().into_owned()),
            }),
            Some(template) => {
                let field = if state.language == Language::Jsonata {
                    "Arguments"
                } else {
                    "Parameters"
                };
                fill(template, &scope, field, &state.name).map(Some)
            }
        };
        let shared = |value: Option<Value>| {
            value.map_or_else(|| Ok(Arc::clone(raw)), |v| data(v, &state.name))
        };
        match &state.kind {
            StateKind::Pass(result) => {
                let value = match result {
                    Some(result) => Some(result.clone()),
                    None => effective()?,
                };
                let value = value.unwrap_or_else(|| raw.value().clone());
                self.finish(thread, value, &context).map(StatePlan::Leave)
            }
            StateKind::Succeed => self
                .finish(thread, input.into_owned(), &context)
                .map(StatePlan::Leave),
            StateKind::Fail { error, cause } => {
                let read = |text: &Option<TextField>| {
                    text.as_ref().map(|text| text.read(&scope)).transpose()
                };
                let (error, cause) = (read(error)?, read(cause)?);
                Err(Fault::task(error.as_deref(), cause.as_deref()))
            }
            StateKind::Choice { rules, default } => {
                self.choose(thread, &scope, &input, rules, default.as_ref())
            }
            StateKind::Wait(delay) => delay.until(&scope).map(StatePlan::Wait),
            StateKind::Task(task) => {
                let payload = Arc::clone(&shared(effective()?)?.text);
                request(task, &scope, payload, token.clone()).map(StatePlan::Task)
            }
            StateKind::Parallel(_) => shared(effective()?).map(StatePlan::Parallel),
            StateKind::Map(_) => Ok(StatePlan::Map),
        }
    }

    /// The action of a state that passes its input on unchanged. It needs no scope.
    fn plain_plan(&self, thread: &Thread) -> Option<StatePlan> {
        let state = &*thread.state;
        if state.is_plain && matches!(state.kind, StateKind::Pass(_) | StateKind::Succeed) {
            return Some(StatePlan::Leave(StateExit {
                output: Arc::clone(&thread.input),
                assigned: None,
                next: state.next.clone(),
            }));
        }
        if let (true, StateKind::Wait(delay)) = (state.is_plain, &state.kind)
            && let Some(until) = delay.fixed(self.now)
        {
            return Some(StatePlan::Wait(until));
        }
        None
    }

    fn choose(
        &self,
        thread: &Thread,
        scope: &Scope<'_>,
        input: &Value,
        rules: &[ChoiceBranch],
        default: Option<&Arc<str>>,
    ) -> Result<StatePlan, Fault> {
        let state: &State = &thread.state;
        let mut chosen = None;
        for (i, branch) in rules.iter().enumerate() {
            let holds = match &branch.test {
                ChoiceTest::Constant(holds) => *holds,
                ChoiceTest::Rule(rule) => rule.holds(scope)?,
                ChoiceTest::Condition(expression) => expression
                    .evaluate_as(scope, &format!("Choices[{i}]/Condition"), "boolean")?
                    .as_bool()
                    .unwrap_or_default(),
            };
            if holds {
                chosen = Some(branch);
                break;
            }
        }
        let (next, assigns, output) = match (chosen, default) {
            (Some(branch), _) => (&branch.next, branch.assign.as_ref(), branch.output.as_ref()),
            (None, Some(default)) => (default, state.assign.as_ref(), state.result.as_ref()),
            (None, None) => {
                return Err(Fault::state(
                    "States.NoChoiceMatched",
                    "Failed to transition out of the state. The state's choice rules are not matched and no Default is set.",
                ));
            }
        };
        let assigned = assign(assigns, scope, &state.name)?;
        let output = match output {
            Some(template) => data(fill(template, scope, "Output", &state.name)?, &state.name)?,
            None if state.input.as_ref().is_some_and(Path::is_whole)
                && state.output.as_ref().is_some_and(Path::is_whole) =>
            {
                Arc::clone(&thread.input)
            }
            None => data(
                select(state.output.as_ref(), &Scope { input, ..*scope })?.into_owned(),
                &state.name,
            )?,
        };
        Ok(StatePlan::Leave(StateExit {
            output,
            assigned,
            next: Some(Arc::clone(next)),
        }))
    }
}

fn request(
    task: &TaskState,
    scope: &Scope<'_>,
    payload: Arc<str>,
    token: Option<String>,
) -> Result<TaskRequest, Fault> {
    let wrong = |field: &str, path: &str, value: &Value| {
        format!(
            "The {field} parameter cannot be parsed as a long value: {path} == {}",
            plain(value)
        )
    };
    let seconds = |number: &Option<NumberField>| -> Result<Option<f64>, Fault> {
        let Some(number) = number else {
            return Ok(None);
        };
        let seconds = number.read(scope, true, wrong)?;
        let bounds = (1.0, MAX_SECONDS);
        let words = || {
            format!(
                "The {} must be between 1 and {}, but is {seconds}",
                number.field, bounds.1
            )
        };
        number.within(seconds, bounds, words).map(Some)
    };
    let (timeout, heartbeat) = (seconds(&task.timeout)?, seconds(&task.heartbeat)?);
    let credentials = match &task.credentials {
        None => None,
        Some(template) => match fill(template, scope, "Credentials", "Credentials")?.get("RoleArn")
        {
            Some(Value::String(role)) => Some(role.clone()),
            other => {
                return Err(Fault::runtime(format!(
                    "The RoleArn of Credentials must be a string, but was {}",
                    other.unwrap_or(&Value::Null)
                )));
            }
        },
    };
    Ok(TaskRequest {
        payload,
        timeout,
        heartbeat,
        credentials,
        token,
    })
}
