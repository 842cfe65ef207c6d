//! The tables of the engine and every statement on them. It decides nothing.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::model::{End, Status, status_code, status_of_code};

/// Bits of a journal key that count an execution's rows; the others are the execution's id. One
/// index, and each execution's rows together.
const SEQUENCE_BITS: u32 = 26;

pub(super) const MIGRATIONS: &[&str] = &["
CREATE TABLE workflow_definition (
    hash BLOB PRIMARY KEY,          -- SHA-256 of the text
    text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE workflow_execution (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    machine TEXT NOT NULL,
    definition BLOB NOT NULL,       -- the one it started with
    kind INTEGER NOT NULL,          -- 0 standard, 1 express
    seed INTEGER NOT NULL,
    input TEXT NOT NULL,
    started INTEGER NOT NULL,       -- microseconds since the Unix epoch, as every time here
    status INTEGER NOT NULL,        -- 0 running, 1 succeeded, 2 failed, 3 timed out, 4 aborted
    stopped INTEGER,
    output TEXT,
    error TEXT,
    cause TEXT,
    redrives INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX workflow_execution_name ON workflow_execution (name, machine);
CREATE INDEX workflow_execution_machine ON workflow_execution (machine);
CREATE INDEX workflow_execution_open ON workflow_execution (id) WHERE status = 0;
CREATE INDEX workflow_execution_stopped ON workflow_execution (stopped) WHERE stopped IS NOT NULL;
CREATE TABLE workflow_journal (
    key INTEGER PRIMARY KEY,        -- the execution's id, shifted by 26 bits, and a number that rises by one
    at INTEGER NOT NULL,
    event TEXT NOT NULL,            -- what was handled, JSON
    history TEXT NOT NULL,          -- the history events that came of it, a JSON array
    position INTEGER NOT NULL,      -- the id of the last history event so far
    wake INTEGER,                   -- the earliest timer that is armed now
    busy INTEGER NOT NULL           -- 1 when a task or a turn is to be run again after a crash
);
", "
ALTER TABLE workflow_execution ADD COLUMN account TEXT;     -- these are null where they are as for the directory
ALTER TABLE workflow_execution ADD COLUMN role TEXT;
ALTER TABLE workflow_execution ADD COLUMN version INTEGER;
ALTER TABLE workflow_execution ADD COLUMN alias TEXT;
CREATE TABLE workflow_map_run (
    arn TEXT PRIMARY KEY,
    execution INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX workflow_map_run_execution ON workflow_map_run (execution);
", "
-- Rows in the order in which they are written: the turns of one commit share pages, even of
-- different executions.
ALTER TABLE workflow_journal RENAME TO workflow_journal_by_key;
CREATE TABLE workflow_journal (
    row INTEGER PRIMARY KEY,
    key INTEGER NOT NULL UNIQUE,    -- the rest as before
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    history TEXT NOT NULL,
    position INTEGER NOT NULL,
    wake INTEGER,
    busy INTEGER NOT NULL
);
INSERT INTO workflow_journal (key, at, event, history, position, wake, busy)
    SELECT key, at, event, history, position, wake, busy FROM workflow_journal_by_key ORDER BY key;
DROP TABLE workflow_journal_by_key;
"];

/// What an execution has of the record that it was started from. All empty for a state machine of
/// the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The account in its ARNs.
    pub(crate) account: Option<Arc<str>>,
    pub(crate) role: Option<Arc<str>>,
    pub(crate) version: Option<u32>,
    pub(crate) alias: Option<Arc<str>>,
}

/// A new execution's row.
#[derive(Clone, Debug)]
pub(super) struct NewExecution {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) machine: Arc<str>,
    pub(super) hash: [u8; 32],
    /// `None` when the definition is known to be stored.
    pub(super) text: Option<Arc<str>>,
    pub(super) kind: asl::WorkflowType,
    pub(super) seed: u64,
    pub(super) input: Arc<str>,
    pub(super) started: i64,
    pub(super) origin: Origin,
}

/// One call of `handle`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: i64,
    pub(super) at: i64,
    pub(super) event: String,
    pub(super) history: String,
    pub(super) position: u64,
    pub(super) wake: Option<i64>,
    pub(super) busy: bool,
    /// ARNs of the map runs that began.
    pub(super) map_runs: Vec<String>,
}

/// An execution's row.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) name: Arc<str>,
    pub(crate) machine: Arc<str>,
    pub(crate) hash: [u8; 32],
    pub(crate) kind: asl::WorkflowType,
    pub(crate) seed: u64,
    pub(crate) input: Arc<str>,
    pub(crate) started: i64,
    pub(crate) status: Status,
    pub(crate) stopped: Option<i64>,
    pub(crate) output: Option<Arc<str>>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) redrives: u32,
    pub(crate) origin: Origin,
}

