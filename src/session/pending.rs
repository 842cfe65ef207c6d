//! The work that the executor and the store do for one connection: its authorization, the start of
//! its operations, and the reads of its watches.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::value::RawValue;
use tokio::time::timeout;
use wire::{Refusal, Request};

use super::executor::{Authorized, Credentials, Executor, Started};
use super::limits;
use super::sessions::Sessions;
use super::watch::BoxFuture;
use super::watch::WatchRead;
use crate::realtime::hub::WatchId;

/// Finished work.
pub(super) enum Finished<E: Executor> {
    Authorized(Result<Authorized<E::Caller>, Refusal>),
    Started {
        id: String,
        /// The operation's number; see [`super::operations::Operations::start`].
        number: u64,
        started: Started,
    },
    Read(WatchId, WatchRead),
}

/// The unfinished work of one connection.
pub(super) struct Pending<E: Executor> {
    /// Taken by the authorization.
    credentials: Option<Box<Credentials>>,
    futures: FuturesUnordered<BoxFuture<Finished<E>>>,
}

impl<E: Executor> Pending<E> {
    pub(super) fn new(credentials: Box<Credentials>) -> Self {
        Self {
            credentials: Some(credentials),
            futures: FuturesUnordered::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    /// Whether another operation may be read. Stopped operations are executed to their end.
    pub(super) fn takes_more(&self) -> bool {
        self.futures.len() < limits::PENDING
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Option<Finished<E>> {
        match self.futures.poll_next_unpin(context) {
            Poll::Ready(finished) => finished,
            Poll::Pending => None,
        }
    }

    /// Checks the connection's credentials, with the payload of `connection_init`.
    pub(super) fn authorize(&mut self, sessions: &Arc<Sessions<E>>, init: Option<Box<RawValue>>) {
        let credentials = self.credentials.take();
        let mut credentials = *credentials.expect("a session asks for authorization once");
        credentials.init = init;
        let sessions = Arc::clone(sessions);
        self.futures.push(Box::pin(async move {
            let checked = sessions.executor.authorize(credentials);
            let late = "The credentials could not be checked in time";
            let checked = timeout(limits::AUTHORIZE, checked).await;
            Finished::Authorized(checked.unwrap_or_else(|_| Err(Refusal::Busy(late.into()))))
        }));
    }

    /// Starts an operation.
    pub(super) fn start(
        &mut self,
        sessions: &Arc<Sessions<E>>,
        caller: Option<Arc<E::Caller>>,
        (id, number): (String, u64),
        request: Request,
    ) {
        let sessions = Arc::clone(sessions);
        self.futures.push(Box::pin(async move {
            let started = sessions.executor.start(caller, request).await;
            Finished::Started {
                id,
                number,
                started,
            }
        }));
    }

    /// Reads the beginning of a watch.
    pub(super) fn read(&mut self, watch: WatchId, read: BoxFuture<WatchRead>) {
        self.futures
            .push(Box::pin(async move { Finished::Read(watch, read.await) }));
    }
}
