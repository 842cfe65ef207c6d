//! The messages between nodes, as JSON.

use std::sync::Arc;

use job::Job;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Channel, Message};
use crate::realtime::hub::{LIST_PARTS, Topic, topics_of};

/// Identifies a running node. Each start makes a new id.
pub(super) type Node = Uuid;

/// The number of messages that a node has sent to each partition of the lists, which is the number
/// of the next one.
pub(super) type Sent = [u64; LIST_PARTS as usize];

/// A change of a job.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) node: Node,
    /// Counts the messages of this node to this partition of the lists.
    #[serde(default)]
    pub(super) number: Option<u64>,
    #[serde(default)]
    pub(super) old: Option<Arc<Job>>,
    pub(super) new: Arc<Job>,
}

#[derive(Serialize)]
struct ChangeOut<'a> {
    node: Node,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'a Job>,
    new: &'a RawValue,
}

/// What a node says of itself to all nodes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) node: Node,
    /// The number of messages that it has sent to each partition of the lists.
    pub(super) sent: Sent,
    /// The number of changes that it could not send.
    pub(super) dropped: u64,
    /// Whether the others are to send their beat at once.
    #[serde(default)]
    pub(super) asks: bool,
    /// Whether it stops, having sent everything.
    #[serde(default)]
    pub(super) leaves: bool,
}

impl Beat {
    pub(super) fn message(&self) -> Message {
        let bytes = serde_json::to_vec(self).expect("numbers are JSON");
        Message {
            channel: Channel::Nodes,
            bytes: bytes.into(),
        }
    }
}

/// The messages of one change. Watchers of the job need the new image only, watchers of lists need
/// both.
pub(super) fn change(
    node: Node,
    sent: &mut Sent,
    old: Option<&Arc<Job>>,
    new: &Arc<Job>,
) -> [Message; 2] {
    let image = serde_json::value::to_raw_value(new).expect("a job is JSON");
    topics_of(new).map(|topic| {
        let mut out = ChangeOut {
            node,
            number: None,
            old: None,
            new: &image,
        };
        if let Topic::List(part) = topic {
            let sent = &mut sent[usize::from(part)];
            (out.number, out.old) = (Some(*sent), old.map(|old| &**old));
            *sent += 1;
        }
        let bytes = serde_json::to_vec(&out).expect("a job is JSON");
        Message {
            channel: Channel::Topic(topic),
            bytes: bytes.into(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::Beat;

    #[test]
    fn a_message_is_an_object() {
        let sent = format!("[{}]", ["1"; super::LIST_PARTS as usize].join(","));
        let node = "\"01a21ee7-9c16-7c3b-8488-a292049b6131\"";
        for (text, taken) in [
            (
                format!("{{\"node\":{node},\"sent\":{sent},\"dropped\":0}}"),
                true,
            ),
            (
                format!("{{\"node\":1,\"node\":{node},\"sent\":{sent},\"dropped\":0}}"),
                true,
            ),
            (format!("[{node},{sent},0,false,false]"), false),
            (format!("[{node},{sent},0]"), false),
            ("null".to_owned(), false),
        ] {
            assert_eq!(json::object::<Beat>(&text).is_ok(), taken, "{text}");
        }
    }
}
