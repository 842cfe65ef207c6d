//! The adapter for Valkey and Redis: classic publish and subscribe, which works on one server, with
//! replicas and in cluster mode. Nothing is stored there. A client that can write to it can send
//! watchers anything: keep it private to the nodes.
//!
//! The library's queue of received messages has no bound. The link bounds it: it ends a connection
//! on which its own beat is older than [`limits::SILENT`], as it is when the queue is not emptied
//! in time.

use std::fmt;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink};
use redis::{AsyncConnectionConfig, Client, RedisError, TlsCertificates};

use super::link::limits;
use super::{Broker, BrokerError, Channel, Connection, Listener, Message, Sender};
use crate::realtime::hub::Topic;

/// Default prefix of all channel names.
pub const PREFIX: &str = "jobcast";

/// A Valkey or Redis server.
#[derive(Clone)]
pub struct Valkey {
    client: Client,
    names: Names,
}

/// How channels are named: `PREFIX:job:ID`, `PREFIX:list:PART`, `PREFIX:nodes`.
#[derive(Clone, Debug)]
struct Names {
    prefix: String,
}

impl fmt::Debug for Valkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Valkey")
            .field("address", self.client.get_connection_info().addr())
            .finish_non_exhaustive()
    }
}

impl From<RedisError> for BrokerError {
    fn from(error: RedisError) -> Self {
        BrokerError {
            reason: error.to_string(),
        }
    }
}

impl Valkey {
    /// A server at `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `rediss://…` with TLS. It connects
    /// later.
    ///
    /// # Errors
    /// [`BrokerError`]: the address is not valid.
    pub fn new(url: &str, prefix: &str) -> Result<Self, BrokerError> {
        // An error means that another part of the process has installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: Client::open(url)?,
            names: Names {
                prefix: prefix.to_owned(),
            },
        })
    }
}

impl Valkey {
    /// As [`Valkey::new`], and trusts only certificates of these authorities, as PEM. An address
    /// without TLS needs none.
    ///
    /// # Errors
    /// [`BrokerError`]: the address or a certificate is not valid.
    pub fn trusting(url: &str, prefix: &str, authorities: Vec<u8>) -> Result<Self, BrokerError> {
        let mut valkey = Self::new(url, prefix)?;
        if url.starts_with("rediss:") {
            let trusted = TlsCertificates {
                client_tls: None,
                root_cert: Some(authorities),
            };
            valkey.client = Client::build_with_tls(url, trusted)?;
        }
        Ok(valkey)
    }
}

impl Names {
    fn name(&self, channel: &Channel) -> String {
        let prefix = &self.prefix;
        match channel {
            Channel::Topic(Topic::Job(id)) => format!("{prefix}:job:{id}"),
            Channel::Topic(Topic::List(part)) => format!("{prefix}:list:{part}"),
            Channel::Nodes => format!("{prefix}:nodes"),
        }
    }

    fn channel(&self, name: &str) -> Option<Channel> {
        let name = name.strip_prefix(&self.prefix)?.strip_prefix(':')?;
        match name.split_once(':') {
            Some(("job", id)) => Some(Channel::Topic(Topic::Job(id.parse().ok()?))),
            Some(("list", part)) => Some(Channel::Topic(Topic::List(part.parse().ok()?))),
            None if name == "nodes" => Some(Channel::Nodes),
            _ => None,
        }
    }
}

#[async_trait]
impl Broker for Valkey {
    async fn connect(&self) -> Result<Connection, BrokerError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits::ANSWER))
            .set_response_timeout(Some(limits::ANSWER));
        let sending = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let (sink, messages) = self.client.get_async_pubsub().await?.split();
        let names = self.names.clone();
        let messages = messages.filter_map(move |message| {
            let channel = names.channel(message.get_channel_name());
            let message = channel.map(|channel| Message {
                channel,
                bytes: message.get_payload_bytes().to_vec().into(),
            });
            std::future::ready(message)
        });
        Ok(Connection {
            sender: Box::new(Sending {
                connection: sending,
                names: self.names.clone(),
            }),
            listener: Box::new(Listening {
                sink,
                names: self.names.clone(),
            }),
            messages: Box::pin(messages),
        })
    }
}

struct Sending {
    connection: MultiplexedConnection,
    names: Names,
}

#[async_trait]
impl Sender for Sending {
    async fn send(&mut self, messages: &[Message]) -> Result<(), BrokerError> {
        let mut pipeline = redis::pipe();
        for message in messages {
            let name = self.names.name(&message.channel);
            let publish = pipeline.cmd("PUBLISH");
            publish.arg(name).arg(&message.bytes[..]).ignore();
        }
        let answer = pipeline.query_async::<()>(&mut self.connection);
        Ok(answer.await?)
    }
}

struct Listening {
    sink: PubSubSink,
    names: Names,
}

impl Listening {
    fn named(&self, channels: &[Channel]) -> Vec<String> {
        let name = |channel| self.names.name(channel);
        channels.iter().map(name).collect()
    }
}

#[async_trait]
impl Listener for Listening {
    async fn listen(&mut self, channels: &[Channel]) -> Result<(), BrokerError> {
        let named = self.named(channels);
        Ok(self.sink.subscribe(named).await?)
    }

    async fn ignore(&mut self, channels: &[Channel]) -> Result<(), BrokerError> {
        let named = self.named(channels);
        Ok(self.sink.unsubscribe(named).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::hub::tests::row;

    #[test]
    fn names_are_read_as_they_are_written() {
        let names = Names {
            prefix: "a:b".to_owned(),
        };
        for channel in [
            Channel::Nodes,
            Channel::Topic(Topic::List(7)),
            Channel::Topic(Topic::Job(row(1, 1).id)),
        ] {
            assert_eq!(names.channel(&names.name(&channel)), Some(channel));
        }
        for other in ["a:b:", "a:nodes", "a:b:list:x", "a:b:job:1", "a:b:nodesx"] {
            assert_eq!(names.channel(other), None, "{other}");
        }
        let error = Valkey::new("http://secret@host", PREFIX).expect_err("no such scheme");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
