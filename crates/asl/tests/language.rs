//! The language part by part, each as a table: retriers, catchers, error names, timeouts, waits,
//! the context object, Choice operators, the effect of null on a field, and the limits of a
//! history.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod simulation;

use std::sync::Arc;

use serde_json::{Value, json};

use asl::{
    Event, Execution, MAX_EXPRESS_HISTORY, MAX_EXPRESS_SECONDS, MAX_HISTORY, StateMachine, Status,
    Task, TaskId, WorkflowType,
};
use simulation::{Answer, Run, start};

fn parse(definition: &Value) -> Arc<StateMachine> {
    let parsed = StateMachine::parse(&definition.to_string());
    Arc::new(parsed.unwrap_or_else(|problems| panic!("{definition}: {problems:?}")))
}

fn play(states: Value, input: &Value, answer: impl FnMut(&Task) -> Answer) -> Run {
    let machine = parse(&json!({"StartAt": "A", "States": states}));
    let run = simulation::run(&machine, &start(&input.to_string()), false, answer, |_| {
        Ok("[]".to_owned())
    });
    assert!(run.journal.len() < simulation::MAX_EVENTS);
    run
}

fn with(mut state: Value, more: Value) -> Value {
    let fields = more.as_object().unwrap().clone();
    state.as_object_mut().unwrap().extend(fields);
    state
}

fn fails(error: &str) -> Answer {
    Answer {
        outcome: Some(Err((error.to_owned(), "why".to_owned()))),
        ..Answer::default()
    }
}

fn echoes(task: &Task) -> Answer {
    Answer {
        outcome: Some(Ok(task.payload.to_string())),
        ..Answer::default()
    }
}

fn silent(_: &Task) -> Answer {
    Answer::default()
}

fn output(run: &Run) -> Value {
    let text = run.execution.output();
    let text =
        text.unwrap_or_else(|| panic!("{:?} {:?}", run.execution.error(), run.execution.cause()));
    serde_json::from_str(text).unwrap()
}

/// Milliseconds from the start to each event of this type.
fn times(run: &Run, kind: &str) -> Vec<i64> {
    let first = run.history[0].timestamp.as_millisecond();
    let all = run.history.iter().filter(|event| event.kind == kind);
    all.map(|event| event.timestamp.as_millisecond() - first)
        .collect()
}

/// The waits between the attempts of a task that always fails, in milliseconds.
fn waits(retrier: Value, seed: u64) -> Vec<i64> {
    let retrier = with(json!({"ErrorEquals": ["States.ALL"]}), retrier);
    let states = json!({"A": {"Type": "Task", "Resource": "f", "Retry": [retrier], "End": true}});
    let machine = parse(&json!({"StartAt": "A", "States": states}));
    let begin = asl::Start { seed, ..start("1") };
    let run = simulation::run(
        &machine,
        &begin,
        false,
        |_| fails("E"),
        |_| Ok(String::new()),
    );
    let times = times(&run, "LambdaFunctionScheduled");
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn retriers_wait_for_their_intervals() {
    for (retrier, want) in [
        (json!({}), vec![1_000, 2_000, 4_000]),
        (json!({"MaxAttempts": 0}), vec![]),
        (json!({"MaxAttempts": 1}), vec![1_000]),
        (
            json!({"IntervalSeconds": 3, "BackoffRate": 1.0, "MaxAttempts": 2}),
            vec![3_000, 3_000],
        ),
        (
            json!({"IntervalSeconds": 2, "BackoffRate": 1.5, "MaxAttempts": 3}),
            vec![2_000, 3_000, 4_500],
        ),
        (
            json!({"IntervalSeconds": 3, "MaxDelaySeconds": 5, "MaxAttempts": 4}),
            vec![3_000, 5_000, 5_000, 5_000],
        ),
        (
            json!({"IntervalSeconds": 9, "JitterStrategy": "NONE", "MaxAttempts": 1}),
            vec![9_000],
        ),
    ] {
        assert_eq!(waits(retrier.clone(), 7), want, "{retrier}");
    }
}

#[test]
fn jitter_stays_below_the_wait_and_follows_the_seed() {
    let retrier = || json!({"IntervalSeconds": 10, "MaxDelaySeconds": 30, "MaxAttempts": 6, "JitterStrategy": "FULL"});
    let most = [10_000, 20_000, 30_000, 30_000, 30_000, 30_000];
    let mut all = Vec::new();
    for seed in 0..20 {
        let found = waits(retrier(), seed);
        assert!(
            found
                .iter()
                .zip(most)
                .all(|(wait, most)| (0..=most).contains(wait))
        );
        assert_eq!(found, waits(retrier(), seed));
        all.push(found);
    }
    all.sort();
    all.dedup();
    assert!(all.len() > 15, "other seeds give other waits: {all:?}");
    let first: Vec<i64> = all.iter().map(|waits| waits[0]).collect();
    assert!(first.iter().any(|wait| *wait < 5_000) && first.iter().any(|wait| *wait > 5_000));
}

#[test]
fn the_first_matching_retrier_counts_its_own_attempts() {
    let retry = json!([
        {"ErrorEquals": ["A"], "MaxAttempts": 1},
        {"ErrorEquals": ["B"], "MaxAttempts": 2},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1},
    ]);
    for (errors, attempts, end) in [
        (vec!["A", "B", "B", "A"], 4, "A"),
        (vec!["B", "B", "B"], 3, "B"),
        // The retrier for A is used up. The one for all errors is not tried.
        (vec!["A", "A"], 2, "A"),
        (vec!["C", "A", "D"], 3, "D"),
    ] {
        let states = json!({"A": {"Type": "Task", "Resource": "f", "Retry": retry, "End": true}});
        let mut made = 0;
        let run = play(states, &json!(1), |task| {
            made += 1;
            assert_eq!(task.attempt as usize, made - 1);
            fails(errors.get(made - 1).unwrap_or(&"more"))
        });
        assert_eq!(
            (run.execution.error(), made),
            (Some(end), attempts),
            "{errors:?}"
        );
    }
}

