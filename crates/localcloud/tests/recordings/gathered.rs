//! Recordings of queues that need no function: messages that were gathered over a time, and the
//! dead-letter queue of a function.

use localcloud::mapping::config::MappingConfig;
use localcloud::mapping::destination::dead_letter_attributes;
use localcloud::mapping::messages::event;
use localcloud::sqs::Queues;
use serde_json::{Value, json};

use crate::queues::body_text;
use crate::template::{Bindings, REGION, answered, scope};

/// An event that a function did not take, in its dead-letter queue.
pub fn dead_letter(recorded: &Value, bindings: &mut Bindings) -> Vec<String> {
    let mut queues = Queues::new(scope(), "http://localhost", 1);
    queues
        .call("CreateQueue", &json!({"QueueName": "dead"}), 0)
        .unwrap();
    let wanted = &recorded["messages"];
    let message = &wanted["Messages"][0];
    let error = &message["MessageAttributes"]["ErrorMessage"]["StringValue"];
    let id = "00000000-0000-4000-8000-000000000007";
    let attributes = dead_letter_attributes(id, error.as_str().unwrap());
    let body = body_text(&message["Body"]);
    queues
        .deliver(&scope().queue("dead"), &body, attributes, 0)
        .unwrap();
    let url = queues.url("dead");
    let request = json!({"QueueUrl": url, "MessageAttributeNames": ["All"]});
    let found = answered(200, queues.call("ReceiveMessage", &request, 0).unwrap());
    let mut wanted = wanted.clone();
    // It has another form than the other digests.
    wanted["Messages"][0]["MD5OfMessageAttributes"] = json!("<digest:1>");
    bindings.compare("messages", &wanted, &found)
}

/// Messages that were gathered over a time: sent in batches, received in batches, listed together.
pub fn gathered(
    recorded: &Value,
    records: &[Value],
    asked: Option<Value>,
    bindings: &mut Bindings,
) -> Vec<String> {
    let mut differences = Vec::new();
    let Some(asked) = asked else {
        return differences;
    };
    let config = MappingConfig::of(&asked).unwrap();
    let name = config.source.rsplit(':').next().unwrap().to_owned();
    let mut queues = Queues::new(scope(), "http://localhost", 1);
    queues
        .call("CreateQueue", &json!({"QueueName": name}), 0)
        .unwrap();
    let url = queues.url(&name);
    let mut sent = 0;
    for (key, answer) in recorded.as_object().into_iter().flatten() {
        let Some(successful) = answer["Successful"].as_array() else {
            continue;
        };
        let entries = successful.iter().map(|one| {
            let id = &one["MessageId"];
            let record = records.iter().find(|record| record["messageId"] == *id);
            let body = record.map_or(&one["Id"], |record| &record["body"]);
            json!({"Id": one["Id"], "MessageBody": body})
        });
        let entries: Vec<Value> = entries.collect();
        sent += entries.len();
        let request = json!({"QueueUrl": url, "Entries": entries});
        let mut found = queues.call("SendMessageBatch", &request, 1).unwrap();
        if answer.get("ResponseMetadata").is_some() {
            found = answered(200, found);
        }
        differences.extend(bindings.compare(key, answer, &found));
    }
    if sent == 0 {
        for record in records {
            let request = json!({"QueueUrl": url, "MessageBody": record["body"]});
            queues.call("SendMessage", &request, 1).unwrap();
        }
    }
    let (mut found, batches) = received(&mut queues, &url, &config);
    found.sort_by_key(|one| one["body"].as_str().map(str::to_owned));
    let mut wanted = records.to_vec();
    wanted.sort_by_key(|one| one["body"].as_str().map(str::to_owned));
    differences.extend(bindings.compare("Records", &json!(wanted), &json!(found)));
    if let Some(total) = recorded["batch_info"]["total_batches_received"].as_u64()
        && total != batches
    {
        differences.push(format!("recorded {total} batches, found {batches}"));
    }
    differences
}

/// All messages of a queue as a mapping's function gets them, and the number of batches.
fn received(queues: &mut Queues, url: &str, config: &MappingConfig) -> (Vec<Value>, u64) {
    let policy = config.queue_policy();
    let (mut found, mut batches) = (Vec::new(), 0);
    loop {
        let mut batch = 0;
        while batch < policy.batch_size {
            let count = (policy.batch_size - batch).min(10);
            let request = json!({
                "QueueUrl": url, "MaxNumberOfMessages": count, "AttributeNames": ["All"],
            });
            let received = queues.call("ReceiveMessage", &request, 2).unwrap();
            let messages = received["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            batch += messages.len();
            let events = messages.iter();
            found.extend(events.map(|one| event(one, &config.source, REGION, config.has_window())));
        }
        if batch == 0 {
            break;
        }
        batches += 1;
    }
    (found, batches)
}
