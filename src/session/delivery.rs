//! From a mailbox to the payloads of a connection: registering a watch, reading its beginning,
//! rendering, the size check, metrics and resynchronization. Sockets and HTTP streams share it;
//! each of them only frames the payloads. No bytes of a protocol in here.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::executor::Executor;
use super::limits;
use super::sessions::Sessions;
use super::watch::{self, BoxFuture, Registered, Watch, WatchRead};
use crate::realtime::hub::{Delivery, ListEventKind, Mail, Mailbox, Snapshot, WatchId};

/// The pending deliveries of one connection.
#[derive(Default)]
pub(super) struct Deliveries {
    pub(super) mailbox: Arc<Mailbox>,
    /// A delivery whose payload is being rendered. It is sent before the next one is taken.
    rendering: Option<BoxFuture<Delivery>>,
}

impl Deliveries {
    pub(super) fn is_rendering(&self) -> bool {
        self.rendering.is_some()
    }

    /// Takes the next mail; `context` is woken once there is one.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Mail> {
        self.mailbox.poll_take(context)
    }

    /// Returns the delivery if its payload is rendered already. Otherwise begins to render it, and
    /// [`Self::poll_rendering`] returns it later.
    pub(super) fn render(
        &mut self,
        delivery: Delivery,
        context: &mut Context<'_>,
    ) -> Option<Delivery> {
        if delivery.ready().is_some() {
            return Some(delivery);
        }
        self.rendering = Some(Box::pin(async move {
            delivery.payload().await;
            delivery
        }));
        self.poll_rendering(context)
    }

    /// The delivery that was being rendered, once its payload is ready.
    pub(super) fn poll_rendering(&mut self, context: &mut Context<'_>) -> Option<Delivery> {
        let rendering = self.rendering.as_mut()?;
        let Poll::Ready(delivery) = rendering.as_mut().poll(context) else {
            return None;
        };
        self.rendering = None;
        Some(delivery)
    }
}

/// What is done with a rendered delivery.
pub(super) enum Outgoing<'a> {
    /// The payload is sent, and then the next step is taken.
    Payload(&'a Bytes, Next),
    /// The payload is over [`limits::EVENT_BYTES`]: the operation ends with these GraphQL errors.
    TooBig(String),
    /// The connection is cut on purpose.
    Cut,
}

/// What follows a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The watch goes on.
    Watch,
    /// The list is read again from its first page.
    ReadPage,
    /// The watch ends: the job is in a terminal status.
    Complete,
}

/// Checks and counts a rendered delivery; `None` if it is not rendered.
pub(super) fn outgoing<'a, E: Executor>(
    sessions: &Sessions<E>,
    delivery: &'a Delivery,
) -> Option<Outgoing<'a>> {
    let payload = delivery.ready()?;
    if sessions.cuts() {
        return Some(Outgoing::Cut);
    }
    let metrics = &sessions.metrics;
    if payload.len() > limits::EVENT_BYTES {
        metrics.publish_data_message_client_error.increment(1);
        metrics.subscribe_client_error.increment(1);
        return Some(Outgoing::TooBig(too_big(payload.len())));
    }
    metrics.delivered(delivery, payload.len());
    let next = if delivery.kind == Some(ListEventKind::Resync) {
        metrics.resync.increment(1);
        Next::ReadPage
    } else if delivery.is_last() {
        Next::Complete
    } else {
        Next::Watch
    };
    Some(Outgoing::Payload(payload, next))
}

/// The GraphQL errors that end an operation whose events are too big.
fn too_big(bytes: usize) -> String {
    format!(
        r#"[{{"message":"The event has {bytes} bytes, the limit is {}: select fewer fields","errorType":"PayloadTooLarge","extensions":{{"code":"PayloadTooLarge"}}}}]"#,
        limits::EVENT_BYTES
    )
}

/// Registers a watch in the hub and counts it. [`unsubscribe`] or [`left`] ends it.
pub(super) fn subscribe<E: Executor>(
    sessions: &Sessions<E>,
    mailbox: &Arc<Mailbox>,
    watch: Watch,
) -> Registered {
    let registered = watch::register(&sessions.hub, mailbox, watch);
    sessions.metrics.subscribe_success.increment(1);
    sessions.metrics.active_subscriptions.increment(1.0);
    registered
}

/// Ends one watch.
pub(super) fn unsubscribe<E: Executor>(
    sessions: &Sessions<E>,
    mailbox: &Arc<Mailbox>,
    watch: WatchId,
) {
    sessions.hub.unwatch(mailbox, watch);
    sessions.metrics.active_subscriptions.decrement(1.0);
}

/// Ends all watches of a connection, which are `running`.
pub(super) fn left<E: Executor>(sessions: &Sessions<E>, mailbox: &Arc<Mailbox>, running: usize) {
    sessions.hub.leave(mailbox);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a connection has few operations"
    )]
    sessions
        .metrics
        .active_subscriptions
        .decrement(running as f64);
}

/// What a read of the store leads to.
pub(super) enum AfterRead {
    /// The watch goes on: the mailbox has what was read.
    Watch,
    /// The client has the last version of a job in a terminal status.
    Complete,
    /// The page was overtaken by changes: it is read again.
    ReadPage,
    /// The operation ends with these GraphQL errors.
    Failed(String),
}

/// Gives what was read to the hub, which puts it into the mailbox.
pub(super) fn accept<E: Executor>(
    sessions: &Sessions<E>,
    mailbox: &Arc<Mailbox>,
    watch: WatchId,
    read: WatchRead,
) -> AfterRead {
    match read {
        WatchRead::Snapshot(Ok(job)) => match mailbox.snapshot(watch, &job) {
            Snapshot::Finished => AfterRead::Complete,
            _ => AfterRead::Watch,
        },
        WatchRead::Page(Ok(jobs)) => match sessions.hub.page(mailbox, watch, &jobs) {
            true => AfterRead::Watch,
            false => AfterRead::ReadPage,
        },
        WatchRead::Snapshot(Err(unread)) | WatchRead::Page(Err(unread)) => {
            let metrics = &sessions.metrics;
            match unread.unavailable {
                true => metrics.subscribe_server_error.increment(1),
                false => metrics.subscribe_client_error.increment(1),
            }
            AfterRead::Failed(unread.errors)
        }
    }
}
