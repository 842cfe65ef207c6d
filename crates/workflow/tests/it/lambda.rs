//! Functions in real processes: chains of tasks, crashes, timeouts, functions that nobody runs, the Invoke API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use workflow::lambda::{FunctionConfig, Host, HostSettings, limits};
use workflow::runner::Runner;
use workflow::{Engine, Status, internal};

use crate::function;
use crate::http::{Answer, call};
use crate::world::{DEADLINE, World, chain, types};

fn host(functions: Vec<FunctionConfig>) -> Host {
    Host::new(HostSettings {
        functions,
        attach_wait: Duration::from_millis(50),
        ..HostSettings::default()
    })
}

async fn run(world: &World, engine: &Engine, input: &Value) -> workflow::End {
    let name = format!("e{}", world.ears.events.lock().len());
    engine
        .start("m", &name, input.to_string().into())
        .await
        .unwrap();
    world.ears.end_of(&name).await
}

#[tokio::test]
async fn a_chain_of_three_functions_ends_well() {
    let world = World::new(&[("m", &chain(3))]);
    let engine = world
        .open(Arc::new(Runner::new(host(vec![function::config("f")]))))
        .await;
    let end = run(&world, &engine, &json!({"n": 1})).await;
    assert_eq!(end.status, Status::Succeeded);
    assert_eq!(end.output.as_deref(), Some(r#"{"n":4}"#));
    let one = [
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "TaskStateExited",
    ];
    let mut expected = vec!["ExecutionStarted"];
    for _ in 0..3 {
        expected.push("TaskStateEntered");
        expected.extend(one);
    }
    expected.push("ExecutionSucceeded");
    assert_eq!(types(&engine, "e0").await, expected);
}

#[tokio::test]
async fn a_function_fails_crashes_and_takes_too_long_as_on_aws() {
    let world = World::new(&[("m", &chain(1))]);
    let mut config = function::config("f");
    config.timeout = Duration::from_millis(1_500);
    let host = host(vec![config]);
    let engine = world.open(Arc::new(Runner::new(host))).await;
    let end = run(&world, &engine, &json!({"do": "fail"})).await;
    assert_eq!(end.error.as_deref(), Some("Custom"));
    let cause: Value = serde_json::from_str(&end.cause.unwrap()).unwrap();
    assert_eq!(
        cause,
        json!({"errorType": "Custom", "errorMessage": "no", "stackTrace": []})
    );
    let end = run(&world, &engine, &json!({"do": "exit"})).await;
    assert_eq!(end.error.as_deref(), Some("Runtime.ExitError"));
    let cause = end.cause.unwrap();
    assert!(
        cause.contains("Error: Runtime exited with error: exit status 1"),
        "{cause}"
    );
    // The process is replaced, and replaced again when it hangs.
    let end = run(&world, &engine, &json!({"do": "hang"})).await;
    assert_eq!(end.error.as_deref(), Some("Sandbox.Timedout"));
    let cause = end.cause.unwrap();
    assert!(
        cause.contains("Task timed out after 1.50 seconds"),
        "{cause}"
    );
    let end = run(&world, &engine, &json!({"n": 1})).await;
    assert_eq!(end.status, Status::Succeeded);
}

#[tokio::test]
async fn a_function_that_nobody_runs_is_named_with_what_to_do() {
    let world = World::new(&[("m", &chain(1))]);
    let none = world.open(Arc::new(Runner::new(host(Vec::new())))).await;
    let end = run(&world, &none, &json!({})).await;
    assert_eq!(
        end.error.as_deref(),
        Some("Lambda.ResourceNotFoundException")
    );
    assert!(end.cause.unwrap().contains("add [functions.f]"));
    drop(none);
    let world = World::new(&[("m", &chain(1))]);
    let outside = host(vec![FunctionConfig::new("f", Vec::new())]);
    let engine = world.open(Arc::new(Runner::new(outside))).await;
    let end = run(&world, &engine, &json!({})).await;
    assert!(end.cause.unwrap().contains("nobody runs function `f`"));
}

#[tokio::test]
async fn a_process_that_ends_before_it_asks_for_work_fails_what_waits() {
    let world = World::new(&[("m", &chain(1))]);
    let mut config = function::config("f");
    config
        .environment
        .insert("TEST_FUNCTION".into(), "broken".into());
    let engine = world.open(Arc::new(Runner::new(host(vec![config])))).await;
    let end = run(&world, &engine, &json!({})).await;
    assert_eq!(end.error.as_deref(), Some("Runtime.ExitError"));
    assert!(end.cause.unwrap().contains("exit status 3"));
    let world = World::new(&[("m", &chain(1))]);
    let missing = FunctionConfig::new("f", vec!["/no/such/program".into()]);
    let engine = world.open(Arc::new(Runner::new(host(vec![missing])))).await;
    let end = run(&world, &engine, &json!({})).await;
    assert!(
        end.cause
            .unwrap()
            .contains("check command in [functions.f]")
    );
}

#[tokio::test]
async fn more_processes_work_when_there_is_more_to_do() {
    let world = World::new(&[("m", &chain(1))]);
    let mut config = function::config("f");
    config.concurrency = 2;
    let engine = world.open(Arc::new(Runner::new(host(vec![config])))).await;
    engine
        .start("m", "hangs", r#"{"do":"hang"}"#.into())
        .await
        .unwrap();
    engine.start("m", "goes", "{}".into()).await.unwrap();
    assert_eq!(world.ears.end_of("goes").await.status, Status::Succeeded);
}

struct Server {
    address: SocketAddr,
    _engine: Engine,
}

async fn serve(functions: Vec<FunctionConfig>) -> Server {
    let world = World::new(&[("m", &chain(1))]);
    let host = Host::new(HostSettings {
        functions,
        attach_any: true,
        attach_wait: DEADLINE,
        ..HostSettings::default()
    });
    let runner = Runner::new(host);
    let engine = world.open(Arc::new(runner.clone())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(internal::serve(
        listener,
        engine.clone(),
        runner,
        std::future::pending(),
    ));
    Server {
        address,
        _engine: engine,
    }
}

impl Server {
    async fn invoke(&self, function: &str, kind: &str, body: String) -> Answer {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let headers = [
            ("content-type", "application/json"),
            ("x-amz-invocation-type", kind),
            ("x-amz-log-type", "Tail"),
        ];
        call(self.address, "POST", &path, &headers, body).await
    }
}

#[tokio::test]
async fn the_invoke_api_answers_as_lambda_does() {
    let server = serve(vec![function::config("f")]).await;
    let answer = server
        .invoke(
            "f",
            "RequestResponse",
            r#"{"do":"log","text":"hello"}"#.into(),
        )
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-amz-function-error").is_none());
    assert!(answer.header("x-amz-log-result").is_some());
    assert_eq!(answer.text(), r#""logged""#);
    let answer = server
        .invoke("f", "RequestResponse", r#"{"do":"fail"}"#.into())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-amz-function-error").unwrap(), "Unhandled");
    assert_eq!(server.invoke("f", "DryRun", "{}".into()).await.status, 204);
    assert_eq!(server.invoke("f", "Event", "{}".into()).await.status, 202);
    assert_eq!(
        server.invoke("f", "Sometimes", "{}".into()).await.status,
        400
    );
    assert_eq!(
        server
            .invoke("f", "RequestResponse", "{".into())
            .await
            .status,
        400
    );
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";
    assert_eq!(
        server
            .invoke(arn, "RequestResponse", "{}".into())
            .await
            .status,
        200
    );
    let most = format!("\"{}\"", "x".repeat(limits::PAYLOAD_BYTES - 2));
    assert_eq!(server.invoke("f", "DryRun", most.clone()).await.status, 204);
    let answer = server.invoke("f", "DryRun", format!("{most} ")).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn an_outside_process_attaches_to_any_name() {
    let server = serve(Vec::new()).await;
    let runtime = "/mine/2018-06-01/runtime/invocation";
    let work = async {
        let next = call(
            server.address,
            "GET",
            &format!("{runtime}/next"),
            &[],
            String::new(),
        )
        .await;
        let id = next.header("lambda-runtime-aws-request-id").unwrap();
        let path = format!("{runtime}/{id}/response");
        let done = call(server.address, "POST", &path, &[], next.text()).await;
        assert_eq!(done.status, 202);
        let again = call(server.address, "POST", &path, &[], "1".into()).await;
        assert_eq!(again.status, 400, "an answer counts once");
    };
    let (answer, ()) = tokio::join!(server.invoke("mine", "RequestResponse", "[1]".into()), work);
    assert_eq!(answer.text(), "[1]");
}

#[tokio::test]
async fn work_is_not_lost_to_a_poller_that_went_away() {
    let server = serve(Vec::new()).await;
    let path = "/mine/2018-06-01/runtime/invocation/next";
    for _ in 0..3 {
        let poll = call(server.address, "GET", path, &[], String::new());
        let gone = tokio::time::timeout(Duration::from_millis(20), poll).await;
        assert!(gone.is_err(), "there is nothing to do yet");
    }
    let next = call(server.address, "GET", path, &[], String::new());
    let (_, next) = tokio::join!(server.invoke("mine", "Event", "[2]".into()), next);
    assert_eq!(next.text(), "[2]");
}
