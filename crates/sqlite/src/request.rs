//! One request to the writer, with the way back to its caller.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::WriteError;
use crate::error::again;

/// What runs once the group is on disk.
pub(crate) type AfterCommit = Box<dyn FnOnce() + Send>;

/// What a write may use: the connection inside the group's transaction.
pub struct Write<'a> {
    connection: &'a Connection,
    after: &'a mut Vec<AfterCommit>,
    group: u64,
}

impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").finish_non_exhaustive()
    }
}

impl<'a> Write<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        after: &'a mut Vec<AfterCommit>,
        group: u64,
    ) -> Write<'a> {
        Write {
            connection,
            after,
            group,
        }
    }

    /// The number of the group; it rises. Who keeps in memory what it wrote must forget it when a later group comes and no
    /// [`Write::after_commit`] of the earlier one has run: then that one was undone.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// The connection, inside the group's transaction: do not begin, commit or roll back. Use `prepare_cached`.
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// Runs `f` once the group is on disk, where the group was written: in the order of the requests, before any caller of the group hears of
    /// it, and only if both this request and the commit succeeded. It must not block or panic.
    pub fn after_commit(&mut self, f: impl FnOnce() + Send + 'static) {
        self.after.push(Box::new(f));
    }
}

/// How the closure of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Done,
    Refused,
}

/// A request whose types are forgotten.
pub(crate) trait WriteRequest: Send {
    /// Whether it gets a savepoint of its own.
    fn may_fail_half_way(&self) -> bool;
    /// Runs the closure, once.
    fn run(&mut self, write: &mut Write<'_>) -> Ran;
    /// Tells the caller: the commit is on disk, or it failed.
    fn answer(self: Box<Self>, commit: Result<(), &rusqlite::Error>);
}

/// What the writer can be asked for.
pub(crate) enum Request {
    /// Inside a group.
    Write(Box<dyn WriteRequest>),
    /// Between two groups, outside any transaction.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// What goes back to the caller; a panic of its closure is the caller's own.
pub(crate) type Answer<T, E> = Result<Result<T, WriteError<E>>, Box<dyn Any + Send>>;

pub(crate) struct Pending<T, E, F> {
    may_fail_half_way: bool,
    closure: Option<F>,
    result: Option<Result<Result<T, E>, Box<dyn Any + Send>>>,
    caller: oneshot::Sender<Answer<T, E>>,
}

impl<T, E, F> Pending<T, E, F> {
    pub(crate) fn new(
        may_fail_half_way: bool,
        closure: F,
        caller: oneshot::Sender<Answer<T, E>>,
    ) -> Pending<T, E, F> {
        Pending {
            may_fail_half_way,
            closure: Some(closure),
            result: None,
            caller,
        }
    }
}

impl<T, E, F> WriteRequest for Pending<T, E, F>
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce(&mut Write<'_>) -> Result<T, E> + Send,
{
    fn may_fail_half_way(&self) -> bool {
        self.may_fail_half_way
    }

    fn run(&mut self, write: &mut Write<'_>) -> Ran {
        let Some(closure) = self.closure.take() else {
            return Ran::Refused;
        };
        let result = catch_unwind(AssertUnwindSafe(|| closure(write)));
        let ran = if matches!(result, Ok(Ok(_))) {
            Ran::Done
        } else {
            Ran::Refused
        };
        self.result = Some(result);
        ran
    }

    fn answer(self: Box<Self>, commit: Result<(), &rusqlite::Error>) {
        let answer = match (self.result, commit) {
            (Some(Err(panic)), _) => Err(panic),
            (_, Err(error)) => Ok(Err(WriteError::Failed(again(error)))),
            (Some(Ok(result)), Ok(())) => Ok(result.map_err(WriteError::Refused)),
            (None, Ok(())) => Ok(Err(WriteError::Closed)),
        };
        // A caller who no longer waits has nothing to hear.
        let _ = self.caller.send(answer);
    }
}
