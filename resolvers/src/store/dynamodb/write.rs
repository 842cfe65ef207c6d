//! Create, apply, delete: conditional writes, and transactions where two rows must agree.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use job::limits::{self, check};
use job::{Applied, Change, Job, JobId, Status, Time};

use super::items::{self, Item, number, text};
use super::{DynamoDbStore, unavailable};
use crate::store::{CreateJob, Created, Outcome, RequestToken, StoreError};

/// Maximum number of tries of a write that loses races.
pub(super) const RACE_TRIES: u32 = 16;
/// Maximum pause before such a try, in milliseconds. The first pause is a hundredth of it.
const RACE_PAUSE_MILLIS: u64 = 400;

/// The outcome of a conditional write.
enum Written {
    Done,
    /// Conditions did not hold; their positions in the transaction.
    Lost(Vec<usize>),
    /// Another transaction was writing a row.
    Again,
}

impl DynamoDbStore {
    pub(super) async fn create_job(&self, new: CreateJob) -> Result<Created, StoreError> {
        check("input", "bytes", new.input.len(), limits::INPUT_BYTES)?;
        let job = Arc::new(new.job);
        let mut stale = None;
        for turn in 0..RACE_TRIES {
            pause(turn).await;
            let mut rows = vec![
                self.put(
                    items::job_item(&job)?,
                    Some(("attribute_not_exists(pk)", vec![])),
                )?,
                self.put(items::part_item(job.id, "INPUT", &new.input, None), None)?,
            ];
            if let Some(request) = &new.request {
                let now = (":now", number(job.created_at.as_millis()));
                let free = match &stale {
                    None => ("attribute_not_exists(pk) OR expiresAt <= :now", vec![now]),
                    Some(id) => (
                        "attribute_not_exists(pk) OR expiresAt <= :now OR id = :stale",
                        vec![now, (":stale", text(JobId::to_string(id)))],
                    ),
                };
                rows.push(self.put(items::request_item(&job, request), Some(free))?);
            }
            match (self.transact(rows).await?, &new.request) {
                (Written::Done, _) => return Ok(Created::New(job)),
                (Written::Lost(places), Some(request)) if places.contains(&2) => {
                    match self.first_of(request, &job).await? {
                        First::Ours => return Ok(Created::New(job)),
                        First::Job(first) => return Ok(Created::Repeat(first)),
                        First::Deleted(id) => stale = Some(id),
                        First::Free => {}
                    }
                }
                (Written::Lost(_), _) => {
                    let reason = format!("there is a job {} already", job.id);
                    return Err(StoreError::Unavailable {
                        reason,
                        source: None,
                    });
                }
                (Written::Again, _) => {}
            }
        }
        Err(too_many_races())
    }

    /// The submission of a token that is already taken.
    async fn first_of(&self, request: &RequestToken, job: &Job) -> Result<First, StoreError> {
        let key = items::request_key(&job.owner, &request.token);
        let Some(item) = self.item(key).await? else {
            return Ok(First::Free);
        };
        let first = items::id_of(&item)?;
        if first == job.id {
            // An earlier try was written, but its response was lost.
            return Ok(First::Ours);
        }
        let Some(stored) = self.job(first).await? else {
            return Ok(First::Deleted(first));
        };
        let digest = item.get("digest").and_then(|value| value.as_b().ok());
        if digest.is_none_or(|digest| digest.as_ref() != request.digest) {
            return Err(StoreError::IdempotencyConflict {
                token: request.token.clone(),
                first,
            });
        }
        Ok(First::Job(stored))
    }

    pub(super) async fn apply_change(
        &self,
        id: JobId,
        change: &Change,
        now: Time,
    ) -> Result<Outcome, StoreError> {
        // Within this process, changes of one job wait for each other instead of racing.
        let _turn = self.turn(id).lock().await;
        let mut tried: Option<Arc<Job>> = None;
        for turn in 0..RACE_TRIES {
            pause(turn).await;
            let old = self.job(id).await?.ok_or(StoreError::NotFound(id))?;
            if let Some(job) = tried.take_if(|tried| **tried == *old) {
                // It was written, but the response was lost.
                return Ok(Outcome::Changed(job));
            }
            let job: Arc<Job> = match old.apply(change, now)? {
                Applied::Unchanged => return Ok(Outcome::Unchanged(old)),
                Applied::Changed(job) => Arc::from(job),
            };
            if let Some(result) = &change.result {
                check("result", "bytes", result.len(), limits::RESULT_BYTES)?;
            }
            match self.replace(&old, &job, change).await? {
                Written::Done => return Ok(Outcome::Changed(job)),
                Written::Lost(_) | Written::Again => tried = Some(job),
            }
        }
        Err(too_many_races())
    }

