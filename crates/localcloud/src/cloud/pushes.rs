//! What Step Functions pushes: log entries to the subscribers of its log group, and events of
//! executions to the rules of the event bus.
//!
//! The engine notifies about steps and ends; the history is read after each of them, and while an
//! execution is open also regularly, because not every history event comes with a step.

use std::sync::{Arc, Weak};

use serde_json::{Value, json};
use workflow::{ExecutionEvent, Listener};

use super::action::Action;
use super::inner::{Inner, now};
use super::pushed::Pushed;
use crate::event_bus::{ExecutionFacts, event, execution_event};
use crate::execution_log::{LogEvent, LogSource, entry, subscription_event};

/// Maximum number of entries that one delivery of a subscription holds.
const DELIVERY: usize = 1_000;
/// Maximum number of history events of one read.
const PAGE: usize = 1_000;

/// Receives what the engine notifies about.
#[derive(Debug)]
pub(super) struct Follower(pub(super) Weak<Inner>);

impl Listener for Follower {
    fn notify(&self, event: ExecutionEvent) {
        if let Some(inner) = self.0.upgrade() {
            inner.look_at(&event.machine, &event.execution);
        }
    }
}

impl Inner {
    fn look_at(&self, machine: &str, name: &str) {
        let mut known = self.pushes.known.lock();
        let pushed = known.entry(name.to_owned()).or_default();
        pushed.machine = machine.to_owned();
        self.pushes.dirty.lock().insert(name.to_owned());
        drop(known);
        self.pushes.changed.notify_one();
    }

    /// An execution was started through the door.
    pub(super) fn handled_states(&self, action: &Action, answer: &[u8]) {
        if action.operation != "StartExecution" && action.operation != "RedriveExecution" {
            return;
        }
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let arn = answer["executionArn"].as_str().unwrap_or_default();
        let mut parts = arn.rsplit(':');
        if let (Some(name), Some(machine)) = (parts.next(), parts.next())
            && !name.is_empty()
        {
            self.look_at(machine, name);
        }
    }

    /// Pushes what is new of an execution.
    async fn push(self: &Arc<Self>, name: &str) {
        let Some(pushed) = self.pushes.known.lock().get(name).cloned() else {
            return;
        };
        let Ok(Some(described)) = self.engine().describe(name).await else {
            return;
        };
        let redrives = described.so_far.redrives;
        let again = redrives > pushed.redrives;
        let mut announced = if again {
            (false, false)
        } else {
            pushed.announced
        };
        let status = described.status.name();
        let mut facts = ExecutionFacts {
            machine: &pushed.machine,
            name,
            status: "RUNNING",
            started: described.started.as_millisecond(),
            stopped: None,
            input: &described.input,
            output: None,
            error: None,
            cause: None,
            redrives,
            redriven: again.then(now),
            is_redrivable: false,
        };
        if !announced.0 {
            self.publish(execution_event(&self.scope, &self.uuid(), now(), &facts));
        }
        let position = self.log_history(name, &pushed, redrives).await;
        let end = described.so_far.end.as_ref();
        let whole = position >= described.so_far.position;
        if let (Some(end), false, true) = (end, announced.1, whole) {
            facts.status = status;
            facts.stopped = described.stopped.map(|at| at.as_millisecond());
            facts.output = end.output.as_deref();
            facts.error = end.error.as_deref();
            facts.cause = end.cause.as_deref();
            facts.is_redrivable = described.is_redrivable;
            self.publish(execution_event(&self.scope, &self.uuid(), now(), &facts));
            announced.1 = true;
        }
        announced.0 = true;
        let mut known = self.pushes.known.lock();
        if let Some(pushed) = known.get_mut(name) {
            *pushed = Pushed {
                machine: pushed.machine.clone(),
                position,
                redrives,
                announced,
            };
        }
    }

    /// Logs the history after a position; returns the position that was reached.
    async fn log_history(self: &Arc<Self>, name: &str, pushed: &Pushed, redrives: u32) -> u64 {
        let arn = self.scope.execution(&pushed.machine, name);
        let mut position = pushed.position;
        loop {
            let Ok(page) = self.engine().history(name, position, PAGE).await else {
                return position;
            };
            for event in &page.events {
                position = event["id"].as_u64().unwrap_or(position);
                self.log_event(event, &arn, redrives);
            }
            if page.next.is_none() {
                return position;
            }
        }
    }

