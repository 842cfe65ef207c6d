//! Recordings of queues and functions. The functions of the recordings follow a message's
//! `fail_attempts`: they fail it as often, and send what they did to another queue.

use std::collections::BTreeMap;

use localcloud::mapping::config::{MappingConfig, QueuePolicy};
use localcloud::mapping::messages::{done, event};
use localcloud::mapping::registry::Mappings;
use localcloud::mapping::shard::Ended;
use localcloud::sqs::Queues;
use serde_json::{Value, json};

use crate::Run;
use crate::gathered::{dead_letter, gathered};
use crate::mappings::{compare_created, compare_errors, compare_states, created, request};
use crate::template::{Bindings, REGION, answered, concrete, scope};

/// Runs a recording.
pub fn run(name: &str, recorded: &Value) -> Run {
    let mut bindings = Bindings::default();
    let mut differences = Vec::new();
    let mut mappings = Mappings::default();
    let answers = created(recorded);
    for (key, answer) in &answers {
        differences.extend(compare_created(key, answer, &mut mappings, &mut bindings));
    }
    differences.extend(compare_errors(name, recorded, &mut bindings));
    differences.extend(compare_states(recorded, &bindings));
    let asked = answers.first().map(|one| request(&one.1));
    let seen = invocations(recorded);
    if name.contains("lambda_dead_letter_queue") {
        differences.extend(dead_letter(recorded, &mut bindings));
    } else if !seen.is_empty() || dead_letters(recorded).is_some() {
        let mut simulation = Simulation::new(name, recorded, asked, &seen);
        simulation.run();
        differences.extend(simulation.compare(recorded, &seen, &mut bindings));
    } else if let Some(records) = recorded["Records"].as_array() {
        differences.extend(gathered(recorded, records, asked, &mut bindings));
    }
    Run::Compared(differences, bindings.compared())
}

/// One invocation as a recording shows it: its key, the event, and what the function made of it.
struct Seen {
    key: String,
    /// Where the event is: a message of the other queue, or the function's log.
    reported: Option<Value>,
    event: Value,
}

fn invocations(recorded: &Value) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (key, value) in recorded.as_object().into_iter().flatten() {
        if let Some(messages) = value["Messages"].as_array() {
            for message in messages {
                let body = &message["Body"];
                let event = &body["event"];
                if event.is_object() {
                    seen.push(Seen {
                        key: key.clone(),
                        reported: Some(body.clone()),
                        event: event.clone(),
                    });
                }
            }
        }
        if key == "events" || key == "invocation_events" {
            for event in value.as_array().into_iter().flatten() {
                seen.push(Seen {
                    key: key.clone(),
                    reported: None,
                    event: event.clone(),
                });
            }
        }
    }
    // In the order of their attempts, where the keys say it.
    let order = |seen: &Seen| {
        let words = ["first", "second", "third", "fourth"];
        words.iter().position(|word| seen.key.starts_with(word))
    };
    seen.sort_by_key(order);
    seen
}

fn dead_letters(recorded: &Value) -> Option<(String, Vec<Value>)> {
    for key in ["dlq_response", "dlq_messages", "dlq_response_2"] {
        let list = match &recorded[key] {
            Value::Array(list) => list,
            value => match value["Messages"].as_array() {
                Some(list) => list,
                None => continue,
            },
        };
        return Some((key.to_owned(), list.clone()));
    }
    None
}

/// What a run's message is made of: the body as text.
pub fn body_text(body: &Value) -> String {
    body.as_str()
        .map_or_else(|| body.to_string(), str::to_owned)
}

struct Simulation {
    name: String,
    queues: Queues,
    policy: QueuePolicy,
    source: String,
    /// The queue's name.
    queue: String,
    /// The patterns of its filters, as text.
    patterns: String,
    has_window: bool,
    /// The function's answer where the recording overrides it.
    override_answer: Option<Value>,
    now: i64,
    /// What the sender of each message was answered, with its recorded id.
    sent: Vec<Value>,
    invocations: Vec<(Value, Ended)>,
}