#[test]
fn errors_are_caught_by_their_names() {
    let task = || json!({"Type": "Task", "Resource": "f"});
    let (all, failed) = ("States.ALL", "States.TaskFailed");
    let boom = |_: &Task| fails("Boom");
    let large = |_: &Task| Answer {
        outcome: Some(Ok(format!("\"{}\"", "x".repeat(asl::MAX_PAYLOAD)))),
        ..Answer::default()
    };

    type Case<'a> = (
        &'a str,
        Value,
        &'a dyn Fn(&Task) -> Answer,
        Vec<(&'a str, bool)>,
    );
    let cases: Vec<Case<'_>> = vec![
        (
            "a task's own",
            task(),
            &boom,
            vec![
                (all, true),
                (failed, true),
                ("Boom", true),
                ("States.Timeout", false),
                ("boom", false),
            ],
        ),
        (
            "a timeout",
            with(task(), json!({"TimeoutSeconds": 5})),
            &silent,
            vec![
                (all, true),
                (failed, false),
                ("States.Timeout", true),
                ("States.HeartbeatTimeout", false),
            ],
        ),
        (
            "a missed heartbeat",
            with(task(), json!({"HeartbeatSeconds": 5})),
            &silent,
            vec![
                (all, true),
                (failed, false),
                ("States.Timeout", true),
                ("States.HeartbeatTimeout", true),
            ],
        ),
        (
            "a path that is not there",
            with(task(), json!({"Parameters": {"x.$": "$.none"}})),
            &echoes,
            vec![(all, false), ("States.Runtime", false), (failed, false)],
        ),
        (
            "an intrinsic function",
            with(
                task(),
                json!({"Parameters": {"x.$": "States.StringToJson('{')"}}),
            ),
            &echoes,
            vec![
                (all, true),
                ("States.IntrinsicFailure", true),
                (failed, false),
            ],
        ),
        (
            "an expression",
            json!({"Type": "Task", "Resource": "f", "QueryLanguage": "JSONata", "Arguments": "{% $states.input.none %}"}),
            &echoes,
            vec![
                (all, true),
                ("States.QueryEvaluationError", true),
                (failed, false),
            ],
        ),
        (
            "a result that fits nowhere",
            with(task(), json!({"ResultPath": "$.n.x"})),
            &echoes,
            vec![
                (all, true),
                ("States.ResultPathMatchFailure", true),
                (failed, false),
            ],
        ),
        (
            "a large result",
            task(),
            &large,
            vec![(all, true), ("States.DataLimitExceeded", true)],
        ),
        (
            "a branch's",
            json!({"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {"X": {"Type": "Fail", "Error": "Boom"}}}]}),
            &echoes,
            vec![(all, true), (failed, true), ("Boom", true)],
        ),
        (
            "an iteration's",
            json!({"Type": "Map", "ItemsPath": "$.l", "ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Fail", "Error": "Boom"}}}}),
            &echoes,
            vec![(all, true), ("Boom", true)],
        ),
    ];
    for (what, state, answer, names) in cases {
        for (name, caught) in names {
            let state = with(
                state.clone(),
                json!({"Catch": [{"ErrorEquals": [name], "Next": "B"}], "End": true}),
            );
            let states =
                json!({"A": state, "B": {"Type": "Pass", "Result": "caught", "End": true}});
            let run = play(states, &json!({"n": 1, "l": [1]}), answer);
            assert_eq!(
                run.execution.output() == Some("\"caught\""),
                caught,
                "{what}, {name}: {:?} {:?}",
                run.execution.error(),
                run.execution.cause()
            );
        }
    }
}

