//! Subscriptions over HTTP: one response per operation, as server-sent events or as multipart
//! parts. The mailbox, the conflation and the bounds are those of a socket. The caller is
//! authorized before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use job::Version;
use tokio::time::{Instant, Sleep, sleep_until};
use wire::sse;

use super::delivery::{self, AfterRead, Deliveries, Next, Outgoing};
use super::executor::{Executor, Started};
use super::lifetime::{drain_delay, lifetime, remaining};
use super::limits;
use super::sessions::{Admission, Sessions};
use super::watch::{BoxFuture, ReadPage, Target, WatchRead, read_page};
use crate::realtime::hub::{Delivery, Mail, WatchId};

/// The framing of the events.
#[derive(Debug, Clone, Copy)]
enum Format {
    Sse,
    Multipart,
}

/// Answers with server-sent events (GraphQL over SSE, distinct connections mode). The id of an
/// event is the job's version: a client that connects again with `Last-Event-ID` receives only
/// newer versions. The stream ends without `complete` when the client should connect again: when
/// credentials end or the node restarts.
///
/// `name` is the caller whose connections are counted together, as in [`super::Authorized`]. Over
/// the node's limit the answer is 503, over the caller's limit 429.
pub fn sse<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    name: Option<&Arc<str>>,
    parts: &Parts,
    mut started: Started,
) -> Response<Body> {
    if let Started::Watch(watch) = &mut started
        && let Target::Job { after, .. } = &mut watch.target
    {
        // The header is newer than `after`, which an EventSource repeats from its address.
        let last = parts.headers.get("last-event-id");
        let last = last.and_then(|id| id.to_str().ok()?.trim().parse().ok());
        *after = last.map(Version).or(*after);
    }
    respond(sessions, name, Format::Sse, started)
}

/// Answers with a multipart subscription (`multipart/mixed;subscriptionSpec=1.0`). Arguments and
/// limits are those of [`sse()`].
pub fn multipart<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    name: Option<&Arc<str>>,
    started: Started,
) -> Response<Body> {
    respond(sessions, name, Format::Multipart, started)
}

fn respond<E: Executor>(
    sessions: &Arc<Sessions<E>>,
    name: Option<&Arc<str>>,
    format: Format,
    started: Started,
) -> Response<Body> {
    let Some(mut admission) = sessions.admit() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, super::sessions::NO_SLOT);
    };
    if !admission.name(name) {
        let text = "this caller has too many connections open, close one or come back later";
        return refused(StatusCode::TOO_MANY_REQUESTS, text);
    }
    let body = Body::from_stream(StreamBody::new(admission, format, started));
    response(format, body)
}

/// The answer to HEAD: the head of a stream without its body.
pub fn head_of_stream(sse: bool) -> Response<Body> {
    response(
        if sse { Format::Sse } else { Format::Multipart },
        Body::empty(),
    )
}

