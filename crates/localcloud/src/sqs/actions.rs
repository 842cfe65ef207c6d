//! The actions of the API: which of them does what with the queues.

use serde_json::{Value, json};

use super::account::{Queues, text};
use super::error::SqsError;
use super::queue::{Queue, limits};
use super::send::{batch_answer, check_batch};

impl Queues {
    /// Does one action of the API (`SendMessage`, …). A receive does not wait: it answers with what
    /// there is.
    ///
    /// # Errors
    /// [`SqsError`].
    pub fn call(&mut self, action: &str, request: &Value, now: i64) -> Result<Value, SqsError> {
        self.advance(now);
        match action {
            "CreateQueue" => self.create_queue(request, now),
            "DeleteQueue" => self.delete_queue(request),
            "GetQueueUrl" => self.get_queue_url(request),
            "ListQueues" => Ok(self.list_queues(request)),
            "GetQueueAttributes" => {
                let shown = self.queue(request)?.shown(&request["AttributeNames"], now);
                Ok(json!({ "Attributes": shown }))
            }
            "SetQueueAttributes" => {
                self.queue(request)?.set(&request["Attributes"])?;
                Ok(json!({}))
            }
            "PurgeQueue" => {
                self.queue(request)?.messages.clear();
                Ok(json!({}))
            }
            "ListDeadLetterSourceQueues" => self.list_dead_letter_sources(request),
            "SendMessage" => self.send_message(request, now),
            "SendMessageBatch" => self.send_message_batch(request, now),
            "ReceiveMessage" => self.receive_message(request, now),
            "DeleteMessage" => {
                self.queue(request)?.delete(request)?;
                Ok(json!({}))
            }
            "DeleteMessageBatch" => self.batch(request, |queue, entry| queue.delete(entry)),
            "ChangeMessageVisibility" => {
                self.queue(request)?.change_visibility(request, now)?;
                Ok(json!({}))
            }
            "ChangeMessageVisibilityBatch" => {
                self.batch(request, |queue, entry| queue.change_visibility(entry, now))
            }
            "StartMessageMoveTask" => self.start_message_move_task(request, now),
            "CancelMessageMoveTask" => self.cancel_message_move_task(request, now),
            "ListMessageMoveTasks" => self.list_message_move_tasks(request),
            _ => Err(SqsError::unknown_action(action)),
        }
    }

