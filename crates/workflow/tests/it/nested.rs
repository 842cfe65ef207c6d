//! Task states that start executions: each pattern, its errors, what a stop and a restart do.

use std::sync::Arc;

use serde_json::{Value, json};
use workflow::lambda::{Host, HostSettings};
use workflow::runner::Runner;
use workflow::{Engine, Status};

use crate::engine::Echo;
use crate::world::{DEADLINE, World, described, types, until_closed};

const CHILD: &str = r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[
  {"Variable":"$.do","StringEquals":"fail","Next":"F"},{"Variable":"$.do","StringEquals":"wait","Next":"W"}],"Default":"P"},
  "F":{"Type":"Fail","Error":"Bad","Cause":"as asked"},"W":{"Type":"Wait","Seconds":3600,"End":true},"P":{"Type":"Pass","Result":{"r":1},"End":true}}}"#;
const SOON: &str = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":1,"Next":"S"},"S":{"Type":"Succeed"}}}"#;

fn arn(machine: &str) -> String {
    format!("arn:aws:states:us-east-1:000000000000:stateMachine:{machine}")
}

fn parent(pattern: &str, mut parameters: Value, more: Value) -> String {
    if parameters.get("StateMachineArn").is_none() {
        parameters["StateMachineArn"] = json!(arn("child"));
    }
    let mut state = json!({"Type": "Task", "Resource": format!("arn:aws:states:::states:startExecution{pattern}"), "Parameters": parameters, "End": true});
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    json!({"StartAt": "S", "States": {"S": state}}).to_string()
}

fn runner() -> Arc<Runner> {
    Arc::new(Runner::new(Host::new(HostSettings::default())))
}

fn world(parent: &str) -> World {
    World::new(&[("parent", parent), ("child", CHILD), ("soon", SOON)])
}

async fn run(parent: &str) -> (World, Engine, workflow::End) {
    let world = world(parent);
    let engine = world.open(runner()).await;
    engine.start("parent", "p", "{}".into()).await.unwrap();
    let end = world.ears.end_of("p").await;
    (world, engine, end)
}

