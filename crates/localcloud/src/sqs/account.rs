//! The queues of an account: where they are, and what their ids come of.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use super::error::SqsError;
use super::queue::Queue;
use super::task::Task;
use crate::scope::Scope;

/// The queues.
#[derive(Clone, Debug)]
pub struct Queues {
    pub(super) scope: Scope,
    /// `http://127.0.0.1:PORT`: what queue addresses begin with.
    endpoint: String,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) tasks: Vec<Task>,
    random: StdRng,
    sent: u128,
}

/// A text member of a request; empty when it is missing.
pub(super) fn text(request: &Value, name: &str) -> String {
    request[name].as_str().unwrap_or_default().to_owned()
}

impl Queues {
    /// No queues. `endpoint` is what their addresses begin with; ids come of `seed`.
    #[must_use]
    pub fn new(scope: Scope, endpoint: &str, seed: u64) -> Self {
        Queues {
            scope,
            endpoint: endpoint.to_owned(),
            queues: BTreeMap::new(),
            tasks: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            sent: 0,
        }
    }

    /// The queue that a request names.
    pub(super) fn queue(&mut self, request: &Value) -> Result<&mut Queue, SqsError> {
        let url = text(request, "QueueUrl");
        let name = url.rsplit('/').next().unwrap_or_default();
        self.queues.get_mut(name).ok_or_else(SqsError::no_queue)
    }

    /// The queue with an ARN.
    pub(super) fn by_arn(&mut self, arn: &str) -> Option<&mut Queue> {
        let name = arn.rsplit(':').next().unwrap_or_default();
        self.queues.get_mut(name).filter(|queue| queue.arn == arn)
    }

    /// Whether there is a queue with this ARN.
    #[must_use]
    pub fn exists(&self, arn: &str) -> bool {
        self.queues.values().any(|queue| queue.arn == arn)
    }

    /// The address of a queue.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.endpoint, self.scope.account)
    }

    pub(super) fn id(&mut self) -> String {
        let bytes: [u8; 16] = self.random.random();
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }

    /// The next sequence number of a FIFO queue: twenty digits that rise.
    pub(super) fn sequence(&mut self) -> String {
        self.sent += 1;
        format!("{}", 18_850_000_000_000_000_000_u128 + self.sent)
    }

    /// The names of the queues whose dead letters go to a queue.
    pub(super) fn sources(&self, dead_letters: &str) -> Vec<String> {
        let queues = self.queues.values().filter(|queue| {
            let policy = queue.redrive();
            policy.is_some_and(|policy| policy.dead_letters == dead_letters)
        });
        queues.map(|queue| queue.name.clone()).collect()
    }
}
