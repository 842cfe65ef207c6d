//! One queue: its attributes, its messages, and which of them a receiver sees.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::digest;
use super::error::SqsError;

/// The bounds of queues and messages, as AWS sets them.
pub mod limits {
    /// Maximum bytes of a message and of a batch of them.
    pub const MESSAGE_BYTES: usize = 1_048_576;
    /// Maximum number of messages of a batch, and of one receive.
    pub const BATCH: usize = 10;
    /// Maximum seconds that a receive waits.
    pub const WAIT_SECONDS: i64 = 20;
    /// Maximum seconds that a message is hidden from others.
    pub const VISIBILITY_SECONDS: i64 = 43_200;
    /// Maximum seconds before a new message is visible.
    pub const DELAY_SECONDS: i64 = 900;
    /// Maximum number of receives before a message is a dead letter.
    pub const RECEIVES: i64 = 1_000;
    /// Minutes in which a repeated deduplication id is the same message.
    pub const DEDUPLICATION_MINUTES: i64 = 5;
}

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) attributes: Value,
    pub(super) group: Option<String>,
    pub(super) deduplication: Option<String>,
    pub(super) sequence: Option<String>,
    pub(super) sent: i64,
    pub(super) first_received: Option<i64>,
    pub(super) receives: i64,
    /// Hidden until then.
    pub(super) visible: i64,
    /// The queue that it was a message of, when it is a dead letter.
    pub(super) origin: Option<String>,
}

impl Message {
    fn in_flight(&self, now: i64) -> bool {
        self.receives > 0 && self.visible > now
    }
}

/// A queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) messages: VecDeque<Message>,
    /// By deduplication id: when, and what the sender was answered.
    pub(super) sent: HashMap<String, (i64, Value)>,
    pub(super) created: i64,
}

/// The policy of a queue that has a dead-letter queue.
pub(super) struct Redrive {
    pub(super) dead_letters: String,
    pub(super) receives: i64,
}

const SETTABLE: &[(&str, i64, i64)] = &[
    ("DelaySeconds", 0, limits::DELAY_SECONDS),
    ("MaximumMessageSize", 1_024, limits::MESSAGE_BYTES as i64),
    ("MessageRetentionPeriod", 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, limits::WAIT_SECONDS),
    ("VisibilityTimeout", 0, limits::VISIBILITY_SECONDS),
];

