//! What a client may get wrong: each mistake has its code and a message that says what to do, and
//! leaves nothing half-done. Every limit of a job is tried exactly at it and one over it.

use job::limits;
use serde_json::{Value, json};

use crate::kit::{Client, Home, code_of};

const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
const REPORT: &str = "mutation($input: ReportProgressInput!) { reportProgress(input: $input) { version progress message } }";
const UNKNOWN: &str = "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f";

async fn count(client: &Client) -> usize {
    let page = client
        .data("{ listJobs(limit: 100) { items { id } } }", json!({}))
        .await;
    page["items"].as_array().unwrap().len()
}

/// The operation fails with this code, and says all of `said`.
async fn fails(client: &Client, document: &str, variables: Value, code: &str, said: &[&str]) {
    let (got, message) = client.error(document, variables).await;
    assert_eq!(got, code, "{message}");
    for said in said {
        assert!(message.contains(said), "`{said}` is missing: {message}");
    }
}

/// A JSON text of exactly this many bytes.
fn json_of(bytes: usize) -> String {
    format!("{{\"x\":\"{}\"}}", "a".repeat(bytes - 8))
}

#[tokio::test]
async fn a_submit_that_cannot_be_leaves_nothing() {
    let schema = json!({ "type": "object", "required": ["size"], "properties": { "size": { "type": "integer", "minimum": 1 } } });
    let pass = json!({ "StartAt": "A", "States": { "A": { "Type": "Pass", "End": true } } });
    let home = Home::simple()
        .machine("sized", &pass)
        .schema("sized", &schema);
    let server = home.start().await;
    let client = server.client();
    let input = |input: Value| json!({ "input": input });
    let long = |bytes: usize| "x".repeat(bytes);
    let tags = |count: usize| vec!["tag"; count];
    for (variables, code, said) in [
        (
            input(json!({ "type": "nothing" })),
            "UnknownJobType",
            &["`nothing`", "known are: pass, sized, wait"][..],
        ),
        (
            input(json!({ "type": "pass", "input": "{broken" })),
            "ValidationError",
            &["AWSJSON string is not JSON", "SubmitJobInput"],
        ),
        (
            input(json!({ "type": "sized", "input": "{}" })),
            "InvalidInput",
            &["`sized`", "size", "required"],
        ),
        (
            input(json!({ "type": "sized", "input": "{\"size\":0}" })),
            "InvalidInput",
            &["/size", "minimum"],
        ),
        (
            input(json!({ "type": "sized", "input": "[]" })),
            "InvalidInput",
            &["object"],
        ),
        (
            input(json!({ "type": "pass", "input": json_of(limits::INPUT_BYTES + 1) })),
            "LimitExceeded",
            &["input", "262145", "262144"],
        ),
        (
            input(json!({ "type": "pass", "tags": tags(limits::TAGS + 1) })),
            "LimitExceeded",
            &["tags", "11", "10"],
        ),
        (
            input(json!({ "type": "pass", "tags": [long(limits::TAG_BYTES + 1)] })),
            "LimitExceeded",
            &["tag", "129", "128"],
        ),
        (
            input(json!({ "type": "pass", "clientRequestToken": long(limits::TOKEN_BYTES + 1) })),
            "LimitExceeded",
            &["clientRequestToken", "129", "128"],
        ),
        (
            input(json!({ "type": "pass", "clientRequestToken": "" })),
            "BadRequest",
            &["clientRequestToken", "leave it out"],
        ),
        (
            input(json!({ "input": "{}" })),
            "ValidationError",
            &["type"],
        ),
    ] {
        fails(&client, SUBMIT, variables, code, said).await;
    }
    assert_eq!(count(&client).await, 0, "nothing was accepted");

    // Exactly at the limits.
    let largest = json!({
        "type": "pass",
        "input": json_of(limits::INPUT_BYTES),
        "tags": vec![long(limits::TAG_BYTES); limits::TAGS],
        "clientRequestToken": long(limits::TOKEN_BYTES),
    });
    client.submit_with(largest).await;
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn a_batch_is_bounded_and_each_job_of_it_stands_alone() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let document = "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } error { code message } } }";
    let batch = |count: usize| json!({ "inputs": vec![json!({ "type": "pass" }); count] });
    fails(
        &client,
        document,
        batch(limits::BATCH + 1),
        "LimitExceeded",
        &["inputs", "101", "100"],
    )
    .await;
    assert_eq!(count(&client).await, 0);
    let accepted = client.data(document, batch(limits::BATCH)).await;
    assert_eq!(accepted.as_array().unwrap().len(), limits::BATCH);
    assert!(
        accepted
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["error"].is_null())
    );
    let mixed = json!({ "inputs": [{ "type": "pass" }, { "type": "nothing" }, { "type": "pass", "tags": vec!["t"; 11] }, { "type": "pass" }] });
    let mixed = client.data(document, mixed).await;
    let code = |place: usize| mixed[place]["error"]["code"].as_str();
    assert_eq!(
        [code(0), code(1), code(2), code(3)],
        [None, Some("UnknownJobType"), Some("LimitExceeded"), None]
    );
    assert!(mixed[3]["job"]["id"].is_string());
}

