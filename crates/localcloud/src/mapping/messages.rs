//! A batch of a queue's messages under a mapping: the event for the function, and which messages
//! are done. Pure.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::answer::{Failures, failures};
use super::shard::Ended;

/// A received message as the function gets it.
///
/// Recorded: a mapping that gathers its batches over a time shows `md5OfMessageAttributes` also
/// where there is none.
#[must_use]
pub fn event(message: &Value, source_arn: &str, region: &str, has_window: bool) -> Value {
    let attributes = message["MessageAttributes"].as_object();
    let attributes: Map<String, Value> = attributes
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect();
    let mut own = message["Attributes"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    // Not among what Lambda passes.
    own.shift_remove("SequenceNumberOrigin");
    let mut event = json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": own,
        "messageAttributes": attributes,
    });
    let digest = &message["MD5OfMessageAttributes"];
    if has_window || !digest.is_null() {
        event["md5OfMessageAttributes"] = digest.clone();
    }
    event["md5OfBody"] = message["MD5OfBody"].clone();
    event["eventSource"] = json!("aws:sqs");
    event["eventSourceARN"] = json!(source_arn);
    event["awsRegion"] = json!(region);
    event
}

fn attribute(value: &Value) -> Value {
    let mut shown = Map::new();
    for (from, to) in [
        ("StringValue", "stringValue"),
        ("BinaryValue", "binaryValue"),
    ] {
        if let Some(value) = value.get(from).filter(|value| !value.is_null()) {
            shown.insert(to.to_owned(), value.clone());
        }
    }
    shown.insert("stringListValues".to_owned(), json!([]));
    shown.insert("binaryListValues".to_owned(), json!([]));
    shown.insert("dataType".to_owned(), value["DataType"].clone());
    Value::Object(shown)
}

/// The messages of a batch that are done, by their place. The others come again when their
/// visibility timeout has passed.
#[must_use]
pub fn done(message_ids: &[String], ended: &Ended, report_failures: bool) -> Vec<usize> {
    let all = 0..message_ids.len();
    match ended {
        Ended::FunctionError | Ended::NotInvoked => Vec::new(),
        Ended::Answered(_) if !report_failures => all.collect(),
        Ended::Answered(answer) => match failures(answer) {
            Failures::None => all.collect(),
            Failures::All => Vec::new(),
            Failures::Items(items) => {
                let failed: HashSet<&String> = items.iter().collect();
                let known = failed.iter().all(|item| message_ids.contains(item));
                // An id that is not in the batch fails all of it.
                all.filter(|at| known && !failed.contains(&message_ids[*at]))
                    .collect()
            }
        },
    }
}
