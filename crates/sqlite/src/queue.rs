//! The requests to the writer, strictly in the order in which they were made.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::limits::QUEUE_REQUESTS;
use crate::request::Request;

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    requests: VecDeque<Request>,
    closed: bool,
    /// The writer's thread has work to do or has to end.
    woken: bool,
}

/// The request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Closed,
}

impl Queue {
    /// Appends a request. `true` if it is the only one in the queue: then the writer must be woken.
    pub(crate) fn push(&self, request: Request) -> Result<bool, NotTaken> {
        let mut state = self.lock();
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if state.requests.len() >= QUEUE_REQUESTS {
            return Err(NotTaken::Full);
        }
        state.requests.push_back(request);
        Ok(state.requests.len() == 1)
    }

    /// Wakes the writer's thread.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.wake.notify_one();
    }

    /// Waits until the writer's thread is woken. `false` if the queue is closed and empty.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.lock();
        while !state.woken {
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // A closed queue stays woken, so that the writer never waits again.
        state.woken = state.closed;
        !state.closed || !state.requests.is_empty()
    }

    /// Moves at most `most` requests to `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<Request>, most: usize) {
        let mut state = self.lock();
        let count = most.min(state.requests.len());
        into.extend(state.requests.drain(..count));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().requests.is_empty()
    }

    /// Refuses further requests. Those in the queue are still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    /// Refuses further requests and drops those in the queue: their callers get the error that the
    /// database is closed.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.requests);
        drop(state);
        drop(dropped);
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
