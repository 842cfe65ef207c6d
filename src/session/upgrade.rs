//! The HTTP side of a socket: RFC 6455 section 4.2, the choice of the sub-protocol, and shedding before the upgrade.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::header::{
    CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wire::appsync::{self, AppSync};
use wire::transport_ws::{self, TransportWs};
use wire::{Session, close};

use super::{Credentials, Executor, Sessions, driver};

/// Answers an upgrade request and, when it is accepted, serves the socket in a task of its own.
///
/// Without a sub-protocol that is served here the socket is accepted and closed 4406, as PROTOCOL.md asks: a browser
/// could not read an HTTP status.
pub fn upgrade<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    mut request: Request<Body>,
) -> Response<Body> {
    let headers = request.headers();
    let key = headers.get(SEC_WEBSOCKET_KEY).cloned();
    let (Some(key), true) = (key, is_upgrade(&request)) else {
        return plain(
            StatusCode::BAD_REQUEST,
            "not a WebSocket upgrade: GET with Upgrade: websocket is needed",
        );
    };
    if !has_token(headers, &SEC_WEBSOCKET_VERSION, "13") {
        let mut response = plain(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket version 13 is needed",
        );
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_VERSION, http::HeaderValue::from_static("13"));
        return response;
    }
    let Some(admission) = sessions.admit() else {
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, super::NO_PLACE);
        response
            .headers_mut()
            .insert(RETRY_AFTER, http::HeaderValue::from_static("5"));
        return response;
    };
    let chosen = choose(headers);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, http::HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, http::HeaderValue::from_static("upgrade"));
    let accept = derive_accept_key(key.as_bytes());
    answer.insert(
        SEC_WEBSOCKET_ACCEPT,
        accept.parse().expect("base64 is a header value"),
    );
    if let Some((name, _)) = &chosen {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, http::HeaderValue::from_static(name));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    tokio::spawn(async move {
        let Ok(socket) = upgraded.await else { return };
        let socket = TokioIo::new(socket);
        let Some((name, choice)) = chosen else {
            return driver::refuse(socket, close::SUBPROTOCOL, "Subprotocol not acceptable").await;
        };
        let (protocol, appsync): (Box<dyn Session>, _) = match choice {
            Choice::Modern => (Box::new(TransportWs::default()), None),
            Choice::Amazon => {
                let carried = carried(&parts);
                let session = AppSync::new(carried.is_some());
                (
                    Box::new(session),
                    carried.or_else(|| plain_headers(&parts.headers)),
                )
            }
        };
        tracing::debug!(protocol = name, "socket opened");
        let credentials = Credentials {
            parts,
            appsync,
            init: None,
        };
        driver::serve(admission, socket, protocol, Box::new(credentials)).await;
    });
    response
}

enum Choice {
    Modern,
    Amazon,
}

/// The first that is served here, in the client's order, which is its preference (RFC 6455, section 4.1). Python's gql depends on that:
/// it does not find the answer in a header whose name is in lower case, and then speaks what it offered first.
fn choose(headers: &HeaderMap) -> Option<(&'static str, Choice)> {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(|offered| {
        if offered.eq_ignore_ascii_case(transport_ws::SUBPROTOCOL) {
            return Some((transport_ws::SUBPROTOCOL, Choice::Modern));
        }
        offered
            .eq_ignore_ascii_case(appsync::SUBPROTOCOL)
            .then_some((appsync::SUBPROTOCOL, Choice::Amazon))
    })
}

/// AppSync's authorization object from the sub-protocols or from the query. An unreadable one counts as an empty one: the
/// client speaks AppSync, and is to hear `connection_error`.
fn carried(parts: &Parts) -> Option<Box<RawValue>> {
    let item = tokens(&parts.headers, &SEC_WEBSOCKET_PROTOCOL)
        .find_map(|item| item.strip_prefix("header-").map(ToOwned::to_owned));
    let carrier = item.or_else(|| {
        form_urlencoded::parse(parts.uri.query()?.as_bytes())
            .find(|(name, _)| name == "header")
            .map(|(_, value)| value.into_owned())
    })?;
    Some(appsync::header(&carrier).unwrap_or_else(empty_object))
}

fn plain_headers(headers: &HeaderMap) -> Option<Box<RawValue>> {
    let object: BTreeMap<&str, &str> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    serde_json::value::to_raw_value(&object).ok()
}

fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".into()).expect("an empty object is JSON")
}

fn is_upgrade(request: &Request<Body>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|item| item.eq_ignore_ascii_case(token))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_order_decides() {
        for (offered, chosen) in [
            ("graphql-transport-ws", Some("graphql-transport-ws")),
            ("graphql-ws", Some("graphql-ws")),
            ("graphql-ws, header-e30", Some("graphql-ws")),
            ("header-e30, graphql-ws", Some("graphql-ws")),
            (
                "graphql-transport-ws, graphql-ws",
                Some("graphql-transport-ws"),
            ),
            ("graphql-ws, graphql-transport-ws", Some("graphql-ws")),
            ("mqtt, graphql-transport-ws", Some("graphql-transport-ws")),
            ("mqtt", None),
            ("", None),
        ] {
            let offer = offered.parse().expect("a header");
            let headers = HeaderMap::from_iter([(SEC_WEBSOCKET_PROTOCOL, offer)]);
            assert_eq!(choose(&headers).map(|(name, _)| name), chosen, "{offered}");
        }
    }
}
