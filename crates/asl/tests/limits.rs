//! Every limit with a case under it and one over it, and every kind of problem with its location.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod simulation;

use std::sync::Arc;

use serde_json::{Value, json};

use asl::{
    Diagnostic, Effect, Event, Execution, MAX_CAUSE, MAX_DEFINITION, MAX_ITEMS_BYTES, Severity,
    StateMachine, Task, WorkflowType, validate, validate_as,
};
use simulation::{Answer, Run, start};

fn run(definition: &Value, input: &str, answer: impl FnMut(&Task) -> Answer, body: &str) -> Run {
    let machine =
        Arc::new(StateMachine::parse(&definition.to_string()).unwrap_or_else(|p| panic!("{p:?}")));
    let run = simulation::run(&machine, &start(input), false, answer, |_| {
        Ok(body.to_owned())
    });
    assert!(run.journal.len() < simulation::MAX_EVENTS && !run.history.is_empty());
    run
}

fn of(state: Value) -> Value {
    json!({"StartAt": "A", "States": {"A": state}})
}

fn errors(definition: &Value) -> Vec<Diagnostic> {
    validate(&definition.to_string())
        .into_iter()
        .filter(|d| d.severity == Severity::Error)
        .collect()
}

fn silent(_: &Task) -> Answer {
    Answer::default()
}

