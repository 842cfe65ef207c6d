//! What a failure destination receives about records that were given up, and what a function's
//! dead-letter queue receives about an event. Pure.

use serde_json::{Value, json};

use super::config::SourceKind;
use super::shard::{Condition, Discarded};
use crate::time;

/// Where the records were, and which function did not take them.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The kind of the stream.
    pub kind: SourceKind,
    /// The stream's ARN.
    pub stream_arn: &'a str,
    /// The shard's id.
    pub shard: &'a str,
    /// The function's ARN.
    pub function_arn: &'a str,
}

/// The notice about discarded records: where they are, not the records.
///
/// Recorded: a DynamoDB stream's arrivals are in whole seconds, Kinesis's have milliseconds; what
/// is too old has no `responseContext`.
#[must_use]
pub fn notice(origin: &Origin<'_>, discarded: &Discarded, request_id: &str, now: i64) -> Value {
    let mut notice = json!({
        "requestContext": {
            "requestId": request_id,
            "functionArn": origin.function_arn,
            "condition": discarded.condition.name(),
            "approximateInvokeCount": discarded.invocations,
        },
    });
    if discarded.condition == Condition::RetryAttemptsExhausted {
        let error = discarded.function_error.then_some("Unhandled");
        notice["responseContext"] = json!({
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": error,
        });
    }
    notice["version"] = json!("1.0");
    notice["timestamp"] = json!(time::milliseconds(now));
    let (name, arrival): (_, fn(i64) -> String) = match origin.kind {
        SourceKind::Kinesis => ("KinesisBatchInfo", time::milliseconds),
        _ => ("DDBStreamBatchInfo", time::seconds),
    };
    let (first, last) = (discarded.records.first(), discarded.records.last());
    let first = first.expect("there is at least one record");
    let last = last.expect("there is at least one record");
    notice[name] = json!({
        "shardId": origin.shard,
        "startSequenceNumber": first.sequence,
        "endSequenceNumber": last.sequence,
        "approximateArrivalOfFirstRecord": arrival(first.arrived),
        "approximateArrivalOfLastRecord": arrival(last.arrived),
        "batchSize": discarded.records.len(),
        "streamArn": origin.stream_arn,
    });
    notice
}

/// The object that a bucket receives: the notice with the records under `payload`.
#[must_use]
pub fn object(notice: &Value, records: &[Value]) -> Value {
    let mut object = notice.clone();
    object["payload"] = json!({ "Records": records });
    object
}

/// The attributes of the message with which an event that a function did not take goes to the
/// function's dead-letter queue; the event itself is the body.
#[must_use]
pub fn dead_letter_attributes(request_id: &str, error: &str) -> Value {
    json!({
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": error},
        "RequestID": {"DataType": "String", "StringValue": request_id},
    })
}
