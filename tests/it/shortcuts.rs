//! Shortcuts change no result: a node that executes every operation sends the same messages, keeps
//! the promise of delivery, and few files name the shortcuts.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use job::change::Report;
use job::{Job, Update};
use jobcast::realtime::Realtime;
use jobcast::session::Settings;
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::time::timeout;

use crate::delivery::{Client, DEADLINE, Door, Jobs, Node, http, open, read, subscribe};

/// Documents of subscriptions with their variables. Each is sent twice, because a shortcut begins
/// with the second time.
fn subscriptions(id: &str) -> Vec<(&'static str, Value)> {
    let one =
        "subscription ($id: ID!) { onJob(id: $id) { id version status tags steps { name } } }";
    let after = "subscription ($id: ID!, $after: Int) { \
                 job: onJob(id: $id, after: $after) { ...F error { name } } } \
                 fragment F on Job { v: version createdAt finishedAt __typename }";
    let stored = "subscription ($id: ID!) { onJob(id: $id) { version input result } }";
    let list = "subscription ($owner: String!) { \
                onJobs(filter: { owner: { eq: $owner } }) { kind job { id version progress } } }";
    vec![
        (one, json!({ "id": id })),
        (one, json!({ "id": id, "other": 1 })),
        (one, json!({ "id": "none" })),
        (one, json!({ "id": "01a21ee7-9c16-7c3b-8488-a292049b6131" })),
        (one, json!({})),
        (after, json!({ "id": id })),
        (after, json!({ "id": id, "after": 1 })),
        (after, json!({ "id": id, "after": null })),
        (after, json!({ "id": id, "after": -1 })),
        (after, json!({ "id": id, "after": "1" })),
        (stored, json!({ "id": id })),
        (list, json!({ "owner": "owner 3" })),
        (list, json!({ "owner": null })),
    ]
}

/// Bodies of requests that publish, or try to.
fn publications(old: &Job, new: &Job) -> Vec<Value> {
    let text = |job| serde_json::to_string(job).unwrap();
    let plain = "mutation ($new: AWSJSON!, $old: AWSJSON) { \
                 publishJob(new: $new, old: $old) { id version status message steps { name } } }";
    let stored = "mutation ($new: AWSJSON!) { publishJob(new: $new) { version input } }";
    let both = "mutation ($new: AWSJSON!) { a: publishJob(new: $new) { id } b: __typename }";
    // As `lambda-publish` sends them.
    let batch = "mutation ($n0: AWSJSON!, $o0: AWSJSON, $n1: AWSJSON!, $o1: AWSJSON) { \
                 r0: publishJob(new: $n0, old: $o0) { ...J } r1: publishJob(new: $n1, old: $o1) { ...J } } \
                 fragment J on Job { id version status steps { name } }";
    let body = |query: &str, variables: Value| json!({ "query": query, "variables": variables });
    vec![
        body(
            batch,
            json!({ "n0": text(old), "n1": text(new), "o1": text(old) }),
        ),
        body(batch, json!({ "n0": text(new), "o0": null, "n1": "{}" })),
        body(batch, json!({ "n0": text(new), "n1": 7 })),
        body(batch, json!({ "n0": text(new) })),
        body(
            batch,
            json!({ "n0": text(new), "n1": text(new), "other": 1 }),
        ),
        body(plain, json!({ "new": text(new), "old": text(old) })),
        body(plain, json!({ "new": text(new) })),
        body(plain, json!({ "new": "{}" })),
        body(plain, json!({ "new": 7 })),
        body(plain, json!({ "new": text(new), "other": 1 })),
        body(plain, json!({})),
        body(stored, json!({ "new": text(new) })),
        body(both, json!({ "new": text(new) })),
    ]
}

/// A node over a store with jobs, which are the same for each call. The job at 3 is running.
async fn node(shortcuts: bool) -> (Node, Arc<Jobs>) {
    let store = SqliteStore::open(Database::open(&Location::Memory).unwrap()).unwrap();
    let store: Arc<dyn JobStore> = Arc::new(store);
    let jobs = Jobs::create(Arc::clone(&store), 14).await;
    jobs.apply(jobs.ids()[3], Update::Start).await;
    let node = if shortcuts {
        Node::start(&store, true, Realtime::default(), Settings::default()).await
    } else {
        Node::without_shortcuts(&store).await
    };
    (node, jobs)
}

