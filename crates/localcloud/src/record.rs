//! Records of streams as a mapping sees them: where they are, how old they are, and their JSON as
//! the function receives it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// One record of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRecord {
    /// Its place in the shard: a decimal number of more than 64 bits.
    pub sequence: String,
    /// Records with the same partition key stay in order.
    pub partition_key: String,
    /// When it arrived, in milliseconds since the Unix epoch.
    pub arrived: i64,
    /// The JSON that the function receives.
    pub event: Value,
    /// Bytes of that JSON.
    pub bytes: usize,
}

impl StreamRecord {
    fn new(sequence: &str, partition_key: String, arrived: i64, event: Value) -> Self {
        StreamRecord {
            sequence: sequence.to_owned(),
            partition_key,
            arrived,
            bytes: event.to_string().len(),
            event,
        }
    }

    /// A record of a DynamoDB stream, from the JSON of `GetRecords`. It receives the region, the
    /// ARN of its stream, and its size as DynamoDB counts it.
    #[must_use]
    pub fn of_dynamodb(mut record: Value, region: &str, stream_arn: &str) -> Self {
        record["awsRegion"] = json!(region);
        record["eventSourceARN"] = json!(stream_arn);
        let change = &mut record["dynamodb"];
        let images = ["Keys", "NewImage", "OldImage"];
        let size: usize = images.iter().map(|image| item_size(&change[*image])).sum();
        change["SizeBytes"] = json!(size);
        let seconds = change["ApproximateCreationDateTime"].as_f64();
        // Whole seconds: a number without a fraction.
        let whole = seconds.unwrap_or_default().trunc() as i64;
        change["ApproximateCreationDateTime"] = json!(whole);
        let sequence = text(&change["SequenceNumber"]);
        let partition_key = change["Keys"].to_string();
        Self::new(&sequence, partition_key, whole * 1_000, record)
    }

    /// A record of a Kinesis stream.
    #[must_use]
    pub fn of_kinesis(record: &KinesisRecord<'_>) -> Self {
        let KinesisRecord {
            shard, sequence, ..
        } = record;
        let event = json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record.partition_key,
                "sequenceNumber": sequence,
                "data": STANDARD.encode(record.data),
                "approximateArrivalTimestamp": record.arrived as f64 / 1_000.0,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{shard}:{sequence}"),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": record.role_arn,
            "awsRegion": record.region,
            "eventSourceARN": record.stream_arn,
        });
        let key = record.partition_key.to_owned();
        Self::new(sequence, key, record.arrived, event)
    }

    /// What filters look at: the event, with Kinesis's data decoded under `data`.
    #[must_use]
    pub fn filtered(&self) -> Value {
        let Some(kinesis) = self.event.get("kinesis") else {
            return self.event.clone();
        };
        let mut view = Map::new();
        if let Value::Object(kinesis) = kinesis {
            view.extend(kinesis.clone());
        }
        let data = STANDARD.decode(text(&view["data"])).unwrap_or_default();
        view.insert("data".to_owned(), json!(String::from_utf8_lossy(&data)));
        Value::Object(view)
    }
}

/// The parts of a Kinesis record.
#[derive(Clone, Copy, Debug)]
pub struct KinesisRecord<'a> {
    /// The shard's id.
    pub shard: &'a str,
    /// Its place in the shard.
    pub sequence: &'a str,
    /// Its partition key.
    pub partition_key: &'a str,
    /// Its data.
    pub data: &'a [u8],
    /// When it arrived, in milliseconds since the Unix epoch.
    pub arrived: i64,
    /// The role of the function.
    pub role_arn: &'a str,
    /// The region.
    pub region: &'a str,
    /// The stream.
    pub stream_arn: &'a str,
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Bytes of an item as DynamoDB counts them: the names and the values of its attributes.
#[must_use]
pub fn item_size(item: &Value) -> usize {
    let fields = item.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

/// Bytes that a list or a map adds, besides one for each element.
const NESTED: usize = 3;

fn value_size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        return 0;
    };
    let each = |size: fn(&Value) -> usize| {
        let list = value.as_array().into_iter().flatten();
        list.map(size).sum::<usize>()
    };
    match kind.as_str() {
        "S" => text_size(value),
        "N" => number_size(value),
        "B" => binary_size(value),
        "SS" => each(text_size),
        "NS" => each(number_size),
        "BS" => each(binary_size),
        "L" => NESTED + each(|one| 1 + value_size(one)),
        "M" => {
            let fields = value.as_object();
            let count = fields.map_or(0, Map::len);
            NESTED + count + item_size(value)
        }
        // A BOOL or a NULL.
        _ => 1,
    }
}

fn text_size(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

fn binary_size(value: &Value) -> usize {
    let decoded = value.as_str().and_then(|text| STANDARD.decode(text).ok());
    decoded.map_or(0, |bytes| bytes.len())
}

/// One byte for each two significant digits, one more, and one for a minus sign.
fn number_size(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let digits = digits.trim_end_matches('0').len();
    1 + digits.div_ceil(2) + usize::from(text.starts_with('-'))
}
