//! Random machines of all state types, in both languages: the same end straight through, rebuilt from the journal at
//! every event, and redriven; and no text makes the parser or the interpreter panic or hang.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod simulation;
use asl::{Event, Execution, StateMachine, Status, Task};
use proptest::prelude::*;
use serde_json::{Value, json};
use simulation::{Answer, Run, start};
use std::sync::Arc;

/// Choices of a machine's shape, one after the other (a linear congruential generator).
struct Dice(u64);
impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize].clone()
    }
}

/// Builds machines; names differ within the whole machine.
struct Builder {
    dice: Dice,
    names: usize,
}
impl Builder {
    fn machine(seed: u64) -> Value {
        let mut builder = Self {
            dice: Dice(seed),
            names: 0,
        };
        let mut graph = builder.graph(2);
        if builder.dice.roll(3) == 0 {
            graph["TimeoutSeconds"] = json!(500);
        }
        graph
    }
    /// A chain of states; `depth` bounds the nesting.
    fn graph(&mut self, depth: u64) -> Value {
        let count = 1 + self.dice.roll(4) as usize;
        let names: Vec<String> = (0..count).map(|i| format!("S{}", self.names + i)).collect();
        self.names += count;
        let mut states = serde_json::Map::new();
        for (i, name) in names.iter().enumerate() {
            states.insert(name.clone(), self.state(names.get(i + 1), depth));
        }
        json!({"StartAt": names[0], "States": states})
    }
    fn state(&mut self, next: Option<&String>, depth: u64) -> Value {
        let jsonata = self.dice.roll(3) == 0;
        let kinds = if depth > 0 { 9 } else { 6 };
        let mut state = match self.dice.roll(kinds) {
            0 => json!({"Type": "Pass"}),
            1 if jsonata => {
                json!({"Type": "Pass", "Output": {"n": "{% $random() < 2 ? 1 : 2 %}", "all": "{% $states.input %}"}})
            }
            1 => json!({"Type": "Pass", "Result": {"n": 1, "l": [1, 2]}, "ResultPath": "$.r"}),
            2 if jsonata => {
                json!({"Type": "Pass", "Assign": {"v": "{% $states.context.State.Name %}"}})
            }
            2 => {
                json!({"Type": "Pass", "Parameters": {"u.$": "States.UUID()", "all.$": "$"}, "Assign": {"v.$": "$"}})
            }
            3 => json!({"Type": "Wait", "Seconds": self.dice.roll(300)}),
            4 | 5 => self.task(jsonata, next),
            6 => {
                let branches: Vec<Value> = (0..=self.dice.roll(3))
                    .map(|_| self.graph(depth - 1))
                    .collect();
                json!({"Type": "Parallel", "Branches": branches})
            }
            _ => self.map(jsonata, depth),
        };
        if jsonata {
            state["QueryLanguage"] = json!("JSONata");
        }
        if matches!(state["Type"].as_str(), Some("Parallel" | "Map")) {
            if self.dice.roll(3) == 0 {
                state["Retry"] = json!([{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "JitterStrategy": "FULL"}]);
            }
            if let (0, Some(next)) = (self.dice.roll(3), next) {
                state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": next}]);
            }
        }
        match next {
            Some(next) => state["Next"] = json!(next),
            None => state["End"] = json!(true),
        }
        state
    }
    fn task(&mut self, jsonata: bool, next: Option<&String>) -> Value {
        let resource = self.dice.pick(&[
            "echo",
            "boom",
            "flaky",
            "silent",
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        ]);
        let mut task = json!({"Type": "Task", "Resource": resource, "TimeoutSeconds": 20});
        if jsonata {
            task["Arguments"] = json!({"x": "{% $states.input %}"});
        } else {
            task["Parameters"] = json!({"x.$": "$", "t.$": "$$.State.EnteredTime"});
        }
        if self.dice.roll(2) == 0 {
            task["HeartbeatSeconds"] = json!(9);
        }
        if self.dice.roll(2) == 0 {
            task["Retry"] = json!([
                {"ErrorEquals": ["Boom"], "MaxAttempts": self.dice.roll(4), "JitterStrategy": "FULL"},
                {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1},
            ]);
        }
        if let (true, Some(next)) = (self.dice.roll(4) > 0, next) {
            task["Catch"] = json!([{"ErrorEquals": ["States.HeartbeatTimeout", "Boom", "States.Timeout"], "Next": next}]);
        }
        task
    }
    fn map(&mut self, jsonata: bool, depth: u64) -> Value {
        let mut map = json!({"Type": "Map", "ItemProcessor": self.graph(depth - 1), "MaxConcurrency": self.dice.roll(4)});
        if jsonata {
            map["Items"] = json!("{% [1..3] %}");
        } else {
            map["InputPath"] = json!("$$.Execution.Input");
            map["ItemsPath"] = json!("$.items");
            map["ItemSelector"] = json!({"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"});
        }
        if self.dice.roll(2) == 0 {
            map["ItemProcessor"]["ProcessorConfig"] =
                json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
            map["ToleratedFailureCount"] = json!(self.dice.roll(3));
            match self.dice.roll(3) {
                0 => map["ItemBatcher"] = json!({"MaxItemsPerBatch": 2}),
                1 if !jsonata => {
                    map["ItemReader"] = json!({"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "items.json"}});
                    map["ResultWriter"] = json!({"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}});
                }
                _ => {}
            }
        }
        map
    }
}

/// `echo` returns its payload, `boom` fails, `flaky` fails twice, `silent` and callbacks never answer.
fn answer(task: &Task) -> Answer {
    let name = format!("{:?}", task.resource);
    let failed = Some(Err(("Boom".to_owned(), "as asked".to_owned())));
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
const INPUT: &str = r#"{"items": [5, {"k": "v"}, "x"], "n": 1}"#;
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
        let definition = Builder::machine(seed);
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
        let mut text = Builder::machine(seed).to_string();
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
