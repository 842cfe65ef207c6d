//! DynamoDB behind the door: the cloud's region in ARNs, the units that each call consumes, and
//! the streams of tables.

use std::io;
use std::sync::Arc;

use dynoxide::actions::describe_table::DescribeTableRequest;
use http::{Request, Response};
use serde_json::{Value, json};

use super::action::{Action, Service, error};
use super::inner::{Bytes, Inner};
use crate::record::item_size;

/// The region in the emulator's own ARNs.
const EMULATED: &str = ":dynamodb:dynoxide:";

const WRITES: &[&str] = &[
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
];
const READS: &[&str] = &[
    "GetItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "TransactGetItems",
];

/// The words of DynamoDB about a stream that does not exist.
#[must_use]
pub fn no_stream(arn: &str) -> String {
    format!("Requested resource not found: Stream: {arn} not found")
}

impl Inner {
    fn own_region(&self) -> String {
        format!(":dynamodb:{}:", self.scope.region)
    }

    pub(super) async fn handle_tables(
        self: &Arc<Self>,
        action: &Action,
        request: Request<Bytes>,
        body: &bytes::Bytes,
    ) -> Result<Response<Bytes>, io::Error> {
        let text = String::from_utf8_lossy(body).replace(&self.own_region(), EMULATED);
        let mut asked: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if action.service == Service::Streams
            && let Some(missing) = self.missing_stream(&asked)
        {
            let message = no_stream(&missing);
            return Ok(error(
                action.service,
                400,
                "ResourceNotFoundException",
                &message,
            ));
        }
        let operation = action.operation.as_str();
        let (writes, reads) = (WRITES.contains(&operation), READS.contains(&operation));
        let metered = (writes || reads) && asked.is_object();
        let wants = asked["ReturnConsumedCapacity"].as_str().unwrap_or("NONE") != "NONE";
        let (parts, _) = request.into_parts();
        let sent = if metered && !wants {
            asked["ReturnConsumedCapacity"] = json!("TOTAL");
            asked.to_string()
        } else {
            text
        };
        let sent = Request::from_parts(parts, Bytes::from(sent));
        let (answer, body) = self.forward(self.dynamodb, sent).await?;
        let (mut parts, _) = answer.into_parts();
        // It is of the body before its change.
        parts.headers.remove("x-amz-crc32");
        let text = String::from_utf8_lossy(&body).replace(EMULATED, &self.own_region());
        let region = format!("\"awsRegion\":\"{}\"", self.scope.region);
        let text = text.replace("\"awsRegion\":\"dynoxide\"", &region);
        let text = if metered {
            self.meter(writes, &asked, wants, text)
        } else {
            text
        };
        if writes && parts.status.is_success() {
            self.tables_changed.notify_waiters();
        }
        Ok(Response::from_parts(parts, Bytes::from(text)))
    }

    /// Counts what a call consumed, and takes out of the answer what was not asked for.
    fn meter(&self, writes: bool, asked: &Value, wants: bool, text: String) -> String {
        let Ok(mut answer) = serde_json::from_str::<Value>(&text) else {
            return text;
        };
        let kind = answer["__type"].as_str().unwrap_or_default();
        let units = match &answer["ConsumedCapacity"] {
            Value::Array(list) => list.iter().map(units).sum(),
            Value::Null if kind.ends_with("ConditionalCheckFailedException") => {
                write_units(&asked["Item"], &asked["Key"])
            }
            Value::Null if kind.ends_with("TransactionCanceledException") => {
                2.0 * transaction_units(asked)
            }
            one => units(one),
        };
        if writes {
            self.counts.consumed(units, 0.0);
        } else {
            self.counts.consumed(0.0, units);
        }
        if wants {
            return text;
        }
        let fields = answer.as_object_mut();
        match fields.and_then(|fields| fields.shift_remove("ConsumedCapacity")) {
            Some(_) => answer.to_string(),
            None => text,
        }
    }

    /// The stream that a request names, if there is none such.
    fn missing_stream(&self, asked: &Value) -> Option<String> {
        let own = |arn: &str| arn.replace(EMULATED, &self.own_region());
        let arn = asked["StreamArn"].as_str().map(own)?;
        let table = arn.split(":table/").nth(1)?.split('/').next()?;
        let known = self.stream_arn(table).is_some_and(|known| known == arn);
        (!known).then_some(arn)
    }

    /// The ARN of a table's stream.
    pub(super) fn stream_arn(&self, table: &str) -> Option<String> {
        let request = DescribeTableRequest {
            table_name: table.to_owned(),
        };
        let described = self.database.0.describe_table(request).ok()?;
        let described = serde_json::to_value(described).ok()?;
        let arn = described["Table"]["LatestStreamArn"].as_str()?;
        Some(arn.replace(EMULATED, &self.own_region()))
    }
}

fn units(consumed: &Value) -> f64 {
    consumed["CapacityUnits"].as_f64().unwrap_or_default()
}

/// The units of a write that did not happen: those of what was to be written.
fn write_units(item: &Value, key: &Value) -> f64 {
    let bytes = item_size(item).max(item_size(key));
    bytes.div_ceil(1_024).max(1) as f64
}

fn transaction_units(asked: &Value) -> f64 {
    let items = asked["TransactItems"].as_array().into_iter().flatten();
    let of = |item: &Value| {
        let action = item.as_object().and_then(|item| item.values().next());
        action.map_or(0.0, |action| write_units(&action["Item"], &action["Key"]))
    };
    items.map(of).sum()
}
