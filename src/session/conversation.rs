//! One client's conversation: the protocol, the operations and their pending work. It writes into
//! an outbox and has no socket; its caller gives it messages, finished work and time.

use std::sync::Arc;
use std::task::Context;

use job::Time;
use tokio::time::Instant;
use wire::frame::{self, Event};
use wire::{Input, Output, Refusal, Request, Session};

use super::deadlines::Deadlines;
use super::delivery::{self, AfterRead, Deliveries};
use super::executor::{Authorized, Credentials, Executor, Started};
use super::lifetime::remaining;
use super::operations::{Operations, Subscription};
use super::outbox::Outbox;
use super::pending::{Finished, Pending};
use super::sessions::{Admission, Sessions};
use super::watch::{Watch, WatchRead, read_page};
use crate::realtime::hub::WatchId;

const EXPIRED: &str = r#"[{"message":"Token has expired.","errorType":"UnauthorizedException","errorCode":401,"extensions":{"code":"UnauthorizedException"}}]"#;

/// The text after the payload in a message with data.
pub(super) const DATA_END: &[u8] = b"}";

/// One conversation.
pub(super) struct Conversation<E: Executor> {
    admission: Admission<E>,
    pub(super) outbox: Outbox,
    protocol: Box<dyn Session>,
    /// The caller, once the credentials were checked.
    caller: Option<Arc<E::Caller>>,
    pub(super) operations: Operations,
    pending: Pending<E>,
    pub(super) deliveries: Deliveries,
    opened: Instant,
    pub(super) deadlines: Deadlines,
    ended: Option<ConnectionEnd>,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// The peer is gone.
    Gone,
    /// The peer has closed the connection.
    Left,
    /// The peer broke the protocol or is not authorized.
    Refused,
    /// The server ends it.
    Closed,
}

impl<E: Executor> Conversation<E> {
    pub(super) fn new(
        mut admission: Admission<E>,
        protocol: Box<dyn Session>,
        credentials: Box<Credentials>,
    ) -> Self {
        let now = Instant::now();
        let deliveries = Deliveries::default();
        admission.enter(&deliveries.mailbox);
        let mut conversation = Self {
            admission,
            outbox: Outbox::default(),
            protocol,
            caller: None,
            operations: Operations::default(),
            pending: Pending::new(credentials),
            deliveries,
            opened: now,
            deadlines: Deadlines::new(now),
            ended: None,
        };
        let outputs = conversation.protocol.opened();
        conversation.perform(outputs);
        conversation
    }

