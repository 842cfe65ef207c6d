//! One request to the writer, with the channel for its reply.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::WriteError;
use crate::error::again;

/// A callback that runs once the group is on disk.
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

    /// The number of the group; it rises. A caller that caches what it wrote must drop the cached
    /// value if a later group runs and the [`Write::after_commit`] callback of the earlier group
    /// has not run: the earlier group was rolled back.
    #[must_use]
    pub fn group(&self) -> u64 {
        self.group
    }

    /// The connection, inside the group's transaction. Do not begin, commit or roll back. Use
    /// `prepare_cached`.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// Runs `f` once the group is on disk, and only if both this request and the commit succeeded.
    /// Callbacks run on the thread that wrote the group, in the order of the requests, before any
    /// caller of the group gets its reply. `f` must not block or panic.
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

/// A request whose types are erased.
pub(crate) trait WriteRequest: Send {
    /// Whether the request gets its own savepoint.
    fn may_fail_half_way(&self) -> bool;
    /// Runs the closure, once.
    fn run(&mut self, write: &mut Write<'_>) -> Ran;
    /// Sends the reply to the caller: the commit is on disk, or it failed.
    fn reply(self: Box<Self>, commit: Result<(), &rusqlite::Error>);
}

/// A request to the writer.
pub(crate) enum Request {
    /// Runs inside a group.
    Write(Box<dyn WriteRequest>),
    /// Runs between two groups, outside any transaction.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// The reply to the caller. A panic of the closure is passed on to its caller.
pub(crate) type Reply<T, E> = Result<Result<T, WriteError<E>>, Box<dyn Any + Send>>;

pub(crate) struct Pending<T, E, F> {
    may_fail_half_way: bool,
    closure: Option<F>,
    result: Option<Result<Result<T, E>, Box<dyn Any + Send>>>,
    caller: oneshot::Sender<Reply<T, E>>,
}

impl<T, E, F> Pending<T, E, F> {
    pub(crate) fn new(
        may_fail_half_way: bool,
        closure: F,
        caller: oneshot::Sender<Reply<T, E>>,
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

    fn reply(self: Box<Self>, commit: Result<(), &rusqlite::Error>) {
        let reply = match (self.result, commit) {
            (Some(Err(panic)), _) => Err(panic),
            (_, Err(error)) => Ok(Err(WriteError::Failed(again(error)))),
            (Some(Ok(result)), Ok(())) => Ok(result.map_err(WriteError::Refused)),
            (None, Ok(())) => Ok(Err(WriteError::Closed)),
        };
        // The caller may no longer wait for the reply.
        let _ = self.caller.send(reply);
    }
}