#[test]
fn catchers_pass_the_error_to_their_result_path() {
    let error = json!({"Error": "E", "Cause": "why"});
    for (language, catcher, want) in [
        ("JSONPath", json!({}), json!({"out": error, "v": null})),
        (
            "JSONPath",
            json!({"ResultPath": "$"}),
            json!({"out": error, "v": null}),
        ),
        (
            "JSONPath",
            json!({"ResultPath": "$.e.f"}),
            json!({"out": {"n": 1, "e": {"f": error}}, "v": null}),
        ),
        (
            "JSONPath",
            json!({"ResultPath": null}),
            json!({"out": {"n": 1}, "v": null}),
        ),
        (
            "JSONPath",
            json!({"ResultPath": null, "Assign": {"v": {"c.$": "$.Cause", "k": 2}}}),
            json!({"out": {"n": 1}, "v": {"c": "why", "k": 2}}),
        ),
        ("JSONata", json!({}), json!({"out": error, "v": null})),
        (
            "JSONata",
            json!({"Output": {"e": "{% $states.errorOutput.Error %}", "in": "{% $states.input %}"}, "Assign": {"v": "{% $states.errorOutput.Cause %}"}}),
            json!({"out": {"e": "E", "in": {"n": 1}}, "v": "why"}),
        ),
    ] {
        let catcher = with(json!({"ErrorEquals": ["E"], "Next": "C"}), catcher);
        let states = json!({
            "A": {"Type": "Pass", "Assign": {"v": null}, "Next": "B"},
            "B": {"Type": "Task", "Resource": "f", "QueryLanguage": language, "Catch": [catcher], "End": true},
            "C": {"Type": "Pass", "Parameters": {"out.$": "$", "v.$": "$v"}, "End": true},
        });
        let run = play(states, &json!({"n": 1}), |_| fails("E"));
        assert_eq!(output(&run), want, "{language} {catcher}");
    }
}

#[test]
fn a_task_times_out_at_its_limit() {
    let input = json!({"t": 7, "bad": "x", "low": 0});
    for (language, fields, want) in [
        ("JSONPath", json!({"TimeoutSeconds": 5}), Ok(5_000)),
        ("JSONPath", json!({"TimeoutSecondsPath": "$.t"}), Ok(7_000)),
        ("JSONPath", json!({"HeartbeatSeconds": 5}), Ok(5_000)),
        (
            "JSONPath",
            json!({"HeartbeatSecondsPath": "$.t"}),
            Ok(7_000),
        ),
        (
            "JSONPath",
            json!({"TimeoutSeconds": 9, "HeartbeatSecondsPath": "$.t"}),
            Ok(7_000),
        ),
        (
            "JSONPath",
            json!({"TimeoutSeconds": 5, "HeartbeatSecondsPath": "$.t"}),
            Ok(5_000),
        ),
        (
            "JSONata",
            json!({"TimeoutSeconds": "{% $states.input.t * 2 %}"}),
            Ok(14_000),
        ),
        (
            "JSONata",
            json!({"HeartbeatSeconds": "{% $states.input.t %}"}),
            Ok(7_000),
        ),
        (
            "JSONPath",
            json!({"TimeoutSecondsPath": "$.none"}),
            Err("States.Runtime"),
        ),
        (
            "JSONPath",
            json!({"TimeoutSecondsPath": "$.bad"}),
            Err("States.Runtime"),
        ),
        (
            "JSONPath",
            json!({"HeartbeatSecondsPath": "$.low"}),
            Err("States.Runtime"),
        ),
        (
            "JSONata",
            json!({"TimeoutSeconds": "{% 'soon' %}"}),
            Err("States.QueryEvaluationError"),
        ),
    ] {
        let state =
            json!({"Type": "Task", "Resource": "f", "QueryLanguage": language, "End": true});
        let run = play(json!({"A": with(state, fields.clone())}), &input, silent);
        let ended = match times(&run, "LambdaFunctionTimedOut").as_slice() {
            [at] => Ok(*at),
            _ => Err(run.execution.error().unwrap()),
        };
        assert_eq!(ended, want, "{fields}: {:?}", run.execution.cause());
    }
}

