//! One subscription through one of the doors, each protocol as its own clients speak it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Client, soon};

/// Where a subscription comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// WebSocket, graphql-transport-ws.
    TransportWs,
    /// WebSocket, AppSync real time.
    AppSync,
    /// Server-sent events.
    Sse,
    /// Apollo's multipart subscriptions.
    Multipart,
    /// WebSocket, the legacy subscriptions-transport-ws (sub-protocol `graphql-ws`).
    Legacy,
}

impl Door {
    pub const ALL: [Door; 5] = [
        Door::TransportWs,
        Door::AppSync,
        Door::Sse,
        Door::Multipart,
        Door::Legacy,
    ];
}

/// What the server said of the subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// An event: the GraphQL response.
    Next(Value),
    /// The operation failed: the array of GraphQL errors.
    Error(Value),
    /// The operation is complete.
    Complete,
    /// The connection is closed, by a WebSocket with a code.
    Closed(Option<u16>),
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

enum Stream {
    Socket(Box<Socket>),
    Sse(Http),
    Multipart(Http),
}

/// A subscription.
pub struct Watch {
    stream: Stream,
    /// Comments, keep-alives and acknowledgements that came before or between the events.
    pub asides: Vec<String>,
}

impl Watch {
    /// Subscribes; the connection must be accepted.
    pub async fn open(door: Door, client: &Client, document: &str, variables: Value) -> Watch {
        let opened = Watch::try_open(door, client, document, variables).await;
        opened.unwrap_or_else(|error| panic!("{door:?} was refused: {error}"))
    }

    /// Subscribes; the error says why the connection was refused.
    pub async fn try_open(
        door: Door,
        client: &Client,
        document: &str,
        variables: Value,
    ) -> Result<Watch, String> {
        let operation = json!({ "query": document, "variables": variables });
        let stream = soon("a connection", async {
            match door {
                Door::TransportWs => {
                    socket(client, "graphql-transport-ws", "subscribe", operation).await
                }
                Door::Legacy => socket(client, "graphql-ws", "start", operation).await,
                Door::AppSync => app_sync(client, operation).await,
                Door::Sse => Ok(Stream::Sse(
                    http(client, "text/event-stream", operation).await?,
                )),
                Door::Multipart => Ok(Stream::Multipart(http(client, MULTIPART, operation).await?)),
            }
        });
        let asides = Vec::new();
        Ok(Watch {
            stream: stream.await?,
            asides,
        })
    }

    /// What comes next; waits for it.
    pub async fn next(&mut self) -> Said {
        soon("an event", self.read()).await
    }

    /// What comes next, without a deadline: for a `select!`. Cancel-safe.
    pub async fn read(&mut self) -> Said {
        match &mut self.stream {
            Stream::Socket(socket) => socket_next(socket, &mut self.asides).await,
            Stream::Sse(http) => http.event(&mut self.asides).await,
            Stream::Multipart(http) => http.part(&mut self.asides).await,
        }
    }

    /// The root field of an event that must come.
    pub async fn event(&mut self) -> Value {
        match self.next().await {
            Said::Next(payload) => {
                assert!(payload.get("errors").is_none(), "{payload}");
                let data = payload["data"].as_object().unwrap();
                data.values().next().unwrap().clone()
            }
            other => panic!("expected an event, got {other:?}"),
        }
    }
}

impl Watch {
    /// Asks by GET, through a door of streams.
    pub async fn try_get(
        door: Door,
        client: &Client,
        document: &str,
        variables: Value,
    ) -> Result<Watch, String> {
        let accept = match door {
            Door::Sse => "text/event-stream",
            _ => MULTIPART,
        };
        let request = client.by_get(document, &variables);
        let http = soon("an answer", stream(request, accept)).await?;
        Ok(Watch {
            stream: match door {
                Door::Sse => Stream::Sse(http),
                _ => Stream::Multipart(http),
            },
            asides: Vec::new(),
        })
    }
}

/// What Apollo's clients accept.
const MULTIPART: &str = "multipart/mixed;subscriptionSpec=1.0, application/json";

async fn connect(url: String, protocols: &str) -> Result<Box<Socket>, String> {
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
    let (socket, response) = connect_async(request)
        .await
        .map_err(|error| error.to_string())?;
    let selected = response.headers()["sec-websocket-protocol"]
        .to_str()
        .unwrap();
    assert_eq!(Some(selected), protocols.split(", ").next());
    Ok(Box::new(socket))
}

async fn send(socket: &mut Socket, message: Value) -> Result<(), String> {
    let message = Message::text(message.to_string());
    socket
        .send(message)
        .await
        .map_err(|error| error.to_string())
}

/// Reads messages up to one of this type.
async fn expect(socket: &mut Socket, wanted: &str) -> Result<(), String> {
    loop {
        let message = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            other => return Err(format!("{other:?}")),
        };
        let message: Value = serde_json::from_str(&message).unwrap();
        if message["type"] == wanted {
            return Ok(());
        }
        if message["type"] != "ka" {
            return Err(message.to_string());
        }
    }
}

