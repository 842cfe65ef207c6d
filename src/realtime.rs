//! A node's real-time side, put together: hub, publisher, link to the other nodes, and the tasks that keep them going. Over
//! any job store; which store and which broker is decided by who starts it.

use std::sync::Arc;
use std::time::Duration;

use resolvers::store::{Feed, JobStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Broker, Link};
use crate::chaos::Chaos;
use crate::hub::Hub;
use crate::publisher::{Publisher, REPAIR_EVERY, REPAIR_EVERY_UNDER_CHAOS};

/// How a node's real-time side is to be.
#[derive(Debug, Default)]
pub struct Realtime {
    /// Between the nodes; `None` where there is one only.
    pub broker: Option<Arc<dyn Broker>>,
    /// What goes wrong on purpose.
    pub chaos: Option<Chaos>,
    /// How often the watched jobs are read again without a known gap.
    pub repair_every: Option<Duration>,
}

impl Realtime {
    /// Starts it; it ends with `stop`. `feed` is the store's, where this node publishes what the store changes; without it only
    /// `publishJob` does.
    pub fn start(
        self,
        store: &Arc<dyn JobStore>,
        feed: Option<Feed>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> (Arc<Hub>, Publisher) {
        let usual = match self.chaos {
            Some(_) => REPAIR_EVERY_UNDER_CHAOS,
            None => REPAIR_EVERY,
        };
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
