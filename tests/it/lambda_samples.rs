//! The events of every source that the functions have, as AWS documents them: each function reads
//! each sample of its source. With `AWS_RECORDINGS`, the samples that AWS's library for Rust
//! publishes are read too.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::kit::lambda::Deployment;
use crate::lambda_http::request;

const PROGRAMS: &[(&str, &str)] = &[
    ("lambda-execution", env!("CARGO_BIN_EXE_lambda-execution")),
    ("lambda-intake", env!("CARGO_BIN_EXE_lambda-intake")),
    ("lambda-publish", env!("CARGO_BIN_EXE_lambda-publish")),
    ("lambda-sweep", env!("CARGO_BIN_EXE_lambda-sweep")),
    ("lambda-http", env!("CARGO_BIN_EXE_lambda-http")),
];

/// The samples of AWS's library by function. A name ends with `*` for all that begin with it.
const PUBLISHED: &[(&str, &[&str])] = &[
    (
        "lambda-publish",
        &["example-dynamodb-event*", "example-sqs-event.json"],
    ),
    ("lambda-intake", &["example-sqs-event.json"]),
    ("lambda-sweep", &["example-eventbridge-schedule.json"]),
    // Its entries are of another service: they are left out.
    ("lambda-execution", &["example-cloudwatch_logs-event.json"]),
    (
        "lambda-http",
        &[
            "example-apigw-v2-request-*",
            "example-apigw-request*",
            "example-apigw-sam-http-request.json",
            "example-apigw-sam-rest-request.json",
        ],
    ),
];

/// The names of samples that are a part of an event.
const RECORDS: &[&str] = &["example-dynamodb-event-record-with-optional-fields.json"];

/// Samples in our own words.
fn own() -> Vec<(&'static str, Value)> {
    let removed = json!({
        "eventID": "1", "eventName": "REMOVE", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
        "dynamodb": { "ApproximateCreationDateTime": 1.7e9, "Keys": { "pk": { "S": "JOB#1" }, "sk": { "S": "JOB" } },
            "OldImage": { "n": { "N": "1" }, "list": { "L": [{ "NULL": true }] }, "set": { "SS": ["a"] } },
            "SequenceNumber": "100000000000000000000000001", "SizeBytes": 10, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs/stream/1",
        "userIdentity": { "type": "Service", "principalId": "dynamodb.amazonaws.com" },
    });
    let schedule = json!({ "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "account": "123456789012",
        "time": "2026-12-01T00:00:00Z", "region": "eu-west-1", "resources": ["arn:aws:events:eu-west-1:123456789012:rule/sweep"], "detail": {} });
    vec![
        ("lambda-publish", json!({ "Records": [removed] })),
        ("lambda-publish", json!({ "Records": [] })),
        ("lambda-intake", json!({ "Records": [] })),
        ("lambda-sweep", schedule),
        // EventBridge Scheduler sends what it is given.
        ("lambda-sweep", json!({})),
        ("lambda-http", request("GET", "/healthz", &[], None)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_of_a_functions_source_is_read() {
    let deployment = Deployment::start().await;
    let owner = [("JOBCAST_INTAKE_OWNER", "ann")];
    let functions = deployment.functions_with(PROGRAMS, &owner);
    for (name, event) in own() {
        let answer = functions.invoke(name, &event).await;
        assert!(answer.is_ok(), "{name}: {event}: {answer:?}");
    }
    let Ok(recordings) = std::env::var("AWS_RECORDINGS") else {
        println!("skipped: AWS_RECORDINGS names no directory of recordings");
        return;
    };
    let folder = PathBuf::from(recordings).join("lambda-events");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    for (name, patterns) in PUBLISHED {
        for pattern in *patterns {
            let fits = |file: &&String| match pattern.strip_suffix('*') {
                Some(start) => file.starts_with(start),
                None => file == pattern,
            };
            let found: Vec<_> = files.iter().filter(fits).collect();
            assert!(!found.is_empty(), "{pattern}");
            for file in found {
                let text = std::fs::read_to_string(folder.join(file)).unwrap();
                let mut event: Value = serde_json::from_str(&text).unwrap();
                if RECORDS.contains(&file.as_str()) {
                    event = json!({ "Records": [event] });
                }
                let answer = functions.invoke(name, &event).await;
                assert!(answer.is_ok(), "{name}: {file}: {answer:?}");
            }
        }
    }
}
