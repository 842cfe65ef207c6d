//! The driver of one socket: it connects the socket, the protocol, the table of operations, their
//! pending work and their deliveries. Each of these has its own file and none of them knows the
//! driver.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use job::Time;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use wire::frame::{self, Event};
use wire::{Input, Output, Refusal, Request, Session, close};

use super::deadlines::{Deadlines, Due};
use super::delivery::{self, AfterRead, Deliveries, Next, Outgoing};
use super::executor::{Authorized, Credentials, Executor, Started};
use super::lifetime::remaining;
use super::operations::{Operations, Subscription};
use super::pending::{Finished, Pending};
use super::sessions::{Admission, Sessions};
use super::socket::{Gone, Socket};
use super::watch::{Watch, WatchRead, read_page};
use crate::realtime::hub::{Delivery, Mail, WatchId};

const EXPIRED: &str = r#"[{"message":"Token has expired.","errorType":"UnauthorizedException","errorCode":401,"extensions":{"code":"UnauthorizedException"}}]"#;

/// The text after the payload in a message with data.
const DATA_END: &[u8] = b"}";

/// One connection.
pub(super) struct Driver<E: Executor, S> {
    admission: Admission<E>,
    socket: Socket<S>,
    protocol: Box<dyn Session>,
    /// The caller, once the credentials were checked.
    caller: Option<Arc<E::Caller>>,
    operations: Operations,
    pending: Pending<E>,
    deliveries: Deliveries,
    opened: Instant,
    deadlines: Deadlines,
    ended: Option<ConnectionEnd>,
    /// Wakes the task that polls this.
    task: Option<Waker>,
    /// The time that the task's timer is set to.
    armed: Instant,
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

impl<E: Executor, S> Driver<E, S> {
    /// Ends the connection's part in the hub: it watches nothing, and no publish wakes it.
    pub(super) fn leave_hub(&mut self) {
        self.ended.get_or_insert(ConnectionEnd::Gone);
        let mailbox = &self.deliveries.mailbox;
        mailbox.forget_waker();
        delivery::left(self.sessions(), mailbox, self.operations.running());
    }

    /// The socket, once, and the bytes that are still to be written to it.
    pub(super) fn rest(&mut self) -> Option<(S, Vec<u8>)> {
        self.socket.rest()
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions<E>> {
        &self.admission.sessions
    }

    fn end(&mut self, end: ConnectionEnd) {
        self.ended = Some(end);
    }
}

impl<E: Executor, S: AsyncRead + AsyncWrite + Unpin + Send> Driver<E, S> {
    /// `early` are bytes of the socket that were read already.
    pub(super) fn new(
        mut admission: Admission<E>,
        socket: S,
        early: &[u8],
        protocol: Box<dyn Session>,
        credentials: Box<Credentials>,
    ) -> Self {
        let now = Instant::now();
        let deliveries = Deliveries::default();
        admission.enter(&deliveries.mailbox);
        let mut driver = Self {
            admission,
            socket: Socket::new(socket, early),
            protocol,
            caller: None,
            operations: Operations::default(),
            pending: Pending::new(credentials),
            deliveries,
            opened: now,
            deadlines: Deadlines::new(now),
            ended: None,
            task: None,
            armed: now,
        };
        let outputs = driver.protocol.opened();
        driver.perform(outputs);
        driver.decode();
        driver
    }

