//! The caller and its rights. Everything is denied by default: every use case names the right that
//! it needs.

use job::{Filter, Job, JobId, filter::Condition};
use serde::{Deserialize, Serialize};

/// A role of a caller. Roles add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads the jobs that it owns.
    Viewer,
    /// Submits jobs, and cancels, retries and answers its own jobs.
    Submitter,
    /// Reads, cancels, retries and answers the jobs of all owners.
    Operator,
    /// All rights except publishing.
    Admin,
    /// Publishes changes and reports progress: the role of the stream and of the functions on AWS
    /// (`@aws_iam`).
    Publisher,
}

/// A caller, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name: the owner of the jobs that it submits.
    pub subject: String,
    /// Its rights.
    pub rights: Rights,
}

/// The source of a caller's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Roles, given by the configuration or by claims.
    Roles(Vec<Role>),
    /// A watch token: reads one job.
    Watch(JobId),
    /// A report token: reports on one job in one attempt, and uploads files for that job.
    Report {
        /// The job.
        job: JobId,
        /// The attempt. The token is stale in the next one.
        attempt: u32,
    },
}

/// The caller may not do this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not authorized to {0}")]
pub struct Unauthorized(pub &'static str);

impl Caller {
    /// A caller with these roles.
    pub fn new(subject: impl Into<String>, roles: &[Role]) -> Caller {
        Caller {
            subject: subject.into(),
            rights: Rights::Roles(roles.to_vec()),
        }
    }

    /// The caller of a server that listens on loopback only and has no authentication configured.
    pub fn dev() -> Caller {
        Caller::new("dev", &[Role::Admin, Role::Publisher])
    }

    fn has(&self, roles: &[Role]) -> bool {
        match &self.rights {
            Rights::Roles(own) => roles.iter().any(|role| own.contains(role)),
            Rights::Watch(_) | Rights::Report { .. } => false,
        }
    }

    /// Whether it sees the jobs of all owners.
    pub fn sees_all(&self) -> bool {
        self.has(&[Role::Operator, Role::Admin, Role::Publisher])
    }

    /// Whether it may see this job.
    pub fn may_see(&self, job: &Job) -> bool {
        match &self.rights {
            Rights::Watch(id) | Rights::Report { job: id, .. } => *id == job.id,
            Rights::Roles(_) => self.sees_all() || (self.may_list() && job.owner == self.subject),
        }
    }

    fn may_list(&self) -> bool {
        self.has(&[
            Role::Viewer,
            Role::Submitter,
            Role::Operator,
            Role::Admin,
            Role::Publisher,
        ])
    }

    /// The filter of a list, narrowed to the jobs that this caller may see.
    ///
    /// # Errors
    /// [`Unauthorized`] for a caller that may not list.
    pub fn narrow(&self, mut filter: Filter) -> Result<Filter, Unauthorized> {
        match &self.rights {
            Rights::Watch(id) => filter.id.push(Condition::Eq(Some(*id))),
            Rights::Roles(_) if self.sees_all() => {}
            Rights::Roles(_) if self.may_list() => {
                filter.owner.push(Condition::Eq(Some(self.subject.clone())));
            }
            _ => return Err(Unauthorized("list jobs")),
        }
        Ok(filter)
    }

    /// The part of a caller that decides what it sees of a job. Callers with the same text get the
    /// same payload.
    pub fn visible_scope(&self) -> &'static str {
        match self.rights {
            Rights::Roles(_) => "roles",
            Rights::Watch(_) => "watch",
            Rights::Report { .. } => "report",
        }
    }

    pub(crate) fn may_submit(&self) -> Result<(), Unauthorized> {
        self.need(&[Role::Submitter, Role::Admin], "submit jobs")
    }

    /// Whether it may send messages to a queue whose jobs have this owner: the jobs would be those
    /// of another caller otherwise.
    ///
    /// # Errors
    /// [`Unauthorized`].
    pub fn may_enqueue(&self, owner: &str) -> Result<(), Unauthorized> {
        if self.subject == owner && self.has(&[Role::Submitter]) {
            return Ok(());
        }
        self.need(
            &[Role::Admin],
            "send messages to this queue: its owner with the role submitter may, and an admin",
        )
    }

    /// Whether it may cancel, retry or answer this job.
    pub(crate) fn may_control(&self, job: &Job) -> Result<(), Unauthorized> {
        if job.owner == self.subject && self.has(&[Role::Submitter]) {
            return Ok(());
        }
        self.need(&[Role::Operator, Role::Admin], "change this job")
    }

    pub(crate) fn may_upload(&self) -> Result<(), Unauthorized> {
        match self.rights {
            Rights::Report { .. } => Ok(()),
            _ => self.need(&[Role::Submitter, Role::Admin], "upload files"),
        }
    }

    /// The attempt for which it may report on the job; `None` means any attempt.
    pub(crate) fn may_report(&self, id: JobId) -> Result<Option<u32>, Unauthorized> {
        match self.rights {
            Rights::Report { job, attempt } if job == id => Ok(Some(attempt)),
            Rights::Report { .. } | Rights::Watch(_) => Err(Unauthorized("report on this job")),
            Rights::Roles(_) => {
                self.need(&[Role::Publisher, Role::Admin], "report progress")?;
                Ok(None)
            }
        }
    }

    /// Whether it may read the service's metrics and health.
    pub fn may_operate(&self) -> bool {
        self.has(&[Role::Operator, Role::Admin])
    }

    /// Whether it may publish.
    ///
    /// # Errors
    /// [`Unauthorized`].
    pub fn may_publish(&self) -> Result<(), Unauthorized> {
        self.need(&[Role::Publisher], "publish changes")
    }

    /// Whether it may read job types.
    pub(crate) fn may_read_types(&self) -> Result<(), Unauthorized> {
        self.need(
            &[Role::Viewer, Role::Submitter, Role::Operator, Role::Admin],
            "read job types",
        )
    }

    fn need(&self, roles: &[Role], what: &'static str) -> Result<(), Unauthorized> {
        if self.has(roles) {
            return Ok(());
        }
        Err(Unauthorized(what))
    }
}
