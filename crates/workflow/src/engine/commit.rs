//! Writing a turn: its entries in the journal, and what its listener makes of it, are one commit.

use std::sync::Arc;

use rusqlite::ErrorCode;
use sqlite::{Write, WriteError};

use super::Inner;
use super::error::EngineError;
use super::journal;
use super::loaded::Turn;
use super::model::{ExecutionEvent, Listener, limits};

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Yes {
        /// The listener has put the events into the same commit.
        recorded: bool,
    },
    /// The engine closes; the turn is done again when the database is next opened.
    No,
    /// The journal has moved on. The in-memory state is stale and must be discarded.
    Stale,
}

impl Inner {
    /// Writes a turn, and does not give up while the engine is open: the execution is ahead of its
    /// journal until then, and no event was published.
    pub(super) async fn commit(
        &self,
        execution: i64,
        turn: &mut Turn,
        events: &Arc<[ExecutionEvent]>,
    ) -> Written {
        if turn.entries.is_empty() {
            return Written::Yes { recorded: true };
        }
        let (entries, reopened) = (Arc::new(std::mem::take(&mut turn.entries)), turn.reopened);
        let (mut delay, longest) = limits::WRITE_RETRY;
        loop {
            let (entries, end) = (entries.clone(), turn.end.clone());
            let (listener, events) = (self.listener.clone(), events.clone());
            let written = self
                .database
                .write_decided(move |write| -> rusqlite::Result<bool> {
                    let end = end.as_ref().map(|(end, at)| (end, *at));
                    journal::append(write.connection(), execution, &entries, reopened, end)?;
                    record(&*listener, write, &events)
                })
                .await;
            match written {
                Ok(recorded) => return Written::Yes { recorded },
                Err(WriteError::Closed) => return Written::No,
                Err(WriteError::Refused(error))
                    if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
                {
                    tracing::error!(execution, %error, "the journal of an execution was written by another process; it is read again");
                    return Written::Stale;
                }
                Err(error) if self.is_closed() => {
                    tracing::warn!(%error, "an execution's last turn was not written; it will be done again");
                    return Written::No;
                }
                Err(error) => {
                    tracing::error!(%error, "the journal of executions cannot be written; trying again in {delay:?}");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(longest);
                }
            }
        }
    }
}

/// Lets the listener take its part in the commit. Without events there is nothing to record.
pub(super) fn record(
    listener: &dyn Listener,
    write: &mut Write<'_>,
    events: &[ExecutionEvent],
) -> rusqlite::Result<bool> {
    if events.is_empty() {
        return Ok(true);
    }
    listener.record(write, events)
}

pub(super) fn unwritten<E: std::error::Error + Send + Sync + 'static>(
    error: WriteError<E>,
) -> EngineError {
    match error {
        WriteError::Closed => EngineError::Closed,
        other => EngineError::Journal(Arc::new(other)),
    }
}