    /// Ends the connection's part in the hub: it watches nothing, and no publish wakes it.
    pub(super) fn leave_hub(&mut self) {
        self.ended.get_or_insert(ConnectionEnd::Gone);
        let mailbox = &self.deliveries.mailbox;
        mailbox.forget_waker();
        delivery::left(self.sessions(), mailbox, self.operations.running());
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions<E>> {
        &self.admission.sessions
    }

    pub(super) fn ended(&self) -> Option<ConnectionEnd> {
        self.ended
    }

    pub(super) fn end(&mut self, end: ConnectionEnd) {
        self.ended = Some(end);
    }

    /// Whether the next message may be handled.
    pub(super) fn takes_message(&self) -> bool {
        self.ended.is_none() && !self.protocol.holds()
    }

    /// Whether more may be read: there is room for the answers, and the messages that were read
    /// before need not wait.
    pub(super) fn reads_more(&self) -> bool {
        self.takes_message() && self.outbox.has_room() && self.pending.takes_more()
    }

    /// Whether the executor or the store works for it.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the protocol lets the connection be closed now.
    pub(super) fn may_close(&self) -> bool {
        self.protocol.may_close()
    }

    /// Handles one message.
    pub(super) fn receive(&mut self, event: Event) {
        match event {
            Event::Text(text) => self.handle(Input::Text(&text)),
            Event::Binary(_) => self.handle(Input::Binary),
            Event::Ping(payload) => frame::pong(&payload, self.outbox.buffer()),
            Event::Pong => {}
            Event::Close(code) => {
                frame::closed(code, "", self.outbox.buffer());
                self.end(ConnectionEnd::Left);
            }
        }
    }

    pub(super) fn handle(&mut self, input: Input<'_>) {
        let outputs = self.protocol.handle(self.opened.elapsed(), input);
        self.perform(outputs);
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(text) => frame::text(&[text.as_bytes()], self.outbox.buffer()),
                Output::WakeAt(at) => self.deadlines.wake_at(self.opened + at),
                Output::Close { code, reason } => {
                    self.close(code, &reason, ConnectionEnd::Refused);
                }
                Output::Stop(id) => {
                    self.sessions().metrics.unsubscribe_success.increment(1);
                    self.stop(&id);
                }
                Output::Authorize(init) => self.pending.authorize(&self.admission.sessions, init),
                Output::Start { id, request } => self.start(id, *request),
            }
        }
    }

    pub(super) fn close(&mut self, code: u16, reason: &str, end: ConnectionEnd) {
        frame::closed(Some(code), reason, self.outbox.buffer());
        self.end(end);
    }

    /// Whether pending work has ended.
    pub(super) fn poll_pending(&mut self, context: &mut Context<'_>) -> bool {
        // Answers that the client does not take wait with their operations, not in the outbox.
        if !self.outbox.has_room() || self.pending.is_empty() {
            return false;
        }
        let finished = self.pending.poll_next(context);
        let Some(finished) = finished else {
            return false;
        };
        self.finished(finished);
        true
    }

    fn finished(&mut self, finished: Finished<E>) {
        match finished {
            Finished::Authorized(Ok(authorized)) => self.authorized(authorized),
            Finished::Authorized(Err(refusal)) => self.refused(refusal),
            Finished::Started {
                id,
                number,
                started,
            } => {
                if self.operations.is_starting(&id, number) {
                    self.started(id, started);
                }
            }
            Finished::Read(watch, read) => self.read(watch, read),
        }
    }

    fn authorized(&mut self, authorized: Authorized<E::Caller>) {
        if !self.admission.name(authorized.name.as_ref()) {
            let limit = self.sessions().settings.per_caller;
            let text = format!("This caller has {limit} connections open, which is the limit");
            return self.refused(Refusal::Busy(text));
        }
        self.caller = Some(authorized.caller);
        self.expires(authorized.expires_at);
        self.sessions().metrics.connect_success.increment(1);
        self.handle(Input::Authorized(Ok(())));
    }

    fn refused(&mut self, refusal: Refusal) {
        let metrics = &self.sessions().metrics;
        match refusal {
            Refusal::Busy(_) => metrics.connect_server_error.increment(1),
            _ => metrics.connect_client_error.increment(1),
        }
        self.handle(Input::Authorized(Err(refusal)));
    }

    /// The socket is closed at the earliest end of any credentials that it was given.
    fn expires(&mut self, at: Option<Time>) {
        if let Some(at) = at {
            self.deadlines.expire(Instant::now() + remaining(at));
        }
    }

    fn start(&mut self, id: String, request: Request) {
        let caller = self.caller.clone();
        if caller.is_none() && request.authorization.is_none() {
            return self.fail(&id, EXPIRED);
        }
        let number = self.operations.start(&id);
        let sessions = &self.admission.sessions;
        self.pending.start(sessions, caller, (id, number), request);
    }

    /// Removes the operation and its watch.
    fn stop(&mut self, id: &str) {
        if let Some(watch) = self.operations.remove(id) {
            delivery::unsubscribe(self.sessions(), &self.deliveries.mailbox, watch);
        }
    }

    /// Refuses an operation that never ran.
    fn fail(&mut self, id: &str, errors: &str) {
        self.sessions().metrics.subscribe_client_error.increment(1);
        self.handle(Input::Failed { id, errors });
    }

    /// Ends a running operation with an error, which is counted already.
    pub(super) fn stop_with(&mut self, id: &str, errors: &str) {
        self.stop(id);
        self.handle(Input::Failed { id, errors });
    }

    fn started(&mut self, id: String, started: Started) {
        match started {
            Started::Invalid(errors) => {
                self.operations.remove(&id);
                self.fail(&id, &errors);
            }
            Started::Single(payload) => {
                self.operations.remove(&id);
                self.handle(Input::Started(&id));
                let prefix = self.protocol.data_prefix(&id);
                let parts = [prefix.as_bytes(), &payload, DATA_END];
                frame::text(&parts, self.outbox.buffer());
                self.handle(Input::Done(&id));
            }
            Started::Watch(watch) => self.watch(id, watch),
        }
    }

    fn watch(&mut self, id: String, watch: Watch) {
        self.expires(watch.expires_at);
        let registered = delivery::subscribe(self.sessions(), &self.deliveries.mailbox, watch);
        self.handle(Input::Started(&id));
        self.operations.run(Subscription {
            watch: registered.watch,
            // The session knows from here on which dialect the client speaks.
            prefix: self.protocol.data_prefix(&id).into_boxed_str(),
            id,
            page: registered.page,
        });
        self.pending.read(registered.watch, registered.read);
    }

    fn read(&mut self, watch: WatchId, read: WatchRead) {
        let Some(subscription) = self.operations.subscription(watch) else {
            return;
        };
        let mailbox = &self.deliveries.mailbox;
        match delivery::accept(self.sessions(), mailbox, watch, read) {
            AfterRead::Watch => {}
            AfterRead::Complete => self.complete(watch),
            AfterRead::ReadPage => self.read_page(watch),
            AfterRead::Failed(errors) => {
                let id = subscription.id.clone();
                self.stop_with(&id, &errors);
            }
        }
    }

    pub(super) fn read_page(&mut self, watch: WatchId) {
        let subscription = self.operations.subscription(watch);
        if let Some(page) = subscription.and_then(|subscription| subscription.page.as_ref()) {
            self.pending.read(watch, read_page(page));
        }
    }

    /// Ends a watch whose job is in a terminal status, where the protocol has such an end.
    pub(super) fn complete(&mut self, watch: WatchId) {
        if self.protocol.completes()
            && let Some(subscription) = self.operations.subscription(watch)
        {
            let id = subscription.id.clone();
            self.stop(&id);
            self.handle(Input::Done(&id));
        }
    }
}