fn response(format: Format, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = match format {
        Format::Sse => sse::CONTENT_TYPE,
        Format::Multipart => sse::MULTIPART_CONTENT_TYPE,
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    // Proxies must neither hold events back nor compress them.
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
struct StreamBody<E: Executor> {
    admission: Admission<E>,
    format: Format,
    deliveries: Deliveries,
    watch: Option<WatchId>,
    /// Reads the first page again; `None` for the watch of one job.
    page: Option<ReadPage>,
    reading: Option<BoxFuture<WatchRead>>,
    /// The bytes to send.
    out: Vec<u8>,
    timer: Pin<Box<Sleep>>,
    /// When a keep-alive is due.
    keep_alive: Instant,
    /// When the client has to connect again.
    ends: Instant,
    done: bool,
    cut: bool,
}

impl<E: Executor> Drop for StreamBody<E> {
    fn drop(&mut self) {
        let running = usize::from(self.watch.is_some());
        delivery::left(&self.admission.sessions, &self.deliveries.mailbox, running);
    }
}

impl<E: Executor> StreamBody<E> {
    fn new(mut admission: Admission<E>, format: Format, started: Started) -> Self {
        let (now, deliveries) = (Instant::now(), Deliveries::default());
        admission.enter(&deliveries.mailbox);
        let mut body = Self {
            admission,
            format,
            deliveries,
            watch: None,
            page: None,
            reading: None,
            out: match format {
                Format::Sse => sse::KEEP_ALIVE.to_vec(),
                Format::Multipart => sse::MULTIPART_OPEN.to_vec(),
            },
            timer: Box::pin(sleep_until(now)),
            keep_alive: now + limits::STREAM_KEEP_ALIVE,
            ends: now + lifetime(),
            done: false,
            cut: false,
        };
        body.begin(started);
        body
    }

    fn begin(&mut self, started: Started) {
        let sessions = &self.admission.sessions;
        match started {
            Started::Invalid(errors) => {
                sessions.metrics.subscribe_client_error.increment(1);
                self.fail(&errors);
            }
            Started::Single(payload) => {
                self.write(None, &payload);
                self.complete();
            }
            Started::Watch(watch) => {
                if let Some(at) = watch.expires_at {
                    self.ends = self.ends.min(Instant::now() + remaining(at));
                }
                let registered = delivery::subscribe(sessions, &self.deliveries.mailbox, watch);
                self.watch = Some(registered.watch);
                self.reading = Some(registered.read);
                self.page = registered.page;
            }
        }
    }

    fn write(&mut self, id: Option<u64>, payload: &[u8]) {
        match self.format {
            Format::Sse => sse::next(id, payload, &mut self.out),
            Format::Multipart => sse::part(payload, &mut self.out),
        }
    }

    fn complete(&mut self) {
        self.out.extend_from_slice(match self.format {
            Format::Sse => sse::COMPLETE,
            Format::Multipart => sse::MULTIPART_END,
        });
        self.done = true;
    }

    /// Ends the operation with an error, which is counted already.
    fn fail(&mut self, errors: &str) {
        self.write(None, format!(r#"{{"errors":{errors}}}"#).as_bytes());
        self.complete();
    }

    /// Asks the client to connect again. Over SSE an end without `complete` means that.
    fn end(&mut self) {
        if let Format::Multipart = self.format {
            let errors = r#"[{"message":"The stream has ended, subscribe again","errorType":"StreamEnded","extensions":{"code":"StreamEnded"}}]"#;
            sse::part_failed(errors, &mut self.out);
            self.out.extend_from_slice(sse::MULTIPART_END);
        }
        self.done = true;
    }

    fn send(&mut self, delivery: &Delivery) {
        match delivery::outgoing(&self.admission.sessions, delivery) {
            None => {}
            Some(Outgoing::Cut) => (self.cut, self.done) = (true, true),
            Some(Outgoing::TooBig(errors)) => self.fail(&errors),
            Some(Outgoing::Payload(payload, next)) => {
                let job = delivery.update.job().filter(|_| delivery.kind.is_none());
                self.write(job.map(|job| job.version.0), payload);
                match next {
                    Next::Watch => {}
                    Next::ReadPage => self.read_page(),
                    Next::Complete => self.complete(),
                }
            }
        }
    }

    fn read(&mut self, read: WatchRead) {
        let watch = self.watch.expect("only a watch reads");
        let mailbox = &self.deliveries.mailbox;
        match delivery::accept(&self.admission.sessions, mailbox, watch, read) {
            AfterRead::Watch => {}
            AfterRead::Complete => self.complete(),
            AfterRead::ReadPage => self.read_page(),
            AfterRead::Failed(errors) => self.fail(&errors),
        }
    }

    fn read_page(&mut self) {
        self.reading = self.page.as_ref().map(read_page);
    }

    /// Whether there was progress.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(reading) = &mut self.reading
            && let Poll::Ready(read) = reading.as_mut().poll(context)
        {
            self.reading = None;
            self.read(read);
            return true;
        }
        let rendered = if self.deliveries.is_rendering() {
            self.deliveries.poll_rendering(context)
        } else {
            match self.deliveries.poll_take(context) {
                Poll::Pending => None,
                Poll::Ready(Mail::Leave) => {
                    self.ends = self.ends.min(Instant::now() + drain_delay());
                    return true;
                }
                Poll::Ready(Mail::Delivery { delivery, .. }) => {
                    self.deliveries.render(delivery, context)
                }
            }
        };
        if let Some(delivery) = &rendered {
            self.send(delivery);
        }
        rendered.is_some()
    }
}

impl<E: Executor> Stream for StreamBody<E> {
    /// The error is a cut on purpose; see [`super::Settings::chaos`].
    type Item = Result<Bytes, io::Error>;

    /// Polled only when the socket takes more. Until then deliveries are conflated in the mailbox.
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            while !this.done && this.out.len() < limits::OUTBOX_BYTES && this.advance(context) {}
            if std::mem::take(&mut this.cut) {
                this.out.clear();
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
            }
            if !this.out.is_empty() {
                this.keep_alive = Instant::now() + limits::STREAM_KEEP_ALIVE;
                return Poll::Ready(Some(Ok(std::mem::take(&mut this.out).into())));
            }
            if this.done {
                return Poll::Ready(None);
            }
            let deadline = this.keep_alive.min(this.ends);
            if this.timer.deadline() != deadline {
                this.timer.as_mut().reset(deadline);
            }
            if this.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= this.ends {
                this.end();
            } else {
                this.out.extend_from_slice(match this.format {
                    Format::Sse => sse::KEEP_ALIVE,
                    Format::Multipart => sse::MULTIPART_KEEP_ALIVE,
                });
            }
        }
    }
}
