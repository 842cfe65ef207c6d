//! From a table's stream to a function.

use localcloud::Fault;
use serde_json::{Value, json};

use crate::{attach, cloud, http, process, put, table, until};

fn item(key: &str, number: usize) -> Value {
    json!({"pk": {"S": key}, "n": {"N": number.to_string()}})
}

/// The keys and numbers of all records that a function received, in order.
fn numbers(events: &[Value]) -> Vec<(String, usize)> {
    let records = events
        .iter()
        .flat_map(|event| event["Records"].as_array().unwrap());
    records
        .map(|record| {
            let image = &record["dynamodb"]["NewImage"];
            let number = image["n"]["N"].as_str().unwrap().parse().unwrap();
            (image["pk"]["S"].as_str().unwrap().to_owned(), number)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_table_reaches_the_function_of_its_mapping() {
    let cloud = cloud().await;
    let stream = table(&cloud, "jobs").await;
    let received = attach(&cloud, "publish", |_, _| Ok(Value::Null));
    let request = json!({
        "EventSourceArn": stream, "FunctionName": "publish", "StartingPosition": "TRIM_HORIZON",
        "FilterCriteria": {"Filters": [{"Pattern": "{\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":[\"a\"]}}}}"}]},
    });
    let shown = cloud.map(&request).unwrap();
    assert_eq!(shown["State"], "Creating");
    put(&cloud, "jobs", item("b", 1)).await;
    put(&cloud, "jobs", item("a", 2)).await;
    until("the record", || !received.lock().is_empty()).await;
    let event = received.lock()[0].clone();
    let record = &event["Records"][0];
    assert_eq!(numbers(std::slice::from_ref(&event)), [("a".to_owned(), 2)]);
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["awsRegion"], "us-east-1");
    assert_eq!(record["eventSourceARN"], json!(stream));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_record_goes_to_the_failure_destination_and_the_others_go_on() {
    let cloud = cloud().await;
    let stream = table(&cloud, "jobs").await;
    let destination = cloud.create_queue("failures", &json!({})).unwrap();
    let received = attach(&cloud, "publish", |_, event| {
        let bad = event["Records"].as_array().unwrap().iter();
        let mut bad = bad.filter(|record| record["dynamodb"]["NewImage"]["pk"]["S"] == "poison");
        match bad.next() {
            Some(record) => Ok(json!({"batchItemFailures": [
                {"itemIdentifier": record["dynamodb"]["SequenceNumber"]}
            ]})),
            None => Ok(json!({})),
        }
    });
    let request = json!({
        "EventSourceArn": stream, "FunctionName": "publish", "StartingPosition": "TRIM_HORIZON",
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumRetryAttempts": 2,
        "BisectBatchOnFunctionError": true,
        "DestinationConfig": {"OnFailure": {"Destination": destination}},
    });
    for number in 0..20 {
        let key = if number == 7 {
            "poison".to_owned()
        } else {
            format!("k{number}")
        };
        put(&cloud, "jobs", item(&key, number)).await;
    }
    cloud.map(&request).unwrap();
    let request = json!({"QueueUrl": cloud.queue_url("failures"), "WaitTimeSeconds": 20});
    let notices = http::call(&cloud, "AmazonSQS.ReceiveMessage", &request).await;
    let notices = notices.unwrap().1;
    let notice = notices["Messages"][0]["Body"].as_str().unwrap();
    let notice: Value = serde_json::from_str(notice).unwrap();
    assert_eq!(
        notice["requestContext"]["condition"],
        "RetryAttemptsExhausted"
    );
    assert_eq!(notice["DDBStreamBatchInfo"]["batchSize"], 1);
    // The records after it come without it.
    let rest = || numbers(&received.lock()).last() == Some(&("k19".to_owned(), 19));
    until("the rest", rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_a_process_and_a_killed_one_gets_its_records_again() {
    let settings = localcloud::Settings {
        functions: vec![process("echo")],
        ..localcloud::Settings::default()
    };
    let cloud = localcloud::Cloud::start(settings).await.unwrap();
    let stream = table(&cloud, "jobs").await;
    cloud
        .faults()
        .kill_next("echo", 1, std::time::Duration::ZERO);
    let request = json!({
        "EventSourceArn": stream, "FunctionName": "echo", "StartingPosition": "TRIM_HORIZON",
    });
    let shown = cloud.map(&request).unwrap();
    put(&cloud, "jobs", item("a", 1)).await;
    let path = format!(
        "/2015-03-31/event-source-mappings/{}",
        shown["UUID"].as_str().unwrap()
    );
    until("two invocations", || {
        cloud.counts().now().invocations.get("echo").copied() >= Some(2)
    })
    .await;
    let ok = async {
        while http::get(&cloud, &path).await["LastProcessingResult"] != "OK" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::DEADLINE, ok).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_stream_gives_nothing_out_until_it_goes_on() {
    let cloud = cloud().await;
    let paused = table(&cloud, "jobs").await;
    let other = table(&cloud, "others").await;
    let received = attach(&cloud, "publish", |_, _| Ok(Value::Null));
    let others = attach(&cloud, "others", |_, _| Ok(Value::Null));
    cloud.faults().pause("jobs");
    for (stream, function) in [(paused, "publish"), (other, "others")] {
        let request = json!({
            "EventSourceArn": stream, "FunctionName": function, "StartingPosition": "TRIM_HORIZON",
        });
        cloud.map(&request).unwrap();
    }
    put(&cloud, "jobs", item("a", 1)).await;
    for number in 1..4 {
        put(&cloud, "others", item("a", number)).await;
        let arrived = || numbers(&others.lock()).len() == number;
        until("the record of the other table", arrived).await;
    }
    assert!(received.lock().is_empty());
    cloud.faults().resume("jobs");
    until("the record", || !received.lock().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_different_keys_change_places_and_those_of_one_key_do_not() {
    let cloud = cloud().await;
    let stream = table(&cloud, "jobs").await;
    let received = attach(&cloud, "publish", |_, _| Ok(Value::Null));
    for number in 0..60 {
        put(&cloud, "jobs", item(["a", "b", "c"][number % 3], number)).await;
    }
    cloud.faults().reorder(true);
    cloud.faults().redeliver("publish", 1);
    let request = json!({
        "EventSourceArn": stream, "FunctionName": "publish", "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 1000,
    });
    cloud.map(&request).unwrap();
    until("two deliveries", || received.lock().len() == 2).await;
    let events = received.lock().clone();
    assert_eq!(events[0], events[1]);
    let found = numbers(&events[..1]);
    assert_eq!(found.len(), 60);
    assert!(!found.is_sorted_by_key(|one| one.1));
    for key in ["a", "b", "c"] {
        let of_key = found.iter().filter(|one| one.0 == key);
        assert!(of_key.is_sorted_by_key(|one| one.1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_exist_is_named_as_aws_names_it() {
    let cloud = cloud().await;
    let stream = table(&cloud, "jobs").await;
    let other = format!(
        "{}/2024-01-01T00:00:00.000",
        stream.rsplit_once('/').unwrap().0
    );
    let request = json!({"StreamArn": other});
    let target = "DynamoDBStreams_20120810.DescribeStream";
    let (status, error) = http::call(&cloud, target, &request).await.unwrap();
    assert_eq!(status, 400);
    let expected = format!("Requested resource not found: Stream: {other} not found");
    assert_eq!(error["message"], json!(expected));
    let (status, _) = http::call(&cloud, target, &json!({"StreamArn": stream}))
        .await
        .unwrap();
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_function_gets_its_records_later_without_an_attempt() {
    let cloud = cloud().await;
    let stream = table(&cloud, "jobs").await;
    // There is no such function yet.
    let request = json!({
        "EventSourceArn": stream, "FunctionName": "late", "StartingPosition": "TRIM_HORIZON",
        "MaximumRetryAttempts": 0,
    });
    cloud.map(&request).unwrap();
    cloud.faults().next("dynamodb:PutItem", 1, Fault::Throttle);
    assert_eq!(put(&cloud, "jobs", item("a", 1)).await.0, 400);
    assert_eq!(put(&cloud, "jobs", item("a", 1)).await.0, 200);
    let received = attach(&cloud, "late", |_, _| Ok(Value::Null));
    until("the record", || !received.lock().is_empty()).await;
}
