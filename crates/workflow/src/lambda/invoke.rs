//! The Invoke API (AWS Lambda, 2015-03-31) over HTTP, and what an invocation may ask for besides
//! its payload.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::function::{Extras, Function, Unwanted};
use super::host::{HostState, not_found};
use super::http::{Answer, JSON, collect, failure, status};
use super::limits;
use super::outcome::{Caller, Outcome};

const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The function of `/2015-03-31/functions/{name}/invocations`.
pub(crate) fn invoked(path: &str) -> Option<String> {
    let name = path
        .strip_prefix("/2015-03-31/functions/")?
        .strip_suffix("/invocations")?;
    // The SDKs escape the colons of an ARN, and a `$LATEST`.
    Some(unescaped(name))
}

fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for (escaped, plain) in [("%3A", ":"), ("%3a", ":"), ("%24", "$")] {
        text = text.replace(escaped, plain);
    }
    text
}

/// What an invocation asks for, in the words of the Invoke API.
#[derive(Debug, Default)]
pub(crate) struct Asked<'a> {
    /// The function: a name, a partial ARN or an ARN.
    pub(crate) function: &'a str,
    /// A version or an alias.
    pub(crate) qualifier: Option<&'a str>,
    /// JSON, base64.
    pub(crate) client_context: Option<&'a str>,
    /// `None` or `Tail`.
    pub(crate) log_type: Option<&'a str>,
    /// `RequestResponse`, `Event` or `DryRun`.
    pub(crate) invocation_type: Option<&'a str>,
}

/// How it is invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    RequestResponse,
    Event,
    DryRun,
}

/// Why an invocation is refused: Lambda's name and words.
pub(crate) type Refusal = (&'static str, String);

impl Asked<'_> {
    /// The mode, and what goes beside the payload.
    pub(crate) fn check(&self) -> Result<(Mode, Option<Arc<Extras>>), Refusal> {
        let invalid = |message: String| ("InvalidParameterValueException", message);
        let mode = match self.invocation_type.unwrap_or("RequestResponse") {
            "RequestResponse" => Mode::RequestResponse,
            "Event" => Mode::Event,
            "DryRun" => Mode::DryRun,
            other => {
                return Err(invalid(format!(
                    "`{other}` is no invocation type: RequestResponse, Event or DryRun"
                )));
            }
        };
        let tail = match self.log_type.unwrap_or("None") {
            "None" => false,
            "Tail" => true,
            other => return Err(invalid(format!("`{other}` is no log type: None or Tail"))),
        };
        let of_name = crate::arn::qualifier(self.function);
        if let (Some(derived), Some(given)) = (of_name, self.qualifier)
            && derived != given
        {
            return Err(invalid(
                "The derived qualifier from the function name does not match the specified qualifier."
                    .to_owned(),
            ));
        }
        let qualifier = of_name.or(self.qualifier).map(str::to_owned);
        if let Some(qualifier) = &qualifier
            && !is_qualifier(qualifier)
        {
            return Err(invalid(format!(
                "`{qualifier}` is no qualifier: 1 to {} of the characters a-z, A-Z, 0-9, $, _ and -",
                limits::QUALIFIER_BYTES
            )));
        }
        let client_context = self.client_context.map(client_context).transpose()?;
        let plain = client_context.is_none() && qualifier.is_none() && !tail;
        let extras = (!plain).then(|| {
            Arc::new(Extras {
                client_context,
                qualifier,
                tail,
            })
        });
        Ok((mode, extras))
    }
}

fn is_qualifier(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'_' | b'-');
    (1..=limits::QUALIFIER_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

/// A client context as the runtime gets it: JSON in one line of ASCII.
fn client_context(encoded: &str) -> Result<HeaderValue, Refusal> {
    let invalid = |message: String| ("InvalidRequestContentException", message);
    if encoded.len() > limits::CLIENT_CONTEXT_BYTES {
        return Err(invalid(format!(
            "Client context must not be longer than {} bytes.",
            limits::CLIENT_CONTEXT_BYTES
        )));
    }
    let not_json =
        || invalid("Client context must be a valid Base64-encoded JSON object.".to_owned());
    let decoded = STANDARD.decode(encoded).map_err(|_| not_json())?;
    let Ok(Value::Object(object)) = json::text(&decoded).and_then(json::read) else {
        return Err(not_json());
    };
    let mut line = String::new();
    for character in json::write(&Value::Object(object)).chars() {
        if character.is_ascii() && !character.is_ascii_control() {
            line.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    HeaderValue::from_str(&line).map_err(|_| not_json())
}

/// Answers `Invoke`.
pub(crate) async fn invoke(
    host: &Arc<HostState>,
    function: &str,
    request: Request<Incoming>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let query = parts.uri.query().unwrap_or_default().split('&');
    let qualifier = query
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| (name == "Qualifier").then(|| unescaped(value)));
    let asked = Asked {
        function,
        qualifier: qualifier.as_deref(),
        client_context: header("x-amz-client-context"),
        log_type: header("x-amz-log-type"),
        invocation_type: header("x-amz-invocation-type"),
    };
    let payload = match collect(body, limits::PAYLOAD_BYTES).await {
        Ok(body) if body.is_empty() => Bytes::from_static(b"{}"),
        Ok(body) => body,
        Err(_) => {
            return failure(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLargeException",
                &format!(
                    "Request must be smaller than {} bytes",
                    limits::PAYLOAD_BYTES
                ),
            );
        }
    };
    let payload = match json::text(&payload).and_then(json::check) {
        Ok(text) => payload.slice_ref(text.as_bytes()),
        Err(refused) => {
            return failure(
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                &format!("Could not parse request body into json: it is {refused}"),
            );
        }
    };
    let (mode, extras) = match asked.check() {
        Ok(checked) => checked,
        Err((kind, message)) => return failure(StatusCode::BAD_REQUEST, kind, &message),
    };
    let name = super::function_name(function);
    let Some(found) = host.find_or_attach(name) else {
        return outcome(not_found(name), Uuid::nil(), false);
    };
    let id = crate::ids::random();
    match mode {
        Mode::DryRun => return status(StatusCode::NO_CONTENT),
        Mode::Event => {
            found.invoke(id, payload, None, extras, Box::new(Nobody));
            return status(StatusCode::ACCEPTED);
        }
        Mode::RequestResponse => {}
    }
    invoke_and_wait(&found, id, payload, extras).await
}

/// Invokes a function and answers with its outcome. An invocation whose caller leaves is cancelled.
async fn invoke_and_wait(
    found: &Arc<Function>,
    id: Uuid,
    payload: Bytes,
    extras: Option<Arc<Extras>>,
) -> Answer {
    let tail = extras.as_ref().is_some_and(|extras| extras.tail);
    let (sender, ended) = oneshot::channel();
    let left = Left(Some((Arc::clone(found), id)));
    found.invoke(id, payload, None, extras, Box::new(Waits(sender)));
    let ended = ended.await;
    left.stays();
    match ended {
        Ok(ended) => outcome(ended, id, tail),
        Err(_) => failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServiceException",
            "the server stops",
        ),
    }
}

/// An invocation whose caller may leave before the answer. Dropped then, it cancels the invocation.
struct Left(Option<(Arc<Function>, Uuid)>);

impl Left {
    fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some((function, id)) = self.0.take() {
            function.cancel(Unwanted::Invocation(id));
        }
    }
}

