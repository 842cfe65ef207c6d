//! The connection that a request arrived on, as handlers see it: its peer, and the parts that all
//! connections share. It is an extension of each request.

use std::sync::Arc;

use http::Extensions;

use super::brake::Brake;
use super::patience::ConnectionTimes;
use super::room::Room;
use crate::peers::Peer;

/// The parts that all connections share.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// The deadlines of a connection.
    pub(super) times: ConnectionTimes,
    /// The memory of their bodies.
    pub(super) room: Room,
    /// Slows down clients that guess credentials.
    pub(super) brake: Brake,
    /// The path of `public_url`, without a slash at its end.
    pub(super) prefix: String,
    /// Whether `/metrics` is for operators only.
    pub(super) guards_metrics: bool,
}

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) peer: Arc<Peer>,
    pub(super) served: Arc<Served>,
}

impl Connection {
    /// The connection of a request; `None` for a request that a test creates.
    pub(super) fn of(extensions: &Extensions) -> Option<&Connection> {
        extensions.get()
    }

    /// Adds the connection to a request's extensions, for the handlers and the sessions.
    pub(super) fn goes_with(&self, extensions: &mut Extensions) {
        extensions.insert(Arc::clone(&self.peer));
        extensions.insert(self.clone());
    }
}
