//! Queues, dead letters, moving them back, and the answers about a queue's batch.

use localcloud::mapping::messages::{done, event};
use localcloud::mapping::shard::Ended;
use localcloud::scope::Scope;
use localcloud::sqs::{Queues, SqsError, limits};
use serde_json::{Value, json};

struct Bench {
    queues: Queues,
    now: i64,
}

impl Bench {
    fn new() -> Bench {
        let scope = Scope {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        };
        Bench {
            queues: Queues::new(scope, "http://localhost", 1),
            now: 1_000_000,
        }
    }

    fn with(name: &str, attributes: &Value) -> Bench {
        let mut bench = Bench::new();
        bench.create(name, attributes);
        bench
    }

    fn create(&mut self, name: &str, attributes: &Value) {
        let request = json!({"QueueName": name, "Attributes": attributes});
        self.call("CreateQueue", &request).unwrap();
    }

    fn call(&mut self, action: &str, request: &Value) -> Result<Value, SqsError> {
        self.queues.call(action, request, self.now)
    }

    fn to(&mut self, action: &str, queue: &str, mut request: Value) -> Result<Value, SqsError> {
        request["QueueUrl"] = json!(self.queues.url(queue));
        self.call(action, &request)
    }

    fn send(&mut self, queue: &str, body: &str) -> Value {
        self.to("SendMessage", queue, json!({"MessageBody": body}))
            .unwrap()
    }

    fn send_to_group(&mut self, body: &str, group: &str, deduplication: &str) -> Value {
        let request = json!({
            "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": deduplication,
        });
        self.to("SendMessage", "q.fifo", request).unwrap()
    }

    fn receive(&mut self, queue: &str) -> Vec<Value> {
        let request = json!({"MaxNumberOfMessages": 10, "AttributeNames": ["All"]});
        let received = self.to("ReceiveMessage", queue, request).unwrap();
        received["Messages"].as_array().cloned().unwrap_or_default()
    }

    fn bodies(&mut self, queue: &str) -> Vec<String> {
        let messages = self.receive(queue);
        let bodies = messages
            .iter()
            .map(|one| one["Body"].as_str().unwrap().to_owned());
        bodies.collect()
    }
}

fn fifo() -> Value {
    json!({"FifoQueue": "true"})
}

#[test]
fn a_received_message_is_hidden_until_its_timeout_and_gone_when_it_is_deleted() {
    let mut bench = Bench::with("q", &json!({"VisibilityTimeout": "5"}));
    bench.send("q", "a");
    let first = bench.receive("q")[0].clone();
    bench.now += 4_999;
    assert!(bench.receive("q").is_empty());
    bench.now += 1;
    let second = bench.receive("q")[0].clone();
    assert_eq!(second["Attributes"]["ApproximateReceiveCount"], "2");
    // The first handle is not the last one.
    let handle = json!({"ReceiptHandle": first["ReceiptHandle"]});
    bench.to("DeleteMessage", "q", handle).unwrap();
    let handle = json!({"ReceiptHandle": second["ReceiptHandle"]});
    bench.now += 5_000;
    assert_eq!(bench.receive("q").len(), 1);
    bench.to("DeleteMessage", "q", handle).unwrap();
    bench.now += 5_000;
    // That handle was not the last one either by then.
    let last = bench.receive("q")[0].clone();
    let handle = json!({"ReceiptHandle": last["ReceiptHandle"]});
    bench.to("DeleteMessage", "q", handle).unwrap();
    bench.now += 5_000;
    assert!(bench.receive("q").is_empty());
}

#[test]
fn a_message_that_was_received_often_enough_is_a_dead_letter_with_its_id() {
    let mut bench = Bench::with("dead", &json!({}));
    let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
    let policy = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 2}).to_string();
    let attributes = json!({"VisibilityTimeout": "0", "RedrivePolicy": policy});
    bench.create("q", &attributes);
    let sent = bench.send("q", "a");
    assert_eq!(bench.receive("q").len(), 1);
    assert_eq!(bench.receive("q").len(), 1);
    assert!(bench.receive("dead").is_empty());
    assert!(bench.receive("q").is_empty());
    let letters = bench.receive("dead");
    assert_eq!(letters[0]["MessageId"], sent["MessageId"]);
    let origin = &letters[0]["Attributes"]["DeadLetterQueueSourceArn"];
    assert_eq!(origin, "arn:aws:sqs:us-east-1:000000000000:q");
}

#[test]
fn a_group_with_a_message_in_flight_waits_and_other_groups_do_not() {
    let mut bench = Bench::with("q.fifo", &fifo());
    for (body, group) in [("a1", "a"), ("b1", "b")] {
        bench.send_to_group(body, group, body);
    }
    let request = json!({"MaxNumberOfMessages": 1});
    let first = bench.to("ReceiveMessage", "q.fifo", request).unwrap();
    bench.send_to_group("a2", "a", "a2");
    assert_eq!(bench.bodies("q.fifo"), ["b1"]);
    let handle = json!({"ReceiptHandle": first["Messages"][0]["ReceiptHandle"]});
    bench.to("DeleteMessage", "q.fifo", handle).unwrap();
    assert_eq!(bench.bodies("q.fifo"), ["a2"]);
}