#[test]
fn a_definition_beyond_a_limit_is_refused() {
    let sized = |size: usize| {
        let frame = of(json!({"Type": "Succeed", "Comment": ""}))
            .to_string()
            .len();
        of(json!({"Type": "Succeed", "Comment": "x".repeat(size - frame)}))
    };
    let named = |length: usize| json!({"StartAt": "n".repeat(length), "States": {"n".repeat(length): {"Type": "Succeed"}}});
    let map = |more: (&str, Value)| {
        let mut map = json!({"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}});
        map[more.0] = more.1;
        of(map)
    };
    let retry = |field: &str, value: Value| {
        of(
            json!({"Type": "Task", "Resource": "f", "End": true, "Retry": [{"ErrorEquals": ["E"], field: value}]}),
        )
    };
    let nested = |depth: usize| {
        let mut rule = json!({"Variable": "$.a", "IsNull": true});
        for _ in 0..depth {
            rule = json!({"Not": rule});
        }
        rule["Next"] = json!("B");
        json!({"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [rule]}, "B": {"Type": "Succeed"}}})
    };
    for (what, good, bad) in [
        ("size", sized(MAX_DEFINITION), sized(MAX_DEFINITION + 1)),
        ("name", named(80), named(81)),
        (
            "label",
            map(("Label", json!("l".repeat(40)))),
            map(("Label", json!("l".repeat(41)))),
        ),
        (
            "label's characters",
            map(("Label", json!("a-b"))),
            map(("Label", json!("a?b"))),
        ),
        (
            "percentage",
            map(("ToleratedFailurePercentage", json!(100))),
            map(("ToleratedFailurePercentage", json!(100.5))),
        ),
        (
            "delay",
            retry("MaxDelaySeconds", json!(31_622_400)),
            retry("MaxDelaySeconds", json!(31_622_401)),
        ),
        (
            "interval",
            retry("IntervalSeconds", json!(0)),
            retry("IntervalSeconds", json!(-1)),
        ),
        (
            "attempts",
            retry("MaxAttempts", json!(0)),
            retry("MaxAttempts", json!(-1)),
        ),
        (
            "backoff",
            retry("BackoffRate", json!(1.0)),
            retry("BackoffRate", json!(0.9)),
        ),
        (
            "seconds",
            of(json!({"Type": "Wait", "Seconds": 99_999_999, "End": true})),
            of(json!({"Type": "Wait", "Seconds": 100_000_000, "End": true})),
        ),
        ("rules", nested(60), nested(61)),
        (
            "variables",
            of(json!({"Type": "Pass", "Assign": {"v".repeat(80): 1}, "End": true})),
            of(json!({"Type": "Pass", "Assign": {"v".repeat(81): 1}, "End": true})),
        ),
    ] {
        assert_eq!(errors(&good), [], "{what}");
        assert!(!errors(&bad).is_empty(), "{what}");
    }
    let many: serde_json::Map<String, Value> = (0..150)
        .map(|i| (format!("Unknown{i}"), json!(1)))
        .collect();
    assert_eq!(errors(&Value::Object(many)).len(), 100);
}

#[test]
fn every_problem_has_its_location_and_code() {
    let pass = json!({"Type": "Pass", "End": true});
    for (definition, place, code) in [
        (json!({}), "", "SCHEMA_VALIDATION_FAILED"),
        (
            json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}),
            "/States/A/Next",
            "MISSING_TRANSITION_TARGET",
        ),
        (
            json!({"StartAt": "A", "States": {"A": pass, "B": pass}}),
            "/States/B",
            "MISSING_TRANSITION_TARGET",
        ),
        (
            json!({"StartAt": "B", "States": {"A": pass}}),
            "/StartAt",
            "MISSING_TRANSITION_TARGET",
        ),
        (
            json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}),
            "",
            "MISSING_END_STATE",
        ),
        (
            of(json!({"Type": "Pas", "End": true})),
            "/States/A/Type",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Pass", "End": true, "Foo": 1})),
            "/States/A",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Pass", "Next": "A", "End": true})),
            "/States/A",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Pass", "End": true, "QueryLanguage": "JSONata", "Parameters": {}})),
            "/States/A",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(
                json!({"Type": "Pass", "End": true, "QueryLanguage": "JSONata", "Output": {"a": ["{% 1 + %}"]}}),
            ),
            "/States/A/Output/a[0]",
            "INVALID_JSONATA_EXPRESSION",
        ),
        (
            of(json!({"Type": "Pass", "End": true, "ResultPath": "$.a[*]"})),
            "/States/A/ResultPath",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Task", "End": true})),
            "/States/A",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Task", "End": true, "Resource": "arn:aws:states:::dynamodb:query"})),
            "/States/A/Resource",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(
                json!({"Type": "Task", "End": true, "Resource": "f", "TimeoutSeconds": 5, "HeartbeatSeconds": 5}),
            ),
            "/States/A/HeartbeatSeconds",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(
                json!({"Type": "Task", "End": true, "Resource": "f", "Catch": [{"ErrorEquals": ["States.ALL", "E"], "Next": "A"}]}),
            ),
            "/States/A/Catch[0]/ErrorEquals[0]",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Task", "End": true, "Resource": "f", "Credentials": {}})),
            "/States/A/Credentials",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Fail", "Error": "E", "ErrorPath": "$.e"})),
            "/States/A",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Wait", "Timestamp": "soon", "End": true})),
            "/States/A/Timestamp",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true}]})),
            "/States/A/Choices[0]",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(
                json!({"Type": "Parallel", "End": true, "Branches": [{"StartAt": "A", "States": {"A": pass}}]}),
            ),
            "/States/A/Branches[0]/States/A",
            "DUPLICATE_STATE_NAME",
        ),
        (
            of(json!({"Type": "Map", "End": true})),
            "/States/A",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (
            of(json!({"Type": "Pass", "End": true, "Assign": {"states": 1}})),
            "/States/A/Assign/states",
            "RESERVED_VARIABLE_NAME",
        ),
    ] {
        let found = errors(&definition);
        assert!(found.iter().all(|d| d.hint.is_some()), "{found:?}");
        assert!(
            found.iter().any(|d| d.location == place && d.code == code),
            "{definition}: {found:?}"
        );
    }
    let broken = validate("{\n \"StartAt\" 1}");
    assert_eq!(broken[0].position, Some((2, 12)));
    let token = of(json!({"Type": "Task", "End": true, "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Parameters": {"QueueUrl": "q", "MessageBody": "m"}})).to_string();
    assert!(validate(&token).is_empty() && !validate_as(&token, WorkflowType::Express).is_empty());
    let machine = StateMachine::parse(&token).unwrap();
    assert_eq!(machine.resources()[0].0, "/States/A/Resource");
    assert_eq!(
        machine.unsupported(|_| false)[0].code,
        "UNSUPPORTED_RESOURCE"
    );
    assert!(
        machine
            .unsupported(|r| r.to_string() == "sqs:sendMessage.waitForTaskToken")
            .is_empty()
    );
}

#[test]
fn long_errors_and_causes_are_cut() {
    let task = of(json!({"Type": "Task", "Resource": "f", "End": true}));
    for (length, kept) in [(MAX_CAUSE, MAX_CAUSE), (MAX_CAUSE + 1, MAX_CAUSE)] {
        let failed = |_: &Task| Answer {
            outcome: Some(Err(("E".repeat(300), "c".repeat(length)))),
            ..Answer::default()
        };
        let run = run(&task, "1", failed, "");
        assert_eq!(
            (
                run.execution.cause().unwrap().len(),
                run.execution.error().unwrap().len()
            ),
            (kept, 256)
        );
    }
}

#[test]
fn intrinsic_functions_refuse_arguments_beyond_their_limits() {
    let call = |text: &str| of(json!({"Type": "Pass", "End": true, "Parameters": {"r.$": text}}));
    let text = |length: usize| format!("States.Base64Encode('{}')", "x".repeat(length));
    for (good, bad) in [
        (
            "States.ArrayRange(1, 1000, 1)".to_owned(),
            "States.ArrayRange(1, 1001, 1)".to_owned(),
        ),
        (text(10_000), text(10_001)),
    ] {
        assert_eq!(run(&call(&good), "{}", silent, "").execution.error(), None);
        assert_eq!(
            run(&call(&bad), "{}", silent, "").execution.error(),
            Some("States.IntrinsicFailure")
        );
    }
}

