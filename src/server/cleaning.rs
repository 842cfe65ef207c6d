//! The tasks that delete expired jobs and old files.

use std::time::Duration;

use resolvers::Resolvers;
use resolvers::jobs::{PURGE_JOBS, now};

/// Interval between two deletions of expired jobs of the embedded store.
pub(super) const PURGE_EVERY: Duration = Duration::from_secs(60);
/// Interval between two deletions of old files.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Deletes jobs that have expired, with their files, at this interval.
pub(super) async fn purge(resolvers: Resolvers, every: Duration) {
    loop {
        match resolvers.purge(now()).await {
            Ok(purged) if purged.jobs == PURGE_JOBS => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "expired jobs were not deleted; the next round tries again")
            }
        }
        tokio::time::sleep(every).await;
    }
}

/// Deletes files that are older than `life_millis` and were not deleted with a job.
pub(super) async fn sweep(resolvers: Resolvers, life_millis: i64) {
    loop {
        let before = now().plus_millis(life_millis.saturating_neg());
        match resolvers.files().delete_older(before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old files were deleted"),
            Err(error) => {
                tracing::warn!(%error, "old files were not deleted; the next round tries again")
            }
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
