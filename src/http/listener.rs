//! The connections of the public listener. A WebSocket upgrade that is the first request of its
//! connection is answered here, from the bytes of its head: after a restart all watchers connect at
//! once, and the router would cost a third of that. Every other request, and an upgrade on a
//! connection that has served requests, is handled by hyper and the router.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connection::{Connection, Served};
use super::guard::Guard;
use super::head::{read_head, upgrade};
use super::patience::{Answered, Socket, Watch};
use super::{Doors, GRAPHQL, REALTIME, Settings, counted, is_door, operations_router, router};
use crate::graphql::Executor;
use crate::peers::{Peer, Peers, SHARE_OF_AN_ADDRESS};
use crate::session::{Accepted, Upgraded};

/// Maximum number of bytes of a request's head, including its address. A longer one is answered 431
/// or 414.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Wait after an error of the listener, such as too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Maximum number of connections over the limit that are answered 503 at once; more are closed
/// without an answer.
const REFUSED_AT_ONCE: usize = 64;
/// Time allowed for a connection over the limit to send its request and to read the answer.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
/// The answer over the limit of connections.
const NO_SLOT: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 50\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\nno more connections here for now, come back later\n";

/// Serves every door until `close` is cancelled, and returns when the requests in flight have
/// ended. Upgraded sockets belong to the sessions and are not waited for.
pub async fn serve(
    listener: TcpListener,
    doors: Doors,
    settings: Settings,
    close: CancellationToken,
) {
    let Settings {
        guard,
        times,
        slots,
        per_address,
        prefix,
        guards_metrics,
        operations_only,
    } = settings;
    let guard = Arc::new(guard);
    let served = Served {
        times,
        prefix,
        guards_metrics,
        ..Served::default()
    };
    let routes = match operations_only {
        true => operations_router,
        false => router,
    };
    let shared = Arc::new(Shared {
        router: routes(doors.clone(), Arc::clone(&guard)),
        takes_upgrades: !operations_only,
        doors,
        guard,
        served: Arc::new(served),
        close: close.clone(),
    });
    let per_address = per_address.unwrap_or(slots / SHARE_OF_AN_ADDRESS);
    let peers = Peers::new(slots, per_address);
    let refusing = Arc::new(Semaphore::new(REFUSED_AT_ONCE));
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((socket, address)) => {
                    let Some(peer) = peers.admit(address.ip()) else {
                        refuse(socket, address.ip(), &refusing);
                        continue;
                    };
                    let (shared, open) = (Arc::clone(&shared), connections.token());
                    let serving = Arc::clone(&peer);
                    // Not joined: a task ends with its socket. An upgraded socket continues in a
                    // task that holds only what it needs.
                    let task = tokio::spawn(async move {
                        if let Some(upgraded) = shared.requests(socket, &serving).await {
                            let task = tokio::spawn(upgraded.serve());
                            serving.serve_in(task.abort_handle());
                        }
                        drop(open);
                    });
                    peer.begins_in(task.abort_handle());
                }
                // The peer has closed the connection already.
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    };
    close.run_until_cancelled(accepting).await;
    // A new connection is refused at once, without waiting for earlier ones.
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

