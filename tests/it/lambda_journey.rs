//! The walk on AWS under our Lambda host: a client submits by `lambda-http`, Step Functions runs the
//! job, the table's stream goes through `lambda-publish`, and a watcher of a node receives all of
//! it. Only the stream reaches the node's watchers: it reads nothing by itself.

use checker::{JobTranscript, Seen};
use futures_util::StreamExt;
use resolvers::store::{FeedEvent, JobStore};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

use crate::kit::lambda::{Deployment, Functions};
use crate::kit::{Door, Said, Watch, on_job};
use crate::lambda_http::ask;

const PROGRAMS: &[(&str, &str)] = &[
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
    let job = loop {
        let job = watch.event().await;
        transcript.event(Seen::read(&job).unwrap());
        assert!(transcript.violation().is_none(), "{job}");
        if job["status"] == "SUCCEEDED" {
            break job;
        }
    };
    assert_eq!(job["steps"][1]["status"], "SUCCEEDED", "{job}");
    assert_eq!(watch.next().await, Said::Complete);
    transcript.completed();
    let verdict = transcript.finish(client.seen(id).await);
    assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
}