#[test]
fn a_heartbeat_postpones_its_deadline() {
    let machine = parse(
        &json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "f", "HeartbeatSeconds": 10, "End": true}}}),
    );
    let begin = start("1");
    let mut execution = Execution::new(machine, begin.clone());
    let at = |seconds| begin.start_time + jiff::SignedDuration::from_secs(seconds);
    execution.handle(Event::Begin, at(0));
    let due = |execution: &Execution| execution.timers()[0];
    assert_eq!(due(&execution).1, at(10));
    for seconds in [9, 18, 27] {
        execution.handle(Event::TaskHeartbeat { task: TaskId(1) }, at(seconds));
        let task = execution.open_tasks()[0].task;
        execution.handle(Event::TaskHeartbeat { task }, at(seconds));
        assert_eq!(due(&execution).1, at(seconds + 10));
    }
    let (timer, when) = due(&execution);
    execution.handle(Event::TimerFired { timer }, when);
    assert_eq!(execution.error(), Some("States.Timeout"));
}

#[test]
fn the_timeout_of_a_function_counts_from_its_start() {
    let seconds = |seconds| jiff::Timestamp::from_second(seconds).unwrap();
    for (resource, moves) in [
        ("f", true),
        ("arn:aws:states:::lambda:invoke", true),
        ("arn:aws:states:us-east-1:000000000000:activity:a", false),
        ("arn:aws:states:::sqs:sendMessage", false),
    ] {
        let state = json!({"Type": "Task", "Resource": resource, "TimeoutSeconds": 30, "HeartbeatSeconds": 10,
            "Parameters": {"FunctionName": "f", "QueueUrl": "q", "MessageBody": "b"}, "End": true});
        let machine = parse(&json!({"StartAt": "A", "States": {"A": state}}));
        // The wait is a minute, or too short to count.
        for (started, counted) in [
            (seconds(60), 60),
            (jiff::Timestamp::from_millisecond(99).unwrap(), 0),
        ] {
            let mut execution = Execution::new(machine.clone(), start("{}"));
            let effects = execution.handle(Event::Begin, seconds(0));
            let task = effects.iter().find_map(|effect| match effect {
                asl::Effect::Schedule(task) => Some(task.task),
                _ => None,
            });
            let due = |execution: &Execution| {
                let timers = execution.timers();
                timers
                    .iter()
                    .map(|(_, at)| at.as_second())
                    .collect::<Vec<_>>()
            };
            assert_eq!(due(&execution), [30, 10], "{resource}");
            for (timer, _) in execution.timers() {
                assert_eq!(execution.waits_for_start(timer), moves, "{resource}");
            }
            let task = task.unwrap();
            for _ in 0..2 {
                execution.handle(Event::TaskStarted { task, worker: None }, started);
                let later = if moves { counted } else { 0 };
                assert_eq!(due(&execution), [30 + later, 10 + later], "{resource}");
            }
            assert!(
                execution
                    .timers()
                    .iter()
                    .all(|(timer, _)| !execution.waits_for_start(*timer))
            );
        }
    }
}

