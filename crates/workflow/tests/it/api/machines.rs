//! State machines, versions, aliases, activities and tags: their lives, and that they outlive the
//! server.

use serde_json::json;

use super::{Door, ROLE, pass, text, wait};

#[tokio::test]
async fn what_was_created_is_there_after_a_restart() {
    let door = Door::open().await;
    let activity = door.call("CreateActivity", json!({"name": "work"})).await;
    let activity = text(&activity, "activityArn").to_owned();
    let definition = json!({"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": activity, "End": true}}}).to_string();
    let created = door
        .call(
            "CreateStateMachine",
            json!({"name": "m", "definition": definition, "roleArn": ROLE, "publish": true, "tags": [{"key": "k", "value": "v"}]}),
        )
        .await;
    let (machine, version) = (
        text(&created, "stateMachineArn").to_owned(),
        text(&created, "stateMachineVersionArn").to_owned(),
    );
    let routes = json!([{"stateMachineVersionArn": version, "weight": 100}]);
    let alias = door
        .call(
            "CreateStateMachineAlias",
            json!({"name": "PROD", "routingConfiguration": routes}),
        )
        .await;
    let alias = text(&alias, "stateMachineAliasArn").to_owned();
    let updated = door
        .call(
            "UpdateStateMachine",
            json!({"stateMachineArn": machine, "definition": pass(&json!(1))}),
        )
        .await;
    let execution = door.start(&alias, &json!({"n": 1})).await;

    let door = door.again().await;
    let described = door
        .call("DescribeStateMachine", json!({"stateMachineArn": machine}))
        .await;
    assert_eq!(described["definition"], pass(&json!(1)));
    assert_eq!(described["revisionId"], updated["revisionId"]);
    let frozen = door
        .call("DescribeStateMachine", json!({"stateMachineArn": version}))
        .await;
    assert_eq!(frozen["definition"], definition);
    let tags = door
        .call("ListTagsForResource", json!({"resourceArn": machine}))
        .await;
    assert_eq!(tags["tags"], json!([{"key": "k", "value": "v"}]));
    // The execution goes on with what it started with.
    let task = door
        .call("GetActivityTask", json!({"activityArn": activity}))
        .await;
    assert_eq!(task["input"], r#"{"n":1}"#);
    door.call(
        "SendTaskSuccess",
        json!({"taskToken": task["taskToken"], "output": "7"}),
    )
    .await;
    let ended = door.ended(&execution).await;
    assert_eq!(ended["output"], "7");
    assert_eq!(ended["stateMachineAliasArn"], alias);
    assert_eq!(ended["stateMachineVersionArn"], version);
    let shown = door
        .call(
            "DescribeStateMachineForExecution",
            json!({"executionArn": execution}),
        )
        .await;
    assert_eq!(
        (&shown["definition"], &shown["roleArn"]),
        (&json!(definition), &json!(ROLE))
    );

    door.call("DeleteStateMachine", json!({"stateMachineArn": machine}))
        .await;
    door.call("DeleteActivity", json!({"activityArn": activity}))
        .await;
    let door = door.again().await;
    for (operation, parameters, error) in [
        (
            "DescribeStateMachine",
            json!({"stateMachineArn": machine}),
            "StateMachineDoesNotExist",
        ),
        (
            "DescribeStateMachine",
            json!({"stateMachineArn": version}),
            "StateMachineDoesNotExist",
        ),
        (
            "DescribeStateMachineAlias",
            json!({"stateMachineAliasArn": alias}),
            "ResourceNotFound",
        ),
        (
            "DescribeActivity",
            json!({"activityArn": activity}),
            "ActivityDoesNotExist",
        ),
        (
            "ListTagsForResource",
            json!({"resourceArn": machine}),
            "ResourceNotFound",
        ),
    ] {
        assert_eq!(
            door.refused(operation, parameters).await,
            error,
            "{operation}"
        );
    }
    // What ran stays to be looked at.
    assert_eq!(door.ended(&execution).await["status"], "SUCCEEDED");
}

#[tokio::test]
async fn creating_again_is_a_repeat_or_a_conflict() {
    let door = Door::in_memory().await;
    let with = |definition: &str, role: &str, kind: &str| json!({"name": "m", "definition": definition, "roleArn": role, "type": kind});
    let (one, other) = (pass(&json!(1)), pass(&json!(2)));
    let first = door
        .call("CreateStateMachine", with(&one, ROLE, "STANDARD"))
        .await;
    // Another role is no difference, as on AWS.
    let role = "arn:aws:iam::000000000000:role/other";
    let repeat = door
        .call("CreateStateMachine", with(&one, role, "STANDARD"))
        .await;
    assert_eq!(first, repeat);
    for parameters in [with(&other, ROLE, "STANDARD"), with(&one, ROLE, "EXPRESS")] {
        let error = door.refused("CreateStateMachine", parameters).await;
        assert_eq!(error, "StateMachineAlreadyExists");
    }
}

