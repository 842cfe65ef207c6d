//! What a job costs in DynamoDB: the calls of a whole journey, counted at a proxy.

use serde_json::{Value, json};

use crate::access::report_token;
use crate::aws::configured;
use crate::kit::aws::{DynamoDb, StepFunctions};
use crate::kit::proxy::{Call, Proxy};
use crate::kit::{Client, Door, Home, Watch, on_job};

/// Maximum number of writing calls of a job of three steps with ten reports.
const WRITES: usize = 16;
/// Maximum number of reading calls of it.
const READS: usize = 4;
/// Maximum number of write request units of it.
const WRITE_UNITS: usize = 50;

/// Calls and write request units of one job.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    writes: usize,
    reads: usize,
    units: usize,
    repairs: usize,
}

impl Count {
    /// Adds a call if it is of the job.
    fn add(&mut self, call: &Call, id: &str) {
        let body = &call.body;
        let is_of_job = body.to_string().contains(id);
        match call.operation.as_str() {
            "GetItem" if is_of_job => self.reads += 1,
            // Of all watched jobs together, when the feed was opened: not a cost of one job.
            "BatchGetItem" if is_of_job => self.repairs += 1,
            "PutItem" if is_of_job => {
                self.writes += 1;
                self.units += row_units(&body["Item"]) + index_units(&body["Item"], false);
            }
            "TransactWriteItems" if is_of_job => {
                self.writes += 1;
                for item in body["TransactItems"].as_array().unwrap() {
                    self.units += units_in_transaction(item);
                }
            }
            _ => {}
        }
    }
}

fn units_in_transaction(item: &Value) -> usize {
    match &item["Put"] {
        // An update of the input's expiry: the input of these jobs is small.
        Value::Null => 2,
        put => {
            let condition = put["ConditionExpression"].as_str().unwrap_or_default();
            let is_new = condition == "attribute_not_exists(pk)";
            2 * row_units(&put["Item"]) + index_units(&put["Item"], is_new)
        }
    }
}

/// One unit for each began kilobyte (DynamoDB's developer guide, "Read/write capacity mode").
fn row_units(item: &Value) -> usize {
    let size = |(name, value): (&String, &Value)| {
        let value = value.as_object().unwrap().values().next().unwrap();
        name.len() + value.as_str().map_or(1, str::len)
    };
    let bytes: usize = item.as_object().unwrap().iter().map(size).sum();
    bytes.div_ceil(1024)
}

/// The rows of the indexes, which have keys only: four when a job is created; one is deleted and
/// one added when it ends.
fn index_units(item: &Value, is_new: bool) -> usize {
    match item["sk"]["S"].as_str() {
        Some("JOB") if is_new => 4,
        Some("JOB") if item.get("expiring").is_some() => 2,
        _ => 0,
    }
}

/// With the job type `three-steps`, whose second step takes long enough for ten reports.
fn home() -> Home {
    let function = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    let definition = json!({ "StartAt": "First", "States": {
        "First": { "Type": "Task", "Resource": function("noop1"), "Next": "Second" },
        "Second": { "Type": "Wait", "Seconds": 8, "Next": "Third" },
        "Third": { "Type": "Task", "Resource": function("noop3"), "End": true } } });
    Home::new()
        .config("repair_every = \"1h\"")
        .machine("three-steps", &definition)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_three_steps_with_ten_reports_costs_a_bounded_number_of_calls() {
    let home = home();
    let dynamodb = DynamoDb::start().await;
    let proxy = Proxy::before(&dynamodb.endpoint).await;
    let step_functions = StepFunctions::start(&home.path("state-machines")).await;
    let endpoint = &step_functions.endpoint;
    let home = configured(home, DynamoDb::TABLE, &proxy.endpoint, endpoint);
    let server = home.start().await;
    let client = server.client();
    proxy.take_calls();
    let id = client.submit("three-steps", &json!({ "a": 1 })).await;
    let variables = json!({ "id": id });
    let mut watch = Watch::open(Door::TransportWs, &client, &on_job(), variables).await;
    let running = |job: &Value| job["status"] == "RUNNING" || job["status"] == "WAITING";
    while !running(&watch.event().await) {}
    let token = report_token(endpoint, &Client::new(endpoint), "three-steps", &id).await;
    let function = client.with_token(&token);
    let report = "mutation($id: ID!, $progress: Int!) { reportProgress(input: { id: $id, progress: $progress }) { progress } }";
    for progress in 1..=10 {
        let variables = json!({ "id": id, "progress": progress });
        function.data(report, variables).await;
    }
    while watch.event().await["status"] != "SUCCEEDED" {}
    let mut count = Count::default();
    let calls = proxy.take_calls();
    calls.iter().for_each(|call| count.add(call, &id));
    // A feed that is opened meanwhile makes the node read what is watched again.
    let reads = READS + 2 * count.repairs;
    assert!(
        count.writes <= WRITES && count.reads <= reads && count.units <= WRITE_UNITS,
        "{count:?}"
    );
    println!("a job of three steps with ten reports: {count:?}");
}
