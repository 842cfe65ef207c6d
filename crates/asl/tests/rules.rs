//! Every rule of a definition as one row: a definition that breaks only this rule, with the code,
//! the location and the text of the answer. Each row changes one value of a definition that is
//! accepted, which is the other side of the rule.
//!
//! Sources: the Amazon States Language; the AWS Step Functions developer guide (a page for each
//! state type, transforming data with JSONata, variables, reading, batching and writing of a
//! distributed Map, error handling, integrations, quotas); answers of AWS to invalid definitions;
//! the rules of public validators. Where no answer of AWS is known, the text is ours.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#[expect(
    dead_code,
    reason = "the machines alone are used here, not what answers their tasks"
)]
mod generator;

use std::collections::HashSet;

use serde_json::{Value, json};

use asl::{Diagnostic, Severity, WorkflowType, validate, validate_as};

const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
const TARGET: &str = "MISSING_TRANSITION_TARGET";
const UNSUPPORTED: &str = "UNSUPPORTED_JSONATA_EXPRESSION";
const INVALID: &str = "INVALID_JSONATA_EXPRESSION";

/// A machine in JSONPath with every type of state and nearly every field.
fn jsonpath() -> Value {
    json!({
        "Comment": "c", "Version": "1.0", "TimeoutSeconds": 100, "QueryLanguage": "JSONPath", "StartAt": "Pass",
        "States": {
            "Pass": {"Type": "Pass", "Comment": "c", "QueryLanguage": "JSONPath", "InputPath": "$.a", "OutputPath": "$", "Parameters": {"p.$": "$.p", "q": {"r.$": "States.UUID()"}},
                "Result": {"r": 1}, "ResultPath": "$.r", "Assign": {"v": 1, "w.$": "$.w"}, "Next": "Task"},
            "Task": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "ResultSelector": {"s.$": "$.s"},
                "TimeoutSeconds": 10, "HeartbeatSeconds": 5, "Credentials": {"RoleArn": "arn:aws:iam::123456789012:role/r"},
                "Retry": [{"ErrorEquals": ["A", "B"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1.5, "MaxDelaySeconds": 9, "JitterStrategy": "FULL", "Comment": "c"},
                    {"ErrorEquals": ["States.ALL"]}],
                "Catch": [{"ErrorEquals": ["A"], "Next": "Fail", "ResultPath": "$.e", "Assign": {"e": 1}, "Comment": "c"}, {"ErrorEquals": ["States.ALL"], "Next": "Fail"}],
                "Next": "Paths"},
            "Paths": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:123456789012:activity:a", "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$v", "Next": "Choice"},
            "Choice": {"Type": "Choice", "InputPath": "$", "OutputPath": "$", "Assign": {"c": 1}, "Default": "Wait", "Choices": [
                {"Variable": "$.n", "NumericEquals": 1, "Next": "Wait", "Comment": "c", "Assign": {"d": 1}},
                {"And": [{"Variable": "$.s", "StringMatches": "a*"}, {"Not": {"Variable": "$.t", "TimestampLessThan": "2026-01-01T00:00:00Z"}}], "Next": "Wait"},
                {"Or": [{"Variable": "$$.Execution.Input.b", "BooleanEquals": true}, {"Variable": "$v", "StringEqualsPath": "$.s"}], "Next": "Wait"},
                {"Not": {"Variable": "$.z", "IsPresent": true}, "Next": "Wait"}]},
            "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Until"},
            "Until": {"Type": "Wait", "TimestampPath": "$.u", "Next": "Parallel"},
            "Parallel": {"Type": "Parallel", "Parameters": {"a": 1}, "ResultSelector": {"s.$": "$[0]"}, "ResultPath": null, "Branches": [
                {"Comment": "c", "StartAt": "B1", "States": {"B1": {"Type": "Pass", "Assign": {"inner": 1}, "End": true}}},
                {"StartAt": "B2", "States": {"B2": {"Type": "Succeed"}}}], "Retry": [{"ErrorEquals": ["E"]}], "Catch": [{"ErrorEquals": ["E"], "Next": "Fail"}], "Next": "Map"},
            "Map": {"Type": "Map", "ItemsPath": "$.l", "ItemSelector": {"i.$": "$$.Map.Item.Value"}, "MaxConcurrencyPath": "$.m", "ToleratedFailureCount": 1, "ToleratedFailurePercentage": 5.5, "Label": "label",
                "ItemProcessor": {"Comment": "c", "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}},
                "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key.$": "$.k"}, "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["h"], "CSVDelimiter": "PIPE", "MaxItems": 10}},
                "ItemBatcher": {"BatchInput": {"b.$": "$.b"}, "MaxItemsPerBatch": 2, "MaxInputBytesPerBatchPath": "$.m"},
                "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}, "WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSONL"}},
                "Next": "Inline"},
            "Inline": {"Type": "Map", "Iterator": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "J", "States": {"J": {"Type": "Pass", "End": true}}}, "Parameters": {"x": 1}, "MaxConcurrency": 0, "Next": "Succeed"},
            "Succeed": {"Type": "Succeed", "Comment": "c", "InputPath": null, "OutputPath": "$.o"},
            "Fail": {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{}', $.c)"},
        }
    })
}

/// A machine in JSONata.
fn jsonata() -> Value {
    json!({
        "QueryLanguage": "JSONata", "StartAt": "Pass",
        "States": {
            "Pass": {"Type": "Pass", "Output": {"a": ["{% $states.input.a %}"], "b": 1}, "Assign": {"v": "{% $states.input %}"}, "Next": "Task"},
            "Task": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f", "Payload": {"p": "{% $v %}"}}, "TimeoutSeconds": "{% $states.input.t %}", "HeartbeatSeconds": 5,
                "Output": "{% $states.result.Payload %}", "Assign": {"w": "{% $states.result %}"},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Assign": {"e": "{% $states.errorOutput.Error %}"}, "Next": "Fail"}], "Next": "Choice"},
            "Choice": {"Type": "Choice", "Choices": [{"Condition": "{% $v = 1 %}", "Next": "Wait", "Output": "{% $v %}", "Assign": {"x": "{% $v %}"}}, {"Condition": true, "Next": "Wait"}], "Default": "Wait", "Output": "{% $v %}"},
            "Wait": {"Type": "Wait", "Seconds": "{% $v %}", "Output": "{% $v %}", "Next": "Until"},
            "Until": {"Type": "Wait", "Timestamp": "2026-01-01T00:00:00Z", "Next": "Parallel"},
            "Parallel": {"Type": "Parallel", "Arguments": "{% $states.input %}", "Branches": [{"StartAt": "B", "States": {"B": {"Type": "Pass", "Assign": {"inner": 1}, "Output": "{% $v %}", "End": true}}}], "Output": "{% $states.result[0] %}", "Next": "Map"},
            "Map": {"Type": "Map", "Items": "{% $states.input.l %}", "ItemSelector": {"i": "{% $states.context.Map.Item.Value %}"}, "MaxConcurrency": "{% 3 %}", "ToleratedFailurePercentage": 5,
                "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "I", "States": {"I": {"Type": "Pass", "Assign": {"v": 1}, "End": true}}},
                "ItemReader": {"Resource": "arn:aws:states:::s3:listObjectsV2", "Arguments": {"Bucket": "{% $states.input.b %}"}, "ReaderConfig": {"MaxItems": "{% 5 %}"}},
                "ItemBatcher": {"BatchInput": {"b": "{% $states.input %}"}, "MaxItemsPerBatch": "{% 2 %}"},
                "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b"}}, "Output": "{% $states.result %}", "Next": "Inline"},
            "Inline": {"Type": "Map", "Items": [1, "{% 2 %}"], "ItemProcessor": {"StartAt": "J", "States": {"J": {"Type": "Pass", "End": true}}}, "Next": "Succeed"},
            "Succeed": {"Type": "Succeed", "Output": {"o": "{% $states.input %}"}},
            "Fail": {"Type": "Fail", "Error": "E", "Cause": "{% $states.input.Cause %}"},
        }
    })
}

