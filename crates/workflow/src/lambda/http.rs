//! The Runtime API (AWS Lambda, "Using the Lambda runtime API", 2018-06-01) and the Invoke API (2015-03-31) over HTTP. Requests and
//! responses only: what they mean is `function`'s.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Caller, Function, Outcome, Shared, limits};

/// What the internal listener answers.
pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const RUNTIME: &str = "/2018-06-01/runtime/";
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
/// Nothing here is traced. Always the same, since runtime clients put it into their environment, and an environment keeps what it once held.
const NOT_TRACED: HeaderValue =
    HeaderValue::from_static("Root=1-00000000-000000000000000000000000;Sampled=0");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");

/// Serves the Runtime API of one child process.
pub(super) async fn serve_process(listener: TcpListener, function: Arc<Function>, process: u64) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(function = %function.name, %error, "a connection of a function was not accepted");
                    tokio::time::sleep(limits::RESTART.0).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let _ = stream.set_nodelay(true);
        let function = function.clone();
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let function = function.clone();
                async move {
                    let path = request.uri().path();
                    let answer = match path.strip_prefix(RUNTIME).map(Route::of) {
                        Some(Some(route)) => {
                            runtime(&function, Some(process), route, request).await
                        }
                        _ => unknown_path(path),
                    };
                    Ok::<_, Infallible>(answer)
                }
            });
            // A process that goes away in the middle is noticed by its end.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A request of the Runtime API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Next,
    Response(Uuid),
    Error(Uuid),
    InitError,
    /// The path has an id that is none.
    BadId,
}

impl Route {
    /// Of what follows `/2018-06-01/runtime/`.
    fn of(path: &str) -> Option<Route> {
        match path {
            "invocation/next" => return Some(Route::Next),
            "init/error" => return Some(Route::InitError),
            _ => {}
        }
        let (id, what) = path.strip_prefix("invocation/")?.split_once('/')?;
        let id = Uuid::try_parse(id).ok();
        match (what, id) {
            ("response", Some(id)) => Some(Route::Response(id)),
            ("error", Some(id)) => Some(Route::Error(id)),
            ("response" | "error", None) => Some(Route::BadId),
            _ => None,
        }
    }
}

/// The function and the route of `/{function}/2018-06-01/runtime/…`.
pub(crate) fn attached(path: &str) -> Option<(&str, Route)> {
    let (function, rest) = path.strip_prefix('/')?.split_once('/')?;
    let route = rest.strip_prefix(&RUNTIME[1..])?;
    Some((function, Route::of(route)?))
}

/// Answers a request of an outside process.
pub(crate) async fn attach(
    host: &Arc<Shared>,
    function: &str,
    route: Route,
    request: Request<Incoming>,
) -> Answer {
    match host.find_or_attach(function) {
        Some(function) => runtime(&function, None, route, request).await,
        None => failure(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            &format!(
                "function `{function}` is not configured: add [functions.{function}] to the configuration, or allow any name to attach"
            ),
        ),
    }
}

async fn runtime(
    function: &Arc<Function>,
    process: Option<u64>,
    route: Route,
    request: Request<Incoming>,
) -> Answer {
    let expected = if route == Route::Next {
        Method::GET
    } else {
        Method::POST
    };
    if request.method() != expected {
        return failure(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            &format!("use {expected}"),
        );
    }
    if route == Route::Next {
        let work = function.next(process).await;
        let mut answer = Response::new(Full::new(work.payload));
        let headers = answer.headers_mut();
        let mut id = Uuid::encode_buffer();
        let id = work.id.hyphenated().encode_lower(&mut id);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(
            REQUEST_ID,
            HeaderValue::from_str(id).expect("a UUID is visible ASCII"),
        );
        headers.insert(DEADLINE, HeaderValue::from(work.deadline_millis));
        if let Ok(arn) = HeaderValue::from_str(&function.arn) {
            headers.insert(ARN, arn);
        }
        headers.insert(TRACE, NOT_TRACED);
        return answer;
    }
    let (parts, body) = request.into_parts();
    let body = match collect(body, limits::PAYLOAD_BYTES).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => {
            if let Route::Response(id) = route {
                let message = format!(
                    "Response payload size exceeded maximum allowed payload size ({} bytes).",
                    limits::PAYLOAD_BYTES
                );
                let error = "Function.ResponseSizeTooLarge";
                let payload = json!({"errorType": error, "errorMessage": message});
                function.fail(id, error.to_owned(), payload.to_string().into());
            }
            return failure(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &format!("a response may have {} bytes", limits::PAYLOAD_BYTES),
            );
        }
        Err(Unread::Broken) => {
            return failure(
                StatusCode::BAD_REQUEST,
                "InvalidRequest",
                "the body ended early",
            );
        }
    };
    let done = match route {
        Route::Response(id) => function.succeed(id, body),
        Route::Error(id) => {
            let (error, body) = error_of(&parts, body);
            function.fail(id, error, body)
        }
        Route::InitError => {
            let (error, body) = error_of(&parts, body);
            function.init_failed(process, error, body);
            true
        }
        Route::Next | Route::BadId => false,
    };
    if done {
        let mut answer = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
        *answer.status_mut() = StatusCode::ACCEPTED;
        answer.headers_mut().insert(CONTENT_TYPE, JSON);
        answer
    } else {
        failure(
            StatusCode::BAD_REQUEST,
            "InvalidRequestID",
            "Invalid request ID",
        )
    }
}

