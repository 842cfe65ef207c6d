//! Reads the first head of a connection without an HTTP library, if it is a WebSocket upgrade.

use std::io;

use axum::body::Body;
use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::session;

/// Maximum number of bytes of a head that is read here; hyper reads a longer one.
const HEAD_BYTES: usize = 16 * 1024;
/// Maximum number of header lines of a head that is read here.
const HEAD_LINES: usize = 64;
/// Number of bytes of one read.
const READ_BYTES: usize = 2 * 1024;
/// The first bytes of a connection, and the length of the head in them; `None` if it is not
/// complete within [`HEAD_BYTES`], or is not the head of a GET.
pub(super) async fn read_head(socket: &mut TcpStream) -> io::Result<(BytesMut, Option<usize>)> {
    const GET: &[u8] = b"GET ";
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(READ_BYTES);
        let known = bytes.len();
        if socket.read_buf(&mut bytes).await? == 0 {
            // The peer sends no more; hyper answers an incomplete request.
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
        // The end may be split between two reads.
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

/// The end of a head (RFC 9112, section 2.1).
const END: &[u8] = b"\r\n\r\n";

/// Parses the head of a WebSocket upgrade; `None` for any other request.
pub(super) fn upgrade(head: &[u8]) -> Option<Parts> {
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
    if !session::offers_websocket(&headers) {
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
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    const UPGRADE: &str = "GET /graphql?x=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX-Two: a\r\nX-Two: b\r\n\r\n";

    /// Reads from a client that writes these pieces, one after the other, and then nothing more.
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
    async fn a_head_is_read_in_any_pieces() {
        let text = format!("{UPGRADE}frames");
        for cut in 1..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let (bytes, head) = read(&[first, second]).await.unwrap();
            assert_eq!(head, Some(UPGRADE.len()), "cut at {cut}");
            assert!(text.as_bytes().starts_with(&bytes), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn any_other_first_bytes_are_handed_to_hyper() {
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
    async fn a_head_is_read_up_to_its_limit() {
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
    fn only_an_upgrade_is_parsed() {
        let parts = upgrade(UPGRADE.as_bytes()).unwrap();
        assert_eq!(parts.uri, "/graphql?x=1");
        assert_eq!(parts.headers.get_all("x-two").iter().count(), 2);
        for (from, to) in [
            ("Upgrade: websocket\r\n", ""),
            ("websocket", "h2c"),
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
