//! An engine and jobs in one database: an execution's events are in its job's row by the same
//! commit.

use std::sync::Arc;

use job::{JobId, NewJob, Status, Time};
use resolvers::store::sqlite::SqliteStore;
use resolvers::store::{CreateJob, Created, JobStore, RequestToken, StoreError};
use resolvers::workflow::Workflow;
use resolvers::workflow::embedded::EmbeddedWorkflow;
use resolvers::workflow::recorder::recorder;
use sqlite::{Database, Location};

use crate::ears::Ears;
use crate::places;

fn job() -> CreateJob {
    let id = JobId::new(Time::from_millis(1_000), 7);
    let new = NewJob {
        id,
        job_type: "chain".to_owned(),
        owner: "ann".to_owned(),
        tags: vec![],
        steps: vec![],
    };
    CreateJob {
        job: new.into_job().unwrap(),
        input: "{}".into(),
        request: None,
    }
}

#[tokio::test]
async fn an_execution_writes_its_job_without_the_listener() {
    let database = Database::open(&Location::Memory).unwrap();
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let created = jobs.create(job()).await.unwrap();
    let id = created.job().id;
    let ears = Arc::new(Ears::default());
    let listener = recorder(ears.clone(), jobs.clone(), Some(60_000));
    let (engine, _) = places::engine_in(database, listener).await;
    engine
        .start("chain", &id.to_string(), "{}".into())
        .await
        .unwrap();
    engine.end(None, &id.to_string()).await.unwrap();
    // The end is in the row when the listener receives it.
    let job = jobs.get(id).await.unwrap().unwrap();
    assert_eq!(job.status, Status::Succeeded);
    assert!(job.expires_at.is_some());
    let result = jobs.result(id).await.unwrap();
    assert_eq!(result.as_deref(), Some(r#"{"answer":42}"#));
    assert!(ears.is_silent());
}

#[tokio::test]
async fn other_executions_change_no_job() {
    let database = Database::open(&Location::Memory).unwrap();
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let id = jobs.create(job()).await.unwrap().job().id;
    let ears = Arc::new(Ears::default());
    let listener = recorder(ears.clone(), jobs.clone(), None);
    let (engine, _) = places::engine_in(database, listener).await;
    for name in [
        id.to_string(),
        "of-no-job".to_owned(),
        JobId::new(Time::from_millis(1), 1).to_string(),
    ] {
        engine.start("many", &name, "[1,2,3]".into()).await.unwrap();
        engine.end(None, &name).await.unwrap();
    }
    let job = jobs.get(id).await.unwrap().unwrap();
    assert_eq!(job.status, Status::Succeeded);
    assert_eq!(
        job.steps.len(),
        0,
        "steps that a job does not have are not added"
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_read_does_not_stop_others() {
    let database = Database::open(&Location::Memory).unwrap();
    let damaged = {
        let jobs = SqliteStore::open(database.clone()).unwrap();
        jobs.create(job()).await.unwrap().job().id
    };
    let damage =
        database.write(|write| write.connection().execute("UPDATE jobs SET job = '?'", []));
    damage.await.unwrap();
    // A reopened store has nothing of the row in memory.
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let ears = Arc::new(Ears::default());
    let listener = recorder(ears.clone(), jobs, None);
    let (engine, _) = places::engine_in(database, listener).await;
    let name = damaged.to_string();
    engine.start("chain", &name, "{}".into()).await.unwrap();
    let (_, end) = ears.to_the_end(&name).await;
    assert_eq!(end.output.as_deref(), Some(r#"{"answer":42}"#));
}

/// The same request each time, as another job.
fn submit(random: u128, digest: [u8; 32]) -> CreateJob {
    let mut new = job();
    new.job.id = JobId::new(Time::from_millis(1_000), random << 64);
    new.job.execution = new.job.id.to_string();
    new.request = Some(RequestToken {
        token: "once".to_owned(),
        digest,
        expires_at: Time::from_millis(i64::MAX),
    });
    new
}

#[tokio::test]
async fn a_job_and_its_execution_are_one_commit() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&Location::File(directory.path().join("db"))).unwrap();
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let ears = Arc::new(Ears::default());
    let listener = recorder(ears.clone(), jobs.clone(), None);
    let (engine, _) = places::engine_in(database.clone(), listener).await;
    let workflow = EmbeddedWorkflow::new(engine.clone()).with_jobs(jobs.clone());
    let input = Arc::from("{}");
    let create = async |new: CreateJob| workflow.create_and_start(&new, &input).await;

    let mut first = submit(1, [1; 32]);
    first.job.job_type = "waits".to_owned();
    let created = create(first.clone()).await.unwrap().unwrap();
    assert!(matches!(created, Created::New(_)));
    // The row has been written twice before its submitter gets it: when it was accepted, and when
    // its execution began.
    let job = jobs.get(first.job.id).await.unwrap().unwrap();
    assert_eq!((created.job().version.0, job.version.0), (1, 2));
    assert_eq!(job.status, Status::Running);

    let again = create(submit(2, [1; 32])).await.unwrap().unwrap();
    assert!(matches!(again, Created::Repeat(_)));
    assert_eq!(again.job().id, first.job.id);
    let other = create(submit(3, [2; 32])).await.unwrap();
    assert!(
        matches!(other, Err(StoreError::IdempotencyConflict { .. })),
        "{other:?}"
    );
    for random in [2, 3] {
        let id = JobId::new(Time::from_millis(1_000), random << 64);
        assert!(jobs.get(id).await.unwrap().is_none());
        let execution = workflow.describe("chain", &id.to_string()).await.unwrap();
        assert!(execution.is_none(), "{random}");
    }

    // A submit that cannot be started this way is left to the caller.
    let mut unknown = submit(4, [1; 32]);
    unknown.job.job_type = "unknown".to_owned();
    assert!(create(unknown.clone()).await.is_none());
    assert!(jobs.get(unknown.job.id).await.unwrap().is_none());
    let apart = EmbeddedWorkflow::new(engine);
    assert!(apart.create_and_start(&unknown, &input).await.is_none());
}

#[tokio::test]
async fn a_failed_commit_leaves_neither_job_nor_execution() {
    let database = Database::open(&Location::Memory).unwrap();
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let listener = recorder(Arc::new(Ears::default()), jobs.clone(), None);
    let (engine, _) = places::engine_in(database.clone(), listener).await;
    let workflow = EmbeddedWorkflow::new(engine).with_jobs(jobs.clone());
    let (new, input) = (submit(1, [1; 32]), Arc::from("{}"));
    let broken = database.write(|write| {
        let sql = "CREATE TRIGGER full BEFORE INSERT ON workflow_execution BEGIN SELECT RAISE(FAIL, 'full'); END";
        write.connection().execute(sql, [])
    });
    broken.await.unwrap();
    let refused = workflow.create_and_start(&new, &input).await.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );
    assert!(jobs.get(new.job.id).await.unwrap().is_none());
    let mended = database.write(|write| write.connection().execute("DROP TRIGGER full", []));
    mended.await.unwrap();
    // The client sends it again, with the same token.
    let created = workflow.create_and_start(&submit(2, [1; 32]), &input).await;
    assert!(matches!(created, Some(Ok(Created::New(_)))), "{created:?}");
}