#[tokio::test]
async fn an_alias_divides_executions_among_its_versions() {
    let door = Door::in_memory().await;
    let machine = door.machine("m", &pass(&json!(1))).await;
    let publish = json!({"stateMachineArn": machine});
    let first = door
        .call("PublishStateMachineVersion", publish.clone())
        .await;
    let parameters =
        json!({"stateMachineArn": machine, "definition": pass(&json!(2)), "publish": true});
    let second = door.call("UpdateStateMachine", parameters).await;
    let [first, second] =
        [&first, &second].map(|one| text(one, "stateMachineVersionArn").to_owned());
    let route = |one: &str, weight: u32| json!({"stateMachineVersionArn": one, "weight": weight});
    let alias = door
        .call(
            "CreateStateMachineAlias",
            json!({"name": "A", "routingConfiguration": [route(&first, 100)]}),
        )
        .await;
    let alias = text(&alias, "stateMachineAliasArn").to_owned();
    let execution = door.start(&alias, &json!({})).await;
    assert_eq!(door.ended(&execution).await["output"], "1");
    let all = json!([route(&first, 0), route(&second, 100)]);
    let parameters = json!({"stateMachineAliasArn": alias, "routingConfiguration": all});
    door.call("UpdateStateMachineAlias", parameters).await;
    let execution = door.start(&alias, &json!({})).await;
    assert_eq!(door.ended(&execution).await["output"], "2");
    let listed = door
        .call("ListExecutions", json!({"stateMachineArn": second}))
        .await;
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);
    // The version stays as long as the alias needs it.
    let delete = json!({"stateMachineVersionArn": second});
    let error = door
        .refused("DeleteStateMachineVersion", delete.clone())
        .await;
    assert_eq!(error, "ConflictException");
    door.call(
        "DeleteStateMachineAlias",
        json!({"stateMachineAliasArn": alias}),
    )
    .await;
    door.call("DeleteStateMachineVersion", delete).await;
}

#[tokio::test]
async fn the_directory_is_shown_and_only_its_files_change_it() {
    let door = Door::in_memory().await;
    let arn = "arn:aws:states:us-east-1:000000000000:stateMachine:directory";
    let described = door
        .call("DescribeStateMachine", json!({"stateMachineArn": arn}))
        .await;
    assert_eq!(described["definition"], wait("$.seconds"));
    door.machine("another", &pass(&json!(1))).await;
    let listed = door
        .call("ListStateMachines", json!({"maxResults": 1}))
        .await;
    assert_eq!(listed["stateMachines"][0]["name"], "another");
    let next = json!({"maxResults": 1, "nextToken": listed["nextToken"]});
    let listed = door.call("ListStateMachines", next).await;
    assert_eq!(listed["stateMachines"][0]["stateMachineArn"], arn);
    assert_eq!(listed.get("nextToken"), None);
    for (operation, parameters) in [
        (
            "UpdateStateMachine",
            json!({"stateMachineArn": arn, "roleArn": ROLE}),
        ),
        ("DeleteStateMachine", json!({"stateMachineArn": arn})),
    ] {
        let (error, told) = door.ask(operation, parameters).await.unwrap_err();
        assert_eq!(error, "ValidationException");
        assert!(told.contains("directory.asl.json"), "{told}");
    }
}

#[tokio::test]
async fn a_key_that_is_an_account_names_the_account() {
    let door = Door::in_memory().await;
    let parameters = json!({"name": "a"});
    let own = door
        .ask_as("AKIAEXAMPLE", "CreateActivity", parameters)
        .await;
    assert!(text(&own.unwrap(), "activityArn").contains(":000000000000:"));
    let parameters = json!({"name": "m", "definition": pass(&json!(1)), "roleArn": ROLE});
    let other = door
        .ask_as("123456789012", "CreateStateMachine", parameters)
        .await
        .unwrap();
    let arn = text(&other, "stateMachineArn");
    assert_eq!(arn, "arn:aws:states:us-east-1:123456789012:stateMachine:m");
    let execution = door.start(arn, &json!({})).await;
    assert!(execution.starts_with("arn:aws:states:us-east-1:123456789012:execution:m:"));
    assert_eq!(door.ended(&execution).await["executionArn"], execution);
}
