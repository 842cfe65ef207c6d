//! The writes to the tables in a commit: create, apply, purge, forget.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use job::limits::{self, check};
use job::{Applied, Change, Job, JobId, Time};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use sqlite::Write;
use tokio::sync::broadcast;

use super::cache::{Cache, Committed, Stored};
use super::feed::CommittedChange;
use super::rows;
use crate::store::{CreateJob, Created, Outcome, RequestToken, StoreError};

/// Maximum number of jobs deleted in one request, so that other requests run in between.
pub(super) const PURGE_JOBS: usize = 64;
/// Maximum number of tokens and changes deleted in one request.
pub(super) const PURGE_ROWS: usize = 1_000;

/// State that the requests share: the caches of the writer and the readers, and the channel to the
/// subscribers.
#[derive(Debug)]
pub(super) struct StoreState {
    cache: Mutex<Cache>,
    committed: Mutex<Committed>,
    pub(super) live: broadcast::Sender<CommittedChange>,
}

impl StoreState {
    pub(super) fn new(live: broadcast::Sender<CommittedChange>) -> StoreState {
        StoreState {
            cache: Mutex::default(),
            committed: Mutex::default(),
            live,
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn committed(&self) -> MutexGuard<'_, Committed> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, write: &Write<'_>) {
        self.cache().enter(write.group());
    }

    /// After the commit, updates the caches and sends the change to the subscribers.
    fn announce(self: &Arc<Self>, write: &mut Write<'_>, live: CommittedChange) {
        let shared = Arc::clone(self);
        write.after_commit(move || {
            shared.cache().committed();
            if let Some(id) = live.new.as_ref().or(live.old.as_ref()).map(|job| job.id) {
                shared.committed().changed(id, live.new.clone());
            }
            // A channel without subscribers is not an error: a later one reads the table.
            let _ = shared.live.send(live);
        });
    }

    fn stored(&self, connection: &Connection, id: JobId) -> Result<Option<Stored>, StoreError> {
        if let Some(stored) = self.cache().get(id) {
            return Ok(Some(stored));
        }
        let mut statement =
            connection.prepare_cached("SELECT seq, change, job FROM jobs WHERE id = ?1")?;
        let mut found = statement.query([id.as_bytes()])?;
        let Some(row) = found.next()? else {
            return Ok(None);
        };
        Ok(Some(Stored {
            seq: row.get(0)?,
            change: row.get(1)?,
            job: rows::job(row.get_ref(2)?)?,
        }))
    }

    pub(super) fn create(
        self: &Arc<Self>,
        write: &mut Write<'_>,
        new: CreateJob,
    ) -> Result<Created, StoreError> {
        self.enter(write);
        let CreateJob {
            job,
            input,
            request,
        } = new;
        if let Some(request) = &request
            && let Some(first) = self.first_of(write.connection(), request, &job)?
        {
            return Ok(Created::Repeat(first));
        }
        let job = Arc::new(job);
        let text = rows::text(&job)?;
        let connection = write.connection();
        let change = add_change(connection, None, job.created_at, job.id, Some(&text))?;
        cached(
            connection,
            "INSERT INTO jobs (id, owner, type, status, progress, attempt, updated_at, finished_at, expires_at, change, tags, job)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            job.id.as_bytes(),
            job.owner,
            job.job_type,
            job.status.as_str(),
            job.progress,
            job.attempt,
            job.updated_at.as_millis(),
            job.finished_at.map(Time::as_millis),
            job.expires_at.map(Time::as_millis),
            change,
            rows::tags_text(&job.tags)?,
            text,
        ])?;
        let seq = connection.last_insert_rowid();
        cached(
            connection,
            "INSERT INTO inputs (seq, input) VALUES (?1, ?2)",
        )?
        .execute((seq, &*input))?;
        for tag in &job.tags {
            // A tag may occur twice in the list.
            cached(
                connection,
                "INSERT OR IGNORE INTO tags (tag, id, seq) VALUES (?1, ?2, ?3)",
            )?
            .execute((tag, job.id.as_bytes(), seq))?;
        }
        if let Some(request) = &request {
            cached(
                connection,
                "INSERT OR REPLACE INTO tokens (owner, token, digest, id, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                job.owner,
                request.token,
                request.digest,
                job.id.as_bytes(),
                request.expires_at.as_millis()
            ])?;
        }
        self.cache().wrote(Stored {
            seq,
            change,
            job: Arc::clone(&job),
        });
        self.announce(
            write,
            CommittedChange {
                position: change,
                old: None,
                new: Some(Arc::clone(&job)),
            },
        );
        Ok(Created::New(job))
    }

    /// The job that the same request created before, unless the token has expired or the job was
    /// deleted.
    fn first_of(
        &self,
        connection: &Connection,
        request: &RequestToken,
        job: &Job,
    ) -> Result<Option<Arc<Job>>, StoreError> {
        let found = cached(
            connection,
            "SELECT id, digest FROM tokens WHERE owner = ?1 AND token = ?2 AND expires_at > ?3",
        )?
        .query_row(
            (&job.owner, &request.token, job.created_at.as_millis()),
            |row| Ok((row.get(0)?, row.get::<_, [u8; 32]>(1)?)),
        )
        .optional()?;
        let Some((id, digest)) = found else {
            return Ok(None);
        };
        let first = JobId::from_bytes(id);
        let Some(stored) = self.stored(connection, first)? else {
            return Ok(None);
        };
        if digest != request.digest {
            return Err(StoreError::IdempotencyConflict {
                token: request.token.clone(),
                first,
            });
        }
        Ok(Some(stored.job))
    }

    pub(super) fn apply(
        self: &Arc<Self>,
        write: &mut Write<'_>,
        id: JobId,
        change: &Change,
        now: Time,
    ) -> Result<Outcome, StoreError> {
        self.enter(write);
        let connection = write.connection();
        let before = self
            .stored(connection, id)?
            .ok_or(StoreError::NotFound(id))?;
        let old = before.job;
        let job: Arc<Job> = match old.apply(change, now)? {
            Applied::Unchanged => return Ok(Outcome::Unchanged(old)),
            Applied::Changed(job) => Arc::from(job),
        };
        if let Some(result) = &change.result {
            check("result", "bytes", result.len(), limits::RESULT_BYTES)?;
        }
        let text = rows::text(&job)?;
        let position = add_change(
            connection,
            Some(before.change),
            job.updated_at,
            id,
            Some(&text),
        )?;
        let seq = before.seq;
        if job.status == old.status && job.expires_at == old.expires_at {
            // Touches no index except the outlines.
            cached(
                connection,
                "UPDATE jobs SET progress = ?2, attempt = ?3, updated_at = ?4, change = ?5, job = ?6 WHERE seq = ?1",
            )?
            .execute(params![
                seq,
                job.progress,
                job.attempt,
                job.updated_at.as_millis(),
                position,
                text
            ])?;
        } else {
            cached(
                connection,
                "UPDATE jobs SET status = ?2, progress = ?3, attempt = ?4, updated_at = ?5, finished_at = ?6, expires_at = ?7, change = ?8,
                 job = ?9 WHERE seq = ?1",
            )?
            .execute(params![
                seq,
                job.status.as_str(),
                job.progress,
                job.attempt,
                job.updated_at.as_millis(),
                job.finished_at.map(Time::as_millis),
                job.expires_at.map(Time::as_millis),
                position,
                text
            ])?;
        }
        if let Some(result) = change
            .result
            .as_ref()
            .filter(|_| job.status == job::Status::Succeeded)
        {
            cached(
                connection,
                "INSERT OR REPLACE INTO results (seq, result) VALUES (?1, ?2)",
            )?
            .execute((seq, &**result))?;
        }
        self.cache().wrote(Stored {
            seq,
            change: position,
            job: Arc::clone(&job),
        });
        self.announce(
            write,
            CommittedChange {
                position,
                old: Some(old),
                new: Some(Arc::clone(&job)),
            },
        );
        Ok(Outcome::Changed(job))
    }

    /// Deletes at most `at_most` jobs that expired before `now`.
    pub(super) fn purge(
        self: &Arc<Self>,
        write: &mut Write<'_>,
        now: Time,
        at_most: usize,
    ) -> Result<usize, StoreError> {
        self.enter(write);
        let connection = write.connection();
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let mut statement = cached(
            connection,
            "SELECT seq, change, job FROM jobs INDEXED BY jobs_by_expiry WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2",
        )?;
        let mut expired = Vec::new();
        let mut found = statement.query((now.as_millis(), at_most))?;
        while let Some(row) = found.next()? {
            expired.push(Stored {
                seq: row.get(0)?,
                change: row.get(1)?,
                job: rows::job(row.get_ref(2)?)?,
            });
        }
        drop(found);
        drop(statement);
        let mut gone = Vec::with_capacity(expired.len());
        for stored in &expired {
            let id = stored.job.id;
            let position = add_change(connection, Some(stored.change), now, id, None)?;
            for table in ["jobs", "inputs", "results"] {
                cached(connection, &format!("DELETE FROM {table} WHERE seq = ?1"))?
                    .execute([stored.seq])?;
            }
            for tag in &stored.job.tags {
                cached(connection, "DELETE FROM tags WHERE tag = ?1 AND id = ?2")?
                    .execute((tag, id.as_bytes()))?;
            }
            gone.push(CommittedChange {
                position,
                old: Some(Arc::clone(&stored.job)),
                new: None,
            });
        }
        for live in gone {
            if let Some(old) = &live.old {
                self.cache().deleted(old.id);
            }
            self.announce(write, live);
        }
        Ok(expired.len())
    }
}

