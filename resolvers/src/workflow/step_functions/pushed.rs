//! Events that AWS pushes instead of histories that are read: entries of the state machines' log
//! (CloudWatch Logs, level ALL) and "Step Functions Execution Status Change" events of EventBridge.
//! Pure: it reads nothing and remembers nothing between two calls.
//!
//! A log entry is a history event with the same id and type, written flat: numbers are strings, and
//! its details are in `details`. Neither delivery is complete or in order. Entries are therefore
//! applied only while their ids follow the position of the job's row without a gap.

use std::collections::BTreeMap;
use std::sync::Arc;

use job::{Job, Status, Time};
use serde_json::{Map, Value, json};

use super::steps::Steps;
use crate::token::first_attempt;
use crate::workflow::{End, ExecutionEvent, ExecutionStatus, LOG_COMPLETE};

/// The `detail-type` of a change of an execution's status.
const STATUS_CHANGE: &str = "Step Functions Execution Status Change";

/// One pushed event.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushed {
    /// An entry of the log.
    Entry(LogEntry),
    /// A change of the status.
    Status(StatusChange),
}

impl Pushed {
    /// The name of the execution.
    #[must_use]
    pub fn execution(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.execution,
            Self::Status(change) => &change.execution,
        }
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// The name of the execution.
    pub execution: String,
    /// The id of the history event, from 1.
    pub id: u64,
    /// Number of redrives before this event.
    pub redrives: u32,
    /// The event, as `GetExecutionHistory` shows it.
    event: Arc<Value>,
}

/// A change of an execution's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The name of the execution.
    pub execution: String,
    /// When it ended, or when it started.
    pub at: Time,
    /// Number of redrives so far.
    pub redrives: u32,
    /// The end; `None` if the execution began to run.
    pub end: Option<End>,
    /// Whether `end` has the output of a success. EventBridge leaves out an output over 248 KB.
    pub has_output: bool,
}

/// A message that is not a pushed event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has no valid `{field}`: {found}")]
pub struct Undecodable {
    what: &'static str,
    field: &'static str,
    found: String,
}

/// Maximum number of characters of a value in an error.
const SHOWN: usize = 100;

fn undecodable(what: &'static str, field: &'static str, found: &Value) -> Undecodable {
    let found = found.to_string().chars().take(SHOWN).collect();
    Undecodable { what, field, found }
}

/// The entry in the `message` of a log event.
///
/// # Errors
/// [`Undecodable`], with the field.
pub fn log_entry(message: &str) -> Result<Pushed, Undecodable> {
    const WHAT: &str = "a log entry";
    let entry: Value =
        json::read(message).map_err(|_| undecodable(WHAT, "JSON", &Value::from(message)))?;
    let number = |field: &'static str| {
        let number = match &entry[field] {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        number.ok_or_else(|| undecodable(WHAT, field, &entry[field]))
    };
    let (id, previous) = (number("id")?, number("previous_event_id")?);
    if id == 0 {
        return Err(undecodable(WHAT, "id", &entry["id"]));
    }
    let millis = number("event_timestamp")?;
    let redrives = match &entry["redrive_count"] {
        Value::Null => 0,
        _ => number("redrive_count")?,
    };
    let kind = entry["type"].as_str();
    let kind = kind.ok_or_else(|| undecodable(WHAT, "type", &entry["type"]))?;
    let mut event = Map::new();
    event.insert("id".to_owned(), id.into());
    event.insert("previousEventId".to_owned(), previous.into());
    event.insert("timestamp".to_owned(), json!(millis as f64 / 1_000.0));
    event.insert("type".to_owned(), kind.into());
    event.insert(details_of(kind), entry["details"].clone());
    Ok(Pushed::Entry(LogEntry {
        execution: name_in(WHAT, "execution_arn", &entry["execution_arn"])?,
        id,
        redrives: u32::try_from(redrives).unwrap_or(u32::MAX),
        event: Arc::new(event.into()),
    }))
}

/// The name of the details in a history event of this type.
fn details_of(kind: &str) -> String {
    if kind.ends_with("StateEntered") {
        return "stateEnteredEventDetails".to_owned();
    }
    if kind.ends_with("StateExited") {
        return "stateExitedEventDetails".to_owned();
    }
    let mut name = kind.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    name + "EventDetails"
}

/// The last part of an execution's ARN.
fn name_in(what: &'static str, field: &'static str, arn: &Value) -> Result<String, Undecodable> {
    let name = arn.as_str().and_then(|arn| {
        let (before, name) = arn.rsplit_once(':')?;
        (before.contains(":execution:") && !name.is_empty()).then(|| name.to_owned())
    });
    name.ok_or_else(|| undecodable(what, field, arn))
}

