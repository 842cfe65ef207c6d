//! A disk that is full: writes fail cleanly, reads go on, nothing acknowledged is lost, and with
//! room again everything goes on.
//!
//! The server's files are kept from growing by a limit on their size (RLIMIT_FSIZE), which needs no
//! root.

#![cfg(target_os = "linux")]

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::kit::{Client, Door, Home, Said, Server, Watch, code_of, on_job};

/// Maximum size in bytes of a file of the server; `None` for no maximum.
fn limit(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(server.pid().cast_signed());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

fn size(home: &Home) -> u64 {
    let size = |name: &str| fs::metadata(home.path(name)).map_or(0, |meta| meta.len());
    size("data/jobcast.db").max(size("data/jobcast.db-wal"))
}

/// How many jobs there are.
async fn listed(client: &Client) -> usize {
    let document =
        "query($after: String) { listJobs(nextToken: $after) { items { id } nextToken } }";
    let (mut count, mut after) = (0, Value::Null);
    loop {
        let page = client.data(document, json!({ "after": after })).await;
        count += page["items"].as_array().unwrap().len();
        after = page["nextToken"].clone();
        if after.is_null() {
            return count;
        }
    }
}

#[tokio::test]
async fn a_full_disk() {
    let home = Home::simple().ignoring_size_signals();
    let server = home.start().await;
    let client = server.client();
    let watched = client.submit("wait", &json!({})).await;
    client.until_status(&watched, "WAITING").await;
    let mut watch = Watch::open(
        Door::TransportWs,
        &client,
        &on_job(),
        json!({ "id": watched }),
    )
    .await;
    let first = watch.event().await;
    let document = "mutation { createUpload(name: \"big\", size: 4000000) { putUrl getUrl } }";
    let place = client.data(document, json!({})).await;

    limit(&server, Some(size(&home) + 500_000));
    let submit = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
    let mut acknowledged = Vec::new();
    let refusal = loop {
        let input = json!({ "n": acknowledged.len(), "x": "x".repeat(150_000) });
        let input = json!({ "type": "pass", "input": input.to_string() });
        let answer = client.ask(submit, json!({ "input": input })).await;
        match code_of(&answer) {
            None => acknowledged.push(
                answer["data"]["submitJob"]["id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ),
            Some(refusal) => break refusal,
        }
        assert!(acknowledged.len() < 1000, "the disk is never full");
    };
    assert_eq!(refusal.0, "ServiceUnavailable");
    assert!(refusal.1.contains("disk"), "{}", refusal.1);
    assert!(!acknowledged.is_empty());

    // Writes fail, the small ones a little later, and nothing of them is seen; reads go on.
    let report = "mutation($id: ID!, $message: String) { reportProgress(input: { id: $id, message: $message }) { version } }";
    let news = "n".repeat(1000);
    let mut reported = Vec::new();
    let refused = loop {
        if reported.len() == 20 {
            limit(&server, Some(1));
        }
        let answer = client
            .ask(
                report,
                json!({ "id": watched, "message": format!("{} {news}", reported.len()) }),
            )
            .await;
        match code_of(&answer) {
            None => reported.push(
                answer["data"]["reportProgress"]["version"]
                    .as_u64()
                    .unwrap(),
            ),
            Some((code, _)) => break code,
        }
        assert!(reported.len() <= 20, "the disk is never full");
    };
    assert_eq!(refused, "ServiceUnavailable");
    let now = client.job(&watched).await;
    assert_eq!(
        now["version"].as_u64(),
        reported.last().copied().or(first["version"].as_u64())
    );
    for id in &acknowledged {
        assert!(!client.job(id).await.is_null(), "{id} was acknowledged");
    }
    assert_eq!(
        listed(&client).await,
        acknowledged.len() + 1,
        "nothing else is there"
    );
    // Not a byte more, for the log neither.
    limit(&server, Some(1));
    let (status, text) = client.get("/readyz").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(client.get("/healthz").await.0, 200);
    let put = async || {
        let body = vec![7_u8; 4_000_000];
        let put = client
            .request(reqwest::Method::PUT, place["putUrl"].as_str().unwrap())
            .body(body);
        let response = put.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, text) = put().await;
    assert_eq!(status, 507, "{text}");
    assert!(text.contains("Nothing was kept"), "{text}");
    assert_eq!(client.get(place["getUrl"].as_str().unwrap()).await.0, 404);

    // With room again everything goes on, without a restart.
    limit(&server, None);
    assert_eq!(client.get("/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(put().await.0, 204);
    for id in &acknowledged {
        client.until_status(id, "SUCCEEDED").await;
    }
    let resume = r#"mutation($id: ID!) { resumeJob(id: $id, step: "Ask", output: "1") { id } }"#;
    client.data(resume, json!({ "id": watched })).await;
    let mut last = first;
    loop {
        match watch.next().await {
            Said::Next(payload) => {
                let told = payload["data"]["onJob"].clone();
                assert!(told["version"].as_u64() > last["version"].as_u64());
                last = told;
            }
            Said::Complete => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(last["status"], "SUCCEEDED");
    let ends: Vec<Value> = vec![
        client.job(&watched).await["version"].clone(),
        last["version"].clone(),
    ];
    assert_eq!(ends[0], ends[1]);
    // And after one.
    server.kill().await;
    let server = home.start().await;
    for id in &acknowledged {
        assert_eq!(server.client().job(id).await["status"], "SUCCEEDED");
    }
}