#[tokio::test]
async fn the_body_of_a_request_is_bounded() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let most = jobcast::http::BODY_BYTES;
    let send = async |bytes: usize| {
        let head = r#"{"query":"{ listJobTypes { name } }","variables":{"x":""#;
        let body = format!("{head}{}\"}}}}", "a".repeat(bytes - head.len() - 3));
        assert_eq!(body.len(), bytes);
        let request = client
            .request(reqwest::Method::POST, "/graphql")
            .header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(send(most).await.0, 200);
    let (status, text) = send(most + 1).await;
    assert_eq!(status, 413);
    assert!(text.contains(&most.to_string()), "{text}");
}

#[tokio::test]
async fn ids_jobs_and_steps_that_are_not_there() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let on = |field: &str| format!("mutation($id: ID!) {{ {field} {{ id }} }}");
    for field in [
        "cancelJob(id: $id)",
        "retryJob(id: $id)",
        "resumeJob(id: $id, step: \"Ask\")",
        "reportProgress(input: { id: $id, progress: 1 })",
    ] {
        fails(
            &client,
            &on(field),
            json!({ "id": "7" }),
            "BadRequest",
            &["`7` is not a job id", "UUID"],
        )
        .await;
        fails(
            &client,
            &on(field),
            json!({ "id": UNKNOWN }),
            "NotFound",
            &[UNKNOWN],
        )
        .await;
    }
    fails(
        &client,
        "mutation { createWatchToken(id: \"7\") { token } }",
        json!({}),
        "BadRequest",
        &["is not a job id"],
    )
    .await;
    fails(
        &client,
        "query { getJob(id: \"7\") { id } }",
        json!({}),
        "BadRequest",
        &["is not a job id"],
    )
    .await;
    let job = client
        .data(
            "query($id: ID!) { getJob(id: $id) { id } }",
            json!({ "id": UNKNOWN }),
        )
        .await;
    assert!(job.is_null());

    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let resume = "mutation($id: ID!, $step: String!, $output: AWSJSON) { resumeJob(id: $id, step: $step, output: $output) { id } }";
    let with = |step: &str, output: &str| json!({ "id": id, "step": step, "output": output });
    fails(
        &client,
        resume,
        with("Done", "{}"),
        "NotWaiting",
        &["`Done`", "WAITING"],
    )
    .await;
    fails(
        &client,
        resume,
        with("Ask", "{"),
        "ValidationError",
        &["AWSJSON string is not JSON"],
    )
    .await;
    let over = json_of(limits::RESULT_BYTES + 1);
    fails(
        &client,
        resume,
        with("Ask", &over),
        "LimitExceeded",
        &["output", "262145", "262144"],
    )
    .await;
    let cancel = "mutation($id: ID!, $reason: String) { cancelJob(id: $id, reason: $reason) { status error { message } } }";
    let reason = |bytes: usize| json!({ "id": id, "reason": "r".repeat(bytes) });
    fails(
        &client,
        cancel,
        reason(limits::MESSAGE_BYTES + 1),
        "LimitExceeded",
        &["reason", "1025", "1024"],
    )
    .await;
    assert_eq!(
        client.job(&id).await["status"],
        "WAITING",
        "nothing was done"
    );
    let cancelled = client.data(cancel, reason(limits::MESSAGE_BYTES)).await;
    assert_eq!(
        cancelled["error"]["message"].as_str().unwrap().len(),
        limits::MESSAGE_BYTES
    );
    fails(&client, resume, with("Ask", "{}"), "NotWaiting", &["`Ask`"]).await;

    let done = client.submit("pass", &json!({})).await;
    let before = client.until_status(&done, "SUCCEEDED").await;
    fails(
        &client,
        cancel,
        json!({ "id": done }),
        "InvalidStatus",
        &["SUCCEEDED"],
    )
    .await;
    fails(
        &client,
        &on("retryJob(id: $id)"),
        json!({ "id": done }),
        "InvalidStatus",
        &["SUCCEEDED"],
    )
    .await;
    assert_eq!(client.job(&done).await["version"], before["version"]);
}