impl Stored {
    pub(crate) fn end(&self) -> Option<End> {
        (self.status != Status::Running).then(|| End {
            status: self.status,
            output: self.output.clone(),
            error: self.error.clone(),
            cause: self.cause.clone(),
        })
    }
}

/// A row with the events that lead to where it is.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) row: Stored,
    pub(super) definition: Arc<str>,
    /// Event (JSON) and time.
    pub(super) events: Vec<(String, i64)>,
    pub(super) position: u64,
}

fn key(execution: i64, sequence: i64) -> i64 {
    (execution << SEQUENCE_BITS) | sequence
}

fn keys(execution: i64) -> (i64, i64) {
    (key(execution, 0), key(execution, (1 << SEQUENCE_BITS) - 1))
}

/// Whether the execution is new; nothing is written when its name is taken.
pub(super) fn insert(connection: &Connection, new: &NewExecution) -> rusqlite::Result<bool> {
    let kind = i64::from(new.kind == asl::WorkflowType::Express);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO workflow_execution (id, name, machine, definition, kind, seed, input, started, status, account, role, version, alias)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12) ON CONFLICT (name, machine) DO NOTHING",
        )?
        .execute(params![
            new.id,
            new.name,
            new.machine,
            new.hash,
            kind,
            new.seed as i64,
            new.input,
            new.started,
            new.origin.account,
            new.origin.role,
            new.origin.version,
            new.origin.alias,
        ])?;
    if inserted == 1
        && let Some(text) = &new.text
    {
        connection
            .prepare_cached(
                "INSERT INTO workflow_definition (hash, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![new.hash, text])?;
    }
    Ok(inserted == 1)
}

pub(super) fn append(
    connection: &Connection,
    execution: i64,
    entries: &[Entry],
    reopened: bool,
    end: Option<(&End, i64)>,
) -> rusqlite::Result<()> {
    if reopened {
        connection
            .prepare_cached(
                "UPDATE workflow_execution
                 SET status = 0, stopped = NULL, output = NULL, error = NULL, cause = NULL, redrives = redrives + 1 WHERE id = ?1",
            )?
            .execute([execution])?;
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO workflow_journal (key, at, event, history, position, wake, busy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for entry in entries {
        statement.execute(params![
            key(execution, entry.sequence),
            entry.at,
            entry.event,
            entry.history,
            entry.position as i64,
            entry.wake,
            entry.busy
        ])?;
        for arn in &entry.map_runs {
            connection
                .prepare_cached("INSERT INTO workflow_map_run (arn, execution) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![arn, execution])?;
        }
    }
    if let Some((end, at)) = end {
        connection
            .prepare_cached(
                "UPDATE workflow_execution SET status = ?2, stopped = ?3, output = ?4, error = ?5, cause = ?6 WHERE id = ?1",
            )?
            .execute(params![execution, status_code(end.status), at, end.output, end.error, end.cause])?;
    }
    Ok(())
}

const COLUMNS: &str = "id, name, machine, definition, kind, seed, input, started, status, stopped, output, error, cause, redrives, \
                       account, role, version, alias";

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        name: row.get(1)?,
        machine: row.get(2)?,
        hash: row.get(3)?,
        kind: if row.get::<_, i64>(4)? == 1 {
            asl::WorkflowType::Express
        } else {
            asl::WorkflowType::Standard
        },
        seed: row.get::<_, i64>(5)? as u64,
        input: row.get(6)?,
        started: row.get(7)?,
        status: status_of_code(row.get(8)?),
        stopped: row.get(9)?,
        output: row.get(10)?,
        error: row.get(11)?,
        cause: row.get(12)?,
        redrives: row.get(13)?,
        origin: Origin {
            account: row.get(14)?,
            role: row.get(15)?,
            version: row.get(16)?,
            alias: row.get(17)?,
        },
    })
}

/// Executions with this name, the newest first; of one state machine when it is named.
pub(super) fn find(
    connection: &Connection,
    name: &str,
    machine: Option<&str>,
) -> rusqlite::Result<Vec<Stored>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM workflow_execution WHERE name = ?1 AND (?2 IS NULL OR machine = ?2) ORDER BY id DESC"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(params![name, machine], stored)?
        .collect()
}

pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM workflow_execution WHERE id = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row([id], stored)
        .optional()
}

pub(super) fn definition(connection: &Connection, hash: &[u8; 32]) -> rusqlite::Result<Arc<str>> {
    connection
        .prepare_cached("SELECT text FROM workflow_definition WHERE hash = ?1")?
        .query_row([hash], |row| row.get(0))
}

/// The row with its whole journal.
pub(super) fn record(connection: &Connection, row: Stored) -> rusqlite::Result<Record> {
    let definition = definition(connection, &row.hash)?;
    let (first, last) = keys(row.id);
    let mut statement = connection.prepare_cached(
        "SELECT event, at, position FROM workflow_journal WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let mut rows = statement.query([first, last])?;
    let (mut events, mut position) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        events.push((row.get(0)?, row.get(1)?));
        position = row.get::<_, i64>(2)? as u64;
    }
    Ok(Record {
        row,
        definition,
        events,
        position,
    })
}

