//! `/graphql` and `/graphql/realtime`: GraphQL over HTTP (POST and GET), GraphiQL for a browser, WebSocket upgrades, and subscriptions as
//! server-sent events or multipart parts.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use resolvers::Caller;
use serde_json::value::RawValue;

use super::incoming::{self, Incoming, objects};
use super::{BODY_BYTES, Doors, graphiql};
use crate::auth::{AuthError, Authenticated, Credentials};
use crate::graphql::errors_text;
use crate::graphql::executor::{Changes, HttpAnswer, Outcome, connections_of};
use crate::session;

const JSON: &str = "application/json; charset=utf-8";
const GRAPHQL_RESPONSE: &str = "application/graphql-response+json; charset=utf-8";

/// What a client wants to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// The legacy media type: everything well-formed is 200.
    Json,
    /// GraphQL over HTTP's own: the status says whether the request was executed.
    GraphqlResponse,
    /// Server-sent events.
    EventStream,
    /// Apollo's multipart subscriptions.
    Multipart,
    /// A page for a person.
    Html,
}

/// `/graphql`.
pub async fn graphql(State(doors): State<Doors>, request: Request) -> Response {
    if request.headers().contains_key(UPGRADE) {
        return session::upgrade(&doors.sessions, request);
    }
    let wants = wants(request.headers());
    if wants == Some(Wants::Html)
        && request.method() == Method::GET
        && request
            .uri()
            .query()
            .is_none_or(|query| !query.contains("query="))
    {
        return graphiql::page();
    }
    let Some(wants) = wants.map(|wants| {
        if wants == Wants::Html {
            Wants::Json
        } else {
            wants
        }
    }) else {
        let text = "answers come as application/graphql-response+json, application/json, text/event-stream or multipart/mixed";
        return refuse(
            Wants::Json,
            StatusCode::NOT_ACCEPTABLE,
            text,
            "NotAcceptable",
        );
    };
    let (parts, body) = request.into_parts();
    let found = match authenticate(&doors, &parts.headers).await {
        Ok(found) => found,
        Err(error) => return unauthorized(error),
    };
    let changes = if parts.method == Method::POST {
        Changes::Allowed
    } else {
        Changes::Refused
    };
    let graphql = match parts.method {
        Method::POST => match read(&parts.headers, body).await {
            Ok(Incoming::One(graphql)) => *graphql,
            Ok(Incoming::Batch(all)) => return batch(&doors, found.caller, wants, all).await,
            Err((status, text)) => {
                return refuse(wants, status, &text, "MalformedHttpRequestException");
            }
        },
        Method::GET => match from_query(parts.uri.query().unwrap_or("")) {
            Ok(graphql) => graphql,
            Err(text) => {
                return refuse(
                    wants,
                    StatusCode::BAD_REQUEST,
                    &text,
                    "MalformedHttpRequestException",
                );
            }
        },
        _ => {
            let text = "GraphQL requests are sent with POST, queries also with GET";
            let mut response = refuse(
                wants,
                StatusCode::METHOD_NOT_ALLOWED,
                text,
                "MethodNotAllowed",
            );
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, POST"));
            return response;
        }
    };
    match wants {
        Wants::EventStream | Wants::Multipart => {
            let name = connections_of(&found.caller);
            match doors.executor.begin(found, graphql, changes).await {
                Ok(started) if wants == Wants::EventStream => {
                    session::sse(&doors.sessions, name.as_ref(), &parts, started)
                }
                Ok(started) => session::multipart(&doors.sessions, name.as_ref(), started),
                Err(answer) => answered(Wants::Json, answer),
            }
        }
        Wants::Json | Wants::GraphqlResponse | Wants::Html => {
            let answer = doors.executor.execute(found.caller, graphql, changes);
            answered(wants, answer.await)
        }
    }
}

/// A list of answers to a list of requests.
async fn batch(doors: &Doors, caller: Caller, wants: Wants, all: Vec<wire::Request>) -> Response {
    if matches!(wants, Wants::EventStream | Wants::Multipart) {
        let text = "a batch is answered with JSON: ask with Accept: application/json, or send its requests one by one";
        return refuse(
            Wants::Json,
            StatusCode::BAD_REQUEST,
            text,
            "MalformedHttpRequestException",
        );
    }
    answered(wants, doors.executor.execute_batch(caller, all).await)
}