#[test]
fn a_wait_accepts_each_of_its_forms() {
    let input = json!({"s": 30, "t": "2026-01-01T00:01:00Z", "zone": "2026-01-01T01:01:00+01:00", "bad": "x"});
    for (language, fields, want) in [
        ("JSONPath", json!({"Seconds": 0}), Ok(0)),
        ("JSONPath", json!({"Seconds": 20}), Ok(20_000)),
        ("JSONPath", json!({"SecondsPath": "$.s"}), Ok(30_000)),
        (
            "JSONPath",
            json!({"Timestamp": "2026-01-01T00:01:00Z"}),
            Ok(60_000),
        ),
        (
            "JSONPath",
            json!({"Timestamp": "2025-01-01T00:00:00Z"}),
            Ok(0),
        ),
        ("JSONPath", json!({"TimestampPath": "$.t"}), Ok(60_000)),
        ("JSONPath", json!({"TimestampPath": "$.zone"}), Ok(60_000)),
        (
            "JSONata",
            json!({"Seconds": "{% $states.input.s + 1 %}"}),
            Ok(31_000),
        ),
        (
            "JSONata",
            json!({"Timestamp": "{% $states.input.t %}"}),
            Ok(60_000),
        ),
        (
            "JSONPath",
            json!({"SecondsPath": "$.bad"}),
            Err("States.Runtime"),
        ),
        (
            "JSONPath",
            json!({"TimestampPath": "$.s"}),
            Err("States.Runtime"),
        ),
        (
            "JSONata",
            json!({"Seconds": "{% 'x' %}"}),
            Err("States.QueryEvaluationError"),
        ),
    ] {
        let state = json!({"Type": "Wait", "QueryLanguage": language, "End": true});
        let run = play(json!({"A": with(state, fields.clone())}), &input, silent);
        let ended = match times(&run, "WaitStateExited").as_slice() {
            [at] => Ok(*at),
            _ => Err(run.execution.error().unwrap()),
        };
        assert_eq!(ended, want, "{fields}: {:?}", run.execution.cause());
    }
}

#[test]
fn the_context_object_is_complete_in_both_languages() {
    let begin = start("{\"n\":1}");
    let execution = json!({
        "Id": begin.execution_arn, "Input": {"n": 1}, "StartTime": "2026-01-01T00:00:00.000Z", "Name": "e",
        "RoleArn": begin.role_arn, "RedriveCount": 0,
    });
    let machine = json!({"Id": begin.state_machine_arn, "Name": "m"});
    let entered = "2026-01-01T00:00:00.000Z";
    for (field, language) in [
        (json!({"Parameters": {"c.$": "$$"}}), "JSONPath"),
        (
            json!({"Arguments": {"c": "{% $states.context %}"}}),
            "JSONata",
        ),
    ] {
        let task = with(
            json!({"Type": "Task", "Resource": "f", "QueryLanguage": language, "End": true}),
            field,
        );
        let run = play(json!({"A": task}), &json!({"n": 1}), echoes);
        assert_eq!(
            output(&run)["c"],
            json!({"Execution": execution, "StateMachine": machine, "State": {"Name": "A", "EnteredTime": entered, "RetryCount": 0}}),
            "{language}"
        );
        let map = json!({"Type": "Map", "QueryLanguage": language, "ItemProcessor": {"StartAt": "I", "States": {"I": task}}, "End": true});
        let map = if language == "JSONata" {
            with(map, json!({"Items": "{% ['x'] %}"}))
        } else {
            with(
                map,
                json!({"InputPath": "$$.Execution.Input", "ItemsPath": "$.l"}),
            )
        };
        let run = play(json!({"A": map}), &json!({"l": ["x"]}), echoes);
        assert_eq!(
            output(&run)[0]["c"]["Map"],
            json!({"Item": {"Index": 0, "Value": "x"}})
        );
    }
    let token = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "TimeoutSeconds": 1,
        "Parameters": {"FunctionName": "f", "Payload.$": "$$.Task"}, "End": true});
    let mut seen = None;
    play(json!({"A": token}), &json!({}), |task| {
        seen.clone_from(&task.token);
        let payload: Value = serde_json::from_str(&task.payload).unwrap();
        assert_eq!(payload["Payload"]["Token"].as_str(), task.token.as_deref());
        Answer::default()
    });
    assert!(seen.is_some());
}

#[test]
fn a_null_path_selects_nothing() {
    let input = json!({"a": 1});
    for (fields, want) in [
        (json!({}), json!({"r": 2})),
        (
            json!({"InputPath": null, "Parameters": {"r.$": "$"}}),
            json!({"r": {}}),
        ),
        (json!({"ResultPath": null}), json!({"a": 1})),
        (
            json!({"ResultPath": "$.b.c"}),
            json!({"a": 1, "b": {"c": {"r": 2}}}),
        ),
        (json!({"OutputPath": null}), json!({})),
        (json!({"ResultSelector": {"s.$": "$.r"}}), json!({"s": 2})),
        (
            json!({"ResultSelector": {"s.$": "$.r"}, "ResultPath": "$.a", "OutputPath": "$.a.s"}),
            json!(2),
        ),
    ] {
        let state = json!({"Type": "Task", "Resource": "f", "Parameters": {"r": 2}, "End": true});
        let run = play(json!({"A": with(state, fields.clone())}), &input, echoes);
        assert_eq!(output(&run), want, "{fields}");
    }
}

