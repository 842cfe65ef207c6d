//! Which jobs a list or a subscription selects: AppSync's filter operators over the fields of a
//! job. Conditions and fields are combined with AND. A store may use a filter to choose an index;
//! what it returns is always checked by [`Filter::matches`].

use serde::{Deserialize, Serialize};

use crate::limits::{self, OverLimit, check};
use crate::{Job, JobId, Status, Time};

/// One condition on a field (AppSync, "enhanced subscription filtering": the thirteen operators).
/// `None` means null.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition<T> {
    /// Equal; `None`: is null.
    Eq(Option<T>),
    /// Not equal; `None`: is not null.
    Ne(Option<T>),
    /// One of these.
    In(Vec<T>),
    /// None of these.
    NotIn(Vec<T>),
    /// Less.
    Lt(T),
    /// Less or equal.
    Le(T),
    /// Greater.
    Gt(T),
    /// Greater or equal.
    Ge(T),
    /// From the first to the second, both included.
    Between(T, T),
    /// A text contains this text; a list contains this value.
    Contains(T),
    /// A text does not contain this text; a list does not contain this value.
    NotContains(T),
    /// A text begins with this text.
    BeginsWith(T),
    /// A text contains one of these texts; a list contains one of these values.
    ContainsAny(Vec<T>),
}

/// Selects the jobs that meet every condition. The empty filter selects every job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Conditions on the id.
    pub id: Vec<Condition<JobId>>,
    /// Conditions on the owner.
    pub owner: Vec<Condition<String>>,
    /// Conditions on the job type.
    #[serde(rename = "type")]
    pub job_type: Vec<Condition<String>>,
    /// Conditions on the status.
    pub status: Vec<Condition<Status>>,
    /// Conditions on the list of tags.
    pub tags: Vec<Condition<String>>,
    /// Conditions on the progress, percent.
    pub progress: Vec<Condition<i64>>,
    /// Conditions on the attempt.
    pub attempt: Vec<Condition<i64>>,
    /// Conditions on the time of submission.
    pub created_at: Vec<Condition<Time>>,
    /// Conditions on the time of the last change.
    pub updated_at: Vec<Condition<Time>>,
    /// Conditions on the time at which the job finished; null while the job is open.
    pub finished_at: Vec<Condition<Time>>,
}

/// A value that `contains` and `beginsWith` can look into.
pub trait Text {
    /// The text to search in; `None` if the value is not a text.
    fn text(&self) -> Option<&str> {
        None
    }
}
impl Text for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}
impl Text for JobId {}
impl Text for Status {}
impl Text for Time {}
impl Text for i64 {}

impl<T: Ord + Text> Condition<T> {
    fn holds(&self, value: Option<&T>) -> bool {
        match (self, value) {
            (Condition::Eq(wanted), value) => wanted.as_ref() == value,
            (Condition::Ne(wanted), value) => wanted.as_ref() != value,
            (Condition::NotIn(values), Some(value)) => !values.contains(value),
            (Condition::NotContains(part), Some(value)) => !holds_text(value, part),
            (Condition::NotIn(_) | Condition::NotContains(_), None) => true,
            (_, None) => false,
            (Condition::In(values), Some(value)) => values.contains(value),
            (Condition::Lt(bound), Some(value)) => value < bound,
            (Condition::Le(bound), Some(value)) => value <= bound,
            (Condition::Gt(bound), Some(value)) => value > bound,
            (Condition::Ge(bound), Some(value)) => value >= bound,
            (Condition::Between(least, most), Some(value)) => (least..=most).contains(&value),
            (Condition::Contains(part), Some(value)) => holds_text(value, part),
            (Condition::ContainsAny(parts), Some(value)) => {
                parts.iter().any(|part| holds_text(value, part))
            }
            (Condition::BeginsWith(part), Some(value)) => match (value.text(), part.text()) {
                (Some(value), Some(part)) => value.starts_with(part),
                _ => value == part,
            },
        }
    }
}

fn holds_text<T: Ord + Text>(value: &T, part: &T) -> bool {
    match (value.text(), part.text()) {
        (Some(value), Some(part)) => value.contains(part),
        _ => value == part,
    }
}

