//! Rights of callers, through the real doors: API keys with roles, owner rules, watch and report
//! tokens. Deny by default.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kit::{Client, Door, Home, Said, Watch, on_job};

/// A server that knows `ann` and `ben` (submitters), `vera` (viewer), `olga` (operator), `adam`
/// (admin), `paul` (publisher); each key is the name and `-key`.
pub(crate) fn home() -> Home {
    let keys = [
        ("ann", "submitter"),
        ("ben", "submitter"),
        ("vera", "viewer"),
        ("olga", "operator"),
        ("adam", "admin"),
        ("paul", "publisher"),
    ];
    // Other keys of ann's.
    let more = [
        ("ann-reads", "ann", "\"viewer\""),
        ("ann-both", "ann", "\"viewer\", \"submitter\""),
    ];
    let keys = keys.map(|(subject, role)| (subject, subject, format!("\"{role}\"")));
    let more = more.map(|(key, subject, roles)| (key, subject, roles.to_owned()));
    let lines = keys.into_iter().chain(more).map(|(key, subject, roles)| {
        let digest = Sha256::digest(format!("{key}-key"));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "[[auth.api_keys]]\nsha256 = \"{digest}\"\nsubject = \"{subject}\"\nroles = [{roles}]\n"
        )
    });
    Home::simple().config(&lines.collect::<String>())
}

/// The report token of a job that waits, as its function got it: the test looks where only the
/// operator of the machine can look.
pub(crate) async fn report_token(
    internal: &str,
    client: &Client,
    machine: &str,
    execution: &str,
) -> String {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:{machine}:{execution}");
    let request = client.request(reqwest::Method::POST, internal);
    let response = request
        .header("x-amz-target", "AWSStepFunctions.DescribeExecution")
        .header("content-type", "application/x-amz-json-1.0")
        .body(json!({ "executionArn": arn }).to_string());
    let described: Value = response.send().await.unwrap().json().await.unwrap();
    let input = described["input"]
        .as_str()
        .unwrap_or_else(|| panic!("{described}"));
    let input: Value = serde_json::from_str(input).unwrap();
    input["job"]["reportToken"].as_str().unwrap().to_owned()
}

/// The code of an operation's error; `None` when it succeeded.
async fn code(client: &Client, document: &str, variables: Value) -> Option<String> {
    let answer = client.ask(document, variables).await;
    crate::kit::code_of(&answer).map(|(code, _)| code)
}

