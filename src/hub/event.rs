//! What a watcher is told: a version of one job, or a change of a live list. Values only.

use std::sync::Arc;

use job::Job;

/// How a job stands to a live list (`JobChange.kind` in the schema).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The job is in the list and was not: it is on the first page, or has begun to match.
    Enter,
    /// The job is in the list and has changed.
    Change,
    /// The job no longer matches; it is told in its new state.
    Leave,
    /// The page is complete; what follows are changes. Carries no job.
    Snapshot,
    /// Too much has changed to tell one by one: forget the list, a new page follows. Carries no job.
    Resync,
}

impl Kind {
    /// As in the schema: `ENTER`.
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
    pub kind: Kind,
    /// The job in its newest state; `None` for the two markers.
    pub job: Option<Arc<Job>>,
}

/// What a [`super::Render`] makes a payload of.
#[derive(Debug, Clone)]
pub enum Event {
    /// For `onJob`: the job in this version.
    Job(Arc<Job>),
    /// For `onJobs`.
    Jobs(JobChange),
}
