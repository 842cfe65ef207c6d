//! The walk on AWS under our Lambda host: a client submits by `lambda-http`, Step Functions runs
//! the job, its log and its end go through `lambda-execution`, the table's stream goes through
//! `lambda-publish`, and a watcher of a node receives all of it. The node reads nothing by itself.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use checker::{JobTranscript, Seen};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use resolvers::store::{FeedEvent, JobStore};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::kit::aws::STATE_MACHINES;
use crate::kit::lambda::{Deployment, Functions};
use crate::kit::{Client, Door, Said, Watch, on_job, soon};
use crate::lambda_http::ask;

const PROGRAMS: &[(&str, &str)] = &[
    ("lambda-execution", env!("CARGO_BIN_EXE_lambda-execution")),
    ("lambda-http", env!("CARGO_BIN_EXE_lambda-http")),
    ("lambda-publish", env!("CARGO_BIN_EXE_lambda-publish")),
];

/// The record of a change, as AWS delivers it.
fn record(sequence: usize, event: &FeedEvent) -> Value {
    let text =
        |job: &Arc<job::Job>| json!({ "job": { "S": serde_json::to_string(&**job).unwrap() } });
    let id = event.new.as_ref().or(event.old.as_ref()).unwrap().id;
    let mut change = json!({
        "ApproximateCreationDateTime": 1_700_000_000, "SizeBytes": 900, "StreamViewType": "NEW_AND_OLD_IMAGES",
        "Keys": { "pk": { "S": format!("JOB#{id}") }, "sk": { "S": "JOB" } },
        "SequenceNumber": format!("4405400000000002063{sequence:08}"),
    });
    for (name, job) in [("NewImage", &event.new), ("OldImage", &event.old)] {
        if let Some(job) = job {
            change[name] = text(job);
        }
    }
    json!({ "eventID": format!("e{sequence}"), "eventName": if event.new.is_some() { "MODIFY" } else { "REMOVE" },
        "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/jobs/stream/1" })
}

/// Delivers the changes of the table to `lambda-publish`, from now on.
async fn deliver(store: Arc<dyn JobStore>, functions: Arc<Functions>) -> AbortOnDropHandle<()> {
    let mut feed = store.changes(None).await.unwrap();
    AbortOnDropHandle::new(tokio::spawn(async move {
        for sequence in 1.. {
            let event = feed.next().await.unwrap().unwrap();
            let records = json!({ "Records": [record(sequence, &event)] });
            let answer = functions.invoke("lambda-publish", &records).await;
            assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
        }
    }))
}

/// The entry of the log for a history event: its details flat, its numbers as text.
fn entry(arn: &str, event: &Value) -> Value {
    let details = event
        .as_object()
        .unwrap()
        .iter()
        .find(|(name, _)| name.ends_with("Details"));
    let mut details = details.map_or(json!({}), |(_, details)| details.clone());
    // Without execution data.
    for data in ["input", "output"] {
        details.as_object_mut().unwrap().remove(data);
    }
    json!({
        "id": event["id"].to_string(), "type": event["type"], "details": details, "execution_arn": arn, "redrive_count": "0",
        "previous_event_id": event["previousEventId"].to_string(),
        "event_timestamp": ((event["timestamp"].as_f64().unwrap() * 1000.0) as i64).to_string(),
    })
}

/// An event of a log subscription.
fn logs(entries: &[Value], message_type: &str) -> Value {
    let events = entries.iter().enumerate();
    let events: Vec<_> = events
        .map(|(at, entry)| json!({ "id": at.to_string(), "timestamp": 1, "message": entry.to_string() }))
        .collect();
    let data = json!({ "messageType": message_type, "owner": "000000000000", "logGroup": "/aws/vendedlogs/states/jobcast-two-steps",
        "logStream": "states/1", "subscriptionFilters": ["all"], "logEvents": events });
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(data.to_string().as_bytes()).unwrap();
    let data = base64::engine::general_purpose::STANDARD.encode(zipped.finish().unwrap());
    json!({ "awslogs": { "data": data } })
}

