//! Jobs and changes to test with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use job::change::{Report, StepUpdate};
use job::{Change, Job, JobError, JobId, NewJob, Status, Step, StepKind, Time, Update};
use resolvers::store::{CreateJob, JobStore, RequestToken};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// The time `seconds` after 2026-11-24T05:00:00Z, when the tests begin.
pub(crate) fn at(seconds: i64) -> Time {
    Time::from_millis(1_795_496_400_000 + seconds * 1000)
}

pub(crate) fn new_at(time: Time, owner: &str, job_type: &str, tags: &[&str]) -> Job {
    // Random, so that ids of one millisecond are in no order.
    let random = NEXT
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let new = NewJob {
        id: JobId::new(time, u128::from(random) << 64 | u128::from(random)),
        job_type: job_type.to_owned(),
        owner: owner.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        steps: vec![
            Step::pending("work", 0, StepKind::Task),
            Step::pending("pause", 1, StepKind::Wait),
        ],
    };
    new.into_job().unwrap()
}

pub(crate) fn new() -> Job {
    new_at(at(0), "ann", "thumbnails", &[])
}

pub(crate) fn create_of(job: &Job) -> CreateJob {
    CreateJob {
        job: job.clone(),
        input: Arc::from(r#"{"n":1}"#),
        request: None,
    }
}

pub(crate) fn token(token: &str, digest: u8, expires_at: Time) -> RequestToken {
    RequestToken {
        token: token.to_owned(),
        digest: [digest; 32],
        expires_at,
    }
}

/// A new job that is in the store.
pub(crate) async fn created(store: &dyn JobStore) -> Arc<Job> {
    put(store, new()).await
}

pub(crate) async fn put(store: &dyn JobStore, job: Job) -> Arc<Job> {
    let created = store.create(create_of(&job)).await.unwrap();
    assert_eq!(**created.job(), job);
    Arc::clone(created.job())
}

pub(crate) async fn apply(store: &dyn JobStore, id: JobId, update: Update) -> Arc<Job> {
    let outcome = store.apply(id, Change::of(update), at(1)).await.unwrap();
    Arc::clone(outcome.job())
}

pub(crate) fn report(message: &str) -> Update {
    Update::Report(Report {
        message: Some(message.to_owned()),
        ..Report::default()
    })
}

pub(crate) fn error() -> JobError {
    JobError::new("TestFailed", "on purpose")
}

fn step(name: &str, update: StepUpdate) -> Update {
    Update::Step {
        name: name.to_owned(),
        update,
    }
}

/// The updates that bring a new job to a status.
pub(crate) fn way_to(status: Status) -> Vec<Update> {
    match status {
        Status::Queued => vec![],
        Status::Running => vec![Update::Start],
        Status::Waiting => vec![
            step("pause", StepUpdate::Entered),
            step("pause", StepUpdate::Waiting),
        ],
        Status::Succeeded => vec![Update::Succeed],
        Status::Failed => vec![Update::Fail(error())],
        Status::Cancelled => vec![Update::Cancel(error())],
        Status::TimedOut => vec![Update::TimeOut(error())],
    }
}

/// An update for this event.
pub(crate) fn update_for(event: job::Event) -> Update {
    use job::Event;
    match event {
        Event::Start => Update::Start,
        Event::Progress => report("at work"),
        Event::Wait => step("pause", StepUpdate::Waiting),
        Event::Resume => step("pause", StepUpdate::Running),
        Event::Succeed => Update::Succeed,
        Event::Fail => Update::Fail(error()),
        Event::Cancel => Update::Cancel(error()),
        Event::TimeOut => Update::TimeOut(error()),
        Event::Retry => Update::Retry {
            execution: "again".to_owned(),
            known: 0,
        },
    }
}
