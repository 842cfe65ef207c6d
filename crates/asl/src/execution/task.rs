//! The life of a task: scheduled, started, submitted, ended or timed out, with AWS's three families
//! of events.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::Execution;
use super::data::cut;
use super::enter::TaskRequest;
use super::model::{OpenTask, Thread, ThreadPhase, TimerPurpose};
use super::record::fault_fields;
use crate::definition::model::TaskState;
use crate::fault::Fault;
use crate::limits::{MAX_CAUSE, MAX_ERROR, MAX_PAYLOAD};
use crate::{Effect, Resource, Status, StepChange, Task, TaskId, TimerId};

/// Minimum wait for a function that moves the deadlines of its task.
const COUNTED_WAIT: SignedDuration = SignedDuration::from_millis(100);

/// The stages of a task. Each has an event type and a details field in the three families of
/// events.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Scheduled,
    Started,
    Submitted,
    Succeeded,
    Failed,
    TimedOut,
}

fn event(resource: &Resource, verb: Verb) -> (&'static str, &'static str) {
    match (resource, verb) {
        (Resource::Lambda { .. }, Verb::Scheduled) => (
            "LambdaFunctionScheduled",
            "lambdaFunctionScheduledEventDetails",
        ),
        (Resource::Lambda { .. }, Verb::Started | Verb::Submitted) => {
            ("LambdaFunctionStarted", "lambdaFunctionStartedEventDetails")
        }
        (Resource::Lambda { .. }, Verb::Succeeded) => (
            "LambdaFunctionSucceeded",
            "lambdaFunctionSucceededEventDetails",
        ),
        (Resource::Lambda { .. }, Verb::Failed) => {
            ("LambdaFunctionFailed", "lambdaFunctionFailedEventDetails")
        }
        (Resource::Lambda { .. }, Verb::TimedOut) => (
            "LambdaFunctionTimedOut",
            "lambdaFunctionTimedOutEventDetails",
        ),
        (Resource::Activity { .. }, Verb::Scheduled) => {
            ("ActivityScheduled", "activityScheduledEventDetails")
        }
        (Resource::Activity { .. }, Verb::Started | Verb::Submitted) => {
            ("ActivityStarted", "activityStartedEventDetails")
        }
        (Resource::Activity { .. }, Verb::Succeeded) => {
            ("ActivitySucceeded", "activitySucceededEventDetails")
        }
        (Resource::Activity { .. }, Verb::Failed) => {
            ("ActivityFailed", "activityFailedEventDetails")
        }
        (Resource::Activity { .. }, Verb::TimedOut) => {
            ("ActivityTimedOut", "activityTimedOutEventDetails")
        }
        (Resource::Service { .. }, Verb::Scheduled) => {
            ("TaskScheduled", "taskScheduledEventDetails")
        }
        (Resource::Service { .. }, Verb::Started) => ("TaskStarted", "taskStartedEventDetails"),
        (Resource::Service { .. }, Verb::Submitted) => {
            ("TaskSubmitted", "taskSubmittedEventDetails")
        }
        (Resource::Service { .. }, Verb::Succeeded) => {
            ("TaskSucceeded", "taskSucceededEventDetails")
        }
        (Resource::Service { .. }, Verb::Failed) => ("TaskFailed", "taskFailedEventDetails"),
        (Resource::Service { .. }, Verb::TimedOut) => ("TaskTimedOut", "taskTimedOutEventDetails"),
    }
}

/// Adds the service and its action, as AWS's `Task…` events have them.
fn named(resource: &Resource, mut fields: Map<String, Value>) -> Value {
    if let Resource::Service {
        service,
        action,
        pattern,
    } = resource
    {
        fields.insert(
            "resource".into(),
            json!(format!("{action}{}", pattern.suffix())),
        );
        fields.insert("resourceType".into(), json!(service));
    }
    Value::Object(fields)
}

/// An output, as events have it.
fn output_fields(output: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("output".into(), json!(output));
    fields.insert("outputDetails".into(), json!({"truncated": false}));
    fields
}

