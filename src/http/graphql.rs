//! `/graphql` and `/graphql/realtime`: GraphQL over HTTP (POST and GET), GraphiQL for a browser,
//! WebSocket upgrades, and subscriptions as server-sent events or multipart parts.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use resolvers::{Caller, percent_decoded};
use serde_json::value::RawValue;

use super::body::{BodyError, Paced};
use super::connection::Connection;
use super::doors::{BODY_BYTES, Doors};
use super::graphiql;
use super::incoming::{self, Incoming, objects};
use super::negotiation::{AnswerFormat, answer_format};
use crate::auth::{AuthError, Authenticated, Credentials};
use crate::graphql::executor::{Changes, HttpReply, Outcome, counted_name};
use crate::graphql::{errors_text, rate};
use crate::session;

const JSON: &str = "application/json; charset=utf-8";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json; charset=utf-8";

/// `/graphql`.
pub async fn graphql(State(doors): State<Doors>, request: Request) -> Response {
    // Another offer, such as h2c, may be ignored (RFC 9110, section 7.8).
    if request.method() == Method::GET && session::offers_websocket(request.headers()) {
        return session::upgrade(&doors.sessions, request);
    }
    let mut response = answer(doors, request).await;
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    response
}

async fn answer(doors: Doors, request: Request) -> Response {
    let wanted = answer_format(request.headers());
    if wanted == Some(AnswerFormat::Html) && is_visit(&request) {
        return graphiql::page();
    }
    let format = match wanted {
        Some(AnswerFormat::Html) => AnswerFormat::Json,
        Some(format) => format,
        None => return not_acceptable(),
    };
    let (parts, body) = request.into_parts();
    let connection = Connection::of(&parts.extensions);
    // The credentials are checked before the body is read: a caller without them gets no memory.
    let found = match authenticate(&doors, &parts.headers, connection).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (graphql, changes) = match parts.method {
        Method::POST => match read(&parts.headers, Paced::new(body, connection)).await {
            Ok(Incoming::One(graphql)) => (*graphql, Changes::Allowed),
            Ok(Incoming::Batch(all)) => return batch(&doors, found.caller, format, all).await,
            Err(error) => return unread(format, error),
        },
        Method::GET | Method::HEAD => match from_query(parts.uri.query().unwrap_or("")) {
            Ok(graphql) => (graphql, Changes::Refused),
            Err(text) => return malformed(format, &text),
        },
        _ => return wrong_method(format),
    };
    match format {
        AnswerFormat::EventStream | AnswerFormat::Multipart => {
            stream(&doors, &parts, format, found, graphql, changes).await
        }
        AnswerFormat::Json | AnswerFormat::GraphqlResponse | AnswerFormat::Html => {
            let answer = doors.executor.execute(found.caller, graphql, changes);
            let (answer, come_back) = rate::noting(answer).await;
            paced(answered(format, answer), come_back)
        }
    }
}

/// Whether a browser visits the page, without a query.
fn is_visit(request: &Request) -> bool {
    let has_query = |query: &str| query.contains("query=");
    matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.uri().query().is_some_and(has_query)
}

/// Answers with a stream of events.
async fn stream(
    doors: &Doors,
    parts: &Parts,
    format: AnswerFormat,
    found: Authenticated,
    graphql: wire::Request,
    changes: Changes,
) -> Response {
    let is_sse = format == AnswerFormat::EventStream;
    if parts.method == Method::HEAD {
        return session::head_of_stream(is_sse);
    }
    let name = counted_name(&found.caller);
    match doors.executor.begin(found, graphql, changes).await {
        Ok(started) if is_sse => session::sse(&doors.sessions, name.as_ref(), parts, started),
        Ok(started) => session::multipart(&doors.sessions, name.as_ref(), started),
        Err(answer) => answered(AnswerFormat::Json, answer),
    }
}

fn not_acceptable() -> Response {
    let text = "answers come as application/graphql-response+json, application/json, text/event-stream or multipart/mixed";
    let status = StatusCode::NOT_ACCEPTABLE;
    refuse(AnswerFormat::Json, status, text, "NotAcceptable")
}

