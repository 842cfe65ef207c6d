//! The driver of one socket: it moves bytes between the socket and the conversation, takes the
//! deliveries, and keeps the timer. None of these parts depends on the driver.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use wire::{Input, Session, close, frame};

use super::conversation::{ConnectionEnd, Conversation, DATA_END};
use super::deadlines::Due;
use super::delivery::{self, Next, Outgoing};
use super::executor::{Credentials, Executor};
use super::sessions::{Admission, Sessions};
use super::socket::{Gone, Socket};
use crate::realtime::hub::{Delivery, Mail};

/// One connection.
pub(super) struct Driver<E: Executor, S> {
    socket: Socket<S>,
    conversation: Conversation<E>,
    /// Wakes the task that polls this.
    task: Option<Waker>,
    /// The time that the task's timer is set to.
    armed: Instant,
}

impl<E: Executor, S> Driver<E, S> {
    /// See [`Conversation::leave_hub`].
    pub(super) fn leave_hub(&mut self) {
        self.conversation.leave_hub();
    }

    /// The socket, once, and the bytes that are still to be written to it.
    pub(super) fn rest(&mut self) -> Option<(S, Vec<u8>)> {
        let rest = self.conversation.outbox.rest();
        Some((self.socket.take()?, rest))
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions<E>> {
        self.conversation.sessions()
    }
}

impl<E: Executor, S: AsyncRead + AsyncWrite + Unpin + Send> Driver<E, S> {
    /// `early` are bytes of the socket that were read already.
    pub(super) fn new(
        admission: Admission<E>,
        socket: S,
        early: &[u8],
        protocol: Box<dyn Session>,
        credentials: Box<Credentials>,
    ) -> Self {
        let mut driver = Self {
            socket: Socket::new(socket, early),
            conversation: Conversation::new(admission, protocol, credentials),
            task: None,
            armed: Instant::now(),
        };
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
            let had_room = self.conversation.outbox.has_room();
            let mut progress = self.poll_pending(context);
            self.poll_output(context, mailbox);
            // Operations whose answers had no room were not polled.
            progress |= !had_room && self.conversation.outbox.has_room();
            if self.conversation.reads_more() {
                progress |= self.poll_read(context);
            }
            if let Some(end) = self.conversation.ended() {
                return Poll::Ready(end);
            }
            progress |= self.poll_timer(context, timer);
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Delivers what is in the mailbox, on a thread that is not its task's. `false`: the task has
    /// more to do.
    pub(super) fn deliver_at_once(&mut self, mailbox: &Waker) -> bool {
        let Some(task) = self.task.take() else {
            return false;
        };
        self.poll_output(&mut Context::from_waker(&task), mailbox);
        self.task = Some(task);
        !self.has_ended() && !self.conversation.is_pending() && self.deadline() >= self.armed
    }

    fn has_ended(&self) -> bool {
        self.conversation.ended().is_some()
    }

    /// Whether pending work has ended.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.conversation.poll_pending(context) {
            // Messages are held back until the credentials are checked.
            self.decode();
            progress = true;
        }
        progress
    }

    /// Whether something was read.
    fn poll_read(&mut self, context: &mut Context<'_>) -> bool {
        match self.socket.poll_read(context) {
            Poll::Pending => return false,
            Poll::Ready(Err(Gone)) => self.conversation.end(ConnectionEnd::Gone),
            Poll::Ready(Ok(())) => {
                self.conversation.deadlines.heard(Instant::now());
                self.decode();
            }
        }
        true
    }

    /// Takes the messages that were read, as far as the protocol lets them.
    fn decode(&mut self) {
        while self.conversation.takes_message() {
            match self.socket.decode() {
                Ok(None) => return,
                Ok(Some(event)) => self.conversation.receive(event),
                Err(violation) => {
                    let (code, reason) = (violation.code, violation.reason);
                    self.conversation
                        .close(code, reason, ConnectionEnd::Refused);
                }
            }
        }
    }

