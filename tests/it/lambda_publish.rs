//! `lambda-publish` under our Lambda host, before a real node: order, checkpoints, records that
//! cannot be published, and the redrive of what was given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use job::{Job, JobId, Time};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::kit::aws::{DynamoDb, listen};
use crate::kit::lambda::{Deployment, Functions, Mapping, SECRET, undelivered};
use crate::kit::{Client, Door, Watch, on_job};

const NAME: &str = "lambda-publish";
const PROGRAM: &str = env!("CARGO_BIN_EXE_lambda-publish");

/// Number of records of the seeded test: small here, and 10,000 by `cargo xtask long`.
fn cases() -> usize {
    let named = std::env::var("JOBCAST_CASES").ok();
    named.map_or(400, |count| count.parse().unwrap())
}

fn seed() -> u64 {
    let named = std::env::var("JOBCAST_TEST_SEED").ok();
    named.map_or(1, |seed| seed.parse().unwrap())
}

/// A proxy between the function and a node. It notes the versions that pass.
#[derive(Clone)]
struct Noted {
    to: String,
    client: Client,
    /// The versions of each job in the order of their arrival.
    versions: Arc<Mutex<HashMap<String, Vec<u64>>>>,
    requests: Arc<Mutex<usize>>,
    /// The status to answer instead of the node, and for how many requests.
    refuses: Arc<Mutex<(u16, usize)>>,
}

impl Noted {
    async fn start(to: &str) -> (Noted, String, AbortOnDropHandle<()>) {
        let noted = Noted {
            to: format!("{to}/graphql"),
            client: Client::new(to),
            versions: Arc::default(),
            requests: Arc::default(),
            refuses: Arc::default(),
        };
        let (listener, url) = listen().await;
        let router = axum::Router::new().fallback(pass).with_state(noted.clone());
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        (
            noted,
            format!("{url}/graphql"),
            AbortOnDropHandle::new(serving),
        )
    }

    fn versions(&self, id: &str) -> Vec<u64> {
        self.versions
            .lock()
            .unwrap()
            .get(id)
            .cloned()
            .unwrap_or_default()
    }

    fn published(&self) -> usize {
        self.versions.lock().unwrap().values().map(Vec::len).sum()
    }
}

async fn pass(State(noted): State<Noted>, headers: http::HeaderMap, body: Bytes) -> Response {
    *noted.requests.lock().unwrap() += 1;
    {
        let mut refuses = noted.refuses.lock().unwrap();
        if refuses.1 > 0 {
            refuses.1 -= 1;
            return StatusCode::from_u16(refuses.0).unwrap().into_response();
        }
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let sent = noted
        .client
        .request(reqwest::Method::POST, &noted.to)
        .header("content-type", "application/json")
        .header("authorization", headers["authorization"].clone())
        .body(body);
    let answer = sent.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    let data: Value = serde_json::from_str(&text).unwrap();
    for at in 0.. {
        let Some(new) = request["variables"][format!("n{at}")].as_str() else {
            break;
        };
        if data["data"][format!("r{at}")].is_object() {
            let job: Value = serde_json::from_str(new).unwrap();
            let id = job["id"].as_str().unwrap().to_owned();
            let version = job["version"].as_u64().unwrap();
            noted
                .versions
                .lock()
                .unwrap()
                .entry(id)
                .or_default()
                .push(version);
        }
    }
    (status, text).into_response()
}

fn id(number: usize) -> JobId {
    JobId::new(Time::from_millis(1_700_000_000_000), (number as u128) << 48)
}

/// A job as it is stored.
fn stored(id: JobId, version: u64) -> String {
    let job = json!({
        "id": id, "type": "two-steps", "owner": "ann", "status": "RUNNING", "progress": 1, "attempt": 1, "version": version,
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z", "execution": id.to_string(),
        "message": "with \"quotes\", and a line\nthat ends",
    });
    // As the store writes it.
    serde_json::to_string(&serde_json::from_value::<Job>(job).unwrap()).unwrap()
}

/// A record of the stream, as AWS sends it.
fn record(
    sequence: usize,
    id: JobId,
    sort_key: &str,
    new: Option<Value>,
    old: Option<&str>,
) -> Value {
    let name = match (&new, old) {
        (None, _) => "REMOVE",
        (_, None) => "INSERT",
        _ => "MODIFY",
    };
    let mut change = json!({
        "ApproximateCreationDateTime": 1_700_000_000, "SizeBytes": 900, "StreamViewType": "NEW_AND_OLD_IMAGES",
        "Keys": { "pk": { "S": format!("JOB#{id}") }, "sk": { "S": sort_key } },
        // Longer than 64 bits.
        "SequenceNumber": format!("4405400000000002063{sequence:08}"),
    });
    if let Some(new) = new {
        change["NewImage"] = new;
    }
    if let Some(old) = old {
        change["OldImage"] = json!({ "job": { "S": old } });
    }
    json!({ "eventID": format!("e{sequence}"), "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1", "dynamodb": change, "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/jobs/stream/1" })
}

fn changed(sequence: usize, id: JobId, version: u64) -> Value {
    let old = (version > 1).then(|| stored(id, version - 1));
    let new = json!({ "id": { "S": id }, "version": { "N": version.to_string() }, "job": { "S": stored(id, version) } });
    record(sequence, id, "JOB", Some(new), old.as_deref())
}

/// A record that no node takes.
fn poison(sequence: usize, id: JobId, version: u64) -> Value {
    let text = stored(id, version).replace("RUNNING", "FLYING");
    record(
        sequence,
        id,
        "JOB",
        Some(json!({ "job": { "S": text } })),
        None,
    )
}

fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures
        .iter()
        .map(|one| one["itemIdentifier"].as_str().unwrap())
        .collect()
}

