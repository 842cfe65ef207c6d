//! The jobs that were used last. [`Cache`] is the writer's: an update of one of them needs no
//! read and no parsing. Only requests inside a group use it, so it may hold what is not committed
//! yet. [`Committed`] is the readers', and holds committed versions only.

use std::sync::Arc;

use job::{Job, JobId};

use crate::TwoGenerationCache;

/// Maximum number of jobs in each of the two caches.
pub(super) const CACHED_JOBS: usize = 4_096;

/// A job with the keys of its row.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    /// The position of its last change.
    pub(super) change: i64,
    pub(super) job: Arc<Job>,
}

/// A cache of at most [`CACHED_JOBS`] jobs in its two generations.
fn cache<V>() -> TwoGenerationCache<JobId, V> {
    TwoGenerationCache::new(CACHED_JOBS / 2)
}

/// The writer's cache.
#[derive(Debug)]
pub(super) struct Cache {
    jobs: TwoGenerationCache<JobId, Stored>,
    group: u64,
    /// Whether the group wrote something that has not been committed.
    dirty: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            jobs: cache(),
            group: 0,
            dirty: false,
        }
    }
}

impl Cache {
    /// To be called first by each request. After a group that was rolled back the cache is empty.
    pub(super) fn enter(&mut self, group: u64) {
        if self.group == group {
            return;
        }
        self.group = group;
        if self.dirty {
            self.jobs.clear();
            self.dirty = false;
        }
    }

    /// The group has been committed.
    pub(super) fn committed(&mut self) {
        self.dirty = false;
    }

    pub(super) fn get(&mut self, id: JobId) -> Option<Stored> {
        self.jobs.get(&id).cloned()
    }

    /// The request wrote this job, and nothing after it in the request can fail.
    pub(super) fn wrote(&mut self, stored: Stored) {
        self.dirty = true;
        self.jobs.insert(stored.job.id, stored);
    }

    /// The request deleted this job.
    pub(super) fn deleted(&mut self, id: JobId) {
        self.dirty = true;
        self.jobs.remove(&id);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.jobs.len()
    }
}

/// The readers' cache: jobs as the last commit left them.
#[derive(Debug)]
pub(super) struct Committed {
    jobs: TwoGenerationCache<JobId, Arc<Job>>,
    changes: u64,
}

impl Default for Committed {
    fn default() -> Self {
        Self {
            jobs: cache(),
            changes: 0,
        }
    }
}

/// The number of changes that had been committed when a read began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard(u64);

impl Committed {
    pub(super) fn get(&mut self, id: JobId) -> Result<Arc<Job>, Heard> {
        let known = self.jobs.get(&id).map(Arc::clone);
        known.ok_or(Heard(self.changes))
    }

    /// A commit changed the job to this; `None` if it deleted it.
    pub(super) fn changed(&mut self, id: JobId, job: Option<Arc<Job>>) {
        self.changes += 1;
        match job {
            Some(job) => self.jobs.insert(id, job),
            None => self.jobs.remove(&id),
        }
    }

    /// Keeps a job that was read, unless a job has changed since the read began: it may be this
    /// one.
    pub(super) fn was_read(&mut self, job: &Arc<Job>, begun: Heard) {
        if begun.0 == self.changes {
            self.jobs.insert(job.id, Arc::clone(job));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::{NewJob, Time};

    fn stored(n: usize) -> Stored {
        let new = NewJob {
            id: JobId::new(Time::from_millis(n as i64), 0),
            job_type: "test".to_owned(),
            owner: "ann".to_owned(),
            tags: vec![],
            steps: vec![],
        };
        Stored {
            seq: n as i64,
            change: n as i64,
            job: Arc::new(new.into_job().unwrap()),
        }
    }

    #[test]
    fn holds_its_limit_and_forgets_the_least_used() {
        let mut cache = Cache::default();
        cache.enter(1);
        for n in 0..CACHED_JOBS * 3 {
            cache.wrote(stored(n));
            // One job is always in use.
            assert!(cache.get(stored(0).job.id).is_some());
            assert!(cache.len() <= CACHED_JOBS);
        }
        assert!(cache.len() > CACHED_JOBS / 2);
        assert!(cache.get(stored(1).job.id).is_none());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let (mut committed, job) = (Committed::default(), stored(1).job);
        let other = stored(2).job;
        let before = committed.get(job.id).unwrap_err();
        committed.was_read(&job, before);
        assert_eq!(committed.get(job.id).unwrap(), job);
        committed.changed(job.id, None);
        committed.was_read(&job, before);
        let now = committed.get(job.id).unwrap_err();
        committed.changed(other.id, Some(Arc::clone(&other)));
        committed.was_read(&job, now);
        assert!(committed.get(job.id).is_err());
        assert_eq!(committed.get(other.id).unwrap(), other);
    }

    #[test]
    fn forgets_what_was_undone_and_keeps_what_was_committed() {
        let mut cache = Cache::default();
        cache.enter(1);
        cache.wrote(stored(1));
        assert!(cache.get(stored(1).job.id).is_some(), "within its group");
        cache.committed();
        cache.enter(2);
        assert!(cache.get(stored(1).job.id).is_some());
        cache.wrote(stored(2));
        cache.enter(3);
        assert!(cache.get(stored(2).job.id).is_none());
        assert!(cache.get(stored(1).job.id).is_none());
    }
}