/// EventBridge's event of the end of an execution.
fn succeeded(arn: &str, output: &Value, stopped: i64) -> Value {
    json!({
        "version": "0", "id": "1", "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
        "account": "000000000000", "time": "2026-12-01T00:00:00Z", "region": "us-east-1", "resources": [arn],
        "detail": { "executionArn": arn, "stateMachineArn": format!("{STATE_MACHINES}two-steps"), "stateMachineVersionArn": null,
            "stateMachineAliasArn": null, "name": arn.rsplit(':').next().unwrap(), "status": "SUCCEEDED", "startDate": stopped - 1000,
            "stopDate": stopped, "input": "{}", "inputDetails": { "included": true }, "output": output,
            "outputDetails": { "included": true }, "error": null, "cause": null, "redriveCount": 0, "redriveDate": null,
            "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": "" },
    })
}

/// Passes the log of an execution and its end to `lambda-execution`, as they come.
async fn push(endpoint: &str, arn: &str, functions: &Functions) {
    let client = Client::new(endpoint);
    let apply = async |event: &Value| {
        let applied = functions.invoke("lambda-execution", event).await.unwrap();
        assert_eq!(
            (&applied["reads"], &applied["left"]),
            (&json!(0), &json!(0)),
            "{applied}"
        );
    };
    apply(&logs(&[], "CONTROL_MESSAGE")).await;
    let mut known = 0;
    loop {
        let asked = client
            .request(reqwest::Method::POST, "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "AWSStepFunctions.GetExecutionHistory")
            .body(json!({ "executionArn": arn }).to_string());
        let history: Value = asked.send().await.unwrap().json().await.unwrap();
        let events = history["events"]
            .as_array()
            .unwrap_or_else(|| panic!("{history}"));
        let new = &events[known..];
        known = events.len();
        if !new.is_empty() {
            let entries: Vec<_> = new.iter().map(|event| entry(arn, event)).collect();
            apply(&logs(&entries, "DATA_MESSAGE")).await;
        }
        let last = events.last().unwrap();
        if last["type"] == "ExecutionSucceeded" {
            let stopped = (last["timestamp"].as_f64().unwrap() * 1000.0) as i64;
            let output = &last["executionSucceededEventDetails"]["output"];
            apply(&succeeded(arn, output, stopped)).await;
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_submitted_runs_and_reaches_its_watcher_through_the_functions() {
    let deployment = Deployment::start().await;
    let functions = Arc::new(deployment.functions(PROGRAMS));
    let store = deployment.dynamodb.store().await;
    let _delivering = deliver(store, Arc::clone(&functions)).await;
    let submit =
        "mutation { submitJob(input: { type: \"two-steps\", input: \"{\\\"a\\\":1}\" }) { id } }";
    let (status, answer) = ask(&functions, submit, json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["data"]["submitJob"]["id"].as_str().unwrap();
    let client = deployment.client();
    let mut transcript = JobTranscript::default();
    transcript.subscribed(client.seen(id).await.version, None);
    let mut watch = Watch::open(Door::TransportWs, &client, &on_job(), json!({ "id": id })).await;
    let arn = STATE_MACHINES.replace(":stateMachine:", ":execution:");
    let (endpoint, arn) = (
        &deployment.step_functions.endpoint,
        format!("{arn}two-steps:{id}"),
    );
    soon("the log of the execution", push(endpoint, &arn, &functions)).await;
    let job = loop {
        let job = watch.event().await;
        transcript.event(Seen::read(&job).unwrap());
        assert!(transcript.violation().is_none(), "{job}");
        if job["status"] == "SUCCEEDED" {
            break job;
        }
    };
    assert_eq!(job["steps"][0]["status"], "SUCCEEDED", "{job}");
    assert_eq!(watch.next().await, Said::Complete);
    transcript.completed();
    let verdict = transcript.finish(client.seen(id).await);
    assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
    assert!(client.job(id).await["result"].is_string());
}
