//! The handle to a database, shared by all its users.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::failure;
use crate::limits::QUEUE_REQUESTS;
use crate::queue::NotTaken;
use crate::readers::Readers;
use crate::request::{Pending, Request, Write};
use crate::writer::Writing;
use crate::{Location, OpenError, ReadError, WriteError, connection, schema};

/// A database. Clones are handles to the same database. When the last one is dropped, pending
/// writes are still done and the file is closed.
#[derive(Clone)]
pub struct Database {
    shared: Arc<DatabaseState>,
}

struct DatabaseState {
    location: Location,
    writing: Arc<Writing>,
    /// `None` if the database is in memory: then the writer also reads.
    readers: Option<Arc<Readers>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("location", &self.shared.location)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database, or creates it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(location: &Location) -> Result<Self, OpenError> {
        let connection = connection::writer(location)?;
        let writing = Arc::new(Writing::new(connection));
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned());
        let writer = thread.spawn({
            let writing = Arc::clone(&writing);
            move || writing.run()
        })?;
        let readers = match location {
            Location::Memory => None,
            Location::File(path) => Some(Arc::new(Readers::new(path.clone()))),
        };
        Ok(Self {
            shared: Arc::new(DatabaseState {
                location: location.clone(),
                writing,
                readers,
                writer: Mutex::new(Some(writer)),
            }),
        })
    }

    /// Brings the tables of `component` to the last of `migrations`. The list only ever grows at
    /// its end. Blocks; call it at the start.
    ///
    /// # Errors
    /// [`OpenError::Newer`] if the file has more migrations, [`OpenError::Migrate`] with nothing
    /// changed.
    pub fn migrate(
        &self,
        component: &'static str,
        migrations: &'static [&'static str],
    ) -> Result<(), OpenError> {
        let (reply, replied) = std::sync::mpsc::sync_channel(1);
        let request = Request::Alone(Box::new(move |connection| {
            let _ = reply.send(schema::migrate(connection, component, migrations));
        }));
        self.shared
            .writing
            .enqueue(request)
            .map_err(|_| OpenError::Closed)?;
        replied.recv().map_err(|_| OpenError::Closed)?
    }

    /// Runs `f` in the transaction of its group and in its own savepoint, which is rolled back if
    /// `f` fails. The future is ready when the commit is on disk. The request is queued when this
    /// is called, not when the future is polled: requests run in the order of the calls. The
    /// request runs even if the future is dropped.
    ///
    /// The writer's thread runs `f`. If no other thread writes and the caller runs on a
    /// multi-thread runtime, the caller's own thread runs it before this returns, and the runtime
    /// lets another thread take its place meanwhile.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing of `f` is kept.
    pub fn write<T, E, F>(
        &self,
        f: F,
    ) -> impl Future<Output = Result<T, WriteError<E>>> + Send + use<T, E, F>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, E> + Send + 'static,
    {
        self.push(true, f)
    }

    /// As [`Database::write`], but without the savepoint, which costs as much as a row. For an `f`
    /// that makes all its decisions before its first write. If `f` fails before it has changed
    /// anything, it is refused alone. If it fails later, its whole group fails: none of the group's
    /// requests is kept, and all may be tried again.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing of `f` is kept.
    pub fn write_decided<T, E, F>(
        &self,
        f: F,
    ) -> impl Future<Output = Result<T, WriteError<E>>> + Send + use<T, E, F>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, E> + Send + 'static,
    {
        self.push(false, f)
    }

    fn push<T, E, F>(
        &self,
        may_fail_half_way: bool,
        f: F,
    ) -> impl Future<Output = Result<T, WriteError<E>>> + Send + use<T, E, F>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, E> + Send + 'static,
    {
        let (caller, reply) = oneshot::channel();
        let pending = Pending::new(may_fail_half_way, f, caller);
        let taken = self.shared.writing.write(Request::Write(Box::new(pending)));
        async move {
            match taken {
                Ok(()) => {}
                Err(NotTaken::Full) => return Err(WriteError::Failed(busy())),
                Err(NotTaken::Closed) => return Err(WriteError::Closed),
            }
            match reply.await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Err(WriteError::Closed),
            }
        }
    }

    /// Runs `f` on a reading connection, on a thread that may block. It sees every write that was
    /// acknowledged before.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, ReadError<E>>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let Some(readers) = &self.shared.readers else {
            return self.read_in_memory(f).await;
        };
        let permit = readers.permits().acquire_owned().await;
        let readers = Arc::clone(readers);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            readers.with(f)
        });
        match reading.await {
            Ok(Ok(result)) => result.map_err(ReadError::Refused),
            Ok(Err(error)) => Err(ReadError::Failed(error)),
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(ReadError::Closed),
            },
        }
    }

    /// As [`Database::read`], but on the caller's own thread. For a few rows found by their key,
    /// where switching to another thread costs more than the read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_row<T, E, F>(&self, f: F) -> Result<T, ReadError<E>>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let Some(readers) = &self.shared.readers else {
            return self.read_in_memory(f).await;
        };
        let permits = readers.permits();
        let _permit = permits.acquire().await;
        readers
            .with(f)
            .map_err(ReadError::Failed)?
            .map_err(ReadError::Refused)
    }

    async fn read_in_memory<T, E, F>(&self, f: F) -> Result<T, ReadError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (caller, reply) = oneshot::channel();
        let request = Request::Alone(Box::new(move |connection| {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(connection)));
            let _ = caller.send(result);
        }));
        match self.shared.writing.enqueue(request) {
            Ok(()) => {}
            Err(NotTaken::Full) => return Err(ReadError::Failed(busy())),
            Err(NotTaken::Closed) => return Err(ReadError::Closed),
        }
        match reply.await {
            Ok(Ok(result)) => result.map_err(ReadError::Refused),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(ReadError::Closed),
        }
    }
}

fn busy() -> rusqlite::Error {
    let text = format!("{QUEUE_REQUESTS} requests wait for the database already: try again later");
    failure(rusqlite::ffi::SQLITE_BUSY, &text)
}

impl Drop for DatabaseState {
    fn drop(&mut self) {
        self.writing.close();
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last handle may be dropped in a closure that the writer's own thread runs. Then that
        // thread is not joined.
        if let Some(writer) = writer
            && writer.thread().id() != std::thread::current().id()
        {
            let _ = writer.join();
        }
    }
}
