//! AppSync's real-time protocol and the legacy subscriptions-transport-ws, which share the sub-protocol name
//! `graphql-ws`. The first `start` decides: a string `payload.data` is AppSync, `payload.query` is legacy.
//!
//! Which credentials are valid is not decided here; [`header`] only finds and decodes them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;

use crate::message::{Message, fields};
use crate::session::{
    Authorization, Elapsed, Input, Output, Refusal, Request, Session, close, close_with,
    data_prefix, limits, quoted,
};

/// The sub-protocol's name; the only one that a server may select, never the `header-…` item.
pub const SUBPROTOCOL: &str = "graphql-ws";

/// The JSON of AppSync's authorization header object from one of its carriers: the `header=` query value (already
/// percent-decoded) or the part after `header-` of a sub-protocol item. `None` when it is no base64 of an object.
///
/// Tolerates what clients send: both alphabets, padded or not, `+` that became a space, line breaks.
pub fn header(carrier: &str) -> Option<Box<RawValue>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text: String = carrier
        .chars()
        .filter(|character| !matches!(character, '\n' | '\r'))
        .map(|character| match character {
            ' ' | '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(text.trim_end_matches('='))
        .ok()?;
    let json: Box<RawValue> = serde_json::from_slice(&bytes).ok()?;
    json.get().starts_with('{').then_some(json)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Unknown,
    AppSync,
    Legacy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Authorizing,
    Acknowledged,
    /// Told so; the client closes.
    Refused,
    Closed,
}

/// One connection.
#[derive(Debug)]
pub struct AppSync {
    dialect: Dialect,
    state: State,
    /// Open operations: the content of their `start`, and whether they are live.
    open: HashMap<String, (Box<str>, bool)>,
}

impl AppSync {
    /// `carried` says whether the upgrade had AppSync's credentials, which rules the legacy protocol out.
    pub fn new(carried: bool) -> Self {
        let dialect = if carried {
            Dialect::AppSync
        } else {
            Dialect::Unknown
        };
        Self {
            dialect,
            state: State::Waiting,
            open: HashMap::new(),
        }
    }

    fn close(&mut self, code: u16, reason: &str) -> Vec<Output> {
        self.state = State::Closed;
        self.open.clear();
        vec![close_with(code, reason)]
    }

    fn text(&mut self, text: &str) -> Vec<Output> {
        let Ok(message) = Message::read(text) else {
            return vec![Output::Send(refusal(
                None,
                "BadRequestException",
                "The message is not a JSON object with a type",
                400,
            ))];
        };
        match (&*message.kind, self.state) {
            ("connection_init", State::Waiting) => {
                self.state = State::Authorizing;
                vec![Output::Authorize(message.payload.map(ToOwned::to_owned))]
            }
            ("connection_init", _) => Vec::new(),
            ("connection_terminate", _) => self.close(close::NORMAL, "Terminated by the client"),
            // AppSync ignores what comes before `connection_init`; what comes right behind it is held.
            (_, State::Waiting | State::Authorizing | State::Refused) => Vec::new(),
            ("start", _) => self.start(&message),
            ("stop", _) => self.stop(message.id()),
            (other, _) => {
                let text = format!("{other} not supported through the realtime channel");
                vec![Output::Send(refusal(
                    message.id().as_deref(),
                    "UnsupportedOperation",
                    &text,
                    400,
                ))]
            }
        }
    }

    fn start(&mut self, message: &Message<'_>) -> Vec<Output> {
        let Some(id) = message
            .id()
            .filter(|id| !id.is_empty() && id.len() <= limits::ID_BYTES)
        else {
            let text = format!("start needs an id of 1 to {} bytes", limits::ID_BYTES);
            return vec![Output::Send(refusal(
                None,
                "BadRequestException",
                &text,
                400,
            ))];
        };
        let payload = message.payload.map_or("null", |payload| payload.get());
        let Some((dialect, request)) = request(payload) else {
            let text =
                "start needs payload.data, a JSON string of {query, variables}, or payload.query";
            return vec![Output::Send(refusal(
                Some(&id),
                "UnsupportedOperation",
                text,
                400,
            ))];
        };
        let content = content(&request);
        if let Some((earlier, live)) = self.open.get(&id) {
            return match (*earlier == content, *live) {
                (true, true) => vec![Output::Send(start_ack(&id))],
                (true, false) => Vec::new(),
                (false, _) => {
                    let text = format!("Duplicated operation with id {id}");
                    vec![Output::Send(refusal(
                        Some(&id),
                        "DuplicatedOperationError",
                        &text,
                        400,
                    ))]
                }
            };
        }
        if self.open.len() >= limits::SUBSCRIPTIONS {
            let text = format!(
                "Max number of {} subscriptions reached",
                limits::SUBSCRIPTIONS
            );
            return vec![Output::Send(refusal(
                Some(&id),
                "MaxSubscriptionsReachedError",
                &text,
                400,
            ))];
        }
        if self.dialect == Dialect::Unknown {
            self.dialect = dialect;
        }
        self.open.insert(id.clone(), (content, false));
        vec![Output::Start {
            id,
            request: Box::new(request),
        }]
    }

    fn stop(&mut self, id: Option<String>) -> Vec<Output> {
        match id {
            // An unknown id gets no `complete`: Android counts that as an error of all subscriptions.
            Some(id) if self.open.remove(&id).is_some() => {
                let complete =
                    Output::Send(format!(r#"{{"type":"complete","id":{}}}"#, quoted(&id)));
                vec![Output::Stop(id), complete]
            }
            _ => Vec::new(),
        }
    }

    fn authorized(&mut self, now: Elapsed, answer: Result<(), Refusal>) -> Vec<Output> {
        let reason = match answer {
            // After an expired token each `start` is refused: Amplify then comes back with a new one, which it would
            // not do after a `connection_error`.
            Ok(()) | Err(Refusal::Expired(_)) => return self.acknowledge(now),
            Err(Refusal::Busy(reason)) => {
                let mut outputs = self.acknowledge(now);
                outputs.extend(self.close(close::TRY_AGAIN, &reason));
                return outputs;
            }
            Err(Refusal::Unauthorized(reason)) => reason,
        };
        self.state = State::Refused;
        let error = format!(
            r#"{{"type":"connection_error","payload":{{"errors":[{{"errorType":"UnauthorizedException","message":{},"errorCode":401}}]}}}}"#,
            quoted(&reason)
        );
        vec![Output::Send(error), Output::WakeAt(now + limits::REFUSED)]
    }

    fn acknowledge(&mut self, now: Elapsed) -> Vec<Output> {
        self.state = State::Acknowledged;
        let timeout = limits::CONNECTION_TIMEOUT.as_millis();
        vec![
            Output::Send(format!(
                r#"{{"type":"connection_ack","payload":{{"connectionTimeoutMs":{timeout}}}}}"#
            )),
            Output::Send(KEEP_ALIVE.into()),
            Output::WakeAt(now + limits::KEEP_ALIVE),
        ]
    }
}

const KEEP_ALIVE: &str = r#"{"type":"ka"}"#;

impl Session for AppSync {
    fn opened(&mut self) -> Vec<Output> {
        vec![Output::WakeAt(limits::APPSYNC_INIT_TIMEOUT)]
    }

    fn handle(&mut self, now: Elapsed, input: Input<'_>) -> Vec<Output> {
        if self.state == State::Closed {
            return Vec::new();
        }
        match input {
            Input::Text(text) => self.text(text),
            Input::Binary => vec![Output::Send(refusal(
                None,
                "BadRequestException",
                "Binary messages are not supported",
                400,
            ))],
            Input::Authorized(answer) => self.authorized(now, answer),
            // Amplify comes back with a new token and the same ids.
            Input::Expired => self.close(close::RESTART, "Token expired"),
            Input::Started(id) => match self.open.get_mut(id) {
                Some((_, live)) => {
                    *live = true;
                    if self.dialect == Dialect::Legacy {
                        Vec::new()
                    } else {
                        vec![Output::Send(start_ack(id))]
                    }
                }
                None => Vec::new(),
            },
            Input::Failed { id, errors } if self.open.remove(id).is_some() => {
                let payload = if self.dialect == Dialect::Legacy {
                    first(errors)
                } else {
                    format!(r#"{{"errors":{errors}}}"#)
                };
                vec![Output::Send(format!(
                    "{}{payload}}}",
                    data_prefix(id, "error")
                ))]
            }
            // Amplify ignores `complete`, so an AppSync client gets silence and may still `stop`.
            Input::Done(id)
                if self.dialect == Dialect::Legacy && self.open.remove(id).is_some() =>
            {
                vec![Output::Send(format!(
                    r#"{{"type":"complete","id":{}}}"#,
                    quoted(id)
                ))]
            }
            Input::Failed { .. } | Input::Done(_) => Vec::new(),
            Input::Tick if self.state == State::Acknowledged => {
                vec![
                    Output::Send(KEEP_ALIVE.into()),
                    Output::WakeAt(now + limits::KEEP_ALIVE),
                ]
            }
            Input::Tick if self.state == State::Waiting && now >= limits::APPSYNC_INIT_TIMEOUT => {
                self.close(close::INIT_TIMEOUT, "Connection initialisation timeout")
            }
            Input::Tick if self.state == State::Refused => {
                self.close(close::FORBIDDEN, "Unauthorized")
            }
            Input::Tick => Vec::new(),
        }
    }

    fn data_prefix(&self, id: &str) -> String {
        data_prefix(id, "data")
    }

    fn may_close(&self) -> bool {
        matches!(self.state, State::Acknowledged | State::Refused)
    }

    fn completes(&self) -> bool {
        self.dialect == Dialect::Legacy
    }

    /// Clients of the legacy protocol send `start` right behind `connection_init`, and which dialect a client speaks is known only
    /// with its first `start`.
    fn holds(&self) -> bool {
        self.state == State::Authorizing
    }
}

fn request(payload: &str) -> Option<(Dialect, Request)> {
    let [data, extensions] = fields(payload, ["data", "extensions"]).ok()?;
    let data = data.and_then(|data| serde_json::from_str::<String>(data.get()).ok());
    let Some(data) = data else {
        return Some((Dialect::Legacy, Request::read(payload).ok()?));
    };
    let mut request = Request::read(&data).ok()?;
    request.extensions = extensions
        .filter(|extensions| extensions.get() != "null")
        .map(ToOwned::to_owned);
    request.authorization = extensions
        .and_then(|extensions| fields(extensions.get(), ["authorization"]).ok())
        .and_then(|[authorization]| authorization)
        .filter(|header| header.get().starts_with('{'))
        .map(|header| Authorization {
            header: header.to_owned(),
            data: data.into_boxed_str(),
        });
    Some((Dialect::AppSync, request))
}

fn start_ack(id: &str) -> String {
    format!(r#"{{"type":"start_ack","id":{}}}"#, quoted(id))
}

fn refusal(id: Option<&str>, kind: &str, message: &str, code: u16) -> String {
    let id = id
        .map(|id| format!(r#""id":{},"#, quoted(id)))
        .unwrap_or_default();
    let message = quoted(message);
    format!(
        r#"{{"type":"error",{id}"payload":{{"errors":[{{"errorType":"{kind}","message":{message},"errorCode":{code}}}]}}}}"#
    )
}

/// The legacy protocol's `error` holds one error, not an array.
fn first(errors: &str) -> String {
    let errors: Vec<&RawValue> = serde_json::from_str(errors).unwrap_or_default();
    errors.first().map_or_else(
        || r#"{"message":"Operation failed"}"#.into(),
        |error| error.get().to_owned(),
    )
}

/// What makes two `start`s the same. Not the credentials: whoever misses an acknowledgement sends the same again, with a newer token.
fn content(request: &Request) -> Box<str> {
    let variables = request.variables.as_ref().map_or("", |json| json.get());
    let operation = request.operation_name.as_deref().unwrap_or("");
    format!("{operation}\0{variables}\0{}", request.query).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::header;

    #[test]
    fn carriers_are_decoded_tolerantly() {
        // {"k":"~~>??"} holds the characters in which the two alphabets differ.
        for carrier in [
            "eyJrIjoifn4+Pz8ifQ==",
            "eyJrIjoifn4+Pz8ifQ",
            "eyJrIjoifn4-Pz8ifQ",
            "eyJrIjoifn4 Pz8i\nfQ==\n",
        ] {
            assert_eq!(
                header(carrier).unwrap().get(),
                r#"{"k":"~~>??"}"#,
                "{carrier}"
            );
        }
        for garbage in ["", "%%%", "bnVsbA==", "e30x"] {
            assert!(header(garbage).is_none(), "{garbage}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(carrier in "\\PC{0,80}") {
            let _ = header(&carrier);
        }
    }
}
