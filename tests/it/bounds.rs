//! What one request may ask for, where a client meets it: each bound on both sides. The counting
//! itself is tested beside it.

use jobcast::graphql::limits::{
    ALIASES, MESSAGE_BYTES, SELECTIONS, SUBSCRIPTION_BYTES, SUBSCRIPTION_FIELDS, TOKENS,
};
use jobcast::graphql::{COMPLEXITY, DEPTH};
use jobcast::http::BODY_BYTES;
use serde_json::{Value, json};

use crate::kit::{Door, Home, Said, Watch, code_of};

/// The code and the message of the first error.
fn refused(answer: &Value) -> Option<(String, String)> {
    code_of(answer)
}

#[tokio::test]
async fn documents_up_to_their_bounds() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let deep = |levels: usize| {
        // __schema, types, fields, type, and the rest of it.
        let inside = levels - 5;
        let open = "ofType { ".repeat(inside);
        let close = "}".repeat(inside);
        format!("{{ __schema {{ types {{ fields {{ type {{ {open} name {close} }} }} }} }} }}")
    };
    // The same field twice is one, so each has another key here.
    let page = |fields: usize| {
        let fields: String = (0..fields).map(|at| format!("a{at}: id ")).collect();
        format!("{{ listJobs(limit: 100) {{ items {{ {fields} }} }} }}")
    };
    let aliased = |fields: usize| {
        let fields = (0..fields).map(|at| format!("a{at}: __typename "));
        format!("{{ {} }}", fields.collect::<String>())
    };
    // Each spread of the fragment counts 1 and its 99 fields.
    let plain = |fields: usize| {
        let (spreads, rest) = (
            "...F ".repeat(fields / 100),
            "__typename ".repeat(fields % 100),
        );
        let inside = "__typename ".repeat(99);
        format!("{{ {spreads} {rest} }} fragment F on Query {{ {inside} }}")
    };
    // A page of 100 costs 1 and 100 times what is in it: `items` and its fields.
    let most = (COMPLEXITY - 1) / 100 - 1;
    for (good, bad, code, said) in [
        (
            deep(DEPTH),
            deep(DEPTH + 1),
            "QueryDepthLimitReached",
            "the limit is 32",
        ),
        (
            page(most),
            page(most + 1),
            "ResolverExecutionLimitReached",
            "the limit is 10000",
        ),
        (
            aliased(ALIASES),
            aliased(ALIASES + 1),
            "ResolverExecutionLimitReached",
            "more than 100 aliases",
        ),
        (
            plain(SELECTIONS),
            plain(SELECTIONS + 1),
            "ResolverExecutionLimitReached",
            "more than 10000 selections",
        ),
    ] {
        let answer = client.ask(&good, json!({})).await;
        assert_eq!(refused(&answer), None, "{good}");
        let answer = client.ask(&bad, json!({})).await;
        let (found, message) = refused(&answer).expect("over the bound");
        assert_eq!(found, code, "{message}");
        assert!(message.contains(said), "{message}");
    }
    // A kilobyte that would be 2^60 fields: refused at once, at every door that takes documents.
    let fragments: String = (0..60)
        .map(|at| format!("fragment F{at} on Job {{ ...F{} ...F{} }} ", at + 1, at + 1))
        .collect();
    let bomb = format!(
        "{{ getJob(id: \"019a0000-0000-7000-8000-000000000000\") {{ ...F0 }} }} {fragments} fragment F60 on Job {{ id }}"
    );
    let (code, _) = client.error(&bomb, json!({})).await;
    assert_eq!(code, "ResolverExecutionLimitReached");
}

#[tokio::test]
async fn subscriptions_up_to_their_bounds() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let by_id = "subscription($id: ID!) { onJob(id: $id) { id } }";
    let padded = |bytes: usize| format!("{by_id}{}", " ".repeat(bytes - by_id.len()));
    let listed = "subscription($f: JobFilter) { onJobs(filter: $f) { kind } }";
    // One value may have 1,024 bytes.
    let filter = |bytes: usize| {
        let mut values = vec!["x".repeat(1_000); 8];
        values.push(String::new());
        let of = |values: &[String]| json!({ "f": { "owner": { "notIn": values } } });
        let rest = bytes - of(&values).to_string().len();
        values[8] = "x".repeat(rest);
        of(&values)
    };
    // Each of the aliased ones selects itself and four others.
    let selecting = |fields: usize| {
        let inside = fields - 1;
        let groups = (0..inside / 5)
            .map(|at| format!("a{at}: steps {{ name index status progress }} "))
            .collect::<String>();
        let rest = ["id ", "type ", "owner ", "status "][..inside % 5].concat();
        format!("subscription($id: ID!) {{ onJob(id: $id) {{ {groups} {rest} }} }}")
    };
    let job = json!({ "id": id });
    for (good, bad, said) in [
        (
            (padded(SUBSCRIPTION_BYTES), job.clone()),
            (padded(SUBSCRIPTION_BYTES + 1), job.clone()),
            "the document of a subscription may have 8192 bytes",
        ),
        (
            (listed.to_owned(), filter(SUBSCRIPTION_BYTES)),
            (listed.to_owned(), filter(SUBSCRIPTION_BYTES + 1)),
            "the variables of a subscription may have 8192 bytes",
        ),
        (
            (selecting(SUBSCRIPTION_FIELDS), job.clone()),
            (selecting(SUBSCRIPTION_FIELDS + 1), job.clone()),
            "a subscription may select 250 fields",
        ),
    ] {
        for door in Door::ALL {
            let mut watch = Watch::open(door, &client, &good.0, good.1.clone()).await;
            let first = watch.next().await;
            assert!(
                matches!(first, Said::Next(_)),
                "{said}, {door:?}: {first:?}"
            );
            let mut watch = Watch::open(door, &client, &bad.0, bad.1.clone()).await;
            let Said::Error(errors) = watch.next().await else {
                panic!("{said}, {door:?}");
            };
            let message = errors[0]["message"].as_str().unwrap();
            assert!(message.contains(said), "{door:?}: {message}");
        }
    }
}

