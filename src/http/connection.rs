//! What the handlers know of the connection that a request came by: its peer, and what all connections share. It goes with each request
//! as an extension.

use std::sync::Arc;

use http::Extensions;

use super::body::Room;
use super::brake::Brake;
use super::patience::Times;
use crate::peers::Peer;

/// What all connections share.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// How long they may take.
    pub(super) times: Times,
    /// The memory of their bodies.
    pub(super) room: Room,
    /// Slows down whoever tries keys.
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
    /// The one that a request came by. Requests that are made in a test have none.
    pub(super) fn of(extensions: &Extensions) -> Option<&Connection> {
        extensions.get()
    }

    /// Lets the handlers and the sessions find it.
    pub(super) fn goes_with(&self, extensions: &mut Extensions) {
        extensions.insert(Arc::clone(&self.peer));
        extensions.insert(self.clone());
    }
}