#[test]
fn a_repeated_deduplication_id_is_one_message_for_five_minutes() {
    let mut bench = Bench::with("q.fifo", &fifo());
    let first = bench.send_to_group("a", "g", "one");
    bench.now += limits::DEDUPLICATION_MINUTES * 60_000 - 1;
    assert_eq!(bench.send_to_group("a", "g", "one"), first);
    bench.now += 1;
    assert_ne!(bench.send_to_group("a", "g", "one"), first);
}

#[test]
fn a_delayed_message_is_visible_after_its_delay() {
    let mut bench = Bench::with("q", &json!({}));
    let request = json!({"MessageBody": "a", "DelaySeconds": 2});
    bench.to("SendMessage", "q", request).unwrap();
    bench.now += 1_999;
    assert!(bench.receive("q").is_empty());
    bench.now += 1;
    assert_eq!(bench.bodies("q"), ["a"]);
}

#[test]
fn messages_and_batches_have_a_maximum_size() {
    let mut bench = Bench::with("q", &json!({}));
    let body = |bytes: usize| json!({"MessageBody": "x".repeat(bytes)});
    assert!(
        bench
            .to("SendMessage", "q", body(limits::MESSAGE_BYTES))
            .is_ok()
    );
    assert!(
        bench
            .to("SendMessage", "q", body(limits::MESSAGE_BYTES + 1))
            .is_err()
    );
    let entries = |count: usize| {
        let entries = (0..count).map(|at| json!({"Id": at.to_string(), "MessageBody": "x"}));
        json!({"Entries": entries.collect::<Vec<_>>()})
    };
    assert!(
        bench
            .to("SendMessageBatch", "q", entries(limits::BATCH))
            .is_ok()
    );
    let over = bench.to("SendMessageBatch", "q", entries(limits::BATCH + 1));
    assert_eq!(over.unwrap_err().shape, "TooManyEntriesInBatchRequest");
    let most = json!({"MaxNumberOfMessages": limits::BATCH + 1});
    assert!(bench.to("ReceiveMessage", "q", most).is_err());
}

#[test]
fn times_of_a_message_have_a_maximum() {
    let mut bench = Bench::with("q", &json!({"VisibilityTimeout": "30"}));
    let delay = |seconds: i64| json!({"MessageBody": "a", "DelaySeconds": seconds});
    assert!(
        bench
            .to("SendMessage", "q", delay(limits::DELAY_SECONDS))
            .is_ok()
    );
    assert!(
        bench
            .to("SendMessage", "q", delay(limits::DELAY_SECONDS + 1))
            .is_err()
    );
    bench.send("q", "b");
    let handle = bench.receive("q")[0]["ReceiptHandle"].clone();
    let hide = |seconds: i64| json!({"ReceiptHandle": handle, "VisibilityTimeout": seconds});
    assert!(
        bench
            .to(
                "ChangeMessageVisibility",
                "q",
                hide(limits::VISIBILITY_SECONDS + 1)
            )
            .is_err()
    );
    assert!(
        bench
            .to(
                "ChangeMessageVisibility",
                "q",
                hide(limits::VISIBILITY_SECONDS)
            )
            .is_ok()
    );
    let waits = |seconds: i64| json!({"Attributes": {"ReceiveMessageWaitTimeSeconds": seconds.to_string()}});
    assert!(
        bench
            .to("SetQueueAttributes", "q", waits(limits::WAIT_SECONDS))
            .is_ok()
    );
    assert!(
        bench
            .to("SetQueueAttributes", "q", waits(limits::WAIT_SECONDS + 1))
            .is_err()
    );
    let policy = |receives: i64| {
        let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
        let policy = json!({"deadLetterTargetArn": dead, "maxReceiveCount": receives});
        json!({"Attributes": {"RedrivePolicy": policy.to_string()}})
    };
    assert!(
        bench
            .to("SetQueueAttributes", "q", policy(limits::RECEIVES))
            .is_ok()
    );
    assert!(
        bench
            .to("SetQueueAttributes", "q", policy(limits::RECEIVES + 1))
            .is_err()
    );
}

#[test]
fn the_digest_of_attributes_is_as_sdks_compute_it() {
    let mut bench = Bench::with("q", &json!({}));
    let attributes = json!({"a": {"DataType": "String", "StringValue": "b"}});
    let request = json!({"MessageBody": "hello", "MessageAttributes": attributes});
    let sent = bench.to("SendMessage", "q", request).unwrap();
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    // MD5 of 00000001 61 00000006 String 01 00000001 62.
    assert_eq!(
        sent["MD5OfMessageAttributes"],
        "bef8bf215374a0a228d67533b1a488be"
    );
}

