//! The driver of one socket: bytes to a `wire` session and back, the mailbox's deliveries to the socket.
//!
//! An idle connection owns no buffer: bytes are read into one, and written from one, that the thread's connections
//! share; a buffer is kept only while the socket takes no more. All that waits for one socket goes out in one write.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use wire::frame::{self, Decoder, Event};
use wire::{Input, Output, Session, close};

use super::operations::Operations;
use super::{Admission, Credentials, Executor, limits};
use crate::realtime::hub::Mailbox;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One socket's state. What belongs to its operations is in [`Operations`].
pub(super) struct Driver<E: Executor, S> {
    pub(super) admission: Admission<E>,
    /// Until it has ended.
    socket: Option<S>,
    pub(super) protocol: Box<dyn Session>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) operations: Operations<E>,
    decoder: Decoder,
    /// What waits for the socket; without capacity when nothing does.
    pub(super) out: Vec<u8>,
    written: usize,
    opened: Instant,
    /// When the protocol wants a tick.
    wake: Option<Instant>,
    /// When the next ping goes out; nothing heard since the last one but one means that the peer is dead.
    ping: Instant,
    heard: Instant,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    /// When this socket is closed, by a drain or since it has lived its time.
    leave: Instant,
    /// When the credentials end.
    pub(super) expires: Option<Instant>,
    ended: Option<End>,
    /// What wakes the task that polls this.
    task: Option<Waker>,
    /// The time that the task's timer is set to.
    armed: Instant,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The peer is gone.
    Gone,
    /// The peer has said goodbye.
    Left,
    /// The peer broke the protocol or has no right to be here.
    Refused,
    /// The server ends it.
    Closed,
}

impl<E: Executor, S> Driver<E, S> {
    /// The connection is no more: it watches nothing, and nobody is to wake it.
    pub(super) fn leave_hub(&mut self) {
        self.ended.get_or_insert(End::Gone);
        self.mailbox.forget_waker();
        let sessions = &self.admission.sessions;
        sessions.hub.leave(&self.mailbox);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a connection has few operations"
        )]
        let live = self.operations.live() as f64;
        sessions.metrics.active_subscriptions.decrement(live);
    }

    /// The socket, once, and what is still to be written to it.
    pub(super) fn rest(&mut self) -> Option<(S, Vec<u8>)> {
        let rest = self.out.split_off(self.written);
        Some((self.socket.take()?, rest))
    }
}

impl<E: Executor, S: AsyncRead + AsyncWrite + Unpin + Send> Driver<E, S> {
    /// `early` are bytes that were read of the socket already.
    pub(super) fn new(
        mut admission: Admission<E>,
        socket: S,
        early: &[u8],
        protocol: Box<dyn Session>,
        credentials: Box<Credentials>,
    ) -> Self {
        let now = Instant::now();
        let mailbox = Arc::default();
        admission.enter(&mailbox);
        let lifetime =
            limits::LIFETIME - rand::random_range(Duration::ZERO..limits::LIFETIME_JITTER);
        let mut driver = Driver {
            admission,
            socket: Some(socket),
            protocol,
            mailbox,
            operations: Operations::new(credentials),
            decoder: Decoder::default(),
            out: Vec::new(),
            written: 0,
            opened: now,
            wake: None,
            // Sockets that were opened together are not pinged together.
            ping: now + limits::PING - rand::random_range(Duration::ZERO..limits::PING / 2),
            heard: now,
            stalled: None,
            leave: now + lifetime,
            expires: None,
            ended: None,
            task: None,
            armed: now,
        };
        let outputs = driver.protocol.opened();
        driver.perform(outputs);
        if !early.is_empty() {
            driver.decoder.receive(early);
            driver.decode();
        }
        driver
    }

    /// Whether the socket is to be read: there is room for the answers, and what was read before needs not wait.
    fn takes_more(&self) -> bool {
        self.has_room() && self.operations.takes_more() && !self.protocol.holds()
    }

