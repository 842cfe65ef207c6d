//! The writer. It takes every request that waits, runs them in one transaction, commits once, and then answers them all: many
//! writes share one sync of the disk, and a lone write waits for nobody. It has a thread of its own; a caller who finds nobody else there
//! writes itself, which spares two ways between threads.

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
    /// Pages in the write-ahead log after the last commit that this thread made.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
}

/// Who writes, and what waits for it.
pub(crate) struct Writing {
    queue: Queue,
    /// `None` once it has panicked.
    writer: Mutex<Option<Writer>>,
}

/// The connection that writes, and what is on its way through it.
struct Writer {
    connection: Connection,
    requests: VecDeque<Request>,
    group: Group,
    /// Pages in the write-ahead log.
    logged: u32,
    checkpoint_due: bool,
    /// Whether the last group had one request only.
    lonely: bool,
}

impl Writing {
    pub(crate) fn new(connection: Connection) -> Writing {
        Writing {
            queue: Queue::default(),
            writer: Mutex::new(Some(Writer::new(connection))),
        }
    }

    /// Takes a request, and does it on this thread where that may be, see [`Writing::write_here`].
    pub(crate) fn write(&self, request: Request) -> Result<(), NotTaken> {
        if self.queue.push(request)? && !self.write_here() {
            self.queue.wake();
        }
        Ok(())
    }

    /// Leaves a request to the writer's thread.
    pub(crate) fn ask(&self, request: Request) -> Result<(), NotTaken> {
        if self.queue.push(request)? {
            self.queue.wake();
        }
        Ok(())
    }

    /// Takes no more requests. Those that wait are still done.
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

    /// Lets the caller's own thread write what waits, if that thread may block and nobody else writes: now, or for the last group, since
    /// where many write, the writer's thread gathers more of them. `false`: that thread must be woken.
    fn write_here(&self) -> bool {
        let Ok(mut writer) = self.writer.try_lock() else {
            return false;
        };
        if !writer.as_ref().is_some_and(|writer| writer.lonely) || !may_block() {
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

    /// Nobody waits for a writer that is no more. `false`: it is.
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

/// Whether this thread is one of a runtime that has another one take its place meanwhile.
fn may_block() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

impl Writer {
    fn new(connection: Connection) -> Writer {
        // Instead of SQLite's own checkpoint, which would run inside a commit while its callers wait.
        connection.wal_hook(Some(|_, pages| {
            LOGGED.set(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        Writer {
            connection,
            requests: VecDeque::new(),
            group: Group::default(),
            logged: 0,
            checkpoint_due: false,
            lonely: true,
        }
    }

    /// One group, or one request that runs alone. `false`: nothing waits.
    fn work(&mut self, queue: &Queue) -> bool {
        if self.requests.is_empty() {
            queue.take(&mut self.requests, GROUP_REQUESTS);
        }
        match self.requests.pop_front() {
            None => return false,
            Some(Request::Alone(f)) => f(&mut self.connection),
            Some(first @ Request::Write(_)) => {
                self.requests.push_front(first);
                LOGGED.set(self.logged);
                let written = self.group.run(&self.connection, &mut self.requests, queue);
                self.logged = LOGGED.get();
                self.checkpoint_due = self.logged >= CHECKPOINT_PAGES;
                self.lonely = written == 1;
            }
        }
        true
    }

    /// Copies the log into the database file when it has grown, after the callers have their answers.
    fn checkpoint(&mut self) {
        if !std::mem::take(&mut self.checkpoint_due) {
            return;
        }
        // The plain one never waits; the other waits for readers (at most LOCK_WAIT), and then the log begins anew.
        let mode = if self.logged < LOG_PAGES {
            "PASSIVE"
        } else {
            "RESTART"
        };
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = self.connection.query_row(&sql, [], |_| Ok(())) {
            tracing::warn!(error = %error, pages = self.logged, "the write-ahead log could not be copied into the database; it will be tried again");
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
    /// Takes requests until none waits, a bound is reached, or one must run alone; commits; answers. Returns how many there were.
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
        let answer = committed.as_ref().copied();
        let count = self.done.len();
        for request in self.done.drain(..) {
            request.answer(answer);
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

    /// One request. An error is the whole group's.
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
            // SQLite answers some errors (no room, no memory, I/O) by undoing the whole transaction.
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
