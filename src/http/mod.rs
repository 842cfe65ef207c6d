//! The public listener: every door of the service on one address.
//!
//! | path | file |
//! |---|---|
//! | `/graphql`, `/graphql/realtime` | [`graphql`], `negotiation` |
//! | `/graphql/graphiql.js`, `/graphql/graphiql.css`, `/` | [`graphiql`] |
//! | `/files/…` | [`files`], `range` |
//! | `/healthz`, `/readyz`, `/metrics` | [`operations`] |
//!
//! | what holds at every door | file |
//! |---|---|
//! | connections, and the upgrades that begin them | `listener`, `head`, `connection` |
//! | how long a connection is waited for | [`patience`] |
//! | bodies: their pace and memory | [`body`] |
//! | hosts, origins and pages | [`guard`], `cors` |
//! | wrong credentials | [`brake`] |
//! | what is counted | `counted` |
//! | single requests, without connections | `single` |

pub mod body;
pub mod brake;
mod connection;
mod cors;
mod counted;
pub mod files;
pub mod graphiql;
pub mod graphql;
pub mod guard;
mod head;
mod incoming;
mod listener;
mod negotiation;
pub mod operations;
pub mod patience;
mod range;
mod single;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get};
use resolvers::Resolvers;
use tokio_util::sync::CancellationToken;

use crate::graphql::Executor;
use crate::session::Sessions;
use guard::Guard;
use patience::ConnectionTimes;

pub use listener::{HEAD_BYTES, serve};
pub use single::SingleRequests;

/// The path of GraphQL.
const GRAPHQL: &str = "/graphql";
/// The path of AppSync's real-time clients.
const REALTIME: &str = "/graphql/realtime";
/// The assets of GraphiQL.
const SCRIPT: &str = "/graphql/graphiql.js";
const STYLE: &str = "/graphql/graphiql.css";
/// The beginning of the paths of files.
const FILES: &str = "/files/";

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
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}

/// The settings of the public listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The allowed hosts and origins.
    pub guard: Guard,
    /// The deadlines of a connection.
    pub times: ConnectionTimes,
    /// Maximum number of open connections, counted from `accept`.
    pub slots: usize,
    /// Maximum number of connections of one address that have not shown valid credentials; `None`
    /// for a share of all ([`crate::peers::SHARE_OF_AN_ADDRESS`]).
    pub per_address: Option<usize>,
    /// The path of `public_url`, without a slash at its end.
    pub prefix: String,
    /// Whether `/metrics` is for operators and admins only.
    pub guards_metrics: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            guard: Guard::default(),
            times: ConnectionTimes::default(),
            slots: usize::MAX,
            per_address: None,
            prefix: String::new(),
            guards_metrics: false,
        }
    }
}

/// Whether a path is one of the public listener.
fn is_door(path: &str) -> bool {
    matches!(
        path,
        "/" | GRAPHQL | REALTIME | SCRIPT | STYLE | "/healthz" | "/readyz" | "/metrics"
    ) || path.starts_with(FILES)
}

/// The routes of the public listener.
fn router(doors: Doors, guard: Arc<Guard>) -> Router {
    Router::new()
        .route(GRAPHQL, any(graphql::graphql))
        .route(REALTIME, any(graphql::realtime))
        .layer(middleware::from_fn(counted::count))
        .route(SCRIPT, get(graphiql::script))
        .route(STYLE, get(graphiql::style))
        .route("/", get(graphiql::home))
        .route("/files/{upload}/{name}", get(files::get).put(files::put))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .with_state(doors)
        .layer(middleware::from_fn_with_state(guard, guard::check))
}
