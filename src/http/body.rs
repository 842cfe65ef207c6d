//! Reading bodies: at a minimum pace, and within the memory that all bodies together may have.
//! Memory is reserved as bytes are received, not because a `Content-Length` announces them.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use hyper::body::Body as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::Connection;
use super::patience::{PACE, PACE_BYTES};
use super::room::UNCOUNTED_BYTES;

/// Maximum number of bytes of a refused body that are still read, so that its sender reads the
/// answer.
const READ_ON_BYTES: usize = 16 * 1024 * 1024;
/// Time allowed for reading a refused body.
const READ_ON_WITHIN: Duration = Duration::from_secs(5);

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is over the limit of {0} bytes")]
    TooLarge(usize),
    #[error("the body came too slowly: at least {PACE_BYTES} bytes must come in {} s", PACE.as_secs())]
    TooSlow,
    #[error("the server reads too many large bodies at the moment, come back later")]
    NoRoom,
    #[error("the body could not be read: {0}")]
    Broken(String),
}

impl BodyError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Adds to the answer when to try again, and that the connection ends if the rest of the body
    /// is not read.
    pub(super) fn dress(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if *self == BodyError::NoRoom {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if matches!(self, BodyError::NoRoom | BodyError::TooSlow) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_string()).into_response();
        self.dress(&mut response);
        response
    }
}

/// A body with a minimum pace.
pub(super) struct Paced {
    chunks: BodyDataStream,
    connection: Option<Connection>,
    pace: Duration,
    /// The end of the current period, and the number of bytes in it.
    ends: Option<Instant>,
    came: usize,
}