/// The change of status in an event of EventBridge.
///
/// # Errors
/// [`Undecodable`], with the field.
pub fn status_change(event: &Value) -> Result<Pushed, Undecodable> {
    const WHAT: &str = "an execution status change";
    if event["detail-type"] != STATUS_CHANGE {
        return Err(undecodable(WHAT, "detail-type", &event["detail-type"]));
    }
    let detail = &event["detail"];
    let text = |field: &str| detail[field].as_str().map(str::to_owned);
    let status = match detail["status"].as_str() {
        Some("RUNNING" | "PENDING_REDRIVE") => ExecutionStatus::Running,
        Some("SUCCEEDED") => ExecutionStatus::Succeeded,
        Some("FAILED") => ExecutionStatus::Failed,
        Some("TIMED_OUT") => ExecutionStatus::TimedOut,
        Some("ABORTED") => ExecutionStatus::Aborted,
        _ => return Err(undecodable(WHAT, "status", &detail["status"])),
    };
    let is_end = status != ExecutionStatus::Running;
    let field = if is_end { "stopDate" } else { "startDate" };
    let at = detail[field].as_i64();
    let at = at.ok_or_else(|| undecodable(WHAT, field, &detail[field]))?;
    let output = output_of(
        &detail["output"],
        &detail["outputDetails"],
        "included",
        true,
    );
    Ok(Pushed::Status(StatusChange {
        execution: name_in(WHAT, "executionArn", &detail["executionArn"])?,
        at: Time::from_millis(at),
        redrives: u32::try_from(detail["redriveCount"].as_u64().unwrap_or_default())
            .unwrap_or(u32::MAX),
        has_output: status != ExecutionStatus::Succeeded || output.is_some(),
        end: is_end.then(|| End {
            status,
            output,
            error: text("error"),
            cause: text("cause"),
        }),
    }))
}

/// The output, if it is complete: the flag in `details` must not have another value.
fn output_of(output: &Value, details: &Value, flag: &str, complete: bool) -> Option<Arc<str>> {
    let is_complete = details[flag]
        .as_bool()
        .is_none_or(|found| found == complete);
    match output {
        Value::String(text) if is_complete => Some(text.as_str().into()),
        _ => None,
    }
}

/// What follows for a job from the pushed events of its execution.
#[derive(Debug, Default)]
pub struct Followed {
    /// The event to apply, if there is one.
    pub event: Option<ExecutionEvent>,
    /// What has to arrive, or to be read, before the rest can be applied.
    pub lacks: Lack,
}

/// What is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lack {
    /// Nothing.
    #[default]
    Nothing,
    /// Entries of the log.
    Entries,
    /// The output of a success, which EventBridge leaves out because of its size.
    Output,
}

/// The next event of a job, from the entries with ids above the job's position and the last change
/// of status. The row is that of the same execution.
#[must_use]
pub fn follow(
    definition: &str,
    job: &Job,
    entries: &BTreeMap<u64, LogEntry>,
    status: Option<&StatusChange>,
) -> Followed {
    let attempt = |redrives: u32| {
        let first = first_attempt(&job.execution).map_or(0, |(_, first)| first);
        first.saturating_add(redrives)
    };
    let mut status = status.filter(|status| attempt(status.redrives) >= job.attempt);
    if job.status.is_terminal() {
        // Events of the attempt that has ended change nothing.
        status = status.filter(|status| attempt(status.redrives) > job.attempt);
        let mut later = entries.range(job.position.saturating_add(1)..);
        if job.status == Status::Succeeded
            || !later.any(|(_, entry)| attempt(entry.redrives) > job.attempt)
        {
            return Followed::default();
        }
    }
    let mut followed = followed_entries(definition, job, entries);
    if let Some(status) = status {
        settle(job, status, &mut followed);
    }
    followed
}

fn nothing_of(execution: &str) -> ExecutionEvent {
    ExecutionEvent {
        execution: execution.to_owned(),
        position: 0,
        at: Time::from_millis(0),
        redrives: 0,
        steps: Vec::new(),
        end: None,
    }
}

