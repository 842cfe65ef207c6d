//! One subscription over one WebSocket, graphql-transport-ws, the client's side (PROTOCOL.md of
//! enisdenjo/graphql-ws). It ends with the socket; `follow` reconnects.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use outgoing::Tunnel;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls, connect_async};
use wire::close;
use wire::transport_ws::SUBPROTOCOL;

use crate::cli::client::http::{Client, Problem, innermost};
use crate::cli::error::CliError;

/// Time allowed from the connection to the server's `connection_ack`.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which the server is sent a ping.
const SILENCE: Duration = Duration::from_secs(10);
/// Time allowed for the answer to that ping.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a proxy's response in bytes.
const PROXY_ANSWER_BYTES: usize = 8 * 1024;
/// The id of the only subscription.
const ID: &str = "1";

/// A message of the server about the subscription.
#[derive(Debug)]
pub(crate) enum Said {
    /// The `data` of an event.
    Next(Value),
    /// The subscription has ended.
    Complete,
}

/// Why a socket can no longer be used.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Another connection may work.
    Lost(CliError),
    /// Another connection would fail too.
    Refused(CliError),
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    payload: Value,
}

#[derive(Deserialize)]
struct Event {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Problem>,
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: String,
}

impl Subscription {
    /// Connects and subscribes.
    pub(crate) async fn open(
        client: &Client,
        document: &str,
        variables: Value,
    ) -> Result<Subscription, Ended> {
        let url = client.url().to_owned();
        let late = {
            let (url, reason) = (url.clone(), format!("no answer within {OPEN_TIMEOUT:?}"));
            Ended::Lost(CliError::Lost { url, reason })
        };
        let opening = async {
            let socket = connect(client).await?;
            let mut subscription = Subscription { socket, url };
            subscription
                .send(json!({ "type": "connection_init" }))
                .await?;
            loop {
                let frame = subscription.frame().await?;
                match frame.kind.as_str() {
                    "connection_ack" => break,
                    _ => subscription.mind(&frame).await?,
                }
            }
            let payload = json!({ "query": document, "variables": variables });
            subscription
                .send(json!({ "type": "subscribe", "id": ID, "payload": payload }))
                .await?;
            Ok(subscription)
        };
        timeout(OPEN_TIMEOUT, opening).await.unwrap_or(Err(late))
    }

    /// The server's next message. A silent server is sent a ping.
    pub(crate) async fn next(&mut self) -> Result<Said, Ended> {
        let mut asked = false;
        loop {
            let patience = if asked { ANSWER_TIMEOUT } else { SILENCE };
            let Ok(frame) = timeout(patience, self.frame()).await else {
                if asked {
                    return Err(self.lost(format!(
                        "the server is silent for {:?}",
                        SILENCE + ANSWER_TIMEOUT
                    )));
                }
                self.send(json!({ "type": "ping" })).await?;
                asked = true;
                continue;
            };
            let frame = frame?;
            asked = false;
            match frame.kind.as_str() {
                "next" => return self.event(frame.payload).map(Said::Next),
                "error" => {
                    let problems: Vec<Problem> =
                        serde_json::from_value(frame.payload).unwrap_or_default();
                    return Err(match problems.into_iter().next() {
                        Some(problem) => refused(problem.into()),
                        None => {
                            self.lost("the server ended the subscription with an error".to_owned())
                        }
                    });
                }
                "complete" => return Ok(Said::Complete),
                _ => self.mind(&frame).await?,
            }
        }
    }

