//! A subscription through every door: snapshot first, versions rising, the end, errors.

use checker::{JobTranscript, ListTranscript, Seen};
use serde_json::json;

use crate::kit::{Door, Home, Said, Watch, on_job};

#[tokio::test]
async fn a_job_is_watched_to_its_end_through_every_door() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    for door in Door::ALL {
        let id = client.submit("wait", &json!({})).await;
        let waiting = client.until_status(&id, "WAITING").await;
        let committed = waiting["version"].as_u64().unwrap();
        let mut transcript = JobTranscript::default();
        transcript.subscribed(committed, None);
        let mut watch = Watch::open(door, &client, &on_job(), json!({ "id": id })).await;
        let first = watch.event().await;
        assert_eq!(first["id"], id.as_str());
        transcript.event(Seen::read(&first).unwrap());
        // Nothing more is received before an answer.
        let resume = r#"mutation($id: ID!) { resumeJob(id: $id, step: "Ask", output: "{\"n\":7}") { version } }"#;
        client.data(resume, json!({ "id": id })).await;
        while !transcript.last().unwrap().status.is_terminal() {
            transcript.event(Seen::read(&watch.event().await).unwrap());
        }
        // AppSync's clients ignore `complete`: they get silence, see the next test.
        if door != Door::AppSync {
            assert_eq!(watch.next().await, Said::Complete, "{door:?}");
            transcript.completed();
        }
        transcript.finish(client.seen(&id).await).unwrap();
        assert_eq!(client.job(&id).await["result"], r#"{"n":7}"#);
    }
}

#[tokio::test]
async fn who_has_the_newest_version_gets_only_newer_ones() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    for door in Door::ALL {
        let id = client.submit("wait", &json!({})).await;
        let version = client.until_status(&id, "WAITING").await["version"]
            .as_u64()
            .unwrap();
        let variables = json!({ "id": id, "after": version });
        let mut watch = Watch::open(door, &client, &on_job(), variables).await;
        let cancelled = client.cancel(&id).await;
        let told = watch.event().await;
        assert_eq!(told["version"], cancelled["version"], "{door:?}");
        assert_eq!(told["status"], "CANCELLED");
        // A client that has the end already gets only the end.
        let variables = json!({ "id": id, "after": told["version"] });
        let mut late = Watch::open(door, &client, &on_job(), variables).await;
        if door != Door::AppSync {
            assert_eq!(late.next().await, Said::Complete, "{door:?}");
        }
    }
}

#[tokio::test]
async fn a_live_list_through_every_door() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let document = "subscription($filter: JobFilter) { onJobs(filter: $filter) { kind job { id version status tags } } }";
    for door in Door::ALL {
        let tag = format!("{door:?}");
        let submit = async || {
            let input = json!({ "type": "wait", "input": "{}", "tags": [tag] });
            let job = client.submit_with(input).await;
            let id = job["id"].as_str().unwrap().to_owned();
            client.until_status(&id, "WAITING").await;
            id
        };
        let before = submit().await;
        let filter = json!({ "filter": { "status": { "in": ["QUEUED", "RUNNING", "WAITING"] }, "tags": { "contains": tag } } });
        let mut watch = Watch::open(door, &client, document, filter).await;
        let mut list = ListTranscript::default();
        list.subscribed();
        let wanted = |job: &serde_json::Value| {
            let open = ["QUEUED", "RUNNING", "WAITING"].contains(&job["status"].as_str()?);
            Some(open && job["tags"][0] == tag.as_str())
        };
        while !list.is_complete() {
            list.event(checker::ListEvent::read(&watch.event().await, wanted).unwrap());
        }
        assert_eq!(
            list.held().keys().collect::<Vec<_>>(),
            [&before],
            "{door:?}"
        );
        let after = submit().await;
        let newest = client.seen(&after).await.version;
        while list.held().get(&after) != Some(&newest) {
            list.event(checker::ListEvent::read(&watch.event().await, wanted).unwrap());
        }
        client.cancel(&before).await;
        while list.held().contains_key(&before) {
            list.event(checker::ListEvent::read(&watch.event().await, wanted).unwrap());
        }
        list.finish(&[(after, newest)].into())
            .unwrap_or_else(|violation| panic!("{door:?}: {violation}"));
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_said_through_every_door() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let unknown = "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f";
    for door in Door::ALL {
        for (document, variables, code) in [
            (on_job(), json!({ "id": unknown }), "NotFound"),
            (on_job(), json!({ "id": "7" }), "BadRequest"),
            (
                on_job(),
                json!({ "id": unknown, "after": -1 }),
                "BadRequest",
            ),
            (on_job(), json!({}), "ValidationError"),
            (
                "subscription { onJob(id: 7) { nothing } }".to_owned(),
                json!({}),
                "ValidationError",
            ),
            ("subscription {".to_owned(), json!({}), "ValidationError"),
        ] {
            let mut watch = Watch::open(door, &client, &document, variables).await;
            let Said::Error(errors) = watch.next().await else {
                panic!("{door:?}: {document}");
            };
            assert_eq!(errors[0]["errorType"], code, "{door:?}: {errors}");
            assert!(
                errors[0]["message"].as_str().unwrap().len() > 10,
                "{errors}"
            );
        }
    }
}
