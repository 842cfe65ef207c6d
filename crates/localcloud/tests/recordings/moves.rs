//! Recordings of tasks that move dead letters.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use localcloud::sqs::{Queues, SqsError};
use serde_json::{Value, json};

use crate::Run;
use crate::template::{Bindings, answered, scope};

/// An error as an SDK for Python shows it.
pub fn error(error: &SqsError) -> Value {
    let shown = json!({"Error": {
        "Code": error.query,
        "Message": error.message,
        "QueryErrorCode": error.shape,
        "Type": "Sender",
    }});
    answered(error.status, shown)
}

/// Queues as a recording has them: two sources, and the queue of their dead letters.
struct Bench {
    queues: Queues,
    now: i64,
}

impl Bench {
    fn new() -> Bench {
        let queues = Queues::new(scope(), "http://localhost", 1);
        let mut bench = Bench {
            queues,
            now: 1_000_000,
        };
        for name in ["dead", "target", "alone"] {
            bench
                .call("CreateQueue", &json!({"QueueName": name}))
                .unwrap();
        }
        for name in ["source", "second"] {
            let policy =
                json!({"deadLetterTargetArn": scope().queue("dead"), "maxReceiveCount": 1});
            let attributes = json!({"RedrivePolicy": policy.to_string(), "VisibilityTimeout": "0"});
            let request = json!({"QueueName": name, "Attributes": attributes});
            bench.call("CreateQueue", &request).unwrap();
        }
        bench
    }

    fn call(&mut self, action: &str, request: &Value) -> Result<Value, SqsError> {
        self.queues.call(action, request, self.now)
    }

    fn url(&self, name: &str) -> Value {
        json!(self.queues.url(name))
    }

    /// Messages of a source that become dead letters.
    fn dead_letters(&mut self, source: &str, count: usize) {
        for number in 0..count {
            let body = format!("message-{number}");
            let request = json!({"QueueUrl": self.url(source), "MessageBody": body});
            self.call("SendMessage", &request).unwrap();
        }
        for _ in 0..2 {
            let request = json!({"QueueUrl": self.url(source), "MaxNumberOfMessages": 10});
            self.call("ReceiveMessage", &request).unwrap();
            self.now += 1;
        }
    }

    fn start(
        &mut self,
        destination: Option<&str>,
        per_second: Option<i64>,
    ) -> Result<Value, SqsError> {
        let mut request = json!({"SourceArn": scope().queue("dead")});
        if let Some(name) = destination {
            request["DestinationArn"] = json!(scope().queue(name));
        }
        if let Some(most) = per_second {
            request["MaxNumberOfMessagesPerSecond"] = json!(most);
        }
        self.call("StartMessageMoveTask", &request)
    }

    fn list(&mut self) -> Value {
        let request = json!({"SourceArn": scope().queue("dead")});
        answered(200, self.call("ListMessageMoveTasks", &request).unwrap())
    }

    fn count(&mut self, name: &str) -> String {
        let request = json!({"QueueUrl": self.url(name), "AttributeNames": ["All"]});
        let shown = self.call("GetQueueAttributes", &request).unwrap();
        let count = shown["Attributes"]["ApproximateNumberOfMessages"].as_str();
        count.unwrap().to_owned()
    }
}

/// Runs a recording.
pub fn run(name: &str, recorded: &Value) -> Run {
    let mut bench = Bench::new();
    let refused = match name {
        "test_source_needs_redrive_policy" => {
            let request = json!({
                "SourceArn": scope().queue("alone"), "DestinationArn": scope().queue("target"),
            });
            bench.call("StartMessageMoveTask", &request).err()
        }
        "test_destination_needs_to_exist" => bench.start(Some("gone"), None).err(),
        "test_source_needs_to_exist" => {
            let request = json!({"SourceArn": scope().queue("gone")});
            bench.call("StartMessageMoveTask", &request).err()
        }
        "test_start_multiple_move_tasks" => {
            bench.dead_letters("source", 10);
            bench.start(Some("target"), Some(1)).unwrap();
            bench.start(Some("target"), Some(1)).err()
        }
        _ if name.starts_with("test_cancel_with_invalid") => {
            let handle = |id: &str, source: &str| {
                STANDARD
                    .encode(json!({"taskId": id, "sourceArn": scope().queue(source)}).to_string())
            };
            let handle = if name.contains("source_arn") {
                handle("10f57157-fc38-4da9-a113-4de7e12d05dd", "gone")
            } else if name.contains("task_id") {
                handle("10f57157-fc38-4da9-a113-4de7e12d05dd", "dead")
            } else {
                "foobared".to_owned()
            };
            bench
                .call("CancelMessageMoveTask", &json!({"TaskHandle": handle}))
                .err()
        }
        _ => None,
    };
    let variants = match refused {
        Some(refused) => vec![vec![error(&refused)]],
        // Some tasks are looked at or cancelled at a time that the name does not say.
        None => (0..8).map(|half| moved(name, half * 500)).collect(),
    };
    let compared: Vec<_> = variants
        .iter()
        .map(|found| compare(recorded, found))
        .collect();
    let best = compared.into_iter().min_by_key(|one| one.0.len());
    let (differences, keys) = best.unwrap();
    Run::Compared(differences, keys)
}

/// Compares each answer of a recording with the one of a run that is most like it.
fn compare(recorded: &Value, found: &[Value]) -> (Vec<String>, BTreeSet<String>) {
    let mut bindings = Bindings::default();
    let mut differences = Vec::new();
    for (key, recorded) in recorded.as_object().unwrap() {
        // The names of what was set up.
        if recorded.is_string() {
            continue;
        }
        let trials = found.iter().map(|found| {
            let mut trial = bindings.clone();
            let differences = trial.compare(key, recorded, found);
            (differences, trial)
        });
        match trials.min_by_key(|trial| trial.0.len()) {
            Some((found, bound)) => {
                differences.extend(found);
                bindings = bound;
            }
            None => differences.push(format!("{key}: nothing answers it")),
        }
    }
    (differences, bindings.compared())
}

/// The answers about a task that runs, by the recording's name; `wait` is the time in milliseconds
/// before it is looked at.
fn moved(name: &str, wait: i64) -> Vec<Value> {
    let mut bench = Bench::new();
    let by_default = name.contains("default_destination");
    let slowly = ["cancel", "throughput", "running"];
    let slowly = slowly.iter().any(|word| name.contains(word));
    bench.dead_letters("source", if slowly { 10 } else { 2 });
    if name.contains("multiple_sources") {
        bench.dead_letters("second", 2);
    }
    let destination = (!by_default).then_some("target");
    let started = bench.start(destination, slowly.then_some(1)).unwrap();
    let mut found = vec![answered(200, started.clone())];
    bench.now += wait;
    found.push(bench.list());
    if name.contains("cancel") {
        let cancelled = bench.call("CancelMessageMoveTask", &started);
        found.extend(cancelled.map(|cancelled| answered(200, cancelled)));
        bench.now += 1_000;
        found.push(bench.list());
        return found;
    }
    if name.contains("delete_destination") {
        let request = json!({"QueueUrl": bench.url("target")});
        bench.call("DeleteQueue", &request).unwrap();
        bench.now += 2_000;
        found.push(bench.list());
        return found;
    }
    bench.now += 20_000;
    found.push(bench.list());
    assert_eq!(bench.count("dead"), "0", "{name}");
    found
}
