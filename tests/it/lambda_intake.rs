//! `lambda-intake` under our Lambda host, with a queue of SQS's semantics: each message is one job
//! although it is delivered several times and the function is killed in the middle of batches.
//!
//! `JOBCAST_CASES` is the number of messages, `JOBCAST_TEST_SEED` their order and the kills.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::kit::Client;
use crate::kit::lambda::{Deployment, Functions};

const PROGRAMS: &[(&str, &str)] = &[("lambda-intake", env!("CARGO_BIN_EXE_lambda-intake"))];
const OWNER: &[(&str, &str)] = &[("JOBCAST_INTAKE_OWNER", "ann")];

/// Messages, unless `JOBCAST_CASES` says how many.
const MESSAGES: usize = 66;
/// Messages for each kill of the function.
const MESSAGES_PER_KILL: usize = 33;
/// Number of messages of a batch, as SQS has it by default.
const BATCH: usize = 10;
/// Number of receives after which a message is dead.
const MAX_RECEIVES: usize = 5;
/// Time in milliseconds after which a function is killed at most.
const KILLED_AFTER: u64 = 120;

fn record(id: &str, body: &str, token: Option<&str>, receives: usize) -> Value {
    let attributes = match token {
        Some(token) => {
            json!({ "clientRequestToken": { "stringValue": token, "stringListValues": [],
            "binaryListValues": [], "dataType": "String" } })
        }
        None => json!({}),
    };
    json!({ "messageId": id, "receiptHandle": "r", "body": body, "md5OfBody": "", "attributes": {
            "ApproximateReceiveCount": receives.to_string(), "SentTimestamp": "1545082649183", "SenderId": "AIDA",
            "ApproximateFirstReceiveTimestamp": "1545082649185" },
        "messageAttributes": attributes, "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:jobs", "awsRegion": "us-east-1" })
}

fn failures(answer: &Value) -> BTreeSet<String> {
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures
        .map(|one| one["itemIdentifier"].as_str().unwrap().to_owned())
        .collect()
}

/// The tags of all jobs of the owner.
async fn tags(client: &Client) -> Vec<String> {
    let document = "query($next: String) { listJobs(limit: 100, nextToken: $next) { items { owner tags } nextToken } }";
    let (mut all, mut next) = (Vec::new(), Value::Null);
    loop {
        let mut page = client.data(document, json!({ "next": next })).await;
        for job in page["items"].as_array().unwrap() {
            assert_eq!(job["owner"], "ann");
            all.push(job["tags"][0].as_str().unwrap().to_owned());
        }
        next = page["nextToken"].take();
        if next.is_null() {
            all.sort_unstable();
            return all;
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect(variable))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_sqs_is_one_job_although_the_function_is_killed() {
    let seed = number("JOBCAST_TEST_SEED").unwrap_or_else(rand::random);
    let count = number("JOBCAST_CASES").map_or(MESSAGES, |count| usize::try_from(count).unwrap());
    println!("JOBCAST_TEST_SEED={seed} JOBCAST_CASES={count}");
    let mut random = StdRng::seed_from_u64(seed);
    let deployment = Deployment::start().await;
    let mut kills = count / MESSAGES_PER_KILL;
    // Every tenth message is none; the others are delivered once to three times.
    let mut queue: VecDeque<(usize, usize)> = (0..count).map(|at| (at, 0)).collect();
    let mut again: BTreeMap<usize, usize> = (0..count)
        .map(|at| {
            (
                at,
                if at % 10 == 9 {
                    0
                } else {
                    random.random_range(0..=2)
                },
            )
        })
        .collect();
    let mut dead = Vec::new();
    let mut functions: Option<Functions> = None;
    while !queue.is_empty() {
        let running = functions
            .take()
            .unwrap_or_else(|| deployment.functions_with(PROGRAMS, OWNER));
        let mut batch: Vec<(usize, usize)> = Vec::new();
        while batch.len() < BATCH
            && let Some((at, receives)) = queue.pop_front()
        {
            batch.push((at, receives + 1));
        }
        let records = batch.iter().map(|(at, receives)| {
            let body = match at % 10 {
                9 => json!({ "type": "pass", "owner": "root" }),
                _ => json!({ "type": "pass", "tags": [format!("m{at:04}")] }),
            };
            record(&format!("id-{at}"), &body.to_string(), None, *receives)
        });
        let event = json!({ "Records": records.collect::<Vec<_>>() });
        let left = u32::try_from(queue.len() / BATCH + 1).unwrap();
        let kill = kills > 0 && random.random_ratio(u32::try_from(kills).unwrap().min(left), left);
        let life = match kill {
            true => Duration::from_millis(random.random_range(1..KILLED_AFTER)),
            false => crate::kit::DEADLINE,
        };
        let answer = tokio::time::timeout(life, running.invoke("lambda-intake", &event)).await;
        let failed = match answer {
            Ok(answer) => {
                functions = Some(running);
                failures(&answer.unwrap())
            }
            Err(_) => {
                // The kill. Nothing was answered, so that all come again.
                assert!(kill, "the function answers in time");
                kills -= 1;
                drop(running);
                batch.iter().map(|(at, _)| format!("id-{at}")).collect()
            }
        };
        for (at, receives) in batch {
            let more = again.get_mut(&at).unwrap();
            if failed.contains(&format!("id-{at}")) {
                match receives {
                    // A kill counts as a receive, and valid messages survive all of them here.
                    _ if at % 10 != 9 => queue.push_back((at, receives)),
                    MAX_RECEIVES => dead.push(at),
                    _ => queue.push_back((at, receives)),
                }
            } else if *more > 0 {
                *more -= 1;
                queue.push_back((at, receives));
            }
        }
    }
    let expected: Vec<String> = (0..count)
        .filter(|at| at % 10 != 9)
        .map(|at| format!("m{at:04}"))
        .collect();
    assert_eq!(tags(&deployment.client()).await, expected);
    dead.sort_unstable();
    assert_eq!(
        dead,
        (0..count).filter(|at| at % 10 == 9).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_a_failure_and_those_beside_it_are_done() {
    let deployment = Deployment::start().await;
    let functions = deployment.functions_with(PROGRAMS, OWNER);
    let valid = json!({ "type": "pass", "tags": ["a"] }).to_string();
    let records = [
        record("1", "no JSON", None, 1),
        record("2", &valid, Some("t"), 1),
        record("3", r#"{"type": "unknown"}"#, None, 1),
        // The same token: the same job.
        record("4", &valid, Some("t"), 1),
    ];
    let answer = functions
        .invoke("lambda-intake", &json!({ "Records": records }))
        .await;
    let failed = failures(&answer.unwrap());
    assert_eq!(
        failed.iter().map(String::as_str).collect::<Vec<_>>(),
        ["1", "3"]
    );
    assert_eq!(tags(&deployment.client()).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_stops_at_its_first_failure() {
    let deployment = Deployment::start().await;
    let functions = deployment.functions_with(PROGRAMS, OWNER);
    let body = |tag: &str| json!({ "type": "pass", "tags": [tag] }).to_string();
    let mut records = [
        record("1", &body("a"), None, 1),
        record("2", "no JSON", None, 1),
        record("3", &body("b"), None, 1),
    ];
    for one in &mut records {
        one["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:jobs.fifo".into();
    }
    let answer = functions
        .invoke("lambda-intake", &json!({ "Records": records }))
        .await;
    let failed = failures(&answer.unwrap());
    assert_eq!(
        failed.iter().map(String::as_str).collect::<Vec<_>>(),
        ["2", "3"]
    );
    assert_eq!(tags(&deployment.client()).await, ["a"]);
}