fn answered(wants: Wants, answer: HttpAnswer) -> Response {
    let status = match (wants, answer.outcome) {
        (_, Outcome::MutationOverGet) => StatusCode::METHOD_NOT_ALLOWED,
        (Wants::GraphqlResponse, Outcome::Refused) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let mut response = json(wants, status, answer.body);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// `/graphql/realtime`: where AppSync's clients connect.
pub async fn realtime(State(doors): State<Doors>, request: Request) -> Response {
    session::upgrade(&doors.sessions, request)
}

async fn authenticate(doors: &Doors, headers: &HeaderMap) -> Result<Authenticated, AuthError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = Credentials {
        authorization: header("authorization"),
        api_key: header("x-api-key"),
    };
    doors.executor.authenticate(credentials).await
}

fn unauthorized(error: AuthError) -> Response {
    let (status, header, value) = match error {
        AuthError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, RETRY_AFTER, "5"),
        _ => (StatusCode::UNAUTHORIZED, WWW_AUTHENTICATE, "Bearer"),
    };
    let mut response = refuse(Wants::Json, status, &error.to_string(), error.code());
    response
        .headers_mut()
        .insert(header, HeaderValue::from_static(value));
    response
}

/// The best that the client accepts of what we have; `None` where there is nothing. Quality values below others are not compared: the
/// order of the list decides, as every client we know writes it.
fn wants(headers: &HeaderMap) -> Option<Wants> {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut any = false;
    for range in accepted.flat_map(|value| value.split(',')) {
        any = true;
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        match kind.as_str() {
            "application/graphql-response+json" => return Some(Wants::GraphqlResponse),
            "application/json" | "application/*" | "*/*" => return Some(Wants::Json),
            "text/event-stream" => return Some(Wants::EventStream),
            "multipart/mixed"
                if parts.any(|part| {
                    part.replace(['"', ' '], "")
                        .starts_with("subscriptionSpec=")
                }) =>
            {
                return Some(Wants::Multipart);
            }
            "text/html" => return Some(Wants::Html),
            _ => {}
        }
    }
    (!any).then_some(Wants::Json)
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Incoming, (StatusCode, String)> {
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
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    if parts.any(|part| {
        part.starts_with("charset=")
            && !matches!(part.trim_matches('"'), "charset=utf-8" | "charset=\"utf-8")
    }) {
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the charset must be utf-8".to_owned(),
        ));
    }
    let bytes = collect(body).await?;
    if bytes.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "Request body is empty.".to_owned()));
    }
    let incoming = incoming::read(bytes).await;
    incoming.map_err(|text| (StatusCode::BAD_REQUEST, text))
}

async fn collect(body: Body) -> Result<Bytes, (StatusCode, String)> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            (
                StatusCode::BAD_REQUEST,
                format!("the body could not be read: {error}"),
            )
        })?;
        if bytes.len() + chunk.len() > BODY_BYTES {
            return Err((
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is over the limit of {BODY_BYTES} bytes"),
            ));
        }
        if bytes.is_empty() {
            bytes.reserve(chunk.len());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
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
        let value = decode(value).ok_or_else(|| format!("{name} is not percent-encoded UTF-8"))?;
        let object = |value: String| {
            RawValue::from_string(value)
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

/// `application/x-www-form-urlencoded`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

fn refuse(wants: Wants, status: StatusCode, message: &str, code: &str) -> Response {
    let body = format!(r#"{{"errors":{}}}"#, errors_text(message, code));
    let mut response = json(wants, status, body.into());
    // Amplify looks for the error's name here, as AppSync sends it.
    if let Ok(code) = HeaderValue::from_str(code) {
        let name = HeaderName::from_static("x-amzn-errortype");
        response.headers_mut().insert(name, code);
    }
    response
}

fn json(wants: Wants, status: StatusCode, body: Bytes) -> Response {
    let kind = if wants == Wants::GraphqlResponse {
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
    fn what_a_client_wants() {
        for (accept, wanted) in [
            ("", None),
            ("*/*", Some(Wants::Json)),
            ("application/json", Some(Wants::Json)),
            (
                "application/graphql-response+json, application/json;q=0.9",
                Some(Wants::GraphqlResponse),
            ),
            ("text/event-stream", Some(Wants::EventStream)),
            (
                "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0,application/json",
                Some(Wants::Multipart),
            ),
            (
                "multipart/mixed;deferSpec=20220824,application/json",
                Some(Wants::Json),
            ),
            (
                "text/html,application/xhtml+xml,*/*;q=0.8",
                Some(Wants::Html),
            ),
            ("image/png", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(wants(&headers), wanted, "{accept}");
        }
        assert_eq!(wants(&HeaderMap::new()), Some(Wants::Json));
    }

    #[test]
    fn queries_in_the_address() {
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