#[tokio::test]
async fn the_largest_answer_of_a_waiting_task_becomes_the_result() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let output = json_of(limits::RESULT_BYTES);
    let resume = "mutation($id: ID!, $output: AWSJSON) { resumeJob(id: $id, step: \"Ask\", output: $output) { id } }";
    client
        .data(resume, json!({ "id": id, "output": output }))
        .await;
    client.until_status(&id, "SUCCEEDED").await;
    assert_eq!(client.job(&id).await["result"], output.as_str());
}

#[tokio::test]
async fn reports_that_cannot_be() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    let before = client.until_status(&id, "WAITING").await;
    let report = |fields: Value| {
        let mut input = json!({ "id": id });
        input
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({ "input": input })
    };
    for (fields, code, said) in [
        (
            json!({ "progress": 101 }),
            "BadRequest",
            &["101", "0 to 100"][..],
        ),
        (
            json!({ "progress": 300 }),
            "BadRequest",
            &["300", "0 to 100"],
        ),
        (json!({ "progress": -1 }), "BadRequest", &["-1", "0 to 100"]),
        (json!({ "itemsDone": -1 }), "BadRequest", &["itemsDone"]),
        (
            json!({ "step": "Nowhere", "progress": 5 }),
            "BadRequest",
            &["Nowhere"],
        ),
        (
            json!({ "message": "m".repeat(limits::MESSAGE_BYTES + 1) }),
            "LimitExceeded",
            &["message", "1025", "1024"],
        ),
    ] {
        fails(&client, REPORT, report(fields), code, said).await;
    }
    assert_eq!(
        client.job(&id).await["version"],
        before["version"],
        "nothing was written"
    );
    let message = "m".repeat(limits::MESSAGE_BYTES);
    let told = client
        .data(
            REPORT,
            report(json!({ "progress": 100, "message": message })),
        )
        .await;
    assert_eq!(told["message"], message.as_str());
    client.cancel(&id).await;
    fails(
        &client,
        REPORT,
        report(json!({ "progress": 5 })),
        "InvalidStatus",
        &["CANCELLED"],
    )
    .await;
}

