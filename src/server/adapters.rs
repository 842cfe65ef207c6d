//! The adapters of a server, as `embedded` and `aws` open them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use resolvers::files::OutageOf;
use resolvers::jobs::{ExecutionEvents, Sweeps};
use resolvers::queues::local::LocalQueues;
use resolvers::store::JobStore;
use resolvers::token::Signer;
use resolvers::workflow::Workflow;
use tokio_util::sync::CancellationToken;
use workflow::Machines;

use super::embedded::Embedded;
use super::error::ServeError;
use crate::config::Config;

/// The arguments of opening the adapters.
pub(super) struct AdapterContext<'a> {
    pub(super) config: &'a Config,
    pub(super) machines: Machines,
    /// The public listener.
    pub(super) public: SocketAddr,
    /// Receives the workflow's events of executions.
    pub(super) events: &'a Arc<ExecutionEvents>,
    /// Whether the start checks what is deployed on AWS: the table, permissions, state machines.
    #[cfg_attr(
        not(feature = "aws"),
        expect(dead_code, reason = "nothing is deployed")
    )]
    pub(super) checks_at_start: bool,
    /// Ends the listeners beside the public one.
    pub(super) stop: &'a CancellationToken,
}

/// The adapters, and the settings that depend on them.
pub(super) struct Adapters {
    pub(super) store: Arc<dyn JobStore>,
    pub(super) workflow: Arc<dyn Workflow>,
    /// The files.
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Number of bytes of a part of an upload.
    pub(super) part_bytes: usize,
    /// Finds the reason when the store of the files fails.
    pub(super) outage_of: OutageOf,
    pub(super) signer: Signer,
    /// Whether this node deletes files by their age. A life-cycle rule does it in a bucket.
    pub(super) sweeps_files: bool,
    /// How this node looks for jobs that stand still.
    pub(super) sweeps: Sweeps,
    /// Interval between two deletions of expired jobs.
    pub(super) purge_every: Duration,
    /// The address to which functions report.
    pub(super) report_url: String,
    /// Whether this node publishes the store's change feed.
    pub(super) follows_changes: bool,
    /// The local queues; `None` without them.
    pub(super) queues: Option<LocalQueues>,
    /// The internal listener.
    pub(super) internal: Option<SocketAddr>,
    /// The engine and its host in this process, which are kept to the end of the server.
    pub(super) embedded: Option<Embedded>,
}

/// A directory as an object store.
pub(super) fn directory(path: PathBuf) -> Result<LocalFileSystem, ServeError> {
    let opened = LocalFileSystem::new_with_prefix(path);
    let files = opened.map_err(|error| ServeError::Io {
        what: "the directory of the files cannot be opened",
        source: std::io::Error::other(error),
    })?;
    Ok(files.with_automatic_cleanup(true))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
