//! The operations of one connection: from `start` through the executor into the hub, and from the mailbox to the outbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use job::Time;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use wire::{Input, Refusal, Request, frame};

use super::driver::Driver;
use super::metrics::now_millis;
use super::watch::{Read, Watch, read_page, register};
use super::{Authorized, BoxFuture, Credentials, Executor, ReadPage, Started, limits};
use crate::realtime::hub::{Delivery, ListEventKind, Mail, Snapshot, WatchId};

const EXPIRED: &str = r#"[{"message":"Token has expired.","errorType":"UnauthorizedException","errorCode":401,"extensions":{"code":"UnauthorizedException"}}]"#;

/// What stands behind the payload in a message with data.
const DATA_END: &[u8] = b"}";

/// What an operation's future came to.
enum Done<E: Executor> {
    Authorized(Result<Authorized<E::Caller>, Refusal>),
    Started(String, u64, Started),
    Read(WatchId, Read),
}

enum Operation {
    /// The executor works on it; the number tells it from an earlier one of the same id.
    Starting(u64),
    Live(WatchId),
}

struct Watching {
    watch: WatchId,
    id: String,
    /// What stands before the payload in its messages.
    prefix: Box<str>,
    page: Option<ReadPage>,
}

/// The operations of one connection.
pub(super) struct Operations<E: Executor> {
    /// Taken by the one authorization.
    credentials: Option<Box<Credentials>>,
    caller: Option<Arc<E::Caller>>,
    by_id: HashMap<String, Operation>,
    /// By [`WatchId::index`].
    watches: Vec<Option<Watching>>,
    pending: FuturesUnordered<BoxFuture<Done<E>>>,
    /// A delivery whose payload is being made.
    rendering: Option<BoxFuture<Delivery>>,
    started: u64,
}

impl<E: Executor> Operations<E> {
    pub(super) fn new(credentials: Box<Credentials>) -> Self {
        Self {
            credentials: Some(credentials),
            caller: None,
            by_id: HashMap::new(),
            watches: Vec::new(),
            pending: FuturesUnordered::new(),
            rendering: None,
            started: 0,
        }
    }

    pub(super) fn live(&self) -> usize {
        self.watches.iter().flatten().count()
    }

    /// Whether the executor or the store works for an operation.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn is_rendering(&self) -> bool {
        self.rendering.is_some()
    }

    /// Whether another operation may be read: stopped ones are still executed to their end.
    pub(super) fn takes_more(&self) -> bool {
        self.pending.len() < limits::PENDING
    }

    fn watching(&self, watch: WatchId) -> Option<&Watching> {
        let entry = self.watches.get(watch.index())?.as_ref()?;
        (entry.watch == watch).then_some(entry)
    }
}

impl<E: Executor, S> Driver<E, S>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
{
    /// Whether an operation has come a step further.
    pub(super) fn poll_operations(&mut self, context: &mut Context<'_>) -> bool {
        let mut progress = false;
        // Answers that the client does not take wait with their operations, not in the outbox.
        while self.has_room()
            && !self.operations.pending.is_empty()
            && let Poll::Ready(Some(done)) = self.operations.pending.poll_next_unpin(context)
        {
            self.finished(done);
            progress = true;
        }
        progress
    }

    pub(super) fn poll_rendering(&mut self, context: &mut Context<'_>) {
        if let Some(rendering) = &mut self.operations.rendering
            && let Poll::Ready(delivery) = rendering.as_mut().poll(context)
        {
            self.operations.rendering = None;
            self.send(&delivery, context);
        }
    }

    pub(super) fn authorize(&mut self, init: Option<Box<RawValue>>) {
        let credentials = self.operations.credentials.take();
        let mut credentials = *credentials.expect("a session asks for authorization once");
        credentials.init = init;
        let sessions = Arc::clone(&self.admission.sessions);
        self.operations.pending.push(Box::pin(async move {
            let answer = sessions.executor.authorize(credentials);
            let late = "The credentials could not be checked in time";
            let answer = timeout(limits::AUTHORIZE, answer).await;
            Done::Authorized(answer.unwrap_or_else(|_| Err(Refusal::Busy(late.into()))))
        }));
    }

    pub(super) fn start(&mut self, id: String, request: Request) {
        let caller = self.operations.caller.clone();
        if caller.is_none() && request.authorization.is_none() {
            return self.fail(&id, EXPIRED);
        }
        self.operations.started += 1;
        let number = self.operations.started;
        let starting = Operation::Starting(number);
        self.operations.by_id.insert(id.clone(), starting);
        let sessions = Arc::clone(&self.admission.sessions);
        self.operations.pending.push(Box::pin(async move {
            Done::Started(id, number, sessions.executor.start(caller, request).await)
        }));
    }

