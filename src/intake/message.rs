//! From a message of a queue to a submission. A body is a `SubmitJobInput` as JSON, or a CloudEvent
//! (CloudEvents 1.0, JSON format, structured mode) whose `data` is one. Unknown members are
//! refused, so that a typing error does not become a job without its input.

use std::sync::Arc;

use resolvers::jobs::SubmitJob;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The member that only a CloudEvent has.
const SPECVERSION: &str = "specversion";
/// The attributes of a CloudEvent (CloudEvents 1.0, "Context Attributes").
const ATTRIBUTES: [&str; 8] = [
    SPECVERSION,
    "id",
    "source",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
];
/// The name of the message attribute with a request token.
pub const TOKEN_ATTRIBUTE: &str = "clientRequestToken";

/// A message of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its queue.
    pub queue: &'a str,
    /// Its identifier. It is the request token of a message that has no other.
    pub id: &'a str,
    /// Its content.
    pub body: &'a str,
    /// The message attribute [`TOKEN_ATTRIBUTE`].
    pub token: Option<&'a str>,
}

/// `SubmitJobInput` of the GraphQL schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Submission {
    #[serde(rename = "type")]
    job_type: String,
    /// JSON in a string, as in GraphQL, or an object.
    input: Option<Box<RawValue>>,
    tags: Option<Vec<String>>,
    client_request_token: Option<String>,
}

/// The submission of a message. Its token is the body's, else the message attribute's, else the
/// message's identifier.
///
/// # Errors
/// The reason why the message is no submission.
pub fn submission(message: Message<'_>) -> Result<SubmitJob, String> {
    let text = json::check(message.body).map_err(|refused| format!("the body is {refused}"))?;
    let submission: Submission = match event_data(text)? {
        Some(data) => read(data.get(), "data of the CloudEvent")?,
        None => read(text, "the body")?,
    };
    let token = submission.client_request_token.as_deref();
    let token = token.or(message.token).unwrap_or(message.id);
    Ok(SubmitJob {
        client_request_token: Some(token.to_owned()),
        input: submission.input.map(|input| input_of(&input)).transpose()?,
        job_type: submission.job_type,
        tags: submission.tags.unwrap_or_default(),
    })
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, String> {
    if !text.trim_start().starts_with('{') {
        return Err(format!(
            "{what} must be an object such as {{\"type\": \"greet\", \"input\": {{}}}}"
        ));
    }
    // A repeated name is refused here: it says two things.
    serde_json::from_str(text).map_err(|error| format!("{what} is not a SubmitJobInput: {error}"))
}

/// The input as JSON text. A string is JSON in a string, as GraphQL's `AWSJSON` is.
fn input_of(input: &RawValue) -> Result<Arc<str>, String> {
    let text = input.get();
    match text.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let checked = json::check(&text);
            let checked = checked.map_err(|refused| format!("the string of input is {refused}"))?;
            Ok(checked.into())
        }
        Some(b'{') => Ok(text.into()),
        _ => Err(
            "input must be an object, or a string that holds JSON: {\"input\": {\"n\": 1}} or {\"input\": \"{\\\"n\\\": 1}\"}"
                .to_owned(),
        ),
    }
}

/// The `data` of a body that is a CloudEvent; `None` for another body.
fn event_data(text: &str) -> Result<Option<Box<RawValue>>, String> {
    let mut is_event = false;
    json::check_names(text, |name| is_event |= name == SPECVERSION)
        .map_err(|refused| format!("the body is {refused}"))?;
    if !is_event {
        return Ok(None);
    }
    let event: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| format!("the body is not a CloudEvent: {error}"))?;
    for name in [SPECVERSION, "id", "source", "type"] {
        let set = event.get(name).and_then(Value::as_str);
        if set.is_none_or(str::is_empty) {
            return Err(format!("the CloudEvent needs a text in `{name}`"));
        }
    }
    let version = &event[SPECVERSION];
    if version != "1.0" {
        return Err(format!(
            "{SPECVERSION} is {version}, and it must be \"1.0\""
        ));
    }
    if event.contains_key("data_base64") {
        return Err(
            "the CloudEvent has data_base64, and it must have its JSON in `data`".to_owned(),
        );
    }
    let content = event.get("datacontenttype").filter(|kind| !kind.is_null());
    if let Some(kind) = content.filter(|kind| !kind.as_str().is_some_and(is_json)) {
        return Err(format!(
            "datacontenttype is {kind}, and it must be application/json"
        ));
    }
    for (name, value) in &event {
        let known = name == "data" || ATTRIBUTES.contains(&name.as_str());
        if !known && !is_extension(name, value) {
            return Err(format!(
                "the CloudEvent has a member `{name}`, which is no attribute and no extension: an extension has a name of lower-case letters and digits, and a text, number or truth value"
            ));
        }
    }
    #[derive(Deserialize)]
    struct Data {
        data: Option<Box<RawValue>>,
    }
    let data: Data = serde_json::from_str(text).map_err(|error| error.to_string())?;
    data.data.map(Some).ok_or_else(|| {
        "the CloudEvent has no `data`: it must be the SubmitJobInput, such as {\"type\": \"greet\"}"
            .to_owned()
    })
}

/// Whether a media type is JSON (RFC 6838, section 4.2.8).
fn is_json(kind: &str) -> bool {
    let media = kind.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    media.ends_with("/json") || media.ends_with("+json")
}

