//! Converts a job to a row and back.

use std::sync::Arc;

use job::{Filter, Job, JobId, Status, Time, Version};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::store::StoreError;

/// The columns of filters, in the order in which [`outline`] reads them, and the job's key. One
/// index contains all of them.
pub(super) const COLUMNS: &str = "jobs.id, jobs.owner, jobs.type, jobs.status, jobs.progress, jobs.attempt, jobs.updated_at, jobs.finished_at, jobs.tags, jobs.seq";
/// The position of the key among [`COLUMNS`].
pub(super) const KEY_COLUMN: usize = 9;

pub(super) fn text(job: &Job) -> Result<String, StoreError> {
    serde_json::to_string(job).map_err(unreadable)
}

/// The text of the tags; `None` for no tags.
pub(super) fn tags_text(tags: &[String]) -> Result<Option<String>, StoreError> {
    if tags.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(tags).map(Some).map_err(unreadable)
}

pub(super) fn job(value: ValueRef<'_>) -> Result<Arc<Job>, StoreError> {
    let text = value.as_bytes().map_err(unreadable)?;
    serde_json::from_slice(text)
        .map(Arc::new)
        .map_err(unreadable)
}

pub(super) fn id(value: ValueRef<'_>) -> Result<JobId, StoreError> {
    let bytes = value.as_blob().map_err(unreadable)?;
    let bytes = <[u8; 16]>::try_from(bytes).map_err(unreadable)?;
    Ok(JobId::from_bytes(bytes))
}

/// The part of the job that a filter reads: without steps, message and error, and without texts
/// that this filter does not use.
pub(super) fn outline(row: &Row<'_>, filter: &Filter) -> Result<Job, StoreError> {
    let text = |asked: bool, column: usize| -> Result<String, StoreError> {
        if asked {
            Ok(row.get(column)?)
        } else {
            Ok(String::new())
        }
    };
    let id = id(row.get_ref(0)?)?;
    let status: Status = row
        .get_ref(3)?
        .as_str()
        .map_err(unreadable)?
        .parse()
        .map_err(unreadable)?;
    let tags = match row.get_ref(8)? {
        _ if filter.tags.is_empty() => Vec::new(),
        ValueRef::Null => Vec::new(),
        text => serde_json::from_slice(text.as_bytes().map_err(unreadable)?).map_err(unreadable)?,
    };
    Ok(Job {
        id,
        owner: text(!filter.owner.is_empty(), 1)?,
        job_type: text(!filter.job_type.is_empty(), 2)?,
        status,
        progress: row.get(4)?,
        attempt: row.get(5)?,
        updated_at: Time::from_millis(row.get(6)?),
        finished_at: row.get::<_, Option<i64>>(7)?.map(Time::from_millis),
        tags,
        created_at: id.created_at(),
        message: None,
        error: None,
        steps: Vec::new(),
        version: Version::FIRST,
        started_at: None,
        expires_at: None,
        execution: String::new(),
        position: 0,
    })
}

/// The error for a row that this program did not write in this form.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable {
        reason: "a row of the job table cannot be read: the data directory is damaged".to_owned(),
        source: Some(Box::new(error)),
    }
}
