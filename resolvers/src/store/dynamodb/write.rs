//! Create, apply, delete: conditional writes, and transactions where two rows must agree.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use job::limits::{self, check};
use job::{Applied, Change, Job, JobId, Status, Time};

use super::DynamoDbStore;
use super::failure::unbuilt;
use super::items::{self, Item, number, text};
use super::tries::Tries;
use crate::store::{CreateJob, Created, Outcome, RequestToken, StoreError};

/// The outcome of a conditional write.
enum Written {
    Done,
    /// Conditions did not hold.
    Lost(Vec<LostCondition>),
    /// Another transaction was writing a row.
    Again,
    /// There are too many requests.
    Busy,
}

/// A condition that did not hold.
struct LostCondition {
    /// The position in the transaction.
    place: usize,
    /// The row as it is.
    row: Option<Item>,
}

/// The reasons of a cancelled transaction that say nothing about its conditions: it may succeed
/// later.
const BUSY: [&str; 4] = [
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "InternalServerError",
];

impl DynamoDbStore {
    pub(super) async fn create_job(&self, new: CreateJob) -> Result<Created, StoreError> {
        check("input", "bytes", new.input.len(), limits::INPUT_BYTES)?;
        let job = Arc::new(new.job);
        let mut stale = None;
        let mut tries = Tries::new();
        loop {
            tries.next().await?;
            let item = items::job_item(&job)?;
            let bytes = items::bytes_of(&item);
            let mut rows = vec![
                self.put(item, Some(("attribute_not_exists(pk)", vec![])))?,
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
            let request = new.request.as_ref();
            match self.transact(rows).await? {
                Written::Done => {
                    self.rows.wrote(&job, bytes, false);
                    return Ok(Created::New(job));
                }
                Written::Lost(lost) => {
                    let taken = lost.into_iter().find(|lost| lost.place == 2);
                    let Some((taken, request)) = taken.zip(request) else {
                        return Err(exists_already(job.id));
                    };
                    match self.first_of(request, &job, taken.row).await? {
                        First::Ours => return Ok(Created::New(job)),
                        First::Job(first) => return Ok(Created::Repeat(first)),
                        First::Deleted(id) => stale = Some(id),
                        First::Free => {}
                    }
                }
                Written::Again => {}
                Written::Busy => tries.busy(),
            }
        }
    }

    /// The submission of a token that is already taken, whose row DynamoDB may have returned.
    async fn first_of(
        &self,
        request: &RequestToken,
        job: &Job,
        row: Option<Item>,
    ) -> Result<First, StoreError> {
        let row = match row {
            Some(row) => Some(row),
            None => {
                self.item(items::request_key(&job.owner, &request.token))
                    .await?
            }
        };
        let Some(item) = row else {
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
        // The row that this process wrote last, until the table shows it to be stale.
        let mut known = self.rows.get(id);
        let (mut is_kept, mut was_stale) = (known.is_some(), false);
        let mut tries = Tries::new();
        loop {
            tries.next().await?;
            let mut old = match known.take() {
                Some(row) => row,
                None => self.read_again(id, &mut is_kept).await?,
            };
            if let Some(job) = tried.take_if(|tried| **tried == *old) {
                // It was written, but the response was lost.
                return Ok(Outcome::Changed(job));
            }
            let mut applied = old.apply(change, now);
            if is_kept && !matches!(applied, Ok(Applied::Changed(_))) {
                // Only the table's row can say that nothing is to be written.
                old = self.read_again(id, &mut is_kept).await?;
                applied = old.apply(change, now);
            }
            let job: Arc<Job> = match applied? {
                Applied::Unchanged => return Ok(Outcome::Unchanged(old)),
                Applied::Changed(job) => Arc::from(job),
            };
            if let Some(result) = &change.result {
                check("result", "bytes", result.len(), limits::RESULT_BYTES)?;
            }
            let item = items::job_item(&job)?;
            let bytes = items::bytes_of(&item);
            match self.replace(&old, &job, item, change).await? {
                Written::Done => {
                    self.rows.wrote(&job, bytes, was_stale);
                    return Ok(Outcome::Changed(job));
                }
                Written::Lost(lost) => {
                    was_stale |= is_kept;
                    let row = lost.into_iter().find(|lost| lost.place == 0);
                    let row = row.and_then(|lost| lost.row);
                    known = row.as_ref().map(items::job_of).transpose()?;
                    is_kept = false;
                }
                Written::Again => {}
                Written::Busy => {
                    tries.busy();
                    known = Some(old);
                }
            }
            tried = Some(job);
        }
    }

    /// The table's row, instead of the kept row.
    async fn read_again(&self, id: JobId, is_kept: &mut bool) -> Result<Arc<Job>, StoreError> {
        if std::mem::take(is_kept) {
            self.rows.forget(id);
        }
        self.job(id).await?.ok_or(StoreError::NotFound(id))
    }

    /// Replaces `old` by `job`, together with the rows that must agree with it.
    async fn replace(
        &self,
        old: &Job,
        job: &Job,
        item: Item,
        change: &Change,
    ) -> Result<Written, StoreError> {
        let unchanged = ("version = :old", vec![(":old", number(old.version))]);
        let mut rows = vec![self.put(item, Some(unchanged))?];
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
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match written {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                    let row = lost.item.clone();
                    Ok(Written::Lost(vec![LostCondition { place: 0, row }]))
                }
                Some(e) if e.is_transaction_conflict_exception() => Ok(Written::Again),
                _ => Err(self.failed(&error)),
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
        let update = update.build().map_err(unbuilt)?;
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
            let delete = delete.build().map_err(unbuilt)?;
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
            put = put
                .condition_expression(expression)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                );
            for (name, value) in values {
                put = put.expression_attribute_values(name, value);
            }
        }
        let put = put.build().map_err(unbuilt)?;
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
                cancelled_by(cancelled.cancellation_reasons()).ok_or_else(|| self.failed(&error))
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Ok(Written::Again),
            _ => Err(self.failed(&error)),
        }
    }
}

/// The outcome of a cancelled transaction; `None` if a repeat would not help.
fn cancelled_by(reasons: &[CancellationReason]) -> Option<Written> {
    let has = |codes: &[&str]| {
        let mut given = reasons.iter().filter_map(CancellationReason::code);
        given.any(|code| codes.contains(&code))
    };
    let lost = reasons.iter().zip(0..);
    let lost = lost.filter(|(reason, _)| reason.code() == Some("ConditionalCheckFailed"));
    let lost: Vec<LostCondition> = lost
        .map(|(reason, place)| LostCondition {
            place,
            row: reason.item.clone(),
        })
        .collect();
    if !lost.is_empty() {
        return Some(Written::Lost(lost));
    }
    if has(&BUSY) {
        return Some(Written::Busy);
    }
    has(&["TransactionConflict"]).then_some(Written::Again)
}

fn exists_already(id: JobId) -> StoreError {
    StoreError::Unavailable {
        reason: format!("there is a job {id} already"),
        source: None,
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
