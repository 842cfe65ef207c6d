//! Steps by push: if entries of the log and changes of status are lost, doubled or shuffled, a
//! job's final steps are those of its history. `JOBCAST_CASES` is the number of executions, and
//! `JOBCAST_TEST_SEED` the seed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod machines;
mod recordings;

use std::collections::BTreeMap;

use job::change::Source;
use job::{Applied, Change, Job, JobError, JobId, NewJob, Step, StepKind, Time, Update};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use resolvers::workflow::step_functions::pushed::{
    Lack, LogEntry, Pushed, StatusChange, after, follow, log_entry, status_change, success,
};
use resolvers::workflow::{End, ExecutionEvent, ExecutionStatus, LOG_COMPLETE};
use serde_json::{Value, json};

/// One execution with its job.
struct Case {
    definition: String,
    history: Vec<Value>,
    /// What AWS pushes, each with the number of history events before it.
    pushed: Vec<(usize, Pushed)>,
    job: Job,
}

fn new_job(definition: &Value) -> Job {
    let states = definition["States"].as_object().unwrap();
    let steps = states.iter().filter_map(|(name, state)| {
        let kind = match state["Type"].as_str().unwrap() {
            "Task" => StepKind::Task,
            "Wait" => StepKind::Wait,
            "Map" => StepKind::Map,
            "Parallel" => StepKind::Parallel,
            _ => return None,
        };
        Some((name.clone(), kind))
    });
    let steps = steps.zip(0..);
    let new = NewJob {
        id: JobId::new(Time::from_millis(1), 1),
        job_type: "m".to_owned(),
        owner: "ann".to_owned(),
        tags: vec![],
        steps: steps
            .map(|((name, kind), index)| Step::pending(name, index, kind))
            .collect(),
    };
    new.into_job().unwrap()
}

/// The entry of the log: flat, numbers as strings, without execution data.
fn entry_of(event: &Value, arn: &str, redrives: u32, with_resource: bool) -> String {
    let details = event.as_object().unwrap().iter();
    let mut details = details
        .filter(|(name, _)| name.ends_with("Details"))
        .map(|(_, value)| value);
    let mut details = details.next().cloned().unwrap_or(json!({}));
    if let Some(fields) = details.as_object_mut() {
        for data in [
            "input",
            "output",
            "inputDetails",
            "outputDetails",
            "parameters",
        ] {
            fields.remove(data);
        }
        if !with_resource {
            fields.remove("resource");
        }
    }
    json!({
        "id": event["id"].to_string(),
        "type": event["type"],
        "details": details,
        "previous_event_id": event["previousEventId"].to_string(),
        "event_timestamp": ((event["timestamp"].as_f64().unwrap() * 1_000.0) as i64).to_string(),
        "execution_arn": arn,
        "redrive_count": redrives.to_string(),
    })
    .to_string()
}

/// The event of EventBridge.
fn status_of(event: &Value, arn: &str, redrives: u32, included: bool) -> Option<Value> {
    let kind = event["type"].as_str().unwrap();
    let status = match kind {
        "ExecutionStarted" | "ExecutionRedriven" => "RUNNING",
        "ExecutionSucceeded" => "SUCCEEDED",
        "ExecutionFailed" => "FAILED",
        "ExecutionAborted" => "ABORTED",
        "ExecutionTimedOut" => "TIMED_OUT",
        _ => return None,
    };
    let key = kind.replacen("Execution", "execution", 1) + "EventDetails";
    let details = &event[key.as_str()];
    let millis = (event["timestamp"].as_f64().unwrap() * 1_000.0) as i64;
    Some(json!({
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "detail": {
            "executionArn": arn, "status": status, "startDate": millis, "stopDate": millis,
            "output": if included { details["output"].clone() } else { Value::Null },
            "outputDetails": { "included": included },
            "error": details["error"], "cause": details["cause"], "redriveCount": redrives,
        },
    }))
}

