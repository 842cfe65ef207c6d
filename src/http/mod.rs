//! The public listener: every door of the service on one address.
//!
//! | path | file |
//! |---|---|
//! | `/graphql`, `/graphql/realtime` | [`graphql`] |
//! | `/graphql/graphiql.js`, `/graphql/graphiql.css`, `/` | [`graphiql`] |
//! | the same, counted | `counted` |
//! | connections, and the upgrades that begin them | `listener` |
//! | `/files/…` | [`files`] |
//! | `/healthz`, `/readyz`, `/metrics` | [`operations`] |

mod counted;
pub mod files;
pub mod graphiql;
pub mod graphql;
pub mod guard;
mod incoming;
mod listener;
pub mod operations;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get};
use resolvers::Resolvers;
use tokio_util::sync::CancellationToken;

use crate::graphql::Executor;
use crate::session::Sessions;
use guard::Guard;

pub use listener::serve;

/// Where GraphQL is asked for.
const GRAPHQL: &str = "/graphql";
/// Where AppSync's clients connect.
const REALTIME: &str = "/graphql/realtime";

/// Bytes of one request to `/graphql`: a batch of inputs, escaped.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Executes GraphQL.
    pub executor: Executor,
    /// The live connections.
    pub sessions: Arc<Sessions<Executor>>,
    /// The use cases.
    pub resolvers: Resolvers,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}

/// The routes of the public listener.
fn router(doors: Doors, guard: Arc<Guard>) -> Router {
    Router::new()
        .route(GRAPHQL, any(graphql::graphql))
        .route(REALTIME, any(graphql::realtime))
        .layer(middleware::from_fn(counted::count))
        .route("/graphql/graphiql.js", get(graphiql::script))
        .route("/graphql/graphiql.css", get(graphiql::style))
        .route("/", get(graphiql::home))
        .route("/files/{upload}/{name}", get(files::get).put(files::put))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .with_state(doors)
        .layer(middleware::from_fn_with_state(guard, guard::check))
}
