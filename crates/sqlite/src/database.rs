//! The handle that everybody holds.

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

/// A database. Clones are handles to the same one; when the last is dropped, what waits is still written, and the file is closed.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    location: Location,
    writing: Arc<Writing>,
    /// `None` where the database is in memory: there the writer reads.
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
    pub fn open(location: &Location) -> Result<Database, OpenError> {
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
        Ok(Database {
            shared: Arc::new(Shared {
                location: location.clone(),
                writing,
                readers,
                writer: Mutex::new(Some(writer)),
            }),
        })
    }

    /// Brings the tables of `component` to the last of `migrations`, each of which was once appended and never changes. Blocks; it is for
    /// the start.
    ///
    /// # Errors
    /// [`OpenError::Newer`] when the file knows more migrations, [`OpenError::Migrate`] with nothing changed.
    pub fn migrate(
        &self,
        component: &'static str,
        migrations: &'static [&'static str],
    ) -> Result<(), OpenError> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let request = Request::Alone(Box::new(move |connection| {
            let _ = answer.send(schema::migrate(connection, component, migrations));
        }));
        self.shared
            .writing
            .ask(request)
            .map_err(|_| OpenError::Closed)?;
        answered.recv().map_err(|_| OpenError::Closed)?
    }

    /// Runs `f` in the transaction of its group and in its own savepoint, which is rolled back when `f` fails. The future is ready when the
    /// commit is on disk. The request takes its place when this is called, not when the future is polled: two calls one after the other
    /// are done in that order. It is done even if the future is dropped.
    ///
    /// The writer's thread runs `f`; or the caller's own, before this returns, where nobody else writes and a multi-thread runtime has
    /// another thread take its place meanwhile.
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

    /// As [`Database::write`], for an `f` that decides first and then only writes: without the savepoint, which costs as much as a row.
    /// What fails before it has changed anything is refused alone. What fails after that takes its whole group with it: none of the
    /// others is kept, and all may try again.
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
        let (caller, answer) = oneshot::channel();
        let pending = Pending::new(may_fail_half_way, f, caller);
        let taken = self.shared.writing.write(Request::Write(Box::new(pending)));
        async move {
            match taken {
                Ok(()) => {}
                Err(NotTaken::Full) => return Err(WriteError::Failed(busy())),
                Err(NotTaken::Closed) => return Err(WriteError::Closed),
            }
            match answer.await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Err(WriteError::Closed),
            }
        }
    }

    /// Runs `f` on a connection that reads, on a thread that may block. It sees every write that was acknowledged before.
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

    /// As [`Database::read`], on the caller's own thread: for a few rows found by their key, where going to another thread costs more
    /// than the read.
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
        let (caller, answer) = oneshot::channel();
        let request = Request::Alone(Box::new(move |connection| {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(connection)));
            let _ = caller.send(result);
        }));
        match self.shared.writing.ask(request) {
            Ok(()) => {}
            Err(NotTaken::Full) => return Err(ReadError::Failed(busy())),
            Err(NotTaken::Closed) => return Err(ReadError::Closed),
        }
        match answer.await {
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

impl Drop for Shared {
    fn drop(&mut self) {
        self.writing.close();
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last handle may be in a closure that the writer itself runs: then it ends on its own.
        if let Some(writer) = writer
            && writer.thread().id() != std::thread::current().id()
        {
            let _ = writer.join();
        }
    }
}
