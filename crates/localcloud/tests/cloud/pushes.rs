//! From executions to functions: log entries and events.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use localcloud::pattern::Pattern;
use localcloud::{Cloud, Settings};
use serde_json::{Value, json};

use crate::{attach, http, process, until};

/// A folder with a state machine.
fn machine() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let machine = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:work",
              "End": true},
    }});
    std::fs::write(folder.path().join("m.asl.json"), machine.to_string()).unwrap();
    folder
}

async fn with_machine() -> (Cloud, tempfile::TempDir) {
    let folder = machine();
    let settings = Settings {
        machines: workflow::Machines::load(folder.path()).unwrap(),
        ..Settings::default()
    };
    (Cloud::start(settings).await.unwrap(), folder)
}

async fn start(cloud: &Cloud, name: &str) {
    start_with(cloud, name, json!({"a": 1})).await;
}

async fn start_with(cloud: &Cloud, name: &str, input: Value) {
    let request = json!({
        "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:m",
        "name": name, "input": input.to_string(),
    });
    let target = "AWSStepFunctions.StartExecution";
    let (status, answer) = http::call(cloud, target, &request).await.unwrap();
    assert_eq!(status, 200, "{answer}");
}

fn entries(events: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for event in events {
        let data = event["awslogs"]["data"].as_str().unwrap();
        let bytes = STANDARD.decode(data).unwrap();
        let mut text = String::new();
        let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
        gzip.read_to_string(&mut text).unwrap();
        let message: Value = serde_json::from_str(&text).unwrap();
        for event in message["logEvents"].as_array().unwrap() {
            let entry = event["message"].as_str().unwrap();
            all.push(serde_json::from_str(entry).unwrap());
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_receives_each_event_of_the_history_as_an_entry() {
    let (cloud, _folder) = with_machine().await;
    attach(&cloud, "work", |_, event| Ok(event.clone()));
    let received = attach(&cloud, "steps", |_, _| Ok(Value::Null));
    cloud.subscribe_logs("steps");
    start(&cloud, "one").await;
    let types = || -> Vec<String> {
        let entries = entries(&received.lock());
        let types = entries
            .iter()
            .map(|entry| entry["type"].as_str().unwrap().to_owned());
        types.collect()
    };
    until("the end", || {
        types().iter().any(|one| one == "ExecutionSucceeded")
    })
    .await;
    let mut ids: Vec<u64> = entries(&received.lock())
        .iter()
        .map(|entry| entry["id"].as_str().unwrap().parse().unwrap())
        .collect();
    ids.sort_unstable();
    let count = ids.len() as u64;
    assert_eq!(ids, (1..=count).collect::<Vec<_>>());
    assert!(types().iter().any(|one| one == "LambdaFunctionScheduled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_receives_the_start_and_the_end_of_an_execution() {
    let (cloud, _folder) = with_machine().await;
    attach(&cloud, "work", |_, event| Ok(event.clone()));
    let received = attach(&cloud, "ends", |_, _| Ok(Value::Null));
    let pattern = json!({"source": ["aws.states"], "detail": {"status": ["RUNNING", "SUCCEEDED"]}});
    cloud.add_rule("ends", Pattern::of(&pattern).unwrap(), "ends");
    start(&cloud, "one").await;
    until("both events", || received.lock().len() == 2).await;
    let events = received.lock().clone();
    let status = |at: usize| events[at]["detail"]["status"].clone();
    let mut found = [status(0).to_string(), status(1).to_string()];
    found.sort();
    assert_eq!(found, ["\"RUNNING\"", "\"SUCCEEDED\""]);
    let end = events
        .iter()
        .find(|event| event["detail"]["status"] == "SUCCEEDED")
        .unwrap();
    assert_eq!(end["detail"]["output"], "{\"a\":1}");
    assert!(end["detail"]["stopDate"].is_i64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_entry_does_not_arrive_and_a_repeated_one_arrives_twice() {
    let (cloud, _folder) = with_machine().await;
    attach(&cloud, "work", |_, event| Ok(event.clone()));
    let received = attach(&cloud, "steps", |_, _| Ok(Value::Null));
    cloud.subscribe_logs("steps");
    cloud.faults().lose_log_entries(1);
    cloud.faults().repeat_log_entries(1);
    start(&cloud, "one").await;
    let ids = || -> Vec<String> {
        let entries = entries(&received.lock());
        let ids = entries
            .iter()
            .map(|entry| entry["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    until("the entries", || ids().len() >= 5).await;
    assert!(!ids().contains(&"1".to_owned()));
    assert_eq!(ids().iter().filter(|id| *id == "2").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_a_function_never_takes_is_given_up_after_two_retries() {
    let (cloud, _folder) = with_machine().await;
    let received = attach(&cloud, "ticked", |_, _| Err("no".to_owned()));
    cloud.tick("every-minute", "ticked");
    until("the end of its retries", || {
        cloud.failed_events().len() == 1
    })
    .await;
    assert_eq!(received.lock().len(), 3);
    assert_eq!(received.lock()[0]["detail-type"], "Scheduled Event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_is_killed_in_flight_fails_its_task() {
    let folder = machine();
    let settings = Settings {
        machines: workflow::Machines::load(folder.path()).unwrap(),
        functions: vec![process("work")],
        ..Settings::default()
    };
    let cloud = Cloud::start(settings).await.unwrap();
    start_with(&cloud, "one", json!({"slow": true})).await;
    until("the invocation", || {
        cloud.counts().now().invocations.get("work") == Some(&1)
    })
    .await;
    cloud.kill_in_flight("work");
    let failed = || {
        let events = cloud.events();
        events
            .iter()
            .any(|event| event["detail"]["error"] == "Runtime.ExitError")
    };
    until("the failed end", failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_put_reaches_the_rules_that_match() {
    let cloud = crate::cloud().await;
    let received = attach(&cloud, "orders", |_, _| Ok(Value::Null));
    let pattern = json!({"source": ["shop"], "detail": {"state": ["paid"]}});
    cloud.add_rule("orders", Pattern::of(&pattern).unwrap(), "orders");
    let entry = |state: &str| {
        let detail = json!({"state": state}).to_string();
        json!({"Source": "shop", "DetailType": "order", "Detail": detail})
    };
    let broken = json!({"Source": "shop", "DetailType": "order", "Detail": "no JSON"});
    let request = json!({"Entries": [entry("open"), entry("paid"), broken]});
    let (status, answer) = http::call(&cloud, "AWSEvents.PutEvents", &request)
        .await
        .unwrap();
    assert_eq!((status, &answer["FailedEntryCount"]), (200, &json!(1)));
    until("the event", || !received.lock().is_empty()).await;
    let event = received.lock()[0].clone();
    assert_eq!(event["detail"], json!({"state": "paid"}));
    assert_eq!(event["id"], answer["Entries"][1]["EventId"]);
}
