//! Every limit from both sides.

use serde_json::{Value, json};
use sqlite::{Database, Location};

use super::{Door, ROLE, pass, text};

/// An operation, its parameters for a length, and the longest that is taken.
type Case = (&'static str, Box<dyn Fn(usize) -> Value>, usize);

#[tokio::test]
async fn texts_may_be_as_long_as_the_model_says_and_no_longer() {
    let door = Door::in_memory().await;
    let machine = door.machine("m", &pass(&json!(1))).await;
    let blank = |length: usize| {
        let text = pass(&json!(1));
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    let quoted = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let version = format!("{machine}:1");
    door.call(
        "PublishStateMachineVersion",
        json!({"stateMachineArn": machine}),
    )
    .await;
    let cases: Vec<Case> = vec![
        (
            "CreateActivity",
            Box::new(|length| json!({"name": "n".repeat(length)})),
            80,
        ),
        (
            "CreateStateMachine",
            Box::new(
                |length| json!({"name": "s".repeat(length), "definition": pass(&json!(1)), "roleArn": ROLE}),
            ),
            80,
        ),
        (
            "CreateStateMachine",
            Box::new(
                move |length| json!({"name": format!("d{length}"), "definition": blank(length), "roleArn": ROLE}),
            ),
            1_048_576,
        ),
        (
            "StartExecution",
            Box::new({
                let machine = machine.clone();
                move |length| json!({"stateMachineArn": machine, "input": quoted(length)})
            }),
            262_144,
        ),
        (
            "StartExecution",
            Box::new({
                let machine = machine.clone();
                move |length| json!({"stateMachineArn": machine, "name": "e".repeat(length)})
            }),
            80,
        ),
        (
            "CreateStateMachineAlias",
            Box::new(
                move |length| json!({"name": "A".repeat(length), "routingConfiguration": [{"stateMachineVersionArn": version, "weight": 100}]}),
            ),
            80,
        ),
        (
            "TagResource",
            Box::new({
                let machine = machine.clone();
                move |length| json!({"resourceArn": machine, "tags": [{"key": "k".repeat(length), "value": ""}]})
            }),
            128,
        ),
        (
            "TagResource",
            Box::new(
                move |length| json!({"resourceArn": machine, "tags": [{"key": "k", "value": "v".repeat(length)}]}),
            ),
            256,
        ),
        (
            "ListStateMachines",
            Box::new(|count| json!({"maxResults": count})),
            1_000,
        ),
    ];
    for (operation, parameters, most) in cases {
        door.call(operation, parameters(most)).await;
        let error = door.refused(operation, parameters(most + 1)).await;
        assert_eq!(error, "ValidationException", "{operation} {}", most + 1);
    }
}

#[tokio::test]
async fn a_resource_has_so_many_tags() {
    let door = Door::in_memory().await;
    let machine = door.machine("m", &pass(&json!(1))).await;
    let tags = |from: usize, to: usize| -> Value {
        let tags = (from..to).map(|n| json!({"key": format!("k{n}"), "value": "v"}));
        json!({"resourceArn": machine, "tags": tags.collect::<Vec<_>>()})
    };
    door.call("TagResource", tags(0, 50)).await;
    assert_eq!(
        door.refused("TagResource", tags(50, 51)).await,
        "TooManyTags"
    );
    let listed = door
        .call("ListTagsForResource", json!({"resourceArn": machine}))
        .await;
    assert_eq!(listed["tags"].as_array().unwrap().len(), 50);
    // A key that exists already does not count again.
    door.call("TagResource", tags(49, 50)).await;
}

#[tokio::test]
async fn a_state_machine_has_so_many_aliases_and_versions() {
    let directory = fill(
        "INSERT INTO catalog_machine VALUES ('m', '000000000000', 0, '{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}',
             'arn:aws:iam::0:role/r', '{}', '{}', '{}', 0, 0, NULL, 999);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO catalog_version SELECT 'm', i, NULL, '{}', 'r', '{}', '{}', '{}', 0, 'r' || i FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
             INSERT INTO catalog_alias SELECT 'm', 'a' || i, NULL, '[[1,100]]', 0, 0 FROM n;",
    )
    .await;
    let door = Door::reopen(directory).await;
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:m";
    let publish = json!({"stateMachineArn": machine});
    let version = door.call("PublishStateMachineVersion", publish).await;
    let version = text(&version, "stateMachineVersionArn").to_owned();
    assert_eq!(version, format!("{machine}:1000"));
    let update =
        json!({"stateMachineArn": machine, "definition": pass(&json!(2)), "publish": true});
    let error = door.refused("UpdateStateMachine", update).await;
    assert_eq!(error, "ServiceQuotaExceededException");
    // Nothing of what was refused is left.
    let described = door
        .call("DescribeStateMachine", json!({"stateMachineArn": machine}))
        .await;
    assert_eq!(described.get("revisionId"), None);
    let alias = |name: &str| json!({"name": name, "routingConfiguration": [{"stateMachineVersionArn": version, "weight": 100}]});
    door.call("CreateStateMachineAlias", alias("b")).await;
    let error = door.refused("CreateStateMachineAlias", alias("c")).await;
    assert_eq!(error, "ServiceQuotaExceededException");
}

#[tokio::test]
async fn so_many_state_machines_and_activities_are_created() {
    let directory = fill(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
             INSERT INTO catalog_machine SELECT 'm' || i, '0', 0, '{}', 'r', '{}', '{}', '{}', 0, 0, NULL, 0 FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
             INSERT INTO catalog_activity SELECT 'a' || i, '0', '{}', 0 FROM n;",
    )
    .await;
    let door = Door::reopen(directory).await;
    let machine =
        |name: &str| json!({"name": name, "definition": pass(&json!(1)), "roleArn": ROLE});
    door.call("CreateStateMachine", machine("x")).await;
    let error = door.refused("CreateStateMachine", machine("y")).await;
    assert_eq!(error, "StateMachineLimitExceeded");
    door.call("CreateActivity", json!({"name": "x"})).await;
    let error = door.refused("CreateActivity", json!({"name": "y"})).await;
    assert_eq!(error, "ActivityLimitExceeded");
}

/// A database with more rows than can be created one by one.
async fn fill(statements: &'static str) -> tempfile::TempDir {
    let directory = Door::open().await.close().await.unwrap();
    let database = Database::open(&Location::File(directory.path().join("db"))).unwrap();
    let filled = database.write(move |write| write.connection().execute_batch(statements));
    filled.await.unwrap();
    directory
}
