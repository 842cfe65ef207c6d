//! Every kind of row in the table: its keys, its attributes, and the conversions.
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | `JOB#id` | `JOB` | the job, steps included: one row, one version, one record in the stream |
//! | `JOB#id` | `INPUT` | the input |
//! | `JOB#id` | `RESULT` | the result |
//! | `REQ#length#owner#token` | `REQ` | a request token; the owner's length separates the parts of the key for any owner's name |
//! | `SWEEP`, `OPENSWEEP` | `LEASE` | the process that sweeps, and until when |
//! | `BUDGET` | `READS` | the next free slot for a read of Step Functions |
//! | `PROBE` | `PROBE` | written by the health check |
//!
//! Times are in milliseconds, except `ttl`, which DynamoDB requires in seconds.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use job::{Job, JobId, Time};

use crate::store::{Lease, RequestToken, StoreError};

/// Number of partitions over which the indexes of all jobs, of open jobs and of expiry are spread:
/// DynamoDB accepts 1,000 writes per second in one partition.
pub(super) const SHARDS: u64 = 8;

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn key(id: JobId, sk: &str) -> Item {
    keys(format!("JOB#{id}"), sk)
}

pub(super) fn request_key(owner: &str, token: &str) -> Item {
    keys(format!("REQ#{}#{owner}#{token}", owner.len()), "REQ")
}

pub(super) fn probe() -> Item {
    keys("PROBE".to_owned(), "PROBE")
}

pub(super) fn lease_key(lease: Lease) -> Item {
    let pk = match lease {
        Lease::Sweep => "SWEEP",
        Lease::OpenSweep => "OPENSWEEP",
    };
    keys(pk.to_owned(), "LEASE")
}

pub(super) fn budget_key() -> Item {
    keys("BUDGET".to_owned(), "READS")
}

fn keys(pk: String, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

pub(super) fn shard(id: JobId) -> String {
    // The value is stored in rows but never computed again, so any distribution is valid.
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    (hasher.finish() % SHARDS).to_string()
}

/// The row of a job. The attributes of the indexes change when the job is created, finishes or is
/// retried, but not on progress.
pub(super) fn job_item(job: &Job) -> Result<Item, StoreError> {
    let shard = shard(job.id);
    let mut item = key(job.id, "JOB");
    item.insert("id".to_owned(), text(job.id.to_string()));
    item.insert("owner".to_owned(), text(&job.owner));
    item.insert("type".to_owned(), text(&job.job_type));
    item.insert("shard".to_owned(), text(&shard));
    item.insert("version".to_owned(), number(job.version));
    item.insert("status".to_owned(), text(job.status.as_str()));
    if !job.status.is_terminal() {
        item.insert("open".to_owned(), text(&shard));
    }
    if let Some(expires_at) = job.expires_at {
        item.insert("expiring".to_owned(), text(&shard));
        item.insert("expiresAt".to_owned(), number(expires_at.as_millis()));
        item.insert("ttl".to_owned(), ttl(expires_at));
    }
    let job = serde_json::to_string(job).map_err(unreadable)?;
    item.insert("job".to_owned(), text(job));
    Ok(item)
}

pub(super) fn part_item(id: JobId, sk: &str, value: &str, expires_at: Option<Time>) -> Item {
    let mut item = key(id, sk);
    item.insert("text".to_owned(), text(value));
    item.extend(expires_at.map(|time| ("ttl".to_owned(), ttl(time))));
    item
}

pub(super) fn request_item(job: &Job, request: &RequestToken) -> Item {
    let mut item = request_key(&job.owner, &request.token);
    let digest = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(request.digest));
    item.insert("digest".to_owned(), digest);
    item.insert("id".to_owned(), text(job.id.to_string()));
    item.insert(
        "expiresAt".to_owned(),
        number(request.expires_at.as_millis()),
    );
    item.insert("ttl".to_owned(), ttl(request.expires_at));
    item
}

/// Rounded up: DynamoDB must not delete the row too early.
pub(super) fn ttl(time: Time) -> AttributeValue {
    number(time.as_millis().div_euclid(1000) + 1)
}

pub(super) fn job_of(item: &Item) -> Result<Arc<Job>, StoreError> {
    let text = item.get("job").and_then(|value| value.as_s().ok());
    job_from(text.map(String::as_str))
}

pub(super) fn job_from(text: Option<&str>) -> Result<Arc<Job>, StoreError> {
    let text = text.ok_or_else(|| unreadable(Missing("job")))?;
    serde_json::from_str(text).map(Arc::new).map_err(unreadable)
}

pub(super) fn id_of(item: &Item) -> Result<JobId, StoreError> {
    let text = item.get("id").and_then(|value| value.as_s().ok());
    let text = text.ok_or_else(|| unreadable(Missing("id")))?;
    text.parse().map_err(unreadable)
}

#[derive(Debug, thiserror::Error)]
#[error("the row has no `{0}`")]
struct Missing(&'static str);

/// The error for a row that this program did not write in this form.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable {
        reason: "a row of the job table cannot be read".to_owned(),
        source: Some(Box::new(error)),
    }
}