    /// Does all that can be done now. Later `mailbox` is woken when there is something to deliver,
    /// and the task of `context` for all else.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        mailbox: &Waker,
        timer: &mut Pin<Box<Sleep>>,
    ) -> Poll<ConnectionEnd> {
        match &mut self.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        loop {
            // First the answers of operations, so that they leave in one write with the answer to
            // what was read.
            let had_room = self.socket.has_room();
            let mut progress = self.poll_pending(context);
            self.poll_output(context, mailbox);
            // Operations whose answers had no room were not polled.
            progress |= !had_room && self.socket.has_room();
            if self.ended.is_none() && self.reads_more() {
                progress |= self.poll_read(context);
            }
            if let Some(end) = self.ended {
                return Poll::Ready(end);
            }
            progress |= self.poll_timer(context, timer);
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Delivers what is in the mailbox, on the thread of the publish's wake-ups. `false`: the task
    /// has more to do.
    pub(super) fn deliver_at_once(&mut self, mailbox: &Waker) -> bool {
        let Some(task) = self.task.take() else {
            return false;
        };
        self.poll_output(&mut Context::from_waker(&task), mailbox);
        self.task = Some(task);
        self.ended.is_none() && self.pending.is_empty() && self.deadline() >= self.armed
    }

    // Input.

    /// Whether the socket is to be read: there is room for the answers, and the messages that were
    /// read before need not wait.
    fn reads_more(&self) -> bool {
        self.socket.has_room() && self.pending.takes_more() && !self.protocol.holds()
    }

    /// Whether something was read.
    fn poll_read(&mut self, context: &mut Context<'_>) -> bool {
        match self.socket.poll_read(context) {
            Poll::Pending => return false,
            Poll::Ready(Err(Gone)) => self.end(ConnectionEnd::Gone),
            Poll::Ready(Ok(())) => {
                self.deadlines.heard(Instant::now());
                self.decode();
            }
        }
        true
    }

    /// Takes the messages that were read, as far as the protocol lets them.
    fn decode(&mut self) {
        while self.ended.is_none() && !self.protocol.holds() {
            match self.socket.decode() {
                Ok(None) => return,
                Ok(Some(Event::Text(text))) => self.handle(Input::Text(&text)),
                Ok(Some(Event::Binary(_))) => self.handle(Input::Binary),
                Ok(Some(Event::Ping(payload))) => frame::pong(&payload, self.socket.outbox()),
                Ok(Some(Event::Pong)) => {}
                Ok(Some(Event::Close(code))) => {
                    frame::closed(code, "", self.socket.outbox());
                    self.end(ConnectionEnd::Left);
                }
                Err(violation) => {
                    self.close(violation.code, violation.reason, ConnectionEnd::Refused);
                }
            }
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let outputs = self.protocol.handle(self.opened.elapsed(), input);
        self.perform(outputs);
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(text) => frame::text(&[text.as_bytes()], self.socket.outbox()),
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

    fn close(&mut self, code: u16, reason: &str, end: ConnectionEnd) {
        frame::closed(Some(code), reason, self.socket.outbox());
        self.end(end);
    }

    // Time.

    fn deadline(&self) -> Instant {
        let deadline = self.deadlines.earliest();
        let stalled = self.stalls_at();
        stalled.map_or(deadline, |stalled| stalled.min(deadline))
    }

    /// When a peer that takes nothing is closed.
    fn stalls_at(&self) -> Option<Instant> {
        let limit = self.sessions().settings.stalled;
        self.socket.stalled().map(|since| since + limit)
    }

    /// Whether something was due.
    fn poll_timer(&mut self, context: &mut Context<'_>, timer: &mut Pin<Box<Sleep>>) -> bool {
        self.armed = self.deadline();
        if timer.deadline() != self.armed {
            timer.as_mut().reset(self.armed);
        }
        let is_due = timer.as_mut().poll(context).is_ready();
        if is_due {
            self.on_timer();
        }
        is_due
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self.stalls_at().is_some_and(|at| now >= at) {
            self.sessions().metrics.stalled_readers.increment(1);
            let reason = "Reader takes nothing";
            return self.close(close::TRY_AGAIN, reason, ConnectionEnd::Closed);
        }
        while let Some(due) = self.deadlines.take_due(now, self.protocol.may_close()) {
            match due {
                Due::Expired => self.handle(Input::Expired),
                Due::Leave => {
                    let reason = "Server restarts";
                    return self.close(close::RESTART, reason, ConnectionEnd::Closed);
                }
                Due::PeerIsDead => {
                    let reason = "Peer answers no ping";
                    return self.close(close::TRY_AGAIN, reason, ConnectionEnd::Closed);
                }
                Due::Ping => frame::ping(self.socket.outbox()),
                Due::Tick => self.handle(Input::Tick),
            }
        }
    }

    // Operations.

    /// Whether pending work has ended.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        // Answers that the client does not take wait with their operations, not in the outbox.
        while self.socket.has_room()
            && !self.pending.is_empty()
            && let Some(finished) = self.pending.poll_next(context)
        {
            self.finished(finished);
            progress = true;
        }
        progress
    }

    fn finished(&mut self, finished: Finished<E>) {
        match finished {
            Finished::Authorized(checked) => {
                match checked {
                    Ok(authorized) => self.authorized(authorized),
                    Err(refusal) => self.refused(refusal),
                }
                // The messages after `connection_init` were held back.
                self.decode();
            }
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
    fn stop_with(&mut self, id: &str, errors: &str) {
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
                frame::text(&parts, self.socket.outbox());
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

    fn read_page(&mut self, watch: WatchId) {
        let subscription = self.operations.subscription(watch);
        if let Some(page) = subscription.and_then(|subscription| subscription.page.as_ref()) {
            self.pending.read(watch, read_page(page));
        }
    }

    /// Ends a watch whose job is in a terminal status, where the protocol has such an end.
    fn complete(&mut self, watch: WatchId) {
        if self.protocol.completes()
            && let Some(subscription) = self.operations.subscription(watch)
        {
            let id = subscription.id.clone();
            self.stop(&id);
            self.handle(Input::Done(&id));
        }
    }

    // Deliveries and output.

    /// Deliveries are queued only while the socket takes what is in its outbox, so that they are
    /// conflated while it is full.
    fn poll_output(&mut self, context: &mut Context<'_>, mailbox: &Waker) {
        let mut drained = false;
        while self.ended.is_none() {
            if let Some(delivery) = self.deliveries.poll_rendering(context) {
                self.send(&delivery, context);
            }
            let delivers = self.socket.takes_deliveries() && !self.deliveries.is_rendering();
            if !drained && delivers {
                drained = self.deliver(context, mailbox);
            }
            if !self.socket.has_output() {
                return;
            }
            match self.socket.poll_write(context) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Gone)) => self.end(ConnectionEnd::Gone),
            }
        }
    }

    /// Moves mail into the outbox, as far as that has room and the payloads are rendered. `true`:
    /// the mailbox is empty, and wakes `mailbox` when it no longer is.
    fn deliver(&mut self, context: &mut Context<'_>, mailbox: &Waker) -> bool {
        // A delivery may end the connection; the client gets the rest when it connects again.
        while self.ended.is_none() && !self.socket.is_full() {
            let mut waiting = Context::from_waker(mailbox);
            match self.deliveries.poll_take(&mut waiting) {
                Poll::Pending => return true,
                Poll::Ready(Mail::Leave) => self.deadlines.drain(Instant::now()),
                Poll::Ready(Mail::Delivery { delivery, last }) => {
                    if let Some(delivery) = self.deliveries.render(delivery, context) {
                        self.send(&delivery, context);
                    }
                    if last || self.deliveries.is_rendering() {
                        return last;
                    }
                }
            }
        }
        false
    }

    fn send(&mut self, delivery: &Delivery, context: &mut Context<'_>) {
        let watch = delivery.watch;
        // It may have been stopped while its payload was rendered.
        let Some(subscription) = self.operations.subscription(watch) else {
            return;
        };
        match delivery::outgoing(&self.admission.sessions, delivery) {
            None => {}
            Some(Outgoing::Cut) => self.end(ConnectionEnd::Gone),
            Some(Outgoing::TooBig(errors)) => {
                let id = subscription.id.clone();
                self.stop_with(&id, &errors);
            }
            Some(Outgoing::Payload(payload, next)) => {
                let prefix = subscription.prefix.as_bytes();
                if let Err(Gone) = self.socket.send(context, prefix, payload, DATA_END) {
                    self.end(ConnectionEnd::Gone);
                }
                match next {
                    Next::Watch => {}
                    Next::ReadPage => self.read_page(watch),
                    Next::Complete => self.complete(watch),
                }
            }
        }
    }
}
