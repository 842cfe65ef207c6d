//! The adapter for several nodes in one process. It can be taken down and brought up again: tests
//! of failures use it.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::mpsc;

use super::{Broker, BrokerError, Channel, Connection, Listener, Message, Sender};

/// A broker in this process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    bus: Arc<Mutex<Bus>>,
}

#[derive(Debug, Default)]
struct Bus {
    down: bool,
    connections: Slab<Open>,
}

#[derive(Debug)]
struct Open {
    channels: HashSet<Channel>,
    messages: mpsc::UnboundedSender<Message>,
}

/// One end of a connection. Dropping either end closes the connection.
struct End {
    bus: Arc<Mutex<Bus>>,
    number: usize,
    messages: mpsc::WeakUnboundedSender<Message>,
}

fn down() -> BrokerError {
    BrokerError {
        reason: "it is down".to_owned(),
    }
}

impl Memory {
    /// Cuts all connections, and refuses new ones until [`Memory::up`].
    pub fn down(&self) {
        let mut bus = self.bus.lock();
        bus.down = true;
        bus.connections.clear();
    }

    /// Accepts connections again.
    pub fn up(&self) {
        self.bus.lock().down = false;
    }
}

#[async_trait]
impl Broker for Memory {
    async fn connect(&self) -> Result<Connection, BrokerError> {
        let mut bus = self.bus.lock();
        if bus.down {
            return Err(down());
        }
        let (messages, received) = mpsc::unbounded_channel();
        let weak = messages.downgrade();
        let number = bus.connections.insert(Open {
            channels: HashSet::new(),
            messages,
        });
        let end = || End {
            bus: Arc::clone(&self.bus),
            number,
            messages: weak.clone(),
        };
        let messages = stream::unfold(received, |mut received| async move {
            let message = received.recv().await?;
            Some((message, received))
        });
        Ok(Connection {
            sender: Box::new(end()),
            listener: Box::new(end()),
            messages: Box::pin(messages),
        })
    }
}

impl End {
    /// This connection's entry, unless the connection was closed meanwhile.
    fn open<'a>(&self, bus: &'a mut Bus) -> Result<&'a mut Open, BrokerError> {
        let mine = self.messages.upgrade().ok_or_else(down)?;
        let open = bus.connections.get_mut(self.number).ok_or_else(down)?;
        if open.messages.same_channel(&mine) {
            Ok(open)
        } else {
            Err(down())
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut bus = self.bus.lock();
        if self.open(&mut bus).is_ok() {
            bus.connections.remove(self.number);
        }
    }
}

#[async_trait]
impl Sender for End {
    async fn send(&mut self, messages: &[Message]) -> Result<(), BrokerError> {
        let mut bus = self.bus.lock();
        self.open(&mut bus)?;
        for message in messages {
            for (_, open) in &bus.connections {
                if open.channels.contains(&message.channel) {
                    // A receiver that was dropped receives nothing.
                    let _ = open.messages.send(message.clone());
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Listener for End {
    async fn listen(&mut self, channels: &[Channel]) -> Result<(), BrokerError> {
        let mut bus = self.bus.lock();
        self.open(&mut bus)?.channels.extend(channels);
        Ok(())
    }

    async fn ignore(&mut self, channels: &[Channel]) -> Result<(), BrokerError> {
        let mut bus = self.bus.lock();
        let open = self.open(&mut bus)?;
        channels.iter().for_each(|channel| {
            open.channels.remove(channel);
        });
        Ok(())
    }
}
