//! Subscription documents as the GraphQL specification allows them, through the real door:
//! variables that are not supplied, fragments at the root, fields in parts, `@skip` and `@include`,
//! aliases.

use std::sync::Arc;

use futures_util::SinkExt;
use jobcast::realtime::Realtime;
use jobcast::session::Settings;
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::time::timeout;

use crate::delivery::{DEADLINE, Door, Jobs, Node, open, read, subscribe};

/// A node, and one that executes every operation.
async fn nodes() -> [(Node, Arc<Jobs>); 2] {
    [node(true).await, node(false).await]
}

async fn node(shortcuts: bool) -> (Node, Arc<Jobs>) {
    let store = SqliteStore::open(Database::open(&Location::Memory).unwrap()).unwrap();
    let store: Arc<dyn JobStore> = Arc::new(store);
    let jobs = Jobs::create(Arc::clone(&store), 14).await;
    let node = if shortcuts {
        Node::start(&store, true, Realtime::default(), Settings::default()).await
    } else {
        Node::without_shortcuts(&store).await
    };
    (node, jobs)
}

/// The first message in answer to a subscription.
async fn first(node: &Node, query: &str, variables: Value) -> Value {
    let answering = async {
        let mut socket = open(&node.address, Door::Modern).await.unwrap();
        let message = subscribe(Door::Modern, "1", query, variables);
        socket.send(message).await.unwrap();
        read(&mut socket).await.unwrap()
    };
    timeout(DEADLINE, answering)
        .await
        .expect("an answer in time")
}

/// How many jobs are on the first page.
async fn page(node: &Node, query: &str, variables: Value) -> usize {
    let counting = async {
        let mut socket = open(&node.address, Door::Modern).await.unwrap();
        let message = subscribe(Door::Modern, "1", query, variables);
        socket.send(message).await.unwrap();
        let mut count = 0;
        loop {
            let message = read(&mut socket).await.unwrap();
            match message["payload"]["data"]["onJobs"]["kind"].as_str() {
                Some("ENTER") => count += 1,
                Some("SNAPSHOT") => return count,
                _ => panic!("{message}"),
            }
        }
    };
    timeout(DEADLINE, counting).await.expect("a page in time")
}

#[tokio::test]
async fn a_variable_that_is_not_supplied_counts_as_omitted_and_null_as_null() {
    for (node, _) in nodes().await {
        let query = "subscription ($owner: String, $finished: AWSDateTime) {
        onJobs(filter: { owner: { eq: $owner }, finishedAt: { eq: $finished } }) { kind } }";
        assert_eq!(page(&node, query, json!({})).await, 14);
        assert_eq!(page(&node, query, json!({ "owner": "owner 1" })).await, 2);
        assert_eq!(page(&node, query, json!({ "owner": null })).await, 0);
        assert_eq!(page(&node, query, json!({ "finished": null })).await, 14);
        let whole = "subscription ($filter: JobFilter) { onJobs(filter: $filter) { kind } }";
        assert_eq!(page(&node, whole, json!({})).await, 14);
        assert_eq!(page(&node, whole, json!({ "filter": null })).await, 14);
        assert_eq!(
            page(
                &node,
                whole,
                json!({ "filter": { "owner": { "eq": null } } })
            )
            .await,
            0
        );
        node.stop().await;
    }
}

#[tokio::test]
async fn the_root_may_be_written_in_every_way_that_comes_to_one_field() {
    for (node, jobs) in nodes().await {
        let id = jobs.ids()[3].to_string();
        let variables = json!({ "id": id, "yes": true, "no": false });
        for (query, expected) in [
            (
                "subscription ($id: ID!) { ...Root } fragment Root on Subscription { onJob(id: $id) { ...Both } } \
             fragment Both on Job { version __typename }",
                json!({ "onJob": { "version": 1, "__typename": "Job" } }),
            ),
            (
                "subscription ($id: ID!) { a: onJob(id: $id) { version } ... on Subscription { a: onJob(id: $id) { id } } }",
                json!({ "a": { "version": 1, "id": id } }),
            ),
            (
                "subscription ($id: ID!, $yes: Boolean!, $no: Boolean!) { onJobs @skip(if: $yes) { kind } \
             onJob(id: $id) @include(if: $yes) { v: version id @include(if: $no) status @skip(if: $no) } }",
                json!({ "onJob": { "v": 1, "status": "QUEUED" } }),
            ),
        ] {
            let answer = first(&node, query, variables.clone()).await;
            assert_eq!(answer["payload"], json!({ "data": expected }), "{query}");
        }
        for (query, said) in [
            (
                "subscription { onJobs { kind } other: onJobs { kind } }",
                "exactly one field",
            ),
            (
                "subscription { onJobs { kind } __typename }",
                "exactly one field",
            ),
            (
                "subscription ($yes: Boolean!) { onJobs @skip(if: $yes) { kind } }",
                "selects no field",
            ),
            (
                "subscription { ...Root } fragment Root on Job { id }",
                "fragment",
            ),
            ("subscription { ...Nowhere }", "Nowhere"),
            (
                "subscription ($id: ID!) { a: onJob(id: $id) { id } a: onJob(id: \"x\") { id } }",
                "ifferent",
            ),
        ] {
            let answer = first(&node, query, variables.clone()).await;
            assert_eq!(answer["type"], "error", "{query}: {answer}");
            let message = answer["payload"][0]["message"].as_str().unwrap();
            assert!(message.contains(said), "{query}: {message}");
            assert_eq!(
                answer["payload"][0]["extensions"]["code"],
                "ValidationError"
            );
        }
        node.stop().await;
    }
}
