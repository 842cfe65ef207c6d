//! From a queue to a function.

use serde_json::{Value, json};

use crate::{attach, cloud, http, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_a_function_names_come_again_and_become_dead_letters() {
    let cloud = cloud().await;
    let dead = cloud.create_queue("dead", &json!({})).unwrap();
    let policy = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 2}).to_string();
    let attributes = json!({"VisibilityTimeout": "1", "RedrivePolicy": policy});
    let queue = cloud.create_queue("intake", &attributes).unwrap();
    let received = attach(&cloud, "intake", |_, event| {
        let bad = event["Records"].as_array().unwrap().iter();
        let bad = bad.filter(|record| record["body"] == "bad");
        let bad: Vec<Value> = bad
            .map(|one| json!({"itemIdentifier": one["messageId"]}))
            .collect();
        Ok(json!({ "batchItemFailures": bad }))
    });
    let request = json!({
        "EventSourceArn": queue, "FunctionName": "intake",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    cloud.map(&request).unwrap();
    for body in ["good", "bad"] {
        let request = json!({"QueueUrl": cloud.queue_url("intake"), "MessageBody": body});
        http::call(&cloud, "AmazonSQS.SendMessage", &request)
            .await
            .unwrap();
    }
    let request = json!({"QueueUrl": cloud.queue_url("dead"), "WaitTimeSeconds": 20});
    let (_, letters) = http::call(&cloud, "AmazonSQS.ReceiveMessage", &request)
        .await
        .unwrap();
    assert_eq!(letters["Messages"][0]["Body"], "bad");
    let records = || -> Vec<Value> {
        let events = received.lock().clone();
        let records = events
            .iter()
            .flat_map(|event| event["Records"].as_array().unwrap());
        records.cloned().collect()
    };
    until("three deliveries", || records().len() == 3).await;
    let bad = records()
        .into_iter()
        .filter(|record| record["body"] == "bad");
    let counts = bad.map(|record| record["attributes"]["ApproximateReceiveCount"].clone());
    assert_eq!(counts.collect::<Vec<_>>(), [json!("1"), json!("2")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_queue_api_has_the_code_that_sdks_show() {
    let cloud = cloud().await;
    let request = json!({"QueueUrl": cloud.queue_url("none"), "MessageBody": "x"});
    let (status, error) = http::call(&cloud, "AmazonSQS.SendMessage", &request)
        .await
        .unwrap();
    assert_eq!(status, 400);
    assert_eq!(error["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
}
