//! The HTTP doors of a subscription: one response per operation, as server-sent events or as multipart parts. Same
//! mailbox, same conflation and same bounds as a socket; who may ask, and for what, is decided before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use job::Version;
use tokio::time::{Instant, Sleep, sleep_until};
use wire::sse;

use super::operations::{left, too_big};
use super::watch::{Read, read_page, register};
use super::{Admission, BoxFuture, Executor, ReadPage, Sessions, Started, Target, limits};
use crate::realtime::hub::{Delivery, ListEventKind, Mail, Mailbox, Snapshot, WatchId};

#[derive(Debug, Clone, Copy)]
enum Door {
    Sse,
    Multipart,
}

/// Answers with server-sent events (GraphQL over SSE, distinct connections mode). The id of an event is the job's
/// version: a client that comes back with `Last-Event-ID` gets the job unless it has that version, and then newer ones. The stream ends without `complete` when
/// the client should come back: when credentials end or the node restarts.
///
/// `name` is the caller whose connections are counted together, as in [`super::Authorized`]. Over the limits the answer is
/// 503 or, for this caller's own limit, 429.
pub fn sse<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    name: Option<&Arc<str>>,
    parts: &Parts,
    mut started: Started,
) -> Response<Body> {
    if let Started::Watch(watch) = &mut started
        && let Target::Job { after, .. } = &mut watch.target
    {
        // It is what the client got last; `after` stays in the address of an EventSource that comes back, and is older.
        let last = parts.headers.get("last-event-id");
        let last = last.and_then(|id| id.to_str().ok()?.trim().parse().ok());
        *after = last.map(Version).or(*after);
    }
    respond(sessions, name, Door::Sse, started)
}

/// Answers with a multipart subscription (`multipart/mixed;subscriptionSpec=1.0`). Arguments and limits as for [`sse()`].
pub fn multipart<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    name: Option<&Arc<str>>,
    started: Started,
) -> Response<Body> {
    respond(sessions, name, Door::Multipart, started)
}

fn respond<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    name: Option<&Arc<str>>,
    door: Door,
    started: Started,
) -> Response<Body> {
    let Some(mut admission) = sessions.admit() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, super::NO_PLACE);
    };
    if !admission.name(name) {
        let text = "this caller has too many connections open, close one or come back later";
        return refused(StatusCode::TOO_MANY_REQUESTS, text);
    }
    let body = Body::from_stream(Streaming::new(admission, door, started));
    response(door, body)
}

/// The head of such an answer, without the stream: what HEAD is answered with.
pub fn head_of_stream(sse: bool) -> Response<Body> {
    response(if sse { Door::Sse } else { Door::Multipart }, Body::empty())
}

