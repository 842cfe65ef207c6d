//! The parts that all sub-protocols share: inputs, outputs, limits, close codes. It does not depend
//! on any protocol's messages.

use std::time::Duration;

use serde_json::value::RawValue;

/// Time since the socket was opened.
pub type Elapsed = Duration;

/// Limits that a session enforces. Each is tested on both sides.
pub mod limits {
    use std::time::Duration;

    /// Maximum number of operations that one connection may have open at once (AppSync: 100).
    pub const SUBSCRIPTIONS: usize = 100;
    /// Maximum length in bytes of an operation id, which a client chooses.
    pub const ID_BYTES: usize = 128;
    /// Time allowed for a client to send `connection_init`.
    pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);
    /// Maximum size in bytes of one message from a client. Inputs may have 256 KiB and are escaped
    /// inside it.
    pub const MESSAGE_BYTES: usize = 1024 * 1024;
    /// Time allowed for an AppSync client to send `connection_init`. A close before the
    /// acknowledgement harms such a client, and its own limit is 15 s.
    pub const APPSYNC_INIT_TIMEOUT: Duration = Duration::from_secs(30);
    /// Time after which the server closes a refused AppSync client, which is expected to close by
    /// itself. Longer than the 15 s for which Amplify waits for an acknowledgement.
    pub const REFUSED: Duration = Duration::from_secs(20);
    /// Period of AppSync's `ka`.
    pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
    /// The timeout that AppSync's acknowledgement announces: a client reconnects if it receives no
    /// `ka` for this time.
    pub const CONNECTION_TIMEOUT: Duration = Duration::from_millis(300_000);
    /// Maximum length of a close frame's reason in bytes (RFC 6455, 5.5: a control frame holds 125
    /// bytes, 2 are the code).
    pub const CLOSE_REASON_BYTES: usize = 123;
}

/// Close codes: RFC 6455 section 7.4 and graphql-ws PROTOCOL.md.
pub mod close {
    /// The client or the server is done.
    pub const NORMAL: u16 = 1000;
    /// A frame breaks RFC 6455.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A text message is not UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// A message is over [`super::limits::MESSAGE_BYTES`].
    pub const TOO_BIG: u16 = 1009;
    /// The server restarts; clients reconnect by themselves.
    pub const RESTART: u16 = 1012;
    /// Temporarily refused; the client may reconnect.
    pub const TRY_AGAIN: u16 = 1013;
    /// The message cannot be understood.
    pub const BAD_REQUEST: u16 = 4400;
    /// An operation before the acknowledgement.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The credentials of `connection_init` were refused.
    pub const FORBIDDEN: u16 = 4403;
    /// None of the offered sub-protocols is served.
    pub const SUBPROTOCOL: u16 = 4406;
    /// No `connection_init` in time.
    pub const INIT_TIMEOUT: u16 = 4408;
    /// An operation with this id is open.
    pub const DUPLICATE_ID: u16 = 4409;
    /// A second `connection_init`, or more operations than allowed.
    pub const TOO_MANY: u16 = 4429;
}

/// A GraphQL request, as the payload of `subscribe` and `start` and as the body of an HTTP request.
/// It is read from a JSON object only. If a name occurs twice, the last value counts.
#[derive(Debug, Clone)]
pub struct Request {
    /// The document.
    pub query: String,
    /// The operation to run, if the document has several.
    pub operation_name: Option<String>,
    /// A JSON object; its text is kept as sent.
    pub variables: Option<Box<RawValue>>,
    /// A JSON object; AppSync's `authorization` is in it.
    pub extensions: Option<Box<RawValue>>,
    /// The credentials of AppSync's `start`; no other protocol has them.
    pub authorization: Option<Authorization>,
}

/// The credentials of one AppSync `start`.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// `payload.extensions.authorization`, an object.
    pub header: Box<RawValue>,
    /// `payload.data` byte for byte: the text that an IAM signature covers.
    pub data: Box<str>,
}

/// Why a connection is refused. Each text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Credentials are missing or invalid: a reconnect with the same ones would fail too.
    #[error("{0}")]
    Unauthorized(String),
    /// The credentials have expired: the client should reconnect with new ones.
    #[error("{0}")]
    Expired(String),
    /// Temporarily refused: too many connections, or credentials that cannot be checked at the
    /// moment.
    #[error("{0}")]
    Busy(String),
}

/// An input to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// A whole text message arrived, and the session does not hold ([`Session::holds`]).
    Text(&'a str),
    /// A binary message arrived; no sub-protocol here has any.
    Binary,
    /// The answer to [`Output::Authorize`].
    Authorized(Result<(), Refusal>),
    /// The credentials have expired.
    Expired,
    /// The operation is live: it receives everything that is published from now on.
    Started(&'a str),
    /// The operation was refused; `errors` is a JSON array of GraphQL errors.
    Failed {
        /// The operation.
        id: &'a str,
        /// JSON array text.
        errors: &'a str,
    },
    /// The operation has ended: nothing more follows.
    Done(&'a str),
    /// Time has passed, see [`Output::WakeAt`].
    Tick,
}

/// An action for the driver. The driver performs them in order.
#[derive(Debug)]
pub enum Output {
    /// Send this text message.
    Send(String),
    /// Check the credentials of `connection_init` and answer with [`Input::Authorized`].
    Authorize(Option<Box<RawValue>>),
    /// Execute; answer with `Started` or `Failed`, later `Done`.
    Start {
        /// The client's id of the operation.
        id: String,
        /// The request to execute.
        request: Box<Request>,
    },
    /// Forget the operation.
    Stop(String),
    /// Give a `Tick` at this time. It replaces an earlier one.
    WakeAt(Elapsed),
    /// Send a close frame and end; nothing follows.
    Close {
        /// One of [`close`].
        code: u16,
        /// At most [`limits::CLOSE_REASON_BYTES`] long.
        reason: String,
    },
}

/// One connection's side of a sub-protocol. Every call returns all actions that follow from it.
pub trait Session: Send {
    /// The upgrade is done.
    fn opened(&mut self) -> Vec<Output>;
    /// `now` is the time since `opened`.
    fn handle(&mut self, now: Elapsed, input: Input<'_>) -> Vec<Output>;
    /// The text before the payload in a data message of operation `id`; the text after it is `}`.
    ///
    /// The payload itself is shared by all watchers of a group and never copied into a session.
    fn data_prefix(&self, id: &str) -> String;
    /// Whether the server may close. It must not close between upgrade and acknowledgement (an
    /// Amplify client would later give up for good), so a drain waits.
    fn may_close(&self) -> bool;
    /// Whether the client understands the end of an operation. If not, no message is sent at the
    /// end.
    fn completes(&self) -> bool;
    /// Whether further messages of the client must wait until [`Output::Authorize`] is answered:
    /// clients of this protocol send their first operation right behind `connection_init`. The
    /// driver then reads and decodes nothing more, so that what waits is bounded by what it has
    /// already read.
    fn holds(&self) -> bool;
}

/// `{"id":"…","type":"…","payload":`, to be followed by payload and `}`.
pub fn data_prefix(id: &str, kind: &str) -> String {
    format!(r#"{{"id":{},"type":"{kind}","payload":"#, quoted(id))
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A close with its reason truncated to the size of a control frame, between two characters.
pub(crate) fn close_with(code: u16, reason: impl Into<String>) -> Output {
    let mut reason = reason.into();
    let mut end = reason.len().min(limits::CLOSE_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    Output::Close { code, reason }
}
