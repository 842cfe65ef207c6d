//! Errors as clients see them: the one place where a use case's error becomes a GraphQL error, and where a response becomes JSON.
//!
//! As in AppSync, `errorType` and `errorInfo` stand at the top level of an error; for other clients `extensions.code` says the same.

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};
use bytes::Bytes;
use serde_json::{Map, json};

use super::{COMPLEXITY, DEPTH, RECURSION};

/// The key under which a GraphQL error carries its code.
const CODE: &str = "code";

/// A use case's error, for GraphQL. A fault of the server's own is logged here, with its cause.
pub fn to_graphql(error: resolvers::Error) -> async_graphql::Error {
    let code = error.code();
    if let resolvers::Error::Unavailable { source, .. } = &error {
        let cause = source.as_ref().map(tracing::field::display);
        tracing::error!(%error, cause, "a request failed");
    }
    coded(error.to_string(), code)
}

/// An error with its code.
pub fn coded(message: impl Into<String>, code: &str) -> async_graphql::Error {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set(CODE, code);
    async_graphql::Error {
        message: message.into(),
        source: None,
        extensions: Some(extensions),
    }
}

/// One error, as JSON.
pub fn error_json(error: &ServerError) -> serde_json::Value {
    let mut message = error.message.clone();
    let code = match error
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.get(CODE))
    {
        Some(Value::String(code)) => code.clone(),
        // What has no code of ours comes from the GraphQL library: the document or its variables are wrong.
        _ => match over_bound(&error.message) {
            Some((code, text)) => {
                message = text;
                code.to_owned()
            }
            None => "ValidationError".to_owned(),
        },
    };
    let mut json = Map::new();
    json.insert("message".into(), json!(message));
    json.insert("errorType".into(), json!(code));
    json.insert("errorInfo".into(), serde_json::Value::Null);
    if !error.locations.is_empty() {
        json.insert("locations".into(), json!(error.locations));
    }
    if !error.path.is_empty() {
        json.insert("path".into(), json!(error.path));
    }
    json.insert("extensions".into(), json!({ CODE: code }));
    serde_json::Value::Object(json)
}

/// The library's errors of a document that is over a bound: AppSync's names, and the limits, which the library does not tell.
fn over_bound(message: &str) -> Option<(&'static str, String)> {
    match message {
        "Query is nested too deep." => Some((
            "QueryDepthLimitReached",
            format!("the selections are nested too deep: the limit is {DEPTH}"),
        )),
        "recursion limit exceeded." => Some((
            "QueryDepthLimitReached",
            format!("the document is nested too deep: the limit is {RECURSION}"),
        )),
        "Query is too complex." => Some((
            "ResolverExecutionLimitReached",
            format!(
                "the request asks for too much: each field counts 1, in a page as often as it may have items, and the limit is {COMPLEXITY}"
            ),
        )),
        _ => None,
    }
}

/// An array with one error, as JSON text: what ends an operation before it began.
pub fn errors_text(message: &str, code: &str) -> String {
    json!([{ "message": message, "errorType": code, "errorInfo": null, "extensions": { CODE: code } }]).to_string()
}

/// The errors of a response, as JSON text of an array.
pub fn response_errors(response: &Response) -> String {
    serde_json::Value::from(response.errors.iter().map(error_json).collect::<Vec<_>>()).to_string()
}

/// A response as JSON text on one line. `data` is left out of a request that was not executed (GraphQL, section 7.1).
pub fn response_bytes(response: &Response, executed: bool) -> Bytes {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(b"{");
    if executed {
        text.extend_from_slice(b"\"data\":");
        serde_json::to_writer(&mut text, &response.data).expect("a GraphQL value is JSON");
    }
    if !response.errors.is_empty() {
        if executed {
            text.push(b',');
        }
        text.extend_from_slice(b"\"errors\":");
        text.extend_from_slice(response_errors(response).as_bytes());
    }
    text.extend_from_slice(b"}");
    text.into()
}
