//! Faults of calls, and what is counted.

use std::time::Duration;

use localcloud::Fault;
use serde_json::{Value, json};

use crate::{cloud, http, put, table};

async fn get(cloud: &localcloud::Cloud, key: &str) -> Value {
    let request = json!({"TableName": "jobs", "Key": {"pk": {"S": key}}, "ConsistentRead": true});
    let read = http::call(cloud, "DynamoDB_20120810.GetItem", &request).await;
    read.unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_call_has_no_effect_and_the_next_one_has() {
    let cloud = cloud().await;
    table(&cloud, "jobs").await;
    cloud.faults().next("dynamodb:PutItem", 1, Fault::Throttle);
    let (status, error) = put(&cloud, "jobs", json!({"pk": {"S": "a"}})).await;
    assert_eq!(status, 400);
    let kind = error["__type"].as_str().unwrap();
    assert!(kind.ends_with("#ProvisionedThroughputExceededException"));
    assert!(get(&cloud, "a").await.get("Item").is_none());
    assert_eq!(put(&cloud, "jobs", json!({"pk": {"S": "a"}})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_comes_after_the_effect() {
    let cloud = cloud().await;
    table(&cloud, "jobs").await;
    cloud.faults().next("dynamodb:PutItem", 1, Fault::LoseReply);
    let request = json!({"TableName": "jobs", "Item": {"pk": {"S": "a"}}});
    let lost = http::call(&cloud, "DynamoDB_20120810.PutItem", &request).await;
    assert!(lost.is_err());
    assert_eq!(get(&cloud, "a").await["Item"]["pk"]["S"], "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_never_answered_has_no_effect() {
    let cloud = cloud().await;
    table(&cloud, "jobs").await;
    cloud
        .faults()
        .next("dynamodb:PutItem", 1, Fault::NeverAnswer);
    let request = json!({"TableName": "jobs", "Item": {"pk": {"S": "a"}}});
    let asked = http::call(&cloud, "DynamoDB_20120810.PutItem", &request);
    let answered = tokio::time::timeout(Duration::from_millis(300), asked).await;
    assert!(answered.is_err());
    assert!(get(&cloud, "a").await.get("Item").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_action_is_named_until_the_guard_is_dropped() {
    let cloud = cloud().await;
    table(&cloud, "jobs").await;
    let denied = cloud.faults().while_held("dynamodb:Put*", Fault::Deny);
    for _ in 0..2 {
        let (_, error) = put(&cloud, "jobs", json!({"pk": {"S": "a"}})).await;
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("not authorized to perform: dynamodb:PutItem"),
            "{message}"
        );
    }
    drop(denied);
    assert_eq!(put(&cloud, "jobs", json!({"pk": {"S": "a"}})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_units_are_counted() {
    let cloud = cloud().await;
    table(&cloud, "jobs").await;
    let before = cloud.counts().now();
    let item = json!({"pk": {"S": "a"}, "text": {"S": "x".repeat(1_500)}});
    let (_, answer) = put(&cloud, "jobs", item).await;
    assert!(answer.get("ConsumedCapacity").is_none());
    get(&cloud, "a").await;
    let item = json!({"TableName": "jobs", "Item": {"pk": {"S": "b"}}});
    let request = json!({"TransactItems": [{"Put": item}]});
    http::call(&cloud, "DynamoDB_20120810.TransactWriteItems", &request)
        .await
        .unwrap();
    let counted = cloud.counts().now().since(&before);
    assert_eq!(counted.calls_of("dynamodb:PutItem"), 1);
    assert_eq!(counted.calls_of("dynamodb:*"), 3);
    // 1,500 bytes are two units, a transaction's write counts twice.
    assert_eq!(counted.write_units, 4.0);
    assert_eq!(counted.read_units, 1.0);
}
