//! Records of streams.

use localcloud::record::{KinesisRecord, StreamRecord, item_size};
use serde_json::json;

#[test]
fn an_items_size_is_counted_as_dynamodb_counts() {
    for (item, bytes) in [
        (json!({"id": {"S": "ab"}}), 4),
        (json!({"id": {"S": "ü"}}), 4),
        (json!({"n": {"N": "7"}}), 3),
        (json!({"n": {"N": "42"}}), 3),
        (json!({"n": {"N": "-123"}}), 5),
        (json!({"n": {"N": "1000"}}), 3),
        (json!({"n": {"N": "0.0012"}}), 3),
        (json!({"b": {"B": "Zm9vYmFy"}}), 7),
        (json!({"t": {"BOOL": true}}), 2),
        (json!({"t": {"NULL": true}}), 2),
        (json!({"s": {"SS": ["a", "bc"]}}), 4),
        (json!({"l": {"L": []}}), 4),
        (json!({"l": {"L": [{"S": "a"}]}}), 6),
        (json!({"m": {"M": {"k": {"S": "v"}}}}), 7),
    ] {
        assert_eq!(item_size(&item), bytes, "{item}");
    }
}

#[test]
fn a_record_has_the_region_the_stream_and_its_size() {
    let raw = json!({
        "eventID": "1", "eventName": "INSERT", "awsRegion": "elsewhere",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_700_000_000.25,
            "Keys": {"pk": {"S": "a"}}, "NewImage": {"pk": {"S": "a"}},
            "SequenceNumber": "100000000000000000001",
        },
    });
    let record = StreamRecord::of_dynamodb(raw, "us-east-1", "arn");
    assert_eq!(record.event["awsRegion"], "us-east-1");
    assert_eq!(record.event["eventSourceARN"], "arn");
    assert_eq!(record.event["dynamodb"]["SizeBytes"], 6);
    assert_eq!(
        record.event["dynamodb"]["ApproximateCreationDateTime"],
        1_700_000_000
    );
    assert_eq!(record.arrived, 1_700_000_000_000);
    assert_eq!(record.sequence, "100000000000000000001");
}

#[test]
fn a_filter_sees_the_data_of_kinesis_and_not_its_base64() {
    let record = StreamRecord::of_kinesis(&KinesisRecord {
        shard: "shardId-0",
        sequence: "1",
        partition_key: "p",
        data: b"{\"a\":1}",
        arrived: 0,
        role_arn: "role",
        region: "us-east-1",
        stream_arn: "arn",
    });
    assert_eq!(record.filtered()["data"], "{\"a\":1}");
    assert_eq!(record.event["kinesis"]["data"], "eyJhIjoxfQ==");
    assert_eq!(record.event["eventID"], "shardId-0:1");
}
