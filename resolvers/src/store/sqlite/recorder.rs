//! What executions do, written to their jobs by the commit that makes it durable.

use std::sync::Arc;

use super::SqliteStore;
use crate::jobs::{Recorded, change_of_all};
use crate::store::StoreError;
use crate::workflow::{Listener, embedded};

/// As [`embedded::listener`], for an engine whose journal is in the same database as the jobs: what an execution does is written to its job in the
/// same commit, and only what cannot be is told. `retention_millis` is how long a job is kept after its end.
#[must_use]
pub fn recorder(
    to: Arc<dyn Listener>,
    jobs: SqliteStore,
    retention_millis: Option<i64>,
) -> Arc<dyn workflow::Listener> {
    Arc::new(Records {
        tells: embedded::listener(to),
        jobs,
        retention_millis,
    })
}

#[derive(Debug)]
struct Records {
    tells: Arc<dyn workflow::Listener>,
    jobs: SqliteStore,
    retention_millis: Option<i64>,
}

impl workflow::Listener for Records {
    fn record(
        &self,
        write: &mut sqlite::Write<'_>,
        events: &[workflow::ExecutionEvent],
    ) -> rusqlite::Result<bool> {
        let events = events.iter().cloned().map(embedded::translate);
        let (id, change, at) = match change_of_all(events, self.retention_millis) {
            Recorded::NoJob => return Ok(true),
            Recorded::Later => return Ok(false),
            Recorded::Change(id, change, at) => (id, change, at),
        };
        let before = write.connection().total_changes();
        match self.jobs.apply_within(write, id, &change, at) {
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(true),
            // A row that cannot be read must not take the whole group with it: the listener sees to the job.
            Err(_) if write.connection().total_changes() == before => Ok(false),
            // Wrapped, so that a fault of the job's tables is not taken for one of the journal's.
            Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
        }
    }

    fn notify(&self, event: workflow::ExecutionEvent) {
        self.tells.notify(event);
    }
}
