//! The workflow port on the embedded engine of `workflow`. It only translates.

use std::sync::Arc;

use asl::StepChange;
use async_trait::async_trait;
use job::change::StepUpdate;
use job::{JobError, StepKind, Time};
use workflow::{Engine, EngineError, Machines, Status};

use crate::store::sqlite::SqliteStore;
use crate::store::{CreateJob, Created, StoreError};

use super::{
    End, Execution, ExecutionEvent, ExecutionStatus, HistoryPage, JobType, Listener, Started,
    Workflow, WorkflowError,
};

/// The embedded Step Functions.
#[derive(Clone, Debug)]
pub struct EmbeddedWorkflow {
    engine: Engine,
    job_types: Arc<[Arc<JobType>]>,
    /// The jobs, if they are in the engine's database.
    jobs: Option<SqliteStore>,
}

impl EmbeddedWorkflow {
    /// The port on this engine. The engine's events go to the listener of [`listener`].
    #[must_use]
    pub fn new(engine: Engine) -> EmbeddedWorkflow {
        EmbeddedWorkflow {
            job_types: job_types(engine.machines()).into(),
            engine,
            jobs: None,
        }
    }

    /// As [`Self::new`], for an engine whose journal is in the same database as the jobs: a
    /// submitted job and the start of its execution are one commit.
    #[must_use]
    pub fn with_jobs(self, jobs: SqliteStore) -> EmbeddedWorkflow {
        EmbeddedWorkflow {
            jobs: Some(jobs),
            ..self
        }
    }

    /// The engine below.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// The job types of a directory of state machines.
#[must_use]
pub fn job_types(machines: &Machines) -> Vec<Arc<JobType>> {
    machines
        .iter()
        .map(|machine| {
            let steps = machine.steps().iter().map(|step| {
                let kind = match step.kind {
                    asl::StepKind::Task => StepKind::Task,
                    asl::StepKind::Map => StepKind::Map,
                    asl::StepKind::Parallel => StepKind::Parallel,
                    asl::StepKind::Wait => StepKind::Wait,
                };
                (step.name.clone(), kind)
            });
            Arc::new(JobType {
                name: machine.name().to_string(),
                description: machine.comment().map(str::to_owned),
                input_schema: machine.input_schema().cloned(),
                definition: machine.definition().clone(),
                steps: steps.collect(),
            })
        })
        .collect()
}

/// The listener of an engine, for [`Engine::open`], that passes events to the port's listener.
#[must_use]
pub fn listener(to: Arc<dyn Listener>) -> Arc<dyn workflow::Listener> {
    Arc::new(Tells(to))
}

#[derive(Debug)]
struct Tells(Arc<dyn Listener>);

impl workflow::Listener for Tells {
    fn notify(&self, event: workflow::ExecutionEvent) {
        self.0.notify(translate(event));
    }
}

pub(crate) fn translate(event: workflow::ExecutionEvent) -> ExecutionEvent {
    ExecutionEvent {
        execution: event.execution.to_string(),
        position: event.position,
        at: Time::from_millis(event.at.as_millisecond()),
        redrives: event.redrives,
        steps: event.steps.into_iter().filter_map(step).collect(),
        end: event.end.map(|end| End {
            status: status(end.status),
            output: end.output,
            error: end.error,
            cause: end.cause,
        }),
    }
}

fn status(status: Status) -> ExecutionStatus {
    match status {
        Status::Running => ExecutionStatus::Running,
        Status::Succeeded => ExecutionStatus::Succeeded,
        Status::Failed => ExecutionStatus::Failed,
        Status::TimedOut => ExecutionStatus::TimedOut,
        Status::Aborted => ExecutionStatus::Aborted,
    }
}

fn step(change: StepChange) -> Option<(String, StepUpdate)> {
    let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Some(match change {
        StepChange::Entered { step } => (step, StepUpdate::Entered),
        StepChange::Retrying {
            step,
            attempt,
            error,
        } => {
            // The language counts retries; the job counts tries.
            let attempt = attempt.saturating_add(1);
            let error = JobError::new(&error, "");
            (step, StepUpdate::Retrying { attempt, error })
        }
        StepChange::Waiting { step, .. } => (step, StepUpdate::Waiting),
        StepChange::Running { step } => (step, StepUpdate::Running),
        StepChange::Items { step, done, total } => {
            let (done, total) = (bounded(done), bounded(total));
            (step, StepUpdate::Items { done, total })
        }
        StepChange::Exited { step } => (step, StepUpdate::Exited),
        StepChange::Failed { step, error, cause } => {
            (step, StepUpdate::Failed(JobError::new(&error, &cause)))
        }
        other => {
            tracing::warn!(?other, "an update of a step has no counterpart in jobs");
            return None;
        }
    })
}

fn failed(error: EngineError) -> WorkflowError {
    match error {
        EngineError::UnknownMachine(name) => WorkflowError::UnknownType(name),
        EngineError::UnknownExecution(name) => WorkflowError::UnknownExecution(name),
        EngineError::NotRedrivable { name, reason } => {
            WorkflowError::NotRedrivable { name, reason }
        }
        EngineError::NoSuchTask | EngineError::InvalidToken => WorkflowError::NoSuchTask,
        other => WorkflowError::Unavailable {
            reason: other.to_string(),
            source: Some(Box::new(other)),
        },
    }
}

#[async_trait]
impl Workflow for EmbeddedWorkflow {
    fn job_types(&self) -> Vec<Arc<JobType>> {
        self.job_types.to_vec()
    }