#[test]
fn every_choice_operator_compares_as_documented() {
    let choose = |rule: Value, input: &Value| -> bool {
        let rule = with(rule, json!({"Variable": "$.v", "Next": "Y"}));
        let states = json!({"A": {"Type": "Choice", "Choices": [rule], "Default": "N"},
            "Y": {"Type": "Pass", "Result": true, "End": true}, "N": {"Type": "Pass", "Result": false, "End": true}});
        output(&play(states, input, silent)) == true
    };
    let mut operators = 0;
    for (kind, values) in [
        ("String", [json!("a"), json!("b"), json!("c")]),
        ("Numeric", [json!(-1.5), json!(2), json!(10)]),
        (
            "Timestamp",
            [
                json!("2026-01-01T00:00:00Z"),
                json!("2026-01-01T02:00:00+01:00"),
                json!("2026-01-01T01:30:00.5Z"),
            ],
        ),
    ] {
        for (operator, holds) in [
            ("Equals", [false, true, false]),
            ("LessThan", [true, false, false]),
            ("LessThanEquals", [true, true, false]),
            ("GreaterThan", [false, false, true]),
            ("GreaterThanEquals", [false, true, true]),
        ] {
            let name = format!("{kind}{operator}");
            for (value, want) in values.iter().zip(holds) {
                let input = json!({"v": value, "w": values[1]});
                assert_eq!(
                    choose(json!({&name: values[1]}), &input),
                    want,
                    "{name} {value}"
                );
                assert_eq!(
                    choose(json!({format!("{name}Path"): "$.w"}), &input),
                    want,
                    "{name}Path {value}"
                );
            }
            assert!(
                !choose(json!({&name: values[1]}), &json!({"v": {}})),
                "{name} of another type"
            );
            operators += 2;
        }
    }
    for (rule, yes, no) in [
        (json!({"BooleanEquals": true}), json!(true), json!("true")),
        (
            json!({"BooleanEqualsPath": "$.w"}),
            json!(false),
            json!(true),
        ),
        (
            json!({"StringMatches": "a*\\*?"}),
            json!("ab*?"),
            json!("abc"),
        ),
        (json!({"IsNull": true}), json!(null), json!(0)),
        (json!({"IsNull": false}), json!(0), json!(null)),
        (json!({"IsString": true}), json!(""), json!(1)),
        (json!({"IsNumeric": true}), json!(1.5), json!("1.5")),
        (json!({"IsBoolean": true}), json!(false), json!(null)),
        (
            json!({"IsTimestamp": true}),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-01-01"),
        ),
    ] {
        for (value, want) in [(yes, true), (no, false)] {
            let input = json!({"v": value, "w": false});
            assert_eq!(choose(rule.clone(), &input), want, "{rule} {input}");
        }
        operators += 1;
    }
    assert!(
        choose(json!({"IsPresent": false}), &json!({}))
            && choose(json!({"IsPresent": true}), &json!({"v": null}))
    );
    // IsNull occurs twice; IsPresent is separate.
    assert_eq!(operators, 39);
}

#[test]
fn a_condition_that_is_not_a_boolean_fails() {
    let run = |condition: &str| {
        let states = json!({"A": {"Type": "Choice", "QueryLanguage": "JSONata", "Choices": [{"Condition": condition, "Next": "Y", "Assign": {"v": 1}, "Output": "{% 'yes' %}"}], "Default": "N", "Assign": {"v": 2}, "Output": "{% 'no' %}"},
            "Y": {"Type": "Pass", "Parameters": {"in.$": "$", "v.$": "$v"}, "End": true}, "N": {"Type": "Pass", "Parameters": {"in.$": "$", "v.$": "$v"}, "End": true}});
        play(states, &json!({"n": 1}), silent)
    };
    assert_eq!(
        output(&run("{% $states.input.n = 1 %}")),
        json!({"in": "yes", "v": 1})
    );
    assert_eq!(
        output(&run("{% $states.input.n > 1 %}")),
        json!({"in": "no", "v": 2})
    );
    assert_eq!(
        run("{% $states.input.n %}").execution.error(),
        Some("States.QueryEvaluationError")
    );
}

