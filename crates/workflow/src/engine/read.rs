//! What is asked of executions: their rows, their histories, how they stand.

use std::sync::Arc;

use super::error::EngineError;
use super::journal::{self, Filter, Stored};
use super::loaded::{self, Steps};
use super::model::{Description, ExecutionEvent, History, Listed, Status, limits};
use super::{Engine, Inner};
use crate::timers::timestamp;

impl Engine {
    /// The execution as it is now, with all that happened so far.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn describe(&self, name: &str) -> Result<Option<Description>, EngineError> {
        let name = name.to_owned();
        let record = self
            .inner
            .database
            .read(move |connection| journal::newest_record(connection, &name))
            .await
            .map_err(unread)?;
        let Some(record) = record else {
            return Ok(None);
        };
        let mut steps = Steps::default();
        let rebuilt = self.inner.rebuild(&record, |change| steps.add(change));
        let (position, at) = match &rebuilt {
            Ok(loaded) => (loaded.position(), loaded.last_at()),
            Err(_) => (
                record.position,
                record.row.stopped.unwrap_or(record.row.started),
            ),
        };
        let row = record.row;
        let end = row.end();
        let is_redrivable = end.is_some() && rebuilt.is_ok_and(|loaded| loaded.is_redrivable());
        Ok(Some(Description {
            is_redrivable,
            so_far: ExecutionEvent {
                execution: row.name.clone(),
                machine: row.machine.clone(),
                position,
                at: timestamp(row.stopped.unwrap_or(at)),
                redrives: row.redrives,
                steps: steps.into_changes(),
                end,
            },
            name: row.name,
            machine: row.machine,
            input: row.input,
            started: timestamp(row.started),
            stopped: row.stopped.map(timestamp),
            status: row.status,
        }))
    }

    /// The history after the event with the id `after`, at most `limit` events
    /// ([`limits::HISTORY_PAGE`] at most).
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn history(
        &self,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<History, EngineError> {
        let row = self.inner.newest(name, None).await?;
        self.inner.history(row.id, after, limit).await
    }

    /// Executions, the newest first, with ids below `before`; of one state machine, in one status.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn list(
        &self,
        machine: Option<&str>,
        status: Option<Status>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Listed>, EngineError> {
        let filter = Filter {
            machine: machine.map(str::to_owned),
            status,
            ..Filter::default()
        };
        let rows = self.rows(filter, before, limit).await?;
        let listed = rows.into_iter().map(|row| Listed {
            id: row.id,
            name: row.name,
            machine: row.machine,
            status: row.status,
            started: timestamp(row.started),
            stopped: row.stopped.map(timestamp),
        });
        Ok(listed.collect())
    }

    pub(crate) async fn rows(
        &self,
        filter: Filter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Stored>, EngineError> {
        let (before, limit) = (before.unwrap_or(i64::MAX), limit.min(limits::LIST_PAGE));
        self.inner
            .database
            .read(move |connection| journal::list(connection, &filter, before, limit))
            .await
            .map_err(unread)
    }

    /// The execution that a map run belongs to.
    pub(crate) async fn row_of_map_run(&self, arn: &str) -> Result<Option<Stored>, EngineError> {
        let arn = arn.to_owned();
        self.inner
            .database
            .read_row(move |connection| journal::by_map_run(connection, &arn))
            .await
            .map_err(unread)
    }

    /// The map runs of an execution, in the order in which they began.
    pub(crate) async fn map_runs(&self, row: Stored) -> Result<Vec<asl::MapRun>, EngineError> {
        let loaded = self.rebuilt(row).await?;
        Ok(loaded.map_or_else(Vec::new, |loaded| loaded.map_runs().to_vec()))
    }

    pub(super) async fn rebuilt(
        &self,
        row: Stored,
    ) -> Result<Option<Box<loaded::LoadedExecution>>, EngineError> {
        let record = self
            .inner
            .database
            .read(move |connection| journal::record(connection, row))
            .await
            .map_err(unread)?;
        Ok(self.inner.rebuild(&record, |_| {}).ok())
    }

    pub(crate) async fn row(&self, name: &str, machine: &str) -> Result<Stored, EngineError> {
        self.inner.newest(name, Some(machine)).await
    }

    pub(crate) async fn history_of(
        &self,
        row: &Stored,
        after: u64,
        limit: usize,
    ) -> Result<History, EngineError> {
        self.inner.history(row.id, after, limit).await
    }

    pub(crate) async fn definition_of(&self, row: &Stored) -> Result<Arc<str>, EngineError> {
        let hash = row.hash;
        self.inner
            .database
            .read_row(move |connection| journal::definition(connection, &hash))
            .await
            .map_err(unread)
    }
}

impl Inner {
    pub(super) async fn find(
        &self,
        name: &str,
        machine: Option<&str>,
    ) -> Result<Vec<Stored>, EngineError> {
        let (name, machine) = (name.to_owned(), machine.map(str::to_owned));
        self.database
            .read_row(move |connection| journal::find(connection, &name, machine.as_deref()))
            .await
            .map_err(unread)
    }

    pub(super) async fn newest(
        &self,
        name: &str,
        machine: Option<&str>,
    ) -> Result<Stored, EngineError> {
        let rows = self.find(name, machine).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| EngineError::UnknownExecution(name.to_owned()))
    }

    pub(super) async fn history(
        &self,
        id: i64,
        after: u64,
        limit: usize,
    ) -> Result<History, EngineError> {
        let limit = limit.clamp(1, limits::HISTORY_PAGE);
        let pages = self
            .database
            .read(move |connection| journal::history(connection, id, after, limit))
            .await
            .map_err(unread)?;
        let mut events = Vec::new();
        for page in pages {
            let page: Vec<serde_json::Value> = serde_json::from_str(&page)
                .map_err(|error| EngineError::Journal(Arc::new(error)))?;
            events.extend(
                page.into_iter()
                    .filter(|event| event["id"].as_u64() > Some(after)),
            );
        }
        let more = events.len() > limit;
        events.truncate(limit);
        let next = more.then(|| after + limit as u64);
        Ok(History { events, next })
    }
}

fn unread<E: std::error::Error + Send + Sync + 'static>(
    error: sqlite::ReadError<E>,
) -> EngineError {
    EngineError::Journal(Arc::new(error))
}
