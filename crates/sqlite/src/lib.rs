//! One SQLite file for everything that must be durable: one writer that commits in groups, a few readers, migrations by component.
//! It knows no table; who uses it brings the SQL. It does not guard the directory against a second process.
//!
//! | module | what |
//! |---|---|
//! | [`Database`] | the handle: open, migrate, write, read |
//! | [`Write`] | what a write may use while its group's transaction is open |
//! | [`limits`] | every bound of the queue, the groups, the readers and the write-ahead log |
//! | `queue`, `writer` | the requests in their order, and who commits them |
//! | `log` | room for the write-ahead log |
//! | `request` | one request with its answer |
//! | `readers` | the connections that read |
//! | `schema` | numbered migrations |
//! | `error` | what can go wrong |

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
/// The driver whose types the closures see.
pub use rusqlite;
