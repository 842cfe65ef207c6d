//! Whole machines as a table. Each is run straight through, and rebuilt from its journal at every
//! event. Also the limits.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod simulation;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use asl::{
    Effect, Event, Execution, MAX_HISTORY, MAX_PAYLOAD, StateMachine, Status, StepKind, Task,
    validate,
};
use simulation::{Answer, Run, start};

fn run(
    machine: &Arc<StateMachine>,
    begin: &asl::Start,
    rebuild: bool,
    answer: impl FnMut(&Task) -> Answer,
) -> Run {
    simulation::run(machine, begin, rebuild, answer, |request| {
        (request.arguments.contains("items.json"))
            .then(|| "[1,2,3,4,5]".to_owned())
            .ok_or_else(|| "there is no such object".to_owned())
    })
}

/// `echo` returns its payload, `boom` fails, `flaky` fails twice, `silent` never answers.
fn answer(task: &Task) -> Answer {
    let name = format!("{:?}", task.resource);
    let failed = Some(Err(("Boom".to_owned(), "as asked".to_owned())));
    Answer {
        outcome: if name.contains("silent") {
            None
        } else if name.contains("boom") || (name.contains("flaky") && task.attempt < 2) {
            failed
        } else {
            Some(Ok(task.payload.to_string()))
        },
        ..Answer::default()
    }
}

/// A state that a Choice leads back to endlessly.
fn endless(first: Value) -> Value {
    json!({"A": first, "B": {"Type": "Choice", "Choices": [{"Variable": "$.never", "IsPresent": true, "Next": "C"}], "Default": "A"}, "C": {"Type": "Succeed"}})
}

fn machine(states: &Value) -> Arc<StateMachine> {
    Arc::new(StateMachine::parse(&json!({"StartAt": "A", "States": states}).to_string()).unwrap())
}

