//! Errors as clients see them: the one place where an error of a use case becomes a GraphQL error.
//!
//! As in AppSync, `errorType` and `errorInfo` are at the top level of an error. For other clients
//! `extensions.code` has the same value.

use std::borrow::Cow;

use async_graphql::{ErrorExtensionValues, PathSegment, Pos, ServerError, Value};
use serde_json::{Map, json};

use crate::graphql::limits::{ERRORS, MESSAGE_BYTES};

/// The key under which a GraphQL error carries its code.
const CODE: &str = "code";
/// The key of the time in seconds after which a caller over its rate may try again.
const RETRY_AFTER: &str = "retryAfterSeconds";

/// An error of a use case, for GraphQL. An error that is the server's fault is logged here, with
/// its cause.
pub fn to_graphql(error: impl Into<resolvers::Error>) -> async_graphql::Error {
    let error = error.into();
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

/// An error for a caller over its rate: `extensions.retryAfterSeconds` says when there is room
/// again.
pub(in crate::graphql) fn throttled(
    message: impl Into<String>,
    seconds: f64,
) -> async_graphql::Error {
    let mut error = coded(message, "Throttled");
    let extensions = error.extensions.get_or_insert_default();
    extensions.set(RETRY_AFTER, seconds);
    error
}

/// An error because of which a request is not executed.
#[derive(Clone, Debug)]
pub(in crate::graphql) struct RequestError {
    pub(in crate::graphql) message: String,
    pub(in crate::graphql) code: &'static str,
    pub(in crate::graphql) places: Vec<Pos>,
}

/// The errors of a request, at most [`ERRORS`].
#[derive(Clone, Debug)]
pub(in crate::graphql) struct Errors {
    pub(in crate::graphql) first: Vec<RequestError>,
    /// Whether there are more errors.
    pub(in crate::graphql) more: bool,
}

impl From<RequestError> for Errors {
    fn from(error: RequestError) -> Self {
        Self {
            first: vec![error],
            more: false,
        }
    }
}

impl Errors {
    /// One error without a location.
    pub(in crate::graphql) fn one(message: impl Into<String>, code: &'static str) -> Self {
        Self::from(RequestError {
            message: message.into(),
            code,
            places: Vec::new(),
        })
    }

    /// A JSON array of GraphQL errors.
    pub(in crate::graphql) fn json(&self) -> String {
        let errors = self.first.iter();
        let mut errors: Vec<_> = errors
            .map(|error| entry(&error.message, error.code, &error.places, &[]))
            .collect();
        if self.more {
            errors.push(more());
        }
        serde_json::Value::from(errors).to_string()
    }
}

/// The last error of a response that leaves errors out.
fn more() -> serde_json::Value {
    let text = format!("there are more errors: these are the first {ERRORS}");
    entry(&text, "TooManyErrors", &[], &[])
}

fn entry(message: &str, code: &str, places: &[Pos], path: &[PathSegment]) -> serde_json::Value {
    let mut json = Map::new();
    json.insert("message".into(), json!(shortened(message)));
    json.insert("errorType".into(), json!(code));
    json.insert("errorInfo".into(), serde_json::Value::Null);
    if !places.is_empty() {
        json.insert("locations".into(), json!(places));
    }
    if !path.is_empty() {
        json.insert("path".into(), json!(path));
    }
    json.insert("extensions".into(), json!({ CODE: code }));
    serde_json::Value::Object(json)
}

/// A message of at most [`MESSAGE_BYTES`]. A longer one is cut in its middle: its beginning and its
/// end say what is wrong.
fn shortened(message: &str) -> Cow<'_, str> {
    const CUT: &str = " … ";
    if message.len() <= MESSAGE_BYTES {
        return message.into();
    }
    let end = (MESSAGE_BYTES - CUT.len()) / 4;
    let begin = message.floor_char_boundary(MESSAGE_BYTES - CUT.len() - end);
    let end = message.ceil_char_boundary(message.len() - end);
    format!("{}{CUT}{}", &message[..begin], &message[end..]).into()
}

/// One error of a field, as JSON.
#[must_use]
pub fn error_json(error: &ServerError) -> serde_json::Value {
    let extensions = error.extensions.as_ref();
    let code = match extensions.and_then(|extensions| extensions.get(CODE)) {
        Some(Value::String(code)) => code,
        // An error without our code is from the GraphQL library: an argument is wrong.
        _ => "ValidationError",
    };
    let mut json = entry(&error.message, code, &error.locations, &error.path);
    if let Some(seconds) = extensions.and_then(|extensions| extensions.get(RETRY_AFTER)) {
        json["extensions"][RETRY_AFTER] = json!(seconds);
    }
    json
}

/// An array with one error, as JSON text: the response to an operation that has not begun.
#[must_use]
pub fn errors_text(message: &str, code: &str) -> String {
    serde_json::Value::from(vec![entry(message, code, &[], &[])]).to_string()
}

/// The errors of fields, at most [`ERRORS`], as JSON text of an array.
pub(in crate::graphql) fn field_errors(errors: &[ServerError]) -> String {
    let mut shown: Vec<_> = errors.iter().take(ERRORS).map(error_json).collect();
    if errors.len() > ERRORS {
        shown.push(more());
    }
    serde_json::Value::from(shown).to_string()
}
