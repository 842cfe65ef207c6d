//! SQS behind the door, and the mappings of queues at work.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::action::json_answer;
use super::inner::{Bytes, Inner, now};
use crate::mapping::messages::{done, event};
use crate::mapping::registry::Mapping;
use crate::mapping::shard::Ended;
use crate::sqs::{SqsError, limits};

/// Time between two looks at a queue: a message becomes visible by itself.
const LOOK: Duration = Duration::from_millis(50);

impl Inner {
    pub(super) fn sqs(&self, action: &str, request: &Value) -> Result<Value, SqsError> {
        let answer = self.queues.lock().call(action, request, now());
        if action != "ReceiveMessage" {
            self.queues_changed.notify_waiters();
        }
        answer
    }

    pub(super) async fn handle_sqs(&self, action: &str, request: &Value) -> Response<Bytes> {
        let answer = if action == "ReceiveMessage" {
            self.receive(request).await
        } else {
            self.sqs(action, request)
        };
        match answer {
            Ok(answer) => json_answer(200, &answer),
            Err(error) => {
                let mut answer = json_answer(error.status, &error.body());
                if let Ok(value) = HeaderValue::from_str(&error.query_error()) {
                    answer.headers_mut().insert("x-amzn-query-error", value);
                }
                answer
            }
        }
    }

    /// Receives, and waits for a message as long as the request or the queue says.
    async fn receive(&self, request: &Value) -> Result<Value, SqsError> {
        let seconds = match request["WaitTimeSeconds"].as_i64() {
            Some(seconds) => seconds,
            None => {
                let names = json!(["ReceiveMessageWaitTimeSeconds"]);
                let asked = json!({"QueueUrl": request["QueueUrl"], "AttributeNames": names});
                let found = self.sqs("GetQueueAttributes", &asked)?;
                let value = found["Attributes"]["ReceiveMessageWaitTimeSeconds"].as_str();
                value.and_then(|text| text.parse().ok()).unwrap_or_default()
            }
        };
        let seconds = seconds.clamp(0, limits::WAIT_SECONDS).unsigned_abs();
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            let changed = self.queues_changed.notified();
            let received = self.sqs("ReceiveMessage", request)?;
            if received.get("Messages").is_some() || Instant::now() >= until {
                return Ok(received);
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// Works until it is dropped.
pub(super) async fn drive(inner: &Arc<Inner>, mapping: &Mapping) {
    let policy = mapping.config.queue_policy();
    let places = Arc::new(Semaphore::new(policy.concurrency));
    let url = {
        let name = mapping.config.source.rsplit(':').next().unwrap_or_default();
        inner.queues.lock().url(name)
    };
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let batch = gather(inner, mapping, &url, policy.batch_size, policy.window).await;
        let (inner, mapping, url) = (Arc::clone(inner), mapping.clone(), url.clone());
        let owner = Arc::clone(&inner);
        owner.spawn(async move {
            hand_over(&inner, &mapping, &url, batch).await;
            drop(place);
        });
    }
}

/// Receives messages until there is a batch. What the filters leave out is deleted.
async fn gather(
    inner: &Inner,
    mapping: &Mapping,
    url: &str,
    most: usize,
    window: Duration,
) -> Vec<Value> {
    let config = &mapping.config;
    let filters = config.queue_policy().filters;
    let (source, region) = (&config.source, &inner.scope.region);
    let mut batch: Vec<Value> = Vec::new();
    let mut until = None;
    loop {
        let changed = inner.queues_changed.notified();
        let count = (most - batch.len()).min(limits::BATCH);
        let received = inner.reads(mapping).then(|| {
            let request = json!({
                "QueueUrl": url,
                "MaxNumberOfMessages": count,
                "AttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            });
            inner.sqs("ReceiveMessage", &request).unwrap_or_default()
        });
        let received = received.unwrap_or_default();
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        let got = messages.len();
        for message in messages {
            let event = event(&message, source, region, config.has_window());
            if filters.admit_message(&event) {
                batch.push(event);
            } else {
                delete(inner, url, &event);
            }
        }
        if !batch.is_empty() {
            let until = *until.get_or_insert_with(|| Instant::now() + window);
            if batch.len() >= most || Instant::now() >= until {
                return batch;
            }
        }
        if got == count {
            continue;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn delete(inner: &Inner, url: &str, event: &Value) {
    let request = json!({"QueueUrl": url, "ReceiptHandle": event["receiptHandle"]});
    let _ = inner.sqs("DeleteMessage", &request);
}

async fn hand_over(inner: &Inner, mapping: &Mapping, url: &str, batch: Vec<Value>) {
    let config = &mapping.config;
    let event = json!({ "Records": batch });
    let count = batch.len();
    let mut ended = inner.invoke(&config.function, &event, count).await;
    let name = workflow::lambda::function_name(&config.function);
    if matches!(ended, Ended::Answered(_)) && inner.faults.take_redelivery(name) {
        ended = inner.invoke(&config.function, &event, count).await;
    }
    let id = |event: &Value| event["messageId"].as_str().unwrap_or_default().to_owned();
    let ids: Vec<String> = batch.iter().map(id).collect();
    for at in done(&ids, &ended, config.queue_policy().report_failures) {
        delete(inner, url, &batch[at]);
    }
}
