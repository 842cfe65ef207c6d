//! `lambda-sweep`: each minute a schedule starts what was not started, compares silent jobs with
//! their executions, and deletes what has expired, as the tasks of a node do. With it no node needs
//! to sweep.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::Error;
use resolvers::Resolvers;
use resolvers::jobs::{PURGE_JOBS, now};
use serde::Serialize;
use serde::de::IgnoredAny;

use super::settings::Doors;
use super::start;
use crate::server::{self, InvokedNode};

/// What one sweep has done: the answer to the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Number of expired jobs that were deleted.
    pub deleted_jobs: usize,
    /// Number of files that were deleted, with their jobs or by their age.
    pub deleted_files: usize,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    start::run(2, async |variables| {
        let node = server::invoked(&variables.node(Doors::None)?).await?;
        let node = Arc::new(node);
        start::answer(move |_: lambda_runtime::LambdaEvent<IgnoredAny>| {
            let node = Arc::clone(&node);
            async move { sweep(&node).await }
        })
        .await
    })
}

/// Sweeps once.
///
/// # Errors
/// The store or the workflow does not answer. What was done before is kept, and the next sweep goes
/// on.
pub async fn sweep(node: &InvokedNode) -> Result<Swept, Error> {
    let resolvers = &node.doors.resolvers;
    // Both are tried: jobs that cannot be compared do not keep expired ones.
    let swept = resolvers.sweep().await;
    let deleted = delete(resolvers, node.file_life_millis).await;
    resolvers.settle().await;
    swept?;
    let deleted = deleted?;
    tracing::info!(
        deleted_jobs = deleted.deleted_jobs,
        deleted_files = deleted.deleted_files,
        "swept"
    );
    Ok(deleted)
}

/// Deletes expired jobs with their files, and files that are older than their life.
async fn delete(resolvers: &Resolvers, file_life_millis: Option<i64>) -> Result<Swept, Error> {
    let mut all = Swept::default();
    loop {
        let purged = resolvers.purge(now()).await?;
        all.deleted_jobs += purged.jobs;
        all.deleted_files += purged.files;
        if purged.jobs < PURGE_JOBS {
            break;
        }
    }
    if let Some(life) = file_life_millis {
        let before = now().plus_millis(life.saturating_neg());
        all.deleted_files += resolvers.files().delete_older(before).await?;
    }
    Ok(all)
}
