//! The throttle between a function and `reportProgress`: one slot that holds the newest report, one
//! task that sends it at most once per [`REPORT_INTERVAL`], and a flush. It never queues, and never
//! fails the function.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::client::{Attempt, Client, MAX_ATTEMPTS, delay, random};
use crate::error::Error;

/// Minimum time between two reports of one job handle. The last report is always sent.
pub const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum time that the end of a function waits for its last report.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

const MUTATION: &str =
    "mutation Report($input: ReportProgressInput!) { reportProgress(input: $input) { version } }";

/// The receiver of a job's reports. `Debug` hides the token.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) id: String,
    pub(crate) step: Option<String>,
    pub(crate) url: Url,
    pub(crate) token: String,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination")
            .field("id", &self.id)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// A report. Absent fields do not change the job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) progress: Option<u8>,
    pub(crate) message: Option<String>,
    pub(crate) items: Option<(u32, u32)>,
}

impl Report {
    /// This report with the fields of `newer` on top.
    fn then(self, newer: Self) -> Self {
        Self {
            progress: newer.progress.or(self.progress),
            message: newer.message.or(self.message),
            items: newer.items.or(self.items),
        }
    }

    fn input(&self, to: &Destination) -> Value {
        let mut input = Map::new();
        input.insert("id".into(), json!(to.id));
        if let Some(step) = &to.step {
            input.insert("step".into(), json!(step));
        }
        if let Some(progress) = self.progress {
            input.insert("progress".into(), json!(progress));
        }
        if let Some(message) = &self.message {
            input.insert("message".into(), json!(message));
        }
        if let Some((done, total)) = self.items {
            input.insert("itemsDone".into(), json!(done));
            input.insert("itemsTotal".into(), json!(total));
        }
        Value::Object(input)
    }
}

#[derive(Debug, Default)]
struct Slot {
    pending: Option<Report>,
    /// Number of reports offered so far.
    offered: u64,
    /// Why the last report did not arrive; `None` once a report has arrived.
    failed: Option<Error>,
}

#[derive(Debug)]
struct ReportState {
    to: Destination,
    client: Client,
    slot: Mutex<Slot>,
    filled: Notify,
    hurry: Notify,
    /// Number of offered reports that are settled: sent, replaced by a newer one that was sent, or
    /// given up.
    settled: watch::Sender<u64>,
}