impl Queue {
    pub(super) fn new(name: &str, arn: String, now: i64) -> Self {
        let mut attributes = BTreeMap::new();
        for (name, value) in [
            ("DelaySeconds", "0"),
            ("MaximumMessageSize", "1048576"),
            ("MessageRetentionPeriod", "345600"),
            ("ReceiveMessageWaitTimeSeconds", "0"),
            ("VisibilityTimeout", "30"),
            ("SqsManagedSseEnabled", "true"),
        ] {
            attributes.insert(name.to_owned(), value.to_owned());
        }
        Queue {
            name: name.to_owned(),
            arn,
            attributes,
            messages: VecDeque::new(),
            sent: HashMap::new(),
            created: now,
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    pub(super) fn set(&mut self, attributes: &Value) -> Result<(), SqsError> {
        for (name, value) in attributes.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let invalid =
                || SqsError::invalid_attribute(format!("Invalid value for the parameter {name}."));
            if let Some((_, least, most)) = SETTABLE.iter().find(|one| one.0 == name) {
                let number: i64 = text.parse().map_err(|_| invalid())?;
                if !(*least..=*most).contains(&number) {
                    return Err(invalid());
                }
            }
            if name == "RedrivePolicy" && !text.is_empty() {
                redrive(&text).ok_or_else(invalid)?;
            }
            if text.is_empty() {
                self.attributes.remove(name);
            } else {
                self.attributes.insert(name.clone(), text);
            }
        }
        Ok(())
    }

    pub(super) fn number(&self, name: &str) -> i64 {
        let value = self.attributes.get(name);
        value.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        redrive(self.attributes.get("RedrivePolicy")?)
    }

    /// The attributes that a caller asks for; `All` are all.
    pub(super) fn shown(&self, names: &Value, now: i64) -> Value {
        let mut all: Map<String, Value> = Map::new();
        for (name, value) in &self.attributes {
            all.insert(name.clone(), json!(value));
        }
        let count = |holds: &dyn Fn(&Message) -> bool| {
            let found = self.messages.iter().filter(|message| holds(message));
            json!(found.count().to_string())
        };
        let visible = count(&|message| message.visible <= now);
        all.insert("ApproximateNumberOfMessages".to_owned(), visible);
        let hidden = count(&|message| message.in_flight(now));
        all.insert("ApproximateNumberOfMessagesNotVisible".to_owned(), hidden);
        let delayed = count(&|message| message.receives == 0 && message.visible > now);
        all.insert("ApproximateNumberOfMessagesDelayed".to_owned(), delayed);
        let created = json!((self.created / 1_000).to_string());
        all.insert("CreatedTimestamp".to_owned(), created.clone());
        all.insert("LastModifiedTimestamp".to_owned(), created);
        all.insert("QueueArn".to_owned(), json!(self.arn));
        let names = names.as_array().into_iter().flatten();
        let wanted: BTreeSet<&str> = names.filter_map(Value::as_str).collect();
        if !wanted.contains("All") {
            all.retain(|name, _| wanted.contains(name.as_str()));
        }
        Value::Object(all)
    }

    /// Takes the messages that a receiver sees, at most `most`. What was received as often as the
    /// redrive policy allows is returned as dead letters instead.
    pub(super) fn receive(
        &mut self,
        most: usize,
        visibility: i64,
        now: i64,
    ) -> (Vec<Message>, Vec<Message>) {
        let retention = self.number("MessageRetentionPeriod") * 1_000;
        self.messages
            .retain(|message| message.sent + retention > now);
        let redrive = self.redrive();
        let fifo = self.is_fifo();
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        // A group with a message in flight, or with an earlier one that is not visible, waits.
        let mut blocked: BTreeSet<String> = BTreeSet::new();
        let mut at = 0;
        while at < self.messages.len() && received.len() < most {
            let message = &mut self.messages[at];
            let group = message.group.clone().filter(|_| fifo);
            let free = group.as_ref().is_none_or(|group| !blocked.contains(group));
            if message.visible > now || !free {
                blocked.extend(group);
                at += 1;
                continue;
            }
            let exhausted = redrive
                .as_ref()
                .is_some_and(|one| message.receives >= one.receives);
            if exhausted {
                dead.extend(self.messages.remove(at));
                continue;
            }
            message.receives += 1;
            message.first_received.get_or_insert(now);
            message.visible = now + visibility * 1_000;
            received.push(message.clone());
            at += 1;
        }
        (received, dead)
    }

    /// The message of a receipt handle, if the handle is its last one.
    pub(super) fn of_handle(&self, handle: &str) -> Result<Option<usize>, SqsError> {
        let (id, receives) = parse_handle(handle).ok_or_else(|| SqsError::handle(handle))?;
        let mut messages = self.messages.iter();
        Ok(messages.position(|message| message.id == id && message.receives == receives))
    }

    /// A message as a receiver gets it.
    pub(super) fn shown_message(&self, message: &Message, request: &Value, sender: &str) -> Value {
        let mut shown = json!({
            "MessageId": message.id,
            "ReceiptHandle": handle(message),
            "MD5OfBody": digest::body(&message.body),
            "Body": message.body,
        });
        let mut own = Map::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                own.insert(name.to_owned(), json!(value));
            }
        };
        add(
            "ApproximateReceiveCount",
            Some(message.receives.to_string()),
        );
        add("SentTimestamp", Some(message.sent.to_string()));
        add("SequenceNumber", message.sequence.clone());
        add("MessageGroupId", message.group.clone());
        add("SenderId", Some(sender.to_owned()));
        add("MessageDeduplicationId", message.deduplication.clone());
        let first = message.first_received.map(|at| at.to_string());
        add("ApproximateFirstReceiveTimestamp", first);
        add("DeadLetterQueueSourceArn", message.origin.clone());
        let own = selected(
            own,
            request,
            &["MessageSystemAttributeNames", "AttributeNames"],
        );
        if !own.is_empty() {
            shown["Attributes"] = Value::Object(own);
        }
        let given = message.attributes.as_object().cloned().unwrap_or_default();
        let given = selected(given, request, &["MessageAttributeNames"]);
        if !given.is_empty() {
            let given = Value::Object(given);
            shown["MD5OfMessageAttributes"] = json!(digest::attributes(&given));
            shown["MessageAttributes"] = given;
        }
        shown
    }
}

/// The fields whose names a request lists; `All` and `.*` are all, `x.*` those that begin with x.
fn selected(fields: Map<String, Value>, request: &Value, lists: &[&str]) -> Map<String, Value> {
    let names = lists.iter().flat_map(|list| request[*list].as_array());
    let names: Vec<&str> = names.flatten().filter_map(Value::as_str).collect();
    let wanted = |field: &str| {
        names.iter().any(|name| match name.strip_suffix(".*") {
            Some(prefix) => field.starts_with(prefix),
            None => *name == "All" || *name == field,
        })
    };
    fields
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .collect()
}

fn redrive(policy: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let receives = &policy["maxReceiveCount"];
    let receives = receives
        .as_i64()
        .or_else(|| receives.as_str()?.parse().ok())?;
    (1..=limits::RECEIVES)
        .contains(&receives)
        .then_some(Redrive {
            dead_letters: policy["deadLetterTargetArn"].as_str()?.to_owned(),
            receives,
        })
}

/// A receipt handle: opaque to callers.
fn handle(message: &Message) -> String {
    use base64::Engine as _;
    let text = format!("{} {}", message.id, message.receives);
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn parse_handle(handle: &str) -> Option<(String, i64)> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(handle)
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, receives) = text.split_once(' ')?;
    Some((id.to_owned(), receives.parse().ok()?))
}
