//! graphql-transport-ws, the server's side, as PROTOCOL.md of enisdenjo/graphql-ws says. Nothing of the legacy protocol.

use crate::message::{Message, is_object_or_nothing};
use crate::session::{
    Elapsed, Input, Output, Refusal, Request, Session, close, close_with, data_prefix, limits,
    quoted,
};

/// The sub-protocol's name in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Authorizing,
    Acknowledged,
    Closed,
}

/// One connection.
#[derive(Debug)]
pub struct TransportWs {
    state: State,
    /// The ids of the open operations; at most [`limits::SUBSCRIPTIONS`], and mostly one.
    open: Vec<Box<str>>,
}

impl Default for TransportWs {
    fn default() -> Self {
        Self {
            state: State::Waiting,
            open: Vec::new(),
        }
    }
}

impl TransportWs {
    fn close(&mut self, code: u16, reason: impl Into<String>) -> Vec<Output> {
        self.state = State::Closed;
        self.open.clear();
        vec![close_with(code, reason)]
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.open.iter().position(|open| **open == *id)
    }

    /// Whether the operation was open.
    fn remove(&mut self, id: &str) -> bool {
        let place = self.place(id);
        if let Some(place) = place {
            self.open.swap_remove(place);
        }
        place.is_some()
    }

    fn text(&mut self, text: &str) -> Vec<Output> {
        let message = match Message::read(text) {
            Ok(message) => message,
            Err(error) => return self.invalid(&error.to_string()),
        };
        let payload = message.payload;
        match &*message.kind {
            kind @ ("connection_init" | "ping" | "pong") if !is_object_or_nothing(payload) => {
                self.invalid(&format!("payload of {kind} must be an object"))
            }
            "connection_init" => self.init(&message),
            "ping" => vec![Output::Send(pong(&message))],
            "pong" => Vec::new(),
            "subscribe" => self.subscribe(&message),
            "complete" => self.complete(&message),
            other => self.invalid(&format!("unknown type {}", quoted(other))),
        }
    }

    /// PROTOCOL.md, "Invalid message": a type or a format that it does not specify ends the connection.
    fn invalid(&mut self, why: &str) -> Vec<Output> {
        self.close(close::BAD_REQUEST, format!("Invalid message: {why}"))
    }

    fn init(&mut self, message: &Message<'_>) -> Vec<Output> {
        if self.state != State::Waiting {
            return self.close(close::TOO_MANY, "Too many initialisation requests");
        }
        self.state = State::Authorizing;
        vec![Output::Authorize(message.payload.map(ToOwned::to_owned))]
    }

    fn subscribe(&mut self, message: &Message<'_>) -> Vec<Output> {
        if self.state != State::Acknowledged {
            return self.close(close::UNAUTHORIZED, "Unauthorized");
        }
        let Some(id) = message.id().filter(|id| !id.is_empty()) else {
            return self.invalid("subscribe needs an id, a non-empty string");
        };
        if id.len() > limits::ID_BYTES {
            let (bytes, most) = (id.len(), limits::ID_BYTES);
            return self.invalid(&format!("id of {bytes} bytes, at most {most} are allowed"));
        }
        let payload = message.payload.map_or("null", |payload| payload.get());
        let request = match request(payload) {
            Ok(request) => request,
            Err(why) => return self.invalid(&format!("payload: {why}")),
        };
        if self.place(&id).is_some() {
            return self.close(
                close::DUPLICATE_ID,
                format!("Subscriber for {id} already exists"),
            );
        }
        if self.open.len() >= limits::SUBSCRIPTIONS {
            let text = format!(
                "Max number of {} subscriptions reached",
                limits::SUBSCRIPTIONS
            );
            return vec![Output::Send(error_message(
                &id,
                &format!(
                    r#"[{{"message":"{text}","errorType":"MaxSubscriptionsReachedError","extensions":{{"code":"MaxSubscriptionsReachedError"}}}}]"#
                ),
            ))];
        }
        if self.open.is_empty() {
            self.open.reserve_exact(1);
        }
        self.open.push(id.as_str().into());
        vec![Output::Start {
            id,
            request: Box::new(request),
        }]
    }

    fn complete(&mut self, message: &Message<'_>) -> Vec<Output> {
        let Some(id) = message.id().filter(|id| !id.is_empty()) else {
            return self.invalid("complete needs an id, a non-empty string");
        };
        if self.remove(&id) {
            vec![Output::Stop(id)]
        } else {
            Vec::new()
        }
    }
}

impl Session for TransportWs {
    fn opened(&mut self) -> Vec<Output> {
        vec![Output::WakeAt(limits::INIT_TIMEOUT)]
    }

    fn handle(&mut self, now: Elapsed, input: Input<'_>) -> Vec<Output> {
        if self.state == State::Closed {
            return Vec::new();
        }
        match input {
            Input::Text(text) => self.text(text),
            Input::Binary => {
                self.close(close::BAD_REQUEST, "Invalid message: binary, expected text")
            }
            Input::Authorized(Ok(())) => {
                self.state = State::Acknowledged;
                vec![Output::Send(r#"{"type":"connection_ack"}"#.into())]
            }
            Input::Authorized(Err(Refusal::Busy(reason))) => self.close(close::TRY_AGAIN, reason),
            Input::Authorized(Err(Refusal::Unauthorized(reason) | Refusal::Expired(reason))) => {
                self.close(close::FORBIDDEN, reason)
            }
            // 4401 would be final for graphql-ws clients; after 4403 they come back.
            Input::Expired => self.close(close::FORBIDDEN, "Token expired"),
            Input::Started(_) => Vec::new(),
            Input::Failed { id, errors } if self.remove(id) => {
                vec![Output::Send(error_message(id, errors))]
            }
            Input::Done(id) if self.remove(id) => {
                vec![Output::Send(format!(
                    r#"{{"id":{},"type":"complete"}}"#,
                    quoted(id)
                ))]
            }
            Input::Failed { .. } | Input::Done(_) => Vec::new(),
            Input::Tick if self.state == State::Waiting && now >= limits::INIT_TIMEOUT => {
                self.close(close::INIT_TIMEOUT, "Connection initialisation timeout")
            }
            Input::Tick => Vec::new(),
        }
    }

    fn data_prefix(&self, id: &str) -> String {
        data_prefix(id, "next")
    }

    fn may_close(&self) -> bool {
        self.state == State::Acknowledged
    }

    fn completes(&self) -> bool {
        true
    }

    /// PROTOCOL.md: an operation before the acknowledgement closes the connection, so a client waits for it.
    fn holds(&self) -> bool {
        false
    }
}

/// What `subscribe` asks for; PROTOCOL.md gives the type of each field.
fn request(payload: &str) -> Result<Request, String> {
    let request = Request::read(payload).map_err(|error| error.to_string())?;
    let given = [
        ("variables", &request.variables),
        ("extensions", &request.extensions),
    ];
    for (name, value) in given {
        if !is_object_or_nothing(value.as_deref()) {
            return Err(format!("{name} must be an object"));
        }
    }
    Ok(request)
}

fn pong(ping: &Message<'_>) -> String {
    match ping.payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{}}}"#, payload.get()),
        None => r#"{"type":"pong"}"#.into(),
    }
}

fn error_message(id: &str, errors: &str) -> String {
    format!("{}{errors}}}", data_prefix(id, "error"))
}