/// The change at a JSON pointer: a new value, or none to remove the field.
enum Change {
    Put(&'static str, Value),
    Remove(&'static str),
}

use Change::{Put, Remove};

fn changed(mut definition: Value, change: &Change) -> Value {
    let (pointer, value) = match change {
        Put(pointer, value) => (*pointer, Some(value.clone())),
        Remove(pointer) => (*pointer, None),
    };
    let (above, name) = pointer.rsplit_once('/').unwrap();
    let (name, above) = (
        name.replace("~1", "/"),
        definition.pointer_mut(above).expect(pointer),
    );
    match (above, value) {
        (Value::Object(map), Some(value)) => {
            map.insert(name, value);
        }
        (Value::Object(map), None) => {
            map.remove(&name).expect(pointer);
        }
        (Value::Array(list), Some(value)) => {
            let index: usize = name.parse().unwrap();
            if index < list.len() {
                list[index] = value;
            } else {
                list.push(value);
            }
        }
        _ => panic!("{pointer}"),
    }
    definition
}

fn errors(definition: &Value, kind: WorkflowType) -> Vec<Diagnostic> {
    let found = validate_as(&definition.to_string(), kind).into_iter();
    found.filter(|d| d.severity == Severity::Error).collect()
}

/// A rule: the change that breaks it, and the code, location and text of the answer.
type Row = (Change, &'static str, &'static str, &'static str);

/// Breaks one rule after the other, and expects only its error. A state that leads elsewhere may
/// leave states unreachable; these errors may follow.
fn check(definition: &Value, rows: Vec<Row>) {
    assert_eq!(
        errors(definition, WorkflowType::Standard),
        [],
        "the valid side"
    );
    let mut seen = HashSet::new();
    for (change, code, place, words) in rows {
        let broken = changed(definition.clone(), &change);
        let found = errors(&broken, WorkflowType::Standard);
        let said: Vec<_> = found
            .iter()
            .map(|d| (d.code, d.location.as_str(), d.message.as_str()))
            .collect();
        let what = match &change {
            Put(pointer, value) => format!("{pointer} = {value}"),
            Remove(pointer) => format!("without {pointer}"),
        };
        let (first, others) = said
            .split_first()
            .unwrap_or_else(|| panic!("{what} is taken"));
        assert_eq!(*first, (code, place, words), "{what}: {others:?}");
        let follows = |code: &str| code == TARGET || code == "MISSING_END_STATE";
        assert!(others.iter().all(|d| follows(d.0)), "{what}: {others:?}");
        assert!(found[0].hint.is_some(), "{what}");
        assert!(seen.insert(what.clone()), "{what} stands twice");
    }
}

#[test]
fn rules_of_machines_and_graphs_are_enforced() {
    check(
        &jsonpath(),
        vec![
            (
                Remove("/StartAt"),
                SCHEMA,
                "",
                "These fields are required: [StartAt]",
            ),
            (
                Remove("/States"),
                SCHEMA,
                "",
                "These fields are required: [States]",
            ),
            (
                Put("/States", json!({})),
                SCHEMA,
                "/States",
                "Value cannot be empty",
            ),
            (
                Put("/States", json!([])),
                SCHEMA,
                "/States",
                "Expected value of type Object",
            ),
            (
                Put("/StartAt", json!(1)),
                SCHEMA,
                "/StartAt",
                "Expected value of type String",
            ),
            (
                Put("/Comment", json!(5)),
                SCHEMA,
                "/Comment",
                "Expected value of type String",
            ),
            (
                Put("/Version", json!("2.0")),
                SCHEMA,
                "/Version",
                "Value should be one of the following: [1.0]",
            ),
            (
                Put("/TimeoutSeconds", json!(-1)),
                SCHEMA,
                "/TimeoutSeconds",
                "Minimum value is 0",
            ),
            (
                Put("/TimeoutSeconds", json!(100_000_000)),
                SCHEMA,
                "/TimeoutSeconds",
                "Maximum value is 99999999",
            ),
            (
                Put("/TimeoutSeconds", json!("1")),
                SCHEMA,
                "/TimeoutSeconds",
                "Expected value of type Integer",
            ),
            (
                Put("/startAt", json!("Pass")),
                SCHEMA,
                "",
                "Field 'startAt' is not supported",
            ),
            (
                Put("/States/Pass", json!(1)),
                SCHEMA,
                "/States/Pass",
                "Expected value of type Object",
            ),
            (
                Put(
                    "/States/Parallel/Branches/0/QueryLanguage",
                    json!("JSONata"),
                ),
                SCHEMA,
                "/States/Parallel/Branches[0]",
                "Field 'QueryLanguage' is not supported",
            ),
            (
                Put("/States/Parallel/Branches/1/Version", json!("1.0")),
                SCHEMA,
                "/States/Parallel/Branches[1]",
                "Field 'Version' is not supported",
            ),
            (
                Remove("/States/Parallel/Branches/0/StartAt"),
                SCHEMA,
                "/States/Parallel/Branches[0]",
                "These fields are required: [StartAt]",
            ),
            (
                Remove("/States/Parallel/Branches/1/States"),
                SCHEMA,
                "/States/Parallel/Branches[1]",
                "These fields are required: [States]",
            ),
            (
                Put("/States/Parallel/Branches/1", json!("B")),
                SCHEMA,
                "/States/Parallel/Branches[1]",
                "Expected value of type Object",
            ),
            (
                Put("/States/Map/ItemProcessor/QueryLanguage", json!("JSONata")),
                SCHEMA,
                "/States/Map/ItemProcessor",
                "Field 'QueryLanguage' is not supported",
            ),
            (
                Put("/States/Inline/Iterator/QueryLanguage", json!("JSONPath")),
                SCHEMA,
                "/States/Inline/Iterator",
                "Field 'QueryLanguage' is not supported",
            ),
            (
                Remove("/States/Map/ItemProcessor/StartAt"),
                SCHEMA,
                "/States/Map/ItemProcessor",
                "These fields are required: [StartAt]",
            ),
            (
                Put("/States/Parallel/Branches/0/States/B1/Next", json!("B9")),
                SCHEMA,
                "/States/Parallel/Branches[0]/States/B1",
                "There should only be one of the following fields: [Next, End]",
            ),
            (
                Put("/States/Map/Next", json!("Nowhere")),
                TARGET,
                "/States/Map/Next",
                "Missing 'Next' target: Nowhere",
            ),
            (
                Put("/States/Choice/Default", json!("Nowhere")),
                TARGET,
                "/States/Choice/Default",
                "Missing 'Next' target: Nowhere",
            ),
            (
                Put("/States/Choice/Choices/1/Next", json!("Nowhere")),
                TARGET,
                "/States/Choice/Choices[1]/Next",
                "Missing 'Next' target: Nowhere",
            ),
            (
                Put("/States/Task/Catch/1/Next", json!("Nowhere")),
                TARGET,
                "/States/Task/Catch[1]/Next",
                "Missing 'Next' target: Nowhere",
            ),
            // A branch cannot lead to a state outside of it.
            (
                Put(
                    "/States/Parallel/Branches/1/States/B2",
                    json!({"Type": "Pass", "Next": "Map"}),
                ),
                TARGET,
                "/States/Parallel/Branches[1]/States/B2/Next",
                "Missing 'Next' target: Map",
            ),
            (
                Put("/States/Lost", json!({"Type": "Succeed"})),
                TARGET,
                "/States/Lost",
                "State \"Lost\" is not reachable.",
            ),
            (
                Put("/States/a~1b", json!({"Type": "Succeed"})),
                TARGET,
                "/States/a/b",
                "State \"a/b\" is not reachable.",
            ),
            (
                Put(
                    "/States/Map/ItemProcessor/States/Lost",
                    json!({"Type": "Succeed"}),
                ),
                TARGET,
                "/States/Map/ItemProcessor/States/Lost",
                "State \"Lost\" is not reachable.",
            ),
            (
                Put(
                    "/States/Map/ItemProcessor/States/I",
                    json!({"Type": "Pass", "Next": "I"}),
                ),
                "MISSING_END_STATE",
                "/States/Map/ItemProcessor",
                "Workflow has no terminal state",
            ),
            (
                Put(
                    "/States/Parallel/Branches/1",
                    json!({"StartAt": "Pass", "States": {"Pass": {"Type": "Succeed"}}}),
                ),
                "DUPLICATE_STATE_NAME",
                "/States/Parallel/Branches[1]/States/Pass",
                "Duplicate State name: Pass",
            ),
            (
                Put("/States/Map/Label", json!("a b")),
                SCHEMA,
                "/States/Map/Label",
                "Label contains invalid character: ' '",
            ),
            (
                Put("/States/Inline/Label", json!("label")),
                "DUPLICATE_LABEL_NAME",
                "/States/Inline/Label",
                "Duplicate Label name: label",
            ),
        ],
    );
}

#[test]
fn fields_belong_to_types_and_languages() {
    let types = [
        "Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map",
    ];
    // Each field with the types that have it, in both languages or in one.
    let fields: [(&str, Value, &[&str]); 19] = [
        ("TimeoutSeconds", json!(5), &["Task"]),
        ("HeartbeatSeconds", json!(5), &["Task"]),
        ("Catch", json!([]), &["Task", "Parallel", "Map"]),
        ("Retry", json!([]), &["Task", "Parallel", "Map"]),
        ("Credentials", json!({"RoleArn": "r"}), &["Task"]),
        ("Resource", json!("f"), &["Task"]),
        (
            "Next",
            json!("x"),
            &["Pass", "Task", "Wait", "Parallel", "Map"],
        ),
        (
            "End",
            json!(true),
            &["Pass", "Task", "Wait", "Parallel", "Map"],
        ),
        (
            "ResultPath",
            json!(null),
            &["Pass", "Task", "Parallel", "Map"],
        ),
        ("ResultSelector", json!({}), &["Task", "Parallel", "Map"]),
        (
            "Parameters",
            json!({}),
            &["Pass", "Task", "Parallel", "Map"],
        ),
        (
            "InputPath",
            json!("$"),
            &[
                "Pass", "Task", "Choice", "Wait", "Succeed", "Parallel", "Map",
            ],
        ),
        (
            "OutputPath",
            json!("$"),
            &[
                "Pass", "Task", "Choice", "Wait", "Succeed", "Parallel", "Map",
            ],
        ),
        (
            "Assign",
            json!({}),
            &["Pass", "Task", "Choice", "Wait", "Parallel", "Map"],
        ),
        ("Result", json!(1), &["Pass"]),
        ("MaxConcurrency", json!(1), &["Map"]),
        ("Label", json!("l2"), &["Map"]),
        (
            "Choices",
            json!([{"Variable": "$", "IsNull": true, "Next": "Fail"}]),
            &["Choice"],
        ),
        ("Error", json!("E"), &["Fail"]),
    ];
    for (field, value, holders) in fields {
        for kind in types {
            let mut definition = jsonpath();
            definition["States"][kind][field] = value.clone();
            let found = errors(&definition, WorkflowType::Standard);
            let refused = found
                .iter()
                .find(|d| d.message == format!("Field '{field}' is not supported"));
            assert_eq!(
                refused.is_none(),
                holders.contains(&kind),
                "{field} of {kind}: {found:?}"
            );
            if let Some(refused) = refused {
                assert_eq!(
                    refused.location,
                    format!("/States/{kind}"),
                    "{field} of {kind}"
                );
            }
        }
    }
    for (field, value, holders) in [
        (
            "Output",
            json!(1),
            &[
                "Pass", "Task", "Choice", "Wait", "Succeed", "Parallel", "Map",
            ][..],
        ),
        ("Arguments", json!({}), &["Task", "Parallel"]),
        ("Items", json!([]), &["Map"]),
    ] {
        for kind in types {
            let mut definition = jsonpath();
            definition["States"][kind][field] = value.clone();
            let words = if holders.contains(&kind) {
                format!(
                    "The QueryLanguage is set to 'JSONPath', but field '{field}' is only supported for the 'JSONata' QueryLanguage"
                )
            } else {
                format!("Field '{field}' is not supported")
            };
            let found = errors(&definition, WorkflowType::Standard);
            assert!(
                found
                    .iter()
                    .any(|d| d.message == words && d.location == format!("/States/{kind}")),
                "{field} of {kind}: {found:?}"
            );
        }
    }
}

#[test]
fn rules_of_jsonpath_states_are_enforced() {
    let reference = "Value is not a Reference Path: it must name exactly one place";
    let no_start = "Value is not a Reference Path: Reference path didn't start with '$'";
    let no_context = "Value is not a Reference Path: it cannot begin in the context object here";
    let no_variable = "Value is not a Reference Path: it cannot begin at a variable here";
    let dynamic = |field: &str| -> &'static str {
        format!("The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call").leak()
    };
    check(
        &jsonpath(),
        vec![
            (
                Remove("/States/Succeed/Type"),
                SCHEMA,
                "/States/Succeed",
                "These fields are required: [Type]",
            ),
            (
                Put("/States/Succeed/Type", json!("Success")),
                SCHEMA,
                "/States/Succeed/Type",
                "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]",
            ),
            (
                Put("/States/Succeed/Type", json!(1)),
                SCHEMA,
                "/States/Succeed/Type",
                "Expected value of type [STRING]",
            ),
            (
                Put("/States/Pass/Comment", json!(5)),
                SCHEMA,
                "/States/Pass/Comment",
                "Expected value of type String",
            ),
            (
                Put("/States/Pass/End", json!(true)),
                SCHEMA,
                "/States/Pass",
                "There should only be one of the following fields: [Next, End]",
            ),
            (
                Remove("/States/Pass/Next"),
                SCHEMA,
                "/States/Pass",
                "This object should have only one of the following fields: [Next, End]",
            ),
            (
                Put("/States/Pass/Next", json!(5)),
                SCHEMA,
                "/States/Pass/Next",
                "Expected value of type String",
            ),
            (
                Put("/States/Parallel/Branches/0/States/B1/End", json!("true")),
                SCHEMA,
                "/States/Parallel/Branches[0]/States/B1/End",
                "Expected value of type Boolean",
            ),
            (
                Put("/States/Parallel/Branches/0/States/B1/End", json!(false)),
                SCHEMA,
                "/States/Parallel/Branches[0]/States/B1",
                "This object should have only one of the following fields: [Next, End]",
            ),
            (
                Put("/States/Pass/InputPath", json!("a")),
                SCHEMA,
                "/States/Pass/InputPath",
                "Value must be a valid JSONPath.",
            ),
            (
                Put("/States/Pass/InputPath", json!("States.UUID()")),
                SCHEMA,
                "/States/Pass/InputPath",
                "Value must be a valid JSONPath.",
            ),
            (
                Put("/States/Pass/InputPath", json!(5)),
                SCHEMA,
                "/States/Pass/InputPath",
                "Expected value of type String",
            ),
            (
                Put("/States/Pass/OutputPath", json!("$.a[")),
                SCHEMA,
                "/States/Pass/OutputPath",
                "Value must be a valid JSONPath.",
            ),
            (
                Put("/States/Pass/ResultPath", json!("r")),
                SCHEMA,
                "/States/Pass/ResultPath",
                no_start,
            ),
            (
                Put("/States/Pass/ResultPath", json!("$.a[*]")),
                SCHEMA,
                "/States/Pass/ResultPath",
                reference,
            ),
            (
                Put("/States/Pass/ResultPath", json!("$..a")),
                SCHEMA,
                "/States/Pass/ResultPath",
                reference,
            ),
            (
                Put("/States/Pass/ResultPath", json!("$.a[1:2]")),
                SCHEMA,
                "/States/Pass/ResultPath",
                reference,
            ),
            (
                Put("/States/Pass/ResultPath", json!("$.a[?(@.b)]")),
                SCHEMA,
                "/States/Pass/ResultPath",
                reference,
            ),
            (
                Put("/States/Pass/ResultPath", json!("$v.a")),
                SCHEMA,
                "/States/Pass/ResultPath",
                no_variable,
            ),
            (
                Put("/States/Pass/ResultPath", json!("$$.a")),
                SCHEMA,
                "/States/Pass/ResultPath",
                no_context,
            ),
            (
                Put("/States/Pass/ResultPath", json!({"a": 1})),
                SCHEMA,
                "/States/Pass/ResultPath",
                "Expected value of type String",
            ),
            (
                Put("/States/Pass/Parameters/p.$", json!("p")),
                SCHEMA,
                "/States/Pass/Parameters",
                dynamic("p.$"),
            ),
            (
                Put("/States/Pass/Parameters/p.$", json!(5)),
                SCHEMA,
                "/States/Pass/Parameters",
                dynamic("p.$"),
            ),
            (
                Put("/States/Pass/Parameters/p.$", json!(" States.UUID()")),
                SCHEMA,
                "/States/Pass/Parameters",
                dynamic("p.$"),
            ),
            (
                Put("/States/Pass/Parameters/p.$", json!("States.Nothing()")),
                SCHEMA,
                "/States/Pass/Parameters",
                dynamic("p.$"),
            ),
            (
                Put("/States/Pass/Parameters/q/r.$", json!("States.Array(")),
                SCHEMA,
                "/States/Pass/Parameters/q",
                dynamic("r.$"),
            ),
            (
                Put("/States/Pass/Parameters/q/r.$", json!("States.MathAdd(1)")),
                SCHEMA,
                "/States/Pass/Parameters/q",
                dynamic("r.$"),
            ),
            (
                Put("/States/Pass/Parameters/p", json!(5)),
                SCHEMA,
                "/States/Pass/Parameters",
                "The fields 'p' and 'p.$' are in conflict",
            ),
            (
                Put("/States/Pass/Assign", json!([])),
                SCHEMA,
                "/States/Pass/Assign",
                "Expected value of type Object",
            ),
            (
                Put("/States/Pass/Assign/w.$", json!("w")),
                SCHEMA,
                "/States/Pass/Assign",
                dynamic("w.$"),
            ),
            (
                Put("/States/Pass/Assign/x.y.$", json!("$.a")),
                "INVALID_VARIABLE_NAME",
                "/States/Pass/Assign/x.y.$",
                "Invalid variable name 'x.y': the variable name contains invalid characters.",
            ),
            (
                Put("/States/Pass/Assign/a-b", json!(1)),
                "INVALID_VARIABLE_NAME",
                "/States/Pass/Assign/a-b",
                "Invalid variable name 'a-b': the variable name contains invalid characters.",
            ),
            (
                Put("/States/Pass/Assign/x[2]", json!(1)),
                "INVALID_VARIABLE_NAME",
                "/States/Pass/Assign/x[2]",
                "Invalid variable name 'x[2]': the variable name contains invalid characters.",
            ),
            (
                Put("/States/Pass/Assign/states", json!(1)),
                "RESERVED_VARIABLE_NAME",
                "/States/Pass/Assign/states",
                "Cannot assign to reserved variable '$states'.",
            ),
            (
                Put(
                    "/States/Parallel/Branches/0/States/B1/Assign",
                    json!({"v.$": "$"}),
                ),
                "DUPLICATE_VARIABLE_NAME",
                "/States/Parallel/Branches[0]/States/B1/Assign/v.$",
                "The variable name 'v' was already defined in a parent scope.",
            ),
            (
                Put("/States/Inline/Iterator/States/J/Assign", json!({"d": 1})),
                "DUPLICATE_VARIABLE_NAME",
                "/States/Inline/Iterator/States/J/Assign/d",
                "The variable name 'd' was already defined in a parent scope.",
            ),
            (
                Remove("/States/Task/Resource"),
                SCHEMA,
                "/States/Task",
                "These fields are required: [Resource]",
            ),
            (
                Put("/States/Task/Resource", json!(5)),
                SCHEMA,
                "/States/Task/Resource",
                "Expected value of type String",
            ),
            (
                Put(
                    "/States/Task/Resource",
                    json!("arn:aws:states:::dynamodb:query"),
                ),
                SCHEMA,
                "/States/Task/Resource",
                "The resource provided arn:aws:states:::dynamodb:query is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.",
            ),
            (
                Put(
                    "/States/Task/Resource",
                    json!("arn:aws:states:::lambda:invoke.sync"),
                ),
                SCHEMA,
                "/States/Task/Resource",
                "The resource provided arn:aws:states:::lambda:invoke.sync is not recognized. The value is not a valid resource ARN, or the resource is not available in this region.",
            ),
            (
                Remove("/States/Task/Parameters"),
                SCHEMA,
                "/States/Task",
                "Parameters field is required for resource ARN: arn:aws:states:::lambda:invoke",
            ),
            (
                Remove("/States/Task/Parameters/FunctionName"),
                SCHEMA,
                "/States/Task/Parameters",
                "The field 'FunctionName' is required but was missing",
            ),
            (
                Put("/States/Task/TimeoutSeconds", json!(0)),
                SCHEMA,
                "/States/Task/TimeoutSeconds",
                "Minimum value is 1",
            ),
            (
                Put("/States/Task/TimeoutSeconds", json!(100_000_000)),
                SCHEMA,
                "/States/Task/TimeoutSeconds",
                "Maximum value is 99999999",
            ),
            (
                Put("/States/Task/TimeoutSeconds", json!(10.5)),
                SCHEMA,
                "/States/Task/TimeoutSeconds",
                "Expected value of type Integer",
            ),
            (
                Put("/States/Task/TimeoutSeconds", json!("{% 10 %}")),
                SCHEMA,
                "/States/Task/TimeoutSeconds",
                "Expected value of type Integer",
            ),
            (
                Put("/States/Task/HeartbeatSeconds", json!(10)),
                SCHEMA,
                "/States/Task/HeartbeatSeconds",
                "HeartbeatSeconds must be smaller than TimeoutSeconds",
            ),
            (
                Put("/States/Task/TimeoutSecondsPath", json!("$.t")),
                SCHEMA,
                "/States/Task",
                "There should only be one of the following fields: [TimeoutSeconds, TimeoutSecondsPath]",
            ),
            (
                Put("/States/Task/HeartbeatSecondsPath", json!("$.t")),
                SCHEMA,
                "/States/Task",
                "There should only be one of the following fields: [HeartbeatSeconds, HeartbeatSecondsPath]",
            ),
            (
                Put(
                    "/States/Paths/TimeoutSecondsPath",
                    json!("$$.Execution.Input.t"),
                ),
                SCHEMA,
                "/States/Paths/TimeoutSecondsPath",
                no_context,
            ),
            (
                Put("/States/Paths/TimeoutSecondsPath", json!("$.t[*]")),
                SCHEMA,
                "/States/Paths/TimeoutSecondsPath",
                reference,
            ),
            (
                Put("/States/Paths/Credentials", json!({"RoleArn": "r"})),
                SCHEMA,
                "/States/Paths/Credentials",
                "The field 'Credentials' is not supported for activities",
            ),
            (
                Put("/States/Task/Credentials", json!({})),
                SCHEMA,
                "/States/Task/Credentials",
                "The field 'RoleArn' is required but was missing",
            ),
            (
                Put("/States/Task/Credentials", json!("r")),
                SCHEMA,
                "/States/Task/Credentials",
                "Expected value of type Object",
            ),
            (
                Put("/States/Wait/Seconds", json!(-1)),
                SCHEMA,
                "/States/Wait/Seconds",
                "Minimum value is 0",
            ),
            (
                Put("/States/Wait/Seconds", json!(100_000_000)),
                SCHEMA,
                "/States/Wait/Seconds",
                "Maximum value is 99999999",
            ),
            (
                Put("/States/Wait/Seconds", json!("1")),
                SCHEMA,
                "/States/Wait/Seconds",
                "Expected value of type Integer",
            ),
            (
                Put("/States/Wait/Timestamp", json!("2026-01-01T00:00:00Z")),
                SCHEMA,
                "/States/Wait",
                "There should only be one of the following fields: [SecondsPath, Seconds, TimestampPath, Timestamp]",
            ),
            (
                Remove("/States/Wait/Seconds"),
                SCHEMA,
                "/States/Wait",
                "This object should have only one of the following fields: [SecondsPath, Seconds, TimestampPath, Timestamp]",
            ),
            (
                Put(
                    "/States/Wait",
                    json!({"Type": "Wait", "Timestamp": "2026-01-01", "Next": "Until"}),
                ),
                SCHEMA,
                "/States/Wait/Timestamp",
                "String does not match RFC3339 timestamp",
            ),
            (
                Put(
                    "/States/Wait",
                    json!({"Type": "Wait", "Timestamp": 5, "Next": "Until"}),
                ),
                SCHEMA,
                "/States/Wait/Timestamp",
                "Expected value of type String",
            ),
            (
                Put("/States/Until/TimestampPath", json!("$.u[0,1]")),
                SCHEMA,
                "/States/Until/TimestampPath",
                reference,
            ),
            (
                Put("/States/Fail/Error", json!("E")),
                SCHEMA,
                "/States/Fail",
                "There should only be one of the following fields: [Error, ErrorPath]",
            ),
            (
                Put("/States/Fail/Cause", json!("E")),
                SCHEMA,
                "/States/Fail",
                "There should only be one of the following fields: [Cause, CausePath]",
            ),
            (
                Put("/States/Fail/ErrorPath", json!("e")),
                SCHEMA,
                "/States/Fail/ErrorPath",
                "The value must be a valid JSONPath or a valid intrinsic function call that returns a string",
            ),
            (
                Put("/States/Fail/ErrorPath", json!("States.Array(1)")),
                SCHEMA,
                "/States/Fail/ErrorPath",
                "The value must be a valid JSONPath or a valid intrinsic function call that returns a string",
            ),
            (
                Put("/States/Fail/ErrorPath", json!(5)),
                SCHEMA,
                "/States/Fail/ErrorPath",
                "Expected value of type String",
            ),
        ],
    );
}

#[test]
fn rules_of_retriers_and_catchers_are_enforced() {
    let alone = "States.ALL must appear alone and at end of list";
    check(
        &jsonpath(),
        vec![
            (
                Put("/States/Task/Retry", json!({})),
                SCHEMA,
                "/States/Task/Retry",
                "Expected value of type Array",
            ),
            (
                Put("/States/Task/Retry/0", json!("A")),
                SCHEMA,
                "/States/Task/Retry[0]",
                "Expected value of type Object",
            ),
            (
                Remove("/States/Task/Retry/0/ErrorEquals"),
                SCHEMA,
                "/States/Task/Retry[0]",
                "These fields are required: [ErrorEquals]",
            ),
            (
                Put("/States/Task/Retry/0/ErrorEquals", json!([])),
                SCHEMA,
                "/States/Task/Retry[0]/ErrorEquals",
                "Value cannot be empty",
            ),
            (
                Put("/States/Task/Retry/0/ErrorEquals", json!("A")),
                SCHEMA,
                "/States/Task/Retry[0]/ErrorEquals",
                "Expected value of type Array",
            ),
            (
                Put("/States/Task/Retry/0/ErrorEquals/1", json!(5)),
                SCHEMA,
                "/States/Task/Retry[0]/ErrorEquals[1]",
                "Expected value of type String",
            ),
            (
                Put("/States/Task/Retry/0/ErrorEquals/1", json!("States.ALL")),
                SCHEMA,
                "/States/Task/Retry[0]/ErrorEquals[1]",
                alone,
            ),
            (
                Put("/States/Task/Retry/0/ErrorEquals", json!(["States.ALL"])),
                SCHEMA,
                "/States/Task/Retry[0]/ErrorEquals[0]",
                alone,
            ),
            (
                Put("/States/Task/Retry/1/ErrorEquals/1", json!("A")),
                SCHEMA,
                "/States/Task/Retry[1]/ErrorEquals[0]",
                alone,
            ),
            (
                Put("/States/Task/Retry/0/IntervalSeconds", json!(-1)),
                SCHEMA,
                "/States/Task/Retry[0]/IntervalSeconds",
                "Minimum value is 0",
            ),
            (
                Put("/States/Task/Retry/0/IntervalSeconds", json!(1.5)),
                SCHEMA,
                "/States/Task/Retry[0]/IntervalSeconds",
                "Expected value of type Integer",
            ),
            (
                Put("/States/Task/Retry/0/MaxAttempts", json!(-1)),
                SCHEMA,
                "/States/Task/Retry[0]/MaxAttempts",
                "Minimum value is 0",
            ),
            (
                Put("/States/Task/Retry/0/MaxAttempts", json!(100_000_000)),
                SCHEMA,
                "/States/Task/Retry[0]/MaxAttempts",
                "Maximum value is 99999999",
            ),
            (
                Put("/States/Task/Retry/0/BackoffRate", json!(0.9)),
                SCHEMA,
                "/States/Task/Retry[0]/BackoffRate",
                "Minimum value is 1.0",
            ),
            (
                Put("/States/Task/Retry/0/BackoffRate", json!("2")),
                SCHEMA,
                "/States/Task/Retry[0]/BackoffRate",
                "Expected value of type Number",
            ),
            (
                Put("/States/Task/Retry/0/MaxDelaySeconds", json!(0)),
                SCHEMA,
                "/States/Task/Retry[0]/MaxDelaySeconds",
                "Minimum value is 1",
            ),
            (
                Put("/States/Task/Retry/0/MaxDelaySeconds", json!(31_622_401)),
                SCHEMA,
                "/States/Task/Retry[0]/MaxDelaySeconds",
                "Maximum value is 31622400",
            ),
            (
                Put("/States/Task/Retry/0/JitterStrategy", json!("HALF")),
                SCHEMA,
                "/States/Task/Retry[0]/JitterStrategy",
                "Value should be one of the following: [NONE, FULL]",
            ),
            (
                Put("/States/Task/Retry/0/Next", json!("Fail")),
                SCHEMA,
                "/States/Task/Retry[0]",
                "Field 'Next' is not supported",
            ),
            (
                Put("/States/Task/Catch", json!("A")),
                SCHEMA,
                "/States/Task/Catch",
                "Expected value of type Array",
            ),
            (
                Put("/States/Parallel/Catch/0", json!({"ErrorEquals": ["E"]})),
                SCHEMA,
                "/States/Parallel/Catch[0]",
                "These fields are required: [Next]",
            ),
            (
                Put("/States/Task/Catch/0/ErrorEquals", json!([])),
                SCHEMA,
                "/States/Task/Catch[0]/ErrorEquals",
                "Value cannot be empty",
            ),
            (
                Put("/States/Task/Catch/0/ErrorEquals/0", json!("States.ALL")),
                SCHEMA,
                "/States/Task/Catch[0]/ErrorEquals[0]",
                alone,
            ),
            (
                Put("/States/Task/Catch/0/ResultPath", json!("$$.e")),
                SCHEMA,
                "/States/Task/Catch[0]/ResultPath",
                "Value is not a Reference Path: it cannot begin in the context object here",
            ),
            (
                Put("/States/Task/Catch/0/MaxAttempts", json!(1)),
                SCHEMA,
                "/States/Task/Catch[0]",
                "Field 'MaxAttempts' is not supported",
            ),
            (
                Put("/States/Task/Catch/0/Output", json!(1)),
                SCHEMA,
                "/States/Task/Catch[0]",
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage",
            ),
            (
                Put("/States/Task/Catch/0/Assign/a b", json!(1)),
                "INVALID_VARIABLE_NAME",
                "/States/Task/Catch[0]/Assign/a b",
                "Invalid variable name 'a b': the variable name contains invalid characters.",
            ),
        ],
    );
}

#[test]
fn rules_of_choices_are_enforced() {
    let selectors = "The object must have only one of the following fields, [And, Or, Not, Variable, Condition]";
    check(
        &jsonpath(),
        vec![
            (
                Remove("/States/Choice/Choices"),
                SCHEMA,
                "/States/Choice",
                "These fields are required: [Choices]",
            ),
            (
                Put("/States/Choice/Choices", json!([])),
                SCHEMA,
                "/States/Choice/Choices",
                "Value cannot be empty",
            ),
            (
                Put("/States/Choice/Choices", json!({})),
                SCHEMA,
                "/States/Choice/Choices",
                "Expected value of type Array",
            ),
            (
                Put("/States/Choice/Choices/0", json!("x")),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "Expected value of type Object",
            ),
            (
                Put("/States/Choice/Default", json!(5)),
                SCHEMA,
                "/States/Choice/Default",
                "Expected value of type String",
            ),
            (
                Remove("/States/Choice/Choices/0/Next"),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "These fields are required: [Next]",
            ),
            (
                Remove("/States/Choice/Choices/0/Variable"),
                SCHEMA,
                "/States/Choice/Choices[0]",
                selectors,
            ),
            (
                Put("/States/Choice/Choices/0/And", json!([])),
                SCHEMA,
                "/States/Choice/Choices[0]",
                selectors,
            ),
            (
                Remove("/States/Choice/Choices/0/NumericEquals"),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "This object should have only one comparison operator, such as StringEquals",
            ),
            (
                Put("/States/Choice/Choices/0/IsNumeric", json!(true)),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "There should only be one of the following fields: [NumericEquals, IsNumeric]",
            ),
            (
                Put("/States/Choice/Choices/0/NumericIs", json!(1)),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "Field 'NumericIs' is not supported",
            ),
            (
                Put("/States/Choice/Choices/0/Comment", json!(1)),
                SCHEMA,
                "/States/Choice/Choices[0]/Comment",
                "Expected value of type String",
            ),
            (
                Put("/States/Choice/Choices/0/Variable", json!("n")),
                SCHEMA,
                "/States/Choice/Choices[0]/Variable",
                "Value is not a Reference Path: Reference path didn't start with '$'",
            ),
            (
                Put("/States/Choice/Choices/0/Variable", json!("$.l[*]")),
                SCHEMA,
                "/States/Choice/Choices[0]/Variable",
                "Value is not a Reference Path: it must name exactly one place",
            ),
            (
                Put("/States/Choice/Choices/0/Variable", json!(5)),
                SCHEMA,
                "/States/Choice/Choices[0]/Variable",
                "Expected value of type String",
            ),
            (
                Put("/States/Choice/Choices/0/NumericEquals", json!("1")),
                SCHEMA,
                "/States/Choice/Choices[0]/NumericEquals",
                "Expected value of type Number",
            ),
            (
                Put("/States/Choice/Choices/1/And", json!([])),
                SCHEMA,
                "/States/Choice/Choices[1]/And",
                "Value cannot be empty",
            ),
            (
                Put("/States/Choice/Choices/1/And", json!({})),
                SCHEMA,
                "/States/Choice/Choices[1]/And",
                "Expected value of type Array",
            ),
            (
                Put("/States/Choice/Choices/1/And/0", json!(1)),
                SCHEMA,
                "/States/Choice/Choices[1]/And[0]",
                "Expected value of type Object",
            ),
            (
                Put("/States/Choice/Choices/1/And/0/Next", json!("Wait")),
                SCHEMA,
                "/States/Choice/Choices[1]/And[0]",
                "Field 'Next' is not supported",
            ),
            (
                Put("/States/Choice/Choices/1/And/0/Assign", json!({})),
                SCHEMA,
                "/States/Choice/Choices[1]/And[0]",
                "Field 'Assign' is not supported",
            ),
            (
                Put("/States/Choice/Choices/1/And/0/StringMatches", json!(1)),
                SCHEMA,
                "/States/Choice/Choices[1]/And[0]/StringMatches",
                "Expected value of type String",
            ),
            (
                Put(
                    "/States/Choice/Choices/1/And/1/Not/TimestampLessThan",
                    json!("yesterday"),
                ),
                SCHEMA,
                "/States/Choice/Choices[1]/And[1]/Not/TimestampLessThan",
                "String does not match RFC3339 timestamp",
            ),
            (
                Put("/States/Choice/Choices/1/StringEquals", json!("x")),
                SCHEMA,
                "/States/Choice/Choices[1]",
                "Field 'StringEquals' is not supported",
            ),
            (
                Put("/States/Choice/Choices/2/Or/0/BooleanEquals", json!("true")),
                SCHEMA,
                "/States/Choice/Choices[2]/Or[0]/BooleanEquals",
                "Expected value of type Boolean",
            ),
            (
                Put("/States/Choice/Choices/2/Or/1/StringEqualsPath", json!("s")),
                SCHEMA,
                "/States/Choice/Choices[2]/Or[1]/StringEqualsPath",
                "Value is not a Reference Path: Reference path didn't start with '$'",
            ),
            (
                Put("/States/Choice/Choices/3/Not/IsPresent", json!("yes")),
                SCHEMA,
                "/States/Choice/Choices[3]/Not/IsPresent",
                "Expected value of type Boolean",
            ),
            (
                Put("/States/Choice/Choices/3/Not", json!([])),
                SCHEMA,
                "/States/Choice/Choices[3]/Not",
                "Expected value of type Object",
            ),
            (
                Put("/States/Choice/Choices/0/Output", json!(1)),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "Field 'Output' is not supported",
            ),
        ],
    );
}

#[test]
fn rules_of_maps_are_enforced() {
    let reference = "Value is not a Reference Path: it must name exactly one place";
    let no_context = "Value is not a Reference Path: it cannot begin in the context object here";
    let allowed = "The field 'Resource' does not match any of the allowed values";
    check(
        &jsonpath(),
        vec![
            (
                Remove("/States/Inline/Iterator"),
                SCHEMA,
                "/States/Inline",
                "This object should have only one of the following fields: [ItemProcessor, Iterator]",
            ),
            (
                Put("/States/Map/Iterator", json!({})),
                SCHEMA,
                "/States/Map",
                "There should only be one of the following fields: [ItemProcessor, Iterator]",
            ),
            (
                Put("/States/Map/ItemProcessor", json!([])),
                SCHEMA,
                "/States/Map/ItemProcessor",
                "Expected value of type Object",
            ),
            (
                Put("/States/Map/Parameters", json!({})),
                SCHEMA,
                "/States/Map",
                "There should only be one of the following fields: [ItemSelector, Parameters]",
            ),
            (
                Put("/States/Map/ItemsPath", json!("$.l[*]")),
                SCHEMA,
                "/States/Map/ItemsPath",
                reference,
            ),
            (
                Put("/States/Map/ItemsPath", json!(null)),
                SCHEMA,
                "/States/Map/ItemsPath",
                "Expected value of type String",
            ),
            (
                Put("/States/Inline/MaxConcurrency", json!(-1)),
                SCHEMA,
                "/States/Inline/MaxConcurrency",
                "Minimum value is 0",
            ),
            (
                Put("/States/Inline/MaxConcurrency", json!("1")),
                SCHEMA,
                "/States/Inline/MaxConcurrency",
                "Expected value of type Integer",
            ),
            (
                Put("/States/Map/MaxConcurrency", json!(1)),
                SCHEMA,
                "/States/Map",
                "There should only be one of the following fields: [MaxConcurrency, MaxConcurrencyPath]",
            ),
            (
                Put(
                    "/States/Map/MaxConcurrencyPath",
                    json!("$$.Execution.Input.n"),
                ),
                SCHEMA,
                "/States/Map/MaxConcurrencyPath",
                no_context,
            ),
            (
                Put("/States/Map/ToleratedFailureCount", json!(-1)),
                SCHEMA,
                "/States/Map/ToleratedFailureCount",
                "Minimum value is 0",
            ),
            (
                Put("/States/Map/ToleratedFailureCountPath", json!("$.n")),
                SCHEMA,
                "/States/Map",
                "There should only be one of the following fields: [ToleratedFailureCount, ToleratedFailureCountPath]",
            ),
            (
                Put("/States/Map/ToleratedFailurePercentage", json!(-1)),
                SCHEMA,
                "/States/Map/ToleratedFailurePercentage",
                "Minimum value is 0.0",
            ),
            (
                Put("/States/Map/ToleratedFailurePercentage", json!(100.5)),
                SCHEMA,
                "/States/Map/ToleratedFailurePercentage",
                "Maximum value is 100.0",
            ),
            (
                Put("/States/Map/ToleratedFailurePercentagePath", json!("$.n")),
                SCHEMA,
                "/States/Map",
                "There should only be one of the following fields: [ToleratedFailurePercentage, ToleratedFailurePercentagePath]",
            ),
            (
                Put(
                    "/States/Map/ItemProcessor/ProcessorConfig/Mode",
                    json!("BOTH"),
                ),
                SCHEMA,
                "/States/Map/ItemProcessor/ProcessorConfig/Mode",
                "Value should be one of the following: [INLINE, DISTRIBUTED]",
            ),
            (
                Put(
                    "/States/Map/ItemProcessor/ProcessorConfig/Mode",
                    json!("INLINE"),
                ),
                SCHEMA,
                "/States/Map/ItemProcessor/ProcessorConfig",
                "Field 'ExecutionType' is not supported",
            ),
            (
                Remove("/States/Map/ItemProcessor/ProcessorConfig/ExecutionType"),
                SCHEMA,
                "/States/Map/ItemProcessor/ProcessorConfig",
                "These fields are required: [ExecutionType]",
            ),
            (
                Put(
                    "/States/Map/ItemProcessor/ProcessorConfig/ExecutionType",
                    json!("FAST"),
                ),
                SCHEMA,
                "/States/Map/ItemProcessor/ProcessorConfig/ExecutionType",
                "Value should be one of the following: [STANDARD, EXPRESS]",
            ),
            (
                Put("/States/Map/ItemReader", json!([])),
                SCHEMA,
                "/States/Map/ItemReader",
                "Expected value of type Object",
            ),
            (
                Remove("/States/Map/ItemReader/Resource"),
                SCHEMA,
                "/States/Map/ItemReader",
                "These fields are required: [Resource]",
            ),
            (
                Put(
                    "/States/Map/ItemReader/Resource",
                    json!("arn:aws:states:::s3:putObject"),
                ),
                SCHEMA,
                "/States/Map/ItemReader/Resource",
                allowed,
            ),
            (
                Put(
                    "/States/Map/ItemReader/Resource",
                    json!("arn:aws:states:::dynamodb:getItem"),
                ),
                SCHEMA,
                "/States/Map/ItemReader/Resource",
                allowed,
            ),
            (
                Remove("/States/Map/ItemReader/Parameters/Bucket"),
                SCHEMA,
                "/States/Map/ItemReader/Parameters",
                "The field 'Bucket' is required but was missing",
            ),
            (
                Put("/States/Map/ItemReader/Arguments", json!({})),
                SCHEMA,
                "/States/Map/ItemReader",
                "The QueryLanguage is set to 'JSONPath', but field 'Arguments' is only supported for the 'JSONata' QueryLanguage",
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig/InputType",
                    json!("XML"),
                ),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/InputType",
                "Value should be one of the following: [CSV, JSON, JSONL, MANIFEST, PARQUET]",
            ),
            (
                Remove("/States/Map/ItemReader/ReaderConfig/CSVHeaderLocation"),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig",
                "The field 'CSVHeaderLocation' is required",
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig/CSVHeaderLocation",
                    json!("LAST"),
                ),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/CSVHeaderLocation",
                "Value should be one of the following: [FIRST_ROW, GIVEN]",
            ),
            (
                Remove("/States/Map/ItemReader/ReaderConfig/CSVHeaders"),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig",
                "These fields are required: [CSVHeaders]",
            ),
            (
                Put("/States/Map/ItemReader/ReaderConfig/CSVHeaders", json!([])),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/CSVHeaders",
                "Value cannot be empty",
            ),
            (
                Put("/States/Map/ItemReader/ReaderConfig/CSVHeaders/0", json!(1)),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/CSVHeaders[0]",
                "Expected value of type String",
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig/CSVDelimiter",
                    json!(","),
                ),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/CSVDelimiter",
                "Value should be one of the following: [COMMA, PIPE, SEMICOLON, SPACE, TAB]",
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig",
                    json!({"InputType": "JSON", "CSVDelimiter": "TAB"}),
                ),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig",
                "Field 'CSVDelimiter' is not supported",
            ),
            (
                Put("/States/Map/ItemReader/ReaderConfig/MaxItems", json!(-1)),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/MaxItems",
                "Minimum value is 0",
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig/MaxItems",
                    json!(100_000_001),
                ),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig/MaxItems",
                "Maximum value is 100000000",
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig/MaxItemsPath",
                    json!("$.n"),
                ),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig",
                "There should only be one of the following fields: [MaxItems, MaxItemsPath]",
            ),
            (
                Put("/States/Map/ItemReader/ReaderConfig/Other", json!(1)),
                SCHEMA,
                "/States/Map/ItemReader/ReaderConfig",
                "Field 'Other' is not supported",
            ),
            (
                Put("/States/Map/ItemBatcher", json!({"BatchInput": {}})),
                SCHEMA,
                "/States/Map/ItemBatcher",
                "These fields are required: one of [MaxItemsPerBatch, MaxInputBytesPerBatch]",
            ),
            (
                Put("/States/Map/ItemBatcher/MaxItemsPerBatch", json!(-1)),
                SCHEMA,
                "/States/Map/ItemBatcher/MaxItemsPerBatch",
                "Minimum value is 0",
            ),
            (
                Put("/States/Map/ItemBatcher/MaxItemsPerBatchPath", json!("$.n")),
                SCHEMA,
                "/States/Map/ItemBatcher",
                "There should only be one of the following fields: [MaxItemsPerBatch, MaxItemsPerBatchPath]",
            ),
            (
                Put(
                    "/States/Map/ItemBatcher/MaxInputBytesPerBatchPath",
                    json!("$$.n"),
                ),
                SCHEMA,
                "/States/Map/ItemBatcher/MaxInputBytesPerBatchPath",
                no_context,
            ),
            (
                Put(
                    "/States/Map/ItemBatcher",
                    json!({"MaxInputBytesPerBatch": 262_145}),
                ),
                SCHEMA,
                "/States/Map/ItemBatcher/MaxInputBytesPerBatch",
                "Maximum value is 262144",
            ),
            (
                Put("/States/Map/ItemBatcher/BatchInput/b.$", json!("b")),
                SCHEMA,
                "/States/Map/ItemBatcher/BatchInput",
                "The value for the field 'b.$' must be a valid JSONPath or a valid intrinsic function call",
            ),
            (
                Put("/States/Map/ResultWriter", json!({})),
                SCHEMA,
                "/States/Map/ResultWriter",
                "These fields are required: one of [Resource, WriterConfig]",
            ),
            (
                Put(
                    "/States/Map/ResultWriter/Resource",
                    json!("arn:aws:states:::s3:getObject"),
                ),
                SCHEMA,
                "/States/Map/ResultWriter/Resource",
                allowed,
            ),
            (
                Remove("/States/Map/ResultWriter/Parameters"),
                SCHEMA,
                "/States/Map/ResultWriter",
                "Parameters field is required for resource ARN: arn:aws:states:::s3:putObject",
            ),
            (
                Put(
                    "/States/Map/ResultWriter/WriterConfig/Transformation",
                    json!("SORT"),
                ),
                SCHEMA,
                "/States/Map/ResultWriter/WriterConfig/Transformation",
                "Value should be one of the following: [NONE, COMPACT, FLATTEN]",
            ),
            (
                Put(
                    "/States/Map/ResultWriter/WriterConfig/OutputType",
                    json!("CSV"),
                ),
                SCHEMA,
                "/States/Map/ResultWriter/WriterConfig/OutputType",
                "Value should be one of the following: [JSON, JSONL]",
            ),
            (
                Remove("/States/Parallel/Branches"),
                SCHEMA,
                "/States/Parallel",
                "These fields are required: [Branches]",
            ),
            (
                Put("/States/Parallel/Branches", json!([])),
                SCHEMA,
                "/States/Parallel/Branches",
                "Value cannot be empty",
            ),
            (
                Put("/States/Parallel/Branches", json!({})),
                SCHEMA,
                "/States/Parallel/Branches",
                "Expected value of type Array",
            ),
        ],
    );
}

