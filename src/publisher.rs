//! From the change feed to the hub. The publisher calls the same function that the `publishJob` field calls.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use job::Job;
use resolvers::store::{JobStore, StoreError};

use crate::hub::Hub;

/// Wait before the feed is opened anew after an error.
const REOPEN: Duration = Duration::from_millis(250);
/// Jobs in one read of a repair.
const REPAIR_BATCH: usize = job::limits::BATCH;

/// Tells the hub what changed.
#[derive(Clone, Debug)]
pub struct Publisher {
    hub: Arc<Hub>,
}

impl Publisher {
    /// Publishes to this hub.
    pub fn new(hub: Arc<Hub>) -> Publisher {
        Publisher { hub }
    }

    /// Tells everyone who watches the job. Repeats and late versions are harmless.
    pub fn publish(&self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        self.hub.publish(old, new);
    }

    /// Publishes what `first`, and then the store's feed, brings, for ever. After an error the watched jobs are read again: nobody stays behind.
    pub async fn run(self, store: Arc<dyn JobStore>, first: resolvers::store::Feed) {
        let mut feed = first;
        loop {
            while let Some(event) = feed.next().await {
                match event {
                    Ok(event) => {
                        if let Some(new) = &event.new {
                            self.publish(event.old.as_ref(), new);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the change feed broke; reading the watched jobs again");
                        break;
                    }
                }
            }
            feed = loop {
                match store.changes(None).await {
                    Ok(feed) => break feed,
                    Err(error) => {
                        tracing::warn!(%error, "the change feed cannot be opened; trying again")
                    }
                }
                tokio::time::sleep(REOPEN).await;
            };
            while let Err(error) = self.repair(&*store).await {
                tracing::warn!(%error, "the watched jobs cannot be read; trying again");
                tokio::time::sleep(REOPEN).await;
            }
        }
    }

    /// Publishes every watched job as the store has it, and gives every list a new page.
    async fn repair(&self, store: &dyn JobStore) -> Result<(), StoreError> {
        for ids in self.hub.watched().chunks(REPAIR_BATCH) {
            for job in store.get_many(ids).await? {
                if self.hub.publish(None, &job) > 0 {
                    metrics::counter!("repaired_after_gap_total").increment(1);
                }
            }
        }
        self.hub.resync_lists();
        Ok(())
    }
}
