//! The writer thread. It takes every request that waits, runs them in one transaction, commits once, and then answers them all: many
//! writes share one sync of the disk, and a lone write waits for nobody.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;

use crate::error::failure;
use crate::limits::{CHECKPOINT_PAGES, GROUP_REQUESTS, GROUP_TIME, LOG_PAGES};
use crate::queue::Queue;
use crate::request::{AfterCommit, Ran, Request, Write, WriteRequest};

thread_local! {
    /// Pages in the write-ahead log after the last commit of this thread's connection.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
}

/// Nobody waits for a writer that is no more, whatever ended it.
struct Ending<'q>(&'q Queue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Runs until the queue is closed and empty.
pub(crate) fn run(mut connection: Connection, queue: &Arc<Queue>) {
    let _ending = Ending(queue);
    // Instead of SQLite's own checkpoint, which would run inside a commit while its callers wait.
    connection.wal_hook(Some(|_, pages| {
        LOGGED.set(u32::try_from(pages).unwrap_or(0));
        Ok(())
    }));
    let mut requests = VecDeque::new();
    let mut group = Group::default();
    while !requests.is_empty() || queue.take(&mut requests, GROUP_REQUESTS, true) {
        match requests.pop_front() {
            Some(Request::Alone(f)) => f(&mut connection),
            Some(first @ Request::Write(_)) => {
                requests.push_front(first);
                group.run(&connection, &mut requests, queue);
                checkpoint(&connection);
            }
            None => {}
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
    /// Takes requests until none waits, a bound is reached, or one must run alone; commits; answers.
    fn run(&mut self, connection: &Connection, requests: &mut VecDeque<Request>, queue: &Queue) {
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
        for request in self.done.drain(..) {
            request.answer(answer);
        }
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
                queue.take(requests, GROUP_REQUESTS - self.done.len(), false);
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

/// Copies the log into the database file when it has grown, after the callers have their answers.
fn checkpoint(connection: &Connection) {
    let pages = LOGGED.get();
    if pages < CHECKPOINT_PAGES {
        return;
    }
    // The plain one never waits; the other waits for readers (at most LOCK_WAIT), and then the log begins anew.
    let mode = if pages < LOG_PAGES {
        "PASSIVE"
    } else {
        "RESTART"
    };
    let copied = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
    if let Err(error) = copied {
        tracing::warn!(error = %error, pages, "the write-ahead log could not be copied into the database; it will be tried again");
    }
}
