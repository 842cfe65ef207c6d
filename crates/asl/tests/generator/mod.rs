//! Random machines: all eight state types, both languages, Retry and Catch, Maps of both modes,
//! callbacks and activities. It runs nothing.
//!
//! Concurrent branches always fail with the same error, so the end does not depend on which of them
//! fails first.

use serde_json::{Map, Value, json};

/// The input of the machines. Their Maps iterate over `items`.
pub(crate) const INPUT: &str = r#"{"items": [5, {"k": "v"}, "x"], "n": 1}"#;
/// The error of `boom` and of Fail states.
pub(crate) const BOOM: (&str, &str) = ("Boom", "as asked");
/// Tasks that are answered by their token.
pub(crate) const CALLBACK: &str = "arn:aws:states:::sqs:sendMessage.waitForTaskToken";
pub(crate) const ACTIVITY: &str = "arn:aws:states:us-east-1:000000000000:activity:a";

/// The clock that the machines run under.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Clock {
    /// Waits may be long, and tasks may never answer.
    Virtual,
    /// No wait is longer than a second, and every task answers.
    Real,
}

/// The random choices of a machine's shape (a linear congruential generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// The definition for a seed.
pub(crate) fn machine(seed: u64, clock: Clock) -> Value {
    let mut builder = Builder {
        dice: Dice(seed),
        names: 0,
        clock,
    };
    let mut graph = builder.graph(2);
    if builder.dice.roll(3) == 0 {
        graph["TimeoutSeconds"] = json!(500);
    }
    graph
}

/// Builds machines. Names are unique within the whole machine.
struct Builder {
    dice: Dice,
    names: usize,
    clock: Clock,
}

impl Builder {
    /// A chain of states; `depth` bounds the nesting.
    fn graph(&mut self, depth: u64) -> Value {
        let count = 1 + self.dice.roll(4) as usize;
        let names: Vec<String> = (0..count).map(|i| format!("S{}", self.names + i)).collect();
        self.names += count;
        let mut states = Map::new();
        for (i, name) in names.iter().enumerate() {
            states.insert(name.clone(), self.state(&names[i + 1..], depth));
        }
        json!({"StartAt": names[0], "States": states})
    }

