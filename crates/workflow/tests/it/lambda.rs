//! Functions in real processes: chains of tasks, crashes, timeouts, functions that no process runs,
//! the Invoke API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use workflow::lambda::{FunctionConfig, Host, HostSettings, limits};
use workflow::runner::Runner;
use workflow::secret::Admission;
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
    assert!(end.cause.unwrap().contains("no process runs function `f`"));
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

/// A host with one process for a function whose invocations may take long.
fn single() -> Host {
    let mut config = function::config("f");
    config.concurrency = 1;
    host(vec![config])
}

fn task(more: &Value) -> String {
    let mut state = json!({"Type": "Task", "Resource": "f", "End": true});
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    json!({"StartAt": "S", "States": {"S": state}}).to_string()
}

#[tokio::test]
async fn an_invocation_that_is_not_wanted_any_more_holds_no_process() {
    let short = task(&json!({"TimeoutSeconds": 1}));
    let heart = task(&json!({"TimeoutSeconds": 99, "HeartbeatSeconds": 1}));
    let retry =
        json!([{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}]);
    let again = task(&json!({"TimeoutSeconds": 1, "Retry": retry}));
    let world = World::new(&[
        ("m", &chain(1)),
        ("short", &short),
        ("heart", &heart),
        ("again", &again),
    ]);
    let engine = world.open(Arc::new(Runner::new(single()))).await;
    for machine in ["short", "heart", "again"] {
        engine
            .start(machine, machine, r#"{"do":"hang"}"#.into())
            .await
            .unwrap();
        assert_eq!(
            world.ears.end_of(machine).await.error.as_deref(),
            Some("States.Timeout")
        );
        let end = run(&world, &engine, &json!({"n": 1})).await;
        assert_eq!(end.status, Status::Succeeded, "after {machine}");
    }
    // Stopped while it runs, with another one behind it that is stopped while it waits.
    engine
        .start("m", "runs", r#"{"do":"hang"}"#.into())
        .await
        .unwrap();
    world.ears.wait(|event| &*event.execution == "runs").await;
    engine
        .start("m", "waits", r#"{"do":"hang"}"#.into())
        .await
        .unwrap();
    world.ears.wait(|event| &*event.execution == "waits").await;
    for name in ["waits", "runs"] {
        engine.stop(name, None, None).await.unwrap();
        assert_eq!(world.ears.end_of(name).await.status, Status::Aborted);
    }
    assert_eq!(
        run(&world, &engine, &json!({"n": 1})).await.status,
        Status::Succeeded
    );
}

#[tokio::test]
async fn the_time_in_a_functions_queue_is_not_the_tasks() {
    let short = task(&json!({"TimeoutSeconds": 2, "HeartbeatSeconds": 1}));
    let invoke = json!({"Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 2,
        "Parameters": {"FunctionName": "f", "Payload.$": "$"}});
    let invoke = task(&invoke);
    let world = World::new(&[("short", &short), ("invoke", &invoke)]);
    let engine = world.open(Arc::new(Runner::new(single()))).await;
    let machines = ["short", "invoke"];
    for n in 0..8 {
        let input = json!({"do": "sleep", "millis": 500}).to_string().into();
        engine
            .start(machines[n % 2], &format!("n{n}"), input)
            .await
            .unwrap();
    }
    for n in 0..8 {
        let end = world.ears.end_of(&format!("n{n}")).await;
        assert_eq!((end.status, end.error), (Status::Succeeded, None), "{n}");
    }
}

#[tokio::test]
async fn a_process_that_ends_after_each_invocation_is_replaced_at_once() {
    let world = World::new(&[("m", &chain(1))]);
    let engine = world.open(Arc::new(Runner::new(single()))).await;
    let begun = std::time::Instant::now();
    // With waits that double the last of them alone would take longer.
    for _ in 0..12 {
        let end = run(&world, &engine, &json!({"do": "once"})).await;
        assert_eq!(end.output.as_deref(), Some("\"once\""));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_start_that_fails_hits_the_oldest_and_a_second_one_all_that_wait() {
    let world = World::new(&[("m", &chain(1))]);
    let mut config = function::config("f");
    config.concurrency = 1;
    config
        .environment
        .insert("TEST_FUNCTION".into(), "broken".into());
    let engine = world.open(Arc::new(Runner::new(host(vec![config])))).await;
    for n in 0..20 {
        engine
            .start("m", &format!("n{n}"), "{}".into())
            .await
            .unwrap();
    }
    for n in 0..20 {
        let end = world.ears.end_of(&format!("n{n}")).await;
        assert_eq!(end.error.as_deref(), Some("Runtime.ExitError"));
        let cause = end.cause.unwrap();
        assert!(cause.contains("no module named handler"), "{cause}");
    }
}

#[tokio::test]
async fn a_web_page_does_not_reach_the_listener_of_a_process() {
    let world = World::new(&[("m", &chain(1))]);
    let engine = world.open(Arc::new(Runner::new(single()))).await;
    let end = run(&world, &engine, &json!({"do": "page"})).await;
    assert_eq!(
        end.output.as_deref(),
        Some("\"kept away\""),
        "{:?}",
        end.cause
    );
}

#[tokio::test]
async fn idle_processes_end_and_one_stays() {
    let mut config = function::config("f");
    config.concurrency = 2;
    config.idle = Duration::from_millis(200);
    let world = World::new(&[("m", &chain(1))]);
    let engine = world.open(Arc::new(Runner::new(host(vec![config])))).await;
    let runs = |pid: &str| {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::test_kill_process(pid).is_ok()
    };
    engine
        .start("m", "long", r#"{"do":"sleep","millis":1000}"#.into())
        .await
        .unwrap();
    world.ears.wait(|event| &*event.execution == "long").await;
    let second = run(&world, &engine, &json!({"do": "pid"}))
        .await
        .output
        .unwrap();
    world.ears.end_of("long").await;
    let first = run(&world, &engine, &json!({"do": "pid"}))
        .await
        .output
        .unwrap();
    assert_ne!(first, second, "two processes worked");
    let ended = async {
        while runs(&second) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ended)
        .await
        .expect("an idle process ends");
    assert!(runs(&first));
    assert_eq!(
        run(&world, &engine, &json!({"do": "pid"}))
            .await
            .output
            .unwrap(),
        first
    );
}

#[tokio::test]
async fn a_function_has_lambdas_variables_and_no_others_of_the_server() {
    let world = World::new(&[("m", &chain(1))]);
    let mut config = function::config("f");
    config.environment.insert("OWN".into(), "1".into());
    config.pass_environment = vec!["CARGO_MANIFEST_DIR".into()];
    let engine = world.open(Arc::new(Runner::new(host(vec![config])))).await;
    let output = run(&world, &engine, &json!({"do": "environment"}))
        .await
        .output
        .unwrap();
    let all: Value = serde_json::from_str(&output).unwrap();
    for name in [
        "_HANDLER",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
        "TZ",
        "PATH",
        "HOME",
        "NO_PROXY",
        "OWN",
        "CARGO_MANIFEST_DIR",
    ] {
        assert!(
            all[name].as_str().is_some_and(|value| !value.is_empty()),
            "{name}: {all}"
        );
    }
    assert_eq!(all["TZ"], ":UTC");
    // Cargo and the runner of the tests set many more.
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
    assert!(all["CARGO_PKG_NAME"].is_null(), "{all}");
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
        Admission::Open,
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
async fn an_invocation_may_have_a_context_a_qualifier_and_its_log() {
    let server = serve(vec![function::config("f")]).await;
    let invoke = async |path: &str, headers: &[(&str, &str)], body: &Value| {
        let path = format!("/2015-03-31/functions/{path}");
        let json = ("content-type", "application/json");
        let headers = [&[json], headers].concat();
        call(server.address, "POST", &path, &headers, body.to_string()).await
    };
    let body = json!({"do": "headers"});
    let context = [("x-amz-client-context", "eyJjdXN0b20iOnsiayI6InYifX0=")];
    let seen = invoke("f/invocations?Qualifier=live", &context, &body).await;
    assert_eq!(seen.header("x-amz-executed-version"), Some("$LATEST"));
    let seen: Value = serde_json::from_str(&seen.text()).unwrap();
    assert_eq!(
        seen["lambda-runtime-client-context"],
        r#"{"custom":{"k":"v"}}"#
    );
    let arn = seen["lambda-runtime-invoked-function-arn"]
        .as_str()
        .unwrap();
    assert!(arn.ends_with(":function:f:live"), "{arn}");
    let seen: Value =
        serde_json::from_str(&invoke("f/invocations", &[], &body).await.text()).unwrap();
    assert!(seen["lambda-runtime-client-context"].is_null());
    for (path, headers) in [
        ("f/invocations", [("x-amz-client-context", "W10=")]),
        ("f/invocations", [("x-amz-log-type", "Head")]),
        ("f:1/invocations?Qualifier=2", [("accept", "*/*")]),
    ] {
        assert_eq!(
            invoke(path, &headers, &body).await.status,
            400,
            "{path} {headers:?}"
        );
    }
    let log = [("x-amz-log-type", "Tail")];
    let answer = invoke(
        "f/invocations",
        &log,
        &json!({"do": "log", "text": "hello"}),
    )
    .await;
    let log = answer.header("x-amz-log-result").unwrap();
    assert_eq!(STANDARD.decode(log).unwrap(), b"hello\n");
}

#[tokio::test]
async fn lambda_invoke_has_the_parameters_of_the_invoke_api() {
    let with = |more: Value| {
        let mut parameters = json!({"FunctionName": "f", "Payload": {"do": "headers"}});
        for (name, value) in more.as_object().unwrap() {
            parameters[name] = value.clone();
        }
        task(&json!({"Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters}))
    };
    let context = with(
        json!({"ClientContext": "eyJjdXN0b20iOnsiayI6InYifX0=", "Qualifier": "live", "LogType": "Tail"}),
    );
    let wrong = with(json!({"ClientContext": "x"}));
    let dry = with(json!({"InvocationType": "DryRun"}));
    let event = with(json!({"InvocationType": "Event"}));
    let world = World::new(&[
        ("context", &context),
        ("wrong", &wrong),
        ("dry", &dry),
        ("event", &event),
    ]);
    let engine = world.open(Arc::new(Runner::new(single()))).await;
    let ends = async |machine: &str| {
        engine.start(machine, machine, "{}".into()).await.unwrap();
        world.ears.end_of(machine).await
    };
    let output: Value = serde_json::from_str(&ends("context").await.output.unwrap()).unwrap();
    let seen = &output["Payload"];
    assert_eq!(
        seen["lambda-runtime-client-context"],
        r#"{"custom":{"k":"v"}}"#
    );
    assert!(
        seen["lambda-runtime-invoked-function-arn"]
            .as_str()
            .unwrap()
            .ends_with(":f:live")
    );
    assert!(output["LogResult"].is_string(), "{output}");
    assert_eq!(
        ends("wrong").await.error.as_deref(),
        Some("Lambda.InvalidRequestContentException")
    );
    for (machine, status) in [("dry", 204), ("event", 202)] {
        let output: Value = serde_json::from_str(&ends(machine).await.output.unwrap()).unwrap();
        assert_eq!(output["StatusCode"], status);
        assert!(
            output["Payload"].is_null() && output["ExecutedVersion"].is_null(),
            "{output}"
        );
    }
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_invocation_along() {
    let mut config = function::config("f");
    config.concurrency = 1;
    let server = serve(vec![config]).await;
    let hangs = server.invoke("f", "RequestResponse", r#"{"do":"hang"}"#.into());
    let left = tokio::time::timeout(Duration::from_millis(500), hangs).await;
    assert!(left.is_err(), "it hangs");
    let answer = server
        .invoke("f", "RequestResponse", r#"{"n":1}"#.into())
        .await;
    assert_eq!(answer.text(), r#"{"n":2}"#);
}

#[tokio::test]
async fn what_waits_for_an_outside_process_that_went_away_is_refused() {
    let world = World::new(&[("m", &chain(1))]);
    let mut config = FunctionConfig::new("f", Vec::new());
    config.timeout = Duration::from_millis(300);
    let runner = Runner::new(host(vec![config]));
    let engine = world.open(Arc::new(runner.clone())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(internal::serve(
        listener,
        engine.clone(),
        runner,
        Admission::Open,
        std::future::pending(),
    ));
    let next = call(
        address,
        "GET",
        "/f/2018-06-01/runtime/invocation/next",
        &[],
        String::new(),
    );
    let (_, taken) = tokio::join!(engine.start("m", "taken", "{}".into()), next);
    assert_eq!(taken.status, 200);
    engine.start("m", "waits", "{}".into()).await.unwrap();
    assert_eq!(
        world.ears.end_of("taken").await.error.as_deref(),
        Some("Sandbox.Timedout")
    );
    let end = world.ears.end_of("waits").await;
    assert_eq!(
        end.error.as_deref(),
        Some("Lambda.ResourceNotFoundException")
    );
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
