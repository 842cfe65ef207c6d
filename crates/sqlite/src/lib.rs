//! One SQLite file for everything that must be durable: one writer that commits in groups, a few
//! readers, migrations by component. The crate does not depend on any table: its users bring the
//! SQL. It does not guard the directory against a second process.
//!
//! | module | what |
//! |---|---|
//! | [`Database`] | the handle: open, migrate, write, read |
//! | [`Write`] | what a write may use while its group's transaction is open |
//! | [`limits`] | every limit of the queue, the groups, the readers and the write-ahead log |
//! | `queue`, `writer` | the requests in their order, and the thread that commits them |
//! | `log` | preallocation of the write-ahead log |
//! | `request` | one request with its reply |
//! | `readers` | the connections that read |
//! | `schema` | numbered migrations |
//! | `error` | errors of opening, writing and reading |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod connection;
mod database;
mod error;
pub mod limits;
mod log;
mod queue;
mod readers;
mod request;
mod schema;
mod writer;

pub use connection::Location;
pub use database::Database;
pub use error::{OpenError, ReadError, WriteError};
pub use request::Write;
/// The SQLite driver; its types are the arguments of the closures.
pub use rusqlite;
