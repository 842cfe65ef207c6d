//! Random state machines, and the histories that the engine gives them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use asl::{Effect, Event, Execution, HistoryEvent, Start, StateMachine, Status, WorkflowType};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value, json};

/// Maximum number of events before an execution is stopped.
const LONGEST: u64 = 300;

fn chance(rng: &mut StdRng, percent: u32) -> bool {
    rng.random_range(0..100) < percent
}

fn retry(rng: &mut StdRng) -> Value {
    json!([{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": rng.random_range(1..3) }])
}

fn task(rng: &mut StdRng) -> Value {
    let resource = *[
        "arn:aws:lambda:us-east-1:000000000000:function:f",
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
    ]
    .choose(rng)
    .unwrap();
    let mut task = json!({ "Type": "Task", "Resource": resource, "ResultPath": null });
    if resource.ends_with("invoke") {
        task["Parameters"] = json!({ "FunctionName": "f" });
    } else if resource.ends_with("Token") {
        task["Parameters"] =
            json!({ "FunctionName": "f", "Payload": { "token.$": "$$.Task.Token" } });
    }
    if chance(rng, 50) {
        task["Retry"] = retry(rng);
    }
    task
}

/// A machine of one or two states inside a Map or a Parallel.
fn inner(rng: &mut StdRng, prefix: &str) -> Value {
    let (first, second) = (format!("{prefix}a"), format!("{prefix}b"));
    let mut task = task(rng);
    task["Next"] = json!(second);
    let mut states = Map::new();
    states.insert(first.clone(), task);
    states.insert(second, json!({ "Type": "Pass", "End": true }));
    json!({ "StartAt": first, "States": states })
}

fn state(rng: &mut StdRng, name: &str) -> Value {
    let mut state = match rng.random_range(0..7) {
        0 => json!({ "Type": "Pass" }),
        1 => json!({ "Type": "Wait", "Seconds": 1 }),
        2 => json!({ "Type": "Map", "ItemsPath": "$.items", "ResultPath": null,
            "MaxConcurrency": rng.random_range(1..4),
            "ItemProcessor": inner(rng, &format!("{name}i")) }),
        3 => {
            let branches = 0..rng.random_range(1..4);
            let branches: Vec<Value> = branches
                .map(|branch| inner(rng, &format!("{name}p{branch}")))
                .collect();
            json!({ "Type": "Parallel", "ResultPath": null, "Branches": branches })
        }
        _ => return task(rng),
    };
    if ["Map", "Parallel"].contains(&state["Type"].as_str().unwrap()) && chance(rng, 40) {
        state["Retry"] = retry(rng);
    }
    state
}

/// A chain of states. An error may lead back to an earlier one.
pub(crate) fn definition(rng: &mut StdRng) -> Value {
    let count = rng.random_range(1..6);
    let name = |index: usize| format!("S{index}");
    let mut states = Map::new();
    for index in 0..count {
        let mut state = state(rng, &name(index));
        if ["Task", "Map", "Parallel"].contains(&state["Type"].as_str().unwrap()) && chance(rng, 30)
        {
            let to = name(rng.random_range(0..count));
            state["Catch"] =
                json!([{ "ErrorEquals": ["States.ALL"], "Next": to, "ResultPath": null }]);
        }
        if index + 1 < count {
            state["Next"] = json!(name(index + 1));
        } else {
            state["End"] = json!(true);
        }
        states.insert(name(index), state);
    }
    json!({ "StartAt": "S0", "States": states })
}

fn start(rng: &mut StdRng, name: &str) -> Start {
    let items: Vec<u32> = (0..rng.random_range(0..4)).collect();
    Start {
        execution_arn: format!("arn:aws:states:us-east-1:000000000000:execution:m:{name}").into(),
        execution_name: name.into(),
        role_arn: "arn:aws:iam::000000000000:role/r".into(),
        state_machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:m".into(),
        state_machine_name: "m".into(),
        start_time: "2026-01-01T00:00:00Z".parse().unwrap(),
        input: json!({ "items": items }).to_string().into(),
        kind: WorkflowType::Standard,
        seed: rng.random(),
    }
}

fn task_of(event: &Event) -> Option<u64> {
    match event {
        Event::TaskStarted { task, .. }
        | Event::TaskSubmitted { task, .. }
        | Event::TaskSucceeded { task, .. }
        | Event::TaskFailed { task, .. } => Some(task.0),
        _ => None,
    }
}

/// The next event: any whose task has none before it.
fn pick(rng: &mut StdRng, queue: &mut VecDeque<Event>) -> Option<Event> {
    let place = rng.random_range(0..queue.len().max(1));
    let task = queue.get(place).and_then(task_of);
    let first = queue.iter().position(|event| task_of(event) == task);
    queue.remove(first.filter(|_| task.is_some()).unwrap_or_default())
}

/// The history of a random execution, to its end, with the redrives in it.
pub(crate) fn history(rng: &mut StdRng, definition: &str, name: &str) -> Vec<HistoryEvent> {
    let machine = Arc::new(StateMachine::parse(definition).expect("a valid definition"));
    let start = start(rng, name);
    let mut now = start.start_time;
    let mut execution = Execution::new(machine, start);
    let (mut queue, mut history) = (VecDeque::from([Event::Begin]), Vec::<HistoryEvent>::new());
    let mut fired = BTreeSet::new();
    let stop_at = if chance(rng, 10) {
        rng.random_range(3..30)
    } else {
        LONGEST
    };
    loop {
        let last = history.last().map_or(0, |event| event.id);
        let event = if execution.status() != Status::Running && last > 0 {
            if !execution.is_redrivable() || execution.redrive_count() == 2 || chance(rng, 50) {
                return history;
            }
            queue.clear();
            Event::Redrive
        } else if last >= stop_at && (last >= LONGEST || execution.redrive_count() == 0) {
            let text = |text: &str| Some(text.to_owned());
            Event::Stop {
                error: text("Stopped"),
                cause: text("by the test"),
            }
        } else if let Some(event) = pick(rng, &mut queue) {
            event
        } else {
            let timers = execution.timers().into_iter();
            let timers = timers.filter(|timer| !fired.contains(&timer.0));
            let (timer, at) = timers
                .min_by_key(|timer| (timer.1, timer.0))
                .expect("it goes on");
            now = now.max(at);
            fired.insert(timer);
            Event::TimerFired { timer }
        };
        for effect in execution.handle(event, now) {
            match effect {
                Effect::Record(event) => history.push(event),
                Effect::Yield => queue.push_back(Event::Continue),
                Effect::Schedule(task) => answer(rng, &task, &mut queue),
                _ => {}
            }
        }
    }
}

fn answer(rng: &mut StdRng, task: &asl::Task, queue: &mut VecDeque<Event>) {
    let id = task.task;
    queue.push_back(Event::TaskStarted {
        task: id,
        worker: None,
    });
    if task.token.is_some() {
        let output = "{}".into();
        queue.push_back(Event::TaskSubmitted { task: id, output });
    }
    queue.push_back(if chance(rng, 75) {
        let output = "{}".into();
        Event::TaskSucceeded { task: id, output }
    } else {
        let (error, cause) = ("Wrong".to_owned(), "on purpose".to_owned());
        Event::TaskFailed {
            task: id,
            error,
            cause,
        }
    });
}
