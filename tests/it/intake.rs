//! Queues whose messages become jobs: each message one job although it is sent several times and
//! the server is killed, dead letters with their reasons, and the commands for both.
//!
//! `JOBCAST_CASES` is the number of messages, `JOBCAST_TEST_SEED` their order and the kills.

use std::collections::BTreeMap;
use std::time::Duration;

use jobcast::http::intake::TOKEN_HEADER;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use crate::access;
use crate::cli::{PATIENCE, Ran, command, within};
use crate::kit::{Client, Home, Server, json_file, soon};

/// Messages, unless `JOBCAST_CASES` says how many.
const MESSAGES: usize = 100;
/// Messages for each kill of the server.
const MESSAGES_PER_KILL: usize = 33;
/// Time in milliseconds that a server lives at most after its messages were sent.
const LIFE_MILLIS: u64 = 40;

const QUEUE: &str = "/intake/queues/default/messages";

fn home(section: &str) -> Home {
    Home::simple().config(&format!("[intake]\nowner = \"shop\"\n{section}"))
}

/// Sends a message: the status and the answer; `None` without an answer.
async fn send(client: &Client, path: &str, token: &str, body: &str) -> Option<(u16, Value)> {
    let request = client
        .request(Method::POST, path)
        .header(TOKEN_HEADER, token);
    let response = request.body(body.to_owned()).send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.json().await.ok()?))
}

/// The dead letters, by their bodies.
async fn dead(client: &Client) -> BTreeMap<String, Value> {
    let (mut all, mut after) = (BTreeMap::new(), json!(0));
    while !after.is_null() {
        let path = format!("/intake/dead-letters?limit=50&after={after}");
        let (status, text) = client.get(&path).await;
        assert_eq!(status, 200, "{text}");
        let mut page: Value = serde_json::from_str(&text).unwrap();
        for letter in page["data"]["deadLetters"].as_array().unwrap() {
            all.insert(letter["body"].as_str().unwrap().to_owned(), letter.clone());
        }
        after = page["data"]["next"].take();
    }
    all
}

/// All jobs: their tags.
async fn jobs(client: &Client) -> Vec<Value> {
    let document = "query($next: String) { listJobs(limit: 100, nextToken: $next) { items { id owner type tags } nextToken } }";
    let (mut all, mut next) = (Vec::new(), Value::Null);
    loop {
        let mut page = client.data(document, json!({ "next": next })).await;
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        next = page["nextToken"].take();
        if next.is_null() {
            return all;
        }
    }
}

/// Waits until the queue has this many dead letters and nothing else.
async fn drained(client: &Client, letters: usize) {
    let waiting = "intake_messages_waiting{queue=\"default\"} 0".to_owned();
    let dead = format!("intake_dead_letters{{queue=\"default\"}} {letters}");
    let drained = async {
        loop {
            let (_, text) = client.get("/metrics").await;
            if [&waiting, &dead]
                .iter()
                .all(|line| text.lines().any(|one| one == *line))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(
        &format!("{letters} dead letters and no other message"),
        drained,
    )
    .await;
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect(variable))
}

/// A message is sent one to three times; every tenth is none that can become a job.
fn deliveries(messages: usize, random: &mut StdRng) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for at in 0..messages {
        let body = match at % 10 {
            9 => json!({ "type": "pass", "inputs": at }),
            4 => {
                json!({ "specversion": "1.0", "id": at.to_string(), "source": "/test", "type": "t",
                "data": { "type": "pass", "input": { "n": at }, "tags": [format!("m{at}")] } })
            }
            _ => {
                json!({ "type": "pass", "input": json!({ "n": at }).to_string(), "tags": [format!("m{at}")] })
            }
        };
        let copies = if at % 10 == 9 {
            1
        } else {
            random.random_range(1..=3)
        };
        all.extend((0..copies).map(|_| (format!("token {at}"), body.to_string())));
    }
    all.shuffle(random);
    all
}

