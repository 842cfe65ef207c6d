//! The public listener: every door of the service on one address.
//!
//! | path | file |
//! |---|---|
//! | `/graphql`, `/graphql/realtime` | [`graphql`], `negotiation` |
//! | `/graphql/graphiql.js`, `/graphql/graphiql.css`, `/` | [`graphiql`] |
//! | `/files/…` | [`files`], `range` |
//! | `/intake/…` | [`intake`] |
//! | `/healthz`, `/livez`, `/readyz`, `/metrics` | [`operations`] |
//!
//! | what holds at every door | file |
//! |---|---|
//! | connections, and the upgrades that begin them | `listener`, `head`, `connection` |
//! | how long a connection is waited for | [`patience`] |
//! | bodies: their pace and memory | [`body`], [`room`] |
//! | the parts of the service behind them | `doors` |
//! | hosts, origins and pages | [`guard`], `cors` |
//! | wrong credentials | [`brake`] |
//! | what is counted | `counted` |
//! | single requests, without connections | `single` |

pub mod body;
pub mod brake;
mod connection;
mod cors;
mod counted;
mod doors;
pub mod files;
pub mod graphiql;
pub mod graphql;
pub mod guard;
mod head;
mod incoming;
pub mod intake;
mod listener;
mod negotiation;
pub mod operations;
pub mod patience;
mod range;
pub mod room;
mod single;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};

use doors::{FILES, GRAPHQL};
use guard::Guard;
use intake::INTAKE;
use patience::ConnectionTimes;

pub use doors::{BODY_BYTES, Doors};
pub use listener::{HEAD_BYTES, serve};
pub use single::SingleRequests;

/// The path of AppSync's real-time clients.
const REALTIME: &str = "/graphql/realtime";
/// The assets of GraphiQL.
const SCRIPT: &str = "/graphql/graphiql.js";
const STYLE: &str = "/graphql/graphiql.css";

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
    /// Whether the doors of [`operations`] are the only ones.
    pub operations_only: bool,
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
            operations_only: false,
        }
    }
}

/// Whether a path is one of the public listener.
fn is_door(path: &str) -> bool {
    matches!(
        path,
        "/" | GRAPHQL | REALTIME | SCRIPT | STYLE | "/healthz" | "/livez" | "/readyz" | "/metrics"
    ) || path.starts_with(FILES)
        || path.starts_with(INTAKE)
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
        .route("/intake/queues/{queue}/messages", post(intake::send))
        .route("/intake/dead-letters", get(intake::dead_letters))
        .route("/intake/dead-letters/redrive", post(intake::redrive))
        .merge(operations::routes())
        .with_state(doors)
        .layer(middleware::from_fn_with_state(guard, guard::check))
}

/// The routes of the listener of operations.
fn operations_router(doors: Doors, guard: Arc<Guard>) -> Router {
    operations::routes()
        .with_state(doors)
        .layer(middleware::from_fn_with_state(guard, guard::check))
}
