//! `cancelJob`, `retryJob`, `resumeJob`. For a cancel and an answer, the workflow is called first
//! and the row changes after it. For a retry, the row changes first: events of the execution would
//! not change a finished job. After a crash between the two, the job is reconciled with its
//! execution.

use std::sync::Arc;

use job::limits::{self, check};
use job::{Change, Event, Job, JobError, JobId, Update};

use super::{Resolvers, now};
use crate::Error;
use crate::caller::Caller;
use crate::workflow::{Execution, ExecutionStatus, WorkflowError};

/// The error name of a cancelled job.
pub(super) const CANCELLED: &str = "Cancelled";

impl Resolvers {
    /// Cancels a job that is not finished. A repeated cancel has no effect.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Refused`] if it is finished,
    /// [`Error::Unavailable`].
    pub async fn cancel_job(
        &self,
        caller: &Caller,
        id: JobId,
        reason: Option<&str>,
    ) -> Result<Arc<Job>, Error> {
        let job = self.controllable(caller, id).await?;
        let reason = reason.unwrap_or("");
        check("reason", "bytes", reason.len(), limits::MESSAGE_BYTES)?;
        if job.status.after(Event::Cancel).is_some() {
            match self
                .parts
                .workflow
                .stop(&job.job_type, &job.execution, CANCELLED, reason)
                .await
            {
                // It is not started yet. The start reads the row again.
                Ok(()) | Err(WorkflowError::UnknownExecution(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let change = self.ending(Update::Cancel(JobError::new(CANCELLED, reason)));
        Ok(Arc::clone(
            self.parts.store.apply(id, change, now()).await?.job(),
        ))
    }

    /// Starts the next attempt of a failed, cancelled or timed-out job: from the failed step if the
    /// engine supports it, otherwise from the start.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Refused`] in any other status,
    /// [`Error::Unavailable`].
    pub async fn retry_job(&self, caller: &Caller, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self.controllable(caller, id).await?;
        let retry = |execution: &str, known| Change {
            expected: Some(job.version),
            ..Change::of(Update::Retry {
                execution: execution.to_owned(),
                known,
            })
        };
        let anew = name_of(&job, job.attempt + 1);
        // Check the rules before the workflow is called.
        job.apply(&retry(&anew, 0), now()).map_err(Error::Refused)?;
        self.known_type(&job.job_type)?;
        let (store, found) = (
            &self.parts.store,
            self.parts
                .workflow
                .describe(&job.job_type, &job.execution)
                .await?,
        );
        match found {
            Some(found) if found.is_redrivable => {
                let change = retry(&job.execution, found.so_far.position);
                let queued = store.apply(id, change, now()).await?;
                self.set_off_soon(queued.job()).await?;
            }
            // The execution was redriven without the job, or the description is older than the
            // execution's end.
            Some(found) if self.goes_on(&job, &found).await? => {
                let outcome = store.apply(id, retry(&job.execution, 0), now()).await?;
                // Applies the events from before the row was updated.
                self.reconcile(outcome.job()).await?;
            }
            _ => {
                let queued = store.apply(id, retry(&anew, 0), now()).await?;
                self.set_off_soon(queued.job()).await?;
            }
        }
        self.parts.store.get(id).await?.ok_or(Error::NotFound(id))
    }

    /// Whether an execution continues that is not known to have failed.
    async fn goes_on(&self, job: &Job, found: &Execution) -> Result<bool, Error> {
        match found.status {
            ExecutionStatus::Succeeded => Ok(true),
            ExecutionStatus::Running => match self
                .parts
                .workflow
                .redrive(&job.job_type, &found.name)
                .await
            {
                Ok(()) | Err(WorkflowError::NotRedrivable { .. }) => Ok(true),
                Err(WorkflowError::UnknownExecution(_)) => Ok(false),
                Err(error) => Err(error.into()),
            },
            _ => Ok(false),
        }
    }

    /// As [`Resolvers::set_off`]. The retry is durable: if the workflow is unavailable now, the
    /// sweep calls it again.
    async fn set_off_soon(&self, job: &Job) -> Result<(), Error> {
        match self.set_off(job).await {
            Err(Error::Unavailable { reason, .. }) => {
                tracing::warn!(job_id = %job.id, reason, "a retry was not begun; the next sweep tries again");
                Ok(())
            }
            other => other,
        }
    }

    /// Runs the execution of a `QUEUED` job: redrives the execution of its last attempt, otherwise
    /// starts one. A repeat has no effect.
    pub(super) async fn set_off(&self, job: &Job) -> Result<(), Error> {
        if job.attempt > 1 && job.execution != name_of(job, job.attempt) {
            match self
                .parts
                .workflow
                .redrive(&job.job_type, &job.execution)
                .await
            {
                Ok(()) => return self.stop_if_unwanted(job.id).await,
                Err(
                    WorkflowError::NotRedrivable { reason, .. }
                    | WorkflowError::UnknownExecution(reason),
                ) => return self.goes_on_or_anew(job, &reason).await,
                Err(error) => return Err(error.into()),
            }
        }
        let input = self.parts.store.input(job.id).await?;
        let input = input.ok_or(Error::NotFound(job.id))?;
        self.start_execution(job, self.execution_input(job, &input))
            .await
    }

    /// The execution of a retry could not be redriven: another caller or node has already redriven
    /// it, or a new execution is needed. In the latter case this attempt fails, and the next one
    /// begins.
    async fn goes_on_or_anew(&self, job: &Job, reason: &str) -> Result<(), Error> {
        let found = self
            .parts
            .workflow
            .describe(&job.job_type, &job.execution)
            .await?;
        if found.is_some_and(|found| {
            found.status == ExecutionStatus::Running || found.so_far.position > job.position
        }) {
            return Ok(());
        }
        let execution = name_of(job, job.attempt + 1);
        let change = Change {
            updates: vec![
                Update::Fail(JobError::new("ExecutionNotRedrivable", reason)),
                Update::Retry {
                    execution,
                    known: 0,
                },
            ],
            expected: Some(job.version),
            ..Change::default()
        };
        let anew = self.parts.store.apply(job.id, change, now()).await?;
        let input = self.parts.store.input(job.id).await?;
        let input = input.ok_or(Error::NotFound(job.id))?;
        let input = self.execution_input(anew.job(), &input);
        self.start_execution(anew.job(), input).await
    }

    /// Answers the task that waits in a step, with its output, as JSON text, or with an error's
    /// name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::NotWaiting`], [`Error::BadInput`],
    /// [`Error::OverLimit`], [`Error::Unavailable`].
    pub async fn resume_job(
        &self,
        caller: &Caller,
        id: JobId,
        step: &str,
        output: Option<&str>,
        error: Option<&str>,
    ) -> Result<Arc<Job>, Error> {
        let job = self.controllable(caller, id).await?;
        let output = output.unwrap_or("{}");
        check("output", "bytes", output.len(), limits::RESULT_BYTES)?;
        let output = json::check(output).map_err(|refused| Error::BadInput {
            argument: "output",
            reason: refused.to_string(),
        })?;
        check(
            "error",
            "bytes",
            error.map_or(0, str::len),
            limits::ERROR_NAME_BYTES,
        )?;
        let not_waiting = || Error::NotWaiting {
            id,
            step: step.to_owned(),
        };
        let token = match self
            .parts
            .workflow
            .waiting_token(&job.job_type, &job.execution, step)
            .await
        {
            Ok(Some(token)) => token,
            Ok(None) | Err(WorkflowError::UnknownExecution(_)) => return Err(not_waiting()),
            Err(error) => return Err(error.into()),
        };
        let answered = match error {
            Some(name) => {
                let cause = format!("answered by {}", caller.subject);
                self.parts.workflow.task_failure(&token, name, &cause).await
            }
            None => {
                self.parts
                    .workflow
                    .task_success(&token, output.into())
                    .await
            }
        };
        match answered {
            Ok(()) => {}
            Err(WorkflowError::NoSuchTask) => return Err(not_waiting()),
            Err(error) => return Err(error.into()),
        }
        // The answer is durable in the workflow. The row is updated by its event or here, whichever
        // is first.
        self.reconcile(&job).await
    }

    async fn controllable(&self, caller: &Caller, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self
            .parts
            .store
            .get(id)
            .await?
            .filter(|job| caller.may_see(job))
            .ok_or(Error::NotFound(id))?;
        caller.may_control(&job)?;
        Ok(job)
    }
}

/// The name of the execution of an attempt that begins from the start.
fn name_of(job: &Job, attempt: u32) -> String {
    format!("{}-{attempt}", job.id)
}