impl Condition<String> {
    /// On a list, `contains` and the operators derived from it compare whole values. The other
    /// operators hold if they hold for at least one value.
    fn holds_for_list(&self, list: &[String]) -> bool {
        match self {
            Condition::Eq(None) => list.is_empty(),
            Condition::Ne(None) => !list.is_empty(),
            Condition::Ne(Some(value)) | Condition::NotContains(value) => !list.contains(value),
            Condition::NotIn(values) => !list.iter().any(|value| values.contains(value)),
            Condition::Contains(value) => list.contains(value),
            Condition::ContainsAny(values) => list.iter().any(|value| values.contains(value)),
            other => list.iter().any(|value| other.holds(Some(value))),
        }
    }
}

impl Filter {
    /// Whether the filter selects `job`.
    #[must_use]
    pub fn matches(&self, job: &Job) -> bool {
        all(&self.id, Some(&job.id))
            && all(&self.status, Some(&job.status))
            && all(&self.owner, Some(&job.owner))
            && all(&self.job_type, Some(&job.job_type))
            && self
                .tags
                .iter()
                .all(|condition| condition.holds_for_list(&job.tags))
            && all(&self.progress, Some(&i64::from(job.progress)))
            && all(&self.attempt, Some(&i64::from(job.attempt)))
            && all(&self.created_at, Some(&job.created_at))
            && all(&self.updated_at, Some(&job.updated_at))
            && all(&self.finished_at, job.finished_at.as_ref())
    }

    /// Refuses a condition with too many or too large values.
    ///
    /// # Errors
    /// [`OverLimit`] that names the field.
    pub fn check(&self) -> Result<(), OverLimit> {
        count("filter.id", &self.id)?;
        count("filter.owner", &self.owner)?;
        count("filter.type", &self.job_type)?;
        count("filter.status", &self.status)?;
        count("filter.tags", &self.tags)?;
        count("filter.progress", &self.progress)?;
        count("filter.attempt", &self.attempt)?;
        count("filter.createdAt", &self.created_at)?;
        count("filter.updatedAt", &self.updated_at)?;
        count("filter.finishedAt", &self.finished_at)
    }
}

/// The values that the equality conditions of a field allow; the job's value is one of them. `None`
/// if no condition limits the field to certain values. A store uses this to choose an index.
pub fn equal_to<T: Clone + PartialEq>(conditions: &[Condition<T>]) -> Option<Vec<T>> {
    let mut sets = conditions.iter().filter_map(|condition| match condition {
        Condition::Eq(Some(value)) => Some(vec![value.clone()]),
        Condition::In(values) => Some(values.clone()),
        _ => None,
    });
    let first = sets.next()?;
    Some(sets.fold(first, |kept, set| {
        kept.into_iter()
            .filter(|value| set.contains(value))
            .collect()
    }))
}

fn all<T: Ord + Text>(conditions: &[Condition<T>], value: Option<&T>) -> bool {
    conditions.iter().all(|condition| condition.holds(value))
}

fn count<T: Text>(what: &'static str, conditions: &[Condition<T>]) -> Result<(), OverLimit> {
    for condition in conditions {
        let values = match condition {
            Condition::Eq(None) | Condition::Ne(None) => &[][..],
            Condition::Eq(Some(value))
            | Condition::Ne(Some(value))
            | Condition::Lt(value)
            | Condition::Le(value)
            | Condition::Gt(value)
            | Condition::Ge(value)
            | Condition::Between(value, _)
            | Condition::Contains(value)
            | Condition::NotContains(value)
            | Condition::BeginsWith(value) => std::slice::from_ref(value),
            Condition::In(values) | Condition::NotIn(values) | Condition::ContainsAny(values) => {
                values
            }
        };
        check(what, "values", values.len(), limits::FILTER_VALUES)?;
        for value in values {
            check(
                what,
                "bytes in one value",
                value.text().map_or(0, str::len),
                limits::FILTER_VALUE_BYTES,
            )?;
        }
    }
    Ok(())
}
