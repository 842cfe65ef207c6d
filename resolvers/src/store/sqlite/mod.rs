//! The job store in SQLite: the job table, its feed and all data of a job in one file. The writer
//! of [`sqlite::Database`] writes, many requests in one commit.
//!
//! | module | what |
//! |---|---|
//! | `schema` | the tables |
//! | `write` | the requests of the writer: create, apply, purge |
//! | `cache` | the jobs that were used last |
//! | `list` | the index for a filter |
//! | `feed` | the changes, live and from the table |
//! | `rows` | a job as a row |

mod cache;
mod feed;
mod list;
mod rows;
mod schema;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use job::limits::{self, check};
use job::{Change, Job, JobId, Time};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use sqlite::{Database, OpenError, ReadError, Write, WriteError};
use tokio::sync::broadcast;

use self::write::{PURGE_JOBS, StoreState};
use super::{CreateJob, Created, Feed, JobStore, ListQuery, Outcome, Page, Position, StoreError};

/// Maximum number of requests in which one purge deletes old tokens and changes. The next purge
/// continues.
const FORGET_ROUNDS: usize = 100;

/// The job store in a SQLite database.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    database: Database,
    shared: Arc<StoreState>,
}

impl SqliteStore {
    /// The store in this database; its tables are created or migrated. There must be one store per
    /// database, since it caches what it wrote.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(database: Database) -> Result<SqliteStore, OpenError> {
        database.migrate(schema::COMPONENT, schema::MIGRATIONS)?;
        let (live, _) = broadcast::channel(feed::LIVE_CHANGES);
        Ok(SqliteStore {
            database,
            shared: Arc::new(StoreState::new(live)),
        })
    }

    /// As [`JobStore::create`], as a part of another write to the same database. The caller must
    /// check the input's size.
    ///
    /// # Errors
    /// As for [`JobStore::create`]. [`StoreError::Unavailable`] may be returned after something was
    /// written.
    pub(crate) fn create_within(
        &self,
        write: &mut Write<'_>,
        new: CreateJob,
    ) -> Result<Created, StoreError> {
        self.shared.create(write, new)
    }

    /// As [`JobStore::apply`], as a part of another write to the same database.
    ///
    /// # Errors
    /// As for [`JobStore::apply`]. [`StoreError::Unavailable`] may be returned after something was
    /// written.
    pub(crate) fn apply_within(
        &self,
        write: &mut Write<'_>,
        id: JobId,
        change: &Change,
        now: Time,
    ) -> Result<Outcome, StoreError> {
        self.shared.apply(write, id, change, now)
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn create(&self, new: CreateJob) -> Result<Created, StoreError> {
        check("input", "bytes", new.input.len(), limits::INPUT_BYTES)?;
        let shared = Arc::clone(&self.shared);
        let created = self
            .database
            .write_decided(move |write| shared.create(write, new));
        Ok(created.await?)
    }

    async fn apply(&self, id: JobId, change: Change, now: Time) -> Result<Outcome, StoreError> {
        let shared = Arc::clone(&self.shared);
        let outcome = self
            .database
            .write_decided(move |write| shared.apply(write, id, &change, now));
        Ok(outcome.await?)
    }

    async fn get(&self, id: JobId) -> Result<Option<Arc<Job>>, StoreError> {
        let heard = match self.shared.committed().get(id) {
            Ok(job) => return Ok(Some(job)),
            Err(heard) => heard,
        };
        let found = self.database.read_row(move |c| list::get(c, id)).await?;
        if let Some(job) = &found {
            self.shared.committed().was_read(job, heard);
        }
        Ok(found)
    }

    async fn get_many(&self, ids: &[JobId]) -> Result<Vec<Arc<Job>>, StoreError> {
        check("ids", "ids", ids.len(), limits::BATCH)?;
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let jobs = self.database.read(move |c| {
            let jobs = ids
                .into_iter()
                .filter_map(|id| list::get(c, id).transpose());
            jobs.collect::<Result<Vec<_>, _>>()
        });
        Ok(jobs.await?)
    }

    async fn input(&self, id: JobId) -> Result<Option<Arc<str>>, StoreError> {
        const SQL: &str =
            "SELECT input FROM jobs JOIN inputs ON inputs.seq = jobs.seq WHERE jobs.id = ?1";
        Ok(self.database.read_row(move |c| part(c, SQL, id)).await?)
    }

    async fn result(&self, id: JobId) -> Result<Option<Arc<str>>, StoreError> {
        const SQL: &str =
            "SELECT result FROM jobs JOIN results ON results.seq = jobs.seq WHERE jobs.id = ?1";
        Ok(self.database.read_row(move |c| part(c, SQL, id)).await?)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        query.check()?;
        let query = query.clone();
        Ok(self.database.read(move |c| list::list(c, &query)).await?)
    }

    async fn changes(&self, after: Option<Position>) -> Result<Feed, StoreError> {
        feed::follow(self.database.clone(), Arc::clone(&self.shared), after).await
    }

    async fn expired(&self, now: Time, at_most: usize) -> Result<Vec<JobId>, StoreError> {
        let read = self.database.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id FROM jobs INDEXED BY jobs_by_expiry WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2",
            )?;
            let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
            let ids = statement.query_map((now.as_millis(), at_most), |row| row.get(0))?;
            ids.map(|id| Ok(JobId::from_bytes(id?)))
                .collect::<Result<_, StoreError>>()
        });
        Ok(read.await?)
    }

    async fn purge(&self, now: Time, at_most: usize) -> Result<usize, StoreError> {
        let mut deleted = 0;
        while deleted < at_most {
            let shared = Arc::clone(&self.shared);
            let batch = PURGE_JOBS.min(at_most - deleted);
            let count = self
                .database
                .write(move |write| shared.purge(write, now, batch))
                .await?;
            deleted += count;
            if count < batch {
                break;
            }
        }
        for _ in 0..FORGET_ROUNDS {
            if !self
                .database
                .write(move |write| write::forget(write, now))
                .await?
            {
                break;
            }
        }
        Ok(deleted)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let written = self.database.write(|write| {
            write
                .connection()
                .execute("UPDATE probe SET checks = checks + 1", [])?;
            Ok::<_, StoreError>(())
        });
        written.await?;
        let read = self.database.read_row(|connection| {
            connection.query_row("SELECT checks FROM probe", [], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        });
        Ok(read.await?)
    }
}

fn part(connection: &Connection, sql: &str, id: JobId) -> Result<Option<Arc<str>>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let text = statement
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(text)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        let reason = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                "the disk is full: make room for the data directory".to_owned()
            }
            _ => error.to_string(),
        };
        StoreError::Unavailable {
            reason,
            source: Some(Box::new(error)),
        }
    }
}

impl From<WriteError<StoreError>> for StoreError {
    fn from(error: WriteError<StoreError>) -> StoreError {
        match error {
            WriteError::Refused(error) => error,
            WriteError::Failed(error) => error.into(),
            WriteError::Closed => closed(),
        }
    }
}

impl From<ReadError<StoreError>> for StoreError {
    fn from(error: ReadError<StoreError>) -> StoreError {
        match error {
            ReadError::Refused(error) => error,
            ReadError::Failed(error) => error.into(),
            ReadError::Closed => closed(),
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable {
        reason: "the database is closed".to_owned(),
        source: None,
    }
}
