//! The real-time side of a node: from the store's change feed to the watchers. It works over any
//! job store; the caller of [`Realtime::start`] chooses the store and the broker.
//!
//! | module | what |
//! |---|---|
//! | [`publisher`] | from the change feed to the hub and to the other nodes |
//! | [`hub`] | the watchers of this node, and their pending events |
//! | [`broker`] | from node to node |

pub mod broker;
pub mod hub;
pub mod publisher;

use std::sync::Arc;
use std::time::Duration;

use resolvers::store::{Feed, JobStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chaos::Chaos;
use broker::{Broker, Link};
use hub::Hub;
use publisher::{Publisher, REPAIR_EVERY, REPAIR_EVERY_UNDER_CHAOS};

/// The settings of a node's real-time side.
#[derive(Debug, Default)]
pub struct Realtime {
    /// Carries changes between the nodes; `None` where this is the only node.
    pub broker: Option<Arc<dyn Broker>>,
    /// Faults to inject, for tests.
    pub chaos: Option<Chaos>,
    /// Interval between repairs when no gap is known; `None` for the default.
    pub repair_every: Option<Duration>,
}

/// The default interval between repairs when no gap is known.
#[must_use]
pub fn usual_repair(under_chaos: bool) -> Duration {
    if under_chaos {
        REPAIR_EVERY_UNDER_CHAOS
    } else {
        REPAIR_EVERY
    }
}

impl Realtime {
    /// Starts the tasks, which end with `stop`. `feed` is the store's change feed; without it this
    /// node publishes only what `publishJob` gives it.
    pub fn start(
        self,
        store: &Arc<dyn JobStore>,
        feed: Option<Feed>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> (Arc<Hub>, Publisher) {
        let usual = usual_repair(self.chaos.is_some());
        let every = self.repair_every.unwrap_or(usual);
        let link = self.broker.as_ref().map(|_| Link::default());
        let hub = Arc::new(match &link {
            Some(link) => Hub::with_interest(Arc::new(link.clone())),
            None => Hub::default(),
        });
        let publisher = Publisher::new(Arc::clone(&hub), link.clone(), self.chaos);
        if let Some(feed) = feed {
            let publishing = publisher.clone().run(Arc::clone(store), feed);
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(publishing).await });
        }
        let repairing = publisher.clone().keep_repaired(Arc::clone(store), every);
        let stopping = stop.clone();
        tasks.spawn(async move { stopping.run_until_cancelled(repairing).await });
        if let (Some(link), Some(broker)) = (link, self.broker) {
            let (inbox, stop) = (publisher.clone(), stop.clone());
            tasks.spawn(async move { link.run(&*broker, &inbox, stop).await });
        }
        (hub, publisher)
    }
}
