//! Errors as AWS words them: a table.

use serde_json::json;

use super::{Door, ROLE, pass};

const PREFIX: &str = "arn:aws:states:us-east-1:000000000000";

#[tokio::test]
async fn each_error_has_its_name_and_its_words() {
    let door = Door::in_memory().await;
    let good = pass(&json!(1));
    let machine = door.machine("m", &good).await;
    let create = |name: &str, definition: &str| json!({"name": name, "definition": definition, "roleArn": ROLE});
    let none = format!("{PREFIX}:stateMachine:none");
    let table = [
        ("NoSuchOperation", json!({}), "UnknownOperationException", "the embedded Step Functions has no operation `NoSuchOperation`".to_owned()),
        ("CreateStateMachine", create("a b", &good), "InvalidName", "Invalid Name: 'a b'".to_owned()),
        (
            "CreateStateMachine",
            create("a", r#"{"StartAt": "A"}"#),
            "InvalidDefinition",
            "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /'".to_owned(),
        ),
        (
            "CreateStateMachine",
            json!({"name": "a", "definition": good, "roleArn": ROLE, "versionDescription": "d"}),
            "ValidationException",
            "Version description can only be set when publish is true".to_owned(),
        ),
        (
            "CreateStateMachine",
            json!({"name": "a", "definition": good, "roleArn": ROLE, "loggingConfiguration": {"level": "ALL"}}),
            "InvalidLoggingConfiguration",
            "Invalid Logging Configuration: Must specify exactly one Log Destination.".to_owned(),
        ),
        (
            "UpdateStateMachine",
            json!({"stateMachineArn": machine}),
            "MissingRequiredParameter",
            "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified".to_owned(),
        ),
        (
            "PublishStateMachineVersion",
            json!({"stateMachineArn": machine, "revisionId": "r"}),
            "ConflictException",
            "Failed to publish the State Machine version for revision r. The current State Machine revision is INITIAL.".to_owned(),
        ),
        ("StartExecution", json!({"stateMachineArn": none}), "StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{none}'")),
        (
            "StartExecution",
            json!({"stateMachineArn": machine, "input": "{'a'"}),
            "InvalidExecutionInput",
            "Invalid State Machine Execution Input: 'Unexpected character (''' (code 39)): was expecting double-quote to start field name'".to_owned(),
        ),
        ("ListExecutions", json!({"stateMachineArn": "x"}), "InvalidArn", "Invalid Arn: 'Invalid ARN prefix: x'".to_owned()),
        (
            "DescribeExecution",
            json!({"executionArn": machine}),
            "InvalidArn",
            "Invalid Arn: 'Resource type not valid in this context: stateMachine'".to_owned(),
        ),
        (
            "DescribeExecution",
            json!({"executionArn": format!("{PREFIX}:execution:m:none")}),
            "ExecutionDoesNotExist",
            format!("Execution Does Not Exist: '{PREFIX}:execution:m:none'"),
        ),
        ("ListStateMachines", json!({"nextToken": "%"}), "InvalidToken", "Invalid Token: 'Invalid token'".to_owned()),
        (
            "CreateStateMachineAlias",
            json!({"name": "A", "routingConfiguration": [{"stateMachineVersionArn": machine, "weight": 100}]}),
            "ValidationException",
            format!("Routing configuration must contain state machine version ARNs. Received: [{machine}]"),
        ),
        (
            "CreateStateMachineAlias",
            json!({"name": "A", "routingConfiguration": [{"stateMachineVersionArn": format!("{machine}:1"), "weight": 101}]}),
            "ValidationException",
            "1 validation error detected: Value '101' at 'routingConfiguration.1.member.weight' failed to satisfy constraint: Member must have \
             value less than or equal to 100"
                .to_owned(),
        ),
        ("GetActivityTask", json!({"activityArn": format!("{PREFIX}:activity:none")}), "ActivityDoesNotExist",
            format!("Activity Does Not Exist: '{PREFIX}:activity:none'")),
        ("SendTaskSuccess", json!({"taskToken": "t", "output": "1"}), "InvalidToken", "Invalid Token: 'Invalid token'".to_owned()),
        ("TagResource", json!({"resourceArn": format!("{machine}:1"), "tags": []}), "ResourceNotFound", format!("Resource not found: '{machine}:1'")),
        (
            "TestState",
            json!({"definition": r#"{"Type": "Succeed"}"#, "mock": {"result": "1"}}),
            "ValidationException",
            "State type 'Succeed' is not supported when a mock is specified".to_owned(),
        ),
        (
            "DescribeMapRun",
            json!({"mapRunArn": format!("{PREFIX}:mapRun:m/l:u")}),
            "ResourceNotFound",
            format!("Resource not found: '{PREFIX}:mapRun:m/l:u'"),
        ),
    ];
    for (operation, parameters, name, message) in table {
        let told = door.ask(operation, parameters.clone()).await.unwrap_err();
        assert_eq!(told, (name.to_owned(), message), "{operation} {parameters}");
    }
}
