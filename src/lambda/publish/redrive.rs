//! What becomes of a batch that AWS Lambda gave up: its failure queue says where in the stream the
//! records are. The jobs of these records are read again, and their present versions are published.
//! That repairs more than the records would, because a version that is published includes all
//! before it.

use aws_lambda_events::sqs::SqsMessage;
use job::limits;
use job::{Job, JobId};
use resolvers::store::dynamodb::{DynamoDbStore, StreamBatch};
use resolvers::store::{JobStore, StoreError};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::answer::Outcome;
use super::document::Change;
use super::nodes::{Allowed, Nodes};
use crate::config::Aws;
use crate::lambda::settings::SettingsError;
use crate::server::{self, ServeError};

/// Why a message of the failure queue stays there.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The message is not from an event source mapping of a table's stream.
    #[error("the message has no DDBStreamBatchInfo of a failed batch: {0}")]
    Message(serde_json::Error),
    /// The variables of the table.
    #[error("{0}")]
    Settings(String),
    /// The table.
    #[error(transparent)]
    Table(#[from] ServeError),
    /// The stream or the table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some jobs of the batch.
    #[error("{count} jobs of the batch were not published; the first, {first}: {why}")]
    Jobs {
        /// Number of jobs.
        count: usize,
        /// The first of them.
        first: JobId,
        /// Why it was not published.
        why: String,
    },
}

/// The message of a failure destination.
#[derive(Deserialize)]
struct Undelivered {
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    stream_arn: String,
}

/// The job table, which is opened for the first message: most processes never need it.
#[derive(Debug)]
pub struct Table {
    settings: Result<Aws, String>,
    store: OnceCell<DynamoDbStore>,
}

impl Table {
    /// The table of these settings.
    #[must_use]
    pub fn new(settings: Result<Aws, SettingsError>) -> Self {
        Self {
            settings: settings.map_err(|error| error.to_string()),
            store: OnceCell::new(),
        }
    }

    async fn store(&self) -> Result<&DynamoDbStore, RedriveError> {
        let settings = self.settings.as_ref();
        let settings = settings.map_err(|error| RedriveError::Settings(error.clone()))?;
        let store = self.store.get_or_try_init(|| server::store(settings));
        Ok(store.await?)
    }
}

/// The batch that a message is about.
///
/// # Errors
/// [`RedriveError::Message`].
pub fn batch(message: &SqsMessage) -> Result<StreamBatch, RedriveError> {
    let body = message.body.as_deref().unwrap_or_default();
    let undelivered: Undelivered = serde_json::from_str(body).map_err(RedriveError::Message)?;
    let BatchInfo {
        shard_id,
        start_sequence_number,
        end_sequence_number,
        stream_arn,
    } = undelivered.batch;
    Ok(StreamBatch {
        stream: stream_arn,
        shard: shard_id,
        first: start_sequence_number,
        last: end_sequence_number,
    })
}

/// Publishes the present versions of the jobs of a message's batch.
///
/// # Errors
/// [`RedriveError`]; the message is to be delivered again.
pub async fn redrive(
    message: &SqsMessage,
    table: &Table,
    nodes: &Nodes,
    allowed: &Allowed,
) -> Result<(), RedriveError> {
    let batch = batch(message)?;
    let store = table.store().await?;
    let jobs = match store.jobs_of_batch(&batch).await {
        // The nodes have read the watched jobs again long ago.
        Err(StoreError::PositionLost) => {
            tracing::warn!(
                ?batch,
                "the stream has no records of a failed batch any more"
            );
            return Ok(());
        }
        jobs => jobs?,
    };
    let mut failed = Vec::new();
    let mut published = 0;
    for ids in jobs.chunks(limits::BATCH) {
        let found = present(store, ids, &mut failed).await?;
        let texts: Vec<String> = found.iter().map(|(_, text)| text.clone()).collect();
        let changes: Vec<_> = texts.iter().map(|new| Change { new, old: None }).collect();
        let outcomes = nodes.publish(&changes, allowed).await;
        for ((id, _), outcome) in found.iter().zip(outcomes) {
            match outcome {
                Outcome::Published => published += 1,
                Outcome::Refused(why) | Outcome::Failed(why) => failed.push((*id, why)),
                Outcome::Unknown => failed.push((*id, "the answer does not say".to_owned())),
            }
        }
    }
    tracing::info!(
        published,
        failed = failed.len(),
        ?batch,
        "a failed batch was redriven"
    );
    match failed.first() {
        None => Ok(()),
        Some((first, why)) => Err(RedriveError::Jobs {
            count: failed.len(),
            first: *first,
            why: why.clone(),
        }),
    }
}

/// The jobs as they are stored now. A deleted one needs no publication.
async fn present(
    store: &DynamoDbStore,
    ids: &[JobId],
    failed: &mut Vec<(JobId, String)>,
) -> Result<Vec<(JobId, String)>, StoreError> {
    let text = |job: &Job| serde_json::to_string(job).expect("a job is JSON");
    if let Ok(jobs) = store.get_many(ids).await {
        return Ok(jobs.iter().map(|job| (job.id, text(job))).collect());
    }
    // Perhaps one row cannot be read.
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match store.get(*id).await {
            Ok(Some(job)) => found.push((*id, text(&job))),
            Ok(None) => {}
            Err(error) => failed.push((*id, error.to_string())),
        }
    }
    Ok(found)
}
