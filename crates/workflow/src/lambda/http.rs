//! The Runtime API (AWS Lambda, "Using the Lambda runtime API", 2018-06-01) over HTTP. Requests and
//! responses only: what they mean is `function`'s.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::function::Function;
use super::host::HostState;
pub(crate) use super::invoke::{invoke, invoked};
use super::process::Process;
use super::{failure as failed, limits};
use crate::guard;

/// What the internal listener answers.
pub(crate) type Answer = Response<Full<Bytes>>;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const RUNTIME: &str = "/2018-06-01/runtime/";
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
/// Nothing here is traced. Always the same, since runtime clients put it into their environment,
/// and an environment keeps what it once held.
const NOT_TRACED: HeaderValue =
    HeaderValue::from_static("Root=1-00000000-000000000000000000000000;Sampled=0");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");

/// Serves the Runtime API of one child process; after `closed` what is connected by then.
pub(super) async fn serve_process(
    listener: TcpListener,
    function: Arc<Function>,
    process: Arc<Process>,
    closed: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(function = %function.name, %error, "a connection of a function was not accepted");
                    tokio::time::sleep(limits::RESTART.0).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            () = closed.cancelled() => break,
        };
        let _ = stream.set_nodelay(true);
        let (function, process) = (function.clone(), process.clone());
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (function, process) = (function.clone(), process.clone());
                async move {
                    let path = match process_path(&process, &request) {
                        Ok(path) => path,
                        Err(refused) => return Ok(denied(refused)),
                    };
                    let answer = match path.strip_prefix(RUNTIME).map(Route::of) {
                        Some(Some(route)) => {
                            runtime(&function, Some(&process), route, request).await
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
    while connections.join_next().await.is_some() {}
}

/// The path of a request to a process's own listener. A web page is no runtime; nor is another
/// program, where the process has a secret.
fn process_path<'a>(
    process: &Process,
    request: &'a Request<Incoming>,
) -> Result<&'a str, guard::Refusal> {
    let uri = request.uri();
    guard::check(request.version(), uri, request.headers())?;
    match &process.secret {
        None => Ok(uri.path()),
        Some(secret) => secret
            .strip(uri.path())
            .ok_or(guard::Refusal::NotItsProcess),
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
    host: &Arc<HostState>,
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
    process: Option<&Arc<Process>>,
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
        return next(function, process).await;
    }
    let (parts, body) = request.into_parts();
    let (body, trailers) = match collect_all(body, limits::PAYLOAD_BYTES).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => {
            if let Route::Response(id) = route {
                let message = format!(
                    "Response payload size exceeded maximum allowed payload size ({} bytes).",
                    limits::PAYLOAD_BYTES
                );
                let error = "Function.ResponseSizeTooLarge";
                let payload = failed::payload(error, &message);
                function.fail(id, number(process), error.to_owned(), payload);
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
    if process.is_some_and(|process| process.wants_tail()) {
        // What the function wrote before its answer is still on its way.
        tokio::time::sleep(limits::TAIL_WAIT).await;
    }
    let done = hand_in(function, process, route, &parts, trailers.as_ref(), body);
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

/// Hands in what a process reports. Returns whether the process had the invocation.
fn hand_in(
    function: &Arc<Function>,
    process: Option<&Arc<Process>>,
    route: Route,
    parts: &Parts,
    trailers: Option<&HeaderMap>,
    body: Bytes,
) -> bool {
    match route {
        Route::Response(id) => match trailers.and_then(error_of_trailers) {
            Some((error, body)) => function.fail(id, number(process), error, body),
            None => function.succeed(id, number(process), body),
        },
        Route::Error(id) => {
            let (error, body) = error_of(parts, body);
            function.fail(id, number(process), error, body)
        }
        Route::InitError => {
            let (error, body) = error_of(parts, body);
            if let Some(process) = process {
                process.init_failed(error, body);
            }
            true
        }
        Route::Next | Route::BadId => false,
    }
}

fn number(process: Option<&Arc<Process>>) -> Option<u64> {
    process.map(|process| process.id)
}

async fn next(function: &Arc<Function>, process: Option<&Arc<Process>>) -> Answer {
    let Ok(work) = function.next(process).await else {
        return failure(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the process has an invocation that it has not answered",
        );
    };
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
    let extras = work.extras.as_deref();
    let arn = match extras.and_then(|extras| extras.qualifier.as_deref()) {
        Some(qualifier) => HeaderValue::from_str(&format!("{}:{qualifier}", function.arn)),
        None => HeaderValue::from_str(&function.arn),
    };
    if let Ok(arn) = arn {
        headers.insert(ARN, arn);
    }
    if let Some(context) = extras.and_then(|extras| extras.client_context.clone()) {
        headers.insert(CLIENT_CONTEXT, context);
    }
    headers.insert(TRACE, NOT_TRACED);
    answer
}

/// What a streamed response says at its end about an error that came in the middle: its name, and
/// the error as JSON, base64.
fn error_of_trailers(trailers: &HeaderMap) -> Option<(String, Bytes)> {
    let error = trailers.get(ERROR_TYPE)?.to_str().ok()?.to_owned();
    let body = trailers
        .get(ERROR_BODY)
        .and_then(|body| STANDARD.decode(body).ok())
        .filter(|body| json::text(body).and_then(json::check).is_ok());
    let body = body.map_or_else(|| failed::payload(&error, ""), Bytes::from);
    Some((error, body))
}

/// The error's name, and the error as JSON.
fn error_of(parts: &Parts, body: Bytes) -> (String, Bytes) {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        error_type: Option<String>,
    }
    let read = json::text(&body)
        .ok()
        .map(json::object::<Named>)
        .and_then(Result::ok);
    match read {
        Some(Named {
            error_type: Some(error),
        }) => (error, body),
        parsed => {
            let header = parts.headers.get(ERROR_TYPE);
            let error = header
                .and_then(|value| value.to_str().ok())
                .unwrap_or("Lambda.Unknown")
                .to_owned();
            let body = if parsed.is_some() {
                body
            } else {
                let text = String::from_utf8_lossy(&body);
                failed::payload(&error, &text)
            };
            (error, body)
        }
    }
}

pub(super) fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// The answer to a request that is not let in.
pub(crate) fn denied(refused: guard::Refusal) -> Answer {
    failure(
        refused.status(),
        "AccessDeniedException",
        &refused.to_string(),
    )
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

/// A whole body, of at most `limit` bytes.
pub(crate) async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Unread> {
    Ok(collect_all(body, limit).await?.0)
}

async fn collect_all(body: Incoming, limit: usize) -> Result<(Bytes, Option<HeaderMap>), Unread> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => {
            let trailers = body.trailers().cloned();
            Ok((body.to_bytes(), trailers))
        }
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_function_is_an_object() {
        let (parts, ()) = http::Request::new(()).into_parts();
        for (body, error, whole) in [
            (r#"{"errorType": "E", "errorMessage": "m"}"#, "E", true),
            (r#"{"errorType": "E", "errorType": "F"}"#, "F", true),
            (r#"{"errorMessage": "m"}"#, "Lambda.Unknown", true),
            (r#"["E", "m"]"#, "Lambda.Unknown", false),
            (r#""E""#, "Lambda.Unknown", false),
        ] {
            let (named, kept) = error_of(&parts, Bytes::from(body));
            assert_eq!((&*named, kept == body), (error, whole), "{body}");
        }
    }

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
    }
}