#[tokio::test]
async fn lists_and_filters_are_bounded() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let list = "query($filter: JobFilter, $limit: Int! = 20, $next: String) { listJobs(filter: $filter, limit: $limit, nextToken: $next) { items { id } nextToken } }";
    for limit in [0, -1, 101] {
        fails(
            &client,
            list,
            json!({ "limit": limit }),
            "BadRequest",
            &["limit", &limit.to_string(), "from 1 to 100"],
        )
        .await;
    }
    client.data(list, json!({ "limit": 1 })).await;
    client
        .data(list, json!({ "limit": limits::LIST_PAGE }))
        .await;
    fails(
        &client,
        list,
        json!({ "next": "garbage" }),
        "BadRequest",
        &["nextToken", "listJobs returned"],
    )
    .await;
    let values = |count: usize| json!({ "filter": { "type": { "in": vec!["pass"; count] } } });
    fails(
        &client,
        list,
        values(limits::FILTER_VALUES + 1),
        "LimitExceeded",
        &["filter.type", "101", "100"],
    )
    .await;
    client.data(list, values(limits::FILTER_VALUES)).await;
    let value = |bytes: usize| json!({ "filter": { "owner": { "contains": "x".repeat(bytes) } } });
    fails(
        &client,
        list,
        value(limits::FILTER_VALUE_BYTES + 1),
        "LimitExceeded",
        &["filter.owner", "1025", "1024"],
    )
    .await;
    client.data(list, value(limits::FILTER_VALUE_BYTES)).await;
    fails(
        &client,
        list,
        json!({ "filter": { "createdAt": { "between": ["2026-01-01T00:00:00Z"] } } }),
        "BadRequest",
        &["between"],
    )
    .await;
    fails(
        &client,
        list,
        json!({ "filter": { "createdAt": { "eq": "yesterday" } } }),
        "ValidationError",
        &["yesterday"],
    )
    .await;
    fails(
        &client,
        list,
        json!({ "filter": { "color": { "eq": "red" } } }),
        "ValidationError",
        &["color"],
    )
    .await;
    let history = "query($id: ID!, $after: Int!, $limit: Int!) { getJob(id: $id) { history(after: $after, limit: $limit) { next } } }";
    let id = client.submit("pass", &json!({})).await;
    for (after, limit, said) in [
        (0, 0, "from 1 to 1000"),
        (0, 1001, "from 1 to 1000"),
        (-1, 1, "negative"),
    ] {
        let variables = json!({ "id": id, "after": after, "limit": limit });
        fails(&client, history, variables, "BadRequest", &[said]).await;
    }
    for limit in [1, 1000] {
        client
            .data(history, json!({ "id": id, "after": 0, "limit": limit }))
            .await;
    }
}

#[tokio::test]
async fn watch_tokens_and_uploads_are_bounded() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("pass", &json!({})).await;
    let token =
        "mutation($id: ID!, $ttl: Int!) { createWatchToken(id: $id, ttlSeconds: $ttl) { token } }";
    for ttl in [0, -5, 86_401] {
        fails(
            &client,
            token,
            json!({ "id": id, "ttl": ttl }),
            "BadRequest",
            &["ttlSeconds", "from 1 to 86400"],
        )
        .await;
    }
    for ttl in [1, 86_400] {
        client.data(token, json!({ "id": id, "ttl": ttl })).await;
    }
    let upload = "mutation($name: String!, $type: String, $size: Int!) { createUpload(name: $name, contentType: $type, size: $size) { id } }";
    let with =
        |name: &str, kind: &str, size: i64| json!({ "name": name, "type": kind, "size": size });
    let gib = 1_i64 << 30;
    for (variables, code, said) in [
        (with("", "image/png", 1), "BadRequest", "must not be empty"),
        (with("../x", "image/png", 1), "BadRequest", "`../x`"),
        (with("x", "nonsense", 1), "BadRequest", "media type"),
        (with("x", "image/png", -1), "BadRequest", "-1"),
        (with("x", "image/png", gib + 1), "BadRequest", "1073741824"),
        (
            with(&"x".repeat(256), "image/png", 1),
            "LimitExceeded",
            "255",
        ),
    ] {
        fails(&client, upload, variables, code, &[said]).await;
    }
    client
        .data(upload, with(&"x".repeat(255), "image/png", gib))
        .await;
}

