//! The HTTP side of a socket: RFC 6455 section 4.2, the choice of the sub-protocol, and load
//! shedding before the upgrade.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use futures_util::future::Either;
use http::header::{
    CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wire::appsync::{self, AppSync};
use wire::transport_ws::{self, TransportWs};
use wire::{Session, close};

use crate::peers::Peer;

use super::connection;
use super::executor::{Credentials, Executor};
use super::sessions::{Admission, Sessions};

/// The admission and the sub-protocol of a socket that is about to be upgraded.
pub struct Accepted<E: Executor> {
    admission: Admission<E>,
    /// The sub-protocol as the client writes it.
    chosen: Option<(Cow<'static, str>, Choice)>,
    /// `Sec-WebSocket-Accept`.
    key: String,
}

impl<E: Executor> std::fmt::Debug for Accepted<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accepted")
    }
}

/// Why a socket is not upgraded.
#[derive(Debug)]
pub struct Refused {
    /// The status of the answer.
    pub status: StatusCode,
    text: &'static str,
    header: Option<(HeaderName, &'static str)>,
}

impl<E: Executor> Accepted<E> {
    /// Checks an upgrade request by its method and headers (RFC 6455, section 4.2.1). Without a
    /// supported sub-protocol the socket is accepted and then closed with 4406, as PROTOCOL.md
    /// requires: a browser could not read an HTTP status.
    ///
    /// # Errors
    /// [`Refused`], also over the limit of connections: load is shed before the upgrade.
    pub fn new(
        sessions: &Arc<Sessions<E>>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Self, Refused> {
        let refused = |status, text, header| Refused {
            status,
            text,
            header,
        };
        let key = headers.get(SEC_WEBSOCKET_KEY);
        let (Some(key), true) = (key, is_upgrade(method, headers)) else {
            let text = "not a WebSocket upgrade: GET with Upgrade: websocket is needed";
            return Err(refused(StatusCode::BAD_REQUEST, text, None));
        };
        if !has_token(headers, &SEC_WEBSOCKET_VERSION, "13") {
            let (text, header) = (
                "WebSocket version 13 is needed",
                (SEC_WEBSOCKET_VERSION, "13"),
            );
            return Err(refused(StatusCode::UPGRADE_REQUIRED, text, Some(header)));
        }
        let key = derive_accept_key(key.as_bytes());
        let Some(admission) = sessions.admit() else {
            let header = Some((RETRY_AFTER, "5"));
            return Err(refused(
                StatusCode::SERVICE_UNAVAILABLE,
                super::sessions::NO_SLOT,
                header,
            ));
        };
        Ok(Self {
            admission,
            chosen: choose(headers),
            key,
        })
    }

    /// Sets the TCP connection, which counts as authorized once the credentials are checked.
    pub fn from(mut self, peer: Option<Arc<Peer>>) -> Self {
        if let Some(peer) = &peer {
            peer.waits();
        }
        self.admission.peer = peer;
        self
    }

    /// The headers of the answer, in the letter case of RFC 6455: Python's gql finds the
    /// sub-protocol in no other.
    fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let protocol = self.chosen.as_ref();
        let protocol = protocol.map(|(name, _)| ("Sec-WebSocket-Protocol", &**name));
        let always = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", self.key.as_str()),
        ];
        always.into_iter().chain(protocol)
    }

    /// The answer's head, for a socket that is served without an HTTP library.
    pub fn head(&self) -> String {
        let mut head = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
        for (name, value) in self.headers() {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }

    /// The answer for an HTTP library.
    fn response(&self) -> Response<Body> {
        let mut response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        for (name, value) in self.headers() {
            response = response.header(name, value);
        }
        let response = response.body(Body::empty());
        response.expect("base64 and our own texts are header values")
    }

    /// The socket, once the answer is sent, with the bytes that were read after the request and the
    /// request's head.
    pub fn upgraded<S>(self, socket: S, early: Vec<u8>, parts: Parts) -> Upgraded<E, S> {
        Upgraded {
            accepted: self,
            socket,
            early,
            parts,
        }
    }
}

impl Refused {
    /// The whole answer, for a socket that is served without an HTTP library and is closed after
    /// it.
    pub fn head(&self) -> String {
        let mut head = format!(
            "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            self.text.len()
        );
        if let Some((name, value)) = &self.header {
            head.extend([name.as_str(), ": ", value, "\r\n"]);
        }
        head.extend(["\r\n", self.text]);
        head
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text));
        *response.status_mut() = self.status;
        if let Some((name, value)) = self.header {
            let headers = response.headers_mut();
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// An upgraded socket, ready to be served.
pub struct Upgraded<E: Executor, S> {
    accepted: Accepted<E>,
    socket: S,
    early: Vec<u8>,
    parts: Parts,
}

impl<E: Executor, S> std::fmt::Debug for Upgraded<E, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upgraded")
    }
}

