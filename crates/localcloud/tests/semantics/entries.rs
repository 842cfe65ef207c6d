//! Log entries and events of executions.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use localcloud::event_bus::{self, ExecutionFacts, execution_event};
use localcloud::execution_log::{
    DATA_BYTES, LogEvent, LogLevel, LogSource, entry, subscription_event,
};
use localcloud::scope::Scope;
use serde_json::{Value, json};

fn entered(input: &str) -> Value {
    json!({
        "id": 7, "previousEventId": 6, "timestamp": 1_700_000_000.5, "type": "TaskStateEntered",
        "stateEnteredEventDetails": {
            "name": "A", "input": input, "inputDetails": {"truncated": false},
        },
    })
}

#[test]
fn an_entry_is_the_event_with_flat_details_and_numbers_as_texts() {
    let entry = entry(&entered("{}"), "arn", 2, LogLevel::All, true).unwrap();
    let expected = json!({
        "id": "7", "type": "TaskStateEntered",
        "details": {"name": "A", "input": "{}", "inputDetails": {"truncated": false}},
        "previous_event_id": "6", "event_timestamp": "1700000000500",
        "execution_arn": "arn", "redrive_count": "2",
    });
    assert_eq!(entry, expected);
}

#[test]
fn without_data_an_entry_keeps_names_and_errors() {
    let entry = entry(&entered("{}"), "arn", 0, LogLevel::All, false).unwrap();
    assert_eq!(entry["details"], json!({"name": "A"}));
}

#[test]
fn a_level_leaves_events_out() {
    let logged = |kind: &str, level: LogLevel| {
        let event = json!({"id": 1, "previousEventId": 0, "timestamp": 0, "type": kind});
        entry(&event, "arn", 0, level, true).is_some()
    };
    for (kind, levels) in [
        ("TaskStateEntered", [true, false, false, false]),
        ("ExecutionSucceeded", [true, false, false, false]),
        ("FailStateEntered", [true, true, false, false]),
        ("LambdaFunctionFailed", [true, true, false, false]),
        ("TaskTimedOut", [true, true, false, false]),
        ("ExecutionFailed", [true, true, true, false]),
        ("ExecutionAborted", [true, true, true, false]),
    ] {
        let all = ["ALL", "ERROR", "FATAL", "OFF"].map(|word| LogLevel::of(word).unwrap());
        assert_eq!(all.map(|level| logged(kind, level)), levels, "{kind}");
    }
}

#[test]
fn data_that_is_too_long_is_left_out_and_said_to_be() {
    let logged = |bytes: usize| {
        let event = entered(&"x".repeat(bytes));
        entry(&event, "arn", 0, LogLevel::All, true).unwrap()["details"].clone()
    };
    assert!(logged(DATA_BYTES).get("input").is_some());
    let over = logged(DATA_BYTES + 1);
    assert!(over.get("input").is_none());
    assert_eq!(over["inputDetails"]["truncated"], true);
}

#[test]
fn a_subscription_sends_entries_compressed() {
    let source = LogSource {
        owner: "000000000000",
        group: "g",
        stream: "s",
        filter: "f",
    };
    let one = LogEvent {
        id: "1".to_owned(),
        timestamp: 5,
        message: "m".to_owned(),
    };
    let event = subscription_event(source, &[one]);
    let bytes = STANDARD
        .decode(event["awslogs"]["data"].as_str().unwrap())
        .unwrap();
    let mut text = String::new();
    let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
    gzip.read_to_string(&mut text).unwrap();
    let message: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({
        "messageType": "DATA_MESSAGE", "owner": "000000000000", "logGroup": "g",
        "logStream": "s", "subscriptionFilters": ["f"],
        "logEvents": [{"id": "1", "timestamp": 5, "message": "m"}],
    });
    assert_eq!(message, expected);
}

#[test]
fn an_executions_event_leaves_long_data_out() {
    let scope = Scope {
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
    };
    let event = |input: &str| {
        let facts = ExecutionFacts {
            machine: "m",
            name: "x",
            status: "FAILED",
            started: 1,
            stopped: Some(2),
            input,
            output: None,
            error: Some("E"),
            cause: None,
            redrives: 1,
            redriven: None,
            is_redrivable: true,
        };
        execution_event(&scope, "id", 0, &facts)["detail"].clone()
    };
    let short = event("{}");
    assert_eq!(short["inputDetails"]["included"], true);
    assert_eq!(short["redriveStatus"], "REDRIVABLE");
    assert_eq!(short["redriveStatusReason"], Value::Null);
    assert_eq!(
        (&short["startDate"], &short["stopDate"]),
        (&json!(1), &json!(2))
    );
    let most = "x".repeat(event_bus::DATA_BYTES);
    assert_eq!(event(&most)["inputDetails"]["included"], true);
    let long = event(&format!("{most}x"));
    assert_eq!(long["inputDetails"]["included"], false);
    assert_eq!(long["input"], Value::Null);
}
