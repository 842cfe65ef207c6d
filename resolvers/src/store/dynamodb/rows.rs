//! The rows that this process wrote last, so that the next write of a job needs no read before it.
//! A row here may be older than the table's: only a condition on its version makes a write valid.
//!
//! Two processes that change one job in turn would each lose the condition, which costs more than a
//! read. After [`STALE`] such losses in a row the job's row is read first.

use std::sync::Arc;

use job::{Job, JobId};
use parking_lot::Mutex;

use crate::TwoGenerationCache;

/// Number of rows in each of the two generations of the cache.
pub const ROWS: usize = 2_000;
/// Maximum size in bytes of a row that is kept, as JSON.
pub const ROW_BYTES: usize = 8 * 1024;
/// Number of consecutive stale rows of a job after which its row is read before a write.
const STALE: u8 = 2;

#[derive(Debug)]
struct Row {
    job: Arc<Job>,
    /// Number of consecutive times that this row was stale.
    stale: u8,
}

#[derive(Debug)]
pub(super) struct Rows(Mutex<TwoGenerationCache<JobId, Row>>);

impl Default for Rows {
    fn default() -> Self {
        Self(Mutex::new(TwoGenerationCache::new(ROWS)))
    }
}

impl Rows {
    /// The row, which may be stale.
    pub(super) fn get(&self, id: JobId) -> Option<Arc<Job>> {
        let mut rows = self.0.lock();
        let row = rows.get(&id).filter(|row| row.stale < STALE)?;
        Some(Arc::clone(&row.job))
    }

    /// Keeps a row that this process wrote. `was_stale` says whether the kept row was older than
    /// the table's before. A finished job is not kept: hardly any write follows.
    pub(super) fn wrote(&self, job: &Arc<Job>, bytes: usize, was_stale: bool) {
        let mut rows = self.0.lock();
        if job.status.is_terminal() || bytes > ROW_BYTES {
            rows.remove(&job.id);
            return;
        }
        let before = rows.peek(&job.id).map_or(0, |row| row.stale);
        let stale = if was_stale {
            before.saturating_add(1)
        } else {
            before
        };
        let job = Arc::clone(job);
        rows.insert(job.id, Row { job, stale });
    }

    /// Replaces a kept row by a newer one from the change feed.
    pub(super) fn heard(&self, job: &Arc<Job>) {
        let mut rows = self.0.lock();
        let is_older = |row: &Row| row.job.version < job.version;
        let Some(stale) = rows
            .peek(&job.id)
            .filter(|row| is_older(row))
            .map(|row| row.stale)
        else {
            return;
        };
        if job.status.is_terminal() {
            rows.remove(&job.id);
        } else {
            let job = Arc::clone(job);
            rows.insert(job.id, Row { job, stale });
        }
    }

    pub(super) fn forget(&self, id: JobId) {
        self.0.lock().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use job::{NewJob, Time, Update};

    use super::*;

    fn job(number: u128) -> Arc<Job> {
        let new = NewJob {
            id: JobId::new(Time::from_millis(1), number),
            job_type: "a".to_owned(),
            owner: "me".to_owned(),
            tags: Vec::new(),
            steps: Vec::new(),
        };
        Arc::new(new.into_job().unwrap())
    }

    fn after(job: &Job, update: Update) -> Arc<Job> {
        let applied = job.apply(&job::Change::of(update), Time::from_millis(2));
        match applied.unwrap() {
            job::Applied::Changed(job) => Arc::from(job),
            job::Applied::Unchanged => panic!("it changes"),
        }
    }

    #[test]
    fn a_large_or_finished_row_is_not_kept() {
        let rows = Rows::default();
        let first = job(1);
        rows.wrote(&first, ROW_BYTES, false);
        assert_eq!(rows.get(first.id), Some(Arc::clone(&first)));
        rows.wrote(&first, ROW_BYTES + 1, false);
        assert_eq!(rows.get(first.id), None);
        rows.wrote(&first, 1, false);
        rows.wrote(&after(&first, Update::Succeed), 1, false);
        assert_eq!(rows.get(first.id), None);
    }

    #[test]
    fn a_row_that_is_stale_again_and_again_is_read_first() {
        let rows = Rows::default();
        let first = job(1);
        rows.wrote(&first, 1, false);
        for lost in 0..STALE {
            assert!(rows.get(first.id).is_some(), "after {lost} losses");
            rows.wrote(&first, 1, true);
        }
        assert_eq!(rows.get(first.id), None);
    }

    #[test]
    fn only_a_newer_version_of_a_kept_row_is_heard() {
        let rows = Rows::default();
        let first = job(1);
        let second = after(&first, Update::Start);
        rows.heard(&first);
        assert_eq!(rows.get(first.id), None, "it was not kept");
        rows.wrote(&second, 1, false);
        rows.heard(&first);
        assert_eq!(rows.get(first.id), Some(Arc::clone(&second)));
        rows.wrote(&first, 1, false);
        rows.heard(&second);
        assert_eq!(rows.get(first.id), Some(second));
    }

    #[test]
    fn the_number_of_rows_is_bounded() {
        let rows = Rows::default();
        for number in 0..3 * ROWS as u128 {
            rows.wrote(&job(number), 1, false);
        }
        assert!(rows.0.lock().len() <= 2 * ROWS);
    }
}
