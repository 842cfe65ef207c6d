//! Learns what open executions do, by reading the newest events of their histories, and tells the listener. What it has told it does not
//! tell again; after a failure it reads the same events again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use job::Time;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Shared;
use super::steps::Steps;
use crate::workflow::{ExecutionEvent, Listener, WorkflowError};

/// Histories that are read at once.
const AT_ONCE: usize = 8;
/// Events of one page: a look at an execution reads no more than it must.
const EVENTS: usize = 100;

/// The executions that are watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    open: Mutex<HashMap<String, Watch>>,
    changed: Notify,
}

#[derive(Clone, Debug)]
struct Watch {
    arn: String,
    steps: Steps,
    due: Instant,
    pause: Duration,
}

impl Watches {
    /// Watches an execution from what is known of it; one that is watched already goes on.
    pub(super) fn add(&self, name: &str, arn: String, steps: Steps) {
        self.open.lock().entry(name.to_owned()).or_insert(Watch {
            arn,
            steps,
            due: Instant::now(),
            pause: Duration::ZERO,
        });
        self.changed.notify_one();
    }

    /// Looks at an execution at once.
    pub(super) fn hurry(&self, name: &str) {
        if let Some(watch) = self.open.lock().get_mut(name) {
            (watch.due, watch.pause) = (Instant::now(), Duration::ZERO);
        }
        self.changed.notify_one();
    }

    /// Those that are due, and when the next one is.
    fn due(&self) -> (Vec<(String, Watch)>, Option<Instant>) {
        let (now, open) = (Instant::now(), self.open.lock());
        let due = open.iter().filter(|(_, watch)| watch.due <= now);
        let due = due.map(|(name, watch)| (name.clone(), watch.clone()));
        let next = open
            .values()
            .map(|watch| watch.due)
            .filter(|due| *due > now);
        (due.collect(), next.min())
    }
}

/// Watches until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, listener: Arc<dyn Listener>) {
    loop {
        let changed = shared.watches.changed.notified();
        let (due, next) = shared.watches.due();
        if due.is_empty() {
            match next {
                None => changed.await,
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
            continue;
        }
        let looks = due
            .into_iter()
            .map(|(name, watch)| look(&shared, &*listener, name, watch));
        futures_util::stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }
}

async fn look(shared: &Shared, listener: &dyn Listener, name: String, mut watch: Watch) {
    let before = watch.due;
    let (shortest, longest) = (shared.settings.poll.start(), shared.settings.poll.end());
    let mut told = ExecutionEvent {
        execution: name.clone(),
        position: 0,
        at: Time::from_millis(0),
        redrives: 0,
        steps: Vec::new(),
        end: None,
    };
    match news(shared, &watch).await {
        Ok(events) if events.is_empty() => {
            watch.pause = (watch.pause * 2).clamp(*shortest, *longest);
        }
        Ok(events) => {
            for event in &events {
                watch.steps.take(event, &mut told);
            }
            watch.pause = *shortest;
        }
        Err(WorkflowError::UnknownExecution(_)) => {
            shared.watches.open.lock().remove(&name);
            return;
        }
        Err(error) => {
            tracing::warn!(execution = %name, %error, "the history of an execution cannot be read; trying again");
            watch.pause = (watch.pause * 2).clamp(*shortest, *longest);
        }
    }
    watch.due = Instant::now() + watch.pause;
    let over = told.end.is_some();
    {
        let mut open = shared.watches.open.lock();
        if over {
            open.remove(&name);
        } else if let Some(entry) = open.get_mut(&name) {
            // Somebody may have hurried it meanwhile.
            let hurried = entry.due > before;
            let due = if hurried { entry.due } else { watch.due };
            *entry = Watch { due, ..watch };
        }
    }
    if told.position > 0 {
        listener.notify(told);
    }
}

/// The events after those that are known, the oldest first.
async fn news(shared: &Shared, watch: &Watch) -> Result<Vec<Value>, WorkflowError> {
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
