//! Sessions: the real-time sockets. The upgrade, the driver that carries a `wire` protocol over a socket, and the
//! [`Executor`] through which it asks for GraphQL. No GraphQL in here, and no rule of a protocol.

mod connection;
mod deadlines;
mod delivery;
mod driver;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod garbage_tests;
mod lifetime;
pub mod limits;
mod metrics;
mod operations;
mod pending;
mod socket;
mod stream;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
mod upgrade;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use job::Time;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use slab::Slab;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::chaos::Chaos;
use crate::peers::Peer;
use crate::realtime::hub::{Hub, Mailbox};
use metrics::Metrics;

pub use stream::{head_of_stream, multipart, sse};
pub use upgrade::{Accepted, Refused, Upgraded, offers_websocket, upgrade};
pub use watch::{ReadPage, ReadResult, Target, Unread, Watch};
pub use wire::{Authorization, Refusal, Request};

/// Told with a 503; every client comes back after it.
const NO_PLACE: &str = "no more connections here for now, come back later";

/// A future on the heap: operations are few beside idle sockets, whose drivers must stay small.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Everything that may carry credentials: of the upgrade, of `connection_init`, or of a streaming HTTP request.
#[derive(Debug)]
pub struct Credentials {
    /// Method, address with its query, headers and extensions (such as the peer's address) of the HTTP request.
    pub parts: http::request::Parts,
    /// AppSync's authorization object, by whichever carrier it came: the `header-…` item of the sub-protocols, the
    /// `header=` of the query, or plain headers (then with all of them). `None` for any other protocol.
    pub appsync: Option<Box<RawValue>>,
    /// The payload of `connection_init`.
    pub init: Option<Box<RawValue>>,
}

/// Who is connected.
#[derive(Debug)]
pub struct Authorized<C> {
    /// Given back to [`Executor::start`].
    pub caller: Arc<C>,
    /// Whose connections are counted together against [`limits::CONNECTIONS_PER_CALLER`]; `None` counts nobody's.
    pub name: Option<Arc<str>>,
    /// When the credentials end: the socket is closed then, so that the client comes back with new ones.
    pub expires_at: Option<Time>,
}

/// What the GraphQL edge does for a session.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Who is connected, as [`Executor::authorize`] found out.
    type Caller: Send + Sync + 'static;

    /// Checks the credentials; once for each connection. The refusal's text is told to the client.
    async fn authorize(
        &self,
        credentials: Credentials,
    ) -> Result<Authorized<Self::Caller>, Refusal>;

    /// Validates and starts one operation.
    ///
    /// An AppSync client sends credentials with each `start` ([`Request::authorization`]): if they are there, they count, and may be
    /// another caller's than the connection's. `caller` is `None` only on an AppSync connection whose token had expired.
    async fn start(&self, caller: Option<Arc<Self::Caller>>, request: Request) -> Started;
}

/// What became of an operation.
pub enum Started {
    /// A query or mutation: one payload, JSON text on one line, then the end.
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

/// What all sessions of a node share.
#[derive(Debug)]
pub struct Sessions<E: Executor> {
    pub(crate) hub: Arc<Hub>,
    pub(crate) executor: E,
    drain: CancellationToken,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    open: Mutex<Open>,
    /// Lets the open connections know when the drain begins.
    drainer: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Open {
    /// Of each open connection; `None` until its socket is upgraded.
    connections: Slab<Option<Arc<Mailbox>>>,
    by_caller: HashMap<Arc<str>, usize>,
}

/// What a node may be told to do otherwise than usual.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See [`limits::CONNECTIONS`].
    pub connections: usize,
    /// See [`limits::CONNECTIONS_PER_CALLER`].
    pub per_caller: usize,
    /// See [`limits::STALLED`].
    pub stalled: Duration,
    /// Cuts connections on purpose.
    pub chaos: Option<Chaos>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS,
            per_caller: limits::CONNECTIONS_PER_CALLER,
            stalled: limits::STALLED,
            chaos: None,
        }
    }
}