/// The entries that follow the job's position without a gap, up to the last one after which the row
/// shows everything.
fn followed_entries(definition: &str, job: &Job, entries: &BTreeMap<u64, LogEntry>) -> Followed {
    let mut steps = Steps::resume(definition, job);
    let mut event = nothing_of(&job.execution);
    let mut shown = None;
    let mut lacks = Lack::Nothing;
    for (id, entry) in entries.range(job.position.saturating_add(1)..) {
        if *id != steps.position + 1 {
            lacks = Lack::Entries;
            break;
        }
        steps.take(&entry.event, &mut event);
        event.redrives = entry.redrives;
        if steps.is_unsure() {
            lacks = Lack::Entries;
            event.end = None;
            break;
        }
        if steps.is_shown() || event.end.is_some() {
            shown = Some(Shown::of(&event));
        }
        if event.end.is_some() {
            // A redrive is another attempt of the job, and so another event.
            break;
        }
    }
    let Some(shown) = shown else {
        return Followed { event: None, lacks };
    };
    shown.cut(&mut event);
    let last = entries.get(&event.position).map(|entry| &entry.event);
    if let (Some(end), Some(last)) = (&mut event.end, last) {
        complete(end, last);
    }
    if event.end.as_ref().is_some_and(lacks_output) {
        (event.end, event.position) = (None, LOG_COMPLETE);
    }
    Followed {
        event: Some(event),
        lacks,
    }
}

/// The part of an event after which the row shows everything that is known.
#[derive(Clone, Copy, Debug)]
struct Shown {
    steps: usize,
    position: u64,
    at: Time,
    redrives: u32,
}

impl Shown {
    fn of(event: &ExecutionEvent) -> Self {
        Self {
            steps: event.steps.len(),
            position: event.position,
            at: event.at,
            redrives: event.redrives,
        }
    }

    fn cut(self, event: &mut ExecutionEvent) {
        event.steps.truncate(self.steps);
        (event.position, event.at, event.redrives) = (self.position, self.at, self.redrives);
    }
}

/// Drops an output that the log has cut off.
fn complete(end: &mut End, last: &Value) {
    let details = &last["executionSucceededEventDetails"];
    end.output = output_of(
        &details["output"],
        &details["outputDetails"],
        "truncated",
        false,
    );
}

fn lacks_output(end: &End) -> bool {
    end.status == ExecutionStatus::Succeeded && end.output.is_none()
}

/// Adds what a change of status shows.
fn settle(job: &Job, status: &StatusChange, followed: &mut Followed) {
    let Some(end) = &status.end else {
        // The history's first event.
        if job.position == 0 && status.redrives == 0 && followed.event.is_none() {
            followed.event = Some(ExecutionEvent {
                position: 1,
                at: status.at,
                ..nothing_of(&job.execution)
            });
        }
        return;
    };
    let of_event = followed.event.as_ref();
    if job.status.is_terminal() || of_event.is_some_and(|event| event.end.is_some()) {
        return;
    }
    let position = of_event.map_or(job.position, |event| event.position);
    if end.status != ExecutionStatus::Succeeded || position < LOG_COMPLETE {
        // The end of the log has the same end, and the steps before it.
        followed.lacks = Lack::Entries;
    } else if status.has_output {
        let event = followed
            .event
            .get_or_insert_with(|| nothing_of(&job.execution));
        (event.position, event.at) = (LOG_COMPLETE + 1, status.at);
        event.redrives = status.redrives;
        event.end = Some(end.clone());
        followed.lacks = Lack::Nothing;
    } else {
        followed.lacks = Lack::Output;
    }
}

/// The success of a job whose log is complete, with the output that was read.
#[must_use]
pub fn success(job: &Job, status: &StatusChange, end: End) -> ExecutionEvent {
    ExecutionEvent {
        position: job.position.max(LOG_COMPLETE).saturating_add(1),
        at: status.at,
        redrives: status.redrives,
        end: Some(end),
        ..nothing_of(&job.execution)
    }
}

/// The events of a whole history after `position`: one for each attempt that it has.
#[must_use]
pub fn after(
    definition: &str,
    execution: &str,
    position: u64,
    history: &[Value],
) -> Vec<ExecutionEvent> {
    let mut steps = Steps::new(definition);
    let (mut events, mut event) = (Vec::new(), nothing_of(execution));
    let mut shown = None;
    for one in history {
        if steps.position <= position {
            // The row shows what was before.
            event.steps.clear();
            event.end = None;
        } else if event.end.is_some() {
            events.push(event.clone());
            event.steps.clear();
            shown = None;
        }
        steps.take(one, &mut event);
        if steps.is_shown() || event.end.is_some() {
            shown = Some(Shown::of(&event)).filter(|shown| shown.position > position);
        }
    }
    if let Some(shown) = shown {
        shown.cut(&mut event);
        events.push(event);
    }
    events
}