fn response(door: Door, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = match door {
        Door::Sse => sse::CONTENT_TYPE,
        Door::Multipart => sse::MULTIPART_CONTENT_TYPE,
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    // Nothing on the way may hold events back, nor compress them.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}

fn refused(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The body of one response.
struct Streaming<E: Executor> {
    admission: Admission<E>,
    door: Door,
    mailbox: Arc<Mailbox>,
    watch: Option<WatchId>,
    page: Option<ReadPage>,
    reading: Option<BoxFuture<Read>>,
    rendering: Option<BoxFuture<Delivery>>,
    out: Vec<u8>,
    timer: Pin<Box<Sleep>>,
    /// When a sign of life is due.
    beat: Instant,
    /// When the client has to come back.
    ends: Instant,
    done: bool,
    cut: bool,
}

impl<E: Executor> Drop for Streaming<E> {
    fn drop(&mut self) {
        self.admission.sessions.hub.leave(&self.mailbox);
        if self.watch.is_some() {
            let metrics = &self.admission.sessions.metrics;
            metrics.active_subscriptions.decrement(1.0);
        }
    }
}

impl<E: Executor> Streaming<E> {
    fn new(mut admission: Admission<E>, door: Door, started: Started) -> Self {
        let (now, mailbox) = (Instant::now(), Arc::default());
        admission.enter(&mailbox);
        let jitter = rand::random_range(Duration::ZERO..limits::LIFETIME_JITTER);
        let mut streaming = Self {
            admission,
            door,
            mailbox,
            watch: None,
            page: None,
            reading: None,
            rendering: None,
            out: match door {
                Door::Sse => sse::KEEP_ALIVE.to_vec(),
                Door::Multipart => sse::MULTIPART_OPEN.to_vec(),
            },
            timer: Box::pin(sleep_until(now)),
            beat: now + limits::STREAM_KEEP_ALIVE,
            ends: now + limits::LIFETIME - jitter,
            done: false,
            cut: false,
        };
        streaming.begin(started);
        streaming
    }

    fn begin(&mut self, started: Started) {
        let sessions = &self.admission.sessions;
        match started {
            Started::Invalid(errors) => self.fail(&errors),
            Started::Single(payload) => {
                self.write(None, &payload);
                self.complete();
            }
            Started::Watch(watch) => {
                if let Some(at) = watch.expires_at {
                    self.ends = self.ends.min(Instant::now() + left(at));
                }
                let (target, group, render) = (watch.target, watch.group, watch.render);
                let registered = register(&sessions.hub, &self.mailbox, target, group, render);
                sessions.metrics.subscribe_success.increment(1);
                sessions.metrics.active_subscriptions.increment(1.0);
                self.watch = Some(registered.watch);
                self.reading = Some(registered.read);
                self.page = registered.page;
            }
        }
    }

    fn write(&mut self, id: Option<u64>, payload: &[u8]) {
        match self.door {
            Door::Sse => sse::next(id, payload, &mut self.out),
            Door::Multipart => sse::part(payload, &mut self.out),
        }
    }

    fn complete(&mut self) {
        self.out.extend_from_slice(match self.door {
            Door::Sse => sse::COMPLETE,
            Door::Multipart => sse::MULTIPART_END,
        });
        self.done = true;
    }

    fn fail(&mut self, errors: &str) {
        let metrics = &self.admission.sessions.metrics;
        metrics.subscribe_client_error.increment(1);
        self.end_with(errors);
    }

    fn end_with(&mut self, errors: &str) {
        self.write(None, format!(r#"{{"errors":{errors}}}"#).as_bytes());
        self.complete();
    }

    /// The client has to come back. Over SSE that is what an end without `complete` means.
    fn end(&mut self) {
        if let Door::Multipart = self.door {
            let errors = r#"[{"message":"The stream has ended, subscribe again","errorType":"StreamEnded","extensions":{"code":"StreamEnded"}}]"#;
            sse::part_failed(errors, &mut self.out);
            self.out.extend_from_slice(sse::MULTIPART_END);
        }
        self.done = true;
    }

    fn send(&mut self, delivery: &Delivery) {
        let Some(payload) = delivery.ready().cloned() else {
            return;
        };
        if self.admission.sessions.cuts() {
            (self.cut, self.done) = (true, true);
            return;
        }
        let metrics = &self.admission.sessions.metrics;
        if payload.len() > limits::EVENT_BYTES {
            metrics.publish_data_message_client_error.increment(1);
            return self.fail(&too_big(payload.len()));
        }
        metrics.delivered(delivery, payload.len());
        let job = delivery.update.job().filter(|_| delivery.kind.is_none());
        self.write(job.map(|job| job.version.0), &payload);
        if delivery.kind == Some(ListEventKind::Resync) {
            self.admission.sessions.metrics.resync.increment(1);
            self.reading = self.page.as_ref().map(read_page);
        } else if delivery.is_last() {
            self.complete();
        }
    }

    fn read(&mut self, read: Read) {
        let watch = self.watch.expect("only a watch reads");
        match read {
            Read::Snapshot(Ok(job)) => {
                if self.mailbox.snapshot(watch, &job) == Snapshot::Finished {
                    self.complete();
                }
            }
            Read::Page(Ok(jobs)) => {
                if !self
                    .admission
                    .sessions
                    .hub
                    .page(&self.mailbox, watch, &jobs)
                {
                    self.reading = self.page.as_ref().map(read_page);
                }
            }
            Read::Snapshot(Err(unread)) | Read::Page(Err(unread)) if unread.unavailable => {
                let metrics = &self.admission.sessions.metrics;
                metrics.subscribe_server_error.increment(1);
                self.end_with(&unread.errors);
            }
            Read::Snapshot(Err(unread)) | Read::Page(Err(unread)) => self.fail(&unread.errors),
        }
    }

    /// Whether something has come a step further.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(reading) = &mut self.reading
            && let Poll::Ready(read) = reading.as_mut().poll(context)
        {
            self.reading = None;
            self.read(read);
            return true;
        }
        if let Some(rendering) = &mut self.rendering {
            let Poll::Ready(delivery) = rendering.as_mut().poll(context) else {
                return false;
            };
            self.rendering = None;
            self.send(&delivery);
            return true;
        }
        match self.mailbox.poll_take(context) {
            Poll::Pending => return false,
            Poll::Ready(Mail::Leave) => {
                let spread = rand::random_range(Duration::ZERO..limits::DRAIN_SPREAD);
                self.ends = self.ends.min(Instant::now() + spread);
            }
            Poll::Ready(Mail::Delivery { delivery, .. }) if delivery.ready().is_some() => {
                self.send(&delivery);
            }
            Poll::Ready(Mail::Delivery { delivery, .. }) => {
                self.rendering = Some(Box::pin(async move {
                    delivery.payload().await;
                    delivery
                }));
            }
        }
        true
    }
}

impl<E: Executor> Stream for Streaming<E> {
    /// The error is a cut on purpose.
    type Item = Result<Bytes, io::Error>;

    /// Asked only when the socket takes more: what comes meanwhile is conflated in the mailbox.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            while !this.done && this.out.len() < limits::OUTBOX_BYTES && this.advance(context) {}
            if std::mem::take(&mut this.cut) {
                this.out.clear();
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
            }
            if !this.out.is_empty() {
                this.beat = Instant::now() + limits::STREAM_KEEP_ALIVE;
                return Poll::Ready(Some(Ok(std::mem::take(&mut this.out).into())));
            }
            if this.done {
                return Poll::Ready(None);
            }
            let deadline = this.beat.min(this.ends);
            if this.timer.deadline() != deadline {
                this.timer.as_mut().reset(deadline);
            }
            if this.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= this.ends {
                this.end();
            } else {
                this.out.extend_from_slice(match this.door {
                    Door::Sse => sse::KEEP_ALIVE,
                    Door::Multipart => sse::MULTIPART_KEEP_ALIVE,
                });
            }
        }
    }
}
