//! Values, definitions and expressions of the maximum nesting, and one level deeper. The thread of
//! a test has a stack of 2 MiB and the code is not optimized, so other threads have room for the
//! same.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod simulation;

use std::sync::Arc;

use serde_json::{Value, json};

use asl::{StateMachine, Status, Task, validate};
use simulation::{Answer, start};

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + "1" + &close.repeat(depth)
}

/// Arrays, and objects with the name `a`, of this depth.
fn both(depth: usize) -> [String; 2] {
    [nested("[", "]", depth), nested("{\"a\":", "}", depth)]
}

fn echo(task: &Task) -> Answer {
    Answer {
        outcome: Some(Ok(task.payload.to_string())),
        ..Answer::default()
    }
}

fn run(definition: &Value, input: &str) -> (Status, String) {
    let machine = StateMachine::parse(&definition.to_string()).unwrap_or_else(|p| panic!("{p:?}"));
    let run = simulation::run(&Arc::new(machine), &start(input), true, echo, |_| {
        unreachable!("no machine here reads files")
    });
    assert!(run.journal.len() < simulation::MAX_EVENTS && !run.history.is_empty());
    let execution = &run.execution;
    let told = execution.output().or(execution.cause()).unwrap_or_default();
    (execution.status(), told.to_owned())
}

fn of(state: Value) -> Value {
    let leads_on = state.to_string().contains("\"Next\"");
    let mut states = json!({"A": state});
    if leads_on {
        states["B"] = json!({"Type": "Succeed"});
    }
    json!({"StartAt": "A", "States": states})
}

/// A machine, and its expected output for the text of its input.
type Machine = (Value, fn(&str) -> String);

/// One state of each kind, with its effect on the input.
fn machines() -> Vec<Machine> {
    let same = |text: &str| text.to_owned();
    let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true, "Parameters": {"in.$": "$"}}}});
    let other = json!({"StartAt": "O", "States": {"O": {"Type": "Pass", "End": true, "Parameters": {"in.$": "$"}}}});
    vec![
        (of(json!({"Type": "Pass", "End": true})), same),
        (of(json!({"Type": "Succeed"})), same),
        (of(json!({"Type": "Wait", "Seconds": 1, "End": true})), same),
        (
            of(json!({"Type": "Task", "Resource": "f", "End": true})),
            same,
        ),
        (
            of(
                json!({"Type": "Pass", "End": true, "Parameters": {"x": {"y.$": "$"}}, "OutputPath": "$.x.y"}),
            ),
            same,
        ),
        (
            of(json!({"Type": "Pass", "End": true, "Parameters": {"x.$": "$"}})),
            |text| format!("{{\"x\":{text}}}"),
        ),
        (
            of(
                json!({"Type": "Pass", "End": true, "Parameters": {"x.$": "States.StringToJson(States.JsonToString($))"}, "OutputPath": "$.x"}),
            ),
            same,
        ),
        (
            of(
                json!({"Type": "Pass", "End": true, "Parameters": {"x.$": "States.ArrayUnique(States.Array($, $, $))"}, "OutputPath": "$.x[0]"}),
            ),
            same,
        ),
        (
            of(
                json!({"Type": "Pass", "End": true, "Parameters": {"x.$": "States.ArrayContains(States.Array($), $)"}, "OutputPath": "$.x"}),
            ),
            |_| "true".to_owned(),
        ),
        (
            of(json!({"Type": "Pass", "Assign": {"v.$": "$"}, "Next": "B"})),
            same,
        ),
        (
            of(
                json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": true, "Next": "B"}], "Default": "B"}),
            ),
            same,
        ),
        (
            of(json!({"Type": "Parallel", "End": true, "Branches": [inner, other]})),
            |text| format!("[{{\"in\":{text}}},{{\"in\":{text}}}]"),
        ),
        (
            json!({"StartAt": "A", "States": {
                "A": {"Type": "Pass", "Parameters": {"list.$": "States.Array($)"}, "Next": "B"},
                "B": {"Type": "Map", "ItemsPath": "$.list", "ItemProcessor": inner, "End": true}}}),
            |text| format!("[{{\"in\":{text}}}]"),
        ),
    ]
}

