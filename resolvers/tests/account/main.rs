//! Several nodes in one account of AWS: its quotas, and calls that fail for good or never end.
//! `JOBCAST_CASES` is the number of open jobs at a restart.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod proxy;
mod world;

use std::time::Duration;

use job::{JobId, Status, StepStatus};
use resolvers::jobs::{SubmitJob, Sweep, Sweeps};
use resolvers::read_budget::READS_PER_SECOND;
use resolvers::workflow::step_functions::pushed::{Pushed, log_entry, status_change};
use resolvers::workflow::step_functions::{EXECUTION_INPUT_BYTES, Follow};
use resolvers::{Caller, Error};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::proxy::Fate;
use crate::world::{Node, World};

const READS: [&str; 2] = ["GetExecutionHistory", "DescribeExecution"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_start_fails_its_job_and_the_sweep_starts_the_others() {
    let world = World::start().await;
    world.proxy.decide(|action, _| match action {
        "StartExecution" => Fate::Refuse("ExecutionLimitExceeded"),
        _ => Fate::Forward,
    });
    let node = world.node(Follow::Read, Sweeps::Elsewhere).await;
    let refused = node.submit("short", &json!({})).await;
    let other = node.submit("short", &json!({})).await;
    node.resolvers.settle().await;
    assert_eq!(node.job(refused).await.status, Status::Queued);
    let poison = refused.to_string();
    world.proxy.decide(move |action, body| {
        if action == "StartExecution" && body.contains(&poison) {
            Fate::Refuse("InvalidExecutionInput")
        } else {
            Fate::Forward
        }
    });
    node.resolvers.sweep_once(Sweep::Open).await.unwrap();
    let job = node.job(refused).await;
    assert_eq!(job.status, Status::Failed);
    assert_eq!(job.error.as_ref().unwrap().name, "InvalidExecutionInput");
    node.until(other, |job| job.status == Status::Succeeded)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_is_never_answered_delays_no_other_job() {
    let world = World::start().await;
    let node = world.node(Follow::Read, Sweeps::Elsewhere).await;
    let hanging = node.submit("short", &json!({})).await;
    let name = hanging.to_string();
    world.proxy.decide(move |action, body| {
        if action == "GetExecutionHistory" && body.contains(&name) {
            Fate::Hang
        } else {
            Fate::Forward
        }
    });
    let begun = Instant::now();
    let other = node.submit("short", &json!({})).await;
    node.until(other, |job| job.status == Status::Succeeded)
        .await;
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_machine_that_is_not_deployed_is_named_with_its_address() {
    let world = World::start().await;
    let prefix = "arn:aws:states:us-east-1:000000000000:stateMachine:other-";
    let node = world.node_at(prefix, Follow::Read, Sweeps::Elsewhere).await;
    let id = node.submit("short", &json!({})).await;
    let job = node.until(id, |job| job.status == Status::Failed).await;
    let error = job.error.as_ref().unwrap();
    assert_eq!(error.name, "StateMachineDoesNotExist");
    assert!(
        error.message.contains(&format!("{prefix}short")),
        "{error:?}"
    );
    let reports = node.workflow.check_machines().await.unwrap();
    assert_eq!(reports.len(), 2);
    assert!(
        reports
            .iter()
            .all(|report| report.to_string().contains(prefix)),
        "{reports:?}"
    );
    let right = world.node(Follow::Read, Sweeps::Elsewhere).await;
    assert_eq!(right.workflow.check_machines().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_fits_with_the_field_job_or_is_refused_at_submit() {
    let world = World::start().await;
    let node = world.node(Follow::Pushed, Sweeps::Elsewhere).await;
    let submit = async |size: usize| {
        let input = json!({ "fill": "x".repeat(size) }).to_string();
        let submit = SubmitJob {
            job_type: "short".to_owned(),
            input: Some(input.into()),
            ..SubmitJob::default()
        };
        node.resolvers.submit_job(&Caller::dev(), submit).await
    };
    // What the server adds to an empty input.
    let added = match submit(EXECUTION_INPUT_BYTES - 20).await {
        Err(Error::OverLimit(over)) => over.value - (EXECUTION_INPUT_BYTES - 20),
        other => panic!("{other:?}"),
    };
    let most = EXECUTION_INPUT_BYTES - added;
    let Err(Error::OverLimit(over)) = submit(most + 1).await else {
        panic!("one byte too many was accepted");
    };
    assert_eq!(
        (over.value, over.limit),
        (EXECUTION_INPUT_BYTES + 1, EXECUTION_INPUT_BYTES)
    );
    let job = submit(most).await.unwrap();
    node.resolvers.settle().await;
    assert_eq!(
        node.job(job.id).await.status,
        Status::Queued,
        "not refused by the workflow"
    );
    assert_eq!(world.proxy.calls(&["StartExecution"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_some_seconds_shows_within_two_while_the_budget_is_free() {
    let world = World::start().await;
    let node = world.node(Follow::Read, Sweeps::Elsewhere).await;
    let id = node.submit("short", &json!({})).await;
    let running = |job: &job::Job| job.steps[0].status == StepStatus::Waiting;
    node.until(id, running).await;
    let begun = Instant::now();
    node.until(id, |job| job.status == Status::Succeeded).await;
    // The step lasts a second; looks are a second apart.
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

/// The reads in the busiest second.
fn busiest(times: &[Instant]) -> usize {
    let within = |from: &Instant| {
        let second = times
            .iter()
            .filter(|at| *at >= from && at.duration_since(*from) < Duration::from_millis(1_000));
        second.count()
    };
    times.iter().map(within).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_three_nodes_stays_within_the_budget_and_finds_every_job() {
    let count = std::env::var("JOBCAST_CASES")
        .ok()
        .and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(40);
    let world = World::start().await;
    let ids: Vec<JobId> = {
        let node = world.node(Follow::Pushed, Sweeps::Elsewhere).await;
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(node.submit("long", &json!({})).await);
        }
        node.resolvers.settle().await;
        ids
    };
    // The events were lost, and half of the executions end before the nodes start again.
    for id in ids.iter().step_by(2) {
        world
            .engine
            .stop(&id.to_string(), None, None)
            .await
            .unwrap();
    }
    let begun = Instant::now();
    let nodes = tokio::join!(
        world.node(Follow::Read, Sweeps::Shared),
        world.node(Follow::Read, Sweeps::Shared),
        world.node(Follow::Read, Sweeps::Shared),
    );
    for (place, id) in ids.iter().enumerate() {
        let wanted = if place % 2 == 0 {
            Status::Cancelled
        } else {
            Status::Waiting
        };
        let limit = Duration::from_secs(300).saturating_sub(begun.elapsed());
        let right = async {
            while nodes.0.job(*id).await.status != wanted {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(limit, right)
            .await
            .expect("right within five minutes");
    }
    let reads = world.proxy.calls(&READS);
    // A read that is late falls into the second of others; over time there are no more.
    let most = READS_PER_SECOND as usize;
    assert!(
        busiest(&reads) <= most + 2,
        "{} reads in a second",
        busiest(&reads)
    );
    let seconds = begun.elapsed().as_secs_f64();
    assert!(
        reads.len() as f64 <= seconds * most as f64 + 1.0,
        "{} reads in {seconds} s",
        reads.len()
    );
    println!(
        "{count} jobs right after {:?}, {} reads, {} in the busiest second",
        begun.elapsed(),
        reads.len(),
        busiest(&reads)
    );
}

fn entries(history: &[Value], id: JobId) -> Vec<Pushed> {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:short:{id}");
    let entry = |event: &Value| {
        let details = event.as_object().unwrap().iter();
        let mut details = details.filter(|(name, _)| name.ends_with("Details"));
        let mut details = details
            .next()
            .map_or(json!({}), |(_, details)| details.clone());
        details.as_object_mut().unwrap().remove("output");
        let millis = event["timestamp"].as_f64().unwrap() * 1_000.0;
        let entry = json!({
            "id": event["id"].to_string(), "type": event["type"], "details": details,
            "previous_event_id": event["previousEventId"].to_string(),
            "event_timestamp": (millis as u64).to_string(),
            "execution_arn": arn, "redrive_count": "0",
        });
        log_entry(&entry.to_string()).unwrap()
    };
    history.iter().map(entry).collect()
}

fn succeeded(id: JobId, output: Option<&str>) -> Pushed {
    let event = json!({
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": format!("arn:aws:states:us-east-1:000000000000:execution:short:{id}"),
            "status": "SUCCEEDED", "startDate": 1_000, "stopDate": 2_000, "redriveCount": 0,
            "output": output, "outputDetails": { "included": output.is_some() },
        },
    });
    status_change(&event).unwrap()
}

/// A job whose execution has ended, and its history.
async fn ended(world: &World, node: &Node) -> (JobId, Vec<Value>) {
    let id = node.submit("short", &json!({})).await;
    node.resolvers.settle().await;
    world.engine.end(None, &id.to_string()).await.unwrap();
    let history = world
        .engine
        .history(&id.to_string(), 0, 1_000)
        .await
        .unwrap();
    (id, history.events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushed_steps_and_ends_read_no_history_and_show_at_once() {
    let world = World::start().await;
    let node = world.node(Follow::Pushed, Sweeps::Elsewhere).await;
    let (id, history) = ended(&world, &node).await;
    let entries = entries(&history, id);
    // Each entry comes alone.
    for entry in entries {
        let begun = Instant::now();
        let applied = node.resolvers.apply_pushed(vec![entry]).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_millis(300),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!((applied.reads, applied.left), (0, 0));
    }
    let job = node.job(id).await;
    assert!(
        job.steps
            .iter()
            .all(|step| step.status == StepStatus::Succeeded),
        "{job:?}"
    );
    let end = succeeded(id, Some(r#"{"done":true}"#));
    node.resolvers
        .apply_pushed(vec![end.clone()])
        .await
        .unwrap();
    node.resolvers.apply_pushed(vec![end]).await.unwrap();
    assert_eq!(node.job(id).await.status, Status::Succeeded);
    let result = node.resolvers.store().result(id).await.unwrap();
    assert_eq!(result.as_deref(), Some(r#"{"done":true}"#));
    assert_eq!(world.proxy.calls(&READS), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_is_not_included_is_described_once() {
    let world = World::start().await;
    let node = world.node(Follow::Pushed, Sweeps::Elsewhere).await;
    let (id, history) = ended(&world, &node).await;
    let mut pushed = entries(&history, id);
    pushed.push(succeeded(id, None));
    let applied = node.resolvers.apply_pushed(pushed).await.unwrap();
    assert_eq!((applied.reads, applied.left), (1, 0));
    assert_eq!(node.job(id).await.status, Status::Succeeded);
    assert!(node.resolvers.store().result(id).await.unwrap().is_some());
    assert_eq!(world.proxy.calls(&["DescribeExecution"]).len(), 1);
    assert_eq!(world.proxy.calls(&["GetExecutionHistory"]).len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_entry_is_read_once_from_the_history() {
    let world = World::start().await;
    let node = world.node(Follow::Pushed, Sweeps::Elsewhere).await;
    let (id, history) = ended(&world, &node).await;
    let mut pushed = entries(&history, id);
    pushed.remove(2);
    let applied = node.resolvers.apply_pushed(pushed).await.unwrap();
    assert_eq!((applied.reads, applied.left), (1, 0));
    assert_eq!(node.job(id).await.status, Status::Succeeded);
    assert_eq!(world.proxy.calls(&READS).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_comes_late_closes_the_gap_without_a_read() {
    let world = World::start().await;
    let node = world.node(Follow::Pushed, Sweeps::Elsewhere).await;
    let (id, history) = ended(&world, &node).await;
    let mut pushed = entries(&history, id);
    let late = pushed.remove(2);
    pushed.push(succeeded(id, Some("{}")));
    let (first, second) = tokio::join!(
        node.resolvers.apply_pushed(pushed),
        node.resolvers.apply_pushed(vec![late])
    );
    assert_eq!((first.unwrap().reads, second.unwrap().reads), (0, 0));
    assert_eq!(node.job(id).await.status, Status::Succeeded);
    assert_eq!(world.proxy.calls(&READS), []);
}
