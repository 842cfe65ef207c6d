//! The connections that read. They are opened on demand and kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::connection;
use crate::limits::READERS;

pub(crate) struct Readers {
    path: PathBuf,
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            free: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Permits to read; at most [`READERS`] reads run at once.
    pub(crate) fn permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.permits)
    }

    /// Runs `f` on a free connection, on this thread.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Connection) -> R) -> rusqlite::Result<R> {
        let free = self.lock().pop();
        let connection = match free {
            Some(connection) => connection,
            None => connection::reader(&self.path)?,
        };
        let result = f(&connection);
        // A closure that leaves a transaction open would keep the log from being checkpointed for
        // ever.
        if connection.is_autocommit() {
            self.lock().push(connection);
        }
        Ok(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
