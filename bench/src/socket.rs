//! The load client's WebSocket: graphql-transport-ws, many subscriptions on one socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::error::Result;

/// Maximum number of messages that wait to be sent, or to be read by the owner of a subscription.
const WAITING: usize = 1_024;

/// A message of the server about a subscription.
#[derive(Debug)]
pub(crate) enum SubscriptionMessage {
    /// The `payload` of a `next`.
    Next(String),
    /// The subscription ended.
    Complete,
    /// The server refused it.
    Error(String),
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    out: mpsc::Sender<Message>,
    subscriptions: Arc<Mutex<HashMap<String, mpsc::Sender<SubscriptionMessage>>>>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    id: Option<&'a str>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

impl Socket {
    /// Connects and waits for the acknowledgement.
    pub(crate) async fn connect(address: &str) -> Result<Socket> {
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = client_async(request, stream).await?;
        socket
            .send(Message::text(r#"{"type":"connection_init"}"#))
            .await?;
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.contains("connection_ack") => {}
            other => return Err(format!("no acknowledgement but {other:?}").into()),
        }
        let (mut sink, mut stream) = socket.split();
        let (out, mut waiting) = mpsc::channel::<Message>(WAITING);
        let subscriptions: Arc<Mutex<HashMap<String, mpsc::Sender<SubscriptionMessage>>>> =
            Arc::default();
        let writing = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.feed(message).await.is_err() {
                    return;
                }
                while let Ok(message) = waiting.try_recv() {
                    if sink.feed(message).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        });
        let (of, answers) = (Arc::clone(&subscriptions), out.clone());
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Text(text) = message {
                    read(&of, &answers, &text).await;
                }
            }
            // Drops the senders, so that waiting receivers learn of the end.
            if let Ok(mut all) = of.lock() {
                all.clear();
            }
        });
        Ok(Socket {
            out,
            subscriptions,
            tasks: [writing, reading],
        })
    }

    /// Starts a subscription under `id`.
    pub(crate) async fn subscribe(
        &self,
        id: &str,
        query: &str,
        variables: &serde_json::Value,
    ) -> Result<mpsc::Receiver<SubscriptionMessage>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.subscriptions
            .lock()
            .map_err(|_| "the reader panicked")?
            .insert(id.to_owned(), sender);
        let payload = serde_json::json!({"query": query, "variables": variables});
        let message = serde_json::json!({"type": "subscribe", "id": id, "payload": payload});
        self.out.send(Message::text(message.to_string())).await?;
        Ok(receiver)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The receiver of a message, and its content.
fn route(
    subscriptions: &Mutex<HashMap<String, mpsc::Sender<SubscriptionMessage>>>,
    incoming: &Incoming<'_>,
) -> Option<(mpsc::Sender<SubscriptionMessage>, SubscriptionMessage)> {
    let (id, mut all) = (incoming.id?, subscriptions.lock().ok()?);
    let payload = || incoming.payload.map_or("", RawValue::get).to_owned();
    Some(match incoming.kind {
        "next" => (all.get(id)?.clone(), SubscriptionMessage::Next(payload())),
        "complete" => (all.remove(id)?, SubscriptionMessage::Complete),
        "error" => (all.remove(id)?, SubscriptionMessage::Error(payload())),
        _ => return None,
    })
}

async fn read(
    subscriptions: &Mutex<HashMap<String, mpsc::Sender<SubscriptionMessage>>>,
    answers: &mpsc::Sender<Message>,
    text: &str,
) {
    let Ok(incoming) = serde_json::from_str::<Incoming<'_>>(text) else {
        return;
    };
    if incoming.kind == "ping" {
        let _ = answers.send(Message::text(r#"{"type":"pong"}"#)).await;
    } else if let Some((to, event)) = route(subscriptions, &incoming) {
        // The receiver may be gone.
        let _ = to.send(event).await;
    }
}
