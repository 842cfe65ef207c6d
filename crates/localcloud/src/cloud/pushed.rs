//! How far executions were pushed, and what waits to be.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::execution_log::LogEvent;

/// An execution as far as it was pushed.
#[derive(Clone, Debug, Default)]
pub(super) struct Pushed {
    pub(super) machine: String,
    pub(super) position: u64,
    pub(super) redrives: u32,
    /// Whether its start was sent, and whether its end was.
    pub(super) announced: (bool, bool),
}

/// What is to be pushed.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// Executions with news.
    pub(super) dirty: Mutex<BTreeSet<String>>,
    pub(super) known: Mutex<BTreeMap<String, Pushed>>,
    pub(super) changed: Notify,
    /// Entries that wait for their delivery.
    pub(super) waiting: Mutex<Vec<LogEvent>>,
}