#[test]
fn an_execution_fails_one_event_beyond_the_history_limit() {
    // Four events for each round, and four for the beginning and the end.
    let rounds = (MAX_HISTORY as i64 - 4) / 4;
    let states = json!({
        "A": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, -1)"}, "Next": "B"},
        "B": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericGreaterThan": 0, "Next": "A"}], "Default": "C"},
        "C": {"Type": "Succeed"},
    });
    let run = |rounds: i64| play(states.clone(), &json!({"n": rounds}), silent);
    let fits = run(rounds);
    assert_eq!(
        (fits.execution.status(), fits.history.len() as u64),
        (Status::Succeeded, MAX_HISTORY)
    );
    let over = run(rounds + 1);
    assert_eq!(
        (
            over.execution.status(),
            over.execution.error(),
            over.history.len() as u64
        ),
        (Status::Failed, Some("States.Runtime"), MAX_HISTORY)
    );
    assert!(!over.execution.is_redrivable(), "there is no room for more");
}

/// Like [`play`], for an Express machine.
fn express(definition: &Value, input: &Value) -> Run {
    let machine = StateMachine::parse_as(&definition.to_string(), WorkflowType::Express).unwrap();
    let begin = asl::Start {
        kind: WorkflowType::Express,
        ..start(&input.to_string())
    };
    simulation::run(&Arc::new(machine), &begin, false, silent, |_| {
        Ok("[]".to_owned())
    })
}

#[test]
fn an_express_history_has_ten_times_the_limit() {
    // Four events for each item, and five around them.
    let items = (MAX_EXPRESS_HISTORY - 5) / 4;
    let run = |items: u64| {
        let each =
            json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 0, "End": true}}});
        express(
            &json!({"StartAt": "A", "States": {"A": {"Type": "Map", "End": true, "ResultPath": null, "ItemProcessor": each}}}),
            &json!(vec![0; items as usize]),
        )
    };
    let fits = run(items);
    assert_eq!(fits.execution.status(), Status::Succeeded);
    assert!(fits.history.len() as u64 > MAX_EXPRESS_HISTORY - 4);
    let over = run(items + 1);
    assert_eq!(
        (over.execution.error(), over.history.len() as u64),
        (Some("States.Runtime"), MAX_EXPRESS_HISTORY)
    );
}

#[test]
fn an_express_execution_times_out_after_five_minutes() {
    let run = |seconds: f64, timeout: Option<f64>| {
        let mut definition = json!({"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": seconds, "End": true}}});
        if let Some(timeout) = timeout {
            definition["TimeoutSeconds"] = json!(timeout);
        }
        let run = express(&definition, &json!({}));
        let took = run.history.last().unwrap().timestamp.as_second()
            - run.history[0].timestamp.as_second();
        (run.execution.status(), took)
    };
    for (seconds, timeout, status, took) in [
        (MAX_EXPRESS_SECONDS - 1.0, None, Status::Succeeded, 299),
        (MAX_EXPRESS_SECONDS + 1.0, None, Status::TimedOut, 300),
        (
            MAX_EXPRESS_SECONDS + 1.0,
            Some(1_000.0),
            Status::TimedOut,
            300,
        ),
        (MAX_EXPRESS_SECONDS - 1.0, Some(10.0), Status::TimedOut, 10),
    ] {
        assert_eq!(
            run(seconds, timeout),
            (status, took),
            "{seconds} {timeout:?}"
        );
    }
}

#[test]
fn express_machines_run_and_are_not_redriven() {
    let definition =
        json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "f", "End": true}}});
    let machine =
        Arc::new(StateMachine::parse_as(&definition.to_string(), WorkflowType::Express).unwrap());
    let begin = asl::Start {
        kind: WorkflowType::Express,
        ..start("1")
    };
    let good = simulation::run(&machine, &begin, true, echoes, |_| Ok(String::new()));
    assert_eq!(good.execution.output(), Some("1"));
    let bad = simulation::run(
        &machine,
        &begin,
        true,
        |_| fails("E"),
        |_| Ok(String::new()),
    );
    assert_eq!(
        (bad.execution.error(), bad.execution.is_redrivable()),
        (Some("E"), false)
    );
    for resource in [
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::glue:startJobRun.sync",
        "arn:aws:states:us-east-1:123456789012:activity:a",
    ] {
        let request = json!({"FunctionName": "f", "StateMachineArn": "m", "JobName": "j"});
        let definition = json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": resource, "Parameters": request, "End": true}}});
        assert!(
            StateMachine::parse_as(&definition.to_string(), WorkflowType::Express).is_err(),
            "{resource}"
        );
        assert!(
            StateMachine::parse(&definition.to_string()).is_ok(),
            "{resource}"
        );
    }
}