/// Whether a member is an extension attribute (CloudEvents 1.0, "Naming Conventions").
fn is_extension(name: &str, value: &Value) -> bool {
    let named = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    named && !matches!(value, Value::Array(_) | Value::Object(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Message<'_> {
        Message {
            queue: "default",
            id: "message-1",
            body,
            token: None,
        }
    }

    fn taken(body: &str) -> SubmitJob {
        submission(message(body)).expect(body)
    }

    fn refused(body: &str) -> String {
        submission(message(body)).expect_err(body)
    }

    fn token(body: &str, attribute: Option<&str>) -> Option<String> {
        let message = Message {
            token: attribute,
            ..message(body)
        };
        submission(message).expect(body).client_request_token
    }

    #[test]
    fn a_submission_keeps_its_members() {
        let submit = taken(r#"{"type": "greet", "input": "{\"n\": 1.50}", "tags": ["a", "b"]}"#);
        assert_eq!(submit.job_type, "greet");
        assert_eq!(submit.input.as_deref(), Some(r#"{"n": 1.50}"#));
        assert_eq!(submit.tags, ["a", "b"]);
    }

    #[test]
    fn an_input_may_be_an_object_and_keeps_its_text() {
        let submit = taken(r#"{"type": "greet", "input": {"n": 12345678901234567890123}}"#);
        assert_eq!(
            submit.input.as_deref(),
            Some(r#"{"n": 12345678901234567890123}"#)
        );
        for none in [
            r#"{"type": "greet"}"#,
            r#"{"type": "greet", "input": null}"#,
        ] {
            assert_eq!(taken(none).input, None, "{none}");
        }
    }

    #[test]
    fn the_data_of_a_cloud_event_is_the_submission() {
        let submit = taken(
            r#"{"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "time": "2026-12-01T00:00:00Z",
                "datacontenttype": "application/json; charset=utf-8", "traceparent": "00-1", "retries": 3,
                "data": {"type": "greet", "input": {"n": 1}, "clientRequestToken": "t"}}"#,
        );
        assert_eq!(submit.input.as_deref(), Some(r#"{"n": 1}"#));
        assert_eq!(submit.client_request_token.as_deref(), Some("t"));
    }

    #[test]
    fn the_token_is_the_bodys_then_the_attributes_then_the_messages() {
        let (with, without) = (
            r#"{"type": "greet", "clientRequestToken": "body"}"#,
            r#"{"type": "greet"}"#,
        );
        assert_eq!(token(with, Some("attribute")).as_deref(), Some("body"));
        assert_eq!(
            token(without, Some("attribute")).as_deref(),
            Some("attribute")
        );
        assert_eq!(token(without, None).as_deref(), Some("message-1"));
    }

    #[test]
    fn a_body_that_is_no_submission_is_refused_with_its_reason() {
        for (body, said) in [
            ("", "the body is"),
            ("hello", "the body is"),
            ("[]", "the body must be an object"),
            (r#"["greet"]"#, "the body must be an object"),
            ("{}", "missing field `type`"),
            (r#"{"type": 1}"#, "expected a string"),
            (r#"{"type": "a", "inputs": {}}"#, "unknown field `inputs`"),
            (r#"{"type": "a", "owner": "root"}"#, "unknown field `owner`"),
            (r#"{"type": "a", "type": "b"}"#, "duplicate field `type`"),
            (r#"{"type": "a", "input": 1}"#, "input must be an object"),
            (r#"{"type": "a", "input": "{"}"#, "the string of input is"),
            (r#"{"type": "a", "tags": "x"}"#, "expected a sequence"),
        ] {
            let reason = refused(body);
            assert!(reason.contains(said), "{body}: {reason}");
        }
    }

    #[test]
    fn a_cloud_event_that_is_not_one_is_refused_with_its_reason() {
        let event = |rest: &str| {
            format!(r#"{{"specversion": "1.0", "id": "1", "source": "s", "type": "t"{rest}}}"#)
        };
        for (body, said) in [
            (event(""), "has no `data`"),
            (event(r#", "data": null"#), "has no `data`"),
            (
                event(r#", "data": "{}""#),
                "data of the CloudEvent must be an object",
            ),
            (
                event(r#", "data": {"type": "a", "b": 1}"#),
                "unknown field `b`",
            ),
            (event(r#", "data_base64": "e30=""#), "data_base64"),
            (
                event(r#", "datacontenttype": "text/xml", "data": {}"#),
                "datacontenttype is \"text/xml\"",
            ),
            (event(r#", "Data": {}"#), "a member `Data`"),
            (event(r#", "extra": {}"#), "a member `extra`"),
            (
                r#"{"specversion": "0.3", "id": "1", "source": "s", "type": "t", "data": {}}"#
                    .to_owned(),
                "must be \"1.0\"",
            ),
            (
                r#"{"specversion": "1.0", "source": "s", "type": "t", "data": {}}"#.to_owned(),
                "a text in `id`",
            ),
            (
                r#"{"specversion": 1, "id": "1", "source": "s", "type": "t"}"#.to_owned(),
                "a text in `specversion`",
            ),
        ] {
            let reason = refused(&body);
            assert!(reason.contains(said), "{body}: {reason}");
        }
    }
}