#[tokio::test]
async fn documents_that_ask_for_too_much() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    // Each level of the introspection nests by one.
    let nested = |depth: usize| {
        format!(
            "{{ __schema {{ types {{ {} name {} }} }} }}",
            "ofType { ".repeat(depth),
            "}".repeat(depth)
        )
    };
    let answer = client.ask(&nested(2), json!({})).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let (code, message) = code_of(
        &client
            .ask(&nested(jobcast::graphql::DEPTH), json!({}))
            .await,
    )
    .unwrap();
    assert_eq!(code, "QueryDepthLimitReached");
    assert!(
        message.contains("deep") || message.contains("depth"),
        "{message}"
    );
    let aliases: String = (0..jobcast::graphql::COMPLEXITY + 1)
        .map(|number| format!("a{number}: listJobTypes {{ name }} "))
        .collect();
    let (code, message) =
        code_of(&client.ask(&format!("{{ {aliases} }}"), json!({})).await).unwrap();
    assert_eq!(code, "ResolverExecutionLimitReached", "{message}");
    let (code, _) = code_of(&client.ask("{ nothing }", json!({})).await).unwrap();
    assert_eq!(code, "ValidationError");
}

#[tokio::test]
async fn a_job_shows_so_many_steps_and_runs_them_all() {
    let chain = |states: usize| {
        let state = |number: usize| {
            let wait = json!({ "Type": "Wait", "Seconds": 0 });
            let mut state = wait.as_object().unwrap().clone();
            if number + 1 == states {
                state.insert("End".into(), json!(true));
            } else {
                state.insert("Next".into(), json!(format!("S{}", number + 1)));
            }
            (format!("S{number}"), Value::Object(state))
        };
        json!({ "StartAt": "S0", "States": (0..states).map(state).collect::<serde_json::Map<_, _>>() })
    };
    let home = Home::simple()
        .machine("most", &chain(limits::STEPS))
        .machine("more", &chain(limits::STEPS + 1));
    let server = home.start().await;
    let client = server.client();
    for job_type in ["most", "more"] {
        let id = client.submit(job_type, &json!({})).await;
        let done = client.until_status(&id, "SUCCEEDED").await;
        let steps = done["steps"].as_array().unwrap();
        assert_eq!(steps.len(), limits::STEPS, "{job_type}");
        assert!(
            steps.iter().all(|step| step["status"] == "SUCCEEDED"),
            "{job_type}: {done}"
        );
        assert_eq!(done["progress"], 100);
    }
}

/// The server writes into the field `job` where a job's functions report: a submitter must not
/// write it instead.
#[tokio::test]
async fn an_input_with_a_field_job_is_refused() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let input = |text: &str| json!({ "input": { "type": "pass", "input": text } });
    for text in [
        r#"{"job": {"id": "x", "reportUrl": "http://127.0.0.1:1/", "reportToken": "mine"}}"#,
        r#"{"a": 1, "job": null}"#,
        r#"{"\u006aob": 1}"#,
        "\u{feff}{\"job\": 1}",
    ] {
        let said = &["input", "the field `job` is reserved", "another name"];
        fails(&client, SUBMIT, input(text), "BadRequest", said).await;
    }
    // In a batch the others stand.
    let document = "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } error { code message } } }";
    let batch = json!([{ "type": "pass", "input": "{\"job\": 1}" }, { "type": "pass", "input": "{\"a\": 1}" }]);
    let told = client.data(document, json!({ "inputs": batch })).await;
    assert_eq!(told[0]["error"]["code"], "BadRequest", "{told}");
    assert!(
        told[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`job` is reserved")
    );
    assert!(told[1]["job"]["id"].is_string(), "{told}");
    assert_eq!(count(&client).await, 1);
    // Deeper, in other letters, or within what is no object it is a name like any other.
    for text in [
        r#"{"a": {"job": 1}}"#,
        r#"{"Job": 1}"#,
        r#"[{"job": 1}]"#,
        r#""job""#,
    ] {
        let job = client.data(SUBMIT, input(text)).await;
        let id = job["id"].as_str().unwrap();
        client.until_status(id, "SUCCEEDED").await;
        let job = client.job(id).await;
        let result = job["result"].as_str().unwrap();
        assert_eq!(result.matches("\"reportToken\"").count(), 1, "{result}");
    }
}
