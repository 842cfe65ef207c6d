//! `cancelJob`, `retryJob`, `resumeJob`. The workflow is told first and the row changes after it: a crash between the two is mended by
//! bringing the job together with its execution, which then is the one that knows.

use std::sync::Arc;

use job::limits::{self, check};
use job::{Change, Event, Job, JobError, JobId, Update};

use super::{Resolvers, now};
use crate::Error;
use crate::caller::Caller;
use crate::workflow::{ExecutionStatus, WorkflowError};

/// The error name of a cancelled job.
pub(super) const CANCELLED: &str = "Cancelled";

impl Resolvers {
    /// Ends a job that is not finished. To cancel a cancelled job changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Refused`] when it is finished, [`Error::Unavailable`].
    pub async fn cancel_job(
        &self,
        caller: &Caller,
        id: JobId,
        reason: Option<&str>,
    ) -> Result<Arc<Job>, Error> {
        let job = self.steerable(caller, id).await?;
        let reason = reason.unwrap_or("");
        check("reason", "bytes", reason.len(), limits::MESSAGE_BYTES)?;
        if job.status.after(Event::Cancel).is_some() {
            match self
                .parts
                .workflow
                .stop(&job.execution, CANCELLED, reason)
                .await
            {
                // Not started yet: who starts it looks at the row again.
                Ok(()) | Err(WorkflowError::UnknownExecution(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let change = self.ending(Update::Cancel(JobError::new(CANCELLED, reason)));
        Ok(Arc::clone(
            self.parts.store.apply(id, change, now()).await?.job(),
        ))
    }

    /// Takes a failed, cancelled or timed-out job into its next attempt: from the failed step where the engine can, else from the start.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Refused`] in any other status, [`Error::Unavailable`].
    pub async fn retry_job(&self, caller: &Caller, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self.steerable(caller, id).await?;
        let anew = format!("{}-{}", job.id, job.attempt + 1);
        let retry = |execution: String| Change {
            expected: Some(job.version),
            ..Change::of(Update::Retry { execution })
        };
        // Refuse by the rules before the workflow hears of it.
        job.apply(&retry(anew.clone()), now())
            .map_err(Error::Refused)?;
        self.known_type(&job.job_type)?;
        if self.goes_on(&job.execution).await? {
            let outcome = self
                .parts
                .store
                .apply(id, retry(job.execution.clone()), now())
                .await?;
            // What the execution did before the row was ready for it.
            self.reconcile(outcome.job()).await?;
        } else {
            let outcome = self.parts.store.apply(id, retry(anew), now()).await?;
            let input = self
                .parts
                .store
                .input(id)
                .await?
                .ok_or(Error::NotFound(id))?;
            let input = self.execution_input(outcome.job(), &input);
            self.start_execution(outcome.job(), input).await?;
        }
        self.parts.store.get(id).await?.ok_or(Error::NotFound(id))
    }

    /// Redrives an execution; whether it goes on. It does too when it was redriven before and the row did not hear of it: a retry that a
    /// crash cut in two is finished by the next one, and nothing runs twice.
    async fn goes_on(&self, execution: &str) -> Result<bool, Error> {
        match self.parts.workflow.redrive(execution).await {
            Ok(()) => Ok(true),
            Err(WorkflowError::UnknownExecution(_)) => Ok(false),
            Err(WorkflowError::NotRedrivable { .. }) => {
                let found = self.parts.workflow.describe(execution).await?;
                Ok(found.is_some_and(|found| {
                    matches!(
                        found.status,
                        ExecutionStatus::Running | ExecutionStatus::Succeeded
                    )
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Answers the task that waits in a step: with its output, as JSON text, or with an error's name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::NotWaiting`], [`Error::BadInput`], [`Error::OverLimit`],
    /// [`Error::Unavailable`].
    pub async fn resume_job(
        &self,
        caller: &Caller,
        id: JobId,
        step: &str,
        output: Option<&str>,
        error: Option<&str>,
    ) -> Result<Arc<Job>, Error> {
        let job = self.steerable(caller, id).await?;
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
            .waiting_token(&job.execution, step)
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
        // The answer is durable in the workflow; the row follows by itself, or here, whoever is first.
        self.reconcile(&job).await
    }

    async fn steerable(&self, caller: &Caller, id: JobId) -> Result<Arc<Job>, Error> {
        let job = self
            .parts
            .store
            .get(id)
            .await?
            .filter(|job| caller.may_see(job))
            .ok_or(Error::NotFound(id))?;
        caller.may_steer(&job)?;
        Ok(job)
    }
}
