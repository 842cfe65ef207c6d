//! Documents as clients and attackers send them: none ends the server, each wrong one has its
//! error, and each valid one the answer of the specification, through every door.

use std::time::{Duration, Instant};

use jobcast::graphql::limits::{ANSWER_BYTES, BATCH};
use reqwest::Method;
use serde_json::{Value, json};

use crate::hostile_requests::{self, Hostile};
use crate::kit::{Client, Door, Home, Said, Watch, code_of};

/// Each is an error at every door, and the server answers the next request; in a debug build, and
/// with a fourth of the stack that its threads have.
#[tokio::test]
async fn no_request_ends_the_server() {
    let home = Home::simple().variable("RUST_MIN_STACK", "524288");
    let server = home.start().await;
    let client = server.client();
    for Hostile {
        what,
        query,
        variables,
    } in hostile_requests::all()
    {
        let started = Instant::now();
        let answer = client.ask(&query, variables.clone()).await;
        assert!(code_of(&answer).is_some(), "{what}: {answer}");
        assert!(answer.get("data").is_none(), "{what}");
        assert!(answer.to_string().len() < 10_000, "{what}");
        assert!(started.elapsed() < Duration::from_secs(5), "{what}");
        let one = json!({ "query": query, "variables": variables });
        let batch = json!([one, { "query": "{ __typename }" }]);
        let (status, answers) = post(&client, "application/json", &batch).await;
        assert_eq!(status, 200, "{what}");
        // What is over a bound of the whole batch is refused as a whole.
        let answer = answers.get(0).unwrap_or(&answers);
        assert!(code_of(answer).is_some(), "{what}: {answers}");
        assert!(answers.to_string().len() < 10_000, "{what}");
        if let Some(other) = answers.get(1) {
            assert_eq!(*other, json!({ "data": { "__typename": "Query" } }));
        }
        for door in Door::ALL {
            let mut watch = Watch::open(door, &client, &query, variables.clone()).await;
            let said = watch.next().await;
            let Said::Error(errors) = said else {
                panic!("{what}, {door:?}: {said:?}");
            };
            assert!(errors[0]["message"].is_string(), "{what}, {door:?}");
            assert!(errors.to_string().len() < 10_000, "{what}, {door:?}");
        }
        let path = format!(
            "/graphql?query={}&variables={}",
            form_urlencoded(&query),
            form_urlencoded(&variables.to_string())
        );
        if path.len() <= 60_000 {
            let (status, _) = client.get(&path).await;
            assert!((200..500).contains(&status), "{what}: {status}");
            for door in [Door::Sse, Door::Multipart] {
                let opened = Watch::try_get(door, &client, &query, variables.clone()).await;
                if let Ok(mut watch) = opened {
                    let said = watch.next().await;
                    assert!(matches!(said, Said::Error(_)), "{what}, {door:?}: {said:?}");
                }
            }
        }
        client.data("{ listJobs { nextToken } }", json!({})).await;
    }
}

fn form_urlencoded(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}

