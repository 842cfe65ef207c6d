//! The pushed events of executions that could not be applied yet, in this process.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::workflow::step_functions::pushed::{LogEntry, Pushed, StatusChange};

/// Maximum number of entries that wait in one process. Beyond it all are dropped, and histories are
/// read instead.
const WAITING_ENTRIES: usize = 100_000;
/// The events that could not be applied yet, by execution.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    executions: Mutex<HashMap<String, Received>>,
    /// Notified when events were added.
    pub(super) arrived: Notify,
}

/// The events of one execution.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    /// Its log entries, by id.
    pub(super) entries: BTreeMap<u64, LogEntry>,
    /// The last change of its status.
    pub(super) status: Option<StatusChange>,
}

impl Waiting {
    /// Adds events, and returns the executions that they belong to.
    pub(super) fn add(&self, pushed: Vec<Pushed>) -> Vec<String> {
        let mut executions = self.executions.lock();
        let waiting: usize = executions.values().map(|one| one.entries.len()).sum();
        if waiting > WAITING_ENTRIES {
            tracing::warn!(
                waiting,
                "too many log entries wait for others; histories are read instead"
            );
            executions.clear();
        }
        let mut names = BTreeSet::new();
        for one in pushed {
            names.insert(one.execution().to_owned());
            let received = executions.entry(one.execution().to_owned()).or_default();
            match one {
                Pushed::Entry(entry) => {
                    received.entries.insert(entry.id, entry);
                }
                Pushed::Status(status) => {
                    let known = received.status.as_ref();
                    // A later redrive replaces an end, and an end the beginning before it.
                    let newer = known.is_none_or(|known| {
                        (known.redrives, known.end.is_some())
                            <= (status.redrives, status.end.is_some())
                    });
                    if newer {
                        received.status = Some(status);
                    }
                }
            }
        }
        drop(executions);
        self.arrived.notify_waiters();
        names.into_iter().collect()
    }

    /// The events of an execution that its job does not show yet.
    pub(super) fn of(&self, name: &str, position: u64) -> Received {
        let mut executions = self.executions.lock();
        let Some(received) = executions.get_mut(name) else {
            return Received::default();
        };
        received.entries = received.entries.split_off(&(position.saturating_add(1)));
        received.clone()
    }

    pub(super) fn forget(&self, name: &str) {
        self.executions.lock().remove(name);
    }

    /// Drops an execution without waiting events.
    pub(super) fn forget_if_empty(&self, name: &str, position: u64) {
        let received = self.of(name, position);
        let is_end = received.status.is_some_and(|status| status.end.is_some());
        if received.entries.is_empty() && !is_end {
            self.forget(name);
        }
    }
}
