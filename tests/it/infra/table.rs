//! The table of the template against the table that `jobcast create-table` creates.

use serde_json::{Value, json};

use super::template::{resources, template};
use crate::kit::aws::DynamoDb;

/// The answer of DynamoDB to an operation on the table that the code has created.
async fn described(dynamodb: &DynamoDb, operation: &str) -> Value {
    // A second installation fails, which is right: the first one is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sent = reqwest::Client::new()
        .post(&dynamodb.endpoint)
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
        )
        .body(json!({ "TableName": DynamoDb::TABLE }).to_string())
        .send();
    let text = sent.await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A list in an order that does not depend on how it was written.
fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let mut fields: Vec<_> = one.as_object().unwrap().iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            format!("{fields:?}")
        })
        .collect();
    all.sort();
    all
}

/// An index with only what defines it.
fn index(found: &Value) -> Value {
    json!({
        "name": found["IndexName"],
        "keys": sorted(&found["KeySchema"]),
        "projection": found["Projection"]["ProjectionType"],
    })
}

#[tokio::test]
async fn the_table_of_the_template_is_the_one_that_the_code_creates() {
    let serverless = template("serverless.yaml");
    let tables: Vec<_> = resources(&serverless, "AWS::DynamoDB::Table").collect();
    let [("Table", described_by)] = tables[..] else {
        panic!("{tables:?}");
    };
    let dynamodb = DynamoDb::start().await;
    let created = described(&dynamodb, "DescribeTable").await;
    let created = &created["Table"];
    for list in ["KeySchema", "AttributeDefinitions"] {
        assert_eq!(
            sorted(&described_by[list]),
            sorted(&created[list]),
            "{list}"
        );
    }
    let indexes = |table: &Value| {
        let all = table["GlobalSecondaryIndexes"].as_array().unwrap().iter();
        let all: Value = all.map(index).collect();
        sorted(&all)
    };
    assert_eq!(indexes(described_by), indexes(created));
    assert_eq!(
        described_by["StreamSpecification"]["StreamViewType"],
        created["StreamSpecification"]["StreamViewType"]
    );
    assert_eq!(
        described_by["BillingMode"],
        created["BillingModeSummary"]["BillingMode"]
    );
    let lives = described(&dynamodb, "DescribeTimeToLive").await;
    let lives = &lives["TimeToLiveDescription"];
    let described_by = &described_by["TimeToLiveSpecification"];
    assert_eq!(described_by["AttributeName"], lives["AttributeName"]);
    assert_eq!(described_by["Enabled"], true);
}

#[test]
fn the_stream_brings_only_the_rows_of_jobs() {
    let serverless = template("serverless.yaml");
    let stream =
        &serverless["Resources"]["Publish"]["Properties"]["Events"]["Stream"]["Properties"];
    let pattern = stream["FilterCriteria"]["Filters"][0]["Pattern"]
        .as_str()
        .unwrap();
    let pattern: Value = serde_json::from_str(pattern).unwrap();
    assert_eq!(
        pattern,
        json!({ "dynamodb": { "Keys": { "sk": { "S": ["JOB"] } } } })
    );
    assert_eq!(
        stream["FunctionResponseTypes"],
        json!(["ReportBatchItemFailures"])
    );
    // A bounded number of tries, and a place for what was given up: otherwise one record that can
    // never be published would stop its shard for a day.
    assert!(stream["MaximumRetryAttempts"].as_u64().unwrap() > 0);
    assert!(stream["DestinationConfig"]["OnFailure"]["Destination"].is_object());
}