#[tokio::test]
async fn each_message_is_one_job_although_the_server_is_killed() {
    let seed = number("JOBCAST_TEST_SEED").unwrap_or_else(rand::random);
    let messages =
        number("JOBCAST_CASES").map_or(MESSAGES, |count| usize::try_from(count).unwrap());
    println!("JOBCAST_TEST_SEED={seed} JOBCAST_CASES={messages}");
    let mut random = StdRng::seed_from_u64(seed);
    let home = home("max_receives = 8\nvisibility = \"1s\"");
    let mut unsent = deliveries(messages, &mut random);
    let kills = messages / MESSAGES_PER_KILL;
    for kill in (1..=kills).rev() {
        let server = home.start().await;
        let client = server.client();
        let now = unsent.split_off(unsent.len() - unsent.len() / (kill + 1));
        let sending = now
            .iter()
            .map(|(token, body)| send(&client, QUEUE, token, body));
        // Half of the lives end while the messages are sent, the others while they are taken.
        let sent = match random.random_bool(0.5) {
            true => futures_util::future::join_all(sending).await,
            false => Vec::new(),
        };
        let life = random.random_range(0..LIFE_MILLIS);
        tokio::time::sleep(Duration::from_millis(life)).await;
        server.kill().await;
        let acknowledged = |at: usize| {
            let answer = sent.get(at).and_then(Option::as_ref);
            answer.is_some_and(|(status, _)| *status == 202)
        };
        let again = now
            .into_iter()
            .enumerate()
            .filter(|(at, _)| !acknowledged(*at));
        unsent.extend(again.map(|(_, one)| one));
    }
    let server = home.start().await;
    let client = server.client();
    for (token, body) in &unsent {
        let answer = send(&client, QUEUE, token, body).await;
        assert!(
            answer.as_ref().is_some_and(|(status, _)| *status == 202),
            "{answer:?}"
        );
    }
    let malformed = messages / 10;
    let taken = async {
        while jobs(&client).await.len() < messages - malformed {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a job of each message", taken).await;
    drained(&client, malformed).await;
    let jobs = jobs(&client).await;
    let mut tags: Vec<&str> = jobs
        .iter()
        .map(|job| job["tags"][0].as_str().unwrap())
        .collect();
    tags.sort_unstable();
    let mut expected: Vec<String> = (0..messages)
        .filter(|at| at % 10 != 9)
        .map(|at| format!("m{at}"))
        .collect();
    expected.sort_unstable();
    assert_eq!(tags, expected);
    assert!(jobs.iter().all(|job| job["owner"] == "shop"));
    for (body, letter) in dead(&client).await {
        let reason = letter["reason"].as_str().unwrap();
        assert!(
            reason.contains("unknown field `inputs`"),
            "{body}: {reason}"
        );
        assert_eq!(letter["receives"], 8, "{letter}");
    }
}

/// Runs a command against the server.
fn run(server: &Server, arguments: &[&str]) -> Ran {
    let mut command = command(arguments);
    command.env("JOBCAST_URL", &server.url);
    Ran::of(within(PATIENCE, command.spawn().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_dead_letter_is_tried_again() {
    let home = home("max_receives = 1");
    let server = home.start().await;
    for name in ["first", "second"] {
        let body = json!({ "type": "later", "tags": [name] }).to_string();
        let sent = run(&server, &["enqueue", &body]);
        assert_eq!(sent.status, 0, "{sent:?}");
    }
    drained(&server.client(), 2).await;
    let listed = run(&server, &["dlq", "list", "--json"]).json();
    let reason = "there is no job type `later`; known are: pass, wait";
    assert_eq!(listed[0]["reason"], reason);
    let table = run(&server, &["dlq", "list"]).out;
    assert!(
        table.contains("REASON") && table.contains(reason),
        "{table}"
    );
    let id = listed[0]["messageId"].as_str().unwrap().to_owned();
    server.stop().await;
    json_file(
        &home.path("state-machines/later.asl.json"),
        &json!({ "StartAt": "Only", "States": { "Only": { "Type": "Pass", "End": true } } }),
    );
    let server = home.start().await;
    let redriven = run(&server, &["dlq", "redrive", &id]);
    assert_eq!(redriven.out, "redriven: 1\n", "{redriven:?}");
    drained(&server.client(), 1).await;
    let again = run(&server, &["dlq", "redrive", &id]);
    assert!(
        again.status == 1 && again.err.contains("there is no dead letter"),
        "{again:?}"
    );
    assert_eq!(
        run(&server, &["dlq", "redrive", "--all"]).out,
        "redriven: 1\n"
    );
    drained(&server.client(), 0).await;
    assert_eq!(jobs(&server.client()).await.len(), 2);
    let none = run(&server, &["dlq", "list"]);
    assert_eq!((none.status, none.out.as_str()), (0, ""));
}

#[tokio::test]
async fn a_message_is_sent_by_the_owner_of_its_queue_and_by_admins() {
    let home = access::home().config("[intake]\nqueues = { orders = \"ann\" }");
    let server = home.start().await;
    let path = "/intake/queues/orders/messages";
    let body = json!({ "type": "pass" }).to_string();
    for (key, expected) in [
        ("ann-key", 202),
        ("adam-key", 202),
        ("ann-reads-key", 403),
        ("ben-key", 403),
        ("vera-key", 403),
        ("olga-key", 403),
        ("paul-key", 403),
        ("wrong", 401),
    ] {
        let client = server.client().with_key(key);
        let (status, answer) = send(&client, path, "t", &body).await.unwrap();
        assert_eq!(status, expected, "{key}: {answer}");
    }
    let ann = server.client().with_key("ann-key");
    let (status, answer) = send(&ann, QUEUE, "t", &body).await.unwrap();
    assert_eq!(status, 404);
    assert!(
        answer["errors"][0]["message"]
            .as_str()
            .unwrap()
            .ends_with("known are: orders")
    );
}

#[tokio::test]
async fn dead_letters_are_for_operators_and_admins() {
    let home = access::home().config("[intake]\nqueues = { orders = \"ann\" }");
    let server = home.start().await;
    for (key, expected) in [
        ("olga-key", 200),
        ("adam-key", 200),
        ("ann-key", 403),
        ("paul-key", 403),
        ("wrong", 401),
    ] {
        let client = server.client().with_key(key);
        let listed = client.get("/intake/dead-letters").await;
        assert_eq!(listed.0, expected, "{key}: {}", listed.1);
        let redrive = client.request(Method::POST, "/intake/dead-letters/redrive");
        let redriven = redrive.body("{}").send().await.unwrap();
        assert_eq!(redriven.status().as_u16(), expected, "{key}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_one_at_the_limit_is_sent() {
    let home = home("");
    let server = home.start().await;
    let limit = resolvers::queues::local::MESSAGE_BYTES;
    for (bytes, expected) in [(limit, 202), (limit + 1, 413)] {
        let request = server.client().request(Method::POST, QUEUE);
        let response = request.body("x".repeat(bytes)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{bytes}");
    }
}

#[tokio::test]
async fn a_server_without_queues_says_what_to_add() {
    let home = Home::simple();
    let server = home.start().await;
    let (status, answer) = send(&server.client(), QUEUE, "t", "{}").await.unwrap();
    assert_eq!(status, 404);
    let said = answer["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("add [intake]"), "{said}");
}