/// A queue of dead letters with its source.
fn with_dead_letters(count: usize) -> Bench {
    let mut bench = Bench::with("dead", &json!({}));
    let dead = "arn:aws:sqs:us-east-1:000000000000:dead";
    let policy = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 1}).to_string();
    let attributes = json!({"VisibilityTimeout": "0", "RedrivePolicy": policy});
    bench.create("q", &attributes);
    for number in 0..count {
        bench.send("q", &number.to_string());
    }
    bench.receive("q");
    bench.receive("q");
    bench
}

fn start(bench: &mut Bench, most: i64) -> Value {
    let request = json!({
        "SourceArn": "arn:aws:sqs:us-east-1:000000000000:dead",
        "MaxNumberOfMessagesPerSecond": most,
    });
    bench.call("StartMessageMoveTask", &request).unwrap()
}

fn status(bench: &mut Bench) -> (String, i64) {
    let request = json!({"SourceArn": "arn:aws:sqs:us-east-1:000000000000:dead"});
    let listed = bench.call("ListMessageMoveTasks", &request).unwrap();
    let task = &listed["Results"][0];
    let moved = task["ApproximateNumberOfMessagesMoved"].as_i64().unwrap();
    (task["Status"].as_str().unwrap().to_owned(), moved)
}

#[test]
fn a_task_moves_letters_back_to_their_origin_at_its_rate() {
    let mut bench = with_dead_letters(4);
    start(&mut bench, 2);
    assert_eq!(status(&mut bench), ("RUNNING".to_owned(), 0));
    bench.now += 1_000;
    assert_eq!(status(&mut bench), ("RUNNING".to_owned(), 2));
    bench.now += 2_000;
    assert_eq!(status(&mut bench), ("COMPLETED".to_owned(), 4));
    assert_eq!(bench.bodies("q"), ["0", "1", "2", "3"]);
}

#[test]
fn a_cancelled_task_moves_nothing_more_and_another_one_may_start() {
    let mut bench = with_dead_letters(4);
    let task = start(&mut bench, 1);
    bench.now += 2_000;
    let cancelled = bench.call("CancelMessageMoveTask", &task).unwrap();
    assert_eq!(cancelled["ApproximateNumberOfMessagesMoved"], 2);
    bench.now += 60_000;
    assert_eq!(status(&mut bench), ("CANCELLED".to_owned(), 2));
    assert!(bench.call("CancelMessageMoveTask", &task).is_err());
    start(&mut bench, 1);
}

#[test]
fn a_moved_letter_is_a_new_message() {
    let mut bench = with_dead_letters(1);
    let letter = bench.queues.clone();
    let mut before = Bench {
        queues: letter,
        now: bench.now,
    };
    let id = before.receive("dead")[0]["MessageId"].clone();
    start(&mut bench, 10);
    bench.now += 1_000;
    assert_eq!(status(&mut bench).0, "COMPLETED");
    let moved = bench.receive("q")[0].clone();
    assert_ne!(moved["MessageId"], id);
    assert_eq!(moved["Attributes"]["ApproximateReceiveCount"], "1");
}

#[test]
fn the_failures_of_a_queues_batch_are_a_set() {
    let ids: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    let answer = |items: Value| {
        Ended::Answered(json!({"batchItemFailures": items}).to_string().into_bytes())
    };
    let item = |id: &str| json!({"itemIdentifier": id});
    assert_eq!(done(&ids, &answer(json!([item("b")])), true), [0, 2]);
    assert_eq!(done(&ids, &answer(json!([item("b")])), false), [0, 1, 2]);
    assert!(done(&ids, &answer(json!([item("b"), item("x")])), true).is_empty());
    assert!(done(&ids, &answer(json!([{"foo": "a"}])), true).is_empty());
    assert_eq!(
        done(&ids, &Ended::Answered(b"null".to_vec()), true),
        [0, 1, 2]
    );
    assert!(done(&ids, &Ended::FunctionError, true).is_empty());
}

#[test]
fn a_function_receives_a_messages_attributes_in_lambdas_words() {
    let mut bench = Bench::with("q", &json!({}));
    let attributes = json!({"token": {"DataType": "String", "StringValue": "t"}});
    let request = json!({"MessageBody": "{}", "MessageAttributes": attributes});
    bench.to("SendMessage", "q", request).unwrap();
    let request = json!({"AttributeNames": ["All"], "MessageAttributeNames": ["All"]});
    let received = bench.to("ReceiveMessage", "q", request).unwrap();
    let event = event(&received["Messages"][0], "arn", "us-east-1", false);
    let token = &event["messageAttributes"]["token"];
    assert_eq!(token["stringValue"], "t");
    assert_eq!(token["dataType"], "String");
    assert_eq!(event["attributes"]["ApproximateReceiveCount"], "1");
    assert!(event.get("md5OfMessageAttributes").is_some());
}
