//! The writer. It takes all requests in the queue, runs them in one transaction, commits once, and
//! then replies to all of them. Many writes therefore share one sync of the disk, and a single
//! write does not wait for others.
//!
//! The writer has its own thread. If no other thread writes, the caller's thread writes by
//! itself, which saves two switches between threads.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rusqlite::Connection;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::error::failure;
use crate::limits::{CHECKPOINT_PAGES, GROUP_REQUESTS, GROUP_TIME, LOG_PAGES};
use crate::queue::{NotTaken, Queue};
use crate::request::{AfterCommit, Ran, Request, Write, WriteRequest};

thread_local! {
    /// Pages in the write-ahead log after the last commit on this thread.
    static WAL_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// The writer with the queue of its requests.
pub(crate) struct Writing {
    queue: Queue,
    /// `None` after a panic of the writer.
    writer: Mutex<Option<Writer>>,
}

/// The writing connection and the requests that it works on.
struct Writer {
    connection: Connection,
    requests: VecDeque<Request>,
    group: Group,
    /// Pages in the write-ahead log.
    wal_pages: u32,
    checkpoint_due: bool,
    /// Whether the last group had a single request.
    last_group_was_single: bool,
}

impl Writing {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            queue: Queue::default(),
            writer: Mutex::new(Some(Writer::new(connection))),
        }
    }

    /// Queues a request, and runs it on this thread if possible, see [`Writing::write_here`].
    pub(crate) fn write(&self, request: Request) -> Result<(), NotTaken> {
        if self.queue.push(request)? && !self.write_here() {
            self.queue.wake();
        }
        Ok(())
    }

    /// Queues a request for the writer's thread.
    pub(crate) fn enqueue(&self, request: Request) -> Result<(), NotTaken> {
        if self.queue.push(request)? {
            self.queue.wake();
        }
        Ok(())
    }

    /// Refuses further requests. Those in the queue are still done.
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    /// The writer's thread: runs until the queue is closed and empty.
    pub(crate) fn run(&self) {
        let mut open = true;
        while open {
            open = self.queue.wait();
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            open &= self.guarded(&mut writer, |writer| {
                writer.checkpoint();
                while writer.work(&self.queue) {
                    writer.checkpoint();
                }
            });
        }
    }

    /// Runs the queued requests on the caller's own thread. Only if that thread may block, no other
    /// thread writes, and the last group had a single request: under concurrent writes, the
    /// writer's thread gathers larger groups. `false` if the writer's thread must be woken.
    fn write_here(&self) -> bool {
        let Ok(mut writer) = self.writer.try_lock() else {
            return false;
        };
        if !writer
            .as_ref()
            .is_some_and(|writer| writer.last_group_was_single)
            || !may_block()
        {
            return false;
        }
        let mut rest = false;
        tokio::task::block_in_place(|| {
            self.guarded(&mut writer, |writer| {
                writer.work(&self.queue);
                rest = !writer.requests.is_empty() || writer.checkpoint_due;
            })
        });
        drop(writer);
        if rest || !self.queue.is_empty() {
            self.queue.wake();
        }
        true
    }

    /// Runs `work`. After a panic in it the queue is abandoned, so that no caller waits for ever.
    /// `false` if the writer has panicked, now or before.
    fn guarded(&self, writer: &mut Option<Writer>, work: impl FnOnce(&mut Writer)) -> bool {
        let Some(alive) = writer else {
            return false;
        };
        let worked = catch_unwind(AssertUnwindSafe(|| work(alive)));
        if worked.is_err() {
            tracing::error!("the database's writer panicked: nothing is written any more");
            *writer = None;
            self.queue.abandon();
        }
        worked.is_ok()
    }
}

/// Whether this thread may block: its runtime lets another thread take its place.
fn may_block() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

