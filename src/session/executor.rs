//! The port through which a session asks for GraphQL. [`crate::graphql`] implements it; a session
//! depends on the trait only.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use job::Time;
use serde_json::value::RawValue;
use wire::{Refusal, Request};

use super::watch::Watch;

/// All parts of a request that may carry credentials: of the upgrade, of `connection_init`, or of a
/// streaming HTTP request.
#[derive(Debug)]
pub struct Credentials {
    /// Method, address with its query, headers and extensions (such as the peer's address) of the
    /// HTTP request.
    pub parts: http::request::Parts,
    /// AppSync's authorization object: from the `header-…` item of the sub-protocols, from
    /// `header=` of the query, or all plain headers. `None` for any other protocol.
    pub appsync: Option<Box<RawValue>>,
    /// The payload of `connection_init`.
    pub init: Option<Box<RawValue>>,
}

/// A caller whose credentials are valid.
#[derive(Debug)]
pub struct Authorized<C> {
    /// The caller, as it is passed to [`Executor::start`].
    pub caller: Arc<C>,
    /// The name under which connections are counted against
    /// [`super::limits::CONNECTIONS_PER_CALLER`]; `None` for a caller without that limit.
    pub name: Option<Arc<str>>,
    /// When the credentials end. The socket is closed then, so that the client connects again with
    /// new ones.
    pub expires_at: Option<Time>,
}

/// The GraphQL edge, as sessions use it.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// A caller, as [`Executor::authorize`] returns it.
    type Caller: Send + Sync + 'static;

    /// Checks the credentials, once for each connection.
    ///
    /// # Errors
    /// The refusal, whose text is sent to the client.
    async fn authorize(
        &self,
        credentials: Credentials,
    ) -> Result<Authorized<Self::Caller>, Refusal>;

    /// Validates and starts one operation.
    ///
    /// An AppSync client sends credentials with each `start` ([`Request::authorization`]). They
    /// replace the connection's, and may be another caller's. `caller` is `None` only on an AppSync
    /// connection whose token had expired.
    async fn start(&self, caller: Option<Arc<Self::Caller>>, request: Request) -> Started;
}

/// The result of [`Executor::start`].
pub enum Started {
    /// The result of a query or mutation: one payload, JSON text on one line. The operation has
    /// ended.
    Single(Bytes),
    /// A subscription.
    Watch(Watch),
    /// Refused before execution; a JSON array of GraphQL errors.
    Invalid(String),
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Watch(_) => "Watch",
            Self::Invalid(_) => "Invalid",
        })
    }
}
