//! Entering states: what a state's fields say is worked out first, without changing anything; then it is done.
use super::{
    Execution,
    data::{Data, data},
    fields::{assign, fill, select},
    map_run::MAX_CHILD_STATES,
    model::{Phase, Purpose, Thread},
    record::Details,
};
use crate::{
    Status, StepChange, TaskId,
    definition::model::{Branch, Kind, Language, Number, State, TaskState, Test, Text, plain},
    fault::Fault,
    limits::{MAX_HISTORY, MAX_SECONDS},
    path::Path,
    scope::{Context, Scope, Variables},
    token,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{borrow::Cow, sync::Arc};

/// What a state does once its fields are worked out.
pub(super) enum Plan {
    Leave(Left),
    Wait(Timestamp),
    Task(Request),
    Parallel(Arc<Data>),
    Map,
}
/// The end of a state.
pub(super) struct Left {
    pub(super) output: Arc<Data>,
    pub(super) assigned: Option<Variables>,
    pub(super) next: Option<Arc<str>>,
}
/// A task's request, worked out.
pub(super) struct Request {
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
        if matches!(thread.phase, Phase::Enter) {
            thread.phase = Phase::Run;
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
        let state = thread.state.clone();
        match self.plan(thread) {
            Err(fault) => self.fail(id, fault, None),
            Ok(Plan::Leave(left)) => self.leave(id, left),
            Ok(Plan::Wait(until)) => {
                let timer = self.arm_at(until, Purpose::Thread(id));
                if let Some(thread) = self.threads.get_mut(&id) {
                    thread.phase = Phase::Wait(timer);
                }
                self.step(id, |step| StepChange::Waiting { step, token: None });
            }
            Ok(Plan::Task(request)) => {
                if let Kind::Task(task) = &state.kind {
                    self.schedule(id, task, request);
                }
            }
            Ok(Plan::Parallel(input)) => {
                if let Kind::Parallel(branches) = &state.kind {
                    self.split(id, branches, &input);
                }
            }
            Ok(Plan::Map) => self.enter_map(id),
        }
    }

    /// Works out what the state does.
    pub(super) fn plan(&self, thread: &Thread) -> Result<Plan, Fault> {
        let state = &*thread.state;
        let raw = &thread.input;
        if state.is_plain && matches!(state.kind, Kind::Pass(_) | Kind::Succeed) {
            return Ok(Plan::Leave(Left {
                output: raw.clone(),
                assigned: None,
                next: state.next.clone(),
            }));
        }
        if let (true, Kind::Wait(delay)) = (state.is_plain, &state.kind)
            && let Some(until) = delay.fixed(self.now)
        {
            return Ok(Plan::Wait(until));
        }
        let token = match &state.kind {
            Kind::Task(task) if task.resource.offers_token() => Some(token::encode(
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
        let shared =
            |value: Option<Value>| value.map_or_else(|| Ok(raw.clone()), |v| data(v, &state.name));
        match &state.kind {
            Kind::Pass(result) => {
                let value = match result {
                    Some(result) => Some(result.clone()),
                    None => effective()?,
                };
                let value = value.unwrap_or_else(|| raw.value().clone());
                self.finish(thread, value, &context).map(Plan::Leave)
            }
            Kind::Succeed => self
                .finish(thread, input.into_owned(), &context)
                .map(Plan::Leave),
            Kind::Fail { error, cause } => {
                let read =
                    |text: &Option<_>| text.as_ref().map(|t: &Text| t.read(&scope)).transpose();
                let (error, cause) = (read(error)?, read(cause)?);
                Err(Fault::task(error.as_deref(), cause.as_deref()))
            }
            Kind::Choice { rules, default } => {
                self.choose(thread, &scope, &input, rules, default.as_ref())
            }
            Kind::Wait(delay) => delay.until(&scope).map(Plan::Wait),
            Kind::Task(task) => {
                let payload = shared(effective()?)?.text.clone();
                request(task, &scope, payload, token.clone()).map(Plan::Task)
            }
            Kind::Parallel(_) => shared(effective()?).map(Plan::Parallel),
            Kind::Map(_) => Ok(Plan::Map),
        }
    }

    fn choose(
        &self,
        thread: &Thread,
        scope: &Scope<'_>,
        input: &Value,
        rules: &[Branch],
        default: Option<&Arc<str>>,
    ) -> Result<Plan, Fault> {
        let state: &State = &thread.state;
        let mut chosen = None;
        for (i, branch) in rules.iter().enumerate() {
            let holds = match &branch.test {
                Test::Constant(holds) => *holds,
                Test::Rule(rule) => rule.holds(scope)?,
                Test::Condition(expression) => expression
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
                thread.input.clone()
            }
            None => data(
                select(state.output.as_ref(), &Scope { input, ..*scope })?.into_owned(),
                &state.name,
            )?,
        };
        Ok(Plan::Leave(Left {
            output,
            assigned,
            next: Some(next.clone()),
        }))
    }
}

fn request(
    task: &TaskState,
    scope: &Scope<'_>,
    payload: Arc<str>,
    token: Option<String>,
) -> Result<Request, Fault> {
    let wrong = |field: &str, path: &str, value: &Value| {
        format!(
            "The {field} parameter cannot be parsed as a long value: {path} == {}",
            plain(value)
        )
    };
    let seconds = |number: &Option<Number>| -> Result<Option<f64>, Fault> {
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
    Ok(Request {
        payload,
        timeout,
        heartbeat,
        credentials,
        token,
    })
}