impl Execution {
    pub(super) fn schedule(&mut self, id: u64, state: &TaskState, request: TaskRequest) {
        let task = self.next_task();
        let Some(thread) = self.threads.get(&id) else {
            return;
        };
        let TaskRequest {
            payload,
            timeout,
            heartbeat,
            credentials,
            token,
        } = request;
        let resource = &state.resource;
        let token = token.filter(|_| resource.wants_token());
        let request = Task {
            task,
            state: thread.state.name.to_string(),
            step: thread.step.to_string(),
            resource: resource.clone(),
            payload,
            token: token.clone(),
            attempt: thread.attempt,
            credentials,
        };
        if thread.child.is_none() {
            let fields = self.scheduled_fields(state, &request, timeout, heartbeat);
            let (kind, details) = event(resource, Verb::Scheduled);
            self.record(id, kind, |_| Some((details, named(resource, fields))));
        }
        if self.status != Status::Running {
            return;
        }
        let timeout = timeout.map(|s| self.arm(s, TimerPurpose::Timeout(task)));
        let heartbeat = heartbeat.map(|s| (self.arm(s, TimerPurpose::Heartbeat(task)), s));
        self.tasks.insert(task, id);
        self.out.push(Effect::Schedule(request.clone()));
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.phase = ThreadPhase::Task(Box::new(OpenTask {
                request,
                since: self.now,
                started: false,
                submitted: false,
                timeout,
                heartbeat,
            }));
        }
        self.step(id, |step| {
            if token.is_some() {
                StepChange::Waiting { step, token }
            } else {
                StepChange::Running { step }
            }
        });
    }

    /// The details of the event of a scheduled task.
    fn scheduled_fields(
        &self,
        state: &TaskState,
        request: &Task,
        timeout: Option<f64>,
        heartbeat: Option<f64>,
    ) -> Map<String, Value> {
        let mut fields = Map::new();
        if matches!(state.resource, Resource::Service { .. }) {
            let region = self
                .start
                .execution_arn
                .split(':')
                .nth(3)
                .unwrap_or_default();
            fields.insert("parameters".into(), json!(&*request.payload));
            fields.insert("region".into(), json!(region));
        } else {
            fields.insert("input".into(), json!(&*request.payload));
            fields.insert("inputDetails".into(), json!({"truncated": false}));
            fields.insert("resource".into(), json!(state.arn));
        }
        for (name, seconds) in [
            ("timeoutInSeconds", timeout),
            ("heartbeatInSeconds", heartbeat),
        ] {
            if let Some(seconds) = seconds {
                fields.insert(name.into(), json!(seconds as i64));
            }
        }
        if let Some(role) = &request.credentials {
            fields.insert("taskCredentials".into(), json!({"roleArn": role}));
        }
        fields
    }

    fn open(&mut self, task: TaskId) -> Option<(u64, &mut Thread)> {
        let id = *self.tasks.get(&task)?;
        Some((id, self.threads.get_mut(&id)?))
    }

    pub(super) fn task_started(&mut self, task: TaskId, worker: Option<String>) {
        let now = self.now;
        let Some((id, thread)) = self.open(task) else {
            return;
        };
        let ThreadPhase::Task(open) = &mut thread.phase else {
            return;
        };
        if std::mem::replace(&mut open.started, true) {
            return;
        }
        let resource = open.request.resource.clone();
        let waited = now.duration_since(open.since);
        let timers = [open.timeout, open.heartbeat.map(|heartbeat| heartbeat.0)];
        if resource.runs_function() && waited >= COUNTED_WAIT {
            for timer in timers.into_iter().flatten() {
                self.postpone(timer, waited);
            }
        }
        let (kind, details) = event(&resource, Verb::Started);
        self.record(id, kind, |_| match &resource {
            Resource::Lambda { .. } => None,
            Resource::Activity { .. } => Some((
                details,
                worker.map_or_else(|| json!({}), |name| json!({"workerName": name})),
            )),
            Resource::Service { .. } => Some((details, named(&resource, Map::new()))),
        });
    }

    pub(super) fn task_submitted(&mut self, task: TaskId, output: &Arc<str>) {
        self.task_started(task, None);
        let Some((id, thread)) = self.open(task) else {
            return;
        };
        let ThreadPhase::Task(open) = &mut thread.phase else {
            return;
        };
        let resource = open.request.resource.clone();
        // A driver that repeats a request after a crash repeats this event too.
        if !matches!(resource, Resource::Service { .. })
            || std::mem::replace(&mut open.submitted, true)
        {
            return;
        }
        let (kind, details) = event(&resource, Verb::Submitted);
        self.record(id, kind, |_| {
            Some((details, named(&resource, output_fields(output))))
        });
    }

    pub(super) fn task_heartbeat(&mut self, task: TaskId) {
        let Some((_, thread)) = self.open(task) else {
            return;
        };
        let ThreadPhase::Task(open) = &thread.phase else {
            return;
        };
        let Some((timer, seconds)) = open.heartbeat else {
            return;
        };
        self.disarm(timer);
        let timer: TimerId = self.arm(seconds, TimerPurpose::Heartbeat(task));
        if let Some((_, thread)) = self.open(task)
            && let ThreadPhase::Task(open) = &mut thread.phase
        {
            open.heartbeat = Some((timer, seconds));
        }
    }

    /// Forgets a task that ended: its id and its timers.
    pub(super) fn close(&mut self, open: &OpenTask) {
        self.tasks.remove(&open.request.task);
        for timer in open.timeout.into_iter().chain(open.heartbeat.map(|h| h.0)) {
            self.disarm(timer);
        }
    }

    fn finish_task(
        &mut self,
        task: TaskId,
        verb: Verb,
        fields: impl FnOnce() -> Map<String, Value>,
    ) -> Option<u64> {
        self.task_started(task, None);
        let (id, thread) = self.open(task)?;
        if !matches!(thread.phase, ThreadPhase::Task(_)) {
            return None;
        }
        let ThreadPhase::Task(open) = std::mem::replace(&mut thread.phase, ThreadPhase::Run) else {
            return None;
        };
        self.close(&open);
        let resource = &open.request.resource;
        let (kind, details) = event(resource, verb);
        self.record(id, kind, |_| Some((details, named(resource, fields()))));
        (self.status == Status::Running).then_some(id)
    }

    /// The name of a task in an error about its result.
    fn what(&mut self, task: TaskId) -> String {
        let Some((_, thread)) = self.open(task) else {
            return String::new();
        };
        match &thread.phase {
            ThreadPhase::Task(open) => match &open.request.resource {
                Resource::Lambda { function } => function.clone(),
                Resource::Activity { arn } => arn.clone(),
                Resource::Service { service, .. } => service.clone(),
            },
            _ => String::new(),
        }
    }

    pub(super) fn task_succeeded(&mut self, task: TaskId, output: &Arc<str>) {
        if output.len() > MAX_PAYLOAD {
            let fault = Fault::too_large(&self.what(task));
            let text = |s: &Option<String>| s.clone().unwrap_or_default();
            return self.task_failed(task, &text(&fault.error), &text(&fault.cause));
        }
        // The result of a service may be an accepted input with further levels around it.
        let made = matches!(
            self.open(task).map(|(_, thread)| &thread.phase),
            Some(ThreadPhase::Task(open)) if matches!(open.request.resource, Resource::Service { .. })
        );
        let parsed = match if made {
            json::read_made(output)
        } else {
            json::read(output)
        } {
            Ok(value) => value,
            Err(refused) => {
                return self.task_failed(
                    task,
                    "States.Runtime",
                    &format!("The task's output is {refused}"),
                );
            }
        };
        if let Some(id) = self.finish_task(task, Verb::Succeeded, || output_fields(output)) {
            self.result(id, parsed);
        }
    }

    pub(super) fn task_failed(&mut self, task: TaskId, error: &str, cause: &str) {
        if self.files_failed(task, error, cause) {
            return;
        }
        let (error, cause) = (
            cut(error.to_owned(), MAX_ERROR),
            cut(cause.to_owned(), MAX_CAUSE),
        );
        let fault = Fault::task(Some(&error), Some(&cause));
        if let Some(id) = self.finish_task(task, Verb::Failed, || fault_fields(&fault)) {
            self.fail(id, fault, None);
        }
    }

    pub(super) fn task_timed_out(&mut self, task: TaskId, heartbeat: bool) {
        let fault = Fault::timeout();
        if let Some(id) = self.finish_task(task, Verb::TimedOut, || fault_fields(&fault)) {
            self.out.push(Effect::CancelTask(task));
            self.fail(id, fault, heartbeat.then_some("States.HeartbeatTimeout"));
        }
    }
}
