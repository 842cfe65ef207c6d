//! What is known of the other nodes, over one connection: who is there, and what of theirs has not come.

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
use crate::hub::{LIST_PARTS, Topic, topics_of};

/// The other nodes, as this one hears them.
pub(super) struct Peers<'a> {
    /// This node.
    node: Node,
    interests: &'a Mutex<Interests>,
    inbox: &'a dyn Inbox,
    known: HashMap<Node, Peer>,
    /// When this node's own beat came back last.
    echo: Instant,
}

struct Peer {
    heard: Instant,
    dropped: u64,
    /// By part of the lists; `None` until its next beat after this node began to listen for the part.
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

    /// A node says what it has sent. `true`: it asks what this one has.
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
                    // Nobody waited for it: what it sent may have been lost.
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

    /// A change.
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

    /// What a message says; `None`, and a gap, when it cannot be read.
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

    /// To be called every [`limits::BEAT`]: finds who has fallen silent, and what is lost.
    ///
    /// # Errors
    /// This node does not hear itself any more.
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

    /// The parts of the lists are live of which each node has said what it had sent. `false`: there was none to look at.
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