/// Answers 503 to a connection over the limit, unless too many others are being answered.
fn refuse(mut socket: TcpStream, address: IpAddr, refusing: &Arc<Semaphore>) {
    tracing::debug!(%address, "a connection found no slot");
    let Ok(permit) = Arc::clone(refusing).try_acquire_owned() else {
        return;
    };
    // Not joined: it ends within [`REFUSED_WITHIN`].
    tokio::spawn(async move {
        let answering = async {
            let mut read = [0; 4 * 1024];
            // A socket that is closed with unread bytes is reset, and the answer is lost.
            let _ = socket.read(&mut read).await?;
            socket.write_all(NO_SLOT).await?;
            socket.shutdown().await?;
            while socket.read(&mut read).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = timeout(REFUSED_WITHIN, answering).await;
        drop(permit);
    });
}

struct Shared {
    router: Router,
    takes_upgrades: bool,
    doors: Doors,
    guard: Arc<Guard>,
    served: Arc<Served>,
    close: CancellationToken,
}

impl Shared {
    /// Serves the requests of a connection. If it begins with an upgrade, returns the future that
    /// serves the socket.
    async fn requests(
        &self,
        mut socket: TcpStream,
        peer: &Arc<Peer>,
    ) -> Option<Upgraded<Executor, TcpStream>> {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let began = Instant::now();
        let reading = timeout(self.served.times.head, read_head(&mut socket));
        let (bytes, head) = match self.close.run_until_cancelled(reading).await {
            Some(Ok(Ok(read))) => read,
            // The node stops, the head is too late, or the peer has left.
            None | Some(Err(_) | Ok(Err(_))) => return None,
        };
        let upgrade = head.and_then(|length| upgrade(&bytes[..length]).zip(Some(length)));
        let Some((parts, length)) = upgrade.filter(|(parts, _)| self.takes(parts)) else {
            self.others(socket, bytes.freeze(), peer).await;
            return None;
        };
        // A copy, so that the socket does not keep the buffer of its head.
        let early = bytes[length..].to_vec();
        drop(bytes);
        match Accepted::new(&self.doors.sessions, &parts.method, &parts.headers) {
            Ok(accepted) => {
                let accepted = accepted.from(Some(Arc::clone(peer)));
                counted::answered(began, StatusCode::SWITCHING_PROTOCOLS);
                socket.write_all(accepted.head().as_bytes()).await.ok()?;
                Some(accepted.upgraded(socket, early, parts))
            }
            Err(refused) => {
                counted::answered(began, refused.status);
                // A peer that has left needs no answer.
                let _ = socket.write_all(refused.head().as_bytes()).await;
                let _ = socket.shutdown().await;
                None
            }
        }
    }

    fn takes(&self, parts: &Parts) -> bool {
        self.takes_upgrades
            && matches!(self.within(parts.uri.path()), GRAPHQL | REALTIME)
            && self.guard.refuses(parts).is_none()
    }

    fn within<'a>(&self, path: &'a str) -> &'a str {
        within(&self.served.prefix, path)
    }

    async fn others(&self, socket: TcpStream, read: Bytes, peer: &Arc<Peer>) {
        let watch = Watch::new(Arc::clone(peer), self.served.times);
        let connection = Connection {
            peer: Arc::clone(peer),
            served: Arc::clone(&self.served),
        };
        let service = service_fn(|mut request: Request<Incoming>| {
            watch.request();
            connection.goes_with(request.extensions_mut());
            let request = inside(&self.served.prefix, request);
            let answering = self.router.clone().call(request.map(Body::new));
            let watch = Arc::clone(&watch);
            async move {
                let response = answering.await?;
                Ok::<_, Infallible>(response.map(|body| Answered::new(body, watch)))
            }
        });
        let socket = Socket::new(socket, read, Arc::clone(&watch));
        let serving = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.close.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = serving => ended,
                    () = watch.overdue() => return,
                }
            }
            () = watch.overdue() => {
                tracing::debug!(address = %peer.address(), "a connection was silent for too long");
                return;
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// The path of a door. A proxy may forward the path of `public_url`, the prefix, or remove it.
fn within<'a>(prefix: &str, path: &'a str) -> &'a str {
    if prefix.is_empty() || is_door(path) {
        return path;
    }
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// The request with the path of a door.
pub(super) fn inside<B>(prefix: &str, mut request: Request<B>) -> Request<B> {
    let path = within(prefix, request.uri().path());
    if path.len() != request.uri().path().len() {
        *request.uri_mut() = moved(request.uri(), path);
    }
    request
}

/// The same address with this path.
fn moved(uri: &Uri, path: &str) -> Uri {
    let query = uri.query().map(|query| format!("?{query}"));
    let both = format!("{path}{}", query.unwrap_or_default());
    PathAndQuery::try_from(both).map_or_else(|_| uri.clone(), Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_over_the_limit_is_well_formed() {
        let text = std::str::from_utf8(NO_SLOT).expect("it is ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("it has a head");
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{text}"
        );
    }

    #[test]
    fn another_path_keeps_the_query() {
        for (from, path, to) in [
            ("/jobs/graphql?a=1", "/graphql", "/graphql?a=1"),
            ("/jobs", "/", "/"),
            ("http://host/jobs/", "/", "/"),
        ] {
            let from = from.parse().expect("an address");
            assert_eq!(moved(&from, path), *to, "{from}");
        }
    }
}
