//! Writes the events of executions to their jobs, in the commit that makes them durable.

use std::sync::Arc;

use super::change::{Recorded, change_of_all};
use super::{Listener, embedded};
use crate::store::StoreError;
use crate::store::sqlite::SqliteStore;

/// As [`embedded::listener`], for an engine whose journal is in the same database as the jobs. The
/// events of an execution are written to its job in the same commit, and only events that cannot be
/// written are passed to the listener. `retention_millis` is the time for which a finished job is
/// kept.
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
            // A row that cannot be read must not fail the whole group: the listener handles the
            // job.
            Err(_) if write.connection().total_changes() == before => Ok(false),
            // Wrapped, so that an error of the job's tables is not treated as an error of the
            // journal.
            Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
        }
    }

    fn notify(&self, event: workflow::ExecutionEvent) {
        self.tells.notify(event);
    }
}
