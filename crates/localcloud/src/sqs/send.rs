//! Sending: what a message may be, its digests, and the order and deduplication of FIFO queues.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::account::{Queues, text};
use super::digest;
use super::error::SqsError;
use super::queue::{Message, Queue, limits};

impl Queues {
    pub(super) fn send_message(&mut self, request: &Value, now: i64) -> Result<Value, SqsError> {
        let id = self.id();
        let sequence = self.sequence();
        let queue = self.queue(request)?;
        queue.send(request, id, sequence, now)
    }

    pub(super) fn send_message_batch(
        &mut self,
        request: &Value,
        now: i64,
    ) -> Result<Value, SqsError> {
        let entries = request["Entries"].as_array().cloned().unwrap_or_default();
        check_batch(&entries)?;
        let bytes: usize = entries.iter().map(bytes_of).sum();
        if bytes > limits::MESSAGE_BYTES {
            let name = "BatchRequestTooLong";
            return Err(SqsError::batch(
                name,
                "AWS.SimpleQueueService.BatchRequestTooLong",
                &format!(
                    "Batch requests cannot be longer than {} bytes. You have sent {bytes} bytes.",
                    limits::MESSAGE_BYTES
                ),
            ));
        }
        self.queue(request)?;
        let sent = entries.iter().map(|entry| {
            let (id, sequence) = (self.id(), self.sequence());
            self.queue(request)?.send(entry, id, sequence, now)
        });
        Ok(batch_answer(&entries, sent.collect()))
    }

    /// Puts a message into a queue, as one of AWS's own services does.
    ///
    /// # Errors
    /// There is no such queue, or the message is invalid.
    pub fn deliver(
        &mut self,
        arn: &str,
        body: &str,
        attributes: Value,
        now: i64,
    ) -> Result<(), SqsError> {
        let name = arn.rsplit(':').next().unwrap_or_default();
        let url = self.url(name);
        let request = json!({
            "QueueUrl": url, "MessageBody": body, "MessageAttributes": attributes,
        });
        self.send_message(&request, now).map(drop)
    }
}

/// The ids of a batch: at least one, at most ten, all different.
pub(super) fn check_batch(entries: &[Value]) -> Result<(), SqsError> {
    if entries.is_empty() {
        return Err(SqsError::batch(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if entries.len() > limits::BATCH {
        return Err(SqsError::batch(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            &format!(
                "Maximum number of entries per request are {}. You have sent {}.",
                limits::BATCH,
                entries.len()
            ),
        ));
    }
    let mut ids = HashSet::new();
    for entry in entries {
        let id = text(entry, "Id");
        if !ids.insert(id.clone()) {
            return Err(SqsError::batch(
                "BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                &format!("Id {id} repeated."),
            ));
        }
    }
    Ok(())
}

/// The answer to a batch: each entry with its own outcome.
pub(super) fn batch_answer(entries: &[Value], outcomes: Vec<Result<Value, SqsError>>) -> Value {
    let (mut good, mut failed) = (Vec::new(), Vec::new());
    for (entry, outcome) in entries.iter().zip(outcomes) {
        let id = text(entry, "Id");
        match outcome {
            Ok(sent) => {
                let mut shown = Map::new();
                shown.insert("Id".to_owned(), json!(id));
                shown.extend(sent.as_object().cloned().unwrap_or_default());
                good.push(Value::Object(shown));
            }
            Err(error) => failed.push(json!({
                "Id": id, "Code": error.query, "Message": error.message, "SenderFault": true,
            })),
        }
    }
    let mut answer = json!({});
    if !good.is_empty() {
        answer["Successful"] = json!(good);
    }
    if !failed.is_empty() {
        answer["Failed"] = json!(failed);
    }
    answer
}

fn bytes_of(entry: &Value) -> usize {
    let attributes = entry["MessageAttributes"].as_object().into_iter().flatten();
    let attributes = attributes.map(|(name, value)| {
        let part = |field: &str| value[field].as_str().map_or(0, str::len);
        name.len() + part("DataType") + part("StringValue") + part("BinaryValue")
    });
    entry["MessageBody"].as_str().map_or(0, str::len) + attributes.sum::<usize>()
}

impl Queue {
    fn send(
        &mut self,
        request: &Value,
        id: String,
        sequence: String,
        now: i64,
    ) -> Result<Value, SqsError> {
        let body = request["MessageBody"].as_str().unwrap_or_default();
        if body.is_empty() {
            return Err(SqsError::missing("MessageBody"));
        }
        let most = usize::try_from(self.number("MaximumMessageSize")).unwrap_or_default();
        if bytes_of(request) > most {
            return Err(SqsError::invalid(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {most} \
                 bytes."
            )));
        }
        let delay = match request["DelaySeconds"].as_i64() {
            Some(delay) if (0..=limits::DELAY_SECONDS).contains(&delay) => delay,
            Some(delay) => {
                return Err(SqsError::invalid(format!(
                    "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds \
                     must be >= 0 and <= {}.",
                    limits::DELAY_SECONDS
                )));
            }
            None => self.number("DelaySeconds"),
        };
        let deduplication = self.deduplication(request, body)?;
        if let Some(known) = deduplication.as_ref().and_then(|id| self.sent.get(id))
            && known.0 + limits::DEDUPLICATION_MINUTES * 60_000 > now
        {
            return Ok(known.1.clone());
        }
        let attributes = request["MessageAttributes"].clone();
        let mut answer = json!({
            "MD5OfMessageBody": digest::body(body),
            "MessageId": id,
        });
        if let Some(digest) = digest::attributes(&attributes) {
            answer["MD5OfMessageAttributes"] = json!(digest);
        }
        let sequence = self.is_fifo().then_some(sequence);
        if let Some(sequence) = &sequence {
            answer["SequenceNumber"] = json!(sequence);
        }
        if let Some(id) = &deduplication {
            self.sent.insert(id.clone(), (now, answer.clone()));
        }
        self.messages.push_back(Message {
            id,
            body: body.to_owned(),
            attributes,
            group: request["MessageGroupId"].as_str().map(str::to_owned),
            deduplication,
            sequence,
            sent: now,
            first_received: None,
            receives: 0,
            visible: now + delay * 1_000,
            origin: None,
        });
        Ok(answer)
    }

    /// The deduplication id of a message of a FIFO queue.
    fn deduplication(&self, request: &Value, body: &str) -> Result<Option<String>, SqsError> {
        if !self.is_fifo() {
            return Ok(None);
        }
        if request["MessageGroupId"].as_str().is_none_or(str::is_empty) {
            return Err(SqsError::missing("MessageGroupId"));
        }
        if let Some(id) = request["MessageDeduplicationId"].as_str() {
            return Ok(Some(id.to_owned()));
        }
        let by_content = self.attributes.get("ContentBasedDeduplication");
        if by_content.is_none_or(|value| value != "true") {
            return Err(SqsError::invalid(
                "The queue should either have ContentBasedDeduplication enabled or \
                 MessageDeduplicationId provided explicitly",
            ));
        }
        let hash = Sha256::digest(body.as_bytes());
        Ok(Some(
            hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }
}
