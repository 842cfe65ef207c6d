//! The job's row. Input and result are not part of it: each may have 256 KiB, does not change on
//! progress, and is read only on request (a store keeps them in rows of their own).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{self, OverLimit, check};
use crate::{JobId, Status, Step, Time};

/// Counts the changes of a job: 1 when it is created, and one more for each change.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version of a job that was just created.
    pub const FIRST: Self = Self(1);

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a job or a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobError {
    /// The error's name, as Retry and Catch match it: `States.Timeout`, `InvalidImage`.
    pub name: String,
    /// A description for people.
    #[serde(default)]
    pub message: String,
    /// The step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

impl JobError {
    /// An error without a step. Texts over their limits are truncated.
    #[must_use]
    pub fn new(name: &str, message: &str) -> Self {
        Self {
            name: limits::beginning(name, limits::ERROR_NAME_BYTES).to_owned(),
            message: limits::beginning(message, limits::ERROR_MESSAGE_BYTES).to_owned(),
            step: None,
        }
    }
}

/// A job as it is stored, published and shown. In JSON, the field names are those of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The id.
    pub id: JobId,
    /// The job type: the name of a state machine.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The owner who submitted it.
    pub owner: String,
    /// Its status.
    pub status: Status,
    /// Percent, 0..=100. It never falls within an attempt.
    pub progress: u8,
    /// The last message that a function reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it failed, was cancelled or timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// The steps, by index.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Free-form labels for searching.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// 1 for the first attempt, one more for each `retryJob`.
    pub attempt: u32,
    /// Number of changes so far.
    pub version: Version,
    /// When it was submitted.
    pub created_at: Time,
    /// When its execution started, in this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it changed last.
    pub updated_at: Time,
    /// When it reached a terminal status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// When it will be deleted; set when it finishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// The name of its execution: the job's id, or `ID-ATTEMPT` if an attempt had to start from the
    /// beginning.
    pub execution: String,
    /// Position up to which the execution's events are applied. Events at or below it are repeats.
    #[serde(default)]
    pub position: u64,
}

/// What a store needs to create a job. Version, status and times are derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The id; [`JobId::created_at`] is the time of creation.
    pub id: JobId,
    /// The job type.
    pub job_type: String,
    /// The owner who submits it.
    pub owner: String,
    /// Free-form labels for searching.
    pub tags: Vec<String>,
    /// The steps, all pending.
    pub steps: Vec<Step>,
}

impl NewJob {
    /// The job at version 1.
    ///
    /// # Errors
    /// [`OverLimit`] for the first part that is too large.
    pub fn into_job(mut self) -> Result<Job, OverLimit> {
        check("type", "bytes", self.job_type.len(), limits::TYPE_BYTES)?;
        check("owner", "bytes", self.owner.len(), limits::OWNER_BYTES)?;
        check("tags", "tags", self.tags.len(), limits::TAGS)?;
        for tag in &self.tags {
            check("tag", "bytes", tag.len(), limits::TAG_BYTES)?;
        }
        self.steps.truncate(limits::STEPS);
        let created_at = self.id.created_at();
        Ok(Job {
            execution: self.id.to_string(),
            id: self.id,
            job_type: self.job_type,
            owner: self.owner,
            status: Status::Queued,
            progress: 0,
            message: None,
            error: None,
            steps: self.steps,
            tags: self.tags,
            attempt: 1,
            version: Version::FIRST,
            created_at,
            started_at: None,
            updated_at: created_at,
            finished_at: None,
            expires_at: None,
            position: 0,
        })
    }
}

impl Job {
    /// The step that is running or waiting.
    #[must_use]
    pub fn open_step(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.status.is_open())
    }

    /// The step with this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }
}
