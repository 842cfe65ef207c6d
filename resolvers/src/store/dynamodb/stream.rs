//! Records of the table's stream that AWS Lambda delivers: the names in them, and which jobs a
//! batch was about that it could not deliver.

use std::cmp::Ordering;

use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use job::JobId;

use super::DynamoDbStore;
use super::failure::failed_on;
use crate::store::StoreError;

/// The sort key of the rows that hold jobs. Other rows have other ones.
pub const JOB_SORT_KEY: &str = "JOB";
/// The attribute with the job, as JSON text.
pub const JOB_ATTRIBUTE: &str = "job";

/// Maximum number of reads for one batch. A read may return no record although there are more.
const READS: usize = 1_000;

/// Records that follow each other in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamBatch {
    /// ARN of the stream.
    pub stream: String,
    /// Id of the shard.
    pub shard: String,
    /// Sequence number of the first record.
    pub first: String,
    /// Sequence number of the last record.
    pub last: String,
}

impl DynamoDbStore {
    /// The jobs whose rows the records of a batch are about, each once, in the order of their first
    /// records.
    ///
    /// # Errors
    /// [`StoreError::PositionLost`]: the stream has no such records any more, because it keeps them
    /// for 24 hours. [`StoreError::Unavailable`].
    pub async fn jobs_of_batch(&self, batch: &StreamBatch) -> Result<Vec<JobId>, StoreError> {
        let answer = self
            .streams
            .get_shard_iterator()
            .stream_arn(&batch.stream)
            .shard_id(&batch.shard)
            .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
            .sequence_number(&batch.first)
            .send()
            .await;
        let answer = answer.map_err(|error| match error.as_service_error() {
            Some(e) if e.is_trimmed_data_access_exception() => StoreError::PositionLost,
            Some(e) if e.is_resource_not_found_exception() => StoreError::PositionLost,
            _ => failed_on(&batch.stream, &error),
        })?;
        let mut iterator = answer.shard_iterator;
        let mut jobs = Vec::new();
        for _ in 0..READS {
            let Some(from) = iterator else { break };
            let answer = self.streams.get_records().shard_iterator(from).send().await;
            let answer = answer.map_err(|error| match error.as_service_error() {
                Some(e) if e.is_trimmed_data_access_exception() => StoreError::PositionLost,
                _ => failed_on(&batch.stream, &error),
            })?;
            for record in answer.records.unwrap_or_default() {
                match order(&record, &batch.last) {
                    Some(Ordering::Greater) => return Ok(jobs),
                    _ => jobs.extend(job_of(&record).filter(|id| !jobs.contains(id))),
                }
                if order(&record, &batch.last) == Some(Ordering::Equal) {
                    return Ok(jobs);
                }
            }
            iterator = answer.next_shard_iterator;
        }
        Ok(jobs)
    }
}

/// The order of a record and a sequence number.
fn order(record: &Record, number: &str) -> Option<Ordering> {
    let own = record.dynamodb.as_ref()?.sequence_number.as_deref()?;
    Some(by_value(own, number))
}

/// The order of two decimal numbers that may be larger than any integer type.
fn by_value(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// The job of a record of a job's row.
fn job_of(record: &Record) -> Option<JobId> {
    let keys = record.dynamodb.as_ref()?.keys.as_ref()?;
    let text = |name: &str| match keys.get(name)? {
        AttributeValue::S(text) => Some(text.as_str()),
        _ => None,
    };
    let is_job = text("sk")? == JOB_SORT_KEY;
    let id = text("pk")?.strip_prefix("JOB#").filter(|_| is_job)?;
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_compared_by_their_values() {
        let sorted = ["9", "10", "0100", "49658593900000000000000000000000001"];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(by_value(one, other), at.cmp(&other_at), "{one} {other}");
            }
        }
        assert_eq!(by_value("007", "7"), Ordering::Equal);
    }
}
