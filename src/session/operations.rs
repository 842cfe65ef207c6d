//! The table of one connection's operations. It holds no future, no socket and no protocol.

use std::collections::HashMap;

use super::watch::ReadPage;
use crate::realtime::hub::WatchId;

enum Operation {
    /// The executor works on it. The number distinguishes it from an earlier operation with the
    /// same id.
    Starting(u64),
    Running(WatchId),
}

/// A subscription that is registered in the hub.
pub(super) struct Subscription {
    pub(super) watch: WatchId,
    /// The id that the client gave the operation.
    pub(super) id: String,
    /// The text before the payload in its messages.
    pub(super) prefix: Box<str>,
    /// Reads the first page again; `None` for the watch of one job.
    pub(super) page: Option<ReadPage>,
}

/// The operations of one connection, by their ids and by their watches.
#[derive(Default)]
pub(super) struct Operations {
    by_id: HashMap<String, Operation>,
    /// By [`WatchId::index`].
    subscriptions: Vec<Option<Subscription>>,
    /// The number of operations that were started.
    started: u64,
}

impl Operations {
    /// The number of running subscriptions.
    pub(super) fn running(&self) -> usize {
        self.subscriptions.iter().flatten().count()
    }

    /// Enters an operation that the executor starts; returns its number.
    pub(super) fn start(&mut self, id: &str) -> u64 {
        self.started += 1;
        let starting = Operation::Starting(self.started);
        self.by_id.insert(id.to_owned(), starting);
        self.started
    }

    /// Whether the operation with this number still starts. The client may have ended it, and begun
    /// another with the same id.
    pub(super) fn is_starting(&self, id: &str, number: u64) -> bool {
        matches!(self.by_id.get(id), Some(Operation::Starting(current)) if *current == number)
    }

    /// The operation runs as this subscription.
    pub(super) fn run(&mut self, subscription: Subscription) {
        let watch = subscription.watch;
        self.by_id
            .insert(subscription.id.clone(), Operation::Running(watch));
        let slots = &mut self.subscriptions;
        if slots.len() <= watch.index() {
            slots.reserve_exact(watch.index() + 1 - slots.len());
            slots.resize_with(watch.index() + 1, || None);
        }
        slots[watch.index()] = Some(subscription);
    }

    /// The subscription of a watch, unless it has ended.
    pub(super) fn subscription(&self, watch: WatchId) -> Option<&Subscription> {
        let subscription = self.subscriptions.get(watch.index())?.as_ref()?;
        (subscription.watch == watch).then_some(subscription)
    }

    /// Removes an operation; returns its watch if it was a running subscription.
    pub(super) fn remove(&mut self, id: &str) -> Option<WatchId> {
        let Some(Operation::Running(watch)) = self.by_id.remove(id) else {
            return None;
        };
        self.subscriptions[watch.index()] = None;
        Some(watch)
    }
}
