//! The jobs that were used last. [`Cache`] is the writer's: an update of one of them needs no read and no parsing; only requests inside a
//! group use it, so it may hold what is not committed yet. Readers have what is: [`Committed`].

use std::collections::HashMap;
use std::sync::Arc;

use job::{Job, JobId};

/// Jobs that the cache holds, at most.
pub(super) const CACHED_JOBS: usize = 4_096;

/// A job with the keys of its row.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    /// The position of its last change.
    pub(super) change: i64,
    pub(super) job: Arc<Job>,
}

/// Jobs by id, at most [`CACHED_JOBS`], in two halves: what was used since the newer one began, and what was used before. A full half
/// pushes the other one out.
#[derive(Debug)]
pub(super) struct Halves<V> {
    newer: HashMap<JobId, V>,
    older: HashMap<JobId, V>,
}

impl<V> Default for Halves<V> {
    fn default() -> Self {
        Halves {
            newer: HashMap::new(),
            older: HashMap::new(),
        }
    }
}

impl<V: Clone> Halves<V> {
    pub(super) fn get(&mut self, id: JobId) -> Option<V> {
        if let Some(found) = self.newer.get(&id) {
            return Some(found.clone());
        }
        let found = self.older.remove(&id)?;
        self.keep(id, found.clone());
        Some(found)
    }

    pub(super) fn keep(&mut self, id: JobId, value: V) {
        if self.newer.len() >= CACHED_JOBS / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.older.remove(&id);
        self.newer.insert(id, value);
    }

    pub(super) fn forget(&mut self, id: JobId) {
        self.newer.remove(&id);
        self.older.remove(&id);
    }

    fn clear(&mut self) {
        self.newer.clear();
        self.older.clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

/// What the writer knows of jobs without reading.
#[derive(Debug, Default)]
pub(super) struct Cache {
    jobs: Halves<Stored>,
    group: u64,
    /// Whether the group wrote something that has not been committed.
    dirty: bool,
}

impl Cache {
    /// To be called by each request first. A group that was undone takes everything with it.
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

    /// The group is on disk.
    pub(super) fn committed(&mut self) {
        self.dirty = false;
    }

    pub(super) fn get(&mut self, id: JobId) -> Option<Stored> {
        self.jobs.get(id)
    }

    /// The request wrote this, and nothing after it in the request can fail.
    pub(super) fn wrote(&mut self, stored: Stored) {
        self.dirty = true;
        self.jobs.keep(stored.job.id, stored);
    }

    /// The request deleted this.
    pub(super) fn deleted(&mut self, id: JobId) {
        self.dirty = true;
        self.jobs.forget(id);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.jobs.len()
    }
}

/// What readers know of jobs without reading, as the last commit left them.
#[derive(Debug, Default)]
pub(super) struct Committed {
    jobs: Halves<Arc<Job>>,
    changes: u64,
}

/// How many changes had been heard of when a read began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard(u64);

impl Committed {
    pub(super) fn get(&mut self, id: JobId) -> Result<Arc<Job>, Heard> {
        self.jobs.get(id).ok_or(Heard(self.changes))
    }

    /// A commit left the job so; `None`: it was deleted.
    pub(super) fn changed(&mut self, id: JobId, job: Option<Arc<Job>>) {
        self.changes += 1;
        match job {
            Some(job) => self.jobs.keep(id, job),
            None => self.jobs.forget(id),
        }
    }

    /// The job was read. What has changed since the read began may be this one.
    pub(super) fn was_read(&mut self, job: &Arc<Job>, begun: Heard) {
        if begun.0 == self.changes {
            self.jobs.keep(job.id, Arc::clone(job));
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
