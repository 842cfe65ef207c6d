//! An engine and jobs in one database: what an execution does is in its job's row by the same commit.

use std::sync::Arc;

use job::{JobId, NewJob, Status, Time};
use resolvers::store::sqlite::{SqliteStore, recorder};
use resolvers::store::{CreateJob, JobStore};
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
async fn an_execution_writes_its_job_and_tells_nothing() {
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
    // Whoever hears of the end finds it in the row.
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
async fn a_job_that_cannot_be_read_stops_nobody_else() {
    let database = Database::open(&Location::Memory).unwrap();
    let damaged = {
        let jobs = SqliteStore::open(database.clone()).unwrap();
        jobs.create(job()).await.unwrap().job().id
    };
    let damage =
        database.write(|write| write.connection().execute("UPDATE jobs SET job = '?'", []));
    damage.await.unwrap();
    // Opened again, it remembers nothing of the row.
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let ears = Arc::new(Ears::default());
    let listener = recorder(ears.clone(), jobs, None);
    let (engine, _) = places::engine_in(database, listener).await;
    let name = damaged.to_string();
    engine.start("chain", &name, "{}".into()).await.unwrap();
    let (_, end) = ears.to_the_end(&name).await;
    assert_eq!(end.output.as_deref(), Some(r#"{"answer":42}"#));
}