impl Simulation {
    fn new(name: &str, recorded: &Value, asked: Option<Value>, seen: &[Seen]) -> Simulation {
        let source = seen
            .first()
            .map(|one| concrete(&one.event["Records"][0]["eventSourceARN"]));
        let source = asked
            .as_ref()
            .map(|asked| asked["EventSourceArn"].clone())
            .or(source)
            .unwrap_or_else(|| json!(scope().queue("source")));
        let mut asked = asked.unwrap_or_else(|| {
            let mut asked = json!({"EventSourceArn": source, "FunctionName": "f"});
            if name.contains("report_batch_item_failures") {
                asked["FunctionResponseTypes"] = json!(["ReportBatchItemFailures"]);
            }
            asked
        });
        if name.contains("batch_item") && asked["FunctionResponseTypes"].is_null() {
            asked["FunctionResponseTypes"] = json!(["ReportBatchItemFailures"]);
        }
        let config = MappingConfig::of(&asked).unwrap();
        let source = source.as_str().unwrap().to_owned();
        let queue_name = source.rsplit(':').next().unwrap().to_owned();
        let mut queues = Queues::new(scope(), "http://localhost", 1);
        queues
            .call("CreateQueue", &json!({"QueueName": "dead"}), 0)
            .unwrap();
        let fifo = queue_name.ends_with(".fifo") || recorded.to_string().contains("MessageGroupId");
        let dead = if fifo { "dead.fifo" } else { "dead" };
        if fifo {
            let attributes = json!({"FifoQueue": "true"});
            let request = json!({"QueueName": dead, "Attributes": attributes});
            queues.call("CreateQueue", &request, 0).unwrap();
        }
        let most = receives(recorded, seen);
        let policy = json!({"deadLetterTargetArn": scope().queue(dead), "maxReceiveCount": most});
        let mut attributes = json!({"RedrivePolicy": policy.to_string(), "VisibilityTimeout": "5"});
        let queue_name = if fifo && !queue_name.ends_with(".fifo") {
            format!("{queue_name}.fifo")
        } else {
            queue_name
        };
        if fifo {
            attributes["FifoQueue"] = json!("true");
        }
        let request = json!({"QueueName": queue_name, "Attributes": attributes});
        queues.call("CreateQueue", &request, 0).unwrap();
        let results: Vec<&Value> = seen
            .iter()
            .filter_map(|one| one.reported.as_ref()?.get("result"))
            .collect();
        let mut simulation = Simulation {
            name: name.to_owned(),
            override_answer: (name.contains("invalid_result") || name.contains("empty_json"))
                .then(|| results.first().map(|one| (*one).clone()))
                .flatten(),
            policy: config.queue_policy(),
            has_window: config.has_window(),
            source,
            queue: queue_name.clone(),
            patterns: asked["FilterCriteria"].to_string(),
            queues,
            now: 1_000_000,
            sent: Vec::new(),
            invocations: Vec::new(),
        };
        simulation.send(&queue_name, fifo, recorded, seen);
        simulation
    }

