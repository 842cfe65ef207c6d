//! The requests on their way to the writer, strictly in the order in which they were made.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::limits::QUEUE_REQUESTS;
use crate::request::Request;

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    closed: bool,
}

/// The request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Closed,
}

impl Queue {
    pub(crate) fn push(&self, request: Request) -> Result<(), NotTaken> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(NotTaken::Closed);
        }
        if state.requests.len() >= QUEUE_REQUESTS {
            return Err(NotTaken::Full);
        }
        state.requests.push_back(request);
        let first = state.requests.len() == 1;
        drop(state);
        if first {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Moves at most `most` requests to `into`. With `wait`, waits for the first; then `false` says that the queue is closed and empty.
    pub(crate) fn take(&self, into: &mut VecDeque<Request>, most: usize, wait: bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while wait && state.requests.is_empty() {
            if state.closed {
                return false;
            }
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let count = most.min(state.requests.len());
        into.extend(state.requests.drain(..count));
        true
    }

    /// Takes no more requests. Those that wait are still done.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        drop(state);
        self.wake.notify_one();
    }

    /// Takes no more requests and drops those that wait: their callers hear that the database is closed.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        let dropped = std::mem::take(&mut state.requests);
        drop(state);
        drop(dropped);
    }
}
