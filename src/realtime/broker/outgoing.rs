//! The changes to be sent: the newest one of each job, bounded. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use job::{Job, JobId};

/// Maximum number of jobs whose newest change waits for the broker. Above it the oldest change is
/// dropped, and the other nodes are asked to read their watched jobs again.
pub const OUTGOING_JOBS: usize = 10_000;

/// A job before and after.
pub(super) type Changed = (Option<Arc<Job>>, Arc<Job>);

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    order: VecDeque<JobId>,
    jobs: HashMap<JobId, Changed>,
    /// The number of changes that will not be sent.
    pub(super) dropped: u64,
}

impl Outgoing {
    pub(super) fn push(&mut self, old: Option<&Arc<Job>>, new: &Arc<Job>) {
        if let Some((_, waiting)) = self.jobs.get_mut(&new.id) {
            if new.version > waiting.version {
                *waiting = Arc::clone(new);
            }
            return;
        }
        if self.jobs.len() >= OUTGOING_JOBS
            && let Some(oldest) = self.order.pop_front()
        {
            self.jobs.remove(&oldest);
            self.dropped += 1;
        }
        self.order.push_back(new.id);
        self.jobs.insert(new.id, (old.cloned(), Arc::clone(new)));
    }

    /// Takes at most `at_most` changes, the oldest first.
    pub(super) fn take(&mut self, at_most: usize) -> Vec<Changed> {
        let count = at_most.min(self.order.len());
        let ids = self.order.drain(..count);
        ids.filter_map(|id| self.jobs.remove(&id)).collect()
    }

    /// Queues changes again that could not be sent.
    pub(super) fn put_back(&mut self, changes: Vec<Changed>) {
        for (old, new) in changes {
            let newer = self.jobs.remove(&new.id);
            match newer {
                // The queued change follows this one: together they are one change.
                Some((_, newer)) => {
                    self.jobs.insert(new.id, (old, newer));
                }
                None => self.push(old.as_ref(), &new),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use job::Version;

    use super::*;
    use crate::realtime::hub::tests::row;

    fn numbered(number: usize) -> Arc<Job> {
        let mut job = Job::clone(&row(1, 1));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        job.id = JobId::from_bytes(bytes);
        Arc::new(job)
    }

    #[test]
    fn changes_of_one_job_are_merged() {
        let mut outgoing = Outgoing::default();
        outgoing.push(Some(&row(1, 1)), &row(1, 2));
        outgoing.push(None, &row(2, 1));
        outgoing.push(Some(&row(1, 2)), &row(1, 3));
        outgoing.push(None, &row(1, 2));
        let taken = outgoing.take(1);
        let [(Some(old), new)] = &taken[..] else {
            panic!("{taken:?}")
        };
        assert_eq!((old.version, new.version), (Version(1), Version(3)));
        // They are put back behind a newer one.
        outgoing.push(Some(&row(1, 3)), &row(1, 4));
        outgoing.put_back(taken);
        let taken = outgoing.take(9);
        assert!(outgoing.is_empty());
        let versions: Vec<_> = taken
            .iter()
            .map(|(old, new)| (old.as_ref().map(|old| old.version.0), new.version.0))
            .collect();
        assert_eq!(versions, [(None, 1), (Some(1), 4)]);
    }

    #[test]
    fn the_oldest_change_is_dropped_above_the_limit() {
        let mut outgoing = Outgoing::default();
        (0..OUTGOING_JOBS).for_each(|number| outgoing.push(None, &numbered(number)));
        assert_eq!(outgoing.dropped, 0);
        outgoing.push(None, &numbered(OUTGOING_JOBS));
        assert_eq!(outgoing.dropped, 1);
        let taken = outgoing.take(usize::MAX);
        assert_eq!(taken.len(), OUTGOING_JOBS);
        assert_eq!(taken[0].1.id, numbered(1).id, "the oldest was dropped");
    }
}
