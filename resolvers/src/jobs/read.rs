//! Reading: `getJob`, `listJobs`, `listJobTypes`, the input and the result of a job, its history.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use job::limits;
use job::{Filter, Job, JobId};
use serde_json::Value;

use super::Resolvers;
use crate::Error;
use crate::caller::Caller;
use crate::store::{ListQuery, Sort};
use crate::token::hide;
use crate::workflow::{HistoryPage, JobType, WorkflowError};

/// The arguments of `listJobs`.
#[derive(Clone, Debug, Default)]
pub struct ListJobs {
    /// The jobs to list.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// Maximum number of jobs, `1..=`[`limits::LIST_PAGE`].
    pub limit: i64,
    /// The end of the last page, as that page returned it.
    pub next_token: Option<String>,
}

/// A page of jobs.
#[derive(Clone, Debug, Default)]
pub struct JobPage {
    /// The jobs. A page may be short, even empty, although more jobs follow.
    pub items: Vec<Arc<Job>>,
    /// The token for the next page.
    pub next_token: Option<String>,
}

/// Maximum number of pages that one `listJobs` reads from the store to fill its own page. More than
/// one saves the caller empty pages; the limit bounds the time.
const PAGES_READ: usize = 2;

impl Resolvers {
    /// The job, or `None` if there is no such job that this caller may see.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn get_job(&self, caller: &Caller, id: JobId) -> Result<Option<Arc<Job>>, Error> {
        Ok(self
            .parts
            .store
            .get(id)
            .await?
            .filter(|job| caller.may_see(job)))
    }

    /// The input of a job that the caller may see, as JSON text.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn job_input(&self, id: JobId) -> Result<Option<Arc<str>>, Error> {
        Ok(self.parts.store.input(id).await?)
    }

    /// The result of a job that the caller may see, as JSON text without tokens; `None` until it
    /// has succeeded.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn job_result(&self, id: JobId) -> Result<Option<Arc<str>>, Error> {
        let result = self.parts.store.result(id).await?;
        Ok(result.map(|result| match hide(&result) {
            Cow::Borrowed(_) => result,
            Cow::Owned(shown) => shown.into(),
        }))
    }

    /// One page of the jobs that the caller may see.
    ///
    /// # Errors
    /// [`Error::BadInput`], [`Error::OverLimit`], [`Error::Unauthorized`], [`Error::Unavailable`].
    pub async fn list_jobs(&self, caller: &Caller, list: ListJobs) -> Result<JobPage, Error> {
        list.filter.check()?;
        let most = i64::try_from(limits::LIST_PAGE).unwrap_or(i64::MAX);
        let limit = usize::try_from(list.limit)
            .ok()
            .filter(|limit| (1..=limits::LIST_PAGE).contains(limit))
            .ok_or_else(|| Error::BadInput {
                argument: "limit",
                reason: format!("is {}, and it must be from 1 to {most}", list.limit),
            })?;
        let mut query = ListQuery {
            filter: caller.narrow(list.filter)?,
            sort: list.sort,
            limit,
            after: list.next_token.as_deref().map(read_token).transpose()?,
        };
        let mut items = Vec::new();
        for _ in 0..PAGES_READ {
            query.limit = limit - items.len();
            let page = self.parts.store.list(&query).await?;
            items.extend(page.jobs);
            query.after = page.next;
            if page.next.is_none() || items.len() >= limit {
                break;
            }
        }
        Ok(JobPage {
            items,
            next_token: query.after.map(write_token),
        })
    }

    /// The job types, by name.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub fn list_job_types(&self, caller: &Caller) -> Result<Vec<Arc<JobType>>, Error> {
        caller.may_read_types()?;
        let mut types = self.parts.workflow.job_types();
        types.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(types)
    }

    /// One page of the history of the execution of a job that the caller may see, as Step Functions
    /// shows it, without tokens.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn history_of(
        &self,
        job: &Job,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, Error> {
        match self
            .parts
            .workflow
            .history(&job.job_type, &job.execution, after, limit)
            .await
        {
            Ok(mut page) => {
                page.events.iter_mut().for_each(hide_in);
                Ok(page)
            }
            Err(WorkflowError::UnknownExecution(_)) => Ok(HistoryPage::default()),
            Err(error) => Err(error.into()),
        }
    }
}

fn hide_in(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(shown) = hide(text) {
                *text = shown;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_in),
        Value::Object(fields) => fields.values_mut().for_each(hide_in),
        _ => {}
    }
}

/// Opaque to clients. The letter is the version of the format.
fn write_token(after: JobId) -> String {
    URL_SAFE_NO_PAD.encode(format!("a{after}"))
}

fn read_token(token: &str) -> Result<JobId, Error> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix('a').and_then(|id| id.parse().ok()))
        .ok_or_else(|| Error::BadInput {
            argument: "nextToken",
            reason: "is not one that listJobs returned".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_other_texts_are_refused() {
        let id = JobId::new(job::Time::from_millis(5), 6);
        assert_eq!(read_token(&write_token(id)).unwrap(), id);
        for garbage in ["", "x", "YQ", "!!!"] {
            assert_eq!(read_token(garbage).unwrap_err().code(), "BadRequest");
        }
    }
}
