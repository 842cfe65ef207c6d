//! Deadlines of a connection that hyper serves: for a head, for the next request, and for room to
//! write. The times are kept beside the socket, and one timer per connection checks them every few
//! seconds, so that a request needs no timer.
//!
//! The deadline of a body is in `body`. Upgraded sockets have their own deadlines
//! (`session::limits`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::peers::Peer;

/// Time allowed for a request's head: for the first from the start of the connection, for each
/// other from its first byte.
pub const HEAD: Duration = Duration::from_secs(20);
/// Time for which a connection may be idle after an answer. It is longer than the 60 s after which
/// usual proxies and load balancers close an idle connection, so that none is closed while its next
/// request arrives.
pub const IDLE: Duration = Duration::from_secs(75);
/// Time allowed for [`WRITE_BYTES`] of an answer, while the peer does not take all at once.
pub const WRITE: Duration = Duration::from_secs(60);
/// Minimum number of bytes of an answer that a slow peer must take within [`WRITE`].
pub const WRITE_BYTES: u64 = 32 * 1024;

/// Time within which [`PACE_BYTES`] of a body must be received, repeatedly until its end.
pub const PACE: Duration = Duration::from_secs(30);
/// Minimum number of bytes of a body per [`PACE`]: as many as the slowest mobile networks carry.
pub const PACE_BYTES: usize = 16 * 1024;

/// The deadlines; tests make them shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionTimes {
    /// See [`HEAD`].
    pub head: Duration,
    /// See [`IDLE`].
    pub idle: Duration,
    /// See [`WRITE`].
    pub write: Duration,
    /// See [`PACE`].
    pub pace: Duration,
}

impl Default for ConnectionTimes {
    fn default() -> Self {
        ConnectionTimes {
            head: HEAD,
            idle: IDLE,
            write: WRITE,
            pace: PACE,
        }
    }
}

/// The state of a connection's waits.
#[derive(Debug)]
pub(super) struct Watch {
    began: Instant,
    times: ConnectionTimes,
    peer: Arc<Peer>,
    /// Whether a request is being answered.
    serves: AtomicBool,
    /// Whether the first byte of a head was received.
    head: AtomicBool,
    /// When a write found no room, in milliseconds since `began`, never 0. 0 means that there is
    /// room.
    blocked: AtomicU64,
    /// The number of bytes that were written since then.
    written: AtomicU64,
}

impl Watch {
    /// The state of a connection whose first head is awaited.
    pub(super) fn new(peer: Arc<Peer>, times: ConnectionTimes) -> Arc<Watch> {
        Arc::new(Watch {
            began: Instant::now(),
            times,
            peer,
            serves: AtomicBool::new(false),
            head: AtomicBool::new(true),
            blocked: AtomicU64::new(0),
            written: AtomicU64::new(0),
        })
    }

    /// A request was received.
    pub(super) fn request(&self) {
        self.serves.store(true, Ordering::Relaxed);
        self.head.store(false, Ordering::Relaxed);
        self.peer.works();
    }

    /// The answer is complete, if not written.
    fn answered(&self) {
        self.peer.waits();
        self.serves.store(false, Ordering::Relaxed);
    }

    fn read(&self, bytes: usize) {
        if bytes > 0
            && !self.serves.load(Ordering::Relaxed)
            && !self.head.swap(true, Ordering::Relaxed)
        {
            self.peer.waits();
        }
    }