    /// Whether the outbox has room for another answer.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.written < limits::OUTBOX_BYTES
    }

    /// Does all that can be done now. `mailbox` is woken when there is something to deliver, the task of `context` for all else.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        mailbox: &Waker,
        timer: &mut Pin<Box<Sleep>>,
    ) -> Poll<End> {
        match &mut self.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        loop {
            // First what operations have to say, so that it goes out in one write with the answer to what was read.
            let had_room = self.has_room();
            let mut progress = self.poll_operations(context);
            self.poll_output(context, mailbox);
            // Operations whose answers had no room were not asked.
            progress |= !had_room && self.has_room();
            if self.ended.is_none() && self.takes_more() {
                progress |= self.poll_read(context);
            }
            if let Some(end) = self.ended {
                return Poll::Ready(end);
            }
            self.armed = self.deadline();
            if timer.deadline() != self.armed {
                timer.as_mut().reset(self.armed);
            }
            if timer.as_mut().poll(context).is_ready() {
                self.time();
                progress = true;
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Delivers what is in the mailbox, on a thread that is not its task's. `false`: the task has more to do.
    pub(super) fn deliver_at_once(&mut self, mailbox: &Waker) -> bool {
        let Some(task) = self.task.take() else {
            return false;
        };
        self.poll_output(&mut Context::from_waker(&task), mailbox);
        self.task = Some(task);
        self.ended.is_none() && !self.operations.is_pending() && self.deadline() >= self.armed
    }

    /// Deliveries go into the outbox only while the socket takes what is in it, so that they are conflated while it is full.
    fn poll_output(&mut self, context: &mut Context<'_>, mailbox: &Waker) {
        let mut drained = false;
        while self.ended.is_none() {
            self.poll_rendering(context);
            let waits =
                self.stalled.is_some() || self.written > 0 || self.operations.is_rendering();
            if !drained && !waits {
                drained = self.deliver(context, mailbox);
            }
            if self.out.is_empty() || self.poll_write(context).is_pending() {
                return;
            }
        }
    }

    /// The node drains.
    pub(super) fn leave(&mut self) {
        let spread = rand::random_range(Duration::ZERO..limits::DRAIN_SPREAD);
        self.leave = self.leave.min(Instant::now() + spread);
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(socket) = &mut self.socket else {
            return Poll::Pending;
        };
        match Pin::new(socket).poll_write(context, &self.out[self.written..]) {
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            Poll::Ready(Ok(count)) if count > 0 => {
                self.stalled = None;
                self.written += count;
                if self.written == self.out.len() {
                    self.written = 0;
                    give_back(std::mem::take(&mut self.out));
                }
            }
            Poll::Ready(_) => self.ended = Some(End::Gone),
        }
        Poll::Ready(())
    }

    /// Writes what is in the outbox and these two parts behind it, which are copied only where the socket does not take them.
    pub(super) fn write_with(&mut self, context: &mut Context<'_>, parts: [&[u8]; 2]) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        let all = [&self.out, parts[0], parts[1]];
        let count = match Pin::new(socket).poll_write_vectored(context, &all.map(IoSlice::new)) {
            Poll::Pending => 0,
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => return self.cut(),
        };
        if count == all.map(<[u8]>::len).iter().sum::<usize>() {
            return give_back(std::mem::take(&mut self.out));
        }
        self.written = count;
        for part in parts {
            self.out.extend_from_slice(part);
        }
    }

    /// Whether something was read.
    fn poll_read(&mut self, context: &mut Context<'_>) -> bool {
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let read = READ.with_borrow_mut(|bytes| {
            let mut buffer = ReadBuf::new(bytes);
            match Pin::new(socket).poll_read(context, &mut buffer) {
                Poll::Pending => None,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.decoder.receive(buffer.filled());
                    Some(true)
                }
                Poll::Ready(_) => Some(false),
            }
        });
        match read {
            None => return false,
            Some(false) => self.ended = Some(End::Gone),
            Some(true) => {
                self.heard = Instant::now();
                self.decode();
            }
        }
        true
    }

    fn deadline(&self) -> Instant {
        let stalled = self.stalled.map(|since| since + self.stall_limit());
        [self.wake, stalled, self.expires]
            .into_iter()
            .flatten()
            .fold(self.ping.min(self.leave), Instant::min)
    }

    fn stall_limit(&self) -> Duration {
        self.admission.sessions.settings.stalled
    }

    fn time(&mut self) {
        let now = Instant::now();
        let limit = self.stall_limit();
        if self.stalled.is_some_and(|since| now >= since + limit) {
            self.admission.sessions.metrics.stalled_readers.increment(1);
            return self.close(close::TRY_AGAIN, "Reader takes nothing", End::Closed);
        }
        if self.expires.is_some_and(|at| now >= at) {
            self.expires = None;
            self.tell(Input::Expired);
        }
        // Never between upgrade and acknowledgement: Amplify would not come back.
        if now >= self.leave {
            if self.protocol.may_close() {
                return self.close(close::RESTART, "Server restarts", End::Closed);
            }
            self.leave = now + limits::DRAIN_SPREAD / 10;
        }
        if now >= self.ping {
            if now.duration_since(self.heard) > limits::PING * 2 {
                return self.close(close::TRY_AGAIN, "Peer answers no ping", End::Closed);
            }
            frame::ping(self.outbox());
            self.ping = now + limits::PING;
        }
        if self.wake.is_some_and(|at| now >= at) {
            self.wake = None;
            self.tell(Input::Tick);
        }
    }

    /// Takes the messages that were read, as far as the protocol lets them.
    pub(super) fn decode(&mut self) {
        while self.ended.is_none() && !self.protocol.holds() {
            match self.decoder.decode() {
                Ok(None) => return,
                Ok(Some(Event::Text(text))) => self.tell(Input::Text(&text)),
                Ok(Some(Event::Binary(_))) => self.tell(Input::Binary),
                Ok(Some(Event::Ping(payload))) => frame::pong(&payload, self.outbox()),
                Ok(Some(Event::Pong)) => {}
                Ok(Some(Event::Close(code))) => {
                    frame::closed(code, "", self.outbox());
                    self.ended = Some(End::Left);
                }
                Err(violation) => self.close(violation.code, violation.reason, End::Refused),
            }
        }
    }

    pub(super) fn tell(&mut self, input: Input<'_>) {
        let outputs = self.protocol.handle(self.opened.elapsed(), input);
        self.perform(outputs);
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(text) => frame::text(&[text.as_bytes()], self.outbox()),
                Output::WakeAt(at) => self.wake = Some(self.opened + at),
                Output::Close { code, reason } => self.close(code, &reason, End::Refused),
                Output::Stop(id) => {
                    self.admission
                        .sessions
                        .metrics
                        .unsubscribe_success
                        .increment(1);
                    self.stop(&id);
                }
                Output::Authorize(init) => self.authorize(init),
                Output::Start { id, request } => self.start(id, *request),
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The connection breaks, without a word.
    pub(super) fn cut(&mut self) {
        self.ended = Some(End::Gone);
    }

    fn close(&mut self, code: u16, reason: &str, end: End) {
        frame::closed(Some(code), reason, self.outbox());
        self.ended = Some(end);
    }

    /// Where to write: the thread's buffer, as long as this connection has something to send.
    pub(super) fn outbox(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = take_buffer();
        }
        &mut self.out
    }
}

/// The thread's buffer.
pub(super) fn take_buffer() -> Vec<u8> {
    WRITE.take()
}

/// The buffer serves the thread's next connection, unless it has grown beyond what usually waits for one.
fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= limits::OUTBOX_BYTES * 2 {
        buffer.clear();
        WRITE.set(buffer);
    }
}
