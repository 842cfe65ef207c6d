//! Recordings of streams and functions. What was written into the stream is what the function
//! received, and for filters also what it did not receive.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use localcloud::mapping::config::MappingConfig;
use localcloud::mapping::destination::{Origin, notice, object};
use localcloud::mapping::registry::Mappings;
use localcloud::mapping::shard::{Ended, Next, RETRY_FIRST, Shard};
use localcloud::record::{KinesisRecord, StreamRecord};
use serde_json::{Value, json};

use crate::Run;
use crate::mappings::{compare_created, compare_errors, compare_states, created, request};
use crate::template::{Bindings, REGION, answered, concrete, parsed, scope};

/// When a run begins, in milliseconds since the Unix epoch.
const BEGIN: i64 = 1_657_720_081_000;

/// Runs a recording of the API of streams.
pub fn api(recorded: &Value) -> Run {
    let Some(answer) = recorded.get("non-existent-stream") else {
        return Run::Outside;
    };
    // The words are those of the door, which a test of the cloud holds.
    let message = answer["message"].as_str().unwrap_or_default();
    let stream = message.split("Stream: ").nth(1).unwrap_or_default();
    let stream = stream.trim_end_matches(" not found");
    let message = localcloud::cloud::no_stream(stream);
    let found = json!({
        "Error": {"Code": "ResourceNotFoundException", "Message": message},
        "message": message,
    });
    let found = answered(400, found);
    let mut bindings = Bindings::default();
    let differences = bindings.compare("non-existent-stream", answer, &found);
    Run::Compared(differences, bindings.compared())
}

/// Runs a recording of a stream's mapping.
pub fn run(name: &str, recorded: &Value) -> Run {
    let mut bindings = Bindings::default();
    let mut differences = Vec::new();
    let mut mappings = Mappings::default();
    let answers = created(recorded);
    for (key, answer) in &answers {
        differences.extend(compare_created(key, answer, &mut mappings, &mut bindings));
    }
    differences.extend(compare_errors(name, recorded, &mut bindings));
    differences.extend(compare_states(recorded, &bindings));
    let deliveries = deliveries(recorded);
    let payload = &recorded["kinesis-record-lambda-payload"];
    if let (Some((_, answer)), false) = (answers.first(), payload.is_null()) {
        let mut simulation = Simulation::new(name, recorded, &request(answer));
        simulation.run();
        let data = simulation.data();
        let key = "kinesis-record-lambda-payload";
        differences.extend(bindings.compare(key, payload, &data));
    }
    if deliveries.is_empty() && !has_notice(recorded) {
        return Run::Compared(differences, bindings.compared());
    }
    let requests: Vec<(String, Value)> = if answers.is_empty() {
        vec![(String::new(), default_request(recorded))]
    } else {
        let of = |(key, answer): &(String, Value)| (key.clone(), request(answer));
        answers.iter().map(of).collect()
    };
    for (key, request) in requests {
        // With several mappings the keys end alike.
        let end = key
            .rsplit('-')
            .next()
            .filter(|end| end.len() == 1 && key.contains("response-"));
        let mut simulation = Simulation::new(name, recorded, &request);
        simulation.run();
        for (key, wanted) in &deliveries {
            if end.is_some_and(|end| !key.ends_with(end)) || key.ends_with("_2_response") {
                continue;
            }
            differences.extend(simulation.compare(key, wanted, &mut bindings));
        }
        differences.extend(simulation.compare_notices(recorded, &mut bindings));
    }
    Run::Compared(differences, bindings.compared())
}

fn has_notice(recorded: &Value) -> bool {
    let text = recorded.to_string();
    text.contains("approximateInvokeCount")
}

/// The keys of a recording that hold what a function received, each as a list of batches.
fn deliveries(recorded: &Value) -> Vec<(String, Vec<Value>)> {
    let mut found = Vec::new();
    for (key, value) in recorded.as_object().into_iter().flatten() {
        let list = match value {
            Value::Array(list) => list.clone(),
            Value::Object(one) if one.contains_key("Records") => vec![value.clone()],
            _ => continue,
        };
        let batches = list.iter().map(|one| match one.get("event") {
            Some(event) => event.clone(),
            None => one.clone(),
        });
        let batches: Vec<Value> = batches.collect();
        if batches.iter().any(|one| one.get("Records").is_some()) {
            found.push((key.clone(), batches));
        } else if key == "Records" {
            found.push((key.clone(), vec![json!({ "Records": list })]));
        }
    }
    found
}