    /// Sends what the function received or what became a dead letter, and what filters left out.
    fn send(&mut self, queue: &str, fifo: bool, recorded: &Value, seen: &[Seen]) {
        let mut bodies: BTreeMap<String, Value> = BTreeMap::new();
        let mut order = Vec::new();
        let records = seen
            .iter()
            .flat_map(|one| one.event["Records"].as_array().unwrap());
        for record in records {
            let id = record["messageId"].to_string();
            if bodies.insert(id.clone(), record.clone()).is_none() {
                order.push(id);
            }
        }
        if order.is_empty() {
            for message in dead_letters(recorded).map(|one| one.1).unwrap_or_default() {
                let id = message["MessageId"].to_string();
                let record = json!({"body": message["Body"]});
                bodies.insert(id.clone(), record);
                order.push(id);
            }
        }
        let url = self.queues.url(queue);
        if self.name.contains("filter") {
            for body in left_out(&bodies[&order[0]]["body"], &self.patterns) {
                let request = json!({"QueueUrl": url, "MessageBody": body});
                self.queues.call("SendMessage", &request, self.now).unwrap();
            }
        }
        for (at, id) in order.iter().enumerate() {
            let record = concrete(&bodies[id]);
            let mut attributes = json!({});
            for (name, value) in record["messageAttributes"]
                .as_object()
                .into_iter()
                .flatten()
            {
                attributes[name] = json!({"DataType": value["dataType"]});
                for (from, to) in [
                    ("stringValue", "StringValue"),
                    ("binaryValue", "BinaryValue"),
                ] {
                    if value.get(from).is_some() {
                        attributes[name][to] = value[from].clone();
                    }
                }
            }
            let mut request = json!({
                "QueueUrl": url,
                "MessageBody": body_text(&record["body"]),
                "MessageAttributes": attributes,
            });
            if fifo {
                let group = record["attributes"]["MessageGroupId"]
                    .as_str()
                    .unwrap_or("1");
                request["MessageGroupId"] = json!(group);
                let given = &record["attributes"]["MessageDeduplicationId"];
                let counted = json!(format!("dedup-{at}"));
                request["MessageDeduplicationId"] = if given.is_string() {
                    given.clone()
                } else {
                    counted
                };
            }
            let mut sent = self.queues.call("SendMessage", &request, self.now).unwrap();
            // As an entry of a batch's answer.
            sent["recorded"] = bodies[id]["messageId"].clone();
            self.sent.push(sent);
        }
    }

    fn run(&mut self) {
        let url = self.queues.url(&self.queue);
        for _ in 0..40 {
            let mut batch: Vec<Value> = Vec::new();
            loop {
                let most = (self.policy.batch_size - batch.len()).min(10);
                let request = json!({
                    "QueueUrl": url, "MaxNumberOfMessages": most.max(1),
                    "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
                });
                let received = self
                    .queues
                    .call("ReceiveMessage", &request, self.now)
                    .unwrap();
                let messages = received["Messages"].as_array().cloned().unwrap_or_default();
                let none = messages.is_empty();
                for message in messages {
                    let event = event(&message, &self.source, REGION, self.has_window);
                    if self.policy.filters.admit_message(&event) {
                        batch.push(event);
                    } else {
                        self.delete(&url, &event);
                    }
                }
                if none || batch.len() >= self.policy.batch_size {
                    break;
                }
            }
            if batch.is_empty() {
                self.now += 5_001;
                continue;
            }
            let ended = self.function(&batch);
            let ids = batch
                .iter()
                .map(|one| one["messageId"].as_str().unwrap().to_owned());
            let ids: Vec<String> = ids.collect();
            self.invocations
                .push((json!({ "Records": batch }), ended.clone()));
            for at in done(&ids, &ended, self.policy.report_failures) {
                self.delete(&url, &batch[at].clone());
            }
        }
    }

    fn delete(&mut self, url: &str, event: &Value) {
        let request = json!({"QueueUrl": url, "ReceiptHandle": event["receiptHandle"]});
        self.queues
            .call("DeleteMessage", &request, self.now)
            .unwrap();
    }

    fn function(&self, batch: &[Value]) -> Ended {
        if let Some(answer) = &self.override_answer {
            return Ended::Answered(answer.to_string().into_bytes());
        }
        let mut failed = Vec::new();
        for record in batch {
            let body = record["body"].as_str().unwrap();
            let Ok(body) = serde_json::from_str::<Value>(body) else {
                // The recordings' function fails on such a body.
                if self.name.contains("on_lambda_error") {
                    return Ended::FunctionError;
                }
                continue;
            };
            let attempts = body["fail_attempts"].as_i64().unwrap_or_default();
            let count = record["attributes"]["ApproximateReceiveCount"].as_str();
            let count: i64 = count.unwrap().parse().unwrap();
            if count <= attempts {
                failed.push(json!({"itemIdentifier": record["messageId"]}));
            }
        }
        if !self.policy.report_failures {
            return match failed.is_empty() {
                true => Ended::Answered(b"null".to_vec()),
                false => Ended::FunctionError,
            };
        }
        Ended::Answered(
            json!({ "batchItemFailures": failed })
                .to_string()
                .into_bytes(),
        )
    }

