//! The ids that a list can contain. Ids sort by the time of submission, so conditions on that time
//! limit the ids too.

use job::JobId;
use job::filter::Condition;

use super::{ListQuery, Sort};

/// The range of ids that a filter and a position in the list leave, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) least: JobId,
    pub(super) most: JobId,
}

impl Range {
    /// `None` if no id is left.
    pub(super) fn of(query: &ListQuery) -> Option<Range> {
        let mut least = 0;
        let mut most = u128::MAX;
        for condition in &query.filter.created_at {
            let (from, to) = ends(condition);
            least = from.map_or(least, |time| least.max(number(JobId::least_at(time))));
            most = to.map_or(most, |time| most.min(number(JobId::greatest_at(time))));
        }
        for condition in &query.filter.id {
            let (from, to) = ends(condition);
            least = from.map_or(least, |id| least.max(number(id)));
            most = to.map_or(most, |id| most.min(number(id)));
        }
        match (query.after, query.sort) {
            (None, _) => {}
            (Some(after), Sort::Newest) => most = most.min(number(after).checked_sub(1)?),
            (Some(after), Sort::Oldest) => least = least.max(number(after).checked_add(1)?),
        }
        (least <= most).then(|| Range {
            least: JobId::from_bytes(least.to_be_bytes()),
            most: JobId::from_bytes(most.to_be_bytes()),
        })
    }

    pub(super) fn holds(&self, id: JobId) -> bool {
        (self.least..=self.most).contains(&id)
    }
}

/// The smallest and the largest value that a condition allows.
fn ends<T: Copy>(condition: &Condition<T>) -> (Option<T>, Option<T>) {
    match condition {
        Condition::Eq(Some(value)) => (Some(*value), Some(*value)),
        Condition::Between(from, to) => (Some(*from), Some(*to)),
        Condition::Lt(value) | Condition::Le(value) => (None, Some(*value)),
        Condition::Gt(value) | Condition::Ge(value) => (Some(*value), None),
        _ => (None, None),
    }
}

fn number(id: JobId) -> u128 {
    u128::from_be_bytes(*id.as_bytes())
}
