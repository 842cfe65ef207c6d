use super::*;

fn start(input: &Value) -> Start {
    Start {
        execution_arn: "arn:aws:states:us-east-1:000000000000:express:m:e".to_owned(),
        execution_name: "e".to_owned(),
        role_arn: String::new(),
        state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:m".to_owned(),
        state_machine_name: "m".to_owned(),
        start_time: "2026-01-02T03:04:05Z".parse().unwrap(),
        input: input.to_string().into(),
        kind: crate::WorkflowType::Express,
        seed: 1,
    }
}

fn tried(definition: &Value, input: &Value, before: Before, outcome: Option<Outcome>) -> Tried {
    let trial = Trial::new(&definition.to_string(), None, start(input), before);
    trial.unwrap().unwrap().run(outcome)
}

#[test]
fn a_trial_of_a_task_shows_the_result_of_each_field() {
    let definition = json!({"Type": "Task", "Resource": "f", "InputPath": "$.in", "Parameters": {"p.$": "$.a"},
        "ResultSelector": {"r.$": "$.x"}, "ResultPath": "$.out", "OutputPath": "$.out", "Next": "N"});
    let done = tried(
        &definition,
        &json!({"in": {"a": 1}}),
        Before::default(),
        Some(Outcome::Result(json!({"x": 2}))),
    );
    let shown = |field: &str| done.inspection[field].as_str().unwrap();
    assert_eq!(shown("afterInputPath"), r#"{"a":1}"#);
    assert_eq!(shown("afterParameters"), r#"{"p":1}"#);
    assert_eq!(shown("result"), r#"{"x":2}"#);
    assert_eq!(shown("afterResultSelector"), r#"{"r":2}"#);
    assert_eq!(shown("afterResultPath"), r#"{"in":{"a":1},"out":{"r":2}}"#);
    assert_eq!(done.output.as_deref(), Some(r#"{"r":2}"#));
    assert_eq!(
        (done.status, done.next.as_deref()),
        (TrialStatus::Succeeded, Some("N"))
    );
}

#[test]
fn a_trial_retries_an_error_before_it_catches_it() {
    let definition = json!({"Type": "Task", "Resource": "f", "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 2, "IntervalSeconds": 3}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}], "End": true});
    let error = || {
        Some(Outcome::Error {
            error: Some("E".to_owned()),
            cause: None,
        })
    };
    for (retries, status, details) in [
        (
            0,
            TrialStatus::Retriable,
            json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 3}),
        ),
        (
            1,
            TrialStatus::Retriable,
            json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 6}),
        ),
        (
            2,
            TrialStatus::CaughtError,
            json!({"retryIndex": 0, "catchIndex": 0}),
        ),
    ] {
        let before = Before {
            retries,
            ..Before::default()
        };
        let done = tried(&definition, &json!({}), before, error());
        assert_eq!(done.status, status, "{retries}");
        assert_eq!(done.inspection["errorDetails"], details, "{retries}");
    }
}

#[test]
fn a_trial_finds_nested_states_only_by_their_names() {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {
        "StartAt": "P", "States": {"P": {"Type": "Pass", "Output": "{% $v %}", "End": true}}}}}})
    .to_string();
    let before = Before {
        variables: Map::from_iter([("v".to_owned(), json!(7))]),
        ..Before::default()
    };
    let trial = Trial::new(&definition, Some("P"), start(&json!([])), before);
    let done = trial.unwrap().unwrap().run(None);
    assert_eq!(done.output.as_deref(), Some("7"));
    let trial = Trial::new(&definition, Some("Q"), start(&json!([])), Before::default());
    assert!(trial.unwrap().is_none());
}