#[test]
fn rules_of_jsonata_states_are_enforced() {
    let phone = "Reference to 'phone' at the top level is not supported.";
    let only = |field: &str| -> &'static str {
        format!("The QueryLanguage is set to 'JSONata', but field '{field}' is only supported for the 'JSONPath' QueryLanguage").leak()
    };
    let open = "JSONata string must start with {% and end with %}";
    check(
        &jsonata(),
        vec![
            (
                Put("/States/Pass/Output/a/0", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Pass/Output/a[0]",
                phone,
            ),
            (
                Put("/States/Pass/Output/a/0", json!("{% $.phone %}")),
                UNSUPPORTED,
                "/States/Pass/Output/a[0]",
                "Reference to '$' at the top level is not supported.",
            ),
            (
                Put("/States/Pass/Output", json!("{% $$ %}")),
                UNSUPPORTED,
                "/States/Pass/Output",
                "Reference to '$$' is not supported.",
            ),
            (
                Put("/States/Pass/Output", json!("{% $states.errorOutput %}")),
                UNSUPPORTED,
                "/States/Pass/Output",
                "Field '$states.errorOutput' does not exist.",
            ),
            (
                Put("/States/Pass/Output", json!("{% $states.inputs %}")),
                UNSUPPORTED,
                "/States/Pass/Output",
                "Field '$states.inputs' does not exist.",
            ),
            (
                Put("/States/Wait/Output", json!("{% $states.result %}")),
                UNSUPPORTED,
                "/States/Wait/Output",
                "Field '$states.result' does not exist.",
            ),
            (
                Put(
                    "/States/Task/Arguments/Payload/p",
                    json!("{% $states.result %}"),
                ),
                UNSUPPORTED,
                "/States/Task/Arguments/Payload/p",
                "Field '$states.result' does not exist.",
            ),
            (
                Put("/States/Task/Arguments/Payload/Next", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Task/Arguments/Payload/Next",
                phone,
            ),
            (
                Put("/States/Task/Catch/0/Output", json!("{% $states.result %}")),
                UNSUPPORTED,
                "/States/Task/Catch[0]/Output",
                "Field '$states.result' does not exist.",
            ),
            (
                Put("/States/Task/Catch/0/Assign/e", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Task/Catch[0]/Assign/e",
                phone,
            ),
            (
                Put(
                    "/States/Choice/Choices/0/Condition",
                    json!("{% phone = 1 %}"),
                ),
                UNSUPPORTED,
                "/States/Choice/Choices[0]/Condition",
                phone,
            ),
            (
                Put("/States/Choice/Choices/0/Output", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Choice/Choices[0]/Output",
                phone,
            ),
            (
                Put("/States/Wait/Seconds", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Wait/Seconds",
                phone,
            ),
            (
                Put("/States/Fail/Cause", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Fail/Cause",
                phone,
            ),
            (
                Put("/States/Map/Items", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Map/Items",
                phone,
            ),
            (
                Put("/States/Map/MaxConcurrency", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Map/MaxConcurrency",
                phone,
            ),
            (
                Put("/States/Map/ItemSelector/i", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Map/ItemSelector/i",
                phone,
            ),
            (
                Put("/States/Map/ItemBatcher/BatchInput/b", json!("{% phone %}")),
                UNSUPPORTED,
                "/States/Map/ItemBatcher/BatchInput/b",
                phone,
            ),
            (
                Put(
                    "/States/Map/ItemReader/Arguments/Bucket",
                    json!("{% phone %}"),
                ),
                UNSUPPORTED,
                "/States/Map/ItemReader/Arguments/Bucket",
                phone,
            ),
            (
                Put(
                    "/States/Map/ItemReader/ReaderConfig/MaxItems",
                    json!("{% phone %}"),
                ),
                UNSUPPORTED,
                "/States/Map/ItemReader/ReaderConfig/MaxItems",
                phone,
            ),
            (
                Put(
                    "/States/Map/ResultWriter/Arguments/Bucket",
                    json!("{% phone %}"),
                ),
                UNSUPPORTED,
                "/States/Map/ResultWriter/Arguments/Bucket",
                phone,
            ),
            (
                Put(
                    "/States/Parallel/Branches/0/States/B/Output",
                    json!({"v": "{% phone %}"}),
                ),
                UNSUPPORTED,
                "/States/Parallel/Branches[0]/States/B/Output/v",
                phone,
            ),
            (
                Put("/States/Pass/Output/b", json!("{% \"unterminated %}")),
                INVALID,
                "/States/Pass/Output/b",
                "String literal must be terminated by a matching quote",
            ),
            (
                Put("/States/Pass/Output/b", json!("{% 1 + %}")),
                INVALID,
                "/States/Pass/Output/b",
                "Unexpected end of expression",
            ),
            (
                Put("/States/Pass/Output/b", json!("{%%}")),
                INVALID,
                "/States/Pass/Output/b",
                "Unexpected end of expression",
            ),
            (
                Put("/States/Choice/Choices/0/Condition", json!("{% $v = %}")),
                INVALID,
                "/States/Choice/Choices[0]/Condition",
                "Unexpected end of expression",
            ),
            (
                Put("/States/Wait/Seconds", json!("{% ( %}")),
                INVALID,
                "/States/Wait/Seconds",
                "Expected \")\" before end of expression",
            ),
            (
                Put("/States/Pass/Output/b", json!("{% 1")),
                SCHEMA,
                "/States/Pass/Output/b",
                open,
            ),
            (
                Put("/States/Pass/Output/b", json!("1 %}")),
                SCHEMA,
                "/States/Pass/Output/b",
                open,
            ),
            (
                Put("/States/Wait/Seconds", json!("{% 1")),
                SCHEMA,
                "/States/Wait/Seconds",
                open,
            ),
            (
                Put("/States/Fail/Error", json!("{% 1")),
                SCHEMA,
                "/States/Fail/Error",
                open,
            ),
            (
                Put("/States/Wait/Seconds", json!("1")),
                SCHEMA,
                "/States/Wait/Seconds",
                "Expected value of type Integer",
            ),
            (
                Put("/States/Choice/Choices/0/Condition", json!("true")),
                SCHEMA,
                "/States/Choice/Choices[0]/Condition",
                "Expected value of type Boolean",
            ),
            (
                Remove("/States/Choice/Choices/0/Condition"),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "These fields are required: [Condition]",
            ),
            (
                Put("/States/Choice/Choices/0/Variable", json!("$.a")),
                SCHEMA,
                "/States/Choice/Choices[0]",
                "Field 'Variable' is not supported",
            ),
            (
                Put("/States/Map/Items", json!("l")),
                SCHEMA,
                "/States/Map/Items",
                "Expected value of type Array",
            ),
            (
                Put("/States/Pass/QueryLanguage", json!("JSONPath")),
                SCHEMA,
                "/States/Pass",
                "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine",
            ),
            (
                Put("/States/Pass/QueryLanguage", json!("jsonata")),
                SCHEMA,
                "/States/Pass/QueryLanguage",
                "Value should be one of the following: [JSONPath, JSONata]",
            ),
            (
                Put("/QueryLanguage", json!("jsonata")),
                SCHEMA,
                "/QueryLanguage",
                "Value should be one of the following: [JSONPath, JSONata]",
            ),
            (
                Put("/States/Pass/InputPath", json!("$.a")),
                SCHEMA,
                "/States/Pass",
                only("InputPath"),
            ),
            (
                Put("/States/Pass/OutputPath", json!("$.a")),
                SCHEMA,
                "/States/Pass",
                only("OutputPath"),
            ),
            (
                Put("/States/Pass/ResultPath", json!("$.a")),
                SCHEMA,
                "/States/Pass",
                only("ResultPath"),
            ),
            (
                Put("/States/Pass/Result", json!(1)),
                SCHEMA,
                "/States/Pass",
                only("Result"),
            ),
            (
                Put("/States/Task/Parameters", json!({})),
                SCHEMA,
                "/States/Task",
                only("Parameters"),
            ),
            (
                Put("/States/Task/ResultSelector", json!({})),
                SCHEMA,
                "/States/Task",
                only("ResultSelector"),
            ),
            (
                Put("/QueryLanguage", json!(5)),
                SCHEMA,
                "/QueryLanguage",
                "Expected value of type [STRING]",
            ),
            (
                Put("/States/Inline/MaxConcurrencyPath", json!("$.a")),
                SCHEMA,
                "/States/Inline",
                only("MaxConcurrencyPath"),
            ),
            (
                Put("/States/Map/ItemsPath", json!("$.a")),
                SCHEMA,
                "/States/Map",
                only("ItemsPath"),
            ),
            (
                Put("/States/Map/ToleratedFailureCountPath", json!("$.a")),
                SCHEMA,
                "/States/Map",
                only("ToleratedFailureCountPath"),
            ),
            (
                Put(
                    "/States/Map/ItemBatcher/MaxInputBytesPerBatchPath",
                    json!("$.a"),
                ),
                SCHEMA,
                "/States/Map/ItemBatcher",
                only("MaxInputBytesPerBatchPath"),
            ),
            (
                Put("/States/Map/ItemReader/Parameters", json!({})),
                SCHEMA,
                "/States/Map/ItemReader",
                only("Parameters"),
            ),
            (
                Put("/States/Task/Catch/0/ResultPath", json!("$.a")),
                SCHEMA,
                "/States/Task/Catch[0]",
                only("ResultPath"),
            ),
            (
                Put("/States/Parallel/Branches/0/States/B/Assign/v", json!(1)),
                "DUPLICATE_VARIABLE_NAME",
                "/States/Parallel/Branches[0]/States/B/Assign/v",
                "The variable name 'v' was already defined in a parent scope.",
            ),
            (
                Put(
                    "/States/Inline/ItemProcessor/States/J/Assign",
                    json!({"e": 1, "x": 2}),
                ),
                "DUPLICATE_VARIABLE_NAME",
                "/States/Inline/ItemProcessor/States/J/Assign/x",
                "The variable name 'x' was already defined in a parent scope.",
            ),
            (
                Put("/States/Pass/Assign/a.$", json!(1)),
                "INVALID_VARIABLE_NAME",
                "/States/Pass/Assign/a.$",
                "Invalid variable name 'a.$': the variable name contains invalid characters.",
            ),
            (
                Remove("/States/Task/Arguments"),
                SCHEMA,
                "/States/Task",
                "Arguments field is required for resource ARN: arn:aws:states:::lambda:invoke",
            ),
        ],
    );
}

#[test]
fn express_machines_refuse_patterns_that_wait() {
    let task = |resource: &str| json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "Parameters": {"JobName": "j", "FunctionName": "f", "StateMachineArn": "m"}, "End": true}}});
    for (resource, words) in [
        (
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Express state machine does not support '.waitForTaskToken' service integration ",
        ),
        (
            "arn:aws:states:::glue:startJobRun.sync",
            "Express state machine does not support '.sync' service integration ",
        ),
        (
            "arn:aws:states:::states:startExecution.sync:2",
            "Express state machine does not support '.sync:2' service integration ",
        ),
        (
            "arn:aws:states:us-east-1:123456789012:activity:a",
            "Express state machine does not support Activity ARN",
        ),
    ] {
        let definition = task(resource);
        assert_eq!(
            errors(&definition, WorkflowType::Standard),
            [],
            "{resource}"
        );
        let found = errors(&definition, WorkflowType::Express);
        let said = (found[0].location.as_str(), found[0].message.as_str());
        assert_eq!((found.len(), said), (1, ("/States/T/Resource", words)));
    }
    let map = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}}});
    assert_eq!(errors(&map, WorkflowType::Standard), []);
    let found = errors(&map, WorkflowType::Express);
    assert_eq!(
        found[0].location,
        "/States/M/ItemProcessor/ProcessorConfig/Mode"
    );
    assert_eq!(
        found[0].message,
        "The field 'Mode' with value 'DISTRIBUTED' is not supported inside 'EXPRESS' state machines"
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let said = |definition: Value| -> Vec<String> {
        let found = errors(&definition, WorkflowType::Standard).into_iter();
        found
            .map(|d| format!("{} {}", d.message, d.location))
            .collect()
    };
    assert_eq!(
        said(
            json!({"StartAt": "pass1", "States": {"pass1": {"Type": "Pass", "Next": "pass3"}, "pass2": {"Type": "Pass", "End": true}}})
        ),
        [
            "Missing 'Next' target: pass3 /States/pass1/Next",
            "State \"pass2\" is not reachable. /States/pass2"
        ]
    );
    assert_eq!(
        said(
            json!({"StartAt": "Not sure", "States": {"One": {"Type": "Pass", "Next": "Success"}, "Success": {"Type": "Succeed"}}})
        ),
        [
            "Missing 'Next' target: Not sure /StartAt",
            "State \"One\" is not reachable. /States/One"
        ]
    );
    assert_eq!(
        said(json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "NOPE"}}})),
        [
            "Missing 'Next' target: NOPE /States/A/Next",
            "Workflow has no terminal state "
        ]
    );
    // Without an end, unreachable states are not reported.
    assert_eq!(
        said(
            json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}, "C": {"Type": "Pass", "Next": "A"}}})
        ),
        ["Workflow has no terminal state "]
    );
    // A circle that no state leads to is named whole.
    assert_eq!(
        said(
            json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}, "B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Pass", "Next": "B"}}})
        ),
        [
            "State \"B\" is not reachable. /States/B",
            "State \"C\" is not reachable. /States/C"
        ]
    );
    assert_eq!(
        said(
            json!({"QueryLanguage": "JSONata", "StartAt": "E", "States": {"E": {"Type": "Pass", "Output": "{% aaa + bbb %}", "End": true}}})
        ),
        [
            "Reference to 'aaa' at the top level is not supported. /States/E/Output",
            "Reference to 'bbb' at the top level is not supported. /States/E/Output"
        ]
    );
    // The state says another language than its fields have: its contents are read as JSONata.
    assert_eq!(
        said(
            json!({"StartAt": "X", "States": {"X": {"Type": "Pass", "QueryLanguage": "foo", "InputPath": "$.a", "Output": "{% 1 %}", "End": true}}})
        ),
        [
            "The QueryLanguage is set to 'JSONata', but field 'InputPath' is only supported for the 'JSONPath' QueryLanguage /States/X",
            "Value should be one of the following: [JSONPath, JSONata] /States/X/QueryLanguage"
        ]
    );
    // A state of a JSONata machine cannot use JSONPath. The language of its fields is not checked
    // then.
    assert_eq!(
        said(
            json!({"QueryLanguage": "JSONata", "StartAt": "M", "States": {"M": {"Type": "Map", "QueryLanguage": "JSONPath", "MaxConcurrency": -1, "Output": 1,
            "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true}}})
        ),
        [
            "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine /States/M",
            "Minimum value is 0 /States/M/MaxConcurrency"
        ]
    );
    // The language of a Map does not apply to the states in it.
    assert_eq!(
        said(
            json!({"StartAt": "M", "States": {"M": {"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% [1] %}",
            "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "Output": 1, "End": true}}}, "End": true}}})
        ),
        [
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage /States/M/ItemProcessor/States/P"
        ]
    );
}

#[test]
fn unusual_definitions_that_aws_accepts_are_accepted() {
    for change in [
        Put("/TimeoutSeconds", json!(0)),
        Put("/States/Task/Retry/0/IntervalSeconds", json!(0)),
        Put("/States/Pass/InputPath", json!(" $.a ")),
        Put("/States/Pass/Parameters/p.$", json!("States.UUID() ")),
        Put(
            "/States/Pass/Parameters/p.$",
            json!("States.Format( 'a{}' , $.b )"),
        ),
        Put(
            "/States/Pass/Parameters/p.$",
            json!("States.Format('it\\'s \\\\ \\{\\} {}', 1)"),
        ),
        Put("/States/Pass/Parameters/x", json!("{% phone %}")),
        Put("/States/Pass/Result", json!("{% phone")),
        Put("/States/Inline/MaxConcurrency", json!(i64::MAX)),
        Put("/States/Map/ItemBatcher/MaxItemsPerBatch", json!(0)),
        Put("/States/Task/Comment", json!("{% phone %}")),
    ] {
        let definition = changed(jsonpath(), &change);
        assert_eq!(
            errors(&definition, WorkflowType::Standard),
            [],
            "{definition}"
        );
    }
    for change in [
        Put("/States/Pass/Comment", json!("{% phone %}")),
        Put("/States/Pass/Output", json!("{% $eval('1') %}")),
        Put("/States/Pass/Output", json!(" {% phone %} ")),
        Put("/States/Pass/Output", json!("{% $never_assigned %}")),
        Put(
            "/States/Task/Retry",
            json!([{"ErrorEquals": ["{% phone %}"]}]),
        ),
        Put("/States/Pass/Assign/größe", json!(1)),
    ] {
        let definition = changed(jsonata(), &change);
        assert_eq!(
            errors(&definition, WorkflowType::Standard),
            [],
            "{definition}"
        );
    }
    // A catcher of the Parallel follows its branches: both may assign a variable.
    let caught = json!({"QueryLanguage": "JSONata", "StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Assign": {"v": 1},
        "Branches": [{"StartAt": "B", "States": {"B": {"Type": "Pass", "Assign": {"v": 1, "w": 1}, "End": true}}}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Assign": {"w": 1}, "Next": "End"}]}, "End": {"Type": "Succeed"}}});
    assert_eq!(errors(&caught, WorkflowType::Standard), []);
}

#[test]
fn states_nested_beyond_the_limit_are_refused() {
    let nested = |depth: usize| {
        let mut graph = json!({"StartAt": "S", "States": {"S": {"Type": "Succeed"}}});
        for level in 0..depth {
            let name = format!("M{level}");
            graph = json!({"StartAt": name, "States": {name: {"Type": "Map", "End": true, "ItemProcessor": graph}}});
        }
        graph
    };
    assert_eq!(errors(&nested(30), WorkflowType::Standard), []);
    assert_eq!(
        errors(&nested(31), WorkflowType::Standard)[0].code,
        "TOO_DEEPLY_NESTED"
    );
}

/// The fields with free content: nothing in them is a field of the language.
const PAYLOADS: [&str; 10] = [
    "Parameters",
    "Arguments",
    "Result",
    "ResultSelector",
    "ItemSelector",
    "Assign",
    "Output",
    "BatchInput",
    "Items",
    "Credentials",
];

/// Each object of the language in a definition, as JSON pointer and as location.
fn objects(definition: &Value) -> Vec<(String, String)> {
    let (mut found, mut open) = (
        Vec::new(),
        vec![(String::new(), String::new(), definition, false)],
    );
    while let Some((pointer, place, value, names)) = open.pop() {
        match value {
            Value::Object(map) => {
                if !names {
                    found.push((pointer.clone(), place.clone()));
                }
                for (key, value) in map {
                    if names || !PAYLOADS.contains(&key.as_str()) {
                        let names = !names && key == "States";
                        open.push((
                            format!("{pointer}/{key}"),
                            format!("{place}/{key}"),
                            value,
                            names,
                        ));
                    }
                }
            }
            Value::Array(items) => {
                for (i, value) in items.iter().enumerate() {
                    open.push((
                        format!("{pointer}/{i}"),
                        format!("{place}[{i}]"),
                        value,
                        false,
                    ));
                }
            }
            _ => {}
        }
    }
    found
}

/// All changes of one field: an unknown field, and values of each other type. Each has the location
/// of the expected error.
fn mutations(definition: &Value) -> Vec<(Value, String)> {
    let mut all = Vec::new();
    for (pointer, place) in objects(definition) {
        let object = definition
            .pointer(&pointer)
            .and_then(Value::as_object)
            .unwrap();
        let put = |key: &str, value: Value| {
            let mut broken = definition.clone();
            broken.pointer_mut(&pointer).unwrap()[key] = value;
            broken
        };
        all.push((put("NotAField", json!(1)), place.clone()));
        for (key, value) in object {
            if PAYLOADS.contains(&key.as_str()) {
                continue;
            }
            let other = if value.is_number() || value.is_object() || value.is_boolean() {
                json!("other")
            } else if value.as_str().is_some_and(|text| text.starts_with("{%")) {
                json!([])
            } else {
                json!(5)
            };
            all.push((put(key, other), format!("{place}/{key}")));
            all.push((
                put(key, json!({"an": "object", "of": "two"})),
                format!("{place}/{key}"),
            ));
        }
    }
    all
}

#[test]
fn every_mutation_is_refused_at_its_location() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (cases, seed) = (number("JOBCAST_CASES", 20), number("JOBCAST_TEST_SEED", 1));
    let machines = (0..cases).map(|i| generator::machine(seed + i, generator::Clock::Virtual));
    for definition in [jsonpath(), jsonata()].into_iter().chain(machines) {
        assert_eq!(
            errors(&definition, WorkflowType::Standard),
            [],
            "{definition}"
        );
        for (broken, place) in mutations(&definition) {
            let found = errors(&broken, WorkflowType::Standard);
            // If an object replaces rules, a graph or a selector, the reader looks into it and
            // reports its missing fields.
            let there = |d: &Diagnostic| d.location == place || broken_object(&broken, &place, d);
            assert!(found.iter().any(there), "{place} of {broken}: {found:?}");
        }
    }
}

/// Whether the location is an object that was inserted, with a problem inside.
fn broken_object(broken: &Value, place: &str, problem: &Diagnostic) -> bool {
    broken.to_string().contains(r#"{"an":"object","of":"two"}"#)
        && (problem.location.starts_with(place) || place.ends_with("/End"))
}

#[test]
fn placeholders_of_deployment_tools_are_accepted_in_every_field() {
    for definition in [jsonpath(), jsonata()] {
        for (pointer, place) in objects(&definition) {
            let object = definition
                .pointer(&pointer)
                .and_then(Value::as_object)
                .unwrap();
            let fields = object.iter().flat_map(|(key, value)| {
                let first = value.as_array().filter(|list| !list.is_empty());
                let first = first.map(|_| (format!("{key}/0"), format!("{key}[0]")));
                [Some((key.clone(), key.clone())), first]
                    .into_iter()
                    .flatten()
            });
            for (below, named) in fields {
                for placeholder in [json!("${Name}"), json!({"Fn::GetAtt": ["A", "Arn"]})] {
                    let mut filled = definition.clone();
                    *filled.pointer_mut(&format!("{pointer}/{below}")).unwrap() = placeholder;
                    let found = validate(&filled.to_string());
                    let place = format!("{place}/{named}");
                    assert!(
                        found.iter().all(|d| d.severity == Severity::Warning),
                        "{place}: {found:?}"
                    );
                    let warned = found
                        .iter()
                        .any(|d| d.code == "UNRESOLVED_SUBSTITUTION" && d.location == place);
                    assert!(warned, "{place}: {found:?}");
                }
            }
        }
    }
}
