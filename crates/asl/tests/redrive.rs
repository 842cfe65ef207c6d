//! Redrive: states that succeeded keep their results, the others start again, and only Standard
//! executions can be redriven.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::Arc;

use serde_json::{Value, json};

use asl::{Effect, Event, Execution, Start, StateMachine, Status, StepChange, Task, WorkflowType};

fn start(input: &str) -> Start {
    Start {
        execution_arn: "arn:aws:states:us-east-1:111111111111:execution:m:e".into(),
        execution_name: "e".into(),
        role_arn: "arn:aws:iam::111111111111:role/r".into(),
        state_machine_arn: "arn:aws:states:us-east-1:111111111111:stateMachine:m".into(),
        state_machine_name: "m".into(),
        start_time: "2026-01-01T00:00:00Z".parse().unwrap(),
        input: input.into(),
        kind: WorkflowType::Standard,
        seed: 7,
    }
}

/// Drives an execution until there is nothing left to do. Tasks in `broken` fail, others echo.
/// Returns the states that were called.
fn drive(execution: &mut Execution, first: Event, broken: &[&str]) -> (Vec<String>, Vec<String>) {
    let now = start("{}").start_time;
    let (mut queue, mut called, mut types) = (vec![first], Vec::new(), Vec::new());
    while let Some(event) = queue.pop() {
        for effect in execution.handle(event, now) {
            match effect {
                Effect::Schedule(Task {
                    task,
                    state,
                    payload,
                    ..
                }) => {
                    called.push(format!("{state} {payload}"));
                    let failed = broken.iter().any(|b| called.last().unwrap().starts_with(b));
                    queue.insert(
                        0,
                        if failed {
                            Event::TaskFailed {
                                task,
                                error: "Boom".into(),
                                cause: "broken".into(),
                            }
                        } else {
                            Event::TaskSucceeded {
                                task,
                                output: payload,
                            }
                        },
                    );
                }
                Effect::Record(event) => types.push(event.kind),
                Effect::Yield => queue.push(Event::Continue),
                _ => {}
            }
        }
    }
    (called, types)
}

fn execution(states: Value, input: &str, kind: WorkflowType) -> Execution {
    let machine =
        StateMachine::parse(&json!({"StartAt": "A", "States": states}).to_string()).unwrap();
    let mut begin = start(input);
    begin.kind = kind;
    Execution::new(Arc::new(machine), begin)
}

#[test]
fn a_redrive_continues_from_the_failed_state_with_all_retries() {
    let states = json!({
        "A": {"Type": "Task", "Resource": "f", "Next": "B"},
        "B": {"Type": "Task", "Resource": "f", "Retry": [{"ErrorEquals": ["Boom"], "MaxAttempts": 0}], "End": true},
    });
    let mut e = execution(states.clone(), "7", WorkflowType::Standard);
    let (called, _) = drive(&mut e, Event::Begin, &["B"]);
    assert_eq!(
        (called, e.status(), e.is_redrivable()),
        (vec!["A 7".into(), "B 7".into()], Status::Failed, true)
    );
    let entered = Effect::Step(StepChange::Entered { step: "B".into() });
    let mut copy = execution(states.clone(), "7", WorkflowType::Standard);
    drive(&mut copy, Event::Begin, &["B"]);
    assert!(
        copy.handle(Event::Redrive, start("7").start_time)
            .contains(&entered)
    );
    let (called, types) = drive(&mut e, Event::Redrive, &[]);
    assert_eq!(
        (called, e.status(), e.output()),
        (vec!["B 7".into()], Status::Succeeded, Some("7"))
    );
    assert_eq!(types[..2], ["ExecutionRedriven", "LambdaFunctionScheduled"]);
    assert_eq!(
        (e.redrive_count(), e.is_redrivable(), e.error()),
        (1, false, None)
    );
    assert!(e.handle(Event::Redrive, start("1").start_time).is_empty());
}

