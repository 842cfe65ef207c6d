//! What one request may ask for, where a client meets it: each bound on both sides. The counting itself is tested beside it.

use jobcast::graphql::bounds::{ALIASES, SELECTIONS};
use jobcast::graphql::{COMPLEXITY, DEPTH};
use jobcast::http::BODY_BYTES;
use serde_json::{Value, json};

use crate::kit::{Home, code_of};

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
    // The same field twice is one: each has a key of its own here.
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
