//! The section `[intake]`: queues whose messages become jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration::duration;
use crate::intake::{Owners, worker};
use crate::masked;

/// The queue whose owner is the key `owner`.
pub const DEFAULT_QUEUE: &str = "default";

/// Queues whose messages become jobs: `[intake]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intake {
    /// The owner of the jobs of the queue [`DEFAULT_QUEUE`]. Without it there is no such queue.
    pub owner: Option<String>,
    /// Further queues, each with the owner of its jobs.
    pub queues: BTreeMap<String, String>,
    /// Maximum number of times that a message is received [default: 5].
    pub max_receives: Option<u32>,
    /// Time for which a received message is invisible [default: 30s].
    #[serde(
        deserialize_with = "duration",
        serialize_with = "masked::duration_if_set"
    )]
    pub visibility: Option<Duration>,
}

impl Intake {
    /// The owners of the queues; `None` if there is no queue.
    #[must_use]
    pub fn owners(&self) -> Option<Owners> {
        let mut queues = self.queues.clone();
        if let Some(owner) = &self.owner {
            queues.insert(DEFAULT_QUEUE.to_owned(), owner.clone());
        }
        (!queues.is_empty()).then_some(Owners::ByQueue(queues))
    }

    /// How the messages are taken.
    #[must_use]
    pub fn settings(&self) -> worker::Settings {
        worker::Settings {
            max_receives: self.max_receives.unwrap_or(worker::MAX_RECEIVES),
            visibility: self.visibility.unwrap_or(worker::VISIBILITY),
        }
    }
}
