//! The whole authorization table: each operation by each kind of caller, on its own job and on
//! another's, through each door. A mutation by GET is refused for every caller, and a subscription
//! needs a door of streams.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::access::{home, report_token};
use crate::kit::{Client, Door, Said, Watch, code_of, soon};

/// A way to send an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Post,
    Get,
    Through(Door),
    /// GET through a door of streams.
    GetThrough(Door),
}

const WAYS: [Way; 9] = [
    Way::Post,
    Way::Get,
    Way::Through(Door::Sse),
    Way::GetThrough(Door::Sse),
    Way::Through(Door::Multipart),
    Way::GetThrough(Door::Multipart),
    Way::Through(Door::TransportWs),
    Way::Through(Door::AppSync),
    Way::Through(Door::Legacy),
];

/// The callers, in the order of the table's columns. `vera` and `ann` own the job that is their
/// own; `watch` and `report` are tokens of it.
const CALLERS: [&str; 8] = [
    "vera", "both", "ann", "olga", "adam", "paul", "watch", "report",
];

/// `ok`, `null` or the code of an error; one for each caller.
type Row = [&'static str; 8];

const NO: &str = "Unauthorized";
const NF: &str = "NotFound";
const ST: &str = "InvalidStatus";

/// An operation, what comes of it on the caller's own job, and on another's where it is about a
/// job.
const TABLE: [(&str, Row, Option<Row>); 15] = [
    (
        "query($id: ID!) { getJob(id: $id) { id owner input history(limit: 5) { events } } }",
        ["ok"; 8],
        Some(["null", "null", "null", "ok", "ok", "ok", "null", "null"]),
    ),
    (
        "{ listJobs(limit: 100) { items { id owner } } }",
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok", NO],
        None,
    ),
    (
        "{ jobStats { total } }",
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok", NO],
        None,
    ),
    (
        "{ listJobTypes { name } }",
        ["ok", "ok", "ok", "ok", "ok", NO, NO, NO],
        None,
    ),
    (
        "mutation { submitJob(input: { type: \"wait\" }) { id } }",
        [NO, "ok", "ok", NO, "ok", NO, NO, NO],
        None,
    ),
    // Each of several submits fails alone.
    (
        "mutation { submitJobs(inputs: [{ type: \"wait\" }]) { job { id } error { code } } }",
        ["ok"; 8],
        None,
    ),
    (
        "mutation($id: ID!) { cancelJob(id: $id) { id } }",
        [NO, "ok", "ok", "ok", "ok", NO, NO, NO],
        Some([NF, NF, NF, "ok", "ok", NO, NF, NF]),
    ),
    (
        "mutation($id: ID!) { retryJob(id: $id) { id } }",
        [NO, ST, ST, ST, ST, NO, NO, NO],
        Some([NF, NF, NF, ST, ST, NO, NF, NF]),
    ),
    (
        "mutation($id: ID!) { resumeJob(id: $id, step: \"Ask\", error: \"x\") { id } }",
        [NO, "ok", "ok", "ok", "ok", NO, NO, NO],
        Some([NF, NF, NF, "ok", "ok", NO, NF, NF]),
    ),
    (
        "mutation($id: ID!) { reportProgress(input: { id: $id, message: \"m\" }) { id } }",
        [NO, NO, NO, NO, "ok", "ok", NO, "ok"],
        Some([NO, NO, NO, NO, "ok", "ok", NO, NO]),
    ),
    (
        "mutation { createUpload(name: \"a\", size: 1) { id } }",
        [NO, "ok", "ok", NO, "ok", NO, NO, "ok"],
        None,
    ),
    (
        "mutation($id: ID!) { createWatchToken(id: $id) { token } }",
        [NO, "ok", "ok", "ok", "ok", NO, NO, NO],
        Some([NF, NF, NF, "ok", "ok", NO, NF, NF]),
    ),
    (
        "mutation { publishJob(new: \"{}\") { id } }",
        [NO, NO, NO, NO, NO, "BadRequest", NO, NO],
        None,
    ),
    (
        "subscription($id: ID!) { onJob(id: $id) { id } }",
        ["ok"; 8],
        Some([NF, NF, NF, "ok", "ok", "ok", NF, NF]),
    ),
    (
        "subscription { onJobs { kind } }",
        ["ok", "ok", "ok", "ok", "ok", "ok", "ok", NO],
        None,
    ),
];

/// The answer in one word.
fn word(answer: &Value) -> String {
    if let Some((code, _)) = code_of(answer) {
        return code;
    }
    let data = answer["data"].as_object().unwrap();
    let word = if data.values().all(Value::is_null) {
        "null"
    } else {
        "ok"
    };
    word.to_owned()
}

async fn send(way: Way, client: &Client, document: &str, variables: Value) -> String {
    let opened = match way {
        Way::Post => return word(&client.ask(document, variables).await),
        Way::Get => {
            let request = client.by_get(document, &variables);
            let response = soon("an answer", request.send()).await.unwrap();
            let (status, allow) = (response.status(), response.headers().get("allow").cloned());
            let word = word(&response.json().await.unwrap());
            assert_eq!(status == 405, word == "MutationOverGet", "{status}");
            assert_eq!(allow.is_some_and(|allow| allow == "POST"), status == 405);
            return word;
        }
        Way::Through(door) => Watch::try_open(door, client, document, variables).await,
        Way::GetThrough(door) => Watch::try_get(door, client, document, variables).await,
    };
    let mut watch = match opened {
        Ok(watch) => watch,
        Err(refused) if refused.contains("MutationOverGet") => {
            assert!(refused.starts_with("405"), "{refused}");
            return "MutationOverGet".to_owned();
        }
        Err(refused) => return refused,
    };
    match watch.next().await {
        Said::Next(payload) => word(&payload),
        Said::Error(errors) => errors[0]["errorType"].as_str().unwrap().to_owned(),
        other => format!("{other:?}"),
    }
}

/// What must come of it by this way.
fn expected(way: Way, document: &str, allowed: &'static str) -> &'static str {
    let gets = matches!(way, Way::Get | Way::GetThrough(_));
    if document.starts_with("mutation") && gets {
        return "MutationOverGet";
    }
    if document.starts_with("subscription") && matches!(way, Way::Post | Way::Get) {
        return "OperationNotSupported";
    }
    allowed
}

#[tokio::test]
async fn each_operation_by_each_caller_through_each_door() {
    let home = home();
    let server = home.start().await;
    let key = |name: &str| server.client().with_key(&format!("{name}-key"));
    let (ann, ben, adam) = (key("ann"), key("ben"), key("adam"));
    let fresh = async |owner: &Client| {
        let id = owner.submit("wait", &json!({})).await;
        adam.until_status(&id, "WAITING").await;
        id
    };
    let (own, foreign) = (fresh(&ann).await, fresh(&ben).await);
    let execution = adam.job(&own).await["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    let report = report_token(server.internal(), &server.client(), "wait", &execution).await;
    let document = "mutation($id: ID!) { createWatchToken(id: $id) { token } }";
    let watch = ann.data(document, json!({ "id": own })).await;
    let watch = watch["token"].as_str().unwrap().to_owned();
    let clients = CALLERS.map(|caller| match caller {
        "watch" => server.client().with_token(&watch),
        "report" => server.client().with_token(&report),
        "vera" => key("ann-reads"),
        "both" => key("ann-both"),
        other => key(other),
    });
    let (mut cells, mut wrong) = (0, Vec::new());
    for (document, on_own, on_foreign) in &TABLE {
        let rows = [
            (&ann, &own, Some(on_own)),
            (&ben, &foreign, on_foreign.as_ref()),
        ];
        for (owner, job, row) in rows {
            let Some(row) = row else { continue };
            for (caller, (client, allowed)) in CALLERS.iter().zip(clients.iter().zip(row)) {
                let ends = *allowed == "ok"
                    && ["cancelJob", "resumeJob"]
                        .iter()
                        .any(|field| document.contains(field));
                let fresh = &fresh;
                let cells_of_row = WAYS.map(|way| {
                    // On the heap: eight at once are more than a test's stack holds.
                    Box::pin(async move {
                        let expected = expected(way, document, allowed);
                        // What ends a job needs one for each door.
                        let id = match ends && expected == "ok" {
                            true => Box::pin(fresh(owner)).await,
                            false => job.clone(),
                        };
                        let variables = match document.contains("$id") {
                            true => json!({ "id": id }),
                            false => json!({}),
                        };
                        let found = Box::pin(send(way, client, document, variables)).await;
                        (found != expected).then(|| {
                            format!("{caller} {way:?}, {job}: {document}: {found}, not {expected}")
                        })
                    })
                });
                cells += cells_of_row.len();
                wrong.extend(join_all(cells_of_row).await.into_iter().flatten());
            }
        }
    }
    assert_eq!(cells, (15 + 7) * CALLERS.len() * WAYS.len());
    assert!(
        wrong.is_empty(),
        "{} of {cells}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn strangers_and_lists() {
    let home = home();
    let server = home.start().await;
    let key = |name: &str| server.client().with_key(&format!("{name}-key"));
    let (ann, ben) = (key("ann"), key("ben"));
    let foreign = ben.submit("wait", &json!({})).await;
    for stranger in [
        server.client(),
        server.client().with_key("nobodys"),
        server.client().with_token("jc1.Zm9yZ2Vk.c2ln"),
    ] {
        for document in [TABLE[0].0, TABLE[4].0, TABLE[13].0] {
            for way in WAYS {
                let found = send(way, &stranger, document, json!({ "id": foreign })).await;
                assert!(
                    found != "ok" && found != "null",
                    "{way:?} {document}: {found}"
                );
            }
        }
    }
    let own = ann.submit("wait", &json!({})).await;
    let document =
        "query($filter: JobFilter) { listJobs(filter: $filter, limit: 100) { items { id } } }";
    for (filter, ids) in [
        (json!({}), vec![own.as_str()]),
        (json!({ "owner": { "eq": "ben" } }), vec![]),
        (json!({ "id": { "eq": foreign } }), vec![]),
    ] {
        let page = ann.data(document, json!({ "filter": filter })).await;
        let found: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap())
            .collect();
        assert_eq!(found, ids, "{filter}");
    }
}
