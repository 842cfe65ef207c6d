//! Executions by the API: history in pages, lists, redrive, Express, map runs.

use serde_json::{Value, json};

use super::{Door, ROLE, pass, text, wait};

fn types(reply: &Value) -> Vec<&str> {
    let events = reply["events"].as_array().unwrap();
    events.iter().map(|event| text(event, "type")).collect()
}

#[tokio::test]
async fn a_history_has_pages_in_both_directions() {
    let door = Door::in_memory().await;
    let machine = door.machine("m", &pass(&json!({"answer": 42}))).await;
    let execution = door.start(&machine, &json!({"in": 1})).await;
    door.ended(&execution).await;
    let page = |reverse: bool, token: Value| {
        let mut parameters =
            json!({"executionArn": execution, "maxResults": 3, "reverseOrder": reverse});
        if token.is_string() {
            parameters["nextToken"] = token;
        }
        door.call("GetExecutionHistory", parameters)
    };
    let all = [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ];
    let first = page(false, Value::Null).await;
    assert_eq!(types(&first), all[..3]);
    let second = page(false, first["nextToken"].clone()).await;
    assert_eq!(
        (types(&second), second.get("nextToken")),
        (vec![all[3]], None)
    );
    let last = page(true, Value::Null).await;
    assert_eq!(types(&last), [all[3], all[2], all[1]]);
    let rest = page(true, last["nextToken"].clone()).await;
    assert_eq!((types(&rest), rest.get("nextToken")), (vec![all[0]], None));

    let data = &first["events"][0]["executionStartedEventDetails"];
    assert_eq!(
        (&data["input"], &data["roleArn"]),
        (&json!(r#"{"in":1}"#), &json!(ROLE))
    );
    let bare = door
        .call(
            "GetExecutionHistory",
            json!({"executionArn": execution, "includeExecutionData": false}),
        )
        .await;
    for event in bare["events"].as_array().unwrap() {
        let shown = event.to_string();
        assert!(
            !shown.contains("answer") && !shown.contains("input"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn executions_are_listed_the_newest_first_by_status_and_redrive() {
    let door = Door::in_memory().await;
    let machine = door.machine("m", &wait("$.seconds")).await;
    let short = door.start(&machine, &json!({"seconds": 0})).await;
    door.ended(&short).await;
    let long = door.start(&machine, &json!({"seconds": 3600})).await;
    let names = |reply: &Value| -> Vec<String> {
        let listed = reply["executions"].as_array().unwrap().iter();
        listed
            .map(|one| text(one, "executionArn").to_owned())
            .collect()
    };
    let list = |mut parameters: Value| {
        parameters["stateMachineArn"] = json!(machine);
        door.call("ListExecutions", parameters)
    };
    assert_eq!(names(&list(json!({})).await), [long.clone(), short.clone()]);
    let first = list(json!({"maxResults": 1})).await;
    assert_eq!(names(&first), [long.as_str()]);
    let second = list(json!({"maxResults": 1, "nextToken": first["nextToken"]})).await;
    assert_eq!(
        (names(&second), second.get("nextToken")),
        (vec![short.clone()], None)
    );
    assert_eq!(
        names(&list(json!({"statusFilter": "SUCCEEDED"})).await),
        [short.as_str()]
    );

    let stop = json!({"executionArn": long, "error": "E", "cause": "C"});
    door.call("StopExecution", stop).await;
    let stopped = door.ended(&long).await;
    assert_eq!(
        (&stopped["status"], &stopped["redriveStatus"]),
        (&json!("ABORTED"), &json!("REDRIVABLE"))
    );
    door.call("RedriveExecution", json!({"executionArn": long}))
        .await;
    let again = door
        .call("DescribeExecution", json!({"executionArn": long}))
        .await;
    assert_eq!(
        (&again["status"], &again["redriveCount"]),
        (&json!("RUNNING"), &json!(1))
    );
    assert!(again["redriveDate"].is_number());
    assert_eq!(
        names(&list(json!({"redriveFilter": "REDRIVEN"})).await),
        [long.as_str()]
    );
    assert_eq!(
        names(&list(json!({"redriveFilter": "NOT_REDRIVEN"})).await),
        [short.as_str()]
    );
    let (error, told) = door
        .ask("RedriveExecution", json!({"executionArn": short}))
        .await
        .unwrap_err();
    assert_eq!(error, "ExecutionNotRedrivable");
    assert_eq!(told, "Execution is SUCCEEDED and cannot be redriven");
}

#[tokio::test]
async fn an_express_execution_is_answered_at_its_end() {
    let door = Door::in_memory().await;
    let create = |name: &str, definition: String| {
        let parameters =
            json!({"name": name, "definition": definition, "roleArn": ROLE, "type": "EXPRESS"});
        door.call("CreateStateMachine", parameters)
    };
    let good = create("good", pass(&json!("done"))).await;
    let start = json!({"stateMachineArn": good["stateMachineArn"], "name": "same"});
    for _ in 0..2 {
        let reply = door.call("StartSyncExecution", start.clone()).await;
        assert_eq!(
            (&reply["status"], &reply["output"]),
            (&json!("SUCCEEDED"), &json!("\"done\""))
        );
        assert!(text(&reply, "executionArn").contains(":express:good:same:"));
        assert_eq!(reply["billingDetails"]["billedMemoryUsedInMB"], 64);
    }
    let fail =
        json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}});
    let bad = create("bad", fail.to_string()).await;
    let parameters = json!({"stateMachineArn": bad["stateMachineArn"]});
    let reply = door.call("StartSyncExecution", parameters).await;
    assert_eq!(
        (&reply["status"], &reply["error"], &reply["cause"]),
        (&json!("FAILED"), &json!("E"), &json!("C"))
    );

    let slow = json!({"StartAt": "W", "TimeoutSeconds": 1, "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}});
    let slow = create("slow", slow.to_string()).await;
    let parameters = json!({"stateMachineArn": slow["stateMachineArn"]});
    let reply = door.call("StartSyncExecution", parameters).await;
    assert_eq!(reply["status"], "TIMED_OUT");

    let started = door.call("StartExecution", start).await;
    let arn = json!({"executionArn": started["executionArn"]});
    assert_eq!(door.refused("DescribeExecution", arn).await, "InvalidArn");
    let standard = door.machine("standard", &pass(&json!(1))).await;
    for (operation, machine) in [
        ("StartSyncExecution", &json!(standard)),
        ("ListExecutions", &good["stateMachineArn"]),
    ] {
        let error = door
            .refused(operation, json!({"stateMachineArn": machine}))
            .await;
        assert_eq!(error, "StateMachineTypeNotSupported");
    }
}

#[tokio::test]
async fn a_map_run_is_shown_and_changed_while_it_goes_on() {
    let door = Door::open().await;
    let definition = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "MaxConcurrency": 1, "Label": "each", "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Wait", "States": {
            "Wait": {"Type": "Wait", "Seconds": 3600, "End": true}}}}}});
    let machine = door.machine("m", &definition.to_string()).await;
    let execution = door.start(&machine, &json!([1, 2, 3])).await;
    let listed = door
        .call("ListMapRuns", json!({"executionArn": execution}))
        .await;
    let run = text(&listed["mapRuns"][0], "mapRunArn").to_owned();
    assert!(run.contains(":mapRun:m/each:"), "{run}");
    let update = json!({"mapRunArn": run, "maxConcurrency": 2, "toleratedFailureCount": 1, "toleratedFailurePercentage": 12.5});
    door.call("UpdateMapRun", update).await;
    // The change is durable.
    let door = door.again().await;
    let described = door.call("DescribeMapRun", json!({"mapRunArn": run})).await;
    for (field, want) in [
        ("status", json!("RUNNING")),
        ("maxConcurrency", json!(2)),
        ("toleratedFailureCount", json!(1)),
        ("toleratedFailurePercentage", json!(12.5)),
        ("executionArn", json!(execution)),
    ] {
        assert_eq!(described[field], want, "{field}");
    }
    let counts = &described["itemCounts"];
    assert_eq!(
        (&counts["total"], &counts["running"], &counts["pending"]),
        (&json!(3), &json!(2), &json!(1))
    );
    let children = door.call("ListExecutions", json!({"mapRunArn": run})).await;
    assert_eq!(children["executions"].as_array().unwrap().len(), 2);
    door.call("StopExecution", json!({"executionArn": execution}))
        .await;
    let described = door.call("DescribeMapRun", json!({"mapRunArn": run})).await;
    assert_eq!(described["status"], "ABORTED");
    assert_eq!(described["itemCounts"]["aborted"], 3);
    let aborted = door
        .call(
            "ListExecutions",
            json!({"mapRunArn": run, "statusFilter": "ABORTED"}),
        )
        .await;
    assert_eq!(aborted["executions"].as_array().unwrap().len(), 2);
    assert!(aborted["executions"][0]["stopDate"].is_number());
    let error = door
        .refused(
            "UpdateMapRun",
            json!({"mapRunArn": run, "maxConcurrency": 1}),
        )
        .await;
    assert_eq!(error, "ValidationException");
}