impl<E, S> Upgraded<E, S>
where
    E: Executor,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Serves the socket to its end.
    pub fn serve(self) -> impl Future<Output = ()> + Send {
        let Accepted {
            admission, chosen, ..
        } = self.accepted;
        let (socket, parts) = (self.socket, self.parts);
        let Some((name, choice)) = chosen else {
            let refused =
                connection::refuse(socket, close::SUBPROTOCOL, "Subprotocol not acceptable");
            return Either::Left(refused);
        };
        let (protocol, appsync): (Box<dyn Session>, _) = match choice {
            Choice::Modern => (Box::new(TransportWs::default()), None),
            Choice::Amazon => {
                let carried = carried(&parts);
                let session = AppSync::new(carried.is_some());
                let carried = carried.or_else(|| plain_headers(&parts.headers));
                (Box::new(session), carried)
            }
        };
        tracing::debug!(protocol = &*name, "socket opened");
        let credentials = Box::new(Credentials {
            parts,
            appsync,
            init: None,
        });
        let serving = connection::serve(admission, socket, &self.early, protocol, credentials);
        Either::Right(serving)
    }
}

/// Answers an upgrade request that an HTTP library has read. If it is accepted, the socket is
/// served in a separate task.
pub fn upgrade<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    mut request: Request<Body>,
) -> Response<Body> {
    let accepted = match Accepted::new(sessions, request.method(), request.headers()) {
        Ok(accepted) => accepted,
        Err(refused) => return refused.response(),
    };
    let accepted = accepted.from(request.extensions().get::<Arc<Peer>>().cloned());
    let response = accepted.response();
    let upgraded = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let peer = accepted.admission.peer.clone();
    let task = tokio::spawn(async move {
        let Ok(socket) = upgraded.await else { return };
        let socket = TokioIo::new(socket);
        accepted.upgraded(socket, Vec::new(), parts).serve().await;
    });
    if let Some(peer) = peer {
        peer.serve_in(task.abort_handle());
    }
    response
}

#[derive(Clone, Copy)]
enum Choice {
    Modern,
    Amazon,
}

/// The first supported sub-protocol in the client's order, which is its preference (RFC 6455,
/// section 4.1). Python's gql depends on that: it does not find the answer in a header with a
/// lower-case name, and then uses the protocol that it offered first.
///
/// The answer must be one of the values that were sent (section 4.2.2), so it repeats the client's
/// letter case.
fn choose(headers: &HeaderMap) -> Option<(Cow<'static, str>, Choice)> {
    let served = [
        (transport_ws::SUBPROTOCOL, Choice::Modern),
        (appsync::SUBPROTOCOL, Choice::Amazon),
    ];
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(|offered| {
        let same = |(name, _): &&(&str, Choice)| offered.eq_ignore_ascii_case(name);
        let (name, choice) = served.iter().find(same)?;
        let echo = if offered == *name {
            Cow::Borrowed(*name)
        } else {
            Cow::Owned(offered.to_owned())
        };
        Some((echo, *choice))
    })
}

/// AppSync's authorization object from the sub-protocols or from the query. An unreadable one
/// counts as empty: the client speaks AppSync and expects `connection_error`.
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

/// Whether a request offers an upgrade to a WebSocket. The server may answer it without an upgrade.
pub fn offers_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

fn is_upgrade(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && offers_websocket(headers) && has_token(headers, &CONNECTION, "upgrade")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_order_chooses_the_sub_protocol() {
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
            ("GRAPHQL-TRANSPORT-WS", Some("GRAPHQL-TRANSPORT-WS")),
            ("mqtt,\tGraphQL-WS , header-e30", Some("GraphQL-WS")),
            ("graphql-transport-ws2", None),
            ("mqtt", None),
            ("", None),
        ] {
            let offer = offered.parse().expect("a header");
            let headers = HeaderMap::from_iter([(SEC_WEBSOCKET_PROTOCOL, offer)]);
            let found = choose(&headers).map(|(name, _)| name.into_owned());
            assert_eq!(found.as_deref(), chosen, "{offered}");
        }
    }
}
