//! Random machines of all state types, in both languages, end the same way straight through,
//! rebuilt from the journal at every event, and redriven. No text makes the parser or the
//! interpreter panic or hang.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod generator;
mod simulation;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use asl::{Event, Execution, StateMachine, Status, Task};
use generator::{BOOM, Clock, INPUT};
use simulation::{Answer, Run, start};

/// `echo` returns its payload, `boom` fails, `flaky` fails twice, `silent` and callbacks never
/// answer.
fn answer(task: &Task) -> Answer {
    let name = format!("{:?}", task.resource);
    let failed = Some(Err((BOOM.0.to_owned(), BOOM.1.to_owned())));
    Answer {
        worker: None,
        submitted: name.contains("sqs").then(|| "{}".to_owned()),
        outcome: if name.contains("silent") || name.contains("sqs") {
            None
        } else if name.contains("boom") || (name.contains("flaky") && task.attempt < 2) {
            failed
        } else {
            Some(Ok(task.payload.to_string()))
        },
    }
}

fn run(machine: &Arc<StateMachine>, input: &str, rebuild: bool) -> Run {
    simulation::run(machine, &start(input), rebuild, answer, |_| {
        Ok("[1, 2, 3, 4]".to_owned())
    })
}

fn rebuilt(machine: &Arc<StateMachine>, run: &Run, input: &str) -> Execution {
    let mut execution = Execution::new(machine.clone(), start(input));
    for (event, at) in &run.journal {
        execution.handle(event.clone(), *at);
    }
    execution
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn random_machines_reach_the_same_end(seed in any::<u64>()) {
        let definition = generator::machine(seed, Clock::Virtual);
        let machine = Arc::new(StateMachine::parse(&definition.to_string()).unwrap_or_else(|p| panic!("{definition}: {p:?}")));
        let (straight, again) = (run(&machine, INPUT, false), run(&machine, INPUT, true));
        prop_assert_eq!(&straight.journal, &again.journal, "{}", definition);
        prop_assert_eq!(&straight.history, &again.history);
        prop_assert_ne!(straight.execution.status(), Status::Running, "{}", definition);
        let ids: Vec<u64> = straight.history.iter().map(|h| h.id).collect();
        prop_assert!(ids.iter().copied().eq(1..=ids.len() as u64), "{:?}", ids);
        prop_assert!(straight.history.iter().all(|h| h.previous_event_id < h.id));
        prop_assert!(straight.execution.open_tasks().is_empty() && straight.execution.timers().is_empty());
        if straight.execution.is_redrivable() {
            let now = straight.journal.last().map(|j| j.1).unwrap_or_default();
            let (mut one, mut two) = (rebuilt(&machine, &straight, INPUT), rebuilt(&machine, &straight, INPUT));
            let effects = one.handle(Event::Redrive, now);
            prop_assert!(!effects.is_empty());
            prop_assert_eq!(effects, two.handle(Event::Redrive, now));
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}", path in "[$.\\[\\]'\"a0*?@:,()<>=&|!~/ -]{0,40}") {
        let _ = asl::validate(&text);
        let states = json!({"A": {"Type": "Pass", "InputPath": path, "End": true}});
        if let Ok(m) = StateMachine::parse(&json!({"StartAt": "A", "States": states}).to_string()) { run(&Arc::new(m), "{\"a\":[0,{\"a\":1}]}", false); }
    }

    #[test]
    fn any_expression_is_computed_or_refused(call in "States\\.(Format|Array|ArrayRange|Hash|MathAdd|StringSplit)\\([$.a0'{}\\\\, ()-]{0,30}\\)?", query in "[$a-c0-9.()\\[\\]{}'\"+*/?:;=<>&|~^%@#, -]{0,30}") {
        let paths = json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Parameters": {"r.$": call}, "End": true}}});
        let jsonata = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": format!("{{% {query} %}}"), "End": true}}});
        for definition in [paths, jsonata] {
            if let Ok(m) = StateMachine::parse(&definition.to_string()) { run(&Arc::new(m), "{\"a\":[0,{\"a\":\"x\"}]}", false); }
        }
    }

    #[test]
    fn a_damaged_definition_is_refused_or_runs(seed in any::<u64>(), at in any::<prop::sample::Index>(), with in "[\"{}\\[\\]:,a0$% .]{0,3}") {
        let mut text = generator::machine(seed, Clock::Virtual).to_string();
        let mut place = at.index(text.len());
        while !text.is_char_boundary(place) { place -= 1; }
        text.replace_range(place..=place, &with);
        if let Ok(m) = StateMachine::parse(&text) { run(&Arc::new(m), INPUT, false); }
    }
}

#[test]
fn deep_texts_are_refused_in_time() {
    for text in [
        "[".repeat(100_000),
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        "{\"a\":".repeat(50_000),
    ] {
        assert!(!asl::validate(&text).is_empty());
    }
    for query in [
        "-".repeat(60_000),
        "a?b:".repeat(15_000) + "c",
        "a.".repeat(30_000) + "b",
        "not(".repeat(15_000),
        "1+".repeat(30_000) + "1",
        "$f:=".repeat(15_000) + "1",
        "a~>".repeat(20_000) + "b",
        "{\"a\":".repeat(50),
    ] {
        let definition = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": format!("{{% {query} %}}"), "End": true}}});
        if let Ok(machine) = StateMachine::parse(&definition.to_string()) {
            run(&Arc::new(machine), "{}", false);
        }
    }
}

#[test]
fn every_state_type_is_generated() {
    for clock in [Clock::Virtual, Clock::Real] {
        let all: String = (0..200)
            .map(|seed| generator::machine(seed, clock).to_string())
            .collect();
        for kind in [
            "Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map",
        ] {
            assert!(all.contains(&format!("\"Type\":\"{kind}\"")), "{kind}");
        }
    }
}