    fn job_type(&self, name: &str) -> Option<Arc<JobType>> {
        self.job_types.iter().find(|one| one.name == name).cloned()
    }

    async fn start(
        &self,
        job_type: &str,
        name: &str,
        input: Arc<str>,
    ) -> Result<Started, WorkflowError> {
        match self.engine.start(job_type, name, input).await {
            Ok(workflow::Started::New(_)) => Ok(Started::New),
            Ok(workflow::Started::Already(_)) => Ok(Started::Already),
            Err(error) => Err(failed(error)),
        }
    }

    async fn create_and_start(
        &self,
        new: &CreateJob,
        input: &Arc<str>,
    ) -> Option<Result<Created, StoreError>> {
        let (jobs, new, job) = (self.jobs.clone()?, new.clone(), &new.job);
        let first = move |write: &mut sqlite::Write<'_>| -> Result<_, StoreError> {
            let created = jobs.create_within(write, new)?;
            let starts = matches!(created, Created::New(_));
            Ok((created, starts))
        };
        let (machine, name) = (job.job_type.as_str(), job.execution.as_str());
        let started = self
            .engine
            .start_with(machine, name, Arc::clone(input), first);
        Some(started.await.ok()?.map_err(StoreError::from))
    }

    async fn stop(
        &self,
        _job_type: &str,
        name: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        let [error, cause] = [error, cause].map(|text| Some(text.to_owned()));
        self.engine.stop(name, error, cause).await.map_err(failed)
    }

    async fn redrive(&self, _job_type: &str, name: &str) -> Result<(), WorkflowError> {
        self.engine.redrive(name).await.map_err(failed)
    }

    async fn describe(
        &self,
        _job_type: &str,
        name: &str,
    ) -> Result<Option<Execution>, WorkflowError> {
        let described = self.engine.describe(name).await.map_err(failed)?;
        Ok(described.map(|one| Execution {
            name: one.name.to_string(),
            status: status(one.status),
            is_redrivable: one.is_redrivable,
            so_far: translate(one.so_far),
        }))
    }

    async fn history(
        &self,
        _job_type: &str,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, WorkflowError> {
        let history = self.engine.history(name, after, limit).await;
        let history = history.map_err(failed)?;
        Ok(HistoryPage {
            events: history.events,
            next: history.next,
        })
    }

    async fn waiting_token(
        &self,
        _job_type: &str,
        name: &str,
        step: &str,
    ) -> Result<Option<String>, WorkflowError> {
        self.engine.waiting_token(name, step).await.map_err(failed)
    }

    async fn task_success(&self, token: &str, output: Arc<str>) -> Result<(), WorkflowError> {
        self.engine
            .task_success(token, output)
            .await
            .map_err(failed)
    }

    async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        self.engine
            .task_failure(token, error, cause)
            .await
            .map_err(failed)
    }
}
