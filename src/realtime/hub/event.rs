//! The events that watchers receive: a version of one job, or a change of a live list. Values only.

use std::sync::Arc;

use job::Job;

/// What an event of a live list means (`JobChange.kind` in the schema).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListEventKind {
    /// The job is in the list and was not: it is on the first page, or has begun to match.
    Enter,
    /// The job is in the list and has changed.
    Change,
    /// The job no longer matches. The event carries the version that does not match.
    Leave,
    /// The page is complete; changes follow. Carries no job.
    Snapshot,
    /// Too many jobs have changed to send each change: the client discards its list, and a new page
    /// follows. Carries no job.
    Resync,
}

impl ListEventKind {
    /// The name in the schema: `ENTER`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enter => "ENTER",
            Self::Change => "CHANGE",
            Self::Leave => "LEAVE",
            Self::Snapshot => "SNAPSHOT",
            Self::Resync => "RESYNC",
        }
    }
}

/// One event of `onJobs`.
#[derive(Debug, Clone)]
pub struct JobChange {
    /// What happened.
    pub kind: ListEventKind,
    /// The job in its newest version; `None` for SNAPSHOT and RESYNC.
    pub job: Option<Arc<Job>>,
}

/// An event that a [`super::Render`] turns into a payload.
#[derive(Debug, Clone)]
pub enum Event {
    /// For `onJob`: the job in this version.
    Job(Arc<Job>),
    /// For `onJobs`.
    Jobs(JobChange),
}
