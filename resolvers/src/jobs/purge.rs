//! Deletes expired jobs, and with each job the files of its input and its result.

use futures_util::{StreamExt, stream};
use job::{JobId, Time, limits};

use super::Resolvers;
use crate::files::Files;
use crate::store::{JobStore, StoreError};

/// Maximum number of jobs that one call deletes.
pub const PURGE_JOBS: usize = limits::BATCH;
/// Maximum number of jobs whose files are deleted concurrently.
const AT_ONCE: usize = 8;

/// The numbers of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Number of deleted jobs. Fewer than [`PURGE_JOBS`] if no more have expired.
    pub jobs: usize,
    /// Number of files deleted with them; see [`Files::delete_mentioned`].
    pub files: usize,
}

impl Resolvers {
    /// Deletes jobs that expired before `now`, with their files. See [`purge`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn purge(&self, now: Time) -> Result<Purged, StoreError> {
        purge(&**self.store(), self.files(), now).await
    }
}

/// Deletes at most [`PURGE_JOBS`] jobs that expired before `now`, and those of their files whose
/// addresses have expired too. Files are deleted first, so that an interrupted purge is repeated. A
/// file that cannot be deleted does not keep its job; it is deleted by its age.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn purge(store: &dyn JobStore, files: &Files, now: Time) -> Result<Purged, StoreError> {
    let expired = store.expired(now, PURGE_JOBS).await?;
    let deleted = stream::iter(expired)
        .map(|id| delete_files(store, files, id, now))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let deleted: Vec<usize> = deleted.into_iter().collect::<Result<_, _>>()?;
    Ok(Purged {
        jobs: store.purge(now, PURGE_JOBS).await?,
        files: deleted.into_iter().sum(),
    })
}

/// Deletes the files of one job.
async fn delete_files(
    store: &dyn JobStore,
    files: &Files,
    id: JobId,
    now: Time,
) -> Result<usize, StoreError> {
    let texts = [store.input(id).await?, store.result(id).await?];
    let texts: Vec<&str> = texts.iter().flatten().map(|text| &**text).collect();
    let deleted = files.delete_mentioned(&texts, now).await;
    Ok(deleted.unwrap_or_else(|error| {
        tracing::warn!(job_id = %id, %error, "files of an expired job were not deleted");
        0
    }))
}