/// The newest execution with this name and its whole journal, both of one moment.
pub(super) fn newest_record(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<Record>> {
    // Where the database is in memory the writer reads, and there is no concurrent write.
    let moment = connection
        .is_autocommit()
        .then(|| connection.unchecked_transaction())
        .transpose()?;
    let row = find(connection, name, None)?.into_iter().next();
    let found = row.map(|row| record(connection, row)).transpose();
    drop(moment);
    found
}

pub(super) fn last_sequence(connection: &Connection, execution: i64) -> rusqlite::Result<i64> {
    let (first, last) = keys(execution);
    connection
        .prepare_cached(
            "SELECT key FROM workflow_journal WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1",
        )?
        .query_row([first, last], |row| row.get::<_, i64>(0))
        .optional()
        .map(|key| key.map_or(0, |key| key & ((1 << SEQUENCE_BITS) - 1)))
}

/// The pages of history events (JSON arrays) that hold what comes after the event with the id
/// `after`, until `limit` is reached.
pub(super) fn history(
    connection: &Connection,
    execution: i64,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let (first, last) = keys(execution);
    let mut statement = connection.prepare_cached(
        "SELECT history, position FROM workflow_journal WHERE key BETWEEN ?1 AND ?2 AND position > ?3 ORDER BY key",
    )?;
    let mut rows = statement.query(params![first, last, after as i64])?;
    let mut pages = Vec::new();
    while let Some(row) = rows.next()? {
        pages.push(row.get(0)?);
        if row.get::<_, i64>(1)? as u64 > after.saturating_add(limit as u64) {
            break;
        }
    }
    Ok(pages)
}

/// An open execution and what it waits for: its earliest timer, and whether something is to be run
/// again.
pub(super) struct OpenExecution {
    pub(super) id: i64,
    pub(super) wake: Option<i64>,
    pub(super) busy: bool,
}

pub(super) fn open_executions(connection: &Connection) -> rusqlite::Result<Vec<OpenExecution>> {
    let ids: Vec<i64> = connection
        .prepare("SELECT id FROM workflow_execution WHERE status = 0 ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut last = connection.prepare(
        "SELECT wake, busy FROM workflow_journal WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1",
    )?;
    ids.into_iter()
        .map(|id| {
            let (from, to) = keys(id);
            let found = last
                .query_row([from, to], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (wake, busy) = found.unwrap_or((None, true));
            Ok(OpenExecution { id, wake, busy })
        })
        .collect()
}

pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT COALESCE(MAX(id), 0) FROM workflow_execution",
        [],
        |row| row.get(0),
    )
}

/// Which executions a list shows. What is empty does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) machine: Option<String>,
    pub(crate) status: Option<Status>,
    pub(crate) version: Option<u32>,
    pub(crate) alias: Option<String>,
    pub(crate) redriven: Option<bool>,
}

/// A page of executions, the newest first, with ids below `before`.
pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM workflow_execution WHERE id < ?1 AND (?2 IS NULL OR machine = ?2) AND (?3 IS NULL OR status = ?3)
         AND (?5 IS NULL OR version = ?5) AND (?6 IS NULL OR alias = ?6) AND (?7 IS NULL OR (redrives > 0) = ?7)
         ORDER BY id DESC LIMIT ?4"
    );
    connection
        .prepare_cached(&sql)?
        .query_map(
            params![
                before,
                filter.machine,
                filter.status.map(status_code),
                limit as i64,
                filter.version,
                filter.alias,
                filter.redriven,
            ],
            stored,
        )?
        .collect()
}

/// The execution that a map run belongs to.
pub(super) fn by_map_run(connection: &Connection, arn: &str) -> rusqlite::Result<Option<Stored>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM workflow_execution WHERE id = (SELECT execution FROM workflow_map_run WHERE arn = ?1)"
    );
    connection
        .prepare_cached(&sql)?
        .query_row([arn], stored)
        .optional()
}

/// Forgets at most `limit` executions that were closed before `before`; how many it forgot.
pub(super) fn purge(connection: &Connection, before: i64, limit: usize) -> rusqlite::Result<usize> {
    let ids: Vec<i64> = connection
        .prepare_cached(
            "SELECT id FROM workflow_execution WHERE stopped IS NOT NULL AND stopped < ?1 ORDER BY stopped LIMIT ?2",
        )?
        .query_map(params![before, limit as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in &ids {
        let (first, last) = keys(*id);
        connection
            .prepare_cached("DELETE FROM workflow_journal WHERE key BETWEEN ?1 AND ?2")?
            .execute([first, last])?;
        connection
            .prepare_cached("DELETE FROM workflow_map_run WHERE execution = ?1")?
            .execute([id])?;
        connection
            .prepare_cached("DELETE FROM workflow_execution WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(ids.len())
}
