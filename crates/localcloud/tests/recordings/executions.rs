//! Recordings of what Step Functions pushes: log entries by level, and events of executions.

use std::collections::BTreeSet;

use localcloud::event_bus::{ExecutionFacts, event, execution_event};
use localcloud::execution_log::{LogLevel, entry};
use serde_json::{Value, json};

use crate::Run;
use crate::template::{Bindings, concrete, parsed, scope};

/// All settings that a log may have.
fn settings() -> Vec<(LogLevel, bool)> {
    let levels = ["ALL", "ERROR", "FATAL", "OFF"].map(|word| LogLevel::of(word).unwrap());
    let both = levels
        .iter()
        .flat_map(|level| [(*level, true), (*level, false)]);
    both.collect()
}

/// Runs a recording of log entries: the entries of its history.
pub fn logs(name: &str, recorded: &Value) -> Run {
    let Some(history) = recorded["get_execution_history"]["events"].as_array() else {
        return Run::Outside;
    };
    let (_, parameters) = name.rsplit_once('[').unwrap_or_default();
    let mut words = parameters.trim_end_matches(']').rsplit('_');
    let data = words.next() == Some("True");
    let level = words.next().and_then(LogLevel::of);
    let candidates = match level {
        Some(level) => vec![(level, data)],
        // A recording whose name says nothing of it.
        None => settings(),
    };
    let wanted = recorded.get("logged_execution_events").cloned();
    let wanted = wanted.unwrap_or_else(|| json!([]));
    let mut fewest: Option<Vec<String>> = None;
    for (level, data) in candidates {
        let arn = scope().execution("m", "x");
        let entries = history.iter().filter_map(|event| {
            let mut event = concrete(event);
            event["timestamp"] = json!(1_700_000_000.123);
            entry(&event, &arn, 0, level, data)
        });
        let found = json!(entries.collect::<Vec<_>>());
        let differences = Bindings::default().compare("", &wanted, &found);
        if fewest
            .as_ref()
            .is_none_or(|fewest| differences.len() < fewest.len())
        {
            fewest = Some(differences);
        }
    }
    let compared = BTreeSet::from(["logged_execution_events".to_owned()]);
    Run::Compared(fewest.unwrap_or_default(), compared)
}

/// Runs a recording of events: each is written from what it says about the execution.
pub fn events(recorded: &Value) -> Run {
    let Some(events) = recorded["stepfunctions_events"].as_array() else {
        return Run::Outside;
    };
    let mut bindings = Bindings::default();
    let mut differences = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let detail = concrete(&event["detail"]);
        let text = |name: &str| match &detail[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            data => Some(data.to_string()),
        };
        let status = text("status").unwrap_or_default();
        let arn = text("stateMachineArn").unwrap_or_default();
        let machine = arn.rsplit(':').next().unwrap_or_default();
        let is_open = status == "RUNNING";
        let (input, output) = (text("input").unwrap_or_default(), text("output"));
        let (error, cause) = (text("error"), text("cause"));
        let facts = ExecutionFacts {
            machine,
            name: &text("name").unwrap_or_default(),
            status: &status,
            started: 1_700_000_000_000,
            stopped: (!is_open).then_some(1_700_000_000_500),
            input: &input,
            output: output.as_deref(),
            error: error.as_deref(),
            cause: cause.as_deref(),
            redrives: 0,
            redriven: None,
            is_redrivable: !is_open && status != "SUCCEEDED",
        };
        let id = format!("00000000-0000-4000-8000-00000000000{at}");
        let found = execution_event(&scope(), &id, 1_700_000_000_000, &facts);
        let key = "stepfunctions_events";
        differences.extend(bindings.compare(key, &without_time(event), &without_time(&found)));
    }
    Run::Compared(differences, bindings.compared())
}

/// Runs a recording of what a rule's target received: each event in it is written again.
pub fn targets(recorded: &Value) -> Run {
    let mut bindings = Bindings::default();
    let mut differences = Vec::new();
    for (key, value) in recorded.as_object().into_iter().flatten() {
        let Some(wanted) = find_event(value) else {
            continue;
        };
        let text = |name: &str| {
            concrete(&wanted[name])
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let id = "00000000-0000-4000-8000-000000000001";
        let (source, kind) = (text("source"), text("detail-type"));
        let detail = concrete(&wanted["detail"]);
        let found = event(&scope(), id, 1_700_000_000_000, &source, &kind, &[], detail);
        let mut wanted = wanted;
        // The envelope of a topic has another placeholder.
        if !wanted["id"].to_string().contains('<') {
            wanted["id"] = json!(id);
        }
        differences.extend(bindings.compare(key, &wanted, &found));
    }
    match bindings.compared().is_empty() {
        true => Run::Outside,
        false => Run::Compared(differences, bindings.compared()),
    }
}

/// The event in what a target received: in a message's body, in a topic's envelope.
fn find_event(value: &Value) -> Option<Value> {
    let value = parsed(value);
    if value.get("detail-type").is_some() {
        return Some(value);
    }
    match &value {
        Value::Array(list) => list.iter().find_map(find_event),
        Value::Object(fields) => fields.values().find_map(find_event),
        _ => None,
    }
}

/// The name of the recording's execution was not filled in.
fn without_time(event: &Value) -> Value {
    let mut event = event.clone();
    event["detail"]["name"] = json!("n");
    event["detail"]["executionArn"] = json!("a");
    event["resources"] = json!(["a"]);
    event
}
