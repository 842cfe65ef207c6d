//! Why a server does not start: what is wrong, where, and what to do.

use std::net::SocketAddr;

use crate::auth::oidc::OidcError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::realtime::broker::BrokerError;

/// Why the server does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The build lacks a feature that the configuration uses.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An identity provider.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlite::OpenError),
    /// The state machines.
    #[error(transparent)]
    Machines(#[from] workflow::MachinesError),
    /// A sample's state machine.
    #[error("the sample {0} is not valid: {1:?}")]
    Sample(&'static str, Vec<asl::Diagnostic>),
    /// The schema of a job type's input.
    #[error(
        "{job_type}.input.schema.json: {problem}; mend the file, or remove it when inputs need no check"
    )]
    Schema {
        /// The job type.
        job_type: String,
        /// The error and what to do.
        problem: String,
    },
    /// The workflow engine.
    #[error(transparent)]
    Engine(#[from] workflow::OpenError),
    /// A listener.
    #[error(
        "cannot listen on {address}: {source}{}",
        if source.kind() == std::io::ErrorKind::AddrInUse { "; another program uses this port: stop it, or choose another with --listen" } else { "" }
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The change feed.
    #[error("{}{}", .0, cause_of(.0))]
    Store(#[from] resolvers::store::StoreError),
    /// Another error of the operating system.
    #[error("{what}: {source}")]
    Io {
        /// The failed action.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The bucket of the files.
    #[error("the bucket {bucket} of [aws] cannot be used: {source}")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The table of the jobs cannot be created.
    #[error("the table {table} of [aws] cannot be created: {source}")]
    CreateTable {
        /// The table.
        table: String,
        /// The cause.
        source: resolvers::store::StoreError,
    },
    /// The table of the jobs cannot be used.
    #[error(
        "the table {table} of [aws] cannot be used: {source}; docs/guides/aws.md has its keys, indexes and stream, and the actions that the credentials must allow"
    )]
    Table {
        /// The table.
        table: String,
        /// The cause.
        source: resolvers::store::StoreError,
    },
}

/// The cause of a store's error. Its own text is for clients of the API, this one for the operator.
fn cause_of(error: &resolvers::store::StoreError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(String::new, |cause| format!(" ({cause})"))
}