/// What is left out leaves `{}` behind and never null, fields keep their order, and a key comes
/// once.
#[tokio::test]
async fn answers_to_the_letter() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let yes = json!({ "id": id, "b": true });
    for (document, expected) in [
        (
            "query($id: ID!, $b: Boolean!) { getJob(id: $id) @skip(if: $b) { id } }",
            json!({}),
        ),
        (
            "query($id: ID!, $b: Boolean!) { getJob(id: $id) { id @skip(if: $b) } }",
            json!({ "getJob": {} }),
        ),
        (
            "query($id: ID!, $b: Boolean!) { getJob(id: $id) { steps { name @skip(if: $b) } } }",
            json!({ "getJob": { "steps": [{}] } }),
        ),
        (
            "query($b: Boolean!) { listJobs { items { id @skip(if: $b) } } }",
            json!({ "listJobs": { "items": [{}] } }),
        ),
        (
            "query($b: Boolean!) { listJobs { items { ... @skip(if: $b) { id } } } }",
            json!({ "listJobs": { "items": [{}] } }),
        ),
        (
            "query($b: Boolean!) { listJobs { items { ...F @skip(if: $b) } } } fragment F on Job { id }",
            json!({ "listJobs": { "items": [{}] } }),
        ),
        (
            "query($b: Boolean!) { __typename @skip(if: $b) a: __typename }",
            json!({ "a": "Query" }),
        ),
        (
            "query($id: ID!, $b: Boolean!) { getJob(id: $id) { error { name @skip(if: $b) } } }",
            json!({ "getJob": { "error": null } }),
        ),
        (
            "query($b: Boolean!) { __typename ... @skip(if: $b) { x: __typename @include(if: $b) } }",
            json!({ "__typename": "Query" }),
        ),
        (
            "query($b: Boolean!) { __schema { queryType { name @skip(if: $b) } } }",
            json!({ "__schema": { "queryType": {} } }),
        ),
    ] {
        let answer = client.ask(document, yes.clone()).await;
        assert_eq!(answer, json!({ "data": expected }), "{document}");
        let mut watch = Watch::open(Door::TransportWs, &client, document, yes.clone()).await;
        assert_eq!(
            watch.next().await,
            Said::Next(json!({ "data": expected })),
            "{document}"
        );
    }
    let ordered = "query($id: ID!) { b: __typename getJob(id: $id) { version ...F id } a: __typename getJob(id: $id) { status steps { name } steps { index } } } \
        fragment F on Job { type steps { status } id }";
    let body = json!({ "query": ordered, "variables": { "id": id } });
    let response = client
        .request(Method::POST, "/graphql")
        .json(&body)
        .send()
        .await
        .unwrap();
    let text = response.text().await.unwrap();
    let places = [
        "\"b\"",
        "\"getJob\"",
        "\"version\"",
        "\"type\"",
        "\"steps\"",
        "\"status\"",
        "\"name\"",
        "\"index\"",
        "\"id\"",
        "\"a\"",
    ];
    let found: Vec<_> = places.iter().map(|key| text.find(key).unwrap()).collect();
    assert!(found.is_sorted(), "{text}");
    // An error in a place that may not be null takes what is around it, up to what may.
    let answer = client
        .ask(
            "{ a: __typename listJobs(limit: 0) { nextToken } }",
            json!({}),
        )
        .await;
    assert_eq!(answer["data"], Value::Null, "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["listJobs"]), "{answer}");
    let bad = "query($id: ID!) { getJob(id: $id) { id history(limit: 0) { next } } a: __typename }";
    let answer = client.ask(bad, json!({ "id": id })).await;
    assert_eq!(
        answer["data"],
        json!({ "getJob": null, "a": "Query" }),
        "{answer}"
    );
    assert_eq!(
        answer["errors"][0]["path"],
        json!(["getJob", "history"]),
        "{answer}"
    );
    assert_eq!(
        answer["errors"][0]["locations"],
        json!([{ "line": 1, "column": 40 }]),
        "{answer}"
    );
}

#[tokio::test]
async fn the_root_of_a_subscription_with_conditions() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let document = "subscription($id: ID!, $no: Boolean!) { b: onJob(id: $id) @include(if: $no) { id } a: onJob(id: $id) { id } }";
    for door in Door::ALL {
        let given = json!({ "id": id, "no": false });
        let mut watch = Watch::open(door, &client, document, given).await;
        let said = watch.next().await;
        assert_eq!(
            said,
            Said::Next(json!({ "data": { "a": { "id": id } } })),
            "{door:?}"
        );
        let both = json!({ "id": id, "no": true });
        let mut watch = Watch::open(door, &client, document, both).await;
        assert!(matches!(watch.next().await, Said::Error(_)), "{door:?}");
        let empty =
            "subscription($id: ID!, $no: Boolean!) { onJob(id: $id) { id @include(if: $no) } }";
        let given = json!({ "id": id, "no": false });
        let mut watch = Watch::open(door, &client, empty, given).await;
        assert_eq!(
            watch.next().await,
            Said::Next(json!({ "data": { "onJob": {} } })),
            "{door:?}"
        );
    }
}

/// What the server knows of a document that was sent before changes no answer.
#[tokio::test]
async fn a_document_that_was_sent_before_is_answered_as_at_first() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let document = |mark: &str| {
        format!(
            "subscription($id: ID!, $after: Int) {{ onJob(id: $id, after: $after) {{ id status version }} }}#{mark}"
        )
    };
    let nobodys = "01a21ee7-9c16-7c3b-8488-a292049b6131";
    for door in Door::ALL {
        let said = async |text: &str, given: &Value| {
            let mut watch = Watch::try_open(door, &client, text, given.clone()).await?;
            Ok::<_, String>(watch.next().await)
        };
        let known = document(&format!("{door:?}"));
        for (at, given) in [
            json!({ "id": id }),
            json!({ "id": id, "after": null }),
            json!({ "id": id, "after": 0 }),
            json!({ "id": id, "after": 1.0, "more": {} }),
            json!({ "id": id, "after": 1_000_000 }),
            json!({ "id": id, "after": -1 }),
            json!({ "id": id, "after": 2_147_483_648_u64 }),
            json!({ "id": id, "after": "1" }),
            json!({ "id": nobodys }),
            json!({ "id": "x" }),
            json!({ "id": 7 }),
            json!({ "id": null }),
            json!({ "after": 1 }),
            json!({}),
            json!(null),
        ]
        .iter()
        .enumerate()
        {
            let at_first = said(&document(&format!("{door:?} {at}")), given).await;
            let again = said(&known, given).await;
            assert_eq!(again, at_first, "{door:?} {given}");
        }
    }
}