/// The two protocols of `/graphql` differ in the name of the message that subscribes.
async fn socket(
    client: &Client,
    protocol: &str,
    subscribe: &str,
    operation: Value,
) -> Result<Stream, String> {
    let url = format!("{}/graphql", client.url.replacen("http", "ws", 1));
    let mut socket = connect(url, protocol).await?;
    let mut payload = json!({});
    if let Some(key) = &client.key {
        payload["x-api-key"] = json!(key);
    }
    if let Some(token) = &client.token {
        payload["Authorization"] = json!(format!("Bearer {token}"));
    }
    send(
        &mut socket,
        json!({ "type": "connection_init", "payload": payload }),
    )
    .await?;
    expect(&mut socket, "connection_ack").await?;
    send(
        &mut socket,
        json!({ "id": "1", "type": subscribe, "payload": operation }),
    )
    .await?;
    Ok(Stream::Socket(socket))
}

async fn app_sync(client: &Client, operation: Value) -> Result<Stream, String> {
    let mut authorization = json!({ "host": client.url.strip_prefix("http://").unwrap() });
    if let Some(token) = &client.token {
        authorization["Authorization"] = json!(token);
    } else {
        authorization["x-api-key"] = json!(client.key.as_deref().unwrap_or("da2-none"));
    }
    let url = format!("{}/graphql/realtime", client.url.replacen("http", "ws", 1));
    let header = URL_SAFE_NO_PAD.encode(authorization.to_string());
    let mut socket = connect(url, &format!("graphql-ws, header-{header}")).await?;
    send(&mut socket, json!({ "type": "connection_init" })).await?;
    expect(&mut socket, "connection_ack").await?;
    let payload =
        json!({ "data": operation.to_string(), "extensions": { "authorization": authorization } });
    send(
        &mut socket,
        json!({ "id": "1", "type": "start", "payload": payload }),
    )
    .await?;
    Ok(Stream::Socket(socket))
}

async fn socket_next(socket: &mut Socket, asides: &mut Vec<String>) -> Said {
    loop {
        let text = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                return Said::Closed(frame.map(|frame| frame.code.into()));
            }
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => return Said::Closed(None),
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        match message["type"].as_str().unwrap() {
            "next" | "data" => return Said::Next(message["payload"].clone()),
            // AppSync's clients get the errors in an object, the legacy ones one error.
            "error" if message["payload"].is_array() => {
                return Said::Error(message["payload"].clone());
            }
            "error" if message["payload"]["errors"].is_array() => {
                return Said::Error(message["payload"]["errors"].clone());
            }
            "error" => return Said::Error(json!([message["payload"]])),
            "complete" => return Said::Complete,
            "ping" => {
                // The connection may end meanwhile: the next read says so.
                let _ = send(socket, json!({ "type": "pong" })).await;
            }
            other => asides.push(other.to_owned()),
        }
    }
}

/// A response that is read as it comes.
struct Http {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    held: Vec<u8>,
}

async fn http(client: &Client, accept: &str, operation: Value) -> Result<Http, String> {
    let request = client
        .request(reqwest::Method::POST, "/graphql")
        .json(&operation);
    stream(request, accept).await
}

async fn stream(request: reqwest::RequestBuilder, accept: &str) -> Result<Http, String> {
    let response = request.header("accept", accept).send().await;
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!(
            "{status}: {}",
            response.text().await.unwrap_or_default()
        ));
    }
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let wanted = accept.split(';').next().unwrap();
    assert!(kind.starts_with(wanted), "{kind}");
    Ok(Http {
        body: response.bytes_stream().boxed(),
        held: Vec::new(),
    })
}

impl Http {
    /// The bytes up to a delimiter; `None` at the end of the response.
    async fn up_to(&mut self, delimiter: &[u8]) -> Option<String> {
        loop {
            let at = self
                .held
                .windows(delimiter.len())
                .position(|bytes| bytes == delimiter);
            if let Some(at) = at {
                let mut piece: Vec<u8> = self.held.drain(..at + delimiter.len()).collect();
                piece.truncate(at);
                return Some(String::from_utf8(piece).unwrap());
            }
            self.held.extend_from_slice(&self.body.next().await?.ok()?);
        }
    }

    async fn event(&mut self, asides: &mut Vec<String>) -> Said {
        loop {
            let Some(event) = self.up_to(b"\n\n").await else {
                return Said::Closed(None);
            };
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name))?;
                line.strip_prefix(':').map(str::trim)
            };
            match field("event") {
                Some("next") => {
                    let payload: Value = serde_json::from_str(field("data").unwrap()).unwrap();
                    if payload.get("data").is_none() {
                        return Said::Error(payload["errors"].clone());
                    }
                    return Said::Next(payload);
                }
                Some("complete") => return Said::Complete,
                _ => asides.push(event),
            }
        }
    }

    async fn part(&mut self, asides: &mut Vec<String>) -> Said {
        loop {
            let Some(part) = self.up_to(b"\r\n--graphql").await else {
                // The last delimiter was followed by `--`.
                let end = self.held.starts_with(b"--");
                return if end {
                    Said::Complete
                } else {
                    Said::Closed(None)
                };
            };
            let Some((_, body)) = part.split_once("\r\n\r\n") else {
                assert_eq!(part.trim(), "", "something stands before the first part");
                continue;
            };
            let body: Value = serde_json::from_str(body).unwrap();
            match body.get("payload") {
                Some(Value::Null) => return Said::Error(body["errors"].clone()),
                Some(payload) if payload.get("data").is_none() => {
                    return Said::Error(payload["errors"].clone());
                }
                Some(payload) => return Said::Next(payload.clone()),
                None => asides.push(body.to_string()),
            }
        }
    }
}