    fn log_event(self: &Arc<Self>, event: &Value, arn: &str, redrives: u32) {
        let (level, data) = (self.logs.level, self.logs.include_data);
        let Some(entry) = entry(event, arn, redrives, level, data) else {
            return;
        };
        let mut log = self.log.lock();
        let log_event = LogEvent {
            id: format!("{:056}", log.len()),
            timestamp: now(),
            message: entry.to_string(),
        };
        log.push(log_event.clone());
        drop(log);
        let copies = self.faults.entry_copies();
        let mut waiting = self.pushes.waiting.lock();
        let first = waiting.is_empty();
        waiting.extend(std::iter::repeat_n(log_event, copies));
        if first && !waiting.is_empty() {
            let inner = Arc::clone(self);
            self.spawn(async move { inner.deliver_log().await });
        }
    }

    /// Delivers the entries that wait, after they gathered.
    async fn deliver_log(self: Arc<Self>) {
        tokio::time::sleep(self.timing.log_delivery).await;
        let waiting = std::mem::take(&mut *self.pushes.waiting.lock());
        let subscribers = self.subscribers.lock().clone();
        let source = LogSource {
            owner: &self.scope.account,
            group: &self.logs.group,
            stream: "states/jobcast",
            filter: "jobcast",
        };
        for events in waiting.chunks(DELIVERY) {
            let event = subscription_event(source, events);
            for function in subscribers.clone() {
                let (inner, event, count) = (Arc::clone(&self), event.clone(), events.len());
                self.spawn(async move { inner.deliver(&function, event, count).await });
            }
        }
    }

    /// Puts an event on the bus: each rule that matches invokes its function.
    fn publish(self: &Arc<Self>, event: Value) {
        self.events.lock().push(event.clone());
        if self.faults.loses_event() {
            return;
        }
        let rules = self.rules.lock();
        for rule in rules.iter().filter(|rule| rule.pattern.matches(&event)) {
            let (inner, function) = (Arc::clone(self), rule.function.clone());
            let event = event.clone();
            self.spawn(async move { inner.deliver(&function, event, 1).await });
        }
    }

    /// `PutEvents`: each entry is an event on the bus.
    pub(super) fn put_events(self: &Arc<Self>, asked: &Value) -> Value {
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entries = asked["Entries"].as_array().into_iter().flatten();
        let mut failed = 0;
        let answered = entries.map(|entry| {
            let (source, kind) = (text(entry, "Source"), text(entry, "DetailType"));
            let detail = serde_json::from_str::<Value>(&text(entry, "Detail")).ok();
            let detail = detail.filter(|detail| detail.is_object());
            let (Some(detail), false, false) = (detail, source.is_empty(), kind.is_empty()) else {
                failed += 1;
                let message = "Source, DetailType and Detail, a JSON object, are required.";
                return json!({"ErrorCode": "MalformedDetail", "ErrorMessage": message});
            };
            let resources = entry["Resources"].as_array().into_iter().flatten();
            let resources = resources.filter_map(Value::as_str).map(str::to_owned);
            let (id, resources) = (self.uuid(), resources.collect::<Vec<_>>());
            self.publish(event(
                &self.scope,
                &id,
                now(),
                &source,
                &kind,
                &resources,
                detail,
            ));
            json!({ "EventId": id })
        });
        let answered: Vec<Value> = answered.collect();
        json!({"FailedEntryCount": failed, "Entries": answered})
    }

    pub(super) fn tick(self: &Arc<Self>, rule: &str, function: &str) {
        let region = &self.scope.region;
        let arn = format!("arn:aws:events:{region}:{}:rule/{rule}", self.scope.account);
        let id = self.uuid();
        let (source, kind) = ("aws.events", "Scheduled Event");
        let event = event(&self.scope, &id, now(), source, kind, &[arn], json!({}));
        let (inner, function) = (Arc::clone(self), function.to_owned());
        self.spawn(async move { inner.deliver(&function, event, 1).await });
    }
}

/// Works until it is dropped.
pub(super) async fn drive(inner: Arc<Inner>) {
    loop {
        let dirty = std::mem::take(&mut *inner.pushes.dirty.lock());
        for name in &dirty {
            inner.push(name).await;
        }
        if !dirty.is_empty() {
            continue;
        }
        tokio::select! {
            () = inner.pushes.changed.notified() => {}
            () = tokio::time::sleep(inner.timing.history_poll) => {
                let known = inner.pushes.known.lock();
                let open = known.iter().filter(|(_, pushed)| !pushed.announced.1);
                let open = open.map(|(name, _)| name.clone());
                inner.pushes.dirty.lock().extend(open);
            }
        }
    }
}
