//! `JobPage` and `JobChange`: lists of jobs, and their changes.

use async_graphql::{Enum, SimpleObject};

use super::job::JobObject;

/// A page of jobs.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobPage")]
pub struct JobPageObject {
    /// The jobs. A page may be short, even empty, although more follow.
    pub items: Vec<JobObject>,
    /// The argument for the next page; null at the end.
    pub next_token: Option<String>,
}

/// The kind of a change of a live list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::realtime::hub::ListEventKind")]
pub enum JobChangeKind {
    /// The job now matches the filter.
    Enter,
    /// The job matched before and matches now.
    Change,
    /// The job no longer matches. The event has its current version.
    Leave,
    /// The page is complete; changes follow. Without a job.
    Snapshot,
    /// Too many changes: discard the list, a new page follows. Without a job.
    Resync,
}

/// A change of a live list.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "JobChange")]
pub struct JobChangeObject {
    /// The kind of the change.
    pub kind: JobChangeKind,
    /// The job.
    pub job: Option<JobObject>,
}