#[tokio::test]
async fn the_tokens_of_a_batch_up_to_their_bound() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    // A spread has two tokens; what is around them has nine, or ten.
    let one = |tokens: usize| {
        let spreads = "...F ".repeat((tokens - 9) / 2);
        let more = ["", "__typename"][(tokens - 9) % 2];
        let query = format!("{{{spreads}{more}}} fragment F on Query{{__typename}}");
        json!({ "query": query })
    };
    for (batch, whole) in [
        (json!([one(TOKENS / 2), one(TOKENS / 2)]), true),
        (json!([one(TOKENS / 2), one(TOKENS / 2 + 1)]), false),
    ] {
        let request = client.request(reqwest::Method::POST, "/graphql");
        let response = request.json(&batch).send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer.is_array(), whole, "{answer}");
        if !whole {
            let (_, message) = refused(&answer).expect("over the bound");
            assert!(message.contains("more than 15000 tokens"), "{message}");
        }
    }
}

/// What repeats a caller's own text is cut in its middle: its begin and its end say what is wrong.
#[tokio::test]
async fn messages_of_errors_up_to_their_limit() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let around = {
        let answer = client.ask("{ x }", json!({})).await;
        refused(&answer).expect("there is no such field").1.len() - 1
    };
    for (length, whole) in [
        (MESSAGE_BYTES - around, true),
        (MESSAGE_BYTES - around + 1, false),
        (60_000, false),
    ] {
        let name = "x".repeat(length);
        let answer = client.ask(&format!("{{ {name} }}"), json!({})).await;
        let (_, message) = refused(&answer).expect("there is no such field");
        assert_eq!(message.contains(&name), whole, "{length}");
        assert_eq!(message.contains(" … "), !whole, "{length}");
        assert!(message.len() <= MESSAGE_BYTES, "{}", message.len());
        assert!(message.contains("Query"), "its end is kept: {message}");
    }
    // A text of several bytes a character is not cut within one.
    let document = format!("{{ getJob(id: \"{}\") {{ id }} }}", "😀".repeat(1_000));
    let answer = client.ask(&document, json!({})).await;
    let (_, message) = refused(&answer).expect("it is no id");
    assert!(message.len() <= MESSAGE_BYTES, "{message}");
}

#[tokio::test]
async fn bodies_up_to_their_limit() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    for (bytes, status) in [(BODY_BYTES, 200), (BODY_BYTES + 1, 413)] {
        let body = json!({ "query": "{ __typename }" }).to_string();
        let body = format!("{body}{}", " ".repeat(bytes - body.len()));
        let request = client.request(reqwest::Method::POST, "/graphql");
        let response = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{bytes}");
        let answer: Value = response.json().await.unwrap();
        if status == 413 {
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(&BODY_BYTES.to_string()), "{message}");
        }
    }
}

#[tokio::test]
async fn one_caller_submits_no_faster_than_allowed() {
    // The least rate has room for one whole batch, and then for one job in a second.
    let home = Home::simple().config("[limits]\nsubmits_per_second = 1\n");
    let server = home.start().await;
    let client = server.client();
    let submit = "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } error { code message } } }";
    let batch = vec![json!({ "type": "no-such-type" }); job::limits::BATCH];
    let answers = client.data(submit, json!({ "inputs": batch })).await;
    assert_eq!(answers.as_array().unwrap().len(), job::limits::BATCH);
    let answer = client.ask(submit, json!({ "inputs": batch })).await;
    let (code, message) = crate::kit::code_of(&answer).unwrap();
    assert_eq!(code, "Throttled");
    let seconds = &answer["errors"][0]["extensions"]["retryAfterSeconds"];
    assert!(seconds.as_f64().unwrap() > 0.0, "{answer}");
    assert!(
        message.contains("one caller may submit 1 a second"),
        "{message}"
    );
}