impl Writer {
    fn new(connection: Connection) -> Self {
        // Replaces SQLite's own checkpoint, which would run inside a commit while its callers wait.
        connection.wal_hook(Some(|_, pages| {
            WAL_PAGES.set(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        Self {
            connection,
            requests: VecDeque::new(),
            group: Group::default(),
            wal_pages: 0,
            checkpoint_due: false,
            last_group_was_single: true,
        }
    }

    /// Runs one group, or one request that runs alone. `false` if the queue is empty.
    fn work(&mut self, queue: &Queue) -> bool {
        if self.requests.is_empty() {
            queue.take(&mut self.requests, GROUP_REQUESTS);
        }
        match self.requests.pop_front() {
            None => return false,
            Some(Request::Alone(f)) => f(&mut self.connection),
            Some(first @ Request::Write(_)) => {
                self.requests.push_front(first);
                WAL_PAGES.set(self.wal_pages);
                let written = self.group.run(&self.connection, &mut self.requests, queue);
                self.wal_pages = WAL_PAGES.get();
                self.checkpoint_due = self.wal_pages >= CHECKPOINT_PAGES;
                self.last_group_was_single = written == 1;
            }
        }
        true
    }

    /// Copies the log into the database file if it has grown. Runs after the callers have their
    /// replies.
    fn checkpoint(&mut self) {
        if !std::mem::take(&mut self.checkpoint_due) {
            return;
        }
        // PASSIVE never waits. RESTART waits for readers (at most LOCK_WAIT), and then the log
        // restarts.
        let mode = if self.wal_pages < LOG_PAGES {
            "PASSIVE"
        } else {
            "RESTART"
        };
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = self.connection.query_row(&sql, [], |_| Ok(())) {
            tracing::warn!(error = %error, pages = self.wal_pages, "the write-ahead log could not be copied into the database; it will be tried again");
        }
    }
}

/// One transaction on its way to the disk.
#[derive(Default)]
struct Group {
    done: Vec<Box<dyn WriteRequest>>,
    after: Vec<AfterCommit>,
    number: u64,
}

impl Group {
    /// Takes requests until the queue is empty, a limit is reached, or the next one must run alone.
    /// Then commits and replies. Returns the number of requests.
    fn run(
        &mut self,
        connection: &Connection,
        requests: &mut VecDeque<Request>,
        queue: &Queue,
    ) -> usize {
        self.number += 1;
        let committed = self
            .fill(connection, requests, queue)
            .and_then(|()| execute(connection, "COMMIT"));
        if let Err(error) = &committed {
            tracing::error!(error = %error, requests = self.done.len(), "a group of writes was not committed");
            self.after.clear();
            if !connection.is_autocommit()
                && let Err(error) = execute(connection, "ROLLBACK")
            {
                tracing::error!(error = %error, "the transaction could not be undone");
            }
        }
        for f in self.after.drain(..) {
            f();
        }
        let outcome = committed.as_ref().copied();
        let count = self.done.len();
        for request in self.done.drain(..) {
            request.reply(outcome);
        }
        count
    }

    fn fill(
        &mut self,
        connection: &Connection,
        requests: &mut VecDeque<Request>,
        queue: &Queue,
    ) -> rusqlite::Result<()> {
        let begun = Instant::now();
        let begin = execute(connection, "BEGIN IMMEDIATE");
        loop {
            match requests.pop_front() {
                Some(Request::Write(mut request)) => {
                    let ran = match &begin {
                        Ok(()) => self.one(connection, request.as_mut()),
                        Err(_) => Ok(()),
                    };
                    self.done.push(request);
                    ran?;
                }
                Some(alone @ Request::Alone(_)) => {
                    requests.push_front(alone);
                    break;
                }
                None => {}
            }
            if self.done.len() >= GROUP_REQUESTS || begun.elapsed() >= GROUP_TIME {
                break;
            }
            if requests.is_empty() {
                queue.take(requests, GROUP_REQUESTS - self.done.len());
                if requests.is_empty() {
                    break;
                }
            }
        }
        begin
    }

    /// Runs one request. An error fails the whole group.
    fn one(
        &mut self,
        connection: &Connection,
        request: &mut dyn WriteRequest,
    ) -> rusqlite::Result<()> {
        let (callbacks, changes) = (self.after.len(), connection.total_changes());
        let savepoint = request.may_fail_half_way();
        if savepoint {
            execute(connection, "SAVEPOINT request")?;
        }
        let ran = request.run(&mut Write::new(connection, &mut self.after, self.number));
        if connection.is_autocommit() {
            // SQLite rolls back the whole transaction on some errors (disk full, no memory, I/O).
            return Err(failure(
                rusqlite::ffi::SQLITE_ABORT_ROLLBACK,
                "the disk is full or failed while another write of the same commit was made; the commit was undone",
            ));
        }
        if ran == Ran::Refused {
            self.after.truncate(callbacks);
            if savepoint {
                execute(connection, "ROLLBACK TO request")?;
            } else if connection.total_changes() != changes {
                return Err(failure(
                    rusqlite::ffi::SQLITE_ABORT_ROLLBACK,
                    "another write of the same commit failed half-way; the commit was undone: try again",
                ));
            }
        }
        if savepoint {
            execute(connection, "RELEASE request")?;
        }
        Ok(())
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
