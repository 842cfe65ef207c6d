//! What has expired goes: jobs, and with each job the files that its input and its result refer to.

use futures_util::{StreamExt, stream};
use job::{JobId, Time, limits};

use super::Resolvers;
use crate::files::Files;
use crate::store::{JobStore, StoreError};

/// Maximum number of jobs that one call deletes.
pub const PURGE_JOBS: usize = limits::BATCH;
/// Jobs whose files are looked for at the same time.
const AT_ONCE: usize = 8;

/// What a purge deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Jobs; fewer than [`PURGE_JOBS`] when no more have expired.
    pub jobs: usize,
    /// Files that went with them; see [`Files::delete_mentioned`].
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

/// Deletes at most [`PURGE_JOBS`] jobs that expired before `now`, and the files that they refer to whose addresses have expired too. The
/// files go first: what is cut off in between is done again. A file that cannot be deleted keeps no job; it goes by its age.
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
