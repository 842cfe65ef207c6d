//! The binary as the Lambda host starts it: a process that polls a Runtime API whose address has a
//! path.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use crate::server::Server;

/// Long enough for an unoptimized build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A Runtime API for one function, and the function's process.
struct Host {
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<(String, Value)>,
    child: Child,
}

struct Api {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<(String, Value)>,
}

impl Host {
    async fn start(function: &str, scheme: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, receiver) = mpsc::channel(4);
        let (sender, answers) = mpsc::channel(4);
        let api = Arc::new(Api {
            events: Mutex::new(receiver),
            answers: sender,
        });
        let under = format!("/{function}/2018-06-01/runtime/invocation");
        let router = Router::new()
            .route(&format!("{under}/next"), get(next))
            .route(&format!("{under}/{{id}}/{{kind}}"), post(answer))
            .with_state(api);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let child = command(function)
            .env(
                "AWS_LAMBDA_RUNTIME_API",
                format!("{scheme}{address}/{function}"),
            )
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .spawn()
            .unwrap();
        Self {
            events,
            answers,
            child,
        }
    }

    async fn invoke(&mut self, event: Value) -> (String, Value) {
        self.events.send(event).await.unwrap();
        // Cancel-safe: if either branch is dropped, the test is over or the answer has arrived.
        let answered = async {
            tokio::select! {
                answer = self.answers.recv() => answer.unwrap(),
                ended = self.child.wait() => panic!("the function's process ended: {ended:?}"),
            }
        };
        tokio::time::timeout(PATIENCE, answered)
            .await
            .expect("an answer in time")
    }
}

fn command(function: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobcast-functions"));
    command
        .arg(function)
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn next(State(api): State<Arc<Api>>) -> axum::response::Response {
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", "4000000000000"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
        ),
    ];
    (headers, event.to_string()).into_response()
}

async fn answer(
    State(api): State<Arc<Api>>,
    Path((_, kind)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    api.answers
        .send((kind, serde_json::from_slice(&body).unwrap()))
        .await
        .unwrap();
    StatusCode::ACCEPTED
}

async fn serves_one_event_after_another(scheme: &str) {
    let mut host = Host::start("noop1", scheme).await;
    let pid = host.child.id();
    assert_eq!(
        host.invoke(json!({"n": 1})).await,
        ("response".into(), json!({"n": 2}))
    );
    let (kind, error) = host.invoke(json!({"n": "one"})).await;
    assert_eq!(
        (kind.as_str(), &error["errorType"]),
        ("error", &json!("InvalidInput"))
    );
    assert_eq!(
        host.invoke(json!({"n": 2})).await,
        ("response".into(), json!({"n": 3}))
    );
    assert!(
        host.child.try_wait().unwrap().is_none() && host.child.id() == pid,
        "it lives on"
    );
}

#[tokio::test]
async fn a_process_serves_one_event_after_another() {
    serves_one_event_after_another("").await;
}

#[tokio::test]
async fn a_runtime_api_may_be_given_with_its_scheme() {
    serves_one_event_after_another("http://").await;
}

#[tokio::test]
async fn a_process_without_a_host_names_the_missing_variable() {
    let ended = command("noop1").output().await.unwrap();
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(
        !ended.status.success() && words.contains("AWS_LAMBDA_RUNTIME_API"),
        "{words}"
    );
    let ended = command("nope").output().await.unwrap();
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(
        !ended.status.success() && words.contains("thumbnails-inspect"),
        "{words}"
    );
}

/// A process that holds only a part of the table reads 96 MiB of CSV.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_table_is_read_in_bounded_memory() {
    let server = Server::start().await;
    let row = format!(
        "{},{},12.5\n",
        "some text ".repeat(100),
        "more of it ".repeat(100)
    );
    let rows = (1 << 20) / row.len();
    let csv = server.put_repeated("large.csv", row.repeat(rows), 96);
    let mut host = Host::start("csv-report-analyze", "").await;
    let (kind, analysis) = host
        .invoke(server.event(json!({"input": {"csv": csv, "header": false}})))
        .await;
    assert_eq!(
        (kind.as_str(), &analysis["rows"]),
        ("response", &json!(rows * 96)),
        "{analysis}"
    );
    assert!(analysis["bytes"].as_u64().unwrap() > 95 << 20);
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", host.child.id().unwrap())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 48 * 1024, "the peak was {kilobytes} kB");
    let progress: Vec<_> = server
        .reports()
        .iter()
        .filter_map(|(_, report)| report["progress"].as_u64())
        .collect();
    assert!(progress.len() >= 3 && progress.is_sorted(), "{progress:?}");
    assert_eq!(progress.last(), Some(&100));
}

#[tokio::test]
async fn a_function_without_a_library_serves_one_event_after_another() {
    let mut host = Host::start("bare", "").await;
    for n in 1..4 {
        let expected = ("response".to_owned(), json!({"n": n + 1}));
        assert_eq!(host.invoke(json!({"n": n})).await, expected);
    }
    let (kind, error) = host.invoke(json!({"n": "one"})).await;
    assert_eq!(
        (kind.as_str(), &error["errorType"]),
        ("error", &json!("InvalidInput"))
    );
}
