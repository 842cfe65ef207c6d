//! Every change of every job, as the change feed delivers it. No change may be missing. What
//! watchers saw can be compared with it.

use std::collections::BTreeMap;
use std::fmt;

use job::{Event, RULES, Status};

use crate::seen::{Contradiction, Seen};

/// A broken rule in the changes of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenHistory<Id: fmt::Debug> {
    /// The first change is not version 1.
    #[error("the first change of {id:?} is {got}: a job begins with version 1")]
    Beginning {
        /// The job.
        id: Id,
        /// Its first change.
        got: Seen,
    },
    /// A version is missing or was delivered twice.
    #[error("{got} of {id:?} arrived after {before}: each change is exactly one version")]
    Skipped {
        /// The job.
        id: Id,
        /// The change before it.
        before: Seen,
        /// The change that breaks the rule.
        got: Seen,
    },
    /// No rule leads from one status to the other.
    #[error("{got} of {id:?} arrived after {before}: no rule allows it")]
    NoRule {
        /// The job.
        id: Id,
        /// The change before it.
        before: Seen,
        /// The change that breaks the rule.
        got: Seen,
    },
    /// Two versions that cannot both be true.
    #[error("{got} of {id:?} arrived after {before}: {why}")]
    Contradiction {
        /// The job.
        id: Id,
        /// The change before it.
        before: Seen,
        /// The change that breaks the rule.
        got: Seen,
        /// The rule that the two break.
        why: Contradiction,
    },
}

/// All changes of all jobs.
#[derive(Clone, Debug)]
pub struct History<Id> {
    jobs: BTreeMap<Id, Vec<Seen>>,
}

impl<Id> Default for History<Id> {
    fn default() -> Self {
        History {
            jobs: BTreeMap::new(),
        }
    }
}

impl<Id: Ord + Clone + fmt::Debug> History<Id> {
    /// Adds a change, in the order of the feed.
    ///
    /// # Errors
    /// [`BrokenHistory`] if it does not follow from the job's previous change.
    pub fn change(&mut self, id: Id, got: Seen) -> Result<(), BrokenHistory<Id>> {
        let changes = self.jobs.entry(id.clone()).or_default();
        let before = changes.last().copied();
        changes.push(got);
        let Some(before) = before else {
            return if got.version == 1 {
                Ok(())
            } else {
                Err(BrokenHistory::Beginning { id, got })
            };
        };
        if got.version != before.version + 1 {
            return Err(BrokenHistory::Skipped { id, before, got });
        }
        if let Some(why) = before.contradicted_by(&got) {
            return Err(BrokenHistory::Contradiction {
                id,
                before,
                got,
                why,
            });
        }
        let retried = before.attempt.is_none() || before.attempt != got.attempt;
        if !leads(before.status, got.status, retried) {
            return Err(BrokenHistory::NoRule { id, before, got });
        }
        Ok(())
    }

    /// The jobs, each with all its versions, oldest first.
    pub fn jobs(&self) -> impl Iterator<Item = (&Id, &[Seen])> {
        self.jobs
            .iter()
            .map(|(id, changes)| (id, changes.as_slice()))
    }

    /// The newest version of a job.
    #[must_use]
    pub fn newest(&self, id: &Id) -> Option<Seen> {
        self.jobs.get(id)?.last().copied()
    }

    /// Whether a job had this version: every version that a watcher saw must exist.
    #[must_use]
    pub fn has(&self, id: &Id, seen: &Seen) -> bool {
        let changes = self.jobs.get(id).map_or(&[][..], Vec::as_slice);
        let there = changes.iter().find(|there| there.version == seen.version);
        there.is_some_and(|there| there.contradicted_by(seen).is_none())
    }
}

/// Whether rules lead from one status to the other. Updates that happen together are one change, so
/// there may be several steps. A retry is allowed only if the attempt may differ.
fn leads(from: Status, to: Status, retried: bool) -> bool {
    let next = |from: &[Status]| -> Vec<Status> {
        let rules = RULES.iter().filter(|(before, event, _)| {
            from.contains(before) && (retried || *event != Event::Retry)
        });
        rules.map(|(_, _, after)| *after).collect()
    };
    let mut reached = next(&[from]);
    loop {
        let more: Vec<Status> = next(&reached);
        let new = more.into_iter().find(|status| !reached.contains(status));
        match new {
            Some(status) => reached.push(status),
            None => return reached.contains(&to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::Status::{Failed, Queued, Running, Succeeded, Waiting};

    fn check(changes: &[(u64, job::Status, u8, u32)]) -> Result<(), String> {
        let mut history = History::default();
        for (version, status, progress, attempt) in changes {
            let seen = Seen {
                version: *version,
                status: *status,
                progress: Some(*progress),
                attempt: Some(*attempt),
            };
            history.change('a', seen).map_err(|broken| {
                let text = format!("{broken:?}");
                text.split(' ').next().unwrap().to_owned()
            })?;
            assert!(history.has(&'a', &seen));
            assert!(!history.has(&'b', &seen));
            let other = if *status == Waiting { Running } else { Waiting };
            assert!(!history.has(&'a', &Seen::new(*version, other)));
            assert_eq!(history.newest(&'a'), Some(seen));
        }
        Ok(())
    }

    #[test]
    fn a_change_that_does_not_follow_is_named() {
        let begun = [(1, Queued, 0, 1), (2, Running, 0, 1), (3, Running, 50, 1)];
        let with = |last| check(&[begun.as_slice(), &[last]].concat());
        assert_eq!(with((4, Succeeded, 100, 1)), Ok(()));
        assert_eq!(with((5, Succeeded, 100, 1)), Err("Skipped".into()));
        assert_eq!(with((3, Succeeded, 100, 1)), Err("Skipped".into()));
        assert_eq!(check(&[(1, Queued, 0, 1), (2, Waiting, 0, 1)]), Ok(()));
        assert_eq!(with((4, Queued, 50, 1)), Err("NoRule".into()));
        assert_eq!(with((4, Running, 40, 1)), Err("Contradiction".into()));
        assert_eq!(check(&[(2, Running, 0, 1)]), Err("Beginning".into()));
        let retried = [(1, Queued, 0, 1), (2, Failed, 0, 1), (3, Queued, 0, 2)];
        assert_eq!(check(&retried), Ok(()));
        let again = [(1, Queued, 0, 1), (2, Failed, 0, 1), (3, Queued, 0, 1)];
        assert_eq!(check(&again), Err("Contradiction".into()));
    }
}