    /// Ends the subscription and closes the socket, if the server still responds.
    pub(crate) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }

    fn event(&self, payload: Value) -> Result<Value, Ended> {
        let event: Event = serde_json::from_value(payload)
            .map_err(|error| self.lost(format!("an invalid event: {error}")))?;
        if let Some(problem) = event.errors.into_iter().next() {
            return Err(refused(problem.into()));
        }
        event
            .data
            .ok_or_else(|| self.lost("an event without data".to_owned()))
    }

    /// Handles a frame that belongs to the connection.
    async fn mind(&mut self, frame: &Frame) -> Result<(), Ended> {
        match frame.kind.as_str() {
            "ping" => self.send(json!({ "type": "pong" })).await,
            _ => Ok(()),
        }
    }

    async fn send(&mut self, frame: Value) -> Result<(), Ended> {
        let sent = self.socket.send(Message::text(frame.to_string())).await;
        sent.map_err(|error| self.lost(innermost(&error)))
    }

    /// Reads a frame. Cancel-safe: a frame is taken as a whole or not at all.
    async fn frame(&mut self) -> Result<Frame, Ended> {
        loop {
            return match self.socket.next().await {
                Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
                    .map_err(|error| self.lost(format!("an invalid frame: {error}"))),
                Some(Ok(Message::Close(why))) => {
                    Err(self.closed(why.map(|why| (why.code.into(), why.reason.to_string()))))
                }
                // The library answers pings. Both show that the server is alive.
                Some(Ok(_)) => continue,
                Some(Err(error)) => Err(self.lost(innermost(&error))),
                None => Err(self.closed(None)),
            };
        }
    }

    fn closed(&self, why: Option<(u16, String)>) -> Ended {
        match why {
            Some((code @ (close::UNAUTHORIZED | close::FORBIDDEN), reason)) => {
                Ended::Refused(CliError::Refused {
                    code: "UnauthorizedException".to_owned(),
                    message: format!("the server closed the connection ({code}): {reason}"),
                })
            }
            Some((code @ (close::BAD_REQUEST | close::SUBPROTOCOL), reason)) => {
                Ended::Refused(CliError::NotJobcast {
                    url: self.url.clone(),
                    reason: format!("it closed the connection ({code}): {reason}"),
                })
            }
            Some((code, reason)) => self.lost(format!(
                "the server closed the connection ({code} {reason})"
            )),
            None => self.lost("the server closed the connection".to_owned()),
        }
    }

    fn lost(&self, reason: String) -> Ended {
        let url = self.url.clone();
        Ended::Lost(CliError::Lost { url, reason })
    }
}

/// The server would refuse the request again, except for temporary errors.
fn refused(error: CliError) -> Ended {
    match &error {
        CliError::Refused { code, .. } if code == "ServiceUnavailable" => Ended::Lost(error),
        _ => Ended::Refused(error),
    }
}

async fn connect(client: &Client) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Ended> {
    let url = client.url().to_owned();
    let request = client.socket_url().into_client_request();
    let mut request = request.map_err(|error| Ended::Refused(client.unexpected(error)))?;
    let headers = request.headers_mut();
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    if let Some((name, value)) = client.credentials() {
        headers.insert(name, value);
    }
    let opened = match outgoing::Proxies::from_env().tunnel(client.base()) {
        None => connect_async(request).await,
        Some(tunnel) => {
            let through = through(&tunnel, client.base()).await;
            let stream = through.map_err(|reason| {
                let url = url.clone();
                Ended::Lost(CliError::Unreachable { url, reason })
            })?;
            client_async_tls(request, stream).await
        }
    };
    match opened {
        Ok((socket, _)) => Ok(socket),
        Err(SocketError::Http(response)) if response.status().is_server_error() => {
            let reason = format!("it says {}", response.status());
            Err(Ended::Lost(CliError::Lost { url, reason }))
        }
        Err(SocketError::Http(response)) => {
            let reason = format!("it says {} to a WebSocket", response.status());
            Err(Ended::Refused(CliError::NotJobcast { url, reason }))
        }
        Err(error) => {
            let reason = innermost(&error);
            Err(Ended::Lost(CliError::Unreachable { url, reason }))
        }
    }
}

/// A connection to the server through a proxy (RFC 9110, 9.3.6). Errors name the proxy.
async fn through(tunnel: &Tunnel, server: &Url) -> Result<TcpStream, String> {
    let (host, port) = (server.host_str(), server.port_or_known_default());
    let (Some(host), Some(port)) = (host, port) else {
        return Err("the address has no host".to_owned());
    };
    let proxy = &tunnel.proxy;
    let (at, usual) = (proxy.host().unwrap_or_default(), 80);
    let proxy_port = proxy.port_u16().unwrap_or(usual);
    let name = format!("{at}:{proxy_port}");
    let failed = |error: std::io::Error| format!("the proxy {name}: {error}");
    if proxy.scheme_str() != Some("http") {
        return Err(format!(
            "the proxy {name} is not an HTTP proxy; a WebSocket needs one"
        ));
    }
    let address = (at.trim_matches(['[', ']']), proxy_port);
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let authorization = tunnel
        .authorization
        .as_ref()
        .and_then(|value| value.to_str().ok());
    let authorization = authorization.map(|value| format!("proxy-authorization: {value}\r\n"));
    let request = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n{}\r\n",
        authorization.unwrap_or_default()
    );
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    // Reads byte by byte: the bytes after the response's head belong to the server.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_ANSWER_BYTES {
            return Err(format!(
                "the proxy {name}: its answer has over {PROXY_ANSWER_BYTES} bytes"
            ));
        }
        answer.push(stream.read_u8().await.map_err(failed)?);
    }
    let status = String::from_utf8_lossy(&answer);
    let status = status.lines().next().unwrap_or_default().to_owned();
    match status.split(' ').nth(1) {
        Some(code) if code.starts_with('2') => Ok(stream),
        _ => Err(format!("the proxy {name} says {status}")),
    }
}
