//! The parts of the service that the handlers share, and the paths that they need.

use std::sync::Arc;

use resolvers::Resolvers;
use tokio_util::sync::CancellationToken;

use crate::graphql::Executor;
use crate::intake::LocalIntake;
use crate::session::Sessions;

/// The path of GraphQL.
pub(super) const GRAPHQL: &str = "/graphql";
/// The beginning of the paths of files.
pub(super) const FILES: &str = "/files/";

/// Maximum number of bytes of a request to `/graphql`: a batch of inputs, escaped.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;

/// The state that the handlers share.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Executes GraphQL.
    pub executor: Executor,
    /// The live connections.
    pub sessions: Arc<Sessions<Executor>>,
    /// The use cases.
    pub resolvers: Resolvers,
    /// The local queues; `None` without them.
    pub intake: Option<Arc<LocalIntake>>,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}
