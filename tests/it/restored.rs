//! A store that was replaced by an older copy of itself, as after a restore from a backup: clients
//! come back with versions that their jobs have not reached, and get the jobs as they are.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use checker::{JobTranscript, Seen};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::kit::{Client, Door, Home, Said, Watch, on_job, soon};

/// A version that no job of these tests reaches.
const NEWER: u64 = 99;

fn seen(job: &Value) -> Seen {
    Seen::read(job).unwrap()
}

#[tokio::test]
async fn a_watcher_with_a_newer_version_gets_the_job_at_every_door() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    for door in Door::ALL {
        let id = client.submit("wait", &json!({})).await;
        client.until_status(&id, "WAITING").await;
        let mut transcript = JobTranscript::default();
        let now = client.seen(&id).await;
        transcript.subscribed(now.version, Some(NEWER));
        let variables = json!({ "id": id, "after": NEWER });
        let mut watch = Watch::open(door, &client, &on_job(), variables.clone()).await;
        transcript.event(seen(&watch.event().await));
        client.cancel(&id).await;
        transcript.event(seen(&watch.event().await));
        // AppSync's clients are not notified of the end.
        if door != Door::AppSync {
            assert_eq!(watch.next().await, Said::Complete, "{door:?}");
            transcript.completed();
        }
        // The same when the job has ended before.
        let ended = client.seen(&id).await;
        transcript.subscribed(ended.version, Some(NEWER));
        let mut watch = Watch::open(door, &client, &on_job(), variables).await;
        transcript.event(seen(&watch.event().await));
        transcript.finish(ended).unwrap();
        if door != Door::AppSync {
            assert_eq!(watch.next().await, Said::Complete, "{door:?}");
        }
    }
}

/// The events of a stream that an `EventSource` opens, to its end.
async fn event_source(
    client: &Client,
    id: &str,
    after: Option<u64>,
    last: Option<&str>,
) -> Vec<u64> {
    let after = after.map_or_else(String::new, |after| format!(", after: {after}"));
    let document = format!("subscription {{ onJob(id: \"{id}\"{after}) {{ version status }} }}");
    let query: String = form_urlencoded::byte_serialize(document.as_bytes()).collect();
    let mut request = client
        .request(reqwest::Method::GET, &format!("/graphql?query={query}"))
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let text = soon("the end of a stream", async {
        request.send().await.unwrap().text().await.unwrap()
    });
    let text = text.await;
    assert!(text.ends_with("event: complete\ndata:\n\n"), "{text}");
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn an_event_source_comes_back_with_any_id() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("pass", &json!({})).await;
    client.until_status(&id, "SUCCEEDED").await;
    let version = client.seen(&id).await.version;
    let (same, older) = (version.to_string(), (version - 1).to_string());
    for (after, last, gets_it) in [
        (None, None, true),
        (None, Some(older.as_str()), true),
        (None, Some(same.as_str()), false),
        (None, Some("99"), true),
        (None, Some("18446744073709551615"), true),
        (None, Some("18446744073709551616"), true),
        (None, Some("not a version"), true),
        (None, Some(""), true),
        (Some(version), None, false),
        (Some(NEWER), None, true),
        // What the client got last counts: the address is what it began with.
        (Some(version), Some(older.as_str()), true),
        (Some(1), Some(same.as_str()), false),
        (Some(NEWER), Some(same.as_str()), false),
    ] {
        let events = event_source(&client, &id, after, last).await;
        let expected = Vec::from_iter(gets_it.then_some(version));
        assert_eq!(events, expected, "after {after:?}, Last-Event-ID {last:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn watchers_go_on_over_a_restore() {
    let home = Home::simple();
    let server = home.start().await;
    let listen = server.address().to_owned();
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    assert!(server.stop().await.success());
    copy(&home.path("data"), &home.path("backup"));

    let server = home.start_on(&listen).await;
    let retry = "mutation($id: ID!) { retryJob(id: $id) { attempt } }";
    for _ in 0..2 {
        client.cancel(&id).await;
        client.data(retry, json!({ "id": id })).await;
        client.until_status(&id, "WAITING").await;
    }
    let before = client.seen(&id).await;
    let mut command_line = Command::new(env!("CARGO_BIN_EXE_jobcast"))
        .args(["watch", &id, "--json"])
        .env("JOBCAST_URL", &server.url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(command_line.stdout.take().unwrap()).lines();
    let mut shown = async || {
        let line = soon("a line of the command", lines.next_line())
            .await
            .unwrap();
        serde_json::from_str::<Value>(&line.expect("it has not ended")).unwrap()
    };
    assert_eq!(shown().await["version"], before.version);
    assert!(server.stop().await.success());

    fs::remove_dir_all(home.path("data")).unwrap();
    copy(&home.path("backup"), &home.path("data"));
    let _server = home.start_on(&listen).await;
    let restored = client.seen(&id).await;
    assert!(restored.version < before.version, "{restored} {before}");
    assert_eq!(shown().await["version"], restored.version);
    client.cancel(&id).await;
    let last = shown().await;
    assert_eq!(last["status"], "CANCELLED");
    assert!(last["version"].as_u64().unwrap() < before.version, "{last}");
    let status = soon("the end of the command", command_line.wait())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