    /// Forgets the operation and its watch.
    pub(super) fn stop(&mut self, id: &str) {
        if let Some(Operation::Live(watch)) = self.operations.by_id.remove(id) {
            let sessions = &self.admission.sessions;
            sessions.hub.unwatch(&self.mailbox, watch);
            sessions.metrics.active_subscriptions.decrement(1.0);
            self.operations.watches[watch.index()] = None;
        }
    }

    fn finished(&mut self, done: Done<E>) {
        match done {
            Done::Authorized(answer) => {
                match answer {
                    Ok(authorized) => self.authorized(authorized),
                    Err(refusal) => self.refused(refusal),
                }
                // What came right behind `connection_init`.
                self.decode();
            }
            Done::Started(id, number, started) => {
                // The client may have ended it meanwhile, and begun another with the same id.
                let current = self.operations.by_id.get(&id);
                if matches!(current, Some(Operation::Starting(current)) if *current == number) {
                    self.begin(id, started);
                }
            }
            Done::Read(watch, read) => self.read(watch, read),
        }
    }

    fn authorized(&mut self, authorized: Authorized<E::Caller>) {
        if !self.admission.name(authorized.name.as_ref()) {
            let limit = self.admission.sessions.settings.per_caller;
            let text = format!("This caller has {limit} connections open, which is the limit");
            return self.refused(Refusal::Busy(text));
        }
        self.operations.caller = Some(authorized.caller);
        self.ends(authorized.expires_at);
        self.admission.sessions.metrics.connect_success.increment(1);
        self.tell(Input::Authorized(Ok(())));
    }

    fn refused(&mut self, refusal: Refusal) {
        let metrics = &self.admission.sessions.metrics;
        match refusal {
            Refusal::Busy(_) => metrics.connect_server_error.increment(1),
            _ => metrics.connect_client_error.increment(1),
        }
        self.tell(Input::Authorized(Err(refusal)));
    }

    /// The socket is closed at the earliest end of any credentials that it was given.
    fn ends(&mut self, at: Option<Time>) {
        let Some(at) = at else { return };
        let end = Instant::now() + left(at);
        self.expires = Some(self.expires.map_or(end, |earlier| earlier.min(end)));
    }

    fn fail(&mut self, id: &str, errors: &str) {
        let metrics = &self.admission.sessions.metrics;
        metrics.subscribe_client_error.increment(1);
        self.tell(Input::Failed { id, errors });
    }

    fn begin(&mut self, id: String, started: Started) {
        match started {
            Started::Invalid(errors) => {
                self.operations.by_id.remove(&id);
                self.fail(&id, &errors);
            }
            Started::Single(payload) => {
                self.operations.by_id.remove(&id);
                self.tell(Input::Started(&id));
                let prefix = self.protocol.data_prefix(&id);
                frame::text(&[prefix.as_bytes(), &payload, DATA_END], self.outbox());
                self.tell(Input::Done(&id));
            }
            Started::Watch(watch) => self.watch(id, watch),
        }
    }

    fn watch(&mut self, id: String, watch: Watch) {
        self.ends(watch.expires_at);
        let sessions = &self.admission.sessions;
        let (target, group, render) = (watch.target, watch.group, watch.render);
        let registered = register(&sessions.hub, &self.mailbox, target, group, render);
        sessions.metrics.subscribe_success.increment(1);
        sessions.metrics.active_subscriptions.increment(1.0);
        let number = registered.watch;
        let live = Operation::Live(number);
        self.operations.by_id.insert(id.clone(), live);
        self.tell(Input::Started(&id));
        let watching = Watching {
            watch: number,
            // Only now does the session know which dialect the client speaks.
            prefix: self.protocol.data_prefix(&id).into_boxed_str(),
            id,
            page: registered.page,
        };
        let watches = &mut self.operations.watches;
        if watches.len() <= number.index() {
            watches.reserve_exact(number.index() + 1 - watches.len());
            watches.resize_with(number.index() + 1, || None);
        }
        watches[number.index()] = Some(watching);
        self.reads(number, registered.read);
    }

    fn reads(&mut self, watch: WatchId, read: BoxFuture<Read>) {
        let pending = &self.operations.pending;
        pending.push(Box::pin(async move { Done::Read(watch, read.await) }));
    }

