//! What all parts of a cloud share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use dynoxide::Database;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workflow::Engine;
use workflow::lambda::Host;

use super::begun::Begun;
use super::pushed::Pushes;
use super::settings::{LogSettings, Timing};
use crate::counts::Counts;
use crate::event_bus::Rule;
use crate::execution_log::LogEvent;
use crate::faults::Faults;
use crate::mapping::registry::Mappings;
use crate::scope::Scope;
use crate::sqs::Queues;

/// A body that is in memory.
pub(super) type Bytes = http_body_util::Full<bytes::Bytes>;

/// What all parts of a cloud share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) scope: Scope,
    pub(super) endpoint: String,
    pub(super) timing: Timing,
    pub(super) logs: LogSettings,
    pub(super) database: Tables,
    pub(super) dynamodb: SocketAddr,
    /// The internal listener of the engine and of the Lambda host.
    pub(super) internal: SocketAddr,
    pub(super) client: Client<HttpConnector, Bytes>,
    pub(super) engine: std::sync::OnceLock<Engine>,
    pub(super) host: Host,
    pub(super) queues: Mutex<Queues>,
    pub(super) queues_changed: Notify,
    pub(super) tables_changed: Notify,
    pub(super) mappings: Mutex<Mappings>,
    pub(super) running: Mutex<BTreeMap<String, CancellationToken>>,
    pub(super) rules: Mutex<Vec<Rule>>,
    pub(super) subscribers: Mutex<Vec<String>>,
    pub(super) pushes: Pushes,
    pub(super) begun: Mutex<Begun>,
    pub(super) log: Mutex<Vec<LogEvent>>,
    pub(super) events: Mutex<Vec<Value>>,
    pub(super) failed: Mutex<Vec<FailedEvent>>,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) seed: AtomicU64,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// The database, which says nothing about itself.
#[derive(Clone)]
pub(super) struct Tables(pub(super) Database);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

/// An event that a function did not take after all retries.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedEvent {
    /// The function.
    pub function: String,
    /// The event.
    pub event: Value,
}

impl Inner {
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine
            .get()
            .expect("it is set before the cloud is returned")
    }

    /// An id that was not given before.
    pub(super) fn uuid(&self) -> String {
        let count = self.seed.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::digest(format!("{} {count}", self.endpoint));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }
}

/// Now, in milliseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
