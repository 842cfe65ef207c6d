//! A version of a job as a watcher saw it, and how to read it from JSON. It has only the fields
//! that the promises mention.

use std::fmt;

use job::{Job, Status};
use serde_json::Value;

/// One version of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The version.
    pub version: u64,
    /// The status.
    pub status: Status,
    /// The progress, if the watcher selects it.
    pub progress: Option<u8>,
    /// The attempt, if the watcher selects it.
    pub attempt: Option<u32>,
}

/// A job in JSON lacks a field that the checker needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a job of the transcript has no valid `{field}`: select `{field}` in the operation; the job is {job}"
)]
pub struct Unreadable {
    /// The field.
    pub field: &'static str,
    /// The job.
    pub job: String,
}

impl Seen {
    /// A version and its status, without progress and attempt.
    #[must_use]
    pub fn new(version: u64, status: Status) -> Self {
        Self {
            version,
            status,
            progress: None,
            attempt: None,
        }
    }

    /// Reads the job of an event: `version` and `status` must be selected, `progress` and `attempt`
    /// may be.
    ///
    /// # Errors
    /// [`Unreadable`], with the field's name.
    pub fn read(job: &Value) -> Result<Self, Unreadable> {
        let unreadable = |field| Unreadable {
            field,
            job: job.to_string().chars().take(200).collect(),
        };
        let number = |field| job.get(field).and_then(Value::as_u64);
        let status = job.get("status").and_then(Value::as_str);
        Ok(Self {
            version: number("version").ok_or_else(|| unreadable("version"))?,
            status: status
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| unreadable("status"))?,
            progress: number("progress").and_then(|progress| u8::try_from(progress).ok()),
            attempt: number("attempt").and_then(|attempt| u32::try_from(attempt).ok()),
        })
    }

    /// The rule that is broken if `next` follows `self`, with any number of versions skipped
    /// between the two.
    pub(crate) fn contradicted_by(&self, next: &Self) -> Option<Contradiction> {
        let same_attempt = self.attempt.is_some() && self.attempt == next.attempt;
        if next.version == self.version {
            let same = next.status == self.status
                && both(self.progress, next.progress, |a, b| a == b)
                && both(self.attempt, next.attempt, |a, b| a == b);
            return (!same).then_some(Contradiction::SameVersion);
        }
        if !both(self.attempt, next.attempt, |before, after| before <= after) {
            return Some(Contradiction::AttemptFell);
        }
        if same_attempt && self.status.is_terminal() {
            return Some(Contradiction::AfterTheEnd);
        }
        if same_attempt
            && !both(self.progress, next.progress, |before, after| {
                before <= after
            })
        {
            return Some(Contradiction::ProgressFell);
        }
        None
    }
}

/// Whether `holds` for both values, or one of them is unknown.
fn both<T>(a: Option<T>, b: Option<T>, holds: impl Fn(T, T) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => holds(a, b),
        _ => true,
    }
}

impl From<&Job> for Seen {
    fn from(job: &Job) -> Seen {
        Seen {
            version: job.version.0,
            status: job.status,
            progress: Some(job.progress),
            attempt: Some(job.attempt),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in version {}", self.status, self.version)?;
        if let Some(progress) = self.progress {
            write!(f, ", {progress} %")?;
        }
        if let Some(attempt) = self.attempt {
            write!(f, ", attempt {attempt}")?;
        }
        Ok(())
    }
}

/// The reason why two versions of one job contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// One version with two different contents.
    #[error("one version has one content")]
    SameVersion,
    /// An earlier attempt after a later one.
    #[error("attempts only rise")]
    AttemptFell,
    /// A job that changes after its end, in the same attempt.
    #[error("an attempt that has ended does not change")]
    AfterTheEnd,
    /// Progress that falls within an attempt.
    #[error("progress never falls within an attempt")]
    ProgressFell,
}
