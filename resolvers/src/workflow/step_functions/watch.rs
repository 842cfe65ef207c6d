//! Follows open executions: reads the newest events of their histories and passes them to the
//! listener. Each event is passed on once, unless a failure makes it read them again.
//!
//! Each read is a task with a time limit, so that one that is not answered delays no other. While
//! few executions are open, each is read every second; with many, their reads are spread so that
//! this process uses at most half of the account's budget.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use job::Time;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::AdapterState;
use super::calls::CALL;
use super::steps::Steps;
use crate::read_budget::READS_PER_SECOND;
use crate::workflow::{ExecutionEvent, Listener, WorkflowError};

/// Maximum number of histories that are read at once. It bounds the reads that wait for the budget
/// before a caller's own.
const AT_ONCE: usize = 8;
/// Number of events of one page. A small page keeps a read without new events cheap.
const EVENTS: usize = 100;
/// Time allowed for one look at an execution. It is longer than the limit of a call, which waits
/// for the budget before it begins.
const LOOK: Duration = Duration::from_secs(CALL.as_secs() + 10);
/// The pause between two reads of an execution for each one that is open: half of the budget.
const SHARE: Duration = Duration::from_millis(2_000 / READS_PER_SECOND as u64);

#[derive(Debug, Default)]
pub(super) struct Watches {
    open: Mutex<HashMap<String, FollowedExecution>>,
    changed: Notify,
}

#[derive(Clone, Debug)]
struct FollowedExecution {
    arn: String,
    steps: Steps,
    due: Instant,
    /// Whether a task reads its history now.
    is_read: bool,
}

impl Watches {
    /// Follows an execution from its known progress. If it is already followed, nothing changes.
    pub(super) fn add(&self, name: &str, arn: String, steps: Steps) {
        self.open
            .lock()
            .entry(name.to_owned())
            .or_insert(FollowedExecution {
                arn,
                steps,
                due: Instant::now(),
                is_read: false,
            });
        self.changed.notify_one();
    }

    /// Reads an execution at once.
    pub(super) fn hurry(&self, name: &str) {
        if let Some(watch) = self.open.lock().get_mut(name) {
            watch.due = Instant::now();
        }
        self.changed.notify_one();
    }

    /// Whether this execution is followed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.open.lock().contains_key(name)
    }

    /// The execution that is due for longest, marked as being read; otherwise when the next one is.
    fn next(&self) -> Result<(String, FollowedExecution), Option<Instant>> {
        let (now, mut open) = (Instant::now(), self.open.lock());
        let waiting = open.iter_mut().filter(|(_, watch)| !watch.is_read);
        let first = waiting.min_by_key(|(_, watch)| watch.due);
        match first {
            Some((name, watch)) if watch.due <= now => {
                watch.is_read = true;
                Ok((name.clone(), watch.clone()))
            }
            first => Err(first.map(|(_, watch)| watch.due)),
        }
    }
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<AdapterState>, listener: Arc<dyn Listener>) {
    let mut looks = JoinSet::new();
    loop {
        let changed = shared.watches.changed.notified();
        let next = if looks.len() < AT_ONCE {
            shared.watches.next()
        } else {
            Err(None)
        };
        let due = match next {
            Ok((name, watch)) => {
                let (shared, listener) = (Arc::clone(&shared), Arc::clone(&listener));
                looks.spawn(async move { look(&shared, &*listener, name, watch).await });
                continue;
            }
            Err(due) => due,
        };
        let until_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = until_due => {}
            // A finished look makes room, and its execution is due again later.
            Some(_) = looks.join_next() => {}
        }
    }
}

async fn look(
    shared: &AdapterState,
    listener: &dyn Listener,
    name: String,
    mut watch: FollowedExecution,
) {
    let before = watch.due;
    let mut merged = ExecutionEvent {
        execution: name.clone(),
        position: 0,
        at: Time::from_millis(0),
        redrives: 0,
        steps: Vec::new(),
        end: None,
    };
    let events = tokio::time::timeout(LOOK, new_events(shared, &watch));
    match events.await {
        Ok(Ok(events)) => {
            for event in &events {
                watch.steps.take(event, &mut merged);
            }
        }
        Ok(Err(WorkflowError::UnknownExecution(_))) => {
            shared.watches.open.lock().remove(&name);
            return;
        }
        Ok(Err(error)) => {
            tracing::warn!(execution = %name, %error, "the history of an execution cannot be read; trying again");
        }
        Err(_) => {
            let seconds = LOOK.as_secs();
            tracing::warn!(execution = %name, seconds, "the history of an execution was not answered in time; trying again");
        }
    }
    let over = merged.end.is_some();
    {
        let mut open = shared.watches.open.lock();
        let many = u32::try_from(open.len()).unwrap_or(u32::MAX);
        let pause = SHARE.saturating_mul(many).max(shared.settings.poll);
        if over {
            open.remove(&name);
        } else if let Some(entry) = open.get_mut(&name) {
            // The execution may have been hurried meanwhile.
            let hurried = entry.due > before;
            let due = if hurried {
                entry.due
            } else {
                Instant::now() + pause
            };
            *entry = FollowedExecution {
                due,
                is_read: false,
                ..watch
            };
        }
    }
    if merged.position > 0 {
        listener.notify(merged);
    }
}

/// The events after those that are known, the oldest first.
async fn new_events(
    shared: &AdapterState,
    watch: &FollowedExecution,
) -> Result<Vec<Value>, WorkflowError> {
    let (mut events, mut token) = (Vec::new(), None);
    loop {
        let page = shared
            .calls
            .history(&watch.arn, EVENTS, true, token)
            .await?;
        let known = |event: &Value| event["id"].as_u64() <= Some(watch.steps.position);
        let reached = page.events.iter().any(known);
        events.extend(page.events.into_iter().filter(|event| !known(event)));
        token = page.next;
        if reached || token.is_none() {
            events.reverse();
            return Ok(events);
        }
    }
}