    fn create_queue(&mut self, request: &Value, now: i64) -> Result<Value, SqsError> {
        let name = text(request, "QueueName");
        let plain = name.strip_suffix(".fifo").unwrap_or(&name);
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if plain.is_empty() || name.len() > 80 || !plain.bytes().all(valid) {
            return Err(SqsError::invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in \
                 length",
            ));
        }
        let mut queue = Queue::new(&name, self.scope.queue(&name), now);
        queue.set(&request["Attributes"])?;
        let asks_fifo = queue
            .attributes
            .get("FifoQueue")
            .is_some_and(|value| value == "true");
        if asks_fifo != queue.is_fifo() {
            return Err(SqsError::invalid(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or \
                 underscores, must end with .fifo suffix and be 1 to 80 in length.",
            ));
        }
        if let Some(known) = self.queues.get(&name) {
            let same = request["Attributes"].as_object().into_iter().flatten();
            let mut same = same;
            let same =
                same.all(|(name, _)| known.attributes.get(name) == queue.attributes.get(name));
            if !same {
                return Err(SqsError::exists(
                    "A queue already exists with the same name and a different value for an \
                     attribute",
                ));
            }
        } else {
            self.queues.insert(name.clone(), queue);
        }
        Ok(json!({"QueueUrl": self.url(&name)}))
    }

    fn delete_queue(&mut self, request: &Value) -> Result<Value, SqsError> {
        let name = self.queue(request)?.name.clone();
        self.queues.remove(&name);
        Ok(json!({}))
    }

    fn get_queue_url(&mut self, request: &Value) -> Result<Value, SqsError> {
        let name = text(request, "QueueName");
        match self.queues.contains_key(&name) {
            true => Ok(json!({"QueueUrl": self.url(&name)})),
            false => Err(SqsError::no_queue()),
        }
    }

    fn list_queues(&self, request: &Value) -> Value {
        let prefix = text(request, "QueueNamePrefix");
        let names = self.queues.keys().filter(|name| name.starts_with(&prefix));
        let urls: Vec<String> = names.map(|name| self.url(name)).collect();
        json!({"QueueUrls": urls})
    }

    fn list_dead_letter_sources(&mut self, request: &Value) -> Result<Value, SqsError> {
        let arn = self.queue(request)?.arn.clone();
        let sources = self.sources(&arn);
        let urls: Vec<String> = sources.iter().map(|name| self.url(name)).collect();
        Ok(json!({"queueUrls": urls}))
    }

    fn receive_message(&mut self, request: &Value, now: i64) -> Result<Value, SqsError> {
        let most = request["MaxNumberOfMessages"].as_i64().unwrap_or(1);
        let count = usize::try_from(most).unwrap_or_default();
        if !(1..=limits::BATCH).contains(&count) {
            return Err(SqsError::invalid(format!(
                "Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be \
                 between 1 and {}, if provided.",
                limits::BATCH
            )));
        }
        let sender = self.scope.account.clone();
        let queue = self.queue(request)?;
        let visibility = request["VisibilityTimeout"].as_i64();
        let visibility = visibility.unwrap_or_else(|| queue.number("VisibilityTimeout"));
        let (received, dead) = queue.receive(count, visibility, now);
        let shown = received
            .iter()
            .map(|message| queue.shown_message(message, request, &sender));
        let shown: Vec<Value> = shown.collect();
        let redrive = queue.redrive();
        let origin = queue.arn.clone();
        for mut message in dead {
            message.origin = Some(origin.clone());
            message.visible = now;
            message.receives = 0;
            message.first_received = None;
            let target = redrive
                .as_ref()
                .and_then(|one| self.by_arn(&one.dead_letters));
            if let Some(target) = target {
                target.messages.push_back(message);
            }
        }
        Ok(match shown.is_empty() {
            true => json!({}),
            false => json!({ "Messages": shown }),
        })
    }

    fn batch(
        &mut self,
        request: &Value,
        mut act: impl FnMut(&mut Queue, &Value) -> Result<(), SqsError>,
    ) -> Result<Value, SqsError> {
        let entries = request["Entries"].as_array().cloned().unwrap_or_default();
        check_batch(&entries)?;
        let queue = self.queue(request)?;
        let outcomes = entries
            .iter()
            .map(|entry| act(queue, entry).map(|()| json!({})));
        Ok(batch_answer(&entries, outcomes.collect()))
    }
}

impl Queue {
    /// Deletes a message. A handle that is not the message's last one deletes nothing.
    fn delete(&mut self, request: &Value) -> Result<(), SqsError> {
        if let Some(at) = self.of_handle(&text(request, "ReceiptHandle"))? {
            self.messages.remove(at);
        }
        Ok(())
    }

    fn change_visibility(&mut self, request: &Value, now: i64) -> Result<(), SqsError> {
        let seconds = request["VisibilityTimeout"].as_i64().unwrap_or_default();
        if !(0..=limits::VISIBILITY_SECONDS).contains(&seconds) {
            return Err(SqsError::invalid(format!(
                "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be \
                 between 0 and {}.",
                limits::VISIBILITY_SECONDS
            )));
        }
        let at = self.of_handle(&text(request, "ReceiptHandle"))?;
        let message = at.and_then(|at| self.messages.get_mut(at));
        let message = message.filter(|message| message.visible > now);
        let message = message.ok_or_else(SqsError::not_in_flight)?;
        message.visible = now + seconds * 1_000;
        Ok(())
    }
}
