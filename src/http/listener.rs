//! The public listener's connections. A WebSocket upgrade that comes first on its connection is answered here, from the bytes of its head:
//! after a restart all watchers come back at once, and the way through the router costs a third of what their coming back costs. Every
//! other request, and an upgrade on a connection that has served requests, is hyper's and the router's.

use std::io::{self, Cursor};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::guard::Guard;
use super::{Doors, GRAPHQL, REALTIME, counted, router};
use crate::graphql::Executor;
use crate::session::{Accepted, Upgraded};

/// Bytes of a head that is read here; a longer one is hyper's.
const HEAD_BYTES: usize = 16 * 1024;
/// Header lines of a head that is read here.
const HEAD_LINES: usize = 64;
/// What is read at once.
const READ_BYTES: usize = 2 * 1024;
/// Who connects has so long to ask for something.
const FIRST_HEAD: Duration = Duration::from_secs(30);
/// Wait after an error of the listener, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves every door until `close` is cancelled; then it returns when the requests in flight have ended. Sockets that were upgraded are the
/// sessions' and are not waited for.
pub async fn serve(listener: TcpListener, doors: Doors, guard: Guard, close: CancellationToken) {
    let guard = Arc::new(guard);
    let shared = Arc::new(Shared {
        router: router(doors.clone(), Arc::clone(&guard)),
        doors,
        guard,
        close: close.clone(),
    });
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => {
                    let (shared, open) = (Arc::clone(&shared), connections.token());
                    // Not joined: they end with their sockets. An upgraded one lives on in a task that holds no more than it needs.
                    tokio::spawn(async move {
                        if let Some(upgraded) = shared.requests(socket).await {
                            tokio::spawn(upgraded.serve());
                        }
                        drop(open);
                    });
                }
                // The peer is gone again.
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    };
    close.run_until_cancelled(accepting).await;
    // Who comes now is refused at once, and does not wait for those who were here before.
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

struct Shared {
    router: Router,
    doors: Doors,
    guard: Arc<Guard>,
    close: CancellationToken,
}

impl Shared {
    /// Serves the requests of a connection; when it begins with an upgrade, returns what serves the socket from then on.
    async fn requests(&self, mut socket: TcpStream) -> Option<Upgraded<Executor, TcpStream>> {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let began = Instant::now();
        let reading = timeout(FIRST_HEAD, read_head(&mut socket));
        let (bytes, head) = match self.close.run_until_cancelled(reading).await {
            Some(Ok(Ok(read))) => read,
            // Stopped, too late, or gone.
            None | Some(Err(_) | Ok(Err(_))) => return None,
        };
        let upgrade = head.and_then(|length| upgrade(&bytes[..length]).zip(Some(length)));
        let Some((parts, length)) = upgrade.filter(|(parts, _)| self.takes(parts)) else {
            self.others(socket, bytes.freeze()).await;
            return None;
        };
        // A copy, so that the socket does not keep what its head was read into.
        let early = bytes[length..].to_vec();
        drop(bytes);
        match Accepted::new(&self.doors.sessions, &parts.method, &parts.headers) {
            Ok(accepted) => {
                counted::answered(began, StatusCode::SWITCHING_PROTOCOLS);
                socket.write_all(accepted.head().as_bytes()).await.ok()?;
                Some(accepted.upgraded(socket, early, parts))
            }
            Err(refused) => {
                counted::answered(began, refused.status);
                // A peer that is gone already needs no answer.
                let _ = socket.write_all(refused.head().as_bytes()).await;
                let _ = socket.shutdown().await;
                None
            }
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        matches!(parts.uri.path(), GRAPHQL | REALTIME)
            && self.guard.refuses(&parts.headers).is_none()
    }

    async fn others(&self, socket: TcpStream, read: Bytes) {
        let (rest, write) = socket.into_split();
        let socket = tokio::io::join(Cursor::new(read).chain(rest), write);
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.close.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// The first bytes of a connection, and the length of the head that they hold; `None` when it is not complete within [`HEAD_BYTES`], or
/// is none of a GET.
async fn read_head(socket: &mut TcpStream) -> io::Result<(BytesMut, Option<usize>)> {
    const GET: &[u8] = b"GET ";
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(READ_BYTES);
        let known = bytes.len();
        if socket.read_buf(&mut bytes).await? == 0 {
            // Whatever it is, hyper knows how to answer half a request.
            return if known == 0 {
                Err(io::ErrorKind::UnexpectedEof.into())
            } else {
                Ok((bytes, None))
            };
        }
        let start = bytes.len().min(GET.len());
        if bytes[..start] != GET[..start] || bytes.len() > HEAD_BYTES {
            return Ok((bytes, None));
        }
        // The end may lie across two reads.
        let searched = known.saturating_sub(END.len() - 1);
        let end = bytes[searched..]
            .windows(END.len())
            .position(|window| window == END);
        if let Some(at) = end {
            let length = searched + at + END.len();
            return Ok((bytes, Some(length)));
        }
    }
}

/// What ends a head (RFC 9112, section 2.1).
const END: &[u8] = b"\r\n\r\n";

/// The head of a WebSocket upgrade, and nothing of any other request.
fn upgrade(head: &[u8]) -> Option<Parts> {
    let mut lines = [httparse::EMPTY_HEADER; HEAD_LINES];
    let mut parsed = httparse::Request::new(&mut lines);
    let complete = parsed.parse(head).ok()?.is_complete();
    let is_upgrade = |line: &httparse::Header<'_>| line.name.eq_ignore_ascii_case("upgrade");
    if !complete || parsed.version != Some(1) || !parsed.headers.iter().any(is_upgrade) {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(line.value).ok()?);
    }
    if headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_LENGTH) {
        return None;
    }
    let request = Request::builder()
        .method(Method::GET)
        .uri(parsed.path?)
        .version(Version::HTTP_11)
        .body(Body::empty());
    let (mut parts, _) = request.ok()?.into_parts();
    parts.headers = headers;
    Some(parts)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const UPGRADE: &str = "GET /graphql?x=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX-Two: a\r\nX-Two: b\r\n\r\n";