    fn deadline(&self) -> Instant {
        let deadline = self.conversation.deadlines.earliest();
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
        let is_stalled = self.stalls_at().is_some_and(|at| now >= at);
        let conversation = &mut self.conversation;
        let end = ConnectionEnd::Closed;
        if is_stalled {
            conversation.sessions().metrics.stalled_readers.increment(1);
            return conversation.close(close::TRY_AGAIN, "Reader takes nothing", end);
        }
        loop {
            let may_close = conversation.may_close();
            let Some(due) = conversation.deadlines.take_due(now, may_close) else {
                return;
            };
            match due {
                Due::Expired => conversation.handle(Input::Expired),
                Due::Leave => return conversation.close(close::RESTART, "Server restarts", end),
                Due::PeerIsDead => {
                    return conversation.close(close::TRY_AGAIN, "Peer answers no ping", end);
                }
                Due::Ping => frame::ping(conversation.outbox.buffer()),
                Due::Tick => conversation.handle(Input::Tick),
            }
        }
    }

    /// Deliveries are queued only while the socket takes what is in the outbox, so that they are
    /// conflated while it is full.
    fn poll_output(&mut self, context: &mut Context<'_>, mailbox: &Waker) {
        let mut drained = false;
        while !self.has_ended() {
            if let Some(delivery) = self.conversation.deliveries.poll_rendering(context) {
                self.send(&delivery, context);
            }
            let delivers = self.socket.stalled().is_none()
                && !self.conversation.outbox.is_partly_written()
                && !self.conversation.deliveries.is_rendering();
            if !drained && delivers {
                drained = self.deliver(context, mailbox);
            }
            if self.conversation.outbox.is_empty() {
                return;
            }
            match self
                .socket
                .poll_write(context, &mut self.conversation.outbox)
            {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Gone)) => self.conversation.end(ConnectionEnd::Gone),
            }
        }
    }

    /// Moves mail into the outbox, as far as that has room and the payloads are rendered. `true`:
    /// the mailbox is empty, and wakes `mailbox` when it no longer is.
    fn deliver(&mut self, context: &mut Context<'_>, mailbox: &Waker) -> bool {
        // A delivery may end the connection; the client gets the rest when it connects again.
        while !self.has_ended() && !self.conversation.outbox.is_full() {
            let conversation = &mut self.conversation;
            let mut waiting = Context::from_waker(mailbox);
            match conversation.deliveries.poll_take(&mut waiting) {
                Poll::Pending => return true,
                Poll::Ready(Mail::Leave) => conversation.deadlines.drain(Instant::now()),
                Poll::Ready(Mail::Delivery { delivery, last }) => {
                    if let Some(delivery) = conversation.deliveries.render(delivery, context) {
                        self.send(&delivery, context);
                    }
                    if last || self.conversation.deliveries.is_rendering() {
                        return last;
                    }
                }
            }
        }
        false
    }

    fn send(&mut self, delivery: &Delivery, context: &mut Context<'_>) {
        let conversation = &mut self.conversation;
        let watch = delivery.watch;
        // It may have been stopped while its payload was rendered.
        let Some(subscription) = conversation.operations.subscription(watch) else {
            return;
        };
        match delivery::outgoing(conversation.sessions(), delivery) {
            None => {}
            Some(Outgoing::Cut) => conversation.end(ConnectionEnd::Gone),
            Some(Outgoing::TooBig(errors)) => {
                let id = subscription.id.clone();
                conversation.stop_with(&id, &errors);
            }
            Some(Outgoing::Payload(payload, next)) => {
                let parts = [subscription.prefix.as_bytes(), payload, DATA_END];
                let outbox = &mut conversation.outbox;
                if let Err(Gone) = self.socket.send(context, outbox, parts) {
                    conversation.end(ConnectionEnd::Gone);
                }
                match next {
                    Next::Watch => {}
                    Next::ReadPage => conversation.read_page(watch),
                    Next::Complete => conversation.complete(watch),
                }
            }
        }
    }
}