fn case(rng: &mut StdRng) -> Case {
    let definition = machines::definition(rng);
    let job = new_job(&definition);
    let definition = definition.to_string();
    let history = machines::history(rng, &definition, &job.execution);
    let history = history
        .iter()
        .map(|event| serde_json::to_value(event).unwrap());
    let history: Vec<Value> = history.collect();
    let arn = format!(
        "arn:aws:states:us-east-1:000000000000:execution:m:{}",
        job.execution
    );
    let (mut pushed, mut redrives) = (Vec::new(), 0);
    for (place, event) in history.iter().enumerate() {
        redrives += u32::from(event["type"] == "ExecutionRedriven");
        let entry = entry_of(event, &arn, redrives, rng.random());
        pushed.push((place, log_entry(&entry).unwrap()));
        let status = status_of(event, &arn, redrives, rng.random_range(0..5) > 0);
        pushed.extend(status.map(|status| (place, status_change(&status).unwrap())));
    }
    Case {
        definition,
        history,
        pushed,
        job,
    }
}

/// Applies an event as `Resolvers` does.
fn apply(job: &Job, event: &ExecutionEvent) -> Job {
    let mut updates = vec![Update::Start];
    updates.extend(event.steps.iter().map(|(name, update)| Update::Step {
        name: name.clone(),
        update: update.clone(),
    }));
    if let Some(End {
        status,
        error,
        cause,
        ..
    }) = &event.end
    {
        let error = || {
            let name = error.as_deref().unwrap_or("Error");
            JobError::new(name, cause.as_deref().unwrap_or_default())
        };
        updates.push(match status {
            ExecutionStatus::Succeeded => Update::Succeed,
            ExecutionStatus::Failed => Update::Fail(error()),
            ExecutionStatus::TimedOut => Update::TimeOut(error()),
            ExecutionStatus::Aborted => Update::Cancel(error()),
            ExecutionStatus::Running => unreachable!("it is no end"),
        });
    }
    let change = Change {
        updates,
        source: Some(Source {
            execution: event.execution.clone(),
            position: event.position,
            attempt: 1 + event.redrives,
            so_far: false,
        }),
        ..Change::default()
    };
    match job.apply(&change, event.at).unwrap() {
        Applied::Changed(job) => *job,
        Applied::Unchanged => job.clone(),
    }
}

/// The job after its whole history, event by event.
fn expected(case: &Case) -> Job {
    let mut job = case.job.clone();
    let mut position = 0;
    for count in 1..=case.history.len() {
        let history = &case.history[..count];
        let events = after(&case.definition, &job.execution, position, history);
        position = events.last().map_or(position, |event| event.position);
        for event in events {
            job = apply(&job, &event);
        }
    }
    job
}

/// Loses, doubles and shuffles what is pushed.
fn disturbed(rng: &mut StdRng, pushed: &[(usize, Pushed)]) -> Vec<(usize, Pushed)> {
    let (lost, doubled, window) = (
        rng.random_range(0..25),
        rng.random_range(0..25),
        *[0, 0, 3, 20].get(rng.random_range(0..4)).unwrap(),
    );
    let mut arrives = Vec::new();
    for (place, one) in pushed.iter().enumerate() {
        if rng.random_range(0..100) < lost {
            continue;
        }
        let copies = 1 + usize::from(rng.random_range(0..100) < doubled);
        for _ in 0..copies {
            arrives.push((place + rng.random_range(0..=window), one.clone()));
        }
    }
    arrives.shuffle(rng);
    arrives.sort_by_key(|(at, _)| *at);
    arrives.into_iter().map(|(_, one)| one).collect()
}

/// One process that applies pushed events.
#[derive(Default)]
struct Process {
    entries: BTreeMap<u64, LogEntry>,
    status: Option<StatusChange>,
}

impl Process {
    fn add(&mut self, pushed: &Pushed) {
        match pushed {
            Pushed::Entry(entry) => {
                self.entries.insert(entry.id, entry.clone());
            }
            Pushed::Status(status) => {
                let rank = |status: &StatusChange| (status.redrives, status.end.is_some());
                if self
                    .status
                    .as_ref()
                    .is_none_or(|known| rank(known) <= rank(status))
                {
                    self.status = Some(status.clone());
                }
            }
        }
    }
}