/// The error's name, and the error as JSON.
fn error_of(parts: &Parts, body: Bytes) -> (String, Bytes) {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        error_type: Option<String>,
    }
    match serde_json::from_slice::<Named>(&body) {
        Ok(Named {
            error_type: Some(error),
        }) => (error, body),
        parsed => {
            let header = parts.headers.get("lambda-runtime-function-error-type");
            let error = header
                .and_then(|value| value.to_str().ok())
                .unwrap_or("Lambda.Unknown")
                .to_owned();
            let body = if parsed.is_ok() {
                body
            } else {
                let text = String::from_utf8_lossy(&body);
                json!({"errorType": error, "errorMessage": text})
                    .to_string()
                    .into()
            };
            (error, body)
        }
    }
}

/// The function of `/2015-03-31/functions/{name}/invocations`.
pub(crate) fn invoked(path: &str) -> Option<String> {
    let name = path
        .strip_prefix("/2015-03-31/functions/")?
        .strip_suffix("/invocations")?;
    // The SDKs escape the colons of an ARN.
    Some(name.replace("%3A", ":").replace("%3a", ":"))
}

/// Answers `Invoke`.
pub(crate) async fn invoke(
    host: &Arc<Shared>,
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
    let kind = header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let tail = header("x-amz-log-type") == Some("Tail");
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
    match kind {
        "RequestResponse" => {}
        "DryRun" => {
            let name = super::function_name(function);
            return match host.find_or_attach(name) {
                Some(_) => status(StatusCode::NO_CONTENT),
                None => outcome(super::not_found(name), false),
            };
        }
        "Event" => {
            let name = super::function_name(function);
            if host.find_or_attach(name).is_none() {
                return outcome(super::not_found(name), false);
            }
            host.invoke(function, payload, None, Box::new(Nobody));
            return status(StatusCode::ACCEPTED);
        }
        other => {
            return failure(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                &format!("`{other}` is no invocation type: RequestResponse, Event or DryRun"),
            );
        }
    }
    let (told, ended) = oneshot::channel();
    host.invoke(function, payload, None, Box::new(Waits(told)));
    match ended.await {
        Ok(ended) => outcome(ended, tail),
        Err(_) => failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServiceException",
            "the server stops",
        ),
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
struct Nobody;

impl Caller for Nobody {
    fn finished(self: Box<Self>, outcome: Outcome) {
        if let Outcome::Failed { error, payload, .. } = outcome {
            let cause = String::from_utf8_lossy(&payload);
            tracing::warn!(%error, %cause, "an invocation that nobody waits for failed");
        }
    }
}

fn outcome(outcome: Outcome, tail: bool) -> Answer {
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
    headers.insert(
        "x-amz-executed-version",
        HeaderValue::from_static("$LATEST"),
    );
    if failed {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"));
    }
    if tail && let Ok(log) = HeaderValue::from_str(&STANDARD.encode(log)) {
        headers.insert("x-amz-log-result", log);
    }
    answer
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// An error as the Lambda APIs write it.
pub(crate) fn failure(status: StatusCode, kind: &str, message: &str) -> Answer {
    let body = json!({"errorType": kind, "errorMessage": message, "Type": "User", "Message": message, "message": message});
    let mut answer = Response::new(Full::new(body.to_string().into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Ok(kind) = HeaderValue::from_str(kind) {
        answer.headers_mut().insert("x-amzn-errortype", kind);
    }
    answer
}

pub(crate) fn unknown_path(path: &str) -> Answer {
    failure(
        StatusCode::NOT_FOUND,
        "NotFound",
        &format!(
            "nothing is at `{path}`: this listener has the Step Functions API (POST /), the Lambda Invoke API and, below /FUNCTION, the \
             Lambda Runtime API"
        ),
    )
}

pub(crate) enum Unread {
    TooLarge,
    Broken,
}

pub(crate) async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Unread> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let id = Uuid::from_u128(7);
        for (path, route) in [
            ("invocation/next", Some(Route::Next)),
            ("init/error", Some(Route::InitError)),
            (
                &format!("invocation/{id}/response"),
                Some(Route::Response(id)),
            ),
            (&format!("invocation/{id}/error"), Some(Route::Error(id))),
            ("invocation/7/error", Some(Route::BadId)),
            ("invocation/7/other", None),
            ("", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
            let whole = format!("/resize/2018-06-01/runtime/{path}");
            assert_eq!(attached(&whole), route.map(|route| ("resize", route)));
        }
        assert_eq!(
            invoked("/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A0%3Afunction%3Af/invocations").as_deref(),
            Some("arn:aws:lambda:us-east-1:0:function:f")
        );
    }
}