/// The owner of the slot and of the task that empties it. The task ends with its owner.
#[derive(Debug)]
pub(crate) struct Reporter {
    shared: Arc<ReportState>,
    runtime: Option<Handle>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Reporter {
    pub(crate) fn new(to: Destination, client: Client) -> Self {
        let shared = ReportState {
            to,
            client,
            slot: Mutex::default(),
            filled: Notify::new(),
            hurry: Notify::new(),
            settled: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
            runtime: Handle::try_current().ok(),
            task: Mutex::new(None),
        }
    }

    /// Fills the slot and returns at once, on any thread. After a refusal reports are discarded.
    pub(crate) fn offer(&self, report: Report) {
        {
            let mut slot = lock(&self.shared.slot);
            if slot.failed.as_ref().is_some_and(Error::is_final) {
                return;
            }
            slot.offered += 1;
            slot.pending = Some(slot.pending.take().unwrap_or_default().then(report));
        }
        self.start();
        self.shared.filled.notify_one();
    }

    /// Sends the pending report now, and returns the outcome of the last report.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let offered = lock(&self.shared.slot).offered;
        let mut settled = self.shared.settled.subscribe();
        if *settled.borrow() < offered {
            self.start();
            self.shared.hurry.notify_one();
            let wait = settled.wait_for(|settled| *settled >= offered);
            if tokio::time::timeout(FLUSH_TIMEOUT, wait).await.is_err() {
                return Err(Error::Unavailable {
                    what: "the last progress report",
                    attempts: 1,
                    reason: format!("no answer within {} s", FLUSH_TIMEOUT.as_secs()),
                });
            }
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Why the last report did not arrive.
    pub(crate) fn failure(&self) -> Option<Error> {
        lock(&self.shared.slot).failed.clone()
    }

    /// Starts the task, once, as soon as there is a runtime to run it.
    fn start(&self) {
        let mut task = lock(&self.task);
        if task.is_some() {
            return;
        }
        if let Some(runtime) = Handle::try_current().ok().or_else(|| self.runtime.clone()) {
            *task = Some(runtime.spawn(empty(Arc::clone(&self.shared))));
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

/// The task: waits for a report, sends it, and waits for the interval or for a flush, in a loop.
async fn empty(shared: Arc<ReportState>) {
    let mut attempts = 0;
    loop {
        let (report, offered) = loop {
            if let Some(taken) = take(&shared) {
                break taken;
            }
            shared.filled.notified().await;
        };
        attempts += 1;
        let sent = send(&shared, &report).await;
        let Some(settled) = settle(&shared, report, offered, sent, attempts) else {
            tokio::time::sleep(delay(attempts, random())).await;
            continue;
        };
        attempts = 0;
        shared.settled.send_replace(settled);
        // Cancel-safe: both branches only wait.
        tokio::select! {
            () = tokio::time::sleep(REPORT_INTERVAL) => {}
            () = shared.hurry.notified() => {}
        }
    }
}

fn take(shared: &ReportState) -> Option<(Report, u64)> {
    let mut slot = lock(&shared.slot);
    let report = slot.pending.take()?;
    Some((report, slot.offered))
}

async fn send(shared: &ReportState, report: &Report) -> Result<(), Attempt> {
    let to = &shared.to;
    let variables = json!({ "input": report.input(to) });
    shared
        .client
        .graphql_once("a progress report", &to.url, &to.token, MUTATION, variables)
        .await
        .map(|_| ())
}

/// Records the outcome of a report and returns how many offered reports it settles. `None` if the
/// report is back in the slot, under anything newer, and will be sent again.
fn settle(
    shared: &ReportState,
    report: Report,
    offered: u64,
    sent: Result<(), Attempt>,
    attempts: u32,
) -> Option<u64> {
    let mut slot = lock(&shared.slot);
    match sent {
        Ok(()) => slot.failed = None,
        Err(Attempt::Again(_)) if attempts < MAX_ATTEMPTS => {
            slot.pending = Some(match slot.pending.take() {
                Some(newer) => report.then(newer),
                None => report,
            });
            return None;
        }
        Err(Attempt::Again(reason)) => {
            let error = Error::Unavailable {
                what: "a progress report",
                attempts,
                reason,
            };
            tracing::warn!(job_id = shared.to.id, %error, "progress not reported");
            slot.failed = Some(error);
        }
        Err(Attempt::Never(error)) => {
            tracing::warn!(job_id = shared.to.id, %error, "progress refused");
            let over = error.is_final();
            slot.failed = Some(error);
            if over {
                slot.pending = None;
                return Some(slot.offered);
            }
        }
    }
    Some(offered)
}

/// No code can panic while it holds this lock, so a poisoned slot is still valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_report_keeps_the_fields_it_lacks() {
        let first = Report {
            progress: Some(10),
            message: Some("reading".into()),
            items: None,
        };
        let newer = Report {
            progress: Some(20),
            message: None,
            items: Some((1, 2)),
        };
        let both = Report {
            progress: Some(20),
            message: Some("reading".into()),
            items: Some((1, 2)),
        };
        assert_eq!(first.then(newer), both);
    }

    #[test]
    fn the_input_has_only_known_fields_and_debug_hides_the_token() {
        let to = Destination {
            id: "1".into(),
            step: None,
            url: Url::parse("http://h/graphql").unwrap(),
            token: "secret".into(),
        };
        assert_eq!(Report::default().input(&to), json!({"id": "1"}));
        let full = Report {
            progress: Some(5),
            message: Some("m".into()),
            items: Some((1, 3)),
        };
        let to = Destination {
            step: Some("s".into()),
            ..to
        };
        assert_eq!(
            full.input(&to),
            json!({"id": "1", "step": "s", "progress": 5, "message": "m", "itemsDone": 1, "itemsTotal": 3})
        );
        assert!(!format!("{to:?}").contains("secret"));
    }
}
