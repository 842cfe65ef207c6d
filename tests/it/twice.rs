//! Clients, functions and streams repeat themselves: each step of a job's walk done twice has the
//! same end as done once.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Client, Door, Home, Watch, code_of, on_job};

/// A call of the internal listener's Step Functions API: the status and the answer.
async fn step_functions(
    internal: &str,
    client: &Client,
    action: &str,
    body: Value,
) -> (u16, Value) {
    let request = client.request(Method::POST, internal);
    let response = request
        .header("x-amz-target", format!("AWSStepFunctions.{action}"))
        .header("content-type", "application/x-amz-json-1.0")
        .body(body.to_string());
    let response = response.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn history(client: &Client, id: &str) -> Vec<Value> {
    let document = "query($id: ID!) { getJob(id: $id) { history(limit: 1000) { events } } }";
    let job = client.data(document, json!({ "id": id })).await;
    let events = job["history"]["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| serde_json::from_str(event.as_str().unwrap()).unwrap())
        .collect()
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["type"] == kind).count()
}

#[tokio::test]
async fn a_submit_with_one_token_is_one_job() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let input =
        json!({ "type": "pass", "input": "{\"n\":1}", "tags": ["a"], "clientRequestToken": "t" });
    let submits = (0..8).map(|_| client.submit_with(input.clone()));
    let ids: HashSet<String> = join_all(submits)
        .await
        .iter()
        .map(|job| job["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1, "eight submits at once are one job");
    let id = ids.into_iter().next().unwrap();
    client.until_status(&id, "SUCCEEDED").await;
    server.kill().await;
    let server = home.start().await;
    let client = server.client();
    let again = client.submit_with(input.clone()).await;
    assert_eq!(
        (again["id"].as_str(), again["status"].as_str()),
        (Some(id.as_str()), Some("SUCCEEDED"))
    );
    let list = client
        .data("{ listJobs { items { id } } }", json!({}))
        .await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(count(&history(&client, &id).await, "ExecutionStarted"), 1);
    // The same token for something else.
    let submit = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
    for (field, value) in [
        ("type", json!("wait")),
        ("input", json!("{\"n\":2}")),
        ("tags", json!(["b"])),
    ] {
        let mut other = input.clone();
        other[field] = value;
        let (code, message) = client.error(submit, json!({ "input": other })).await;
        assert_eq!(code, "IdempotencyConflict");
        assert!(
            message.contains(&id) && message.contains("new token"),
            "{message}"
        );
    }
    // In one batch, too.
    let batch =
        "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } } }";
    let twice = json!({ "type": "pass", "clientRequestToken": "u" });
    let jobs = client
        .data(batch, json!({ "inputs": [twice, twice] }))
        .await;
    assert_eq!(jobs[0]["job"]["id"], jobs[1]["job"]["id"]);
}

#[tokio::test]
async fn a_report_a_cancel_and_an_answer() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let variables = json!({ "id": id });
    let report = "mutation($id: ID!) { reportProgress(input: { id: $id, progress: 40, message: \"half\", itemsDone: 2, itemsTotal: 5 }) { version } }";
    let first = client.data(report, variables.clone()).await;
    assert_eq!(
        client.data(report, variables.clone()).await,
        first,
        "a repeat is no new version"
    );
    let resume = |n: u32| {
        format!(
            "mutation($id: ID!) {{ resumeJob(id: $id, step: \"Ask\", output: \"{{\\\"n\\\":{n}}}\") {{ id }} }}"
        )
    };
    client.data(&resume(1), variables.clone()).await;
    assert_eq!(
        client.error(&resume(2), variables.clone()).await.0,
        "NotWaiting"
    );
    let end = client.until_status(&id, "SUCCEEDED").await;
    assert_eq!(
        client.error(&resume(3), variables.clone()).await.0,
        "NotWaiting"
    );
    let job = client.job(&id).await;
    assert_eq!(
        (&job["version"], &job["result"]),
        (&end["version"], &json!("{\"n\":1}")),
        "the first answer counts"
    );

    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let cancelled = client.cancel(&id).await;
    assert_eq!(cancelled["status"], "CANCELLED");
    assert_eq!(
        client.cancel(&id).await,
        cancelled,
        "to cancel a cancelled job changes nothing"
    );
    assert_eq!(count(&history(&client, &id).await, "ExecutionAborted"), 1);
}

#[tokio::test]
async fn a_retry() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    client.cancel(&id).await;
    let retry = "mutation($id: ID!) { retryJob(id: $id) { attempt } }";
    let retries = join_all((0..4).map(|_| client.ask(retry, json!({ "id": id })))).await;
    for retry in &retries {
        // One wins. The others come too late, or lose the race.
        let refusal = code_of(retry).map(|(code, _)| code);
        let late = ["InvalidStatus", "ConflictingVersion", "StaleAttempt"];
        assert!(
            refusal.is_none_or(|code| late.contains(&code.as_str())),
            "{retry}"
        );
    }
    assert!(
        retries.iter().any(|retry| retry.get("errors").is_none()),
        "{retries:?}"
    );
    let again = client.until_status(&id, "WAITING").await;
    assert_eq!(again["attempt"], 2, "four retries at once are one attempt");
    assert_eq!(
        client.error(retry, json!({ "id": id })).await.0,
        "InvalidStatus"
    );
}