/// Deletes expired tokens and changes that have left the feed. Returns whether there may be more of
/// them.
pub(super) fn forget(write: &mut Write<'_>, now: Time) -> Result<bool, StoreError> {
    let connection = write.connection();
    let most = i64::try_from(PURGE_ROWS).unwrap_or(i64::MAX);
    let tokens = cached(
        connection,
        "DELETE FROM tokens WHERE (owner, token) IN (SELECT owner, token FROM tokens WHERE expires_at <= ?1 LIMIT ?2)",
    )?
    .execute((now.as_millis(), most))?;
    let since = now.plus_millis(-limits::FEED_LIFE_MILLIS).as_millis();
    // The feed has no gaps: only its beginning is deleted, and its newest change is kept for its
    // number.
    let first_kept: Option<i64> = cached(
        connection,
        "SELECT min(position) FROM (SELECT position, at FROM changes ORDER BY position LIMIT ?2) WHERE at >= ?1",
    )?
    .query_row((since, most), |row| row.get(0))?;
    let changes = cached(
        connection,
        "DELETE FROM changes WHERE position < min(
             coalesce(?1, 9223372036854775807),
             (SELECT max(position) FROM changes),
             (SELECT min(position) FROM changes) + ?2)",
    )?
    .execute((first_kept, most))?;
    Ok(tokens == PURGE_ROWS || changes == PURGE_ROWS)
}

/// Adds a change at the end of the feed and returns its position.
fn add_change(
    connection: &Connection,
    previous: Option<i64>,
    at: Time,
    id: JobId,
    text: Option<&str>,
) -> Result<i64, StoreError> {
    cached(
        connection,
        "INSERT INTO changes (previous, at, id, job) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((previous, at.as_millis(), id.as_bytes(), text))?;
    Ok(connection.last_insert_rowid())
}

fn cached<'a>(connection: &'a Connection, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
    connection.prepare_cached(sql)
}