#[tokio::test]
async fn the_child_executions_of_a_map_run_are_listed_when_they_have_ended() {
    let door = Door::in_memory().await;
    let definition = json!({"StartAt": "Each", "States": {"Each": {"Type": "Map", "Label": "each", "End": true, "ToleratedFailureCount": 1,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Which", "States": {
            "Which": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 2, "Next": "Not"}], "Default": "Well"},
            "Not": {"Type": "Fail"}, "Well": {"Type": "Succeed"}}}}}});
    let machine = door.machine("m", &definition.to_string()).await;
    let execution = door.start(&machine, &json!([1, 2, 3])).await;
    door.ended(&execution).await;
    let listed = door
        .call("ListMapRuns", json!({"executionArn": execution}))
        .await;
    let run = text(&listed["mapRuns"][0], "mapRunArn").to_owned();
    let list = async |more: Value| {
        let mut request = json!({"mapRunArn": run});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap());
        door.call("ListExecutions", request).await
    };
    let children = |page: &Value| page["executions"].as_array().unwrap().clone();
    let all = children(&list(json!({})).await);
    let statuses: Vec<&str> = all.iter().map(|child| text(child, "status")).collect();
    assert_eq!(statuses, ["SUCCEEDED", "FAILED", "SUCCEEDED"]);
    for child in &all {
        assert!(
            child["stopDate"].as_f64() >= child["startDate"].as_f64(),
            "{child}"
        );
        assert!(
            text(child, "executionArn").contains(":execution:m/each:"),
            "{child}"
        );
        assert_eq!(
            (&child["mapRunArn"], &child["redriveCount"]),
            (&json!(run), &json!(0))
        );
    }
    let failed = children(&list(json!({"statusFilter": "FAILED"})).await);
    assert_eq!(failed, [all[1].clone()]);
    assert!(children(&list(json!({"redriveFilter": "REDRIVEN"})).await).is_empty());
    let first = list(json!({"maxResults": 2})).await;
    let rest = list(json!({"maxResults": 2, "nextToken": first["nextToken"]})).await;
    assert_eq!([children(&first), children(&rest)].concat(), all);
    assert!(rest["nextToken"].is_null());
}

#[tokio::test]
async fn a_nested_execution_may_be_of_a_created_state_machine() {
    let door = Door::in_memory().await;
    let child = door.machine("child", &pass(&json!("from the child"))).await;
    let parent = json!({"StartAt": "Start", "States": {"Start": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::states:startExecution.sync:2", "Parameters": {"StateMachineArn": child},
        "OutputPath": "$.Output"}}});
    let parent = door.machine("parent", &parent.to_string()).await;
    let execution = door.start(&parent, &json!({})).await;
    assert_eq!(door.ended(&execution).await["output"], "\"from the child\"");
}