#[tokio::test]
async fn each_pattern_gives_its_result() {
    let input = json!({"do": "pass"});
    let (world, engine, end) =
        run(&parent("", json!({"Name": "c", "Input": input}), json!({}))).await;
    let output: Value = serde_json::from_str(&end.output.unwrap()).unwrap();
    let execution = "arn:aws:states:us-east-1:000000000000:execution:child:c";
    assert_eq!(output["ExecutionArn"], execution);
    assert_eq!(output["SdkHttpMetadata"]["HttpStatusCode"], 200);
    assert_eq!(world.ears.end_of("c").await.status, Status::Succeeded);
    assert_eq!(
        types(&engine, "p").await[2..5],
        ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    );
    for (pattern, given, shown) in [
        (".sync", json!(r#"{"do":"pass"}"#), json!(r#"{"r":1}"#)),
        (".sync:2", json!({"do": "pass"}), json!({"r": 1})),
    ] {
        let (_, engine, end) = run(&parent(
            pattern,
            json!({"Name": "c", "Input": input}),
            json!({}),
        ))
        .await;
        let output: Value = serde_json::from_str(&end.output.unwrap()).unwrap();
        assert_eq!((&output["Input"], &output["Output"]), (&given, &shown));
        assert_eq!(
            (
                &output["Status"],
                &output["RedriveStatus"],
                &output["StateMachineArn"]
            ),
            (
                &json!("SUCCEEDED"),
                &json!("NOT_REDRIVABLE"),
                &json!(arn("child"))
            )
        );
        assert_eq!(
            types(&engine, "p").await[2..6],
            [
                "TaskScheduled",
                "TaskStarted",
                "TaskSubmitted",
                "TaskSucceeded"
            ]
        );
    }
}

#[tokio::test]
async fn errors_have_step_functions_names() {
    let failed = json!({"Input": {"do": "fail"}});
    let (_, _, end) = run(&parent(".sync:2", failed, json!({}))).await;
    assert_eq!(end.error.as_deref(), Some("States.TaskFailed"));
    let cause: Value = serde_json::from_str(&end.cause.unwrap()).unwrap();
    assert_eq!(
        (&cause["Error"], &cause["Cause"], &cause["Status"]),
        (&json!("Bad"), &json!("as asked"), &json!("FAILED"))
    );
    for (parameters, kind) in [
        (
            json!({"StateMachineArn": arn("none")}),
            "StateMachineDoesNotExist",
        ),
        (
            json!({"StateMachineArn": arn("child:7")}),
            "StateMachineDoesNotExist",
        ),
        (
            json!({"StateMachineArn": "arn:aws:states:us-east-1:1:activity:a"}),
            "InvalidArn",
        ),
        (json!({"Name": "a b"}), "InvalidName"),
        (json!({"Input": "{"}), "InvalidExecutionInput"),
    ] {
        let (_, _, end) = run(&parent(".sync", parameters.clone(), json!({}))).await;
        assert_eq!(
            end.error,
            Some(format!("StepFunctions.{kind}Exception")),
            "{parameters}"
        );
        let cause = end.cause.unwrap();
        let said = format!(
            "(Service: AWSStepFunctions; Status Code: 400; Error Code: {kind}; Request ID: "
        );
        assert!(cause.contains(&said), "{cause}");
    }
    let (_, _, end) = run(&parent("", json!({"Name": 7}), json!({}))).await;
    assert_eq!(end.error.as_deref(), Some("States.Runtime"));
}

#[tokio::test]
async fn a_name_that_was_used_is_refused() {
    let world = world(&parent(
        ".sync",
        json!({"Name": "c", "Input": {"do": "pass"}}),
        json!({}),
    ));
    let engine = world.open(runner()).await;
    for (name, error) in [
        ("first", None),
        (
            "second",
            Some("StepFunctions.ExecutionAlreadyExistsException"),
        ),
    ] {
        engine.start("parent", name, "{}".into()).await.unwrap();
        assert_eq!(world.ears.end_of(name).await.error.as_deref(), error);
    }
}

#[tokio::test]
async fn nobody_waits_for_it_any_more_so_it_is_stopped() {
    let wait = json!({"Name": "c", "Input": {"do": "wait"}});
    for (more, ended) in [
        (json!({}), Status::Aborted),
        (json!({"TimeoutSeconds": 1}), Status::Failed),
    ] {
        let world = world(&parent(".sync", wait.clone(), more.clone()));
        let engine = world.open(runner()).await;
        engine.start("parent", "p", "{}".into()).await.unwrap();
        world.ears.wait(|event| &*event.execution == "c").await;
        if more == json!({}) {
            until_submitted(&engine).await;
            engine.stop("p", None, None).await.unwrap();
        }
        assert_eq!(until_closed(&engine, "p").await, ended);
        assert_eq!(
            world.ears.end_of("c").await.status,
            Status::Aborted,
            "{more}"
        );
    }
}

async fn until_submitted(engine: &Engine) {
    let submitted = async {
        while !types(engine, "p")
            .await
            .contains(&"TaskSubmitted".to_owned())
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, submitted).await.unwrap();
}

#[tokio::test]
async fn after_a_restart_it_waits_for_the_execution_that_it_started() {
    // A generated name, and one that the definition gives. The child ends while its parent does not
    // run.
    for name in [None, Some("c")] {
        let mut parameters = json!({"StateMachineArn": arn("soon"), "Input": {"n": 1}});
        if let Some(name) = name {
            parameters["Name"] = json!(name);
        }
        let world = world(&parent(".sync:2", parameters, json!({})));
        let engine = world.open(runner()).await;
        engine.start("parent", "p", "{}".into()).await.unwrap();
        until_submitted(&engine).await;
        engine.shutdown().await;
        drop(engine);
        // This runner does nothing, so the parent receives no answer.
        let deaf = Arc::new(Echo {
            keep: true,
            ..Echo::default()
        });
        let engine = world.open(deaf).await;
        let child = engine.list(Some("soon"), None, None, 10).await.unwrap();
        assert_eq!(child.len(), 1);
        let ended = engine.end(Some("soon"), &child[0].name);
        assert_eq!(
            tokio::time::timeout(DEADLINE, ended)
                .await
                .unwrap()
                .unwrap()
                .status,
            Status::Succeeded
        );
        engine.shutdown().await;
        drop(engine);
        let engine = world.open(runner()).await;
        assert_eq!(
            until_closed(&engine, "p").await,
            Status::Succeeded,
            "{name:?}"
        );
        let output = described(&engine, "p")
            .await
            .so_far
            .end
            .unwrap()
            .output
            .unwrap();
        let output: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(output["Output"], json!({"n": 1}));
        assert_eq!(
            engine
                .list(Some("soon"), None, None, 10)
                .await
                .unwrap()
                .len(),
            1
        );
        let submitted = types(&engine, "p").await;
        assert_eq!(
            submitted
                .iter()
                .filter(|kind| *kind == "TaskSubmitted")
                .count(),
            1
        );
    }
}
