//! `lambda-http` and `lambda-sweep` under our Lambda host: the doors of a node without a server,
//! and what the schedule does.

use job::{Change, JobId, NewJob, Status, Time, Update};
use resolvers::jobs::now;
use resolvers::store::CreateJob;
use serde_json::{Value, json};

use crate::kit::lambda::{Deployment, Functions, KEY};
use crate::kit::soon;

const HTTP: &str = env!("CARGO_BIN_EXE_lambda-http");
const SWEEP: &str = env!("CARGO_BIN_EXE_lambda-sweep");

/// A request as API Gateway sends it (HTTP API, payload 2.0).
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Value {
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .chain([("host".to_owned(), json!("jobs.example.com"))])
        .collect();
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {
            "accountId": "000000000000", "apiId": "a", "domainName": "jobs.example.com", "domainPrefix": "jobs",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
            "requestId": "r", "routeKey": "$default", "stage": "$default", "time": "01/Dec/2026:00:00:00 +0000", "timeEpoch": 0,
        },
        "body": body.map(ToString::to_string), "isBase64Encoded": false,
    })
}

/// A GraphQL request with the key, and what is answered: the status and the body.
pub async fn ask(functions: &Functions, query: &str, variables: Value) -> (u64, Value) {
    let headers = [("content-type", "application/json"), ("x-api-key", KEY)];
    let body = json!({ "query": query, "variables": variables });
    answered(
        functions,
        &request("POST", "/graphql", &headers, Some(&body)),
    )
    .await
}

async fn answered(functions: &Functions, event: &Value) -> (u64, Value) {
    let answer = functions.invoke("lambda-http", event).await.unwrap();
    let body = answer["body"].as_str().unwrap();
    let body = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
    (answer["statusCode"].as_u64().unwrap(), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_mutations_are_answered_without_a_server() {
    let deployment = Deployment::start().await;
    let functions = deployment.functions(&[("lambda-http", HTTP)]);
    let submit = "mutation { submitJob(input: { type: \"two-steps\" }) { id owner status } }";
    let (status, answer) = ask(&functions, submit, json!({})).await;
    let job = &answer["data"]["submitJob"];
    assert_eq!((status, &job["owner"]), (200, &json!("ann")), "{answer}");
    let get = "query($id: ID!) { getJob(id: $id) { type } }";
    let (status, answer) = ask(&functions, get, json!({ "id": job["id"] })).await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({ "data": { "getJob": { "type": "two-steps" } } })
        )
    );
    // The same service as the node's.
    let id = job["id"].as_str().unwrap();
    assert_eq!(deployment.client().job(id).await["owner"], "ann");
    let (status, page) = answered(&functions, &request("GET", "/healthz", &[], None)).await;
    assert_eq!((status, page), (200, json!("ok\n")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_credentials_and_requests_for_a_stream_are_refused() {
    let deployment = Deployment::start().await;
    let functions = deployment.functions(&[("lambda-http", HTTP)]);
    let json = ("content-type", "application/json");
    let key = ("x-api-key", KEY);
    let query = json!({ "query": "{ listJobs { items { id } } }" });
    let subscription = json!({ "query": "subscription { onJob(id: \"1\") { id } }" });
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), key];
    for (event, status, kind) in [
        (
            request("POST", "/graphql", &[json], Some(&query)),
            401,
            "UnauthorizedException",
        ),
        (
            request(
                "POST",
                "/graphql",
                &[json, ("x-api-key", "wrong")],
                Some(&query),
            ),
            401,
            "UnauthorizedException",
        ),
        (
            request("POST", "/graphql", &[json, key], Some(&subscription)),
            200,
            "OperationNotSupported",
        ),
        (
            request(
                "POST",
                "/graphql",
                &[json, key, ("accept", "text/event-stream")],
                Some(&subscription),
            ),
            501,
            "OperationNotSupported",
        ),
        (
            request("GET", "/graphql", &upgrade, None),
            501,
            "OperationNotSupported",
        ),
        (
            request("GET", "/graphql/realtime", &upgrade, None),
            501,
            "OperationNotSupported",
        ),
        (
            request("GET", "/metrics", &[], None),
            401,
            "UnauthorizedException",
        ),
    ] {
        let (found, answer) = answered(&functions, &event).await;
        assert_eq!(
            (found, &answer["errors"][0]["errorType"]),
            (status, &json!(kind)),
            "{event} {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schedule_starts_what_was_not_started_and_deletes_what_has_expired() {
    let deployment = Deployment::start().await;
    let functions = deployment.functions(&[("lambda-sweep", SWEEP)]);
    let store = deployment.dynamodb.store().await;
    // The node is down, so only the function can do it.
    assert!(deployment.server.stop().await.success());
    let long_ago = Time::from_millis(now().as_millis() - 10 * 60 * 1_000);
    let create = |number: u128| {
        let job = NewJob {
            id: JobId::new(long_ago, number << 64),
            job_type: "pass".to_owned(),
            owner: "ann".to_owned(),
            tags: Vec::new(),
            steps: Vec::new(),
        };
        CreateJob {
            job: job.into_job().unwrap(),
            input: "{}".into(),
            request: None,
        }
    };
    // A job that expired, and one whose start was lost.
    let (expired, lost) = (create(1), create(2));
    let (expired_id, lost_id) = (expired.job.id, lost.job.id);
    store.create(expired).await.unwrap();
    let mut end = Change::of(Update::Succeed);
    end.retention_millis = Some(1_000);
    store.apply(expired_id, end, long_ago).await.unwrap();
    store.create(lost).await.unwrap();
    let event = json!({ "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "000000000000", "time": "2026-12-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": {} });
    let answer = functions.invoke("lambda-sweep", &event).await;
    assert_eq!(answer, Ok(json!({ "deletedJobs": 1, "deletedFiles": 0 })));
    assert!(store.get(expired_id).await.unwrap().is_none());
    // It runs now: the next sweeps see its end, since nothing pushes it.
    let ended = async {
        while store.get(lost_id).await.unwrap().unwrap().status != Status::Succeeded {
            functions.invoke("lambda-sweep", &event).await.unwrap();
        }
    };
    soon("the end of the job", ended).await;
    // A further sweep finds nothing to do.
    let answer = functions.invoke("lambda-sweep", &event).await;
    assert_eq!(answer, Ok(json!({ "deletedJobs": 0, "deletedFiles": 0 })));
}