fn number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_reach_the_watchers_of_a_node_in_their_order() {
    let nodes = Deployment::start().await;
    let client = nodes.client();
    let job = client.submit("two-steps", &json!({})).await;
    let watched: JobId = job.parse().unwrap();
    let mut watch = Watch::open(Door::TransportWs, &client, &on_job(), json!({ "id": job })).await;
    let first = watch.event().await["version"].as_u64().unwrap();
    let functions = nodes.functions(&[(NAME, PROGRAM)]);
    // The node is not the one of the row: the versions go on from the row's.
    let records: Vec<_> = (1..=3)
        .map(|at| changed(at, watched, first + at as u64))
        .collect();
    for record in records {
        let answer = functions
            .invoke(NAME, &json!({ "Records": [record] }))
            .await;
        assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
        let event = watch.event().await;
        assert_eq!(
            event["message"], "with \"quotes\", and a line\nthat ends",
            "{event}"
        );
    }
    // A repeat, and a lower version, change nothing.
    let again = [
        changed(2, watched, first + 2),
        changed(4, watched, first + 4),
    ];
    let answer = functions.invoke(NAME, &json!({ "Records": again })).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
    assert_eq!(watch.event().await["version"].as_u64(), Some(first + 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_rows_and_deletions_are_passed_over() {
    let nodes = Deployment::start().await;
    let (noted, url, _serving) = Noted::start(&nodes.server.url).await;
    let functions = nodes.functions_with(&[(NAME, PROGRAM)], &[("JOBCAST_PUBLISH_URL", &url)]);
    let mut expired = record(2, id(1), "JOB", None, Some(&stored(id(1), 3)));
    expired["userIdentity"] = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
    let input = record(
        1,
        id(1),
        "INPUT",
        Some(json!({ "text": { "S": "{}" } })),
        None,
    );
    let records = [input, expired, changed(3, id(2), 1)];
    let answer = functions.invoke(NAME, &json!({ "Records": records })).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
    assert_eq!(
        (noted.published(), noted.versions(&id(2).to_string())),
        (1, vec![1])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_no_node_takes_is_named_and_holds_up_no_other() {
    let nodes = Deployment::start().await;
    let (noted, url, _serving) = Noted::start(&nodes.server.url).await;
    let functions = nodes.functions_with(&[(NAME, PROGRAM)], &[("JOBCAST_PUBLISH_URL", &url)]);
    let (one, two) = (id(1), id(2));
    let mut unreadable = changed(3, one, 2);
    unreadable["dynamodb"]["Keys"] = json!(7);
    let records = [
        changed(1, one, 1),
        poison(2, two, 1),
        unreadable,
        changed(4, two, 2),
        changed(5, one, 3),
    ];
    let answer = functions
        .invoke(NAME, &json!({ "Records": records }))
        .await
        .unwrap();
    assert_eq!(failures(&answer), [number(&records[1])]);
    assert_eq!(noted.versions(&one.to_string()), [1, 3]);
    assert_eq!(noted.versions(&two.to_string()), [2]);
    // What comes again costs the nodes nothing, and the same record is named.
    let requests = *noted.requests.lock().unwrap();
    let answer = functions
        .invoke(NAME, &json!({ "Records": records[1..] }))
        .await
        .unwrap();
    assert_eq!(failures(&answer), [number(&records[1])]);
    assert_eq!(*noted.requests.lock().unwrap(), requests);
    // Nothing is remembered for longer than that.
    let answer = functions
        .invoke(NAME, &json!({ "Records": [changed(6, one, 4)] }))
        .await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
    let answer = functions
        .invoke(NAME, &json!({ "Records": records[4..] }))
        .await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
    assert_eq!(noted.versions(&one.to_string()), [1, 3, 4, 3]);
    // A record without a number cannot be named: the whole event fails.
    let mut nameless = poison(7, one, 9);
    nameless["dynamodb"]["SequenceNumber"].take();
    let error = functions
        .invoke(NAME, &json!({ "Records": [nameless] }))
        .await
        .unwrap_err();
    assert!(
        error["errorMessage"]
            .as_str()
            .unwrap()
            .contains("no SequenceNumber"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_ends_where_the_nodes_fail() {
    let nodes = Deployment::start().await;
    let (noted, url, _serving) = Noted::start(&nodes.server.url).await;
    let functions = nodes.functions_with(&[(NAME, PROGRAM)], &[("JOBCAST_PUBLISH_URL", &url)]);
    // Two documents; neither arrives, however often it is tried.
    let records: Vec<_> = (1..=60).map(|at| changed(at, id(at), 1)).collect();
    *noted.refuses.lock().unwrap() = (503, 4);
    let answer = functions
        .invoke(NAME, &json!({ "Records": records }))
        .await
        .unwrap();
    assert_eq!(failures(&answer), [number(&records[0])]);
    assert_eq!(noted.published(), 0);
    assert_eq!(
        *noted.requests.lock().unwrap(),
        4,
        "the second document was not sent"
    );
    // A short failure is not seen outside.
    *noted.refuses.lock().unwrap() = (503, 1);
    let answer = functions
        .invoke(NAME, &json!({ "Records": records }))
        .await
        .unwrap();
    assert_eq!(failures(&answer), [] as [&str; 0]);
    assert_eq!(noted.published(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_with_another_secret_publishes_nothing() {
    let nodes = Deployment::start().await;
    let other = [("JOBCAST_SECRET", "another secret that is long enough, too")];
    let functions = nodes.functions_with(&[(NAME, PROGRAM)], &other);
    let record = changed(1, id(1), 1);
    let answer = functions
        .invoke(NAME, &json!({ "Records": [record] }))
        .await
        .unwrap();
    assert_eq!(failures(&answer), [number(&record)]);
}

#[tokio::test]
async fn a_function_without_its_variables_does_not_start() {
    let functions = Functions::start(&[(NAME, PROGRAM, &[("JOBCAST_SECRET", SECRET)])]);
    let error = functions
        .invoke(NAME, &json!({ "Records": [] }))
        .await
        .unwrap_err();
    assert_eq!(error["errorType"], "Runtime.ExitError", "{error}");
}

/// The records of several jobs, interleaved, with their versions in order; one of a hundred cannot
/// be published. The numbers of these.
fn interleaved(count: usize, random: &mut StdRng) -> (Vec<Value>, Vec<String>) {
    let mut versions = vec![0; (count / 20).max(1)];
    let (mut records, mut poisoned) = (Vec::new(), Vec::new());
    for sequence in 1..=count {
        let at = random.random_range(0..versions.len());
        versions[at] += 1;
        let bad = sequence % 100 == 37;
        let record = match bad {
            true => poison(sequence, id(at), versions[at]),
            false => changed(sequence, id(at), versions[at]),
        };
        if bad {
            poisoned.push(number(&record).to_owned());
        }
        records.push(record);
    }
    (records, poisoned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_record_of_a_hundred_costs_little_and_order_is_kept() {
    let nodes = Deployment::start().await;
    let (noted, url, _serving) = Noted::start(&nodes.server.url).await;
    let functions = nodes.functions_with(&[(NAME, PROGRAM)], &[("JOBCAST_PUBLISH_URL", &url)]);
    let count = cases();
    let (records, poisoned) = interleaved(count, &mut StdRng::seed_from_u64(seed()));
    let mapping = Mapping {
        batch_size: 100,
        retries: 3,
    };
    let clean: Vec<_> = (1..=count)
        .map(|at| changed(at, id(1_000_000 + at), 1))
        .collect();
    let began = std::time::Instant::now();
    let usual = mapping.deliver(&functions, NAME, &clean).await;
    let usual_time = began.elapsed();
    assert_eq!((usual.given_up.len(), noted.published()), (0, count));
    let requests = std::mem::take(&mut *noted.requests.lock().unwrap());

    let began = std::time::Instant::now();
    let delivered = mapping.deliver(&functions, NAME, &records).await;
    let time = began.elapsed();
    let bad = poisoned.len();
    println!(
        "seed {}: {count} records in {usual_time:?}, with {bad} bad ones in {time:?}",
        seed()
    );
    // A short run says nothing about time.
    assert!(
        count < 10_000 || time <= 2 * usual_time,
        "{time:?} {usual_time:?}"
    );
    // Each bad record is in a batch that was given up, and begins the first of them.
    let firsts: Vec<_> = delivered.given_up.iter().map(|(first, ..)| first).collect();
    assert!(firsts.iter().all(|first| poisoned.contains(first)));
    let covered = |number: &String| {
        delivered
            .given_up
            .iter()
            .any(|(first, last, _)| first <= number && number <= last)
    };
    assert!(
        poisoned.iter().all(covered),
        "{poisoned:?} {:?}",
        delivered.given_up
    );
    // Every other record has arrived exactly once, those of each job in order.
    assert_eq!(noted.published(), 2 * count - poisoned.len());
    for job in 0..count / 20 {
        let versions = noted.versions(&id(job).to_string());
        assert!(versions.is_sorted(), "job {job}: {versions:?}");
    }
    // The nodes have no more work than without bad records.
    assert!(*noted.requests.lock().unwrap() <= requests);
    let most = usual.invocations + poisoned.len() * (mapping.retries + 1);
    assert!(delivered.invocations <= most, "{delivered:?}");
}

/// The stream of the table, its first shard, and the numbers of its records.
async fn stream(dynamodb: &DynamoDb) -> (String, String, Vec<String>) {
    let config = dynamodb.config().await;
    let table = aws_sdk_dynamodb::Client::new(&config)
        .describe_table()
        .table_name(DynamoDb::TABLE)
        .send()
        .await
        .unwrap();
    let arn = table.table.unwrap().latest_stream_arn.unwrap();
    let streams = aws_sdk_dynamodbstreams::Client::new(&config);
    let described = streams
        .describe_stream()
        .stream_arn(&arn)
        .send()
        .await
        .unwrap();
    let shards = described.stream_description.unwrap().shards.unwrap();
    let shard = shards[0].shard_id.clone().unwrap();
    let iterator = streams
        .get_shard_iterator()
        .stream_arn(&arn)
        .shard_id(&shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .unwrap();
    let records = streams
        .get_records()
        .set_shard_iterator(iterator.shard_iterator)
        .send()
        .await
        .unwrap();
    let records = records.records.unwrap().into_iter();
    let numbers = records.map(|one| one.dynamodb.unwrap().sequence_number.unwrap());
    (arn, shard, numbers.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_given_up_is_redriven_by_reading_its_jobs_again() {
    let nodes = Deployment::start().await;
    let (noted, url, _serving) = Noted::start(&nodes.server.url).await;
    let client = nodes.client();
    let job = client.submit("two-steps", &json!({})).await;
    client.cancel(&job).await;
    let present = client.seen(&job).await.version;
    assert!(present > 1);
    let (arn, shard, numbers) = stream(&nodes.dynamodb).await;
    let functions = nodes.functions_with(&[(NAME, PROGRAM)], &[("JOBCAST_PUBLISH_URL", &url)]);
    let ends = (
        numbers.first().unwrap().as_str(),
        numbers.last().unwrap().as_str(),
    );
    let answer = functions
        .invoke(NAME, &undelivered(&arn, &shard, ends))
        .await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
    // Once, although several records are about it.
    assert_eq!(noted.versions(&job), [present]);
    // A message of another kind stays in the queue.
    let mut other = undelivered(&arn, &shard, ends);
    other["Records"][0]["body"] = json!("{}");
    let answer = functions.invoke(NAME, &other).await.unwrap();
    assert_eq!(failures(&answer), ["m1"]);
}