#[test]
fn result_writers_transform_results() {
    let map = |config: Value| {
        json!({"A": {"Type": "Map", "End": true, "ToleratedFailureCount": 1, "ResultWriter": {"WriterConfig": config}, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I", "States": {"I": {"Type": "Task", "Resource": "f", "End": true}}}}})
    };
    let run = |config: Value| {
        output(&play(map(config), &json!([[1, 2], 3, "bad"]), |task| {
            if &*task.payload == "\"bad\"" {
                fails("E")
            } else {
                echoes(task)
            }
        }))
    };
    let compact = run(json!({"Transformation": "COMPACT"}));
    assert_eq!(
        (&compact[0], &compact[1], &compact[2]["Status"]),
        (&json!([1, 2]), &json!(3), &json!("FAILED"))
    );
    let flat = run(json!({"Transformation": "FLATTEN"}));
    assert_eq!(
        (&flat[0], &flat[1], &flat[2], &flat[3]["Error"]),
        (&json!(1), &json!(2), &json!(3), &json!("E"))
    );
    let whole = run(json!({"Transformation": "NONE"}));
    let told: Vec<&Value> = whole
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["Status"])
        .collect();
    assert_eq!(told, ["SUCCEEDED", "SUCCEEDED", "FAILED"]);
    assert_eq!(whole[0]["Output"], "[1,2]");
}

#[test]
fn placeholders_of_deployment_tools_are_warnings() {
    for (state, place) in [
        (
            json!({"Type": "${Type}", "Resource": "f", "End": true}),
            "/States/A/Type",
        ),
        (
            json!({"Type": "Task", "Resource": "${Arn}", "End": true}),
            "/States/A/Resource",
        ),
        (
            json!({"Type": "Task", "Resource": {"Fn::GetAtt": ["F", "Arn"]}, "End": true}),
            "/States/A/Resource",
        ),
        (
            json!({"Type": "Task", "Resource": "f", "TimeoutSeconds": "${Timeout}", "End": true}),
            "/States/A/TimeoutSeconds",
        ),
        (
            json!({"Type": "Task", "Resource": "f", "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": {"Ref": "Tries"}}], "End": true}),
            "/States/A/Retry[0]/MaxAttempts",
        ),
        (
            json!({"Type": "Wait", "Timestamp": "${Until}", "End": true}),
            "/States/A/Timestamp",
        ),
        (
            json!({"Type": "Pass", "InputPath": "${Path}", "End": true}),
            "/States/A/InputPath",
        ),
        (json!({"Type": "Pass", "End": "${Last}"}), "/States/A/End"),
    ] {
        let definition = json!({"StartAt": "A", "States": {"A": state}}).to_string();
        let found = asl::validate(&definition);
        assert!(
            found.iter().all(|d| d.severity == asl::Severity::Warning),
            "{definition}: {found:?}"
        );
        assert!(
            found.iter().any(|d| d.location == place),
            "{definition}: {found:?}"
        );
    }
}

#[test]
fn a_number_passes_through_unchanged() {
    let states = json!({"A": {"Type": "Pass", "Parameters": {"n.$": "$.n"}, "End": true}});
    for number in [
        "0.30000000000000004",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "9007199254740993",
        "-18.700000000000003",
        "5e-324",
        "62.27999999999999",
    ] {
        let machine = parse(&json!({"StartAt": "A", "States": states}));
        let input = format!(r#"{{"n":{number}}}"#);
        let run = simulation::run(&machine, &start(&input), false, silent, |_| {
            Ok("[]".to_owned())
        });
        let written = run.execution.output().unwrap();
        let (_, value) = written.split_once(':').unwrap();
        let value = value.trim_end_matches('}');
        assert_eq!(
            value.parse::<f64>().unwrap().to_bits(),
            number.parse::<f64>().unwrap().to_bits(),
            "{number} became {value}"
        );
    }
}
