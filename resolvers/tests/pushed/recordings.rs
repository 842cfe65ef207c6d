//! Recordings of AWS decode to what their histories show. `AWS_RECORDINGS` is the directory with
//! `stepfunctions-logs.json` and `stepfunctions-base-and-events.json`; without it nothing is
//! tested here.

use std::path::PathBuf;

use resolvers::workflow::ExecutionStatus;
use resolvers::workflow::step_functions::pushed::{Pushed, log_entry, status_change};
use serde_json::Value;

fn recordings(file: &str) -> Option<Value> {
    let Some(directory) = std::env::var_os("AWS_RECORDINGS") else {
        println!("skipped: AWS_RECORDINGS names no directory");
        return None;
    };
    let text = std::fs::read_to_string(PathBuf::from(directory).join(file)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// The recordings have placeholders for times and for parsed texts.
fn restored(entry: &Value) -> Value {
    let mut entry = entry.clone();
    for (field, time) in [
        ("event_timestamp", Value::from("1000")),
        ("startDate", 1_000.into()),
        ("stopDate", 2_000.into()),
    ] {
        if entry[field].is_string() {
            entry[field] = time;
        }
    }
    for (at, field) in [(Some("details"), "output"), (None, "output")] {
        let holder = match at {
            Some(at) => &mut entry[at],
            None => &mut entry,
        };
        if holder[field].is_object() {
            holder[field] = holder[field].to_string().into();
        }
    }
    entry
}

#[test]
fn recorded_log_entries_have_the_ids_of_their_histories() {
    let Some(cases) = recordings("stepfunctions-logs.json") else {
        return;
    };
    let mut decoded = 0;
    for (name, case) in cases.as_object().unwrap() {
        let content = &case["recorded-content"];
        let logged = content["logged_execution_events"].as_array();
        for entry in logged.into_iter().flatten() {
            let Pushed::Entry(entry) = log_entry(&restored(entry).to_string()).unwrap() else {
                panic!("{name}");
            };
            let history = content["get_execution_history"]["events"]
                .as_array()
                .unwrap();
            let found = history.iter().find(|event| event["id"] == entry.id);
            assert!(found.is_some(), "{name}: {entry:?}");
            assert_eq!(entry.redrives, 0);
            decoded += 1;
        }
    }
    assert!(decoded > 0);
}

#[test]
fn recorded_status_changes_show_the_end_and_its_output() {
    let Some(cases) = recordings("stepfunctions-base-and-events.json") else {
        return;
    };
    let mut ends = 0;
    for (name, case) in cases.as_object().unwrap() {
        let events = case["recorded-content"]["stepfunctions_events"].as_array();
        for event in events.into_iter().flatten() {
            let mut event = event.clone();
            event["detail"] = restored(&event["detail"]);
            let Pushed::Status(change) = status_change(&event).unwrap() else {
                panic!("{name}");
            };
            assert!(change.has_output, "{name}");
            if let Some(end) = change.end {
                assert_eq!(end.status, ExecutionStatus::Succeeded);
                assert_eq!(end.output.as_deref(), Some(r#"{"Arg1":"argument1"}"#));
                ends += 1;
            }
        }
    }
    assert_eq!(ends, 1);
}
