//! What recordings of streams and queues share: requests and answers about mappings.

use localcloud::mapping::config::ApiError;
use localcloud::mapping::registry::{Mappings, PROBLEM, PROCESSED};
use serde_json::{Value, json};

use crate::template::{Bindings, answered, concrete, scope, without_metadata};

/// The answers to `CreateEventSourceMapping` in a recording, with their keys.
pub fn created(recorded: &Value) -> Vec<(String, Value)> {
    let fields = recorded.as_object().into_iter().flatten();
    let answers = fields.filter(|(key, value)| {
        value.get("EventSourceArn").is_some()
            && !key.starts_with("get")
            && !key.starts_with("update")
    });
    answers
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The id of the first mapping of a run.
pub const UUID: &str = "00000000-0000-4000-8000-000000000001";

/// What a request leaves out when it asks for AWS's defaults.
const DEFAULTS: &[(&str, &str)] = &[
    ("BisectBatchOnFunctionError", "false"),
    ("DestinationConfig", r#"{"OnFailure":{}}"#),
    ("FunctionResponseTypes", "[]"),
    ("MaximumBatchingWindowInSeconds", "0"),
    ("MaximumRecordAgeInSeconds", "-1"),
    ("MaximumRetryAttempts", "-1"),
    ("ParallelizationFactor", "1"),
    ("TumblingWindowInSeconds", "0"),
];

/// The request that led to an answer: its members, without defaults and without what AWS adds.
pub fn request(answer: &Value) -> Value {
    let mut request = concrete(answer);
    let is_stream = request.get("StartingPosition").is_some();
    let function = request["FunctionArn"].clone();
    let fields = request.as_object_mut().unwrap();
    for name in [
        "EventSourceMappingArn",
        "FunctionArn",
        "LastModified",
        "LastProcessingResult",
        "ResponseMetadata",
        "State",
        "StateTransitionReason",
        "UUID",
    ] {
        fields.shift_remove(name);
    }
    for (name, default) in DEFAULTS {
        let default: Value = serde_json::from_str(default).unwrap();
        if fields.get(*name) == Some(&default) {
            fields.shift_remove(*name);
        }
    }
    // The window was replaced in the recording.
    if fields
        .get("MaximumBatchingWindowInSeconds")
        .is_some_and(Value::is_string)
    {
        fields.insert("MaximumBatchingWindowInSeconds".to_owned(), json!(10));
    }
    let default_size = if is_stream { 100 } else { 10 };
    if fields.get("BatchSize") == Some(&json!(default_size)) {
        fields.shift_remove("BatchSize");
    }
    fields.insert("FunctionName".to_owned(), function);
    let filters = request.pointer_mut("/FilterCriteria/Filters");
    for filter in filters.and_then(Value::as_array_mut).into_iter().flatten() {
        filter["Pattern"] = json!(filter["Pattern"].to_string());
    }
    request
}

/// An error as an SDK for Python shows it.
pub fn error(error: &ApiError) -> Value {
    let shown = json!({
        "Error": {"Code": error.code, "Message": error.message},
        "Type": "User",
        "message": error.message,
    });
    answered(error.status, shown)
}

/// Compares an answer with what a mapping that was asked for so shows.
pub fn compare_created(
    key: &str,
    answer: &Value,
    mappings: &mut Mappings,
    bindings: &mut Bindings,
) -> Vec<String> {
    let created = mappings.create(&request(answer), UUID.to_owned(), 0, |_| true);
    let created = match created {
        Ok(mapping) => mapping.clone(),
        Err(error) => return vec![format!("{key}: {error}")],
    };
    let mut created = created;
    // Where the recording waited for it, and read it again.
    let waited = answer["State"] == "Enabled";
    if waited {
        created.state = "Enabled";
    }
    let mut shown = created.shown(&scope());
    if answer.get("ResponseMetadata").is_some() {
        shown = answered(if waited { 200 } else { 202 }, shown);
    }
    // Older recordings did not keep the ARN.
    if answer.get("EventSourceMappingArn").is_none() {
        shown
            .as_object_mut()
            .unwrap()
            .shift_remove("EventSourceMappingArn");
    }
    bindings.compare(key, answer, &shown)
}

/// Compares recorded errors of creating or changing a mapping.
pub fn compare_errors(name: &str, recorded: &Value, bindings: &mut Bindings) -> Vec<String> {
    let mut differences = Vec::new();
    let mappings_of = created(recorded);
    let fields = recorded.as_object().into_iter().flatten();
    for (key, answer) in fields.filter(|(_, value)| value.get("Error").is_some()) {
        let answer_is_about_streams = answer.to_string().contains("tream");
        let mut mappings = Mappings::default();
        let known = mappings_of.first().map(|one| request(&one.1));
        let is_stream =
            answer_is_about_streams || name.contains("ynamo") || name.contains("inesis");
        let base = known.clone().unwrap_or_else(|| base(is_stream));
        let uuid = || UUID.to_owned();
        let found = if name.contains("invalid_event_filter") {
            let mut asked = base;
            asked["FilterCriteria"] = json!({"Filters": [{"Pattern": invalid_pattern(name)}]});
            mappings.create(&asked, uuid(), 0, |_| true).map(|_| ())
        } else if name.contains("duplicate") {
            let first = mappings.create(&base, uuid(), 0, |_| true);
            first.unwrap();
            mappings
                .create(&base, "other".to_owned(), 0, |_| true)
                .map(|_| ())
        } else if name.contains("not_existing") {
            let mut asked = base;
            let message = concrete(&answer["message"]);
            let arn = message
                .as_str()
                .and_then(|text| text.split("not found: ").nth(1));
            if let Some(arn) = arn {
                asked["EventSourceArn"] = json!(arn);
            }
            mappings.create(&asked, uuid(), 0, |_| false).map(|_| ())
        } else {
            // A batch size that needs a window.
            let mut asked = base.clone();
            asked["BatchSize"] = json!(15);
            if key.contains("update") {
                mappings.create(&base, uuid(), 0, |_| true).unwrap();
                mappings
                    .update(UUID, &json!({"BatchSize": 15}), 0)
                    .map(|_| ())
            } else {
                mappings.create(&asked, uuid(), 0, |_| true).map(|_| ())
            }
        };
        match found {
            Ok(()) => differences.push(format!("{key}: recorded an error, found none")),
            Err(found) => {
                let mut found = error(&found);
                if answer.get("ResponseMetadata").is_none() {
                    found
                        .as_object_mut()
                        .unwrap()
                        .shift_remove("ResponseMetadata");
                }
                differences.extend(bindings.clone().compare(key, answer, &found));
            }
        }
    }
    differences
}

fn base(is_stream: bool) -> Value {
    if is_stream {
        json!({
            "EventSourceArn": "arn:aws:dynamodb:us-east-1:111111111111:table/t/stream/s",
            "FunctionName": "f", "StartingPosition": "TRIM_HORIZON",
        })
    } else {
        json!({"EventSourceArn": "arn:aws:sqs:us-east-1:111111111111:q", "FunctionName": "f"})
    }
}

/// The pattern of a recording about an invalid one, as its name says.
fn invalid_pattern(name: &str) -> String {
    let (_, parameter) = name.split_once('[').unwrap_or_default();
    let parameter = parameter.strip_suffix(']').unwrap_or(parameter);
    match parameter {
        "None" => "null".to_owned(),
        // A text is a JSON text, and a filter by its number was not kept in the name.
        "simple string" | "single-string" => json!(parameter).to_string(),
        "invalid_filter2" => json!({"eventSource": "aws:sqs"}).to_string(),
        "invalid_filter3" => json!({"eventSource": ["aws:sqs", {"test": []}]}).to_string(),
        written => written.to_owned(),
    }
}

/// Later looks at a mapping: listed, read, changed.
pub fn compare_states(recorded: &Value, bindings: &Bindings) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, shown) in recorded.as_object().into_iter().flatten() {
        let listed = shown["EventSourceMappings"].as_array();
        let later = key.starts_with("get") || key.starts_with("update");
        let shown = match listed {
            Some(list) => &list[0],
            None if later && shown.get("EventSourceArn").is_some() => shown,
            None => continue,
        };
        let mut mappings = Mappings::default();
        let created = mappings.create(&request(shown), UUID.to_owned(), 0, |_| true);
        if let Err(error) = created {
            differences.push(format!("{key}: {error}"));
            continue;
        }
        let mapping = mappings.find(UUID).unwrap();
        // How far it is by then is not decided here.
        let states = [
            "Creating",
            "Disabling",
            "Disabled",
            "Updating",
            "Enabled",
            "Enabling",
        ];
        let state = states.iter().find(|state| shown["State"] == **state);
        mapping.state = state.copied().unwrap_or("Enabled");
        for result in [PROCESSED, PROBLEM] {
            if shown["LastProcessingResult"] == result {
                mapping.last_result = result;
            }
        }
        let found = mapping.shown(&scope());
        differences.extend(
            bindings
                .clone()
                .compare(key, &without_metadata(shown), &found),
        );
    }
    differences
}
