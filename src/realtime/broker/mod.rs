//! Several nodes: what one publishes, the watchers of all hear.
//!
//! The port is small on purpose: a [`Broker`] carries messages to whoever listens, and may lose them. That nobody stays
//! behind is the [`Link`]'s work, which is the same over every adapter. No job is stored here: the truth is in the job
//! store, which all nodes share.
//!
//! | module | what |
//! |---|---|
//! | `link` | a node's side: sends, listens for what the hub wants, connects again |
//! | `peers` | what is known of the other nodes, and what of theirs is missing |
//! | `interests` | what the hub wants, and what of it arrives |
//! | `outgoing` | what waits to be sent, bounded |
//! | `message` | what travels |
//! | `sequence` | which numbers of a numbered stream are missing |
//! | `memory`, `valkey` | the adapters |

mod interests;
mod link;
pub mod memory;
mod message;
mod outgoing;
mod peers;
mod sequence;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
pub mod valkey;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::realtime::hub::Topic;

pub use link::{Inbox, Link, limits};
pub use outgoing::OUTGOING_JOBS;
pub(crate) use sequence::Sequence;

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Changes of jobs.
    Topic(Topic),
    /// Every node listens here: who is there, and what it has sent.
    Nodes,
}

/// What a broker carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub channel: Channel,
    /// The content.
    pub bytes: Bytes,
}

/// Why the broker cannot be used at the moment. The address is not in the text: there may be a password in it.
#[derive(Debug, thiserror::Error)]
#[error("the broker is not available: {reason}")]
pub struct BrokerError {
    /// What is wrong.
    pub reason: String,
}

/// Carries messages between nodes, to those who listen at that moment, in the order in which one node sent them.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug + 'static {
    /// One connection. It is good until its `messages` end or one of its calls fails; then a new one is needed.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn connect(&self) -> Result<Connection, BrokerError>;
}

/// A connection's three sides.
pub struct Connection {
    /// Sends.
    pub sender: Box<dyn Sender>,
    /// Says what to listen for.
    pub listener: Box<dyn Listener>,
    /// What came; ends with the connection.
    pub messages: BoxStream<'static, Message>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// The sending side of a connection.
#[async_trait]
pub trait Sender: Send {
    /// Sends in this order. After an error some of them may have gone out.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn send(&mut self, messages: &[Message]) -> Result<(), BrokerError>;
}

/// The listening side of a connection.
#[async_trait]
pub trait Listener: Send {
    /// When it returns, what is sent to these channels from now on arrives.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn listen(&mut self, channels: &[Channel]) -> Result<(), BrokerError>;

    /// Ends it.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn ignore(&mut self, channels: &[Channel]) -> Result<(), BrokerError>;
}
