//! The cloud as its users see it: over its endpoint, with functions that are processes and
//! functions of this process.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod http;
mod pushes;
mod queues;
mod sdks;
mod streams;
mod tables;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use localcloud::{Cloud, FunctionConfig, Settings};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Time allowed for what a test waits for.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until a condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waited).await;
    assert!(waited.is_ok(), "not within {DEADLINE:?}: {what}");
}

async fn cloud() -> Cloud {
    Cloud::start(Settings::default()).await.unwrap()
}

/// The events that a function received.
type Received = Arc<Mutex<Vec<Value>>>;

/// A function that remembers its events and answers with what `answer` makes of each.
fn attach(
    cloud: &Cloud,
    name: &str,
    answer: impl Fn(usize, &Value) -> Result<Value, String> + Send + Sync + 'static,
) -> Received {
    let received = Received::default();
    let events = Arc::clone(&received);
    cloud.attach(name, move |event| {
        let mut events = events.lock();
        events.push(event.clone());
        answer(events.len(), &event)
    });
    received
}

/// This test binary as the process of a function: it answers each event with the event.
fn process(name: &str) -> FunctionConfig {
    let program = std::env::current_exe().unwrap().display().to_string();
    let words = ["--ignored", "--exact", "function_process"];
    let command = std::iter::once(program).chain(words.map(str::to_owned));
    FunctionConfig::new(name, command.collect())
}

fn exchange(host: &str, head: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
#[ignore = "it is the process of a function"]
fn function_process() {
    let Ok(host) = std::env::var("AWS_LAMBDA_RUNTIME_API") else {
        return;
    };
    let invocation = "/2018-06-01/runtime/invocation";
    loop {
        let (head, event) = exchange(&host, &format!("GET {invocation}/next"), "");
        let id = head
            .split("lambda-runtime-aws-request-id: ")
            .nth(1)
            .unwrap();
        let id = id.split("\r\n").next().unwrap();
        if event.contains("slow") {
            std::thread::sleep(Duration::from_secs(60));
        }
        exchange(&host, &format!("POST {invocation}/{id}/response"), &event);
    }
}

/// A table with a stream; returns the stream's ARN.
async fn table(cloud: &Cloud, name: &str) -> String {
    let request = json!({
        "TableName": name,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    });
    let created = http::call(cloud, "DynamoDB_20120810.CreateTable", &request);
    let (status, answer) = created.await.unwrap();
    assert_eq!(status, 200, "{answer}");
    cloud.stream_arn(name).unwrap()
}

async fn put(cloud: &Cloud, table: &str, item: Value) -> (u16, Value) {
    let request = json!({"TableName": table, "Item": item});
    http::call(cloud, "DynamoDB_20120810.PutItem", &request)
        .await
        .unwrap()
}
