//! The settings of mappings: defaults and ranges.

use localcloud::mapping::config::{
    BATCH_SIZE, FIFO_BATCH_SIZE, MappingConfig, PARALLELIZATION, RECORD_AGE, RETRIES, WINDOW,
};
use localcloud::mapping::registry::Mappings;
use localcloud::scope::Scope;
use serde_json::{Value, json};

fn stream() -> Value {
    json!({
        "EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s",
        "FunctionName": "f", "StartingPosition": "LATEST",
    })
}

fn queue(name: &str) -> Value {
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    json!({"EventSourceArn": arn, "FunctionName": "f"})
}

fn with(mut request: Value, settings: &Value) -> Value {
    for (name, value) in settings.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

#[test]
fn each_setting_has_a_range() {
    let window = i64::try_from(WINDOW.as_secs()).unwrap();
    for (name, least, most) in [
        ("BatchSize", 1, BATCH_SIZE),
        ("MaximumBatchingWindowInSeconds", 0, window),
        ("MaximumRetryAttempts", -1, RETRIES),
        ("MaximumRecordAgeInSeconds", RECORD_AGE.0, RECORD_AGE.1),
        ("ParallelizationFactor", 1, PARALLELIZATION),
    ] {
        for (value, valid) in [
            (least, true),
            (most, true),
            (least - 1, false),
            (most + 1, false),
        ] {
            let config = MappingConfig::of(&with(stream(), &json!({ name: value })));
            assert_eq!(config.is_ok(), valid, "{name} {value}");
        }
    }
}

#[test]
fn a_fifo_queue_has_small_batches_and_no_window() {
    let of = |settings: Value| MappingConfig::of(&with(queue("q.fifo"), &settings)).is_ok();
    assert!(of(json!({"BatchSize": FIFO_BATCH_SIZE})));
    assert!(!of(json!({"BatchSize": FIFO_BATCH_SIZE + 1})));
    assert!(!of(json!({"MaximumBatchingWindowInSeconds": 1})));
}

#[test]
fn a_stream_needs_a_starting_position_and_a_source_must_be_known() {
    let mut request = stream();
    request.as_object_mut().unwrap().remove("StartingPosition");
    assert!(MappingConfig::of(&request).is_err());
    let request = with(stream(), &json!({"EventSourceArn": "arn:aws:s3:::bucket"}));
    assert!(MappingConfig::of(&request).is_err());
}

#[test]
fn a_mapping_is_changed_listed_and_deleted() {
    let scope = Scope {
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
    };
    let mut mappings = Mappings::default();
    mappings
        .create(&queue("q"), "1".to_owned(), 0, |_| true)
        .unwrap();
    mappings.settle("1");
    assert_eq!(
        mappings.find("1").unwrap().shown(&scope)["State"],
        "Enabled"
    );
    mappings
        .update("1", &json!({"BatchSize": 5, "Enabled": false}), 1)
        .unwrap();
    mappings.settle("1");
    let shown = mappings.find("1").unwrap().shown(&scope);
    assert_eq!(
        (&shown["State"], &shown["BatchSize"]),
        (&json!("Disabled"), &json!(5))
    );
    assert_eq!(mappings.all().len(), 1);
    assert_eq!(mappings.delete("1").unwrap().state, "Deleting");
    assert_eq!(mappings.delete("1").unwrap_err().status, 404);
}