#[tokio::test]
async fn strangers_are_refused_at_every_door() {
    let home = home();
    let server = home.start().await;
    let client = server.client();
    for stranger in [
        client.clone(),
        client.with_key("nobodys"),
        client.with_token("jc1.Zm9yZ2Vk.c2ln"),
    ] {
        let request = stranger.request(reqwest::Method::POST, "/graphql");
        let response = request
            .json(&json!({ "query": "{ listJobTypes { name } }" }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("www-authenticate"));
        let answer: Value = response.json().await.unwrap();
        assert_eq!(
            answer["errors"][0]["errorType"], "UnauthorizedException",
            "{answer}"
        );
        assert!(!answer.to_string().contains("nobodys"));
        for door in Door::ALL {
            let id = "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f";
            let opened = Watch::try_open(door, &stranger, &on_job(), json!({ "id": id })).await;
            assert!(opened.is_err(), "{door:?}");
        }
    }
    assert!(!home.log().contains("nobodys"), "no key stands in the log");
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let home = home();
    let server = home.start().await;
    let [ann, ben, vera, olga, adam, paul] = ["ann", "ben", "vera", "olga", "adam", "paul"]
        .map(|name| server.client().with_key(&format!("{name}-key")));
    let submit = "mutation { submitJob(input: { type: \"wait\" }) { id } }";
    for (client, refused) in [
        (&vera, true),
        (&olga, true),
        (&paul, true),
        (&ann, false),
        (&adam, false),
    ] {
        assert_eq!(code(client, submit, json!({})).await.is_some(), refused);
    }
    let upload = "mutation { createUpload(name: \"x\", size: 1) { id } }";
    for (client, refused) in [
        (&vera, true),
        (&olga, true),
        (&paul, true),
        (&ann, false),
        (&adam, false),
    ] {
        assert_eq!(code(client, upload, json!({})).await.is_some(), refused);
    }
    let types = "{ listJobTypes { name } }";
    for (client, refused) in [
        (&vera, false),
        (&olga, false),
        (&paul, true),
        (&ann, false),
        (&adam, false),
    ] {
        assert_eq!(code(client, types, json!({})).await.is_some(), refused);
    }
    let id = ann.submit("wait", &json!({})).await;
    let job = ann.until_status(&id, "WAITING").await;
    assert_eq!(job["owner"], "ann");
    // Its owner and callers that see all see it. For the others there is none.
    for (client, sees) in [
        (&ann, true),
        (&olga, true),
        (&adam, true),
        (&paul, true),
        (&ben, false),
        (&vera, false),
    ] {
        let found = client.job(&id).await;
        assert_eq!(!found.is_null(), sees);
        let list = client
            .data("{ listJobs { items { id } } }", json!({}))
            .await;
        assert_eq!(list.to_string().contains(&id), sees);
        let stats = client.data("{ jobStats { total } }", json!({})).await;
        assert_eq!(stats["total"].as_u64().unwrap() > 0, sees);
        for door in Door::ALL {
            let mut watch = Watch::open(door, client, &on_job(), json!({ "id": id })).await;
            match watch.next().await {
                Said::Next(_) => assert!(sees, "{door:?}"),
                Said::Error(errors) => assert_eq!(
                    (errors[0]["errorType"].as_str(), sees),
                    (Some("NotFound"), false)
                ),
                other => panic!("{other:?}"),
            }
        }
    }
    let report = json!({ "input": { "id": id, "progress": 1 } });
    let reporting =
        "mutation($input: ReportProgressInput!) { reportProgress(input: $input) { id } }";
    for (client, refused) in [
        (&ann, true),
        (&olga, true),
        (&vera, true),
        (&paul, false),
        (&adam, false),
    ] {
        assert_eq!(
            code(client, reporting, report.clone()).await.is_some(),
            refused
        );
    }
    let publish = "mutation { publishJob(new: \"{}\") { id } }";
    for (client, refusal) in [
        (&ann, "Unauthorized"),
        (&adam, "Unauthorized"),
        (&paul, "BadRequest"),
    ] {
        assert_eq!(
            code(client, publish, json!({})).await.as_deref(),
            Some(refusal)
        );
    }
    // The same document again and again, as who follows a table's stream sends it.
    let publish = "mutation($new: AWSJSON!) { publishJob(new: $new) { id } }";
    let stored = json!({
        "id": id, "type": "wait", "owner": "ann", "status": "WAITING", "progress": 1, "attempt": 1, "version": 1,
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z", "execution": id,
    });
    let stored = stored.to_string();
    for (client, new, refusal) in [
        (&ann, stored.as_str(), Some("Unauthorized")),
        (&paul, "{}", Some("BadRequest")),
        (&paul, &stored, None),
        (&paul, &stored, None),
        (&ann, &stored, Some("Unauthorized")),
        (&adam, &stored, Some("Unauthorized")),
        (&paul, "{}", Some("BadRequest")),
        (&paul, "{", Some("ValidationError")),
        (&paul, &stored, None),
    ] {
        let published = code(client, publish, json!({ "new": new })).await;
        assert_eq!(published.as_deref(), refusal, "{new}");
    }
    // Its owner, operators and admins control it. A foreign submitter learns nothing, a viewer of
    // all is refused.
    let cancel = "mutation($id: ID!) { cancelJob(id: $id) { status } }";
    for (client, refusal) in [
        (&ben, Some("NotFound")),
        (&vera, Some("NotFound")),
        (&paul, Some("Unauthorized")),
        (&olga, None),
    ] {
        assert_eq!(
            code(client, cancel, json!({ "id": id })).await.as_deref(),
            refusal
        );
    }
    let retry = "mutation($id: ID!) { retryJob(id: $id) { status } }";
    for (client, refusal) in [
        (&ben, Some("NotFound")),
        (&paul, Some("Unauthorized")),
        (&ann, None),
    ] {
        assert_eq!(
            code(client, retry, json!({ "id": id })).await.as_deref(),
            refusal
        );
    }
}

/// The next job that enters a list; jobs of before may change meanwhile.
async fn entered(watch: &mut Watch) -> Value {
    loop {
        let change = watch.event().await;
        if change["kind"] == "ENTER" {
            return change;
        }
    }
}

#[tokio::test]
async fn a_live_list_shows_each_caller_its_own() {
    let home = home();
    let server = home.start().await;
    let [ann, ben, olga] =
        ["ann", "ben", "olga"].map(|name| server.client().with_key(&format!("{name}-key")));
    let document = "subscription { onJobs { kind job { id owner } } }";
    for door in Door::ALL {
        let mut of_ann = Watch::open(door, &ann, document, json!({})).await;
        let mut of_all = Watch::open(door, &olga, document, json!({})).await;
        for watch in [&mut of_ann, &mut of_all] {
            while watch.event().await["kind"] != "SNAPSHOT" {}
        }
        let bens = ben.submit("wait", &json!({})).await;
        let anns = ann.submit("wait", &json!({})).await;
        // Ben's event was first: since Ann has received hers, she does not receive his.
        let first = entered(&mut of_ann).await;
        assert_eq!(first["job"]["id"], anns.as_str(), "{door:?}");
        let first = entered(&mut of_all).await;
        assert_eq!(first["job"]["id"], bens.as_str(), "{door:?}");
    }
}

#[tokio::test]
async fn a_watch_token_reads_one_job_and_nothing_else() {
    let home = home();
    let server = home.start().await;
    let ann = server.client().with_key("ann-key");
    let id = ann.submit("wait", &json!({})).await;
    let other = ann.submit("wait", &json!({})).await;
    ann.until_status(&id, "WAITING").await;
    let create = "mutation($id: ID!) { createWatchToken(id: $id) { token expiresAt } }";
    let token = ann.data(create, json!({ "id": id })).await;
    let guest = ann.with_token(token["token"].as_str().unwrap());
    assert_eq!(guest.job(&id).await["status"], "WAITING");
    assert!(guest.job(&other).await.is_null());
    let list = guest.data("{ listJobs { items { id } } }", json!({})).await;
    assert_eq!(list["items"], json!([{ "id": id }]));
    for (document, refusal) in [
        (
            "mutation($id: ID!) { cancelJob(id: $id) { id } }",
            "Unauthorized",
        ),
        (
            "mutation($id: ID!) { retryJob(id: $id) { id } }",
            "Unauthorized",
        ),
        (
            "mutation($id: ID!) { resumeJob(id: $id, step: \"Ask\") { id } }",
            "Unauthorized",
        ),
        (
            "mutation($id: ID!) { reportProgress(input: { id: $id, progress: 1 }) { id } }",
            "Unauthorized",
        ),
        (
            "mutation($id: ID!) { createWatchToken(id: $id) { token } }",
            "Unauthorized",
        ),
        (
            "mutation { submitJob(input: { type: \"pass\" }) { id } }",
            "Unauthorized",
        ),
        (
            "mutation { createUpload(name: \"x\", size: 1) { id } }",
            "Unauthorized",
        ),
        (
            "mutation { publishJob(new: \"{}\") { id } }",
            "Unauthorized",
        ),
        ("{ listJobTypes { name } }", "Unauthorized"),
    ] {
        let variables = if document.contains("$id") {
            json!({ "id": id })
        } else {
            json!({})
        };
        assert_eq!(
            code(&guest, document, variables).await.as_deref(),
            Some(refusal),
            "{document}"
        );
    }
    for door in Door::ALL {
        let mut watch = Watch::open(door, &guest, &on_job(), json!({ "id": id })).await;
        assert_eq!(watch.event().await["status"], "WAITING", "{door:?}");
        let mut foreign = Watch::open(door, &guest, &on_job(), json!({ "id": other })).await;
        assert!(matches!(foreign.next().await, Said::Error(_)), "{door:?}");
    }
}

#[tokio::test]
async fn what_a_reader_sees_holds_no_token_that_may_write() {
    let home = home();
    let server = home.start().await;
    let ann = server.client().with_key("ann-key");
    // The input of every execution carries the job's report token, and this job type gives its
    // input back.
    let id = ann.submit("pass", &json!({})).await;
    ann.until_status(&id, "SUCCEEDED").await;
    let document = "query($id: ID!) { getJob(id: $id) { input result history { events } } }";
    let job = ann.data(document, json!({ "id": id })).await;
    assert!(
        job["history"]["events"]
            .to_string()
            .contains("ExecutionSucceeded"),
        "{job}"
    );
    assert!(job["result"].to_string().contains("reportToken"), "{job}");
    assert!(!job.to_string().contains("jc1."), "{job}");
}

#[tokio::test]
async fn a_report_token_reports_on_its_job_in_its_attempt() {
    let home = home();
    let server = home.start().await;
    let ann = server.client().with_key("ann-key");
    let id = ann.submit("wait", &json!({})).await;
    let other = ann.submit("wait", &json!({})).await;
    ann.until_status(&id, "WAITING").await;
    ann.until_status(&other, "WAITING").await;
    let token = report_token(server.internal(), &server.client(), "wait", &id).await;
    let function = ann.with_token(&token);
    let report = async |client: &Client, id: &str| {
        let document = "mutation($id: ID!) { reportProgress(input: { id: $id, progress: 7, message: \"half\" }) { message } }";
        code(client, document, json!({ "id": id })).await
    };
    assert_eq!(report(&function, &id).await, None);
    assert_eq!(ann.job(&id).await["message"], "half");
    assert_eq!(
        report(&function, &other).await.as_deref(),
        Some("Unauthorized"),
        "a foreign job"
    );
    assert_eq!(
        code(
            &function,
            "mutation { createUpload(name: \"x\", size: 1) { id } }",
            json!({})
        )
        .await,
        None
    );
    for document in [
        "mutation($id: ID!) { cancelJob(id: $id) { id } }",
        "mutation($id: ID!) { createWatchToken(id: $id) { token } }",
    ] {
        assert_eq!(
            code(&function, document, json!({ "id": id }))
                .await
                .as_deref(),
            Some("Unauthorized")
        );
    }
    assert_eq!(
        code(
            &function,
            "mutation { submitJob(input: { type: \"pass\" }) { id } }",
            json!({})
        )
        .await
        .as_deref(),
        Some("Unauthorized")
    );
    // The next attempt has another token.
    ann.cancel(&id).await;
    assert_eq!(
        report(&function, &id).await.as_deref(),
        Some("InvalidStatus"),
        "the job has ended"
    );
    ann.data(
        "mutation($id: ID!) { retryJob(id: $id) { id } }",
        json!({ "id": id }),
    )
    .await;
    ann.until_status(&id, "WAITING").await;
    assert_eq!(
        report(&function, &id).await.as_deref(),
        Some("StaleAttempt")
    );
}
