//! A node without listeners and without tasks that repeat: the functions on AWS Lambda call it once
//! for each event.

use std::sync::Arc;

use resolvers::jobs::ExecutionEvents;
use resolvers::store::dynamodb::DynamoDbStore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::adapters::AdapterContext;
use super::node::Background;
use super::{ServeError, aws, file_life, http_settings, issuers, job_types, node, open};
use crate::config::{Aws, Config};
use crate::http::{Doors, Settings, operations};

/// The node of a function.
#[derive(Debug)]
pub struct InvokedNode {
    /// Its use cases and GraphQL.
    pub doors: Doors,
    /// The settings of its doors.
    pub http: Settings,
    /// Time in milliseconds for which files are kept; `None` if the bucket deletes them by its
    /// life-cycle rule.
    pub file_life_millis: Option<i64>,
    /// Its tasks end when this is dropped.
    pub running: DropGuard,
}

/// Opens the adapters of the configuration and assembles the node.
///
/// # Errors
/// [`ServeError`].
pub async fn invoked(config: &Config) -> Result<InvokedNode, ServeError> {
    operations::recorder();
    let machines = job_types::machines(config)?;
    let issuers = issuers(config)?;
    let background = Background::default();
    let adapters = open(AdapterContext {
        config,
        machines,
        public: config.listen,
        events: &Arc::new(ExecutionEvents::default()),
        checks_at_start: false,
        stop: &background.stop,
    })
    .await?;
    let file_life_millis = adapters.sweeps_files.then(|| file_life(config));
    let node = node(config, config.listen, adapters, issuers)?;
    let doors = node.assemble(&background, CancellationToken::new()).await?;
    Ok(InvokedNode {
        doors,
        http: http_settings(config, config.listen),
        file_life_millis,
        running: background.stop.drop_guard(),
    })
}

/// The job store alone.
///
/// # Errors
/// [`ServeError`].
pub async fn store(aws: &Aws) -> Result<DynamoDbStore, ServeError> {
    aws::store(aws).await
}
