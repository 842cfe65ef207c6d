//! `retryJob` over the embedded engine: the row is written first, and the sweep completes what a
//! crash has interrupted.

use std::sync::Arc;

use job::{Change, Job, JobError, JobId, NewJob, Status, Step, StepKind, StepStatus, Time, Update};
use object_store::memory::InMemory;
use resolvers::files::Files;
use resolvers::jobs::{Settings, Sweep, now};
use resolvers::store::sqlite::SqliteStore;
use resolvers::store::{CreateJob, JobStore};
use resolvers::token::Signer;
use resolvers::workflow::embedded::EmbeddedWorkflow;
use resolvers::workflow::recorder::recorder;
use resolvers::workflow::{ExecutionStatus, Workflow};
use resolvers::{Caller, Resolvers};
use sqlite::{Database, Location};

use crate::ears::Ears;
use crate::places;

struct Home {
    jobs: SqliteStore,
    workflow: EmbeddedWorkflow,
    resolvers: Resolvers,
}

async fn home() -> Home {
    let database = Database::open(&Location::Memory).unwrap();
    let jobs = SqliteStore::open(database.clone()).unwrap();
    let listener = recorder(Arc::new(Ears::default()), jobs.clone(), None);
    let (engine, _) = places::engine_in(database, listener).await;
    let workflow = EmbeddedWorkflow::new(engine).with_jobs(jobs.clone());
    let signer = Signer::new([1; 32]);
    let files = Files::new(
        Arc::new(InMemory::new()),
        signer.clone(),
        "http://127.0.0.1:1".to_owned(),
    );
    let settings = Settings {
        report_url: "http://127.0.0.1:1/graphql".to_owned(),
        retention_millis: None,
        report_life_millis: 60_000,
    };
    let resolvers = Resolvers::new(
        Arc::new(jobs.clone()),
        Arc::new(workflow.clone()),
        files,
        signer,
        settings,
    );
    Home {
        jobs,
        workflow,
        resolvers,
    }
}

impl Home {
    /// A cancelled job that waited for an hour.
    async fn cancelled(&self) -> Arc<Job> {
        let id = JobId::new(Time::from_millis(1_000), 7);
        let new = NewJob {
            id,
            job_type: "waits".to_owned(),
            owner: "dev".to_owned(),
            tags: vec![],
            steps: vec![Step::pending("Wait", 0, StepKind::Wait)],
        };
        let new = CreateJob {
            job: new.into_job().unwrap(),
            input: "{}".into(),
            request: None,
        };
        let created = self.workflow.create_and_start(&new, &"{}".into()).await;
        created.unwrap().unwrap();
        let caller = Caller::dev();
        let job = self.resolvers.cancel_job(&caller, id, None).await.unwrap();
        assert_eq!(job.status, Status::Cancelled);
        job
    }

    /// The row of a retry, written before the workflow is called.
    async fn queued(&self, job: &Job, execution: &str) -> Arc<Job> {
        let found = self
            .workflow
            .describe(&job.job_type, &job.execution)
            .await
            .unwrap();
        let change = Change::of(Update::Retry {
            execution: execution.to_owned(),
            known: found.unwrap().so_far.position,
        });
        let queued = self.jobs.apply(job.id, change, now()).await.unwrap();
        assert_eq!(queued.job().status, Status::Queued);
        Arc::clone(queued.job())
    }

    async fn waits_in(&self, id: JobId, attempt: u32) -> Arc<Job> {
        let job = self.jobs.get(id).await.unwrap().unwrap();
        assert_eq!((job.status, job.attempt), (Status::Waiting, attempt));
        let step = &job.steps[0];
        assert_eq!((step.status, step.attempt), (StepStatus::Waiting, 1));
        assert!(step.started_at.is_some());
        let found = self
            .workflow
            .describe(&job.job_type, &job.execution)
            .await
            .unwrap();
        assert_eq!(found.unwrap().status, ExecutionStatus::Running);
        job
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_redrives_the_execution_and_counts_its_steps() {
    let home = home().await;
    let mut job = home.cancelled().await;
    for attempt in 2..6 {
        let caller = Caller::dev();
        home.resolvers.retry_job(&caller, job.id).await.unwrap();
        let again = home.waits_in(job.id, attempt).await;
        assert_eq!(again.execution, job.execution, "in one execution");
        job = home
            .resolvers
            .cancel_job(&caller, job.id, None)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_retry_is_completed_by_the_sweep() {
    let home = home().await;
    let job = home.cancelled().await;
    home.queued(&job, &job.execution).await;
    home.resolvers.sweep_once(Sweep::Open).await.unwrap();
    home.waits_in(job.id, 2).await;
    // A second sweep, as by another node, changes nothing.
    home.resolvers.sweep_once(Sweep::Open).await.unwrap();
    home.waits_in(job.id, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_another_node_started_is_not_repeated() {
    let home = home().await;
    let job = home.cancelled().await;
    home.queued(&job, &job.execution).await;
    home.workflow
        .redrive(&job.job_type, &job.execution)
        .await
        .unwrap();
    home.resolvers.sweep_once(Sweep::Open).await.unwrap();
    let again = home.waits_in(job.id, 2).await;
    assert_eq!(again.execution, job.execution);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_execution_is_replaced_by_a_new_one() {
    let home = home().await;
    let job = home.cancelled().await;
    // As after a restore of the jobs without their executions.
    home.queued(&job, "gone").await;
    home.resolvers.sweep_once(Sweep::Open).await.unwrap();
    let again = home.waits_in(job.id, 3).await;
    assert_eq!(again.execution, format!("{}-3", job.id));
    // The execution is redriven without the job: the job follows.
    let caller = Caller::dev();
    let ended = home
        .resolvers
        .cancel_job(&caller, job.id, None)
        .await
        .unwrap();
    home.workflow
        .redrive(&ended.job_type, &ended.execution)
        .await
        .unwrap();
    home.waits_in(job.id, 4).await;
    let cancel = Change::of(Update::Cancel(JobError::new("Cancelled", "")));
    assert!(home.jobs.apply(job.id, cancel, now()).await.is_ok());
}
