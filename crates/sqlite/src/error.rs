//! Errors of opening, writing and reading.

use std::path::PathBuf;

/// The database could not be opened or migrated to the version of this program.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file was written by a newer program.
    #[error(
        "the data directory was written by a newer jobcast: its {component} tables are at version {found}, and this program supports them up to \
         version {known}; use a newer jobcast, or another --data directory"
    )]
    Newer {
        /// The component whose tables they are.
        component: &'static str,
        /// The version in the file.
        found: u32,
        /// The last version that this program supports.
        known: u32,
    },
    /// The file exists, but it is not a database or is damaged.
    #[error(
        "{} is not a database that can be used: {source}; restore it from a backup, or use another --data directory", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file cannot be opened, read or written.
    #[error(
        "the database {} cannot be opened: {source}; check that the directory exists, may be written and has room", path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A migration failed; nothing of it is kept.
    #[error("the {component} tables cannot be brought to version {version}: {source}")]
    Migrate {
        /// The component whose tables they are.
        component: &'static str,
        /// The version that the migration leads to.
        version: u32,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The file system cannot hold a write-ahead log (some network file systems).
    #[error(
        "the database {} cannot keep a write-ahead log (journal mode `{mode}`): put the data directory on a local disk", path.display()
    )]
    NoLog {
        /// The file.
        path: PathBuf,
        /// The mode that SQLite fell back to.
        mode: String,
    },
    /// The writer's thread could not be started.
    #[error("the database's writer thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The writer has ended.
    #[error("the database is closed")]
    Closed,
}

/// A write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The error that the closure returned. Nothing of this request is kept; the other requests of
    /// its group are.
    #[error("{0}")]
    Refused(E),
    /// The commit failed, or another request of the group made it fail (`SQLITE_ABORT_ROLLBACK`),
    /// or the queue is full (`SQLITE_BUSY`). Nothing of the group is kept.
    #[error("the write was not committed: {0}")]
    Failed(#[source] rusqlite::Error),
    /// The writer has ended.
    #[error("the database is closed")]
    Closed,
}

/// A read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The error that the closure returned.
    #[error("{0}")]
    Refused(E),
    /// No connection could be opened for reading.
    #[error("the database cannot be read: {0}")]
    Failed(#[source] rusqlite::Error),
    /// The writer has ended. (It also reads if the database is in memory.)
    #[error("the database is closed")]
    Closed,
}

/// A copy of the error, for another caller.
pub(crate) fn again(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => {
            rusqlite::Error::SqliteFailure(*code, text.clone())
        }
        other => failure(rusqlite::ffi::SQLITE_ERROR, &other.to_string()),
    }
}

pub(crate) fn failure(code: i32, text: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(text.to_owned()))
}
