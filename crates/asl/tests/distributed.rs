//! Distributed Maps: files that are read, batches, tolerated failures, results that are written,
//! and scopes of variables.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod simulation;

use std::sync::Arc;

use serde_json::{Value, json};

use asl::{Effect, Event, Execution, StateMachine, Status, Task};
use simulation::{Answer, Run, start};

fn machine(states: &Value) -> Arc<StateMachine> {
    Arc::new(StateMachine::parse(&json!({"StartAt": "A", "States": states}).to_string()).unwrap())
}

/// `boom` fails for the payload 2.
fn answer(task: &Task) -> Answer {
    let outcome = if &*task.payload == "2" {
        Err(("Boom".into(), "two".into()))
    } else {
        Ok(task.payload.to_string())
    };
    Answer {
        outcome: Some(outcome),
        ..Answer::default()
    }
}

fn run(states: &Value, input: &str, body: Result<&str, &str>) -> Run {
    let machine = machine(states);
    let read = |_: &asl::ReadItems| body.map(str::to_owned).map_err(str::to_owned);
    let straight = simulation::run(&machine, &start(input), false, answer, read);
    let rebuilt = simulation::run(&machine, &start(input), true, answer, read);
    assert_eq!(
        (&straight.journal, &straight.history),
        (&rebuilt.journal, &rebuilt.history)
    );
    straight
}

fn map(more: Value) -> Value {
    let mut map = json!({"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I", "States": {"I": {"Type": "Task", "Resource": "boom", "End": true}}}});
    map.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"A": map})
}

fn reader(config: Value) -> Value {
    json!({"ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config, "Parameters": {"Bucket": "b", "Key.$": "$.key"}}})
}

#[test]
fn items_come_from_every_kind_of_file() {
    for (config, body, want) in [
        (
            json!({"InputType": "JSON"}),
            "[1,{\"a\":[]}]",
            json!([1, {"a": []}]),
        ),
        (
            json!({"InputType": "JSONL", "MaxItems": 1}),
            "1\n3\n",
            json!([1]),
        ),
        (
            json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}),
            "a,b\n1,x\n",
            json!([{"a": "1", "b": "x"}]),
        ),
        (
            json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["n"], "CSVDelimiter": "PIPE"}),
            "1|x\n",
            json!([{"n": "1"}]),
        ),
        (
            json!({"InputType": "JSON", "MaxItemsPath": "$.most"}),
            "[1,3,4]",
            json!([1, 3]),
        ),
    ] {
        let run = run(&map(reader(config)), r#"{"key": "k", "most": 2}"#, Ok(body));
        assert_eq!(
            run.execution
                .output()
                .map(|o| serde_json::from_str::<Value>(o).unwrap()),
            Some(want),
            "{body} {:?}",
            run.execution.cause()
        );
    }
    for (body, cause) in [
        (Ok("{}"), "Attempting to map over non-iterable node."),
        (Err("no such object"), "no such object"),
    ] {
        let run = run(
            &map(reader(json!({"InputType": "JSON"}))),
            r#"{"key": "k"}"#,
            body,
        );
        assert_eq!(
            (run.execution.error(), run.execution.cause()),
            (Some("States.ItemReaderFailed"), Some(cause))
        );
        let types: Vec<&str> = run.history.iter().map(|h| h.kind.as_str()).collect();
        assert_eq!(
            types[3..],
            [
                "MapRunStarted",
                "MapRunFailed",
                "MapStateFailed",
                "ExecutionFailed"
            ]
        );
    }
}

#[test]
fn failures_are_tolerated_up_to_the_limit() {
    for (limit, status) in [
        (json!({}), Status::Failed),
        (json!({"ToleratedFailureCount": 1}), Status::Succeeded),
        (json!({"ToleratedFailurePercentage": 33}), Status::Failed),
        (json!({"ToleratedFailurePercentage": 34}), Status::Succeeded),
        (
            json!({"Catch": [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "C"}]}),
            Status::Succeeded,
        ),
    ] {
        let mut states = map(limit.clone());
        if limit.get("Catch").is_some() {
            states["C"] = json!({"Type": "Succeed"});
        }
        assert_eq!(
            run(&states, "[1,2,3]", Ok("")).execution.status(),
            status,
            "{limit}"
        );
    }
}