    /// What is read of a client that writes these, one after the other, and then says no more.
    async fn read(pieces: &[&[u8]]) -> io::Result<(BytesMut, Option<usize>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        let writing = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        tokio::join!(read_head(&mut socket), writing).0
    }

    #[tokio::test]
    async fn a_head_in_any_pieces_and_what_follows_it() {
        let text = format!("{UPGRADE}frames");
        for cut in 1..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let (bytes, head) = read(&[first, second]).await.unwrap();
            assert_eq!(head, Some(UPGRADE.len()), "cut at {cut}");
            assert!(text.as_bytes().starts_with(&bytes), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn what_is_no_head_of_ours_is_handed_on() {
        for other in [
            "POST / HTTP/1.1\r\n\r\n",
            "\0",
            "GET / HTTP/1.1\r\nHost: a\r\n",
        ] {
            let (bytes, head) = read(&[other.as_bytes()]).await.unwrap();
            assert_eq!((&bytes[..], head), (other.as_bytes(), None));
        }
        let gone = read(&[]).await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_head_up_to_its_limit() {
        let padded = |bytes: usize| {
            let (begin, end) = ("GET / HTTP/1.1\r\nX: ", "\r\n\r\n");
            format!(
                "{begin}{}{end}",
                "x".repeat(bytes - begin.len() - end.len())
            )
        };
        let (_, head) = read(&[padded(HEAD_BYTES).as_bytes()]).await.unwrap();
        assert_eq!(head, Some(HEAD_BYTES));
        let (_, head) = read(&[padded(HEAD_BYTES + 1).as_bytes()]).await.unwrap();
        assert_eq!(head, None);
    }

    #[test]
    fn only_an_upgrade_is_taken() {
        let parts = upgrade(UPGRADE.as_bytes()).unwrap();
        assert_eq!(parts.uri, "/graphql?x=1");
        assert_eq!(parts.headers.get_all("x-two").iter().count(), 2);
        for (from, to) in [
            ("Upgrade: websocket\r\n", ""),
            ("HTTP/1.1", "HTTP/1.0"),
            ("/graphql?x=1", "/a b"),
            ("X-Two: a", "Content-Length: 1"),
            ("X-Two: a", "Transfer-Encoding: chunked"),
            ("X-Two", "X Two"),
            ("X-Two: a", "X-Two: \0"),
        ] {
            let other = UPGRADE.replacen(from, to, 1);
            assert!(upgrade(other.as_bytes()).is_none(), "{other:?}");
        }
        let lines = |count| {
            let more = "X: y\r\n".repeat(count - 4);
            UPGRADE.replace("Host: localhost\r\n", &format!("Host: localhost\r\n{more}"))
        };
        assert!(upgrade(lines(HEAD_LINES).as_bytes()).is_some());
        assert!(upgrade(lines(HEAD_LINES + 1).as_bytes()).is_none());
    }
}