impl Paced {
    pub(super) fn new(body: Body, connection: Option<&Connection>) -> Paced {
        Paced {
            chunks: body.into_data_stream(),
            connection: connection.cloned(),
            pace: connection.map_or(PACE, |connection| connection.served.times.pace),
            ends: None,
            came: 0,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let chunk = match self.chunks.next().now_or_never() {
            Some(chunk) => chunk,
            None => {
                let peer = self.connection.as_ref().map(|connection| &connection.peer);
                peer.inspect(|peer| peer.waits());
                let chunk = waited(&mut self.chunks, self.pace, &mut self.ends, &mut self.came);
                let chunk = chunk.await;
                peer.inspect(|peer| peer.works());
                chunk?
            }
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(|error| BodyError::Broken(error.to_string()))?;
        self.came += chunk.len();
        Ok(Some(chunk))
    }

    /// Reads the rest of a refused body, within bounds; returns whether it reached the end.
    pub(super) async fn read_on(mut self) -> bool {
        let reading = async {
            let mut left = READ_ON_BYTES;
            while let Some(Ok(chunk)) = self.chunks.next().await {
                let Some(less) = left.checked_sub(chunk.len()) else {
                    return false;
                };
                left = less;
            }
            true
        };
        timeout(READ_ON_WITHIN, reading).await.unwrap_or(false)
    }

    /// The whole body, up to this many bytes.
    pub(super) async fn collect(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        // The end is known without a wait, so that nearly no request needs a timer.
        if self.chunks.is_end_stream() {
            return Ok(first);
        }
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let room = self
            .connection
            .as_ref()
            .map(|connection| connection.served.room.clone());
        let room = room.unwrap_or_default();
        let mut bytes: Vec<u8> = Vec::new();
        let mut held: Option<OwnedSemaphorePermit> = None;
        let mut counted = UNCOUNTED_BYTES;
        bytes.extend_from_slice(&first);
        drop(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            let length = bytes.len() + chunk.len();
            if length > limit {
                return Err(BodyError::TooLarge(limit));
            }
            if length > counted {
                let more = length.next_power_of_two().min(limit).max(length) - counted;
                let taken = room.take(more).await.ok_or(BodyError::NoRoom)?;
                counted += more;
                match &mut held {
                    Some(held) => held.merge(taken),
                    None => held = Some(taken),
                }
                bytes.reserve_exact(counted - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
            next = self.next().await?;
        }
        Ok(Bytes::from_owner(Held { bytes, _room: held }))
    }
}

/// A body whose memory stays reserved until it is dropped.
struct Held {
    bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

type Chunk = Option<Result<Bytes, axum::Error>>;

async fn waited(
    chunks: &mut BodyDataStream,
    pace: Duration,
    ends: &mut Option<Instant>,
    came: &mut usize,
) -> Result<Chunk, BodyError> {
    loop {
        let until = *ends.get_or_insert_with(|| Instant::now() + pace);
        match timeout_at(until, chunks.next()).await {
            Ok(chunk) => return Ok(chunk),
            Err(_) if *came >= PACE_BYTES => {
                *came = 0;
                *ends = Some(Instant::now() + pace);
            }
            Err(_) => return Err(BodyError::TooSlow),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::Arc;

    use futures_util::stream;

    use super::*;
    use crate::http::connection::Served;
    use crate::http::patience::ConnectionTimes;
    use crate::http::room::{HELD_BYTES, Room, UNIT};
    use crate::peers::Peers;

    fn connection(pace: Duration, room: usize) -> Connection {
        let served = Served {
            times: ConnectionTimes {
                pace,
                ..ConnectionTimes::default()
            },
            room: Room::new(room),
            ..Served::default()
        };
        let peers = Peers::new(1, 1);
        Connection {
            peer: peers.admit(std::net::Ipv4Addr::LOCALHOST.into()).unwrap(),
            served: Arc::new(served),
        }
    }

    /// A body of these pieces. Without an end it stalls after them.
    fn body(pieces: &[usize], ends: bool) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|size| Ok::<_, axum::Error>(Bytes::from(vec![7; *size])))
            .collect();
        let pieces = stream::iter(pieces);
        if ends {
            Body::from_stream(pieces)
        } else {
            Body::from_stream(pieces.chain(stream::pending()))
        }
    }

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let connection = connection(LONG, HELD_BYTES);
        for (pieces, read) in [
            (vec![], Ok(0)),
            (vec![10], Ok(10)),
            (vec![5, 5], Ok(10)),
            (vec![5, 6], Err(BodyError::TooLarge(10))),
            (vec![11], Err(BodyError::TooLarge(10))),
        ] {
            let mut paced = Paced::new(body(&pieces, true), Some(&connection));
            let bytes = paced.collect(10).await;
            assert_eq!(bytes.map(|bytes| bytes.len()), read, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_refused() {
        let connection = connection(SHORT, HELD_BYTES);
        for pieces in [vec![], vec![1], vec![PACE_BYTES - 1]] {
            let mut paced = Paced::new(body(&pieces, false), Some(&connection));
            assert_eq!(
                paced.collect(1 << 20).await,
                Err(BodyError::TooSlow),
                "{pieces:?}"
            );
        }
        // The bytes of one period do not count for the next one.
        let mut paced = Paced::new(body(&[PACE_BYTES], false), Some(&connection));
        let began = Instant::now();
        assert_eq!(paced.collect(1 << 20).await, Err(BodyError::TooSlow));
        assert!(began.elapsed() >= SHORT * 2);
    }

    #[tokio::test]
    async fn bodies_reserve_memory_as_they_are_received_and_release_it() {
        let connection = connection(LONG, 4 * UNIT);
        let permits = || connection.served.room.0.available_permits();
        // A small body reserves no memory.
        let mut paced = Paced::new(body(&[UNIT / 2, UNIT / 2], true), Some(&connection));
        let small = paced.collect(1 << 20).await.unwrap();
        assert_eq!((small.len(), permits()), (UNIT, 4));
        let mut paced = Paced::new(body(&[UNIT, UNIT, UNIT], true), Some(&connection));
        let large = paced.collect(1 << 20).await.unwrap();
        assert_eq!((large.len(), permits()), (3 * UNIT, 1));
        let mut paced = Paced::new(body(&[UNIT, UNIT, UNIT], true), Some(&connection));
        assert_eq!(paced.collect(1 << 20).await, Err(BodyError::NoRoom));
        drop(large);
        assert_eq!(permits(), 4);
    }
}