#[test]
fn every_kind_of_state_accepts_a_value_of_the_maximum_depth() {
    for text in both(json::DEPTH).into_iter().chain(both(200)) {
        for (definition, expected) in machines() {
            let (status, told) = run(&definition, &text);
            let beginning: String = told.chars().take(300).collect();
            assert_eq!(status, Status::Succeeded, "{definition}: {beginning}");
            assert!(told == expected(&text), "{definition}: {beginning}");
        }
    }
    for output in [
        "{% $states.input %}",
        "{% ($x := {'y': $states.input}; $x).y %}",
        "{% $states.input = $states.input ? $states.input %}",
    ] {
        let mut pass = of(json!({"Type": "Pass", "Output": output, "End": true}));
        pass["QueryLanguage"] = json!("JSONata");
        for text in both(json::DEPTH) {
            assert_eq!(run(&pass, &text), (Status::Succeeded, text), "{output}");
        }
    }
    // A value that JSONata creates nests as deeply.
    let mut parse =
        of(json!({"Type": "Pass", "Output": "{% $parse($string($states.input)) %}", "End": true}));
    parse["QueryLanguage"] = json!("JSONata");
    for text in both(json::DEPTH) {
        assert_eq!(run(&parse, &text), (Status::Succeeded, text));
    }
    // The payload of a function may be one level deeper than its answer.
    let call = of(
        json!({"Type": "Task", "Resource": "f", "Parameters": {"x.$": "$"}, "ResultSelector": {"y.$": "$.x"}, "OutputPath": "$.y", "End": true}),
    );
    for text in both(json::DEPTH - 1) {
        assert_eq!(run(&call, &text), (Status::Succeeded, text));
    }
    for text in both(json::DEPTH) {
        assert_eq!(run(&call, &text).0, Status::Failed);
    }
}

#[test]
fn a_value_that_grows_too_deep_ends_the_execution() {
    let grow = json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Parameters": {"a.$": "$"}, "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Variable": "$", "IsString": true, "Next": "C"}], "Default": "A"},
        "C": {"Type": "Succeed"}}});
    let (status, told) = run_once(&grow, "1");
    assert_eq!(status, Status::Failed);
    assert!(told.contains("is nested deeper than 1100 levels"), "{told}");
}

/// Runs without rebuilding, for machines with thousands of events.
fn run_once(definition: &Value, input: &str) -> (Status, String) {
    let machine = StateMachine::parse(&definition.to_string()).unwrap_or_else(|p| panic!("{p:?}"));
    let run = simulation::run(&Arc::new(machine), &start(input), false, echo, |_| {
        unreachable!("no machine here reads files")
    });
    let told = run.execution.cause().unwrap_or_default().to_owned();
    (run.execution.status(), told)
}

