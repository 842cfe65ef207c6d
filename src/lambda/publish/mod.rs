//! `lambda-publish`: publishes the changes of the job table to the nodes, in the order of the
//! table's stream.
//!
//! | module | what |
//! |---|---|
//! | [`record`] | a record of the stream |
//! | [`document`], [`answer`] | one `publishJob` document for several records, and its answer |
//! | [`nodes`] | the nodes over HTTP |
//! | [`redrive`] | batches that AWS Lambda gave up, from their failure queue |
//!
//! The answer names the first record that is not done, as a checkpoint: AWS Lambda delivers that
//! record and all after it again. A failure of the nodes ends the batch there. A record that can
//! never be published holds up no other one: those after it are published at once, and remembered,
//! so that their repeated deliveries cost nothing until AWS Lambda gives the record up. A watcher
//! receives no lower version after a higher one in any case: the hub compares versions.

pub mod answer;
pub mod document;
pub mod nodes;
pub mod record;
pub mod redrive;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Error, LambdaEvent};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::answer::Outcome;
use self::document::Change;
use self::nodes::{Allowed, Nodes};
use self::record::{Content, NoPlace, StreamRecord};
use self::redrive::Table;
use super::start;

/// Time before the end of an invocation after which nothing more is sent, so that the answer
/// arrives in time.
const ANSWER_BEFORE: Duration = Duration::from_millis(500);

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    start::run(1, async |variables| {
        let nodes = Nodes::new(variables.publish_url()?, variables.signer()?);
        let publisher = Arc::new(PublishFunction::new(nodes, Table::new(variables.table())));
        start::answer(move |event: LambdaEvent<Batch>| {
            let publisher = Arc::clone(&publisher);
            async move {
                let until = until(event.context.deadline, SystemTime::now());
                publisher.answer(event.payload, until).await
            }
        })
        .await
    })
}

/// The records of an event, of the stream or of its failure queue.
#[derive(Debug, Deserialize)]
pub struct Batch {
    /// The records.
    #[serde(rename = "Records")]
    pub records: Vec<Box<RawValue>>,
}

/// The answer to an event: which records are to be delivered again.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of the stream: the first record that is not done.
    Stream(DynamoDbEventResponse),
    /// Of the failure queue: each message that is not done.
    Queue(SqsBatchResponse),
}

/// Publishes the records of events.
#[derive(Debug)]
pub struct PublishFunction {
    nodes: Nodes,
    table: Table,
    /// Records of the last event that were published although one before them was not. They are
    /// delivered again.
    ahead: Mutex<HashSet<String>>,
}

impl PublishFunction {
    /// Publishes to these nodes; jobs of failed batches are read from `table`.
    #[must_use]
    pub fn new(nodes: Nodes, table: Table) -> Self {
        Self {
            nodes,
            table,
            ahead: Mutex::default(),
        }
    }

    /// Answers an event by this time.
    ///
    /// # Errors
    /// The event is neither of the stream nor of its failure queue, or a record has no number: the
    /// whole event is delivered again, or given up.
    pub async fn answer(&self, batch: Batch, until: Instant) -> Result<Answer, Error> {
        let allowed = self.nodes.allow(until);
        let source = batch
            .records
            .first()
            .map_or(Ok(None), |first| source(first))?;
        match source.as_deref() {
            Some("aws:sqs") => {
                let messages = batch.records.iter();
                let messages = messages.map(|text| serde_json::from_str(text.get()));
                let messages: Vec<SqsMessage> = messages.collect::<Result<_, _>>()?;
                Ok(Answer::Queue(self.redrive(&messages, &allowed).await))
            }
            Some("aws:dynamodb") | None => {
                let ahead = std::mem::take(&mut *self.ahead.lock());
                let records = batch.records.iter();
                let records = records.map(|text| record::read(text, &ahead));
                let records: Vec<_> = records.collect::<Result<_, NoPlace>>()?;
                Ok(Answer::Stream(self.publish(&records, &allowed).await))
            }
            Some(other) => Err(format!(
                "records of {other} cannot be published: connect this function to the job table's stream, or to its failure queue"
            )
            .into()),
        }
    }

    /// Publishes records of the stream.
    async fn publish(&self, records: &[StreamRecord], allowed: &Allowed) -> DynamoDbEventResponse {
        let mut first_failed = None;
        let mut fails = |at: usize, why: &str| {
            let sequence = &records[at].sequence;
            tracing::error!(sequence, why, "a record was not published");
            first_failed = Some(first_failed.map_or(at, |first: usize| first.min(at)));
        };
        let mut places = Vec::with_capacity(records.len());
        let mut changes = Vec::with_capacity(records.len());
        for (at, record) in records.iter().enumerate() {
            match &record.content {
                Content::Change { new, old } => {
                    places.push(at);
                    changes.push(Change {
                        new,
                        old: old.as_deref(),
                    });
                }
                Content::Ahead | Content::Other => {}
                Content::Unreadable(why) => fails(at, why),
            }
        }
        let outcomes = self.nodes.publish(&changes, allowed).await;
        let mut published = HashSet::new();
        let mut failures = outcomes.iter().zip(&places);
        for (outcome, at) in failures.by_ref() {
            match outcome {
                Outcome::Published => {
                    published.insert(*at);
                }
                Outcome::Refused(why) => fails(*at, why),
                Outcome::Failed(why) => {
                    fails(*at, why);
                    break;
                }
                Outcome::Unknown => fails(*at, "the answer does not say"),
            }
        }
        // Those of the same document.
        published.extend(
            failures
                .filter(|(outcome, _)| **outcome == Outcome::Published)
                .map(|(_, at)| *at),
        );
        if let Some(first) = first_failed {
            let ahead = records
                .iter()
                .enumerate()
                .skip(first + 1)
                .filter(|(at, record)| {
                    let is_done = published.contains(at) || record.content == Content::Ahead;
                    is_done && !record.event.is_empty()
                });
            *self.ahead.lock() = ahead.map(|(_, record)| record.event.clone()).collect();
        }
        tracing::debug!(
            records = records.len(),
            published = published.len(),
            "published"
        );
        checkpoint(first_failed.map(|at| records[at].sequence.as_str()))
    }

    /// Redrives the batches of the failure queue.
    async fn redrive(&self, messages: &[SqsMessage], allowed: &Allowed) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in messages {
            let done = redrive::redrive(message, &self.table, &self.nodes, allowed).await;
            if let Err(error) = done {
                let id = message.message_id.clone().unwrap_or_default();
                tracing::error!(message = id, %error, "a failed batch was not redriven");
                response.add_failure(id);
            }
        }
        response
    }
}

/// The source of an event, from one of its records.
fn source(record: &RawValue) -> Result<Option<String>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Source {
        event_source: Option<String>,
    }
    serde_json::from_str(record.get()).map(|Source { event_source }| event_source)
}

/// The answer that all records from this one on are to be delivered again.
fn checkpoint(sequence: Option<&str>) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    if let Some(sequence) = sequence {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence.to_owned());
        response.batch_item_failures.push(failure);
    }
    response
}

/// The end of an invocation that AWS Lambda ends at `deadline`, in milliseconds since the epoch.
fn until(deadline: u64, now: SystemTime) -> Instant {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline);
    let left = deadline.duration_since(now).unwrap_or_default();
    Instant::now() + left.saturating_sub(ANSWER_BEFORE)
}