/// A mapping's request where the recording has no answer to it.
fn default_request(recorded: &Value) -> Value {
    let events = deliveries(recorded);
    let first = events.first().and_then(|one| one.1.first());
    let record = first.map(|batch| concrete(&batch["Records"][0]));
    let source = record.map_or(Value::Null, |record| record["eventSourceARN"].clone());
    json!({
        "EventSourceArn": source, "FunctionName": "f", "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 1, "MaximumBatchingWindowInSeconds": 1, "MaximumRetryAttempts": 3,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    })
}

/// A stream with its mapping and its function, under a simulated clock.
struct Simulation {
    config: MappingConfig,
    shard: Shard,
    shard_id: String,
    behaviour: Behaviour,
    now: i64,
    batches: Vec<Value>,
    notices: Vec<(Value, Vec<Value>)>,
}

/// What the function does.
enum Behaviour {
    Answers(Value),
    Fails,
    /// It names the last record of a batch.
    FailsLast,
    Takes,
}

fn behaviour(name: &str, recorded: &Value) -> Behaviour {
    let item = |identifier: Value| json!({"batchItemFailures": [{"itemIdentifier": identifier}]});
    let other_key = |value: Value| json!({"batchItemFailures": [{"foo": value}]});
    let (_, parameter) = name.split_once('[').unwrap_or_default();
    match parameter.trim_end_matches(']') {
        "empty_string_item_identifier_failure" => Behaviour::Answers(item(json!(""))),
        "null_item_identifier_failure" => Behaviour::Answers(item(Value::Null)),
        "invalid_key_foo_failure" => Behaviour::Answers(other_key(json!("notvalid"))),
        "invalid_key_foo_null_value_failure" => Behaviour::Answers(other_key(Value::Null)),
        "item_identifier_not_present_failure" => Behaviour::Answers(item(json!(123))),
        "unhandled_exception_in_function" => Behaviour::Fails,
        "empty_string_success" => Behaviour::Answers(json!("")),
        "empty_list_success" => Behaviour::Answers(json!([])),
        "null_success" => Behaviour::Answers(Value::Null),
        "empty_dict_success" => Behaviour::Answers(json!({})),
        "empty_batch_item_failure_success" => Behaviour::Answers(json!({"batchItemFailures": []})),
        "null_batch_item_failure_success" => Behaviour::Answers(json!({"batchItemFailures": null})),
        _ if name.contains("discard_records") => Behaviour::Takes,
        _ if name.contains("record_age") => Behaviour::Fails,
        _ if name.contains("report_batch_item_failures") => Behaviour::FailsLast,
        _ if name.contains("on_failure_destination") || has_notice(recorded) => Behaviour::Fails,
        _ => Behaviour::Takes,
    }
}

impl Simulation {
    fn new(name: &str, recorded: &Value, request: &Value) -> Simulation {
        let config = MappingConfig::of(request).unwrap();
        let mut shard = Shard::new(config.stream_policy(), RETRY_FIRST);
        let is_kinesis = config.source.contains(":kinesis:");
        let shard_id = if is_kinesis {
            "shardId-000000000000"
        } else {
            "shardId-1"
        };
        let behaviour = behaviour(name, recorded);
        let mut inputs = inputs(name, recorded, &config, shard_id);
        if inputs.is_empty() {
            let count = if matches!(behaviour, Behaviour::FailsLast) {
                3
            } else {
                1
            };
            inputs = (0..count)
                .map(|at| default_record(&config, shard_id, at))
                .collect();
        }
        // One record was too old before the mapping began.
        if name.contains("discard_records") {
            inputs.insert(0, default_record(&config, shard_id, 0));
        }
        if name.contains("discard_records") || name.contains("expire-before") {
            inputs[0].arrived -= 61_000;
        }
        for input in inputs {
            shard.push(input, BEGIN);
        }
        Simulation {
            shard_id: shard_id.to_owned(),
            config,
            shard,
            behaviour,
            now: BEGIN,
            batches: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn run(&mut self) {
        let function_arn = scope().function(&self.config.function);
        // A mapping without bounds would go on for ever.
        for _ in 0..1_000 {
            match self.shard.next(self.now) {
                Next::Invoke { lane, records } => {
                    let events: Vec<Value> = records.iter().map(|one| one.event.clone()).collect();
                    self.batches.push(json!({ "Records": events }));
                    let ended = self.invoke(&records);
                    self.shard.ended(lane, &ended, self.now);
                }
                Next::Discard(discarded) => {
                    let origin = Origin {
                        kind: self.config.kind,
                        stream_arn: &self.config.source,
                        shard: &self.shard_id,
                        function_arn: &function_arn,
                    };
                    let id = "00000000-0000-4000-8000-000000000009";
                    let notice = notice(&origin, &discarded, id, self.now);
                    let records = discarded.records.iter().map(|one| one.event.clone());
                    self.notices.push((notice, records.collect()));
                }
                Next::Wait(Some(at)) => self.now = at.max(self.now + 1),
                Next::Wait(None) => return,
            }
        }
    }

    /// What Kinesis's records hold, as the function decodes it.
    fn data(&self) -> Value {
        let records = self.batches.iter();
        let records = records.flat_map(|one| one["Records"].as_array().unwrap());
        let data = records.map(|record| {
            let data = record["kinesis"]["data"].as_str().unwrap();
            serde_json::from_slice::<Value>(&STANDARD.decode(data).unwrap()).unwrap()
        });
        data.collect()
    }

    fn invoke(&mut self, records: &[StreamRecord]) -> Ended {
        match &self.behaviour {
            Behaviour::Answers(answer) => Ended::Answered(answer.to_string().into_bytes()),
            Behaviour::Fails => Ended::FunctionError,
            Behaviour::Takes => Ended::Answered(b"null".to_vec()),
            Behaviour::FailsLast => {
                let last = records.last().unwrap();
                let answer = json!({"batchItemFailures": [{"itemIdentifier": last.sequence}]});
                Ended::Answered(answer.to_string().into_bytes())
            }
        }
    }

    fn compare(&self, key: &str, wanted: &[Value], bindings: &mut Bindings) -> Vec<String> {
        let mut found = self.batches.clone();
        // What was seen before the second change.
        if key == "lambda-log-events" {
            found.truncate(wanted.len());
        }
        if key == "Records" {
            // All records of all batches in one list.
            let records = found
                .iter()
                .flat_map(|one| one["Records"].as_array().unwrap());
            found = vec![json!({ "Records": records.cloned().collect::<Vec<_>>() })];
        }
        bindings.compare(key, &json!(wanted), &json!(found))
    }

    fn compare_notices(&self, recorded: &Value, bindings: &mut Bindings) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, value) in recorded.as_object().into_iter().flatten() {
            if find_notice(value).is_none() {
                continue;
            }
            let Some((notice, records)) = self.notices.first() else {
                differences.push(format!("{key}: recorded a notice, found none"));
                continue;
            };
            let Some(body) = find_notice(value) else {
                continue;
            };
            let found = if body.get("payload").is_some() {
                object(notice, records)
            } else {
                notice.clone()
            };
            differences.extend(bindings.compare(key, &body, &found));
        }
        differences
    }
}

/// The notice in what a destination received: in a message's body, in a topic's envelope.
fn find_notice(value: &Value) -> Option<Value> {
    let value = parsed(value);
    if value.get("requestContext").is_some() {
        return Some(value);
    }
    match &value {
        Value::Array(list) => list.iter().find_map(find_notice),
        Value::Object(fields) => fields.values().find_map(find_notice),
        _ => None,
    }
}

/// What was written into the stream: what the function received, and what filters left out.
fn inputs(name: &str, recorded: &Value, config: &MappingConfig, shard: &str) -> Vec<StreamRecord> {
    let mut seen = BTreeSet::new();
    let mut inputs = Vec::new();
    // A bucket's object has its records.
    let objects = recorded.as_object().into_iter().flatten();
    let objects = objects.filter_map(|(key, value)| {
        let payload = value.get("payload")?;
        Some((key.clone(), vec![payload.clone()]))
    });
    for (_, batches) in deliveries(recorded).into_iter().chain(objects) {
        for batch in batches {
            for record in batch["Records"].as_array().into_iter().flatten() {
                let record = concrete(record);
                if seen.insert(record["eventID"].to_string()) {
                    inputs.push(input(&record, config, shard, inputs.len()));
                }
            }
        }
    }
    let payload = parsed(&recorded["kinesis-record-lambda-payload"]);
    for data in payload.as_array().into_iter().flatten() {
        let data = STANDARD.encode(data.to_string());
        let record = json!({"kinesis": {"data": data, "partitionKey": "test"}});
        inputs.push(input(&record, config, shard, inputs.len()));
    }
    if name.contains("filter") && !inputs.is_empty() {
        inputs.extend(left_out(config, shard, &inputs));
    }
    inputs
}

fn sequence(at: usize) -> String {
    format!("{}", 100_000_000_000_000_000_000_u128 + at as u128)
}

fn input(record: &Value, config: &MappingConfig, shard: &str, at: usize) -> StreamRecord {
    if let Some(kinesis) = record.get("kinesis") {
        let data = STANDARD.decode(kinesis["data"].as_str().unwrap()).unwrap();
        return StreamRecord::of_kinesis(&KinesisRecord {
            shard,
            sequence: &sequence(at),
            partition_key: kinesis["partitionKey"].as_str().unwrap(),
            data: &data,
            arrived: BEGIN,
            role_arn: "arn:aws:iam::111111111111:role/r",
            region: REGION,
            stream_arn: &config.source,
        });
    }
    let mut record = record.clone();
    let fields = record.as_object_mut().unwrap();
    fields.shift_remove("awsRegion");
    fields.shift_remove("eventSourceARN");
    let change = &mut record["dynamodb"];
    change["SequenceNumber"] = json!(sequence(at));
    change["ApproximateCreationDateTime"] = json!(BEGIN as f64 / 1_000.0);
    change.as_object_mut().unwrap().shift_remove("SizeBytes");
    StreamRecord::of_dynamodb(record, REGION, &config.source)
}

fn default_record(config: &MappingConfig, shard: &str, at: usize) -> StreamRecord {
    if config.source.contains(":kinesis:") {
        let record = json!({"kinesis": {"data": "aGVsbG8=", "partitionKey": "test"}});
        return input(&record, config, shard, at);
    }
    let key = json!({"my_partition_key": {"S": format!("item {at}")}});
    let record = json!({
        "eventID": format!("{at}"), "eventName": "INSERT", "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"Keys": key, "NewImage": key, "StreamViewType": "NEW_IMAGE"},
    });
    input(&record, config, shard, at)
}

/// Changes that the recorded filters leave out: an item without the attribute that is asked for,
/// one with another text or number, and a removal.
fn left_out(config: &MappingConfig, shard: &str, inputs: &[StreamRecord]) -> Vec<StreamRecord> {
    if config.source.contains(":kinesis:") {
        let data = STANDARD.encode(r#"{"event_type":"other","message":"bar"}"#);
        let record = json!({"kinesis": {"data": data, "partitionKey": "test"}});
        return vec![input(&record, config, shard, inputs.len())];
    }
    let mut without = inputs[0].event.clone();
    let keys = without["dynamodb"]["Keys"].clone();
    without["dynamodb"]["NewImage"] = keys.clone();
    let mut other = without.clone();
    let image = inputs[0].event["dynamodb"]["NewImage"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (name, value) in image {
        let changed = if value.get("N").is_some() {
            json!({"N": "101"})
        } else {
            json!({"S": "us-2"})
        };
        if keys.get(&name).is_none() {
            other["dynamodb"]["NewImage"][&name] = changed;
        }
    }
    let mut removed = without.clone();
    removed["eventName"] = json!("REMOVE");
    removed["dynamodb"]
        .as_object_mut()
        .unwrap()
        .shift_remove("NewImage");
    let asks_name = config_asks(config, "eventName");
    let asks_image = config_asks(config, "NewImage");
    let mut left_out = Vec::new();
    if asks_image {
        left_out.push(without);
        // A filter for a text's presence takes any text.
        if !config_asks(config, "exists") {
            left_out.push(other);
        }
    }
    if asks_name || asks_image {
        left_out.push(removed);
    }
    let begin = inputs.len();
    let left_out = left_out.iter().enumerate();
    left_out
        .map(|(at, one)| input(one, config, shard, begin + at))
        .collect()
}

fn config_asks(config: &MappingConfig, word: &str) -> bool {
    format!("{:?}", config.stream_policy().filters)
        .to_lowercase()
        .contains(&word.to_lowercase())
}

/// The delay before the first retry, as the recordings show it.
#[test]
fn eight_invocations_fit_into_a_minute_of_retries() {
    let waits = (0..7).map(|at| RETRY_FIRST * 2_u32.pow(at));
    let until: Duration = waits.sum();
    assert!(until < Duration::from_secs(60));
    assert!(until * 2 > Duration::from_secs(60));
}