#[derive(Debug)]
struct Waits(oneshot::Sender<Outcome>);

impl Caller for Waits {
    fn finished(self: Box<Self>, outcome: Outcome) {
        let _ = self.0.send(outcome);
    }
}

#[derive(Debug)]
pub(crate) struct Nobody;

impl Caller for Nobody {
    fn finished(self: Box<Self>, outcome: Outcome) {
        let (error, cause) = match outcome {
            Outcome::Success { .. } => return,
            Outcome::Failed { error, payload, .. } => {
                (error, String::from_utf8_lossy(&payload).into_owned())
            }
            Outcome::Refused { error, message } => (error.to_owned(), message),
        };
        tracing::warn!(%error, %cause, "an asynchronous invocation failed");
    }
}

fn outcome(outcome: Outcome, id: Uuid, tail: bool) -> Answer {
    let (payload, failed, log) = match outcome {
        Outcome::Success { payload, log } => (payload, false, log),
        Outcome::Failed { payload, log, .. } => (payload, true, log),
        Outcome::Refused { error, message } => {
            let kind = error.strip_prefix("Lambda.").unwrap_or(error);
            let status = if kind == "ResourceNotFoundException" {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::TOO_MANY_REQUESTS
            };
            return failure(status, kind, &message);
        }
    };
    let mut answer = Response::new(Full::new(payload));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(EXECUTED_VERSION, HeaderValue::from_static("$LATEST"));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    if failed {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
    }
    if tail && let Ok(log) = HeaderValue::from_str(&STANDARD.encode(log)) {
        headers.insert(LOG_RESULT, log);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_may_be_escaped_in_a_path() {
        assert_eq!(
            invoked("/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A0%3Afunction%3Af%3A%24LATEST/invocations").as_deref(),
            Some("arn:aws:lambda:us-east-1:0:function:f:$LATEST")
        );
    }

    #[test]
    fn a_client_context_is_one_line_of_ascii() {
        let context = |text: &str| client_context(&STANDARD.encode(text));
        let shown = |text: &str| context(text).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            shown("{\n \"custom\": {\"k\": \"v\u{fc}\u{1f600}\"}}"),
            r#"{"custom":{"k":"v\u00fc\ud83d\ude00"}}"#
        );
        assert_eq!(shown("{}"), "{}");
        for wrong in ["", "[]", "{", "1"] {
            assert_eq!(
                context(wrong).unwrap_err().0,
                "InvalidRequestContentException"
            );
        }
        assert!(client_context("no base64!").is_err());
        let of = |bytes: usize| format!("{{\"k\":\"{}\"}}", "x".repeat(bytes));
        let most = limits::CLIENT_CONTEXT_BYTES / 4 * 3 - of(0).len();
        assert!(context(&of(most)).is_ok());
        assert!(context(&of(most + 3)).is_err());
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        let asked = |function: &str, qualifier: Option<&str>| {
            let asked = Asked {
                function,
                qualifier,
                ..Asked::default()
            };
            asked.check()
        };
        assert!(asked("f", None).unwrap().1.is_none());
        for (function, qualifier) in [
            ("f", Some("live")),
            ("f:live", None),
            ("f:live", Some("live")),
        ] {
            let extras = asked(function, qualifier).unwrap().1.unwrap();
            assert_eq!(extras.qualifier.as_deref(), Some("live"));
        }
        assert!(asked("f:1", Some("2")).is_err());
        assert!(asked("f", Some("a b")).is_err());
        let most = "x".repeat(limits::QUALIFIER_BYTES);
        let over = format!("{most}x");
        assert!(asked("f", Some(&most)).is_ok());
        assert!(asked("f", Some(&over)).is_err());
        for (kind, log) in [(Some("Sometimes"), None), (None, Some("Head"))] {
            let asked = Asked {
                function: "f",
                invocation_type: kind,
                log_type: log,
                ..Asked::default()
            };
            assert_eq!(
                asked.check().unwrap_err().0,
                "InvalidParameterValueException"
            );
        }
    }
}