    fn wrote(&self, poll: &Poll<io::Result<usize>>, offered: usize) {
        match poll {
            Poll::Pending if self.blocked.load(Ordering::Relaxed) == 0 => {
                self.written.store(0, Ordering::Relaxed);
                self.blocked.store(self.now(), Ordering::Relaxed);
            }
            Poll::Ready(Ok(bytes)) if *bytes == offered => {
                self.blocked.store(0, Ordering::Relaxed);
            }
            Poll::Ready(Ok(bytes)) => {
                let bytes = u64::try_from(*bytes).unwrap_or(u64::MAX);
                self.written.fetch_add(bytes, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed()) + 1
    }

    /// The time until something can be overdue; `None` if something is.
    fn left(&self) -> Option<Duration> {
        // Another deadline may begin during this sleep.
        let mut left = self.times.head.min(self.times.idle).min(self.times.write) / 2;
        let blocked = self.blocked.load(Ordering::Relaxed);
        if blocked > 0 {
            let waited = Duration::from_millis(self.now().saturating_sub(blocked));
            if waited >= self.times.write {
                if self.written.swap(0, Ordering::Relaxed) < WRITE_BYTES {
                    return None;
                }
                self.blocked.store(self.now(), Ordering::Relaxed);
            } else {
                left = left.min(self.times.write - waited);
            }
        }
        if !self.serves.load(Ordering::Relaxed) && blocked == 0 {
            let head = self.head.load(Ordering::Relaxed);
            let limit = if head {
                self.times.head
            } else {
                self.times.idle
            };
            let waited = self.peer.waiting().unwrap_or_default();
            if waited >= limit {
                return None;
            }
            left = left.min(limit - waited);
        }
        Some(left)
    }

    /// Ready when a deadline of the connection has passed.
    pub(super) async fn overdue(&self) {
        while let Some(left) = self.left() {
            tokio::time::sleep(left.max(Duration::from_millis(1))).await;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}

/// A socket that notes its reads and writes, with the bytes that were read already.
pub(super) struct Socket {
    socket: TcpStream,
    early: Bytes,
    watch: Arc<Watch>,
}

impl Socket {
    pub(super) fn new(socket: TcpStream, early: Bytes, watch: Arc<Watch>) -> Socket {
        Socket {
            socket,
            early,
            watch,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.early.is_empty() {
            let count = this.early.len().min(into.remaining());
            into.put_slice(&this.early[..count]);
            this.early.advance(count);
            if this.early.is_empty() {
                this.early = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        let known = into.filled().len();
        let poll = Pin::new(&mut this.socket).poll_read(context, into);
        this.watch.read(into.filled().len() - known);
        poll
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.socket).poll_write(context, bytes);
        this.watch.wrote(&poll, bytes.len());
        poll
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.socket).poll_write_vectored(context, pieces);
        let offered = pieces.iter().map(|piece| piece.len()).sum();
        this.watch.wrote(&poll, offered);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

/// The body of an answer, whose end is noted.
pub(super) struct Answered {
    body: Body,
    watch: Arc<Watch>,
}

impl Answered {
    pub(super) fn new(body: Body, watch: Arc<Watch>) -> Answered {
        Answered { body, watch }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.watch.answered();
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::peers::Peers;

    fn watch(times: ConnectionTimes) -> Arc<Watch> {
        let peers = Peers::new(8, 8);
        let peer = peers.admit(std::net::Ipv4Addr::LOCALHOST.into()).unwrap();
        Watch::new(peer, times)
    }

    const LONG: Duration = Duration::from_secs(3_600);
    const NONE: Duration = Duration::ZERO;

    fn times(head: Duration, idle: Duration, write: Duration) -> ConnectionTimes {
        ConnectionTimes {
            head,
            idle,
            write,
            pace: LONG,
        }
    }

    #[test]
    fn each_wait_has_its_own_deadline() {
        // The actions of a connection, and the deadline that has passed then.
        type Doing = fn(&Watch);
        let cases: [(&str, Doing, [bool; 3]); 7] = [
            ("at the begin", |_| {}, [true, false, false]),
            ("serving", |watch| watch.request(), [false, false, false]),
            ("idle", idle, [false, true, false]),
            (
                "a head after an idle time",
                |watch| {
                    idle(watch);
                    watch.read(1);
                },
                [true, false, false],
            ),
            (
                "blocked",
                |watch| {
                    watch.request();
                    watch.wrote(&Poll::Pending, 9);
                },
                [false, false, true],
            ),
            (
                "blocked after the answer was made",
                |watch| {
                    watch.wrote(&Poll::Pending, 9);
                    idle(watch);
                },
                [false, false, true],
            ),
            (
                "written",
                |watch| {
                    watch.request();
                    watch.wrote(&Poll::Pending, 9);
                    watch.wrote(&Poll::Ready(Ok(9)), 9);
                },
                [false, false, false],
            ),
        ];
        fn idle(watch: &Watch) {
            watch.request();
            watch.answered();
        }
        for (what, doing, over) in cases {
            for (over, times) in over.into_iter().zip([
                times(NONE, LONG, LONG),
                times(LONG, NONE, LONG),
                times(LONG, LONG, NONE),
            ]) {
                let watch = watch(times);
                doing(&watch);
                assert_eq!(watch.left().is_none(), over, "{what} {times:?}");
            }
        }
    }

    #[test]
    fn a_slow_reader_that_reads_on_is_kept() {
        let watch = watch(times(LONG, LONG, NONE));
        watch.request();
        let slow = |bytes: u64| {
            watch.wrote(&Poll::Pending, 1 << 20);
            let bytes = usize::try_from(bytes).unwrap();
            watch.wrote(&Poll::Ready(Ok(bytes)), 1 << 20);
        };
        slow(WRITE_BYTES);
        assert!(watch.left().is_some());
        slow(WRITE_BYTES - 1);
        assert!(watch.left().is_none());
    }

    #[test]
    fn the_default_deadlines_are_the_documented_ones() {
        let usual = ConnectionTimes::default();
        assert_eq!((usual.head, usual.idle, usual.write), (HEAD, IDLE, WRITE));
    }
}