#[test]
fn machines_rebuilt_at_every_event_end_the_same_way() {
    let echo = json!({"A": {"Type": "Task", "Resource": "echo", "End": true}});
    let map = |r: &str, more: Value| {
        let mut m = json!({"Type": "Map", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Task", "Resource": r, "End": true}}}, "End": true});
        m.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"A": m})
    };
    for (what, states, input, status, want) in [
        (
            "pass",
            json!({"A": {"Type": "Pass", "Result": 1, "ResultPath": "$.b", "Next": "B"}, "B": {"Type": "Succeed"}}),
            json!({"a": 2}),
            Status::Succeeded,
            json!({"a": 2, "b": 1}),
        ),
        (
            "task",
            echo,
            json!({"a": 1}),
            Status::Succeeded,
            json!({"a": 1}),
        ),
        (
            "paths",
            json!({"A": {"Type": "Task", "Resource": "echo", "InputPath": "$.in", "Parameters": {"p.$": "$.x", "n.$": "$$.State.Name"}, "ResultSelector": {"s.$": "$.p"}, "ResultPath": "$.r", "OutputPath": "$.r", "End": true}}),
            json!({"in": {"x": 3}}),
            Status::Succeeded,
            json!({"s": 3}),
        ),
        (
            "retry",
            json!({"A": {"Type": "Task", "Resource": "flaky", "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 2, "JitterStrategy": "FULL"}], "End": true}}),
            json!(5),
            Status::Succeeded,
            json!(5),
        ),
        (
            "retries exhausted",
            json!({"A": {"Type": "Task", "Resource": "flaky", "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 1}], "End": true}}),
            json!(5),
            Status::Failed,
            json!("Boom"),
        ),
        (
            "catch",
            json!({"A": {"Type": "Task", "Resource": "boom", "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "B"}], "End": true}, "B": {"Type": "Succeed"}}),
            json!({}),
            Status::Succeeded,
            json!({"e": {"Error": "Boom", "Cause": "as asked"}}),
        ),
        (
            "timeout",
            json!({"A": {"Type": "Task", "Resource": "silent", "TimeoutSeconds": 5, "End": true}}),
            json!({}),
            Status::Failed,
            json!("States.Timeout"),
        ),
        (
            "heartbeat",
            json!({"A": {"Type": "Task", "Resource": "silent", "HeartbeatSeconds": 5, "Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "B"}], "End": true}, "B": {"Type": "Pass", "Result": 1, "End": true}}),
            json!({}),
            Status::Succeeded,
            json!(1),
        ),
        (
            "wait",
            json!({"A": {"Type": "Wait", "SecondsPath": "$.s", "End": true}}),
            json!({"s": 86400}),
            Status::Succeeded,
            json!({"s": 86400}),
        ),
        (
            "choice",
            json!({"A": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericGreaterThan": 1, "Next": "B"}]}, "B": {"Type": "Succeed"}}),
            json!({"n": 0}),
            Status::Failed,
            json!("States.NoChoiceMatched"),
        ),
        (
            "fail",
            json!({"A": {"Type": "Fail", "Error": "E", "Cause": "C"}}),
            json!({}),
            Status::Failed,
            json!("E"),
        ),
        (
            "parallel",
            json!({"A": {"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {"X": {"Type": "Wait", "Seconds": 9, "End": true}}}, {"StartAt": "Y", "States": {"Y": {"Type": "Task", "Resource": "echo", "Parameters": [2], "End": true}}}], "End": true}}),
            json!(1),
            Status::Succeeded,
            json!([1, [2]]),
        ),
        (
            "parallel fails",
            json!({"A": {"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {"X": {"Type": "Wait", "Seconds": 9, "End": true}}}, {"StartAt": "Y", "States": {"Y": {"Type": "Fail", "Error": "E"}}}], "Catch": [{"ErrorEquals": ["E"], "Next": "B"}], "End": true}, "B": {"Type": "Pass", "Result": "caught", "End": true}}),
            json!(1),
            Status::Succeeded,
            json!("caught"),
        ),
        (
            "map",
            map(
                "echo",
                json!({"ItemsPath": "$.l", "MaxConcurrency": 2, "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "k.$": "$.k"}}),
            ),
            json!({"l": [7, 8, 9], "k": 0}),
            Status::Succeeded,
            json!([{"i": 0, "v": 7, "k": 0}, {"i": 1, "v": 8, "k": 0}, {"i": 2, "v": 9, "k": 0}]),
        ),
        (
            "empty map",
            map("echo", json!({})),
            json!([]),
            Status::Succeeded,
            json!([]),
        ),
        (
            "map fails",
            map("boom", json!({})),
            json!([1, 2]),
            Status::Failed,
            json!("Boom"),
        ),
        (
            "map over no list",
            map("echo", json!({})),
            json!({}),
            Status::Failed,
            json!("States.Runtime"),
        ),
    ] {
        let machine = machine(&states);
        let (straight, rebuilt) = (
            run(&machine, &start(&input.to_string()), false, answer),
            run(&machine, &start(&input.to_string()), true, answer),
        );
        assert_eq!(
            straight.execution.status(),
            status,
            "{what}: {:?}",
            straight.execution
        );
        let got = straight.execution.output().map_or_else(
            || json!(straight.execution.error()),
            |o| serde_json::from_str(o).unwrap(),
        );
        assert_eq!(got, want, "{what}: {:?}", straight.execution.cause());
        assert_eq!(
            (straight.history, straight.journal),
            (rebuilt.history, rebuilt.journal),
            "{what}"
        );
    }
}

#[test]
fn an_endless_loop_yields_and_ends_at_the_history_limit() {
    let machine = machine(&endless(json!({"Type": "Pass", "Next": "B"})));
    let mut execution = Execution::new(machine.clone(), start("{}"));
    assert_eq!(
        execution
            .handle(Event::Begin, start("{}").start_time)
            .last(),
        Some(&Effect::Yield)
    );
    let run = run(&machine, &start("{}"), false, answer);
    assert_eq!(
        (
            run.execution.status(),
            run.execution.error(),
            run.history.len() as u64
        ),
        (Status::Failed, Some("States.Runtime"), MAX_HISTORY)
    );
}

#[test]
fn a_payload_too_large_or_too_deep_is_refused() {
    let echo = machine(&json!({"A": {"Type": "Task", "Resource": "echo", "End": true}}));
    for (length, status) in [
        (MAX_PAYLOAD - 2, Status::Succeeded),
        (MAX_PAYLOAD - 1, Status::Failed),
    ] {
        let run = run(&echo, &start("1"), false, |_| Answer {
            outcome: Some(Ok(format!("\"{}\"", "x".repeat(length)))),
            ..Answer::default()
        });
        assert_eq!(run.execution.status(), status, "{length}");
    }
    let deeper = machine(&endless(
        json!({"Type": "Pass", "Parameters": {"a.$": "$"}, "Next": "B"}),
    ));
    assert_eq!(
        run(&deeper, &start("1"), false, answer).execution.error(),
        Some("States.Runtime")
    );
    let wider = machine(&endless(
        json!({"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "Next": "B"}),
    ));
    assert_eq!(
        run(&wider, &start("\"0123456789\""), false, answer)
            .execution
            .error(),
        Some("States.DataLimitExceeded")
    );
}

#[test]
fn late_and_repeated_events_have_no_effect() {
    let machine = machine(
        &json!({"A": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Parameters": {"QueueUrl": "q", "MessageBody.$": "$$.Task.Token"}, "TimeoutSeconds": 9, "End": true}}),
    );
    let mut execution = Execution::new(machine, start("{}"));
    let now = start("{}").start_time;
    execution.handle(Event::Begin, now);
    assert!(execution.handle(Event::Begin, now).is_empty());
    let request = execution.open_tasks()[0].clone();
    let token = request.token.unwrap();
    assert_eq!(
        asl::token::decode(&token).map(|t| (t.0, t.1)),
        Some(("e".to_owned(), request.task))
    );
    assert_eq!(
        request.payload.as_ref(),
        json!({"QueueUrl": "q", "MessageBody": token}).to_string()
    );
    assert!(
        execution
            .handle(
                Event::TaskSucceeded {
                    task: asl::TaskId(99),
                    output: "1".into()
                },
                now
            )
            .is_empty()
    );
    let effects = execution.handle(
        Event::Stop {
            error: Some("E".into()),
            cause: None,
        },
        now,
    );
    assert!(
        effects.contains(&Effect::CancelTask(request.task))
            && effects.iter().any(|e| matches!(e, Effect::CancelTimer(_)))
    );
    assert_eq!(execution.status(), Status::Aborted);
    assert!(
        execution
            .handle(
                Event::TaskSucceeded {
                    task: request.task,
                    output: "1".into()
                },
                now
            )
            .is_empty()
    );
}

#[test]
fn problems_have_a_location_and_steps_an_order() {
    for (text, place) in [
        ("{", ""),
        (r#"{"StartAt":"A","States":{}}"#, "/States"),
        (
            r#"{"StartAt":"B","States":{"A":{"Type":"Succeed"}}}"#,
            "/StartAt",
        ),
        (
            r#"{"StartAt":"A","States":{"A":{"Type":"Pass"}}}"#,
            "/States/A",
        ),
        (
            r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#,
            "/States/A/Next",
        ),
        (
            r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Parameters":{"x":[{"a.$":"b"}]}}}}"#,
            "/States/A/Parameters/x[0]",
        ),
        (
            r#"{"StartAt":"A","QueryLanguage":"XPath","States":{"A":{"Type":"Succeed"}}}"#,
            "/QueryLanguage",
        ),
    ] {
        assert!(
            validate(text).iter().any(|d| d.location == place),
            "{text}: {:?}",
            validate(text)
        );
    }
    let m = machine(
        &json!({"Z": {"Type": "Wait", "Seconds": 1, "End": true}, "A": {"Type": "Task", "Resource": "f", "Next": "Z"}}),
    );
    assert_eq!(
        m.steps()
            .iter()
            .map(|s| (s.name.as_str(), s.kind))
            .collect::<Vec<_>>(),
        [("A", StepKind::Task), ("Z", StepKind::Wait)]
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}", path in "[$.\\[\\]'\"a0*?@]{0,30}") {
        let _ = validate(&text);
        let states = json!({"A": {"Type": "Pass", "InputPath": path, "End": true}});
        if let Ok(m) = StateMachine::parse(&json!({"StartAt": "A", "States": states}).to_string()) { run(&Arc::new(m), &start("{\"a\":[0]}"), false, answer); }
    }
}
