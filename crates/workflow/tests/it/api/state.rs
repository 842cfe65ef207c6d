//! `TestState` with functions that really run, and `ValidateStateMachineDefinition`.

use serde_json::{Value, json};

use super::{Door, ROLE};
use crate::function;

#[tokio::test]
async fn a_task_without_a_mock_is_really_done() {
    let door = Door::with_functions(vec![function::config("f")]).await;
    let state = json!({"Type": "Task", "Resource": "f", "InputPath": "$.in", "ResultPath": "$.out",
        "Retry": [{"ErrorEquals": ["Custom"], "IntervalSeconds": 7}], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}], "Next": "N"});
    let tried = |input: Value| {
        let parameters = json!({"definition": state.to_string(), "roleArn": ROLE, "input": input.to_string(), "inspectionLevel": "TRACE"});
        door.call("TestState", parameters)
    };
    let good = tried(json!({"in": {"n": 1}})).await;
    assert_eq!(
        (&good["status"], &good["nextState"]),
        (&json!("SUCCEEDED"), &json!("N"))
    );
    assert_eq!(good["output"], r#"{"in":{"n":1},"out":{"n":2}}"#);
    assert_eq!(good["inspectionData"]["result"], r#"{"n":2}"#);
    // The error is met as its retrier says, once.
    let bad = tried(json!({"in": {"do": "fail"}})).await;
    assert_eq!(
        (&bad["status"], &bad["error"]),
        (&json!("RETRIABLE"), &json!("Custom"))
    );
    let details = &bad["inspectionData"]["errorDetails"];
    assert_eq!(
        details,
        &json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 7})
    );
}

#[tokio::test]
async fn a_definition_s_problems_are_told_with_their_places() {
    let door = Door::in_memory().await;
    let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B", "Wrong": 1}, "C": {"Type": "Task",
        "Resource": "arn:aws:states:::sns:publish", "Parameters": {"Message": "m"}, "End": true}}})
    .to_string();
    let told = |with: Value| {
        let mut parameters = json!({"definition": definition});
        for (name, value) in with.as_object().unwrap() {
            parameters[name] = value.clone();
        }
        door.call("ValidateStateMachineDefinition", parameters)
    };
    let all = told(json!({})).await;
    let places = all["diagnostics"].as_array().unwrap().iter();
    let places: Vec<&str> = places
        .map(|one| one["location"].as_str().unwrap())
        .collect();
    assert!(
        places == ["/States/A", "/States/A/Next", "/States/C"],
        "{all}"
    );
    assert_eq!(
        (&all["result"], &all["truncated"]),
        (&json!("FAIL"), &json!(false))
    );
    // The lack of an end has no place.
    let circle = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}});
    assert_eq!(
        told(json!({"definition": circle.to_string()})).await["diagnostics"],
        json!([{"severity": "ERROR", "code": "MISSING_END_STATE", "message": "Workflow has no terminal state"}])
    );
    let one = told(json!({"maxResults": 1})).await;
    assert_eq!(
        (
            one["diagnostics"].as_array().unwrap().len(),
            &one["truncated"]
        ),
        (1, &json!(true))
    );

    let missing = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun", "Parameters": {"JobName": "j"}, "End": true}}});
    let parameters = json!({"definition": missing.to_string()});
    let quiet = door
        .call("ValidateStateMachineDefinition", parameters.clone())
        .await;
    assert_eq!(
        quiet,
        json!({"result": "OK", "diagnostics": [], "truncated": false})
    );
    let mut warned = parameters;
    warned["severity"] = json!("WARNING");
    let warned = door.call("ValidateStateMachineDefinition", warned).await;
    assert_eq!(
        warned["diagnostics"][0]["code"], "UNSUPPORTED_RESOURCE",
        "{warned}"
    );
}
