//! Sessions: the real-time connections, as WebSockets and as HTTP streams. No GraphQL in here, and
//! no rule of a protocol: those are in `wire`.
//!
//! | module | what |
//! |---|---|
//! | `sessions` | the open connections of a node |
//! | `executor` | the port to GraphQL |
//! | `upgrade` | from an HTTP request to a socket |
//! | `connection` | one socket: its task and its wake-ups |
//! | `driver` | one socket: what happens in which order |
//! | `socket`, `outbox` | its bytes |
//! | `conversation` | one client: its protocol and its operations |
//! | `operations`, `pending`, `deadlines` | the parts of a conversation |
//! | `stream` | one HTTP stream |
//! | `watch`, `delivery` | from the hub to payloads, for sockets and streams |
//! | `lifetime` | how long connections live |
//! | [`limits`], `metrics` | bounds and counts |

mod connection;
mod conversation;
mod deadlines;
mod delivery;
mod driver;
mod executor;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod garbage_tests;
mod lifetime;
pub mod limits;
mod metrics;
mod operations;
mod outbox;
mod pending;
mod sessions;
mod socket;
mod stream;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
mod upgrade;
mod watch;

pub use executor::{Authorized, Credentials, Executor, Started};
pub use sessions::{Sessions, Settings};
pub use stream::{head_of_stream, multipart, sse};
pub use upgrade::{Accepted, Refused, Upgraded, offers_websocket, upgrade};
pub use watch::{BoxFuture, ReadPage, ReadResult, Target, Unread, Watch};
pub use wire::{Authorization, Refusal, Request};
