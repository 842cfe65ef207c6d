//! Several nodes: the watchers of each node receive what any node publishes.
//!
//! The port is small on purpose: a [`Broker`] carries messages to the nodes that listen, and may
//! lose them. The [`Link`] makes up for that, in the same way over every adapter. Nothing is stored
//! here: all nodes share the job store.
//!
//! | module | what |
//! |---|---|
//! | `link` | a node's side: sends, subscribes to the hub's topics, reconnects |
//! | `peers` | the other nodes, and which of their messages are missing |
//! | `interests` | the topics that the hub needs, and which of them arrive |
//! | `outgoing` | the changes to be sent, bounded |
//! | `message` | the messages between nodes |
//! | `sequence` | which numbers of a numbered stream are missing |
//! | `memory`, `valkey` | the adapters |
//! | `authorities` | whose certificates a broker with TLS may show |

pub mod authorities;
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

/// The channel of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Changes of jobs.
    Topic(Topic),
    /// Beats of the nodes: each node says that it is running and what it has sent. All nodes
    /// listen.
    Nodes,
}

/// A message that a broker carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The channel that it is sent to.
    pub channel: Channel,
    /// The content.
    pub bytes: Bytes,
}

/// Why the broker cannot be used at the moment. The text does not contain the address, which may
/// hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the broker is not available: {reason}")]
pub struct BrokerError {
    /// What is wrong.
    pub reason: String,
}

/// Carries messages to the nodes that listen at that moment. Messages of one node arrive in the
/// order in which it sent them.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug + 'static {
    /// Opens a connection. It is valid until its `messages` end or one of its calls fails.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn connect(&self) -> Result<Connection, BrokerError>;
}

/// The three sides of a connection.
pub struct Connection {
    /// Sends messages.
    pub sender: Box<dyn Sender>,
    /// Subscribes to channels.
    pub listener: Box<dyn Listener>,
    /// The received messages; ends with the connection.
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
    /// Sends the messages in this order. After an error some of them may have been sent.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn send(&mut self, messages: &[Message]) -> Result<(), BrokerError>;
}

/// The listening side of a connection.
#[async_trait]
pub trait Listener: Send {
    /// Subscribes to channels. Messages that are sent to them after it returns arrive.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn listen(&mut self, channels: &[Channel]) -> Result<(), BrokerError>;

    /// Unsubscribes from channels.
    ///
    /// # Errors
    /// [`BrokerError`].
    async fn ignore(&mut self, channels: &[Channel]) -> Result<(), BrokerError>;
}