    /// Replaces `old` by `job`, together with the rows that must agree with it.
    async fn replace(&self, old: &Job, job: &Job, change: &Change) -> Result<Written, StoreError> {
        let unchanged = ("version = :old", vec![(":old", number(old.version))]);
        let mut rows = vec![self.put(items::job_item(job)?, Some(unchanged))?];
        if let Some(result) = change
            .result
            .as_ref()
            .filter(|_| job.status == Status::Succeeded)
        {
            let item = items::part_item(job.id, "RESULT", result, job.expires_at);
            rows.push(self.put(item, None)?);
        }
        if job.expires_at != old.expires_at {
            rows.push(self.keep_input(job)?);
        }
        if rows.len() > 1 {
            return self.transact(rows).await;
        }
        let put = rows.pop().and_then(|row| row.put);
        let put = put.expect("the first row is a put");
        let written = self
            .client
            .put_item()
            .table_name(put.table_name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_values(put.expression_attribute_values)
            .send()
            .await;
        match written {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(e) if e.is_conditional_check_failed_exception() => Ok(Written::Lost(vec![0])),
                Some(e) if e.is_transaction_conflict_exception() => Ok(Written::Again),
                _ => Err(unavailable(error)),
            },
        }
    }

    /// Sets the expiry of the input to that of its job.
    fn keep_input(&self, job: &Job) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(items::key(job.id, "INPUT")))
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#ttl", "ttl");
        let update = match job.expires_at {
            None => update.update_expression("REMOVE #ttl"),
            Some(time) => update
                .update_expression("SET #ttl = :ttl")
                .expression_attribute_values(":ttl", items::ttl(time)),
        };
        let update = update.build().map_err(unavailable)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Deletes a job with all its data, unless it has changed. Returns whether it was deleted.
    pub(super) async fn delete_job(&self, job: &Job) -> Result<bool, StoreError> {
        let mut rows = Vec::new();
        for sk in ["JOB", "INPUT", "RESULT"] {
            let mut delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(items::key(job.id, sk)));
            if sk == "JOB" {
                delete = delete
                    .condition_expression("version = :old")
                    .expression_attribute_values(":old", number(job.version));
            }
            let delete = delete.build().map_err(unavailable)?;
            rows.push(TransactWriteItem::builder().delete(delete).build());
        }
        Ok(matches!(self.transact(rows).await?, Written::Done))
    }

    fn put(
        &self,
        item: Item,
        condition: Option<(&str, Vec<(&str, AttributeValue)>)>,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut put = Put::builder().table_name(&self.table).set_item(Some(item));
        if let Some((expression, values)) = condition {
            put = put.condition_expression(expression);
            for (name, value) in values {
                put = put.expression_attribute_values(name, value);
            }
        }
        let put = put.build().map_err(unavailable)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    async fn transact(&self, rows: Vec<TransactWriteItem>) -> Result<Written, StoreError> {
        let request = self.client.transact_write_items();
        let error = match request.set_transact_items(Some(rows)).send().await {
            Ok(_) => return Ok(Written::Done),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons().iter().zip(0..);
                let coded = |code| {
                    let reasons = reasons.clone().filter(move |(r, _)| r.code() == Some(code));
                    reasons.map(|(_, place)| place).collect::<Vec<usize>>()
                };
                let lost = coded("ConditionalCheckFailed");
                if !lost.is_empty() {
                    return Ok(Written::Lost(lost));
                }
                if !coded("TransactionConflict").is_empty() {
                    return Ok(Written::Again);
                }
                Err(unavailable(error))
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Ok(Written::Again),
            _ => Err(unavailable(error)),
        }
    }
}

/// The submission of a taken token.
enum First {
    /// The job that is being created.
    Ours,
    Job(Arc<Job>),
    Deleted(JobId),
    Free,
}

/// Waits longer at each try, with a random part, so that two racing writers differ.
async fn pause(turn: u32) {
    if turn == 0 {
        return;
    }
    let longest = ((RACE_PAUSE_MILLIS / 100) << turn.min(10)).min(RACE_PAUSE_MILLIS);
    let millis = rand::random_range(1..=longest.max(1));
    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
}

fn too_many_races() -> StoreError {
    StoreError::Unavailable {
        reason: format!("others changed the same row {RACE_TRIES} times meanwhile: try again"),
        source: None,
    }
}
