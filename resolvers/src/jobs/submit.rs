//! `submitJob` and `submitJobs`: create the row first, then start the execution, which is named
//! after the job.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use job::limits::{self, check};
use job::{Change, Job, JobError, JobId, NewJob, Step, Update};
use sha2::{Digest, Sha256};
use tracing::Instrument as _;

use super::{Resolvers, now};
use crate::Error;
use crate::caller::Caller;
use crate::store::{CreateJob, Created, RequestToken};
use crate::workflow::{JobType, WorkflowError};

/// Delays before the tries to start an execution. After the last one the sweep starts it.
const START_WAITS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(3),
];
/// The field of an execution's input that the server adds.
const JOB: &str = "job";

/// The arguments of `submitJob`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitJob {
    /// The job type.
    pub job_type: String,
    /// The input, as JSON text; by default `{}`. An object must not have a field `job`.
    pub input: Option<Arc<str>>,
    /// Free-form labels for searching.
    pub tags: Vec<String>,
    /// Makes a repeat of the request return the first job, for 24 hours.
    pub client_request_token: Option<String>,
}

impl Resolvers {
    /// Accepts a job. When this returns, the job is durable and will run exactly once.
    ///
    /// # Errors
    /// Nothing was accepted: [`Error::UnknownType`], [`Error::InvalidInput`], [`Error::OverLimit`],
    /// [`Error::IdempotencyConflict`], [`Error::Unauthorized`], [`Error::Unavailable`].
    pub async fn submit_job(&self, caller: &Caller, submit: SubmitJob) -> Result<Arc<Job>, Error> {
        caller.may_submit()?;
        let job_type = self.known_type(&submit.job_type)?;
        let input = submit.input.unwrap_or_else(|| Arc::from("{}"));
        let input = checked_input(input)?;
        self.parts.schemas.check(&job_type, &input)?;
        let now = now();
        let request = match submit.client_request_token {
            Some(token) => {
                check(
                    "clientRequestToken",
                    "bytes",
                    token.len(),
                    limits::TOKEN_BYTES,
                )?;
                if token.is_empty() {
                    return Err(Error::BadInput {
                        argument: "clientRequestToken",
                        reason:
                            "must not be empty; leave it out when repeats need not be recognized"
                                .to_owned(),
                    });
                }
                Some(RequestToken {
                    token,
                    digest: digest(&submit.job_type, &input, &submit.tags),
                    expires_at: now.plus_millis(limits::TOKEN_LIFE_MILLIS),
                })
            }
            None => None,
        };
        let job = NewJob {
            id: JobId::new(now, rand::random()),
            job_type: submit.job_type,
            owner: caller.subject.clone(),
            tags: submit.tags,
            steps: steps_of(&job_type),
        }
        .into_job()?;
        let create = CreateJob {
            job,
            input: Arc::clone(&input),
            request,
        };
        let started = self.execution_input(&create.job, &input);
        if let Some(limit) = self.parts.workflow.input_limit() {
            check(
                "input with the field `job` that functions report with",
                "bytes",
                started.len(),
                limit,
            )?;
        }
        let together = self.parts.workflow.create_and_start(&create, &started);
        let created = match together.await {
            Some(created) => created?,
            None => {
                let created = self.parts.store.create(create).await?;
                if let Created::New(job) = &created {
                    self.start_soon(Arc::clone(job), started);
                }
                created
            }
        };
        Ok(Arc::clone(created.job()))
    }

    /// Accepts at most [`limits::BATCH`] jobs. Each succeeds or fails alone, in the given order.
    ///
    /// # Errors
    /// [`Error::OverLimit`] if there are too many; then none is accepted.
    pub async fn submit_jobs(
        &self,
        caller: &Caller,
        submits: Vec<SubmitJob>,
    ) -> Result<Vec<Result<Arc<Job>, Error>>, Error> {
        check("inputs", "jobs", submits.len(), limits::BATCH)?;
        Ok(join_all(
            submits
                .into_iter()
                .map(|submit| self.submit_job(caller, submit)),
        )
        .await)
    }

    pub(super) fn known_type(&self, name: &str) -> Result<Arc<JobType>, Error> {
        self.parts.workflow.job_type(name).ok_or_else(|| {
            let mut known: Vec<_> = self
                .parts
                .workflow
                .job_types()
                .iter()
                .map(|known| known.name.clone())
                .collect();
            known.sort();
            Error::UnknownType {
                name: limits::beginning(name, limits::TYPE_BYTES).to_owned(),
                known: known.join(", "),
            }
        })
    }

    /// Starts the execution of a durable job with its [`Resolvers::execution_input`] in the
    /// background, so that the submitter does not wait. If this is interrupted, the sweep starts
    /// the execution.
    fn start_soon(&self, job: Arc<Job>, input: Arc<str>) {
        let resolvers = self.clone();
        let span = tracing::info_span!("start", job_id = %job.id);
        self.parts.starts.spawn(
            async move {
                for wait in START_WAITS {
                    tokio::time::sleep(wait).await;
                    match resolvers.start_execution(&job, Arc::clone(&input)).await {
                        Ok(()) => return,
                        Err(error) => tracing::warn!(%error, "the execution was not started"),
                    }
                }
                tracing::warn!("the next sweep tries to start the execution again");
            }
            .instrument(span),
        );
    }

