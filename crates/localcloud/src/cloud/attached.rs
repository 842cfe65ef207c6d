//! Functions that run in this process: a closure behind the Runtime API, instead of a program.

use std::sync::Arc;

use http::{Request, Response};
use serde_json::{Value, json};

use super::inner::{Bytes, Inner};

/// What a function answers, or the text of its error.
pub type Answer = Result<Value, String>;

const RUNTIME: &str = "2018-06-01/runtime";

/// Works until it is dropped.
pub(super) async fn serve(
    inner: Arc<Inner>,
    name: String,
    handler: Arc<dyn Fn(Value) -> Answer + Send + Sync>,
) {
    loop {
        let next = Request::get(format!("/{name}/{RUNTIME}/invocation/next"));
        let Some((answer, body)) = send(&inner, next, Value::Null).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let id = answer.headers().get("lambda-runtime-aws-request-id");
        let Some(id) = id.and_then(|id| id.to_str().ok()) else {
            continue;
        };
        let event = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (path, body) = match handler(event) {
            Ok(answer) => ("response", answer),
            Err(message) => (
                "error",
                json!({"errorType": "Exception", "errorMessage": message}),
            ),
        };
        let answer = Request::post(format!("/{name}/{RUNTIME}/invocation/{id}/{path}"));
        send(&inner, answer, body).await;
    }
}

async fn send(
    inner: &Inner,
    request: http::request::Builder,
    body: Value,
) -> Option<(Response<Bytes>, bytes::Bytes)> {
    let body = match body {
        Value::Null if request.method_ref() == Some(&http::Method::GET) => String::new(),
        body => body.to_string(),
    };
    let request = request.header("content-type", "application/json");
    let request = request.body(Bytes::from(body)).ok()?;
    inner.forward(inner.internal, request).await.ok()
}
