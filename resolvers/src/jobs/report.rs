//! The use cases for functions and watchers: `reportProgress`, `createUpload`, `createWatchToken`.

use std::sync::Arc;
use std::time::Duration;

use job::change::Report;
use job::{Change, Event, Job, JobId, Refused, Time, Update};

use super::{Resolvers, now};
use crate::Error;
use crate::caller::{Caller, Rights};
use crate::files::{Upload, UploadError};
use crate::token::first_attempt;

/// Lifetime of a watch token in seconds: from one second to 24 hours.
pub const WATCH_TOKEN_SECONDS: std::ops::RangeInclusive<i64> = 1..=86_400;

/// Delays before a report of the next attempt is refused, in which the retry that began it may
/// arrive.
const RETRY_WAITS: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// The arguments of `reportProgress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportProgress {
    /// The job.
    pub id: JobId,
    /// The report.
    pub report: Report,
}

/// A token that reads one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchToken {
    /// The token.
    pub token: String,
    /// When the token expires.
    pub expires_at: Time,
}

impl Resolvers {
    /// Applies the report of a function. A repeated report changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::Refused`] if the job is finished or
    /// in another attempt, [`Error::Unavailable`].
    pub async fn report_progress(
        &self,
        caller: &Caller,
        report: ReportProgress,
    ) -> Result<Arc<Job>, Error> {
        let attempt = caller.may_report(report.id)?;
        let mut reported = self.report_in(attempt, report.clone()).await;
        for wait in RETRY_WAITS {
            // The execution of a retried job may continue before the job's row is updated.
            match &reported {
                Err(Error::Refused(Refused::Attempt { attempt, actual }))
                    if *attempt == actual + 1 =>
                {
                    tokio::time::sleep(wait).await;
                }
                _ => break,
            }
            reported = self.report_in(attempt, report.clone()).await;
        }
        let (Err(Error::Refused(Refused::Attempt { .. })), Some(attempt)) = (&reported, attempt)
        else {
            return reported;
        };
        match self.attempt_of_first_token(report.id, attempt).await? {
            Some(current) => self.report_in(Some(current), report).await,
            None => reported,
        }
    }

    async fn report_in(
        &self,
        attempt: Option<u32>,
        report: ReportProgress,
    ) -> Result<Arc<Job>, Error> {
        let change = Change {
            attempt,
            ..Change::of(Update::Report(report.report))
        };
        let outcome = self.parts.store.apply(report.id, change, now()).await?;
        Ok(Arc::clone(outcome.job()))
    }

    /// The job's attempt, if its execution was started for the attempt of the token and redriven
    /// since. Its tasks still get that token.
    async fn attempt_of_first_token(&self, id: JobId, token: u32) -> Result<Option<u32>, Error> {
        if !self.parts.workflow.keeps_first_token() {
            return Ok(None);
        }
        let job = self.parts.store.get(id).await?.ok_or(Error::NotFound(id))?;
        let first = first_attempt(&job.execution).map(|(_, attempt)| attempt);
        Ok((first == Some(token)).then_some(job.attempt))
    }

    /// Creates the addresses for one file: one to PUT it to, and one to GET it from.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::BadInput`], [`Error::OverLimit`] also if this caller
    /// received too many recently, [`Error::NotFound`] and [`Error::Refused`] for a token whose job
    /// has expired, is finished or is in another attempt, [`Error::Unavailable`].
    pub async fn create_upload(
        &self,
        caller: &Caller,
        name: &str,
        content_type: Option<&str>,
        size: i64,
    ) -> Result<Upload, Error> {
        caller.may_upload()?;
        if let Rights::Report { job, attempt } = caller.rights {
            self.still_wanted(job, attempt).await?;
        }
        let upload = self
            .parts
            .files
            .upload(name, content_type, size, rand::random(), now())
            .map_err(|error| {
                let argument = match error {
                    UploadError::OverLimit(over) => return Error::OverLimit(over),
                    UploadError::Name(_) => "name",
                    UploadError::ContentType(_) => "contentType",
                    UploadError::Size(_) => "size",
                };
                Error::BadInput {
                    argument,
                    reason: error.to_string(),
                }
            })?;
        let size = u64::try_from(size).unwrap_or(0);
        self.parts.quota.take(&caller.subject, size, now())?;
        Ok(upload)
    }

    /// Whether a function may still act for its job.
    async fn still_wanted(&self, id: JobId, attempt: u32) -> Result<(), Error> {
        let job = self.parts.store.get(id).await?.ok_or(Error::NotFound(id))?;
        if job.attempt != attempt {
            let actual = job.attempt;
            return Err(Error::Refused(Refused::Attempt { attempt, actual }));
        }
        if job.status.is_terminal() {
            let (status, event) = (job.status, Event::Progress);
            return Err(Error::Refused(Refused::Rule { id, status, event }));
        }
        Ok(())
    }

    /// Creates a token that allows a client without an account to read this job.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unauthorized`], [`Error::BadInput`].
    pub async fn create_watch_token(
        &self,
        caller: &Caller,
        id: JobId,
        ttl_seconds: i64,
    ) -> Result<WatchToken, Error> {
        let job = self.get_job(caller, id).await?.ok_or(Error::NotFound(id))?;
        caller.may_control(&job)?;
        if !WATCH_TOKEN_SECONDS.contains(&ttl_seconds) {
            let (least, most) = WATCH_TOKEN_SECONDS.into_inner();
            return Err(Error::BadInput {
                argument: "ttlSeconds",
                reason: format!("is {ttl_seconds}, and it must be from {least} to {most}"),
            });
        }
        let expires_at = now().plus_millis(ttl_seconds * 1000);
        Ok(WatchToken {
            token: self.parts.signer.watch_token_of(id, &job.owner, expires_at),
            expires_at,
        })
    }
}
