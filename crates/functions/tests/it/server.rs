//! A minimal Jobcast for tests: GraphQL with one token, signed files, and faults on demand. It
//! checks each request, so that a wrong request fails the test.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The token that the server accepts.
pub(crate) const TOKEN: &str = "the-report-token";

/// A running server; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Inner>,
    /// Rises with every report, so that a test can wait for one.
    reports: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    reports: Vec<(Instant, Value)>,
    requests: usize,
    faults: VecDeque<Fault>,
    files: HashMap<String, (String, Bytes)>,
    endless: HashMap<String, (Bytes, usize)>,
    refused: Option<(&'static str, &'static str)>,
    uploads_left: Option<usize>,
}

/// The fault that the next request meets.
pub(crate) enum Fault {
    /// An HTTP status without GraphQL.
    Status(u16),
}

impl Server {
    /// Starts a server on a free port of this machine.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            reports: watch::Sender::new(0),
        });
        let server = Self { url, shared };
        let router = Router::new()
            .route("/graphql", post(graphql))
            .route("/files/{name}", get(get_file).put(put_file))
            .route("/files/to/{*url}", get(redirect))
            .layer(DefaultBodyLimit::disable())
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// The `job` field that a state machine would pass.
    pub(crate) fn job(&self) -> Value {
        json!({"id": "job-1", "step": "Step", "reportUrl": format!("{}/graphql", self.url), "reportToken": TOKEN})
    }

    /// An event: `input` with the job added.
    pub(crate) fn event(&self, input: Value) -> Value {
        let mut event = input;
        event["job"] = self.job();
        event
    }

    /// Meets the next request with `fault`.
    pub(crate) fn fault(&self, fault: Fault) {
        self.inner().faults.push_back(fault);
    }

    /// From now on every GraphQL request gets this error.
    pub(crate) fn refuse(&self, code: &'static str, message: &'static str) {
        self.inner().refused = Some((code, message));
    }

    /// Takes requests again.
    pub(crate) fn accept(&self) {
        self.inner().refused = None;
    }

    /// Accepts `count` more uploads, and refuses the next.
    pub(crate) fn refuse_uploads_after(&self, count: usize) {
        self.inner().uploads_left = Some(count);
    }

    /// Number of GraphQL requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.inner().requests
    }

    /// The reports so far, with their time of arrival.
    pub(crate) fn reports(&self) -> Vec<(Instant, Value)> {
        self.inner().reports.clone()
    }

    /// The newest report.
    pub(crate) fn last_report(&self) -> Option<Value> {
        self.inner()
            .reports
            .last()
            .map(|(_, report)| report.clone())
    }

    /// Waits until `count` reports have arrived.
    pub(crate) async fn reported(&self, count: usize) {
        let mut reports = self.shared.reports.subscribe();
        let waited = tokio::time::timeout(
            std::time::Duration::from_secs(10),
            reports.wait_for(|have| *have >= count),
        );
        waited.await.expect("a report within ten seconds").unwrap();
    }

    /// Stores a file and returns its address.
    pub(crate) fn put(&self, name: &str, bytes: impl Into<Bytes>) -> String {
        self.inner().files.insert(
            name.into(),
            ("application/octet-stream".into(), bytes.into()),
        );
        format!("{}/files/{name}?signature=s3cr3t", self.url)
    }

    /// A file that repeats `chunk` `times` times. It is never whole in memory.
    pub(crate) fn put_repeated(&self, name: &str, chunk: impl Into<Bytes>, times: usize) -> String {
        self.inner()
            .endless
            .insert(name.into(), (chunk.into(), times));
        format!("{}/files/{name}?signature=s3cr3t", self.url)
    }

    /// The content type and the bytes of an address that the server issued.
    pub(crate) fn file(&self, url: &str) -> (String, Bytes) {
        let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
        self.inner()
            .files
            .get(name)
            .unwrap_or_else(|| panic!("no file {name}"))
            .clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.state.lock().unwrap()
    }

    fn next_fault(&self) -> Option<Fault> {
        self.inner().faults.pop_front()
    }
}

fn meet(fault: Fault) -> Response {
    match fault {
        Fault::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
    }
}

async fn graphql(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    server.inner().requests += 1;
    if let Some(fault) = server.next_fault() {
        return meet(fault);
    }
    let error = |code: &str, message: &str| {
        let error = json!({"message": message, "extensions": {"code": code}});
        axum::Json(json!({"data": null, "errors": [error]})).into_response()
    };
    if headers
        .get("authorization")
        .is_none_or(|value| value != &format!("Bearer {TOKEN}"))
    {
        return error("UNAUTHORIZED", "the token is not valid");
    }
    if let Some((code, message)) = server.inner().refused {
        return error(code, message);
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    let query = request["query"].as_str().unwrap();
    if query.contains("reportProgress(input: $input)") {
        let report = request["variables"]["input"].clone();
        server.inner().reports.push((Instant::now(), report));
        server.shared.reports.send_modify(|count| *count += 1);
        return axum::Json(json!({"data": {"reportProgress": {"version": 2}}})).into_response();
    }
    assert!(
        query.contains("createUpload(name: $name, contentType: $contentType, size: $size)"),
        "{query}"
    );
    match &mut server.inner().uploads_left {
        Some(0) => return error("LimitExceeded", "no more files"),
        Some(left) => *left -= 1,
        None => {}
    }
    let (name, size) = (&request["variables"]["name"], &request["variables"]["size"]);
    let id = format!("{}-{}", server.requests(), name.as_str().unwrap());
    let upload = json!({
        "id": id, "name": name, "expiresAt": "2030-01-01T00:00:00.000Z",
        "putUrl": format!("{}/files/{id}?size={size}&signature=put", server.url),
        "getUrl": format!("/files/{id}?signature=get"),
    });
    axum::Json(json!({"data": {"createUpload": upload}})).into_response()
}

/// Redirects to the address in its path.
async fn redirect(Path(url): Path<String>) -> Response {
    (StatusCode::FOUND, [("location", url)]).into_response()
}

async fn put_file(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(fault) = server.next_fault() {
        return meet(fault);
    }
    assert!(
        !headers.contains_key("authorization"),
        "the report token is for GraphQL only"
    );
    let content_type = headers["content-type"].to_str().unwrap().to_owned();
    server.inner().files.insert(name, (content_type, body));
    StatusCode::CREATED.into_response()
}

async fn get_file(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(fault) = server.next_fault() {
        return meet(fault);
    }
    assert!(
        !headers.contains_key("authorization"),
        "the report token is for GraphQL only"
    );
    let inner = server.inner();
    if let Some((chunk, times)) = inner.endless.get(&name).cloned() {
        let size = chunk.len() * times;
        let chunks = futures_util::stream::iter(
            (0..times).map(move |_| Ok::<_, std::io::Error>(chunk.clone())),
        );
        return (
            [("content-length", size.to_string())],
            Body::from_stream(chunks),
        )
            .into_response();
    }
    match inner.files.get(&name) {
        Some((_, bytes)) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