async fn post(client: &Client, accept: &str, body: &Value) -> (u16, Value) {
    let request = client
        .request(Method::POST, "/graphql")
        .header("accept", accept);
    let response = request.json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// An error before the execution has its own status, and no `data`; a variable's fault is one of
/// them.
#[tokio::test]
async fn errors_of_a_request_have_their_status_and_no_data() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let by_id = "query($id: ID!) { getJob(id: $id) { id } }";
    let by_filter = "query($f: JobFilter) { listJobs(filter: $f) { nextToken } }";
    for (query, variables) in [
        ("{", json!({})),
        ("{ nope }", json!({})),
        ("query A { __typename } query B { __typename }", json!({})),
        (by_id, json!({})),
        (by_id, json!({ "id": null })),
        (by_id, json!({ "id": {} })),
        (by_id, json!({ "id": 1.5 })),
        (by_filter, json!({ "f": 1 })),
        (by_filter, json!({ "f": { "nope": 1 } })),
        (by_filter, json!({ "f": { "status": { "eq": "NOPE" } } })),
        (
            by_filter,
            json!({ "f": { "progress": { "eq": 2_147_483_648_i64 } } }),
        ),
        (
            by_filter,
            json!({ "f": { "createdAt": { "eq": "today" } } }),
        ),
        (
            "query($l: [ID!]!) { listJobs(filter: {id: {in: $l}}) { nextToken } }",
            json!({ "l": ["x", null] }),
        ),
    ] {
        let body = json!({ "query": query, "variables": variables });
        let (status, answer) = post(&client, "application/graphql-response+json", &body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(
            answer.get("data").is_none() && code_of(&answer).is_some(),
            "{answer}"
        );
        let (status, answer) = post(&client, "application/json", &body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        assert!(
            answer.get("data").is_none() && code_of(&answer).is_some(),
            "{answer}"
        );
    }
    // It is the error's kind that counts, and no word of it.
    let (status, _) = client.get("/graphql?query=%7BMutationOverGet%7D").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn mutations_by_get_are_refused_whatever_is_accepted() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let query = form_urlencoded(&format!(
        "mutation {{ cancelJob(id: \"{id}\") {{ status }} }}"
    ));
    for accept in [
        "application/json",
        "application/graphql-response+json",
        "text/event-stream",
        "multipart/mixed;subscriptionSpec=1.0",
    ] {
        let request = client.request(Method::GET, &format!("/graphql?query={query}"));
        let response = request.header("accept", accept).send().await.unwrap();
        assert_eq!(response.status(), 405, "{accept}");
        assert_eq!(response.headers()["allow"], "POST", "{accept}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(code_of(&answer).unwrap().0, "MutationOverGet", "{accept}");
    }
    assert_eq!(client.job(&id).await["status"], "WAITING");
}

/// A list for a list, in its order; what one request may ask for they may ask for together.
#[tokio::test]
async fn batches() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let one = |query: &str| json!({ "query": query });
    let json_type = "application/json";
    let submit = "mutation { submitJob(input: {type: \"pass\"}) { status } }";
    let batch = json!([
        one("{ a: __typename }"),
        one("{ nope }"),
        one(submit),
        one("subscription { onJobs { kind } }")
    ]);
    let (status, answers) = post(&client, json_type, &batch).await;
    assert_eq!(status, 200, "{answers}");
    assert_eq!(answers[0], json!({ "data": { "a": "Query" } }));
    assert_eq!(answers[1]["errors"][0]["errorType"], "ValidationError");
    assert_eq!(answers[2]["data"]["submitJob"]["status"], "QUEUED");
    assert_eq!(
        answers[3]["errors"][0]["errorType"],
        "OperationNotSupported"
    );
    let many = |count: usize, query: &str| Value::from(vec![one(query); count]);
    let (status, answers) = post(&client, json_type, &many(BATCH, "{ __typename }")).await;
    assert_eq!((status, answers.as_array().unwrap().len()), (200, BATCH));
    for (bad, expected) in [
        (many(BATCH + 1, "{ __typename }"), 400),
        (json!([]), 200),
        (json!(["{__typename}", null, null, null]), 400),
        (json!([["{__typename}", null, null, null]]), 400),
        (json!([null]), 400),
        // One page of this costs 5,001, so two of them together are over the limit.
        (
            many(
                2,
                "{ listJobs(limit: 100) { items { a: id b: id c: id d: id e: id f: id g: id h: id i: id j: id k: id l: id m: id n: id o: id p: id q: id r: id s: id t: id u: id v: id w: id x: id y: id z: id aa: id ab: id ac: id ad: id ae: id af: id ag: id ah: id ai: id aj: id ak: id al: id am: id an: id ao: id ap: id aq: id ar: id as: id at: id au: id av: id aw: id } } }",
            ),
            200,
        ),
        (
            many(
                10,
                &format!("{{ getJob(id: \"x\") {{ {} }} }}", "id ".repeat(1_600)),
            ),
            200,
        ),
    ] {
        let (status, answer) = post(&client, json_type, &bad).await;
        assert_eq!(status, expected, "{answer}");
        assert!(answer.is_object() && code_of(&answer).is_some(), "{answer}");
    }
    // Nothing of a batch that is refused was executed.
    let before = client
        .data("{ listJobs { items { id } } }", json!({}))
        .await;
    let stats = "{ jobStats { total } }";
    let over = json!([one(submit), one(stats), one(stats), one(stats), one(stats)]);
    let (_, answer) = post(&client, json_type, &over).await;
    assert!(code_of(&answer).is_some(), "{answer}");
    let after = client
        .data("{ listJobs { items { id } } }", json!({}))
        .await;
    assert_eq!(before, after);
}

/// An input of 256 KiB, asked for as often as its weight allows, is over the bytes that an answer
/// may have.
#[tokio::test]
async fn answers_up_to_their_bytes() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client
        .submit("pass", &json!({ "x": "a".repeat(250_000) }))
        .await;
    let ask = |times: usize| {
        let fields: String = (0..times).map(|at| format!("a{at}: input ")).collect();
        format!("query($id: ID!) {{ getJob(id: $id) {{ {fields} }} }}")
    };
    let fits = ANSWER_BYTES / 250_100;
    let answer = client.ask(&ask(fits), json!({ "id": id })).await;
    assert!(answer.get("errors").is_none(), "{}", answer["errors"]);
    let answer = client.ask(&ask(fits + 2), json!({ "id": id })).await;
    let (code, message) = code_of(&answer).expect("it is over the bound");
    assert_eq!(
        (code.as_str(), answer["data"].is_null()),
        ("PayloadTooLarge", true),
        "{message}"
    );
    assert!(message.contains(&ANSWER_BYTES.to_string()), "{message}");
    // Long aliases count as well.
    for _ in 0..30 {
        client.submit("pass", &json!({})).await;
    }
    let long = "x".repeat(50_000);
    let lists: String = (0..9)
        .map(|at| format!("l{at}: listJobs(limit: 100) {{ ...F }} "))
        .collect();
    let document =
        format!("{{ {lists} }} fragment F on JobPage {{ items {{ {long}: __typename }} }}");
    let (code, _) = client.error(&document, json!({})).await;
    assert_eq!(code, "PayloadTooLarge");
}

/// Null is a value: `eq` and `ne` compare with it, the other operators refuse it.
#[tokio::test]
async fn null_in_filters() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    client.submit("pass", &json!({})).await;
    let list = async |kind: &str, filter: &str, value: Value| {
        let document = format!(
            "query($s: {kind}) {{ listJobs(filter: {{ {filter} }}) {{ items {{ id }} }} }}"
        );
        let answer = client.ask(&document, json!({ "s": value })).await;
        match code_of(&answer) {
            Some((code, _)) => Err(code),
            None => Ok(answer["data"]["listJobs"]["items"]
                .as_array()
                .unwrap()
                .len()),
        }
    };
    for (kind, filter, expected) in [
        ("JobStatus", "status: {eq: $s}", Ok(0)),
        ("JobStatus", "status: {ne: $s}", Ok(1)),
        ("String", "owner: {eq: $s}", Ok(0)),
        ("String", "owner: {ne: $s}", Ok(1)),
        ("ID", "id: {eq: $s}", Ok(0)),
        ("Int", "attempt: {eq: $s}", Ok(0)),
        ("AWSDateTime", "createdAt: {ne: $s}", Ok(1)),
        ("String", "tags: {eq: $s}", Ok(1)),
        ("[JobStatus!]", "status: {in: $s}", Err("BadRequest")),
        ("[JobStatus!]", "status: {notIn: $s}", Err("BadRequest")),
        ("[String!]", "owner: {between: $s}", Err("BadRequest")),
        ("String", "owner: {contains: $s}", Err("BadRequest")),
        ("String", "owner: {beginsWith: $s}", Err("BadRequest")),
        ("String", "tags: {notContains: $s}", Err("BadRequest")),
        ("Int", "progress: {lt: $s}", Err("BadRequest")),
    ] {
        let found = list(kind, filter, Value::Null).await;
        assert_eq!(found, expected.map_err(str::to_owned), "{filter}");
    }
    // Left out, each of them asks for nothing.
    let document =
        "query($s: [JobStatus!]) { listJobs(filter: {status: {in: $s}}) { items { id } } }";
    let page = client.data(document, json!({})).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}