    fn compare(&mut self, recorded: &Value, seen: &[Seen], bindings: &mut Bindings) -> Vec<String> {
        let mut differences = Vec::new();
        for (at, one) in seen.iter().enumerate() {
            let Some((event, ended)) = self.invocations.get(at) else {
                differences.push(format!("{}: recorded an invocation, found none", one.key));
                continue;
            };
            let Some(reported) = &one.reported else {
                differences.extend(bindings.compare(&one.key, &one.event, event));
                continue;
            };
            let mut found = json!({ "event": event });
            if reported.get("error").is_some() {
                let failed = *ended == Ended::FunctionError;
                found["error"] = json!(failed.then_some("failed attempt"));
            }
            if let (Some(_), Ended::Answered(answer)) = (reported.get("result"), ended) {
                found["result"] = serde_json::from_slice(answer).unwrap();
            }
            differences.extend(bindings.compare(&one.key, reported, &found));
        }
        if self.invocations.len() > seen.len() && !seen.is_empty() {
            differences.push(format!(
                "recorded {} invocations, found {}",
                seen.len(),
                self.invocations.len()
            ));
        }
        differences.extend(self.compare_sent(recorded, bindings));
        if let Some((key, wanted)) = dead_letters(recorded) {
            let mut found = Vec::new();
            for name in ["dead", "dead.fifo"] {
                let url = self.queues.url(name);
                let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10});
                let received = self.queues.call("ReceiveMessage", &request, self.now);
                let received = received.unwrap_or_default();
                found.extend(received["Messages"].as_array().cloned().unwrap_or_default());
            }
            differences.extend(bindings.compare(&key, &json!(wanted), &json!(found)));
        }
        differences
    }
}

impl Simulation {
    /// The recorded answers to batches that were sent.
    fn compare_sent(&self, recorded: &Value, bindings: &mut Bindings) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, answer) in recorded.as_object().into_iter().flatten() {
            let Some(successful) = answer["Successful"].as_array() else {
                continue;
            };
            let found = successful.iter().filter_map(|one| {
                let mut sent = self.sent.iter();
                let sent = sent.find(|sent| sent["recorded"] == one["MessageId"])?;
                let mut sent = sent.clone();
                sent.as_object_mut().unwrap().shift_remove("recorded");
                sent["Id"] = one["Id"].clone();
                Some(sent)
            });
            let mut found = json!({"Successful": found.collect::<Vec<_>>()});
            if answer.get("ResponseMetadata").is_some() {
                found = answered(200, found);
            }
            differences.extend(bindings.compare(key, answer, &found));
        }
        differences
    }
}

/// How often a message may be received: as often as the function was invoked in the recording.
fn receives(recorded: &Value, seen: &[Seen]) -> usize {
    if dead_letters(recorded).is_none() {
        return 100;
    }
    seen.len().max(1)
}

/// Bodies that the recorded filters leave out: another value, other fields, no JSON.
fn left_out(body: &Value, patterns: &str) -> Vec<String> {
    if !body.is_object() {
        return vec![
            json!({"other": "field"}).to_string(),
            "another text".to_owned(),
        ];
    }
    let asks = |operator: &str| patterns.contains(&format!("\\\"{operator}\\\""));
    let mut bodies = vec!["no JSON".to_owned()];
    let asks_absence = asks("exists") && patterns.contains("false");
    if !asks_absence {
        bodies.push(json!({"other": "field"}).to_string());
    }
    // A filter for presence, or for other values, takes every other value.
    if !asks("exists") && !asks("anything-but") {
        let mut other = body.clone();
        for value in other.as_object_mut().unwrap().values_mut() {
            *value = match value {
                // Far from every recorded bound, on the other side of it.
                Value::Number(number) if number.as_i64() < Some(100) => json!(1_000_000),
                Value::Number(_) => json!(-1_000_000),
                _ => json!("another value"),
            };
        }
        bodies.push(other.to_string());
    }
    bodies
}