#[test]
fn batches_have_their_input_and_results_become_files() {
    let batched = map(
        json!({"ItemsPath": "$.l", "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"k.$": "$.k"}}}),
    );
    let run = run(&batched, r#"{"l": [1, 3, 5], "k": "x"}"#, Ok(""));
    assert_eq!(
        run.execution
            .output()
            .map(|o| serde_json::from_str::<Value>(o).unwrap()),
        Some(
            json!([{"BatchInput": {"k": "x"}, "Items": [{"v": 1}, {"v": 3}]}, {"BatchInput": {"k": "x"}, "Items": [{"v": 5}]}])
        )
    );

    let writer = map(
        json!({"ToleratedFailureCount": 9, "Label": "L", "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}}),
    );
    let mut e = Execution::new(machine(&writer), start("[1,2]"));
    let now = start("1").start_time;
    let mut queue = vec![Event::Begin];
    let mut written = None;
    while let Some(event) = queue.pop() {
        for effect in e.handle(event, now) {
            match effect {
                Effect::Schedule(task) => queue.insert(
                    0,
                    match answer(&task).outcome.unwrap() {
                        Ok(output) => Event::TaskSucceeded {
                            task: task.task,
                            output: output.into(),
                        },
                        Err((error, cause)) => Event::TaskFailed {
                            task: task.task,
                            error,
                            cause,
                        },
                    },
                ),
                Effect::WriteResults(request) => {
                    assert!(
                        matches!(&e.open_files()[..], [Effect::WriteResults(open)] if *open == request)
                    );
                    queue.push(Event::ResultsWritten { task: request.task });
                    written = Some(request);
                }
                _ => {}
            }
        }
    }
    let request = written.unwrap();
    let file = |name: &str| -> Value {
        serde_json::from_str(
            &request
                .files
                .iter()
                .find(|f| f.0.ends_with(name))
                .unwrap()
                .1,
        )
        .unwrap()
    };
    assert_eq!(file("SUCCEEDED_0.json")[0]["Output"], "1");
    assert_eq!(
        (
            &file("FAILED_0.json")[0]["Error"],
            &file("FAILED_0.json")[0]["Status"]
        ),
        (&json!("Boom"), &json!("FAILED"))
    );
    assert_eq!(
        file("manifest.json")["ResultFiles"]["SUCCEEDED"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let output: Value = serde_json::from_str(e.output().unwrap()).unwrap();
    assert_eq!(output["ResultWriterDetails"]["Bucket"], "b");
    assert!(
        output["MapRunArn"]
            .as_str()
            .unwrap()
            .contains(":mapRun:m/L:")
    );
}

#[test]
fn variables_reach_into_branches_but_not_out_of_them() {
    let inner = |state: Value| json!({"StartAt": "I", "States": {"I": state}});
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"v": 1, "w.$": "$.n"}, "Next": "P"},
        "P": {"Type": "Parallel", "Next": "M", "Branches": [
            {"StartAt": "X", "States": {"X": {"Type": "Pass", "Assign": {"inner": 5}, "Next": "Z"}, "Z": {"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($v, $inner)"}, "End": true}}}]},
        "M": {"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% [$v, $w] %}", "ItemProcessor": inner(json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input + $w %}", "End": true})), "Assign": {"total": "{% $sum($states.result) %}"}, "Output": {"r": "{% $states.result %}", "in": "{% $states.input %}"}, "Next": "E"},
        "E": {"Type": "Pass", "Parameters": {"total.$": "$total", "r.$": "$.r", "in.$": "$.in"}, "End": true},
    });
    let out = run(&states, r#"{"n": 10}"#, Ok(""));
    assert_eq!(
        out.execution.output(),
        Some(r#"{"total":31,"r":[11,20],"in":[{"sum":6}]}"#),
        "{:?}",
        out.execution.cause()
    );
    let leak = json!({
        "A": {"Type": "Parallel", "Branches": [inner(json!({"Type": "Pass", "Assign": {"x": 1}, "End": true}))], "Next": "B"},
        "B": {"Type": "Pass", "Parameters": {"x.$": "$x"}, "End": true},
    });
    assert_eq!(run(&leak, "1", Ok("")).execution.status(), Status::Failed);
    let child = json!({"A": {"Type": "Pass", "Assign": {"x": 1}, "Result": [1], "Next": "M"}, "M": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "C", "States": {"C": {"Type": "Pass", "Parameters": {"x.$": "$x"}, "End": true}}}}});
    assert_eq!(
        run(&child, "1", Ok("")).execution.error(),
        Some("States.ExceedToleratedFailureThreshold")
    );
}

#[test]
fn an_execution_can_move_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<StateMachine>();
    shareable::<Execution>();
}

#[test]
fn a_child_execution_ends_at_the_limit_of_states() {
    let map = json!({"A": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "X", "States": {
            "X": {"Type": "Pass", "Next": "Y"},
            "Y": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "Z"}], "Default": "X"},
            "Z": {"Type": "Succeed"}}}}});
    let read = |_: &asl::ReadItems| Err(String::new());
    let run = |input: &str| simulation::run(&machine(&map), &start(input), false, answer, read);
    assert_eq!(run("[0]").execution.output(), Some("[0]"));
    let endless = run("[1]");
    assert_eq!(
        endless.execution.error(),
        Some("States.ExceedToleratedFailureThreshold")
    );
    assert!(endless.journal.len() > 10 && endless.history.len() < 10);
}