    fn read(&mut self, watch: WatchId, read: Read) {
        let Some(watching) = self.operations.watching(watch) else {
            return;
        };
        let id = watching.id.clone();
        match read {
            Read::Snapshot(Ok(job)) => {
                let snapshot = self.mailbox.snapshot(watch, &job);
                if snapshot == Snapshot::Finished && self.protocol.completes() {
                    self.stop(&id);
                    self.tell(Input::Done(&id));
                }
            }
            Read::Page(Ok(jobs)) => {
                if !self
                    .admission
                    .sessions
                    .hub
                    .page(&self.mailbox, watch, &jobs)
                {
                    self.read_page(watch);
                }
            }
            Read::Snapshot(Err(unread)) | Read::Page(Err(unread)) => {
                self.stop(&id);
                if unread.unavailable {
                    let metrics = &self.admission.sessions.metrics;
                    metrics.subscribe_server_error.increment(1);
                    let (id, errors) = (&id, &unread.errors);
                    return self.tell(Input::Failed { id, errors });
                }
                self.fail(&id, &unread.errors);
            }
        }
    }

    fn read_page(&mut self, watch: WatchId) {
        let watching = self.operations.watching(watch);
        if let Some(page) = watching.and_then(|watching| watching.page.as_ref()) {
            let read = read_page(page);
            self.reads(watch, read);
        }
    }

    /// Empties the mailbox into the outbox, as far as that has room and the payloads are there. `true`: the mailbox is
    /// empty, and wakes `mailbox` when it no longer is.
    pub(super) fn deliver(&mut self, context: &mut Context<'_>, mailbox: &Waker) -> bool {
        // A delivery may end the connection: what stands behind it is for whoever comes back.
        while !self.has_ended() && self.out.len() < limits::OUTBOX_BYTES {
            match self.mailbox.poll_take(&mut Context::from_waker(mailbox)) {
                Poll::Pending => return true,
                Poll::Ready(Mail::Leave) => self.leave(),
                Poll::Ready(Mail::Delivery { delivery, last }) => {
                    self.render(delivery, context);
                    if last || self.operations.is_rendering() {
                        return last;
                    }
                }
            }
        }
        false
    }

    /// Sends a delivery as soon as its payload has been made.
    fn render(&mut self, delivery: Delivery, context: &mut Context<'_>) {
        if delivery.ready().is_some() {
            return self.send(&delivery, context);
        }
        self.operations.rendering = Some(Box::pin(async move {
            delivery.payload().await;
            delivery
        }));
        self.poll_rendering(context);
    }

    fn send(&mut self, delivery: &Delivery, context: &mut Context<'_>) {
        let watch = delivery.watch;
        // It may have been stopped while its payload was made.
        let Some(watching) = self.operations.watching(watch) else {
            return;
        };
        let Some(payload) = delivery.ready() else {
            return;
        };
        if self.admission.sessions.cuts() {
            return self.cut();
        }
        let metrics = &self.admission.sessions.metrics;
        if payload.len() > limits::EVENT_BYTES {
            metrics.publish_data_message_client_error.increment(1);
            let (id, errors) = (watching.id.clone(), too_big(payload.len()));
            self.stop(&id);
            return self.fail(&id, &errors);
        }
        metrics.delivered(delivery, payload.len());
        if self.out.capacity() == 0 {
            self.out = super::driver::take_buffer();
        }
        let prefix = watching.prefix.as_bytes();
        if self.out.is_empty() && payload.len() >= limits::UNCOPIED_BYTES {
            frame::text_head(prefix.len() + payload.len() + DATA_END.len(), &mut self.out);
            self.out.extend_from_slice(prefix);
            self.write_with(context, [payload, DATA_END]);
        } else {
            frame::text(&[prefix, payload, DATA_END], &mut self.out);
        }
        if delivery.kind == Some(ListEventKind::Resync) {
            self.admission.sessions.metrics.resync.increment(1);
            self.read_page(watch);
        } else if delivery.is_last()
            && self.protocol.completes()
            && let Some(watching) = self.operations.watching(watch)
        {
            let id = watching.id.clone();
            self.stop(&id);
            self.tell(Input::Done(&id));
        }
    }
}

/// How long credentials are still good; not longer than any socket lives.
pub(super) fn left(at: Time) -> Duration {
    let millis = at.as_millis().saturating_sub(now_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(limits::LIFETIME)
}

/// The GraphQL errors that end an operation whose events are too big.
pub(super) fn too_big(bytes: usize) -> String {
    format!(
        r#"[{{"message":"The event has {bytes} bytes, the limit is {}: select fewer fields","errorType":"PayloadTooLarge","extensions":{{"code":"PayloadTooLarge"}}}}]"#,
        limits::EVENT_BYTES
    )
}
