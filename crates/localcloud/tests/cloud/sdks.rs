//! AWS's own SDKs as callers: their retries, checksums and errors.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType, StreamSpecification, StreamViewType,
};
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use localcloud::{Cloud, Fault};

use crate::cloud;

async fn config(cloud: &Cloud) -> SdkConfig {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(cloud.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .test_credentials();
    config.load().await
}

async fn with_table(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let client = aws_sdk_dynamodb::Client::new(config);
    let attribute = AttributeDefinition::builder()
        .attribute_name("pk")
        .attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder()
        .attribute_name("pk")
        .key_type(KeyType::Hash);
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages);
    let created = client
        .create_table()
        .table_name("jobs")
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream.build().unwrap());
    created.send().await.unwrap();
    client
}

async fn put(client: &aws_sdk_dynamodb::Client, key: &str) {
    let put = client.put_item().table_name("jobs");
    let put = put.item("pk", AttributeValue::S(key.to_owned()));
    put.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sdk_tries_again_after_a_throttle_and_after_a_lost_reply() {
    let cloud = cloud().await;
    let client = with_table(&config(&cloud).await).await;
    cloud.faults().next("dynamodb:PutItem", 1, Fault::Throttle);
    cloud
        .faults()
        .after("dynamodb:PutItem", 2, 1, Fault::LoseReply);
    put(&client, "a").await;
    put(&client, "b").await;
    assert_eq!(cloud.counts().now().calls_of("dynamodb:PutItem"), 4);
    let read = client.scan().table_name("jobs").send().await.unwrap();
    assert_eq!(read.count, 2);
    assert!(read.consumed_capacity.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sdk_reads_a_tables_stream() {
    let cloud = cloud().await;
    let config = config(&cloud).await;
    let client = with_table(&config).await;
    put(&client, "a").await;
    let streams = aws_sdk_dynamodbstreams::Client::new(&config);
    let stream = cloud.stream_arn("jobs").unwrap();
    let described = streams.describe_stream().stream_arn(&stream).send().await;
    let described = described.unwrap().stream_description.unwrap();
    let shard = described.shards()[0].shard_id().unwrap().to_owned();
    let iterator = streams
        .get_shard_iterator()
        .stream_arn(&stream)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send();
    let iterator = iterator.await.unwrap().shard_iterator.unwrap();
    let read = streams.get_records().shard_iterator(iterator).send().await;
    let read = read.unwrap();
    assert_eq!(read.records()[0].aws_region(), Some("us-east-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sdk_knows_the_errors_of_step_functions() {
    let cloud = cloud().await;
    let client = aws_sdk_sfn::Client::new(&config(&cloud).await);
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:none";
    let start = || client.start_execution().state_machine_arn(machine).send();
    let error = start().await.unwrap_err().into_service_error();
    assert!(error.is_state_machine_does_not_exist(), "{error:?}");
    let denied = cloud
        .faults()
        .while_held("states:StartExecution", Fault::Deny);
    let error = start().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("AccessDeniedException"));
    drop(denied);
}