#[test]
fn branches_and_iterations_that_succeeded_keep_their_results() {
    let states = json!({
        "A": {"Type": "Parallel", "Next": "M", "Branches": [
            {"StartAt": "X", "States": {"X": {"Type": "Task", "Resource": "f", "End": true}}},
            {"StartAt": "Y", "States": {"Y": {"Type": "Task", "Resource": "f", "End": true}}},
        ]},
        "M": {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Task", "Resource": "f", "End": true}}}, "End": true},
    });
    let mut e = execution(states, "7", WorkflowType::Standard);
    let (called, _) = drive(&mut e, Event::Begin, &["Y"]);
    assert_eq!(
        (called, e.status()),
        (vec!["X 7".into(), "Y 7".into()], Status::Failed)
    );
    let (called, _) = drive(&mut e, Event::Redrive, &["I 7"]);
    assert_eq!(
        (called, e.status()),
        (vec!["Y 7".into(), "I 7".into()], Status::Failed)
    );
    let (called, _) = drive(&mut e, Event::Redrive, &[]);
    assert_eq!(
        (called, e.output()),
        (vec!["I 7".into(), "I 7".into()], Some("[7,7]"))
    );
    assert_eq!(e.redrive_count(), 2);
}

#[test]
fn a_map_run_redrives_its_failed_children_only() {
    let map = json!({"Type": "Map", "End": true, "MaxConcurrency": 1, "ToleratedFailureCount": 1, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I", "States": {"I": {"Type": "Task", "Resource": "f", "End": true}}}});
    let mut e = execution(json!({"A": map}), "[1,2,3,4]", WorkflowType::Standard);
    let (called, types) = drive(&mut e, Event::Begin, &["I 2", "I 3"]);
    assert_eq!(
        (called.len(), e.error()),
        (3, Some("States.ExceedToleratedFailureThreshold"))
    );
    assert_eq!(
        types[2..],
        [
            "MapStateStarted",
            "MapRunStarted",
            "MapRunFailed",
            "MapStateFailed",
            "ExecutionFailed"
        ]
    );
    let children = |e: &Execution| -> Vec<(Status, u32)> {
        let children = e.map_runs()[0].children();
        children
            .map(|child| (child.status, child.redrive_count))
            .collect()
    };
    assert_eq!(
        children(&e),
        [
            (Status::Succeeded, 0),
            (Status::Failed, 0),
            (Status::Failed, 0)
        ]
    );
    let (called, types) = drive(&mut e, Event::Redrive, &[]);
    assert_eq!(
        children(&e),
        [
            (Status::Succeeded, 0),
            (Status::Succeeded, 1),
            (Status::Succeeded, 1),
            (Status::Succeeded, 0)
        ]
    );
    assert_eq!(
        (called, e.output()),
        (
            vec!["I 2".into(), "I 3".into(), "I 4".into()],
            Some("[1,2,3,4]")
        )
    );
    assert_eq!(types[..2], ["ExecutionRedriven", "MapRunRedriven"]);
    let run = &e.map_runs()[0];
    assert_eq!(
        (
            run.total,
            run.succeeded,
            run.failed,
            run.redrive_count,
            run.status
        ),
        (4, 4, 0, 1, Status::Succeeded)
    );
}

#[test]
fn only_standard_executions_start_a_stopped_wait_again() {
    let states = || json!({"A": {"Type": "Wait", "Seconds": 9, "End": true}});
    let mut e = execution(states(), "7", WorkflowType::Standard);
    drive(&mut e, Event::Begin, &[]);
    drive(
        &mut e,
        Event::Stop {
            error: None,
            cause: None,
        },
        &[],
    );
    assert_eq!((e.status(), e.timers().len()), (Status::Aborted, 0));
    drive(&mut e, Event::Redrive, &[]);
    assert_eq!((e.status(), e.timers().len()), (Status::Running, 1));
    let (timer, at) = e.timers()[0];
    e.handle(Event::TimerFired { timer }, at);
    assert_eq!(e.status(), Status::Succeeded);

    let mut e = execution(states(), "7", WorkflowType::Express);
    drive(&mut e, Event::Begin, &[]);
    drive(
        &mut e,
        Event::Stop {
            error: None,
            cause: None,
        },
        &[],
    );
    assert!(!e.is_redrivable() && e.handle(Event::Redrive, at).is_empty());
    let mut e = execution(
        json!({"A": {"Type": "Fail", "Error": "E"}}),
        "7",
        WorkflowType::Standard,
    );
    drive(&mut e, Event::Begin, &[]);
    drive(&mut e, Event::Redrive, &[]);
    assert_eq!(
        (e.status(), e.error(), e.redrive_count()),
        (Status::Failed, Some("E"), 1)
    );
}