#[test]
fn maps_and_files_beyond_their_limits_fail() {
    for (config, at_once) in [
        (json!({"Mode": "INLINE"}), 40),
        (
            json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}),
            1_000,
        ),
    ] {
        let map = of(
            json!({"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Task", "Resource": "f", "End": true}}, "ProcessorConfig": config}}),
        );
        for (items, open) in [(at_once, at_once), (at_once + 1, at_once)] {
            let machine = Arc::new(StateMachine::parse(&map.to_string()).unwrap());
            let begin = start(&json!(vec![1; items]).to_string());
            let mut execution = Execution::new(machine, begin.clone());
            let mut event = Event::Begin;
            while execution.handle(event, begin.start_time).last() == Some(&Effect::Yield) {
                event = Event::Continue;
            }
            assert_eq!(execution.open_tasks().len(), open, "{config} {items}");
        }
    }
    let reader = of(
        json!({"Type": "Map", "End": true, "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}),
    );
    let body = format!("[{}]", " ".repeat(MAX_ITEMS_BYTES - 2));
    assert_eq!(
        run(&reader, "{}", silent, &body).execution.output(),
        Some("[]")
    );
    assert_eq!(
        run(&reader, "{}", silent, &format!("{body} "))
            .execution
            .error(),
        Some("States.ItemReaderFailed")
    );
}

#[test]
fn timestamps_reach_the_end_of_the_year_9999() {
    let choice = |operator: &str, operand: Value| {
        json!({"StartAt": "C", "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.t", operator: operand, "Next": "Y"}], "Default": "N"},
            "Y": {"Type": "Pass", "Result": true, "End": true},
            "N": {"Type": "Pass", "Result": false, "End": true}}})
    };
    for (operator, operand, time, holds) in [
        (
            "TimestampLessThan",
            json!("9999-12-31T23:59:59Z"),
            "0001-01-01T00:00:00Z",
            true,
        ),
        (
            "TimestampLessThan",
            json!("9999-12-31T23:59:59.999Z"),
            "9999-12-31T23:59:59.998Z",
            true,
        ),
        (
            "TimestampEquals",
            json!("9999-12-31T23:59:59Z"),
            "9999-12-31T22:59:59-01:00",
            true,
        ),
        (
            "TimestampGreaterThan",
            json!("9999-12-31T23:59:59Z"),
            "9999-12-31T23:59:59-12:00",
            true,
        ),
        (
            "TimestampGreaterThanEquals",
            json!("0000-01-01T00:00:00Z"),
            "0000-01-01T00:00:00Z",
            true,
        ),
        (
            "TimestampGreaterThanPath",
            json!("$.t"),
            "9999-12-31T23:59:59Z",
            false,
        ),
        ("IsTimestamp", json!(true), "9999-12-31T23:59:59Z", true),
        (
            "IsTimestamp",
            json!(true),
            "9999-12-31T23:59:59.999999999Z",
            true,
        ),
        ("IsTimestamp", json!(true), "0000-01-01T00:00:00Z", true),
        ("IsTimestamp", json!(true), "-0001-01-01T00:00:00Z", false),
        ("IsTimestamp", json!(true), "10000-01-01T00:00:00Z", false),
        ("IsTimestamp", json!(true), "9999-12-31t23:59:59z", false),
    ] {
        let run = run(
            &choice(operator, operand),
            &json!({"t": time}).to_string(),
            silent,
            "",
        );
        assert_eq!(
            run.execution.output(),
            Some(holds.to_string().as_str()),
            "{operator} {time}"
        );
    }
    // A timer ends earlier than the year 9999: the wait is as long as possible, and the execution
    // continues.
    for wait in [
        json!({"Type": "Wait", "TimestampPath": "$.t", "End": true}),
        json!({"Type": "Wait", "Timestamp": "9999-12-31T23:59:59.999Z", "End": true}),
    ] {
        let machine = Arc::new(StateMachine::parse(&of(wait).to_string()).unwrap());
        let begin = start(r#"{"t": "9999-12-31T23:59:59Z"}"#);
        let mut execution = Execution::new(machine, begin.clone());
        let effects = execution.handle(Event::Begin, begin.start_time);
        let timer = effects.iter().find_map(|effect| match effect {
            Effect::SetTimer(_, at) => Some(*at),
            _ => None,
        });
        assert_eq!(timer, Some(jiff::Timestamp::MAX));
        assert_eq!(execution.status(), asl::Status::Running);
    }
    // A time in the past: the wait ends at once.
    let past = json!({"Type": "Wait", "Timestamp": "0000-01-01T00:00:00Z", "End": true});
    let run = run(&of(past), "{}", silent, "");
    assert_eq!(run.execution.output(), Some("{}"));
}