#[tokio::test]
async fn a_publish() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    for door in Door::ALL {
        let mut watch = Watch::open(door, &client, &on_job(), json!({ "id": id })).await;
        let told = watch.event().await;
        let version = told["version"].as_u64().unwrap();
        // As the table's stream would send it; the next two versions are never written.
        let publish = async |version: u64| {
            let new = json!({
                "id": id, "type": "wait", "owner": "dev", "status": "WAITING", "progress": 1, "attempt": 1, "version": version,
                "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z", "execution": id,
            });
            let document = "mutation($new: AWSJSON!) { publishJob(new: $new) { version } }";
            let published = client
                .data(document, json!({ "new": new.to_string() }))
                .await;
            assert_eq!(published["version"], version);
        };
        for version in [version + 1, version + 1, version, version + 1] {
            publish(version).await;
        }
        assert_eq!(watch.event().await["version"], version + 1, "{door:?}");
        publish(version + 1).await;
        publish(version + 2).await;
        assert_eq!(
            watch.event().await["version"],
            version + 2,
            "{door:?}: repeats are not told"
        );
    }
    let publish = "mutation { publishJob(new: \"{}\") { id } }";
    let (code, message) = client.error(publish, json!({})).await;
    assert_eq!(code, "BadRequest");
    assert!(
        message.contains("new is not a job as it is stored"),
        "{message}"
    );
}

#[tokio::test]
async fn what_happens_to_an_execution() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({ "a": 1 })).await;
    let waiting = client.until_status(&id, "WAITING").await;
    let call = async |action: &str, body: Value| {
        step_functions(server.internal(), &client, action, body).await
    };
    let execution = format!("arn:aws:states:us-east-1:000000000000:execution:wait:{id}");
    let (status, described) = call("DescribeExecution", json!({ "executionArn": execution })).await;
    assert_eq!(status, 200, "{described}");
    // The start is repeated: it is the same execution.
    let start = json!({ "stateMachineArn": described["stateMachineArn"], "name": id, "input": described["input"] });
    let (status, started) = call("StartExecution", start).await;
    assert_eq!(
        (status, &started["executionArn"]),
        (200, &json!(execution)),
        "{started}"
    );
    let resume =
        r#"mutation($id: ID!) { resumeJob(id: $id, step: "Ask", output: "{\"n\":1}") { id } }"#;
    client.data(resume, json!({ "id": id })).await;
    let end = client.until_status(&id, "SUCCEEDED").await;
    assert!(end["version"].as_u64() > waiting["version"].as_u64());
    // The end is stopped, and everything is reconciled at the next start: nothing changes.
    let (status, answer) = call("StopExecution", json!({ "executionArn": execution })).await;
    assert!(status == 200 || status == 400, "{answer}");
    server.kill().await;
    let server = home.start().await;
    let client = server.client();
    let next = client.submit("pass", &json!({})).await;
    client.until_status(&next, "SUCCEEDED").await;
    let job = client.job(&id).await;
    assert_eq!(
        (&job["version"], &job["status"], &job["result"]),
        (&end["version"], &json!("SUCCEEDED"), &json!("{\"n\":1}"))
    );
}
