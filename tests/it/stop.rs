//! SIGTERM and SIGINT: requests finish, watchers are asked to come back, and executions continue at
//! the next start.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::mpsc;

use crate::kit::{Door, Home, Said, Watch, on_job, soon};

#[tokio::test]
async fn a_request_in_flight_finishes() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::simple();
        let server = home.start().await;
        let client = server.client();
        let document = "mutation { createUpload(name: \"x\", size: 6) { putUrl } }";
        let place = client.data(document, json!({})).await;
        let (body, parts) = mpsc::channel::<Result<&'static str, std::io::Error>>(1);
        let parts = futures_util::stream::unfold(parts, |mut parts| async move {
            parts.recv().await.map(|part| (part, parts))
        });
        let put = client
            .request(Method::PUT, place["putUrl"].as_str().unwrap())
            .body(reqwest::Body::wrap_stream(parts.boxed()));
        let put = tokio::spawn(put.send());
        body.send(Ok("123")).await.unwrap();
        // The file is there under another name as soon as the server has begun to read.
        soon("the upload to begin", async {
            let begun = || {
                std::fs::read_dir(home.path("data/files"))
                    .is_ok_and(|mut files| files.next().is_some())
            };
            while !begun() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        body.send(Ok("45")).await.unwrap();
        server.signal(signal);
        // New connections are not taken any more.
        soon("the listener's end", async {
            while client
                .send("{ listJobTypes { name } }", json!({}))
                .await
                .is_ok_and(|answer| answer.get("data").is_some())
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        body.send(Ok("6")).await.unwrap();
        drop(body);
        let response = soon("the answer", put).await.unwrap().unwrap();
        assert_eq!(response.status(), 204, "{signal:?}");
        assert!(server.ended().await.success(), "{signal:?}");
    }
}

#[tokio::test]
async fn watchers_are_told_to_come_back() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    let waiting = client.until_status(&id, "WAITING").await;
    let mut watches = Vec::new();
    for door in Door::ALL {
        let mut watch = Watch::open(door, &client, &on_job(), json!({ "id": id })).await;
        watch.event().await;
        watches.push((door, watch));
    }
    server.signal(Signal::TERM);
    for (door, watch) in &mut watches {
        let said = watch.next().await;
        match door {
            Door::TransportWs | Door::AppSync | Door::Legacy => {
                assert_eq!(said, Said::Closed(Some(1012)), "{door:?}")
            }
            // An end without `complete`: the client comes back.
            Door::Sse => assert_eq!(said, Said::Closed(None)),
            Door::Multipart => assert!(
                matches!(&said, Said::Error(errors) if errors[0]["errorType"] == "StreamEnded"),
                "{said:?}"
            ),
        }
    }
    assert!(server.ended().await.success());
    // They come back with what they have, and receive only what is new.
    let server = home.start().await;
    let client = server.client();
    for door in Door::ALL {
        let variables = json!({ "id": id, "after": waiting["version"] });
        let mut watch = Watch::open(door, &client, &on_job(), variables).await;
        let report = "mutation($id: ID!, $message: String) { reportProgress(input: { id: $id, message: $message }) { version } }";
        let reported = client
            .data(report, json!({ "id": id, "message": format!("{door:?}") }))
            .await;
        let told = watch.event().await;
        assert!(told["version"].as_u64() <= reported["version"].as_u64());
        assert!(
            told["version"].as_u64() > waiting["version"].as_u64(),
            "{door:?}"
        );
    }
}

#[tokio::test]
async fn what_runs_goes_on_at_the_next_start() {
    let pause = json!({ "StartAt": "Pause", "States": {
        "Pause": { "Type": "Wait", "Seconds": 1, "Next": "Call" },
        "Call": { "Type": "Task", "Resource": "noop2", "End": true } } });
    let home = Home::simple().machine("pause", &pause);
    let server = home.start().await;
    let client = server.client();
    let asked = client.submit("wait", &json!({})).await;
    let paused = client.submit("pause", &json!({ "n": 4 })).await;
    for id in [&asked, &paused] {
        client.until_status(id, "WAITING").await;
    }
    assert!(server.stop().await.success());
    let server = home.start().await;
    let client = server.client();
    client.until_status(&paused, "SUCCEEDED").await;
    assert_eq!(client.job(&paused).await["result"], "{\"n\":5}");
    let resume = r#"mutation($id: ID!) { resumeJob(id: $id, step: "Ask", output: "1") { id } }"#;
    client.data(resume, json!({ "id": asked })).await;
    client.until_status(&asked, "SUCCEEDED").await;
}

#[tokio::test]
async fn an_appsync_client_gets_silence_after_the_end_and_keeps_its_connection() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("pass", &json!({})).await;
    client.until_status(&id, "SUCCEEDED").await;
    let mut watch = Watch::open(Door::AppSync, &client, &on_job(), json!({ "id": id })).await;
    assert_eq!(watch.event().await["status"], "SUCCEEDED");
    // The server is asked to stop; only then something comes, and it is the close.
    let stopping = server.stop();
    let (said, status) = soon("the stop", async { tokio::join!(watch.read(), stopping) }).await;
    assert_eq!(said, Said::Closed(Some(1012)));
    assert!(status.success());
}