#[test]
fn a_definition_may_nest_up_to_the_json_limit() {
    let frame = |inside: &str| {
        format!(
            "{{\"StartAt\":\"A\",\"States\":{{\"A\":{{\"Type\":\"Pass\",\"End\":true,{inside}}}}}}}"
        )
    };
    let around = 3;
    for (field, open, close) in [
        ("Result", "[", "]"),
        ("Result", "{\"a\":", "}"),
        ("Parameters", "[", "]"),
        ("Parameters", "{\"a\":", "}"),
        ("Parameters", "{\"a\":[", "]}"),
        ("Unknown", "[", "]"),
    ] {
        let levels = open.matches(['[', '{']).count();
        let most = (json::DEPTH - around) / levels;
        for leaf in ["1", "{\"x.$\":\"$\"}"] {
            let inside = usize::from(leaf != "1");
            let text = |depth: usize| {
                let nested = open.repeat(depth) + leaf + &close.repeat(depth);
                frame(&format!("\"{field}\":{nested}"))
            };
            let depth = most - inside;
            for problem in validate(&text(depth)) {
                assert_ne!(problem.code, "INVALID_JSON_DESCRIPTION", "{problem:?}");
            }
            if field == "Parameters" && open != "[" {
                let definition = serde_json::Value::String(text(depth));
                let machine = StateMachine::parse(definition.as_str().unwrap()).unwrap();
                let run = simulation::run(
                    &Arc::new(machine),
                    &start("{}"),
                    false,
                    echo,
                    |_| unreachable!(),
                );
                assert_eq!(run.execution.status(), Status::Succeeded);
            }
            let deeper = validate(&text(most + 2));
            assert!(
                deeper[0].message.contains("nests deeper than 1000 levels"),
                "{deeper:?}"
            );
        }
    }
    // States within states, rules within rules.
    let mut parallel = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}".to_owned();
    for _ in 0..200 {
        parallel = format!(
            "{{\"StartAt\":\"A\",\"States\":{{\"A\":{{\"Type\":\"Parallel\",\"End\":true,\"Branches\":[{parallel}]}}}}}}"
        );
    }
    drop(StateMachine::parse(&parallel).map(|machine| machine.steps().len()));
    for name in ["Not", "And", "Or"] {
        let (open, close) = if name == "Not" { ("", "") } else { ("[", "]") };
        let mut rule = "{\"Variable\":\"$.a\",\"IsNull\":true}".to_owned();
        for _ in 0..450 {
            rule = format!("{{\"{name}\":{open}{rule}{close}}}");
        }
        let choice = format!(
            "{{\"StartAt\":\"A\",\"States\":{{\"A\":{{\"Type\":\"Choice\",\"Choices\":[{rule}]}}}}}}"
        );
        assert!(StateMachine::parse(&choice).is_err());
    }
}

#[test]
fn an_invalid_input_fails_with_its_reason() {
    let pass = of(json!({"Type": "Pass", "End": true}));
    for (input, why) in [
        (
            nested("[", "]", json::MADE_DEPTH + 1),
            "nests deeper than 1100 levels",
        ),
        (
            "{\"n\":1e999}".to_owned(),
            "the number 1e999 is out of range",
        ),
        (
            r#"{"a":"\ud800"}"#.to_owned(),
            r"\ud800 is one half of a pair of surrogates",
        ),
        ("{".to_owned(), "not JSON: it ends too early"),
    ] {
        let (status, told) = run(&pass, &input);
        assert_eq!(status, Status::Failed);
        assert!(
            told.starts_with("The execution's input is not") && told.contains(why),
            "{told}"
        );
    }
}

#[test]
fn the_answer_of_a_function_has_the_limit_of_all_doors() {
    let call = of(json!({"Type": "Task", "Resource": "f", "End": true}));
    let machine = Arc::new(StateMachine::parse(&call.to_string()).unwrap());
    for (answer, why) in [
        (nested("[", "]", json::DEPTH), None),
        (
            nested("[", "]", json::DEPTH + 1),
            Some("nests deeper than 1000 levels"),
        ),
        ("-1e999".to_owned(), Some("out of range")),
        ("\"\\udfff\"".to_owned(), Some("surrogates")),
        (String::new(), Some("it is empty")),
    ] {
        let says = |_: &Task| Answer {
            outcome: Some(Ok(answer.clone())),
            ..Answer::default()
        };
        let run = simulation::run(&machine, &start("{}"), false, says, |_| unreachable!());
        match why {
            None => assert_eq!(run.execution.output(), Some(&*answer)),
            Some(why) => {
                assert_eq!(run.execution.error(), Some("States.Runtime"));
                assert!(run.execution.cause().unwrap().contains(why));
            }
        }
    }
}