impl<E: Executor> Sessions<E> {
    /// `drain` is cancelled when the node stops: new upgrades get 503, open sockets close 1012. The metrics' recorder
    /// has to be installed before.
    pub fn new(
        hub: Arc<Hub>,
        executor: E,
        drain: CancellationToken,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self {
            hub,
            executor,
            drain,
            settings,
            metrics: Metrics::default(),
            open: Mutex::default(),
            drainer: OnceLock::new(),
        })
    }

    /// How many sockets and streams are open.
    pub fn connections(&self) -> usize {
        self.open.lock().connections.len()
    }

    /// A place among the connections; `None` when there is none, or the node drains.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission<E>> {
        let admission = self.place();
        if admission.is_none() {
            self.metrics.connect_server_error.increment(1);
        }
        admission
    }

    fn place(self: &Arc<Self>) -> Option<Admission<E>> {
        if self.drain.is_cancelled() {
            return None;
        }
        let mut open = self.open.lock();
        if open.connections.len() >= self.settings.connections {
            return None;
        }
        let place = open.connections.insert(None);
        drop(open);
        self.drainer.get_or_init(|| {
            let (drain, sessions) = (self.drain.clone(), Arc::downgrade(self));
            AbortOnDropHandle::new(tokio::spawn(async move {
                drain.cancelled().await;
                if let Some(sessions) = sessions.upgrade() {
                    sessions.leave();
                }
            }))
        });
        self.metrics.active_connections.increment(1.0);
        Some(Admission {
            sessions: Arc::clone(self),
            place,
            name: None,
            peer: None,
        })
    }

    /// Whether this delivery is to be replaced by a cut of its connection.
    pub(crate) fn cuts(&self) -> bool {
        let chaos = self.settings.chaos.as_ref();
        chaos.is_some_and(Chaos::cuts)
    }

    fn leave(&self) {
        let open = self.open.lock();
        let mailboxes = open.connections.iter();
        let mailboxes: Vec<_> = mailboxes
            .filter_map(|(_, mailbox)| mailbox.clone())
            .collect();
        drop(open);
        for mailbox in mailboxes {
            mailbox.leave();
        }
    }
}

/// A place among the connections; given back when dropped.
pub(crate) struct Admission<E: Executor> {
    pub(crate) sessions: Arc<Sessions<E>>,
    place: usize,
    name: Option<Arc<str>>,
    /// The connection that it came by.
    peer: Option<Arc<Peer>>,
}

impl<E: Executor> Admission<E> {
    /// The connection is there: a drain reaches it by its mailbox.
    pub(crate) fn enter(&mut self, mailbox: &Arc<Mailbox>) {
        self.sessions.open.lock().connections[self.place] = Some(Arc::clone(mailbox));
        // The drain may have begun since the admission, and have missed this one.
        if self.sessions.drain.is_cancelled() {
            mailbox.leave();
        }
    }

    /// Takes a place among the connections of this caller as well, whose credentials are valid; `false` when there is none.
    pub(crate) fn name(&mut self, name: Option<&Arc<str>>) -> bool {
        if let Some(peer) = &self.peer {
            peer.known();
            peer.works();
        }
        let Some(name) = name else { return true };
        let mut open = self.sessions.open.lock();
        let count = open.by_caller.entry(Arc::clone(name)).or_default();
        if *count >= self.sessions.settings.per_caller {
            return false;
        }
        *count += 1;
        self.name = Some(Arc::clone(name));
        true
    }
}

impl<E: Executor> Drop for Admission<E> {
    fn drop(&mut self) {
        let mut open = self.sessions.open.lock();
        open.connections.remove(self.place);
        if let Some(name) = self.name.take()
            && let Some(count) = open.by_caller.get_mut(&name)
        {
            *count -= 1;
            if *count == 0 {
                open.by_caller.remove(&name);
            }
        }
        drop(open);
        self.sessions.metrics.active_connections.decrement(1.0);
    }
}
