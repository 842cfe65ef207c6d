//! The property that must hold of any bytes: a definition, a path, an intrinsic function or a
//! JSONata expression made of them is refused or runs to its end. The loops that make the bytes are
//! elsewhere: `tests/fuzz.rs`, and the libFuzzer targets in `fuzz/`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::simulation::{Answer, run, start};
use asl::StateMachine;

/// The input of the expressions.
const INPUT: &str = r#"{"a":[0,{"a":"x","b":[1.5,null]}],"b":"2026-01-01T00:00:00Z","c":{"d":true,"e f":-3},"n":7}"#;
/// Maximum size of a text. Longer ones only cost time, since their parts repeat.
const LONGEST: usize = 16 * 1024;

/// A whole definition.
pub(crate) fn definition(data: &[u8]) {
    if let Some(text) = text(data) {
        play(text);
    }
}

/// A path, in every kind of field that takes one.
pub(crate) fn path(data: &[u8]) {
    let Some(path) = text(data) else { return };
    let state = |mut state: Value| {
        state["End"] = json!(true);
        play(&json!({"StartAt": "A", "States": {"A": state}}).to_string());
    };
    state(json!({"Type": "Pass", "InputPath": path}));
    state(json!({"Type": "Pass", "ResultPath": path, "Result": 1}));
    state(json!({"Type": "Pass", "Parameters": {"r.$": path}, "Assign": {"v.$": path}}));
    state(
        json!({"Type": "Map", "ItemsPath": path, "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}}),
    );
    let choice = json!({"Type": "Choice", "Default": "B", "Choices": [{"Variable": path, "StringEqualsPath": path, "Next": "B"}]});
    play(&json!({"StartAt": "A", "States": {"A": choice, "B": {"Type": "Succeed"}}}).to_string());
}

/// An intrinsic function.
pub(crate) fn intrinsic(data: &[u8]) {
    let Some(call) = text(data) else { return };
    let state = json!({"Type": "Pass", "Parameters": {"r.$": call}, "End": true});
    play(&json!({"StartAt": "A", "States": {"A": state}}).to_string());
}

/// A JSONata expression.
pub(crate) fn jsonata(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let state = json!({"Type": "Pass", "Output": format!("{{% {text} %}}"), "End": true});
    play(&json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state}}).to_string());
}

fn text(data: &[u8]) -> Option<&str> {
    (data.len() <= LONGEST)
        .then(|| std::str::from_utf8(data).ok())
        .flatten()
}

/// Parses the definition and, if it is valid, runs it. Its tasks echo their payload.
fn play(definition: &str) {
    for problem in asl::validate(definition) {
        assert!(problem.location.is_empty() || problem.location.starts_with('/'));
        assert!(!problem.message.is_empty());
    }
    if let Ok(machine) = StateMachine::parse(definition) {
        run(
            &Arc::new(machine),
            &start(INPUT),
            false,
            |task| Answer {
                outcome: Some(Ok(task.payload.to_string())),
                ..Answer::default()
            },
            |_| Ok("[1,{\"k\":2}]".to_owned()),
        );
    }
}