    /// A state that leads to the first of those that follow, or to none if it ends its graph.
    fn state(&mut self, after: &[String], depth: u64) -> Value {
        let jsonata = self.dice.roll(3) == 0;
        let next = after.first();
        let kinds = if depth > 0 { 11 } else { 8 };
        let mut state = match self.dice.roll(kinds) {
            0 => json!({"Type": "Pass"}),
            1 if jsonata => {
                json!({"Type": "Pass", "Output": {"n": "{% $random() < 2 ? 1 : 2 %}", "all": "{% $states.input %}"}})
            }
            1 => json!({"Type": "Pass", "Result": {"n": 1, "l": [1, 2]}, "ResultPath": "$.r"}),
            2 if jsonata => {
                // An inner scope may not assign the variables of an outer one.
                let variable = format!("v{depth}");
                json!({"Type": "Pass", "Assign": {variable: "{% $states.context.State.Name %}"}})
            }
            2 => {
                let variable = format!("v{depth}.$");
                json!({"Type": "Pass", "Parameters": {"u.$": "States.UUID()", "all.$": "$"}, "Assign": {variable: "$"}})
            }
            3 => self.wait(jsonata),
            4 | 5 => self.task(jsonata, next),
            6 => self.choice_or_end(jsonata, after),
            7 => json!({"Type": "Pass", "Comment": "it changes nothing"}),
            8 => {
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
        let kind = state["Type"].as_str().unwrap_or_default().to_owned();
        if matches!(kind.as_str(), "Parallel" | "Map") {
            if self.dice.roll(3) == 0 {
                state["Retry"] = json!([self.retrier("States.ALL", 1)]);
            }
            if let (0, Some(next)) = (self.dice.roll(3), next) {
                state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": next}]);
            }
        }
        match (kind.as_str(), next) {
            ("Choice" | "Succeed" | "Fail", _) => {}
            (_, Some(next)) => state["Next"] = json!(next),
            (_, None) => state["End"] = json!(true),
        }
        state
    }

    fn wait(&mut self, jsonata: bool) -> Value {
        let longest = if self.clock == Clock::Virtual { 300 } else { 2 };
        let seconds = self.dice.roll(longest);
        match self.dice.roll(3) {
            0 => json!({"Type": "Wait", "Timestamp": "2026-01-01T00:00:10Z"}),
            1 if jsonata => {
                json!({"Type": "Wait", "Seconds": format!("{{% {seconds} + 0 * $states.context.Execution.Input.n %}}")})
            }
            _ => json!({"Type": "Wait", "Seconds": seconds}),
        }
    }

    /// A Choice if states follow; otherwise one of the two types that end a graph.
    fn choice_or_end(&mut self, jsonata: bool, after: &[String]) -> Value {
        let Some(next) = after.first() else {
            return match self.dice.roll(3) {
                0 => json!({"Type": "Fail", "Error": BOOM.0, "Cause": BOOM.1}),
                1 if jsonata => {
                    json!({"Type": "Succeed", "Output": {"end": "{% $states.input %}"}})
                }
                _ => json!({"Type": "Succeed"}),
            };
        };
        let other = &after[self.dice.roll(after.len() as u64) as usize];
        let rule = match (jsonata, self.dice.roll(3)) {
            (true, sides) => {
                json!({"Condition": format!("{{% $states.context.Execution.Input.n = {sides} %}}"), "Next": next})
            }
            (false, 0) => {
                let variable = format!("c{}", self.names);
                json!({"Variable": "$$.Execution.Input.n", "NumericEquals": 1, "Next": next, "Assign": {variable: 1}})
            }
            (false, 1) => json!({"Not": {"Variable": "$.none", "IsPresent": true}, "Next": next}),
            (false, _) => {
                json!({"And": [{"Variable": "$$.Execution.Input.n", "IsString": true}], "Next": next})
            }
        };
        json!({"Type": "Choice", "Choices": [rule], "Default": other})
    }

    fn retrier(&mut self, error: &str, attempts: u64) -> Value {
        let backoff = if self.clock == Clock::Virtual {
            2.0
        } else {
            1.0
        };
        json!({"ErrorEquals": [error], "MaxAttempts": attempts, "BackoffRate": backoff, "JitterStrategy": "FULL"})
    }

    fn task(&mut self, jsonata: bool, next: Option<&String>) -> Value {
        let resource = match (self.clock, self.dice.roll(6)) {
            (Clock::Virtual, 0) => "silent",
            (_, 0 | 1) => "echo",
            (_, 2) => "boom",
            (_, 3) => "flaky",
            (_, 4) => CALLBACK,
            _ => ACTIVITY,
        };
        let timeout = if self.clock == Clock::Virtual {
            20
        } else {
            600
        };
        let mut task = json!({"Type": "Task", "Resource": resource, "TimeoutSeconds": timeout});
        if jsonata {
            task["Arguments"] = json!({"x": "{% $states.input %}"});
        } else {
            task["Parameters"] = json!({"x.$": "$", "t.$": "$$.State.EnteredTime"});
        }
        if resource == CALLBACK {
            let request = if jsonata { "Arguments" } else { "Parameters" };
            task[request]["QueueUrl"] = json!("queue");
            task[request]["MessageBody"] = json!("body");
        }
        if self.dice.roll(2) == 0 {
            task["HeartbeatSeconds"] = json!(timeout / 2);
        }
        if self.dice.roll(2) == 0 {
            let attempts = self.dice.roll(4);
            task["Retry"] = json!([
                self.retrier("Boom", attempts),
                self.retrier("States.ALL", 1)
            ]);
        }
        if let (true, Some(next)) = (self.dice.roll(4) > 0, next) {
            let errors = self.dice.pick(&[
                ["States.HeartbeatTimeout", "Boom"],
                ["Boom", "States.Timeout"],
            ]);
            task["Catch"] = json!([{"ErrorEquals": errors, "Next": next}]);
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
