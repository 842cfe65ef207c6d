//! The other nodes, as one connection sees them: which are running, and which messages are missing.

use std::collections::HashMap;
use std::fmt::Display;

use job::Job;
use metrics::counter;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::interests::Interests;
use super::link::{Inbox, limits};
use super::message::{Beat, Change, Node};
use super::sequence::Sequence;
use super::{BrokerError, Message};
use crate::realtime::hub::{LIST_PARTS, Topic, topics_of};

/// The other nodes that beats were received from.
pub(super) struct Peers<'a> {
    /// This node.
    node: Node,
    interests: &'a Mutex<Interests>,
    inbox: &'a dyn Inbox,
    known: HashMap<Node, Peer>,
    /// When this node last received its own beat.
    echo: Instant,
}

struct Peer {
    heard: Instant,
    dropped: u64,
    /// By partition of the lists; `None` until the node's next beat after this node subscribed to
    /// it.
    parts: [Option<Sequence>; LIST_PARTS as usize],
}

impl<'a> Peers<'a> {
    pub(super) fn new(
        node: Node,
        interests: &'a Mutex<Interests>,
        inbox: &'a dyn Inbox,
    ) -> Peers<'a> {
        Peers {
            node,
            interests,
            inbox,
            known: HashMap::new(),
            echo: Instant::now(),
        }
    }

    /// Handles a beat. Returns `true` if the sender asks for this node's beat.
    pub(super) fn heard(&mut self, message: &Message) -> bool {
        let Some(beat) = self.read::<Beat>(message) else {
            return false;
        };
        if beat.node == self.node {
            self.echo = Instant::now();
            return false;
        }
        if beat.leaves {
            self.known.remove(&beat.node);
            return false;
        }
        let known = self.known.contains_key(&beat.node);
        if !known && self.known.len() >= limits::NODES {
            self.invalid("there are too many nodes");
            return false;
        }
        let peer = self.known.entry(beat.node).or_insert_with(|| Peer {
            heard: Instant::now(),
            dropped: 0,
            parts: Default::default(),
        });
        peer.heard = Instant::now();
        let mut gap = beat.dropped > peer.dropped;
        peer.dropped = peer.dropped.max(beat.dropped);
        let interests = self.interests.lock();
        for ((part, sequence), sent) in (0..).zip(&mut peer.parts).zip(beat.sent) {
            match sequence {
                _ if !interests.hears(Topic::List(part)) => *sequence = None,
                Some(sequence) => sequence.due(sent),
                None => {
                    *sequence = Some(Sequence::from(sent));
                    // The node was unknown, so its earlier messages may have been lost.
                    gap |= !known && sent > 0;
                }
            }
        }
        drop(interests);
        if gap {
            self.inbox.gap();
        }
        beat.asks
    }

    /// Handles a change.
    pub(super) fn came(&mut self, message: &Message, topic: Topic) {
        let Some(change) = self.read::<Change>(message) else {
            return;
        };
        if change.node == self.node {
            return;
        }
        let is_of = |job: &Job| topics_of(job).contains(&topic);
        let old_is_same = change
            .old
            .as_ref()
            .is_none_or(|old| old.id == change.new.id);
        if !is_of(&change.new) || !old_is_same {
            return self.invalid("it is of another job than its channel");
        }
        if let (Topic::List(part), Some(number)) = (topic, change.number)
            && let Some(peer) = self.known.get_mut(&change.node)
            && let Some(Some(sequence)) = peer.parts.get_mut(usize::from(part))
        {
            sequence.came(number);
        }
        counter!("broker_received_total").increment(1);
        self.inbox.receive(change.old.as_ref(), &change.new);
    }

    /// Reads a message. Returns `None` and reports a gap when it is not valid.
    fn read<T: DeserializeOwned>(&self, message: &Message) -> Option<T> {
        let bytes = message.bytes.len();
        if bytes > limits::MESSAGE_BYTES {
            let most = limits::MESSAGE_BYTES;
            self.invalid(format_args!(
                "it has {bytes} bytes, and the limit is {most}"
            ));
            return None;
        }
        let text = json::text(&message.bytes)
            .map_err(|refused| self.invalid(refused))
            .ok()?;
        json::object(text).map_err(|error| self.invalid(error)).ok()
    }

    fn invalid(&self, error: impl Display) {
        counter!("broker_messages_invalid_total").increment(1);
        tracing::warn!(%error, "a message from another node cannot be used");
        self.inbox.gap();
    }

    /// Finds silent nodes and lost messages. To be called every [`limits::BEAT`].
    ///
    /// # Errors
    /// This node no longer receives its own beats.
    pub(super) fn beat(&mut self) -> Result<(), BrokerError> {
        if self.echo.elapsed() > limits::SILENT {
            return Err(BrokerError {
                reason: "the connection is silent".to_owned(),
            });
        }
        let mut lost = false;
        self.known.retain(|node, peer| {
            let silent = peer.heard.elapsed() > limits::SILENT;
            if silent {
                tracing::warn!(%node, "a node has fallen silent");
            }
            for part in peer.parts.iter_mut().flatten() {
                lost |= part.beat();
            }
            lost |= silent;
            !silent
        });
        if lost {
            self.inbox.gap();
        }
        Ok(())
    }

    /// Marks the partitions as live of which every node has said how many messages it had sent.
    /// Returns `false` if no partition was waiting for that.
    pub(super) fn count(&self) -> bool {
        let mut interests = self.interests.lock();
        if !interests.has_uncounted() {
            return false;
        }
        let said = |part: u8| {
            let part = usize::from(part);
            self.known.values().all(|peer| peer.parts[part].is_some())
        };
        let late = interests.counted(said);
        drop(interests);
        if late {
            self.inbox.gap();
        }
        true
    }
}
