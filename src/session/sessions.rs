//! The open connections of a node: their limits, their drain, and what they share.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use slab::Slab;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::executor::Executor;
use super::limits;
use super::metrics::Metrics;
use crate::chaos::Chaos;
use crate::peers::Peer;
use crate::realtime::hub::{Hub, Mailbox};

/// The text of a 503; every client tries again after it.
pub(super) const NO_SLOT: &str = "no more connections here for now, come back later";

/// The connections of a node and what they share.
#[derive(Debug)]
pub struct Sessions<E: Executor> {
    pub(crate) hub: Arc<Hub>,
    pub(crate) executor: E,
    drain: CancellationToken,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    open: Mutex<OpenConnections>,
    /// Notifies the open connections when the drain begins.
    drainer: OnceLock<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    /// The mailbox of each open connection; `None` until its socket is upgraded.
    mailboxes: Slab<Option<Arc<Mailbox>>>,
    /// The number of open connections of each caller.
    by_caller: HashMap<Arc<str>, usize>,
}

/// The settings of a node's connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See [`limits::CONNECTIONS`].
    pub connections: usize,
    /// See [`limits::CONNECTIONS_PER_CALLER`].
    pub per_caller: usize,
    /// See [`limits::STALLED`].
    pub stalled: Duration,
    /// Cuts connections on purpose, for tests.
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
    /// `drain` is cancelled when the node stops: then new upgrades get 503, and open sockets close
    /// with 1012. The recorder of metrics must be installed before.
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

    /// The number of open sockets and streams.
    pub fn connections(&self) -> usize {
        self.open.lock().mailboxes.len()
    }

    /// Admits a connection; `None` over the limit, and while the node drains.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Admission<E>> {
        let admission = self.take_slot();
        if admission.is_none() {
            self.metrics.connect_server_error.increment(1);
        }
        admission
    }

    fn take_slot(self: &Arc<Self>) -> Option<Admission<E>> {
        if self.drain.is_cancelled() {
            return None;
        }
        let mut open = self.open.lock();
        if open.mailboxes.len() >= self.settings.connections {
            return None;
        }
        let slot = open.mailboxes.insert(None);
        drop(open);
        self.drainer.get_or_init(|| {
            let (drain, sessions) = (self.drain.clone(), Arc::downgrade(self));
            AbortOnDropHandle::new(tokio::spawn(async move {
                drain.cancelled().await;
                if let Some(sessions) = sessions.upgrade() {
                    sessions.drain_all();
                }
            }))
        });
        self.metrics.active_connections.increment(1.0);
        Some(Admission {
            sessions: Arc::clone(self),
            slot,
            name: None,
            peer: None,
        })
    }

    /// Whether the next delivery is replaced by a cut of its connection.
    pub(crate) fn cuts(&self) -> bool {
        let chaos = self.settings.chaos.as_ref();
        chaos.is_some_and(Chaos::cuts)
    }

    fn drain_all(&self) {
        let open = self.open.lock();
        let mailboxes = open.mailboxes.iter();
        let mailboxes: Vec<_> = mailboxes
            .filter_map(|(_, mailbox)| mailbox.clone())
            .collect();
        drop(open);
        for mailbox in mailboxes {
            mailbox.leave();
        }
    }
}

/// The slot of one connection, which is free again when this is dropped.
pub(crate) struct Admission<E: Executor> {
    pub(crate) sessions: Arc<Sessions<E>>,
    slot: usize,
    name: Option<Arc<str>>,
    /// The TCP connection that carries it.
    pub(super) peer: Option<Arc<Peer>>,
}

impl<E: Executor> Admission<E> {
    /// The connection is open: from now on a drain reaches it by its mailbox.
    pub(crate) fn enter(&mut self, mailbox: &Arc<Mailbox>) {
        self.sessions.open.lock().mailboxes[self.slot] = Some(Arc::clone(mailbox));
        // The drain may have begun since the admission, and have missed this connection.
        if self.sessions.drain.is_cancelled() {
            mailbox.leave();
        }
    }

    /// Counts the connection for this caller, whose credentials are valid; `false` over the
    /// caller's limit.
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
        open.mailboxes.remove(self.slot);
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