/// Applies what can be applied. With `reads`, also what has to be read.
fn work(case: &Case, process: &Process, job: &mut Job, known: &[Value], reads: Option<&mut usize>) {
    let lacks = loop {
        let followed = follow(
            &case.definition,
            job,
            &process.entries,
            process.status.as_ref(),
        );
        let before = (job.version, job.position);
        if let Some(event) = &followed.event {
            *job = apply(job, event);
        }
        if (job.version, job.position) == before {
            break followed.lacks;
        }
    };
    let Some(reads) = reads else {
        return;
    };
    match (lacks, &process.status) {
        (Lack::Nothing, _) => return,
        (Lack::Output, Some(status)) => {
            let end = after(&case.definition, &job.execution, 0, known)
                .pop()
                .and_then(|e| e.end);
            if let Some(end) = end {
                *job = apply(job, &success(job, status, end));
            }
        }
        _ => {
            for event in after(&case.definition, &job.execution, job.position, known) {
                *job = apply(job, &event);
            }
        }
    }
    *reads += 1;
}

/// The job after what was pushed arrived, disturbed, in two processes of which one may start again
/// at any time. At the end, the sweep reads what is missing.
fn pushed_job(rng: &mut StdRng, case: &Case, reads: &mut usize) -> Job {
    let (mut job, mut processes) = (case.job.clone(), [Process::default(), Process::default()]);
    let arrives = disturbed(rng, &case.pushed);
    let (mut rest, mut happened) = (&arrives[..], 0);
    while !rest.is_empty() {
        let batch;
        (batch, rest) = rest.split_at(rng.random_range(1..=rest.len().min(6)));
        let process = &mut processes[rng.random_range(0..2)];
        if rng.random_range(0..10) == 0 {
            *process = Process::default();
        }
        for (place, pushed) in batch {
            happened = happened.max(place + 1);
            process.add(pushed);
        }
        let patient = rng.random_range(0..3) > 0;
        let reads = (!patient).then_some(&mut *reads);
        work(case, process, &mut job, &case.history[..happened], reads);
    }
    for event in after(
        &case.definition,
        &job.execution,
        job.position,
        &case.history,
    ) {
        job = apply(&job, &event);
    }
    if job.position >= LOG_COMPLETE && !job.status.is_terminal() {
        let mut all = after(&case.definition, &job.execution, 0, &case.history);
        let last = all.pop().unwrap();
        let position = job.position + 1;
        job = apply(
            &job,
            &ExecutionEvent {
                position,
                steps: vec![],
                ..last
            },
        );
    }
    job
}

/// What a user sees of the job, without what depends on the batches: times, and the progress of the
/// job, which never falls when steps are entered again.
fn shown(job: &Job) -> Value {
    let steps = job.steps.iter().map(|step| {
        let items = (step.items_done, step.items_total);
        json!([
            step.name,
            step.status,
            step.progress,
            step.attempt,
            items,
            step.error
        ])
    });
    json!([
        job.status,
        job.attempt,
        job.error,
        steps.collect::<Vec<_>>()
    ])
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn final_steps_are_those_of_the_history_whatever_happens_to_the_log() {
    let cases = number("JOBCAST_CASES").unwrap_or(150);
    let first = number("JOBCAST_TEST_SEED").unwrap_or(1);
    for seed in first..first + cases {
        let mut rng = StdRng::seed_from_u64(seed);
        let case = case(&mut rng);
        let wanted = expected(&case);
        assert!(wanted.status.is_terminal(), "seed {seed}");
        for _ in 0..3 {
            let job = pushed_job(&mut rng, &case, &mut 0);
            assert_eq!(
                shown(&job),
                shown(&wanted),
                "seed {seed}: {}\n{}",
                case.definition,
                case.history
                    .iter()
                    .map(|e| format!("{e}\n"))
                    .collect::<String>()
            );
        }
    }
}

#[test]
fn an_undisturbed_log_needs_no_history_unless_an_execution_is_redriven() {
    for seed in 1..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let case = case(&mut rng);
        if case
            .history
            .iter()
            .any(|event| event["type"] == "ExecutionRedriven")
        {
            continue;
        }
        let (mut job, mut process, mut reads) = (case.job.clone(), Process::default(), 0);
        for (_, pushed) in &case.pushed {
            process.add(pushed);
            work(&case, &process, &mut job, &case.history, None);
        }
        work(&case, &process, &mut job, &[], Some(&mut reads));
        let end = process.status.as_ref().unwrap();
        assert_eq!(
            reads,
            usize::from(!end.has_output),
            "seed {seed}: {}",
            case.definition
        );
        assert_eq!(job.status.is_terminal(), end.has_output, "seed {seed}");
    }
}