    /// Starts the execution of a job with its [`Resolvers::execution_input`]. A repeated start has
    /// no effect. A job fails if its execution is refused and a repeat would be refused too.
    pub(super) async fn start_execution(&self, job: &Job, input: Arc<str>) -> Result<(), Error> {
        match self
            .parts
            .workflow
            .start(&job.job_type, &job.execution, input)
            .await
        {
            Ok(_) => {}
            Err(error) => {
                let Some(refused) = refusal(&error) else {
                    return Err(error.into());
                };
                tracing::error!(job_id = %job.id, %error, "the execution cannot be started, so the job fails");
                let change = self.ending(Update::Fail(refused));
                self.parts.store.apply(job.id, change, now()).await?;
                return Ok(());
            }
        }
        // The job may have been cancelled between the acknowledgement and the start.
        let current = self.parts.store.get(job.id).await?;
        if current.is_none_or(|current| {
            current.status.is_terminal() && current.execution == job.execution
        }) {
            self.stop_if_unwanted(job.id).await?;
        }
        Ok(())
    }

    /// Stops the execution of a job that was cancelled before it could be stopped.
    pub(super) async fn stop_if_unwanted(&self, id: JobId) -> Result<(), Error> {
        let Some(job) = self.parts.store.get(id).await? else {
            return Ok(());
        };
        if job.status != job::Status::Cancelled {
            return Ok(());
        }
        let reason = job
            .error
            .as_ref()
            .map_or("", |error| error.message.as_str());
        Ok(self
            .parts
            .workflow
            .stop(
                &job.job_type,
                &job.execution,
                super::control::CANCELLED,
                reason,
            )
            .await?)
    }

    /// A change that may finish the job, with its retention.
    pub(super) fn ending(&self, update: Update) -> Change {
        Change {
            retention_millis: self.parts.settings.retention_millis,
            ..Change::of(update)
        }
    }

    /// The submitted input with a `job` object: the address and the token for the reports of its
    /// functions. An input that is not an object becomes the field `input`. The text depends only
    /// on the job, so that a repeated start has the same input.
    pub(super) fn execution_input(&self, job: &Job, input: &str) -> Arc<str> {
        let since = if job.attempt == 1 {
            job.created_at
        } else {
            job.updated_at
        };
        let expires_at = since.plus_millis(self.parts.settings.report_life_millis);
        let about = serde_json::json!({
            "id": job.id,
            "reportUrl": self.parts.settings.report_url,
            "reportToken": self.parts.signer.report_token(job.id, job.attempt, expires_at),
        });
        let input = without_job(input);
        let inner = input.trim();
        match inner.strip_prefix('{').map(str::trim_start) {
            Some("}") => format!(r#"{{"job":{about}}}"#).into(),
            Some(fields) => format!(r#"{{"job":{about},{fields}"#).into(),
            None => format!(r#"{{"job":{about},"input":{inner}}}"#).into(),
        }
    }
}

/// The input without a field [`JOB`]. A job that an earlier version accepted may have one, and a
/// name must not occur twice.
fn without_job(input: &str) -> Cow<'_, str> {
    let mut found = false;
    // The name may be written with escapes.
    if (input.contains(JOB) || input.contains('\\'))
        && json::check_names(input, |name| found |= name == JOB).is_ok()
        && found
        && let Ok(serde_json::Value::Object(mut fields)) = json::read(input)
    {
        fields.shift_remove(JOB);
        return Cow::Owned(json::write(&serde_json::Value::Object(fields)));
    }
    Cow::Borrowed(input)
}

/// The input without a byte order mark. An input with which no execution could run is refused here,
/// before anything is durable.
fn checked_input(input: Arc<str>) -> Result<Arc<str>, Error> {
    check("input", "bytes", input.len(), limits::INPUT_BYTES)?;
    let refuse = |reason: String| Error::BadInput {
        argument: "input",
        reason,
    };
    let mut names_job = false;
    let text = json::check_names(&input, |name| names_job |= name == JOB)
        .map_err(|refused| refuse(refused.to_string()))?;
    if names_job {
        return Err(refuse(format!(
            "the field `{JOB}` is reserved for the address of the functions' reports; give yours another name"
        )));
    }
    Ok(if text.len() == input.len() {
        input
    } else {
        text.into()
    })
}

/// The job's error for a start that no repeat can make succeed.
fn refusal(error: &WorkflowError) -> Option<JobError> {
    match error {
        WorkflowError::UnknownType(name) => Some(JobError::new(
            "UnknownJobType",
            &format!("there is no job type `{name}` any more"),
        )),
        WorkflowError::NotDeployed { .. } => Some(JobError::new(
            "StateMachineDoesNotExist",
            &error.to_string(),
        )),
        WorkflowError::Refused { name, reason } => Some(JobError::new(name, reason)),
        _ => None,
    }
}

fn steps_of(job_type: &JobType) -> Vec<Step> {
    job_type
        .steps
        .iter()
        .zip(0..)
        .map(|((name, kind), index)| Step::pending(name.as_str(), index, *kind))
        .collect()
}

fn digest(job_type: &str, input: &str, tags: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [job_type, input]
        .into_iter()
        .chain(tags.iter().map(String::as_str))
    {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