async fn post(address: &str, body: &Value) -> (u16, String) {
    let sent = http()
        .post(format!("http://{address}/graphql"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send();
    let response = sent.await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The messages of a subscription until its first page or its end, then those of one change.
async fn messages(node: &Node, jobs: &Jobs, door: Door, query: &str, given: &Value) -> Vec<Value> {
    let mut socket = open(&node.address, door).await.unwrap();
    let mut all = Vec::new();
    let message = subscribe(door, "1", query, given.clone());
    socket.send(message).await.unwrap();
    let mut is_changed = false;
    loop {
        let message = read(&mut socket).await.unwrap();
        let data = &message["payload"]["data"];
        let is_ready = match data["onJobs"]["kind"].as_str() {
            Some(kind) => kind == "SNAPSHOT",
            None => data.is_object(),
        };
        let is_end = matches!(message["type"].as_str(), Some("error" | "complete"));
        let is_kept = !matches!(message["type"].as_str(), Some("ka" | "start_ack" | "ping"));
        if is_kept {
            all.push(message);
        }
        if is_end || is_changed && is_kept {
            return all;
        }
        if is_ready {
            is_changed = true;
            let id = jobs.ids()[3];
            let version = jobs.store.get(id).await.unwrap().unwrap().version;
            let report = Report {
                message: Some(format!("after version {}", version.0)),
                ..Report::default()
            };
            jobs.apply(id, Update::Report(report)).await;
        }
    }
}

#[tokio::test]
async fn a_node_without_shortcuts_sends_the_same_messages() {
    let mut transcripts = Vec::new();
    for shortcuts in [true, false] {
        let (node, jobs) = node(shortcuts).await;
        let id = jobs.ids()[3];
        let mut transcript = Vec::new();
        for door in [Door::Modern, Door::Amplify] {
            for (query, given) in subscriptions(&id.to_string()) {
                for _ in 0..2 {
                    let messages = messages(&node, &jobs, door, query, &given);
                    let messages = timeout(DEADLINE, messages).await;
                    let messages = messages.unwrap_or_else(|_| panic!("in time: {query} {given}"));
                    transcript.push(format!("{door:?} {query} {given}: {messages:?}"));
                }
            }
        }
        let (old, new) = jobs.apply(jobs.ids()[5], Update::Start).await;
        for body in publications(&old, &new) {
            for _ in 0..2 {
                let response = post(&node.address, &body).await;
                transcript.push(format!("{body}: {response:?}"));
            }
        }
        node.stop().await;
        transcripts.push(transcript);
    }
    let [with, without] = &transcripts[..] else {
        unreachable!("there are two nodes")
    };
    for (with, without) in with.iter().zip(without) {
        assert_eq!(with, without);
    }
    assert_eq!(with.len(), without.len());
}

#[tokio::test]
async fn a_node_without_shortcuts_keeps_the_promise_of_delivery() {
    let store = SqliteStore::open(Database::open(&Location::Memory).unwrap()).unwrap();
    let store: Arc<dyn JobStore> = Arc::new(store);
    let jobs = Jobs::create(Arc::clone(&store), 14).await;
    let node = Node::without_shortcuts(&store).await;
    let addresses: Arc<[String]> = vec![node.address.clone()].into();
    let mut clients = tokio::task::JoinSet::new();
    for (at, id) in jobs.ids().iter().enumerate() {
        let client = Client {
            addresses: Arc::clone(&addresses),
            door: [Door::Modern, Door::Amplify, Door::Sse][at % 3],
            jobs: Arc::clone(&jobs),
            watched: vec![*id],
            resumes: at % 2 == 0,
            pace: Duration::ZERO,
        };
        clients.spawn(client.watch());
    }
    jobs.run(10, 7, |_, _| async {}).await;
    let done = timeout(DEADLINE, clients.join_all()).await;
    assert_eq!(done.expect("in time").len(), jobs.ids().len());
    node.stop().await;
}

#[test]
fn only_the_executor_and_the_start_of_watches_name_the_shortcuts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/graphql");
    let mut naming = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path != folder.join("shortcut") {
                    folders.push(path);
                }
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            if code.clone().any(|line| line.contains("shortcut")) {
                let path = path.strip_prefix(&folder).unwrap();
                naming.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    naming.sort();
    assert_eq!(naming, ["executor.rs", "mod.rs", "watch.rs"]);
}