/// The answer to a request for a stream where none can be sent.
pub(super) fn no_stream() -> Response {
    let text = "responses are sent whole here, so that there are no subscriptions: subscribe at the address of the nodes";
    let status = StatusCode::NOT_IMPLEMENTED;
    refuse(AnswerFormat::Json, status, text, "OperationNotSupported")
}

fn malformed(format: AnswerFormat, text: &str) -> Response {
    let status = StatusCode::BAD_REQUEST;
    refuse(format, status, text, "MalformedHttpRequestException")
}

fn wrong_method(format: AnswerFormat) -> Response {
    let text = "GraphQL requests are sent with POST, queries also with GET";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = refuse(format, status, text, "MethodNotAllowed");
    let allowed = HeaderValue::from_static("GET, HEAD, POST");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// Answers a batch of requests with a list of answers.
async fn batch(
    doors: &Doors,
    caller: Caller,
    wants: AnswerFormat,
    all: Vec<wire::Request>,
) -> Response {
    if matches!(wants, AnswerFormat::EventStream | AnswerFormat::Multipart) {
        let text = "a batch is answered with JSON: ask with Accept: application/json, or send its requests one by one";
        return malformed(AnswerFormat::Json, text);
    }
    let (answer, come_back) = rate::noting(doors.executor.execute_batch(caller, all)).await;
    paced(answered(wants, answer), come_back)
}

fn answered(wants: AnswerFormat, answer: HttpReply) -> Response {
    let status = match (wants, answer.outcome) {
        (_, Outcome::MutationOverGet) => StatusCode::METHOD_NOT_ALLOWED,
        (AnswerFormat::GraphqlResponse, Outcome::Refused) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let mut response = json(wants, status, answer.body);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// `/graphql/realtime`: the path of AppSync's clients.
pub async fn realtime(State(doors): State<Doors>, request: Request) -> Response {
    session::upgrade(&doors.sessions, request)
}

/// The caller of a request, or the answer to a request without valid credentials.
pub(super) async fn authenticate(
    doors: &Doors,
    headers: &HeaderMap,
    connection: Option<&Connection>,
) -> Result<Authenticated, Response> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = Credentials {
        authorization: header("authorization"),
        api_key: header("x-api-key"),
    };
    match doors.executor.authenticate(credentials).await {
        Ok(found) => {
            if let Some(connection) = connection {
                connection.peer.known();
            }
            Ok(found)
        }
        Err(error) => {
            let tried = matches!(error, AuthError::Invalid | AuthError::Expired);
            if let Some(connection) = connection.filter(|_| tried)
                && connection
                    .served
                    .brake
                    .wrong(connection.peer.address())
                    .await
            {
                return Err(too_many());
            }
            Err(unauthorized(error))
        }
    }
}

fn too_many() -> Response {
    let text = "too many wrong credentials come from this address, come back later";
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = refuse(AnswerFormat::Json, status, text, "TooManyRequestsException");
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The answer to a request whose body was not read to its end.
fn unread(wants: AnswerFormat, error: BodyRefusal) -> Response {
    let (status, text) = match &error {
        BodyRefusal::Malformed(status, text) => (*status, text.clone()),
        BodyRefusal::Body(error) => (error.status(), error.to_string()),
    };
    let mut response = refuse(wants, status, &text, "MalformedHttpRequestException");
    if let BodyRefusal::Body(error) = error {
        error.dress(&mut response);
    }
    response
}

/// Why a body was not read as a request.
enum BodyRefusal {
    Malformed(StatusCode, String),
    Body(BodyError),
}

fn unauthorized(error: AuthError) -> Response {
    let (status, header, value) = match error {
        AuthError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, "5"),
        _ => (StatusCode::UNAUTHORIZED, WWW_AUTHENTICATE, "Bearer"),
    };
    let mut response = refuse(AnswerFormat::Json, status, &error.to_string(), error.code());
    response
        .headers_mut()
        .insert(header, HeaderValue::from_static(value));
    response
}

/// The answer, with its status and `Retry-After` if the caller's rate was exceeded.
fn paced(mut response: Response, come_back: Option<Duration>) -> Response {
    if let Some(come_back) = come_back {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        let seconds = come_back.as_secs_f64().ceil().max(1.0);
        if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
    }
    response
}

async fn read(headers: &HeaderMap, mut body: Paced) -> Result<Incoming, BodyRefusal> {
    let malformed = |status, text| Err(BodyRefusal::Malformed(status, text));
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media = parts.next().unwrap_or_default();
    if media != "application/json" && media != "application/graphql+json" {
        let text = format!(
            "the body must be application/json, not `{kind}`: {{\"query\": \"…\", \"variables\": {{…}}}}"
        );
        return malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    if parts.any(|part| {
        part.starts_with("charset=")
            && !matches!(part.trim_matches('"'), "charset=utf-8" | "charset=\"utf-8")
    }) {
        let text = "the charset must be utf-8".to_owned();
        return malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    let bytes = match body.collect(BODY_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => {
            if matches!(error, BodyError::TooLarge(_) | BodyError::NoRoom) {
                body.read_on().await;
            }
            return Err(BodyRefusal::Body(error));
        }
    };
    if bytes.is_empty() {
        let text = "Request body is empty.".to_owned();
        return malformed(StatusCode::BAD_REQUEST, text);
    }
    let incoming = incoming::read(bytes).await;
    incoming.map_err(|text| BodyRefusal::Malformed(StatusCode::BAD_REQUEST, text))
}

fn from_query(query: &str) -> Result<wire::Request, String> {
    let mut request = wire::Request {
        query: String::new(),
        operation_name: None,
        variables: None,
        extensions: None,
        authorization: None,
    };
    let mut found = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value, true)
            .ok_or_else(|| format!("{name} is not percent-encoded UTF-8"))?;
        let object = |value: String| {
            RawValue::from_string(json::without_mark(&value).to_owned())
                .map(Some)
                .map_err(|error| format!("{name} is not JSON: {error}"))
        };
        match name {
            "query" => {
                found = true;
                request.query = value;
            }
            "operationName" if !value.is_empty() => request.operation_name = Some(value),
            "variables" if !value.is_empty() => request.variables = object(value)?,
            "extensions" if !value.is_empty() => request.extensions = object(value)?,
            _ => {}
        }
    }
    if found {
        return objects(request);
    }
    Err("the parameter `query` is missing: /graphql?query=…".to_owned())
}

fn refuse(wants: AnswerFormat, status: StatusCode, message: &str, code: &str) -> Response {
    let body = format!(r#"{{"errors":{}}}"#, errors_text(message, code));
    let mut response = json(wants, status, body.into());
    // Amplify reads the error's name from this header, as AppSync sends it.
    if let Ok(code) = HeaderValue::from_str(code) {
        let name = HeaderName::from_static("x-amzn-errortype");
        response.headers_mut().insert(name, code);
    }
    response
}

fn json(wants: AnswerFormat, status: StatusCode, body: Bytes) -> Response {
    let kind = if wants == AnswerFormat::GraphqlResponse {
        GRAPHQL_RESPONSE
    } else {
        JSON
    };
    (
        status,
        [(CONTENT_TYPE, HeaderValue::from_static(kind))],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_in_the_address_is_read() {
        let request = from_query("query=%7B+a+%7D&operationName=&variables=%7B%22x%22%3A1%7D")
            .expect("well-formed");
        assert_eq!(request.query, "{ a }");
        assert_eq!(request.variables.expect("given").get(), r#"{"x":1}"#);
        for bad in [
            "",
            "variables={}",
            "query=%zz",
            "query=a&variables=%7B",
            "query=a&variables=1",
            "query=a&extensions=%5B%5D",
            "query=%ff",
        ] {
            assert!(from_query(bad).is_err(), "{bad}");
        }
    }
}
