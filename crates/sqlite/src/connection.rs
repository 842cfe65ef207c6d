//! Location of the database, and how a connection to it is configured.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::limits::{LOCK_WAIT, READER_CACHE_KIB, STATEMENTS, WRITER_CACHE_KIB};
use crate::{OpenError, limits, log};

/// Location of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In memory. It is gone when the last handle is dropped.
    Memory,
    /// In this file; its directory must exist.
    File(PathBuf),
}

impl Location {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Memory => Path::new(":memory:"),
            Self::File(path) => path,
        }
    }
}

/// The one connection that writes.
pub(crate) fn writer(location: &Location) -> Result<Connection, OpenError> {
    let path = location.path();
    let (connection, mode) =
        open_writer(path).map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
                path: path.to_owned(),
                source,
            },
            _ => OpenError::Open {
                path: path.to_owned(),
                source,
            },
        })?;
    let wanted = match location {
        Location::Memory => "memory",
        Location::File(_) => "wal",
    };
    if mode != wanted {
        return Err(OpenError::NoLog {
            path: path.to_owned(),
            mode,
        });
    }
    if let (Location::File(_), Some(path)) = (location, connection.path()) {
        // The first read creates the log.
        let read = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
        read.map_err(|source| OpenError::Open {
            path: location.path().to_owned(),
            source,
        })?;
        log::reserve(Path::new(path));
    }
    Ok(connection)
}

fn open_writer(path: &Path) -> rusqlite::Result<(Connection, String)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let mode = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    // Every commit is on disk before it is acknowledged (SQLite, "PRAGMA synchronous": FULL syncs
    // the log at each commit).
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", "off")?;
    // Keeps the log's blocks instead of freeing them: to sync a write over existing blocks is
    // cheaper.
    connection.pragma_update(
        None,
        "journal_size_limit",
        i64::from(limits::LOG_PAGES) * 4096,
    )?;
    set_up(&connection, WRITER_CACHE_KIB)?;
    Ok((connection, mode))
}

/// A connection that reads what the writer has committed.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

fn set_up(connection: &Connection, cache_kib: i32) -> rusqlite::Result<()> {
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "memory")
}
