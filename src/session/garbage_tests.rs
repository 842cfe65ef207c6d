//! Input that no correct client sends, over a real socket: each violation has its close code, the
//! server does not panic, and no connection remains.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use wire::limits::MESSAGE_BYTES;

use super::tests::*;
use super::*;

/// An upgraded socket without a client library, which would refuse to send such input.
async fn raw(server: &Server, query: &str, protocols: &str) -> tokio::net::TcpStream {
    let authority = server
        .address
        .trim_start_matches("ws://")
        .trim_end_matches('/');
    let mut socket = tokio::net::TcpStream::connect(authority).await.unwrap();
    let request = format!(
        "GET /{query} HTTP/1.1\r\nhost: {authority}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: {protocols}\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    socket
}

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    let key = [1, 2, 3, 4];
    out.extend(key);
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(index, byte)| byte ^ key[index & 3]),
    );
    out
}

/// The next frame of the server: its opcode and payload.
async fn answer(socket: &mut tokio::net::TcpStream) -> (u8, Vec<u8>) {
    let reading = async {
        let first = socket.read_u8().await.unwrap();
        let length = match socket.read_u8().await.unwrap() {
            126 => usize::from(socket.read_u16().await.unwrap()),
            127 => usize::try_from(socket.read_u64().await.unwrap()).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).await.unwrap();
        (first & 0x0F, payload)
    };
    let answer = tokio::time::timeout(DEADLINE, reading).await;
    answer.expect("an answer in time")
}

/// Sends bytes, and reads up to the close frame's code.
async fn closed_with(mut socket: tokio::net::TcpStream, sent: &[u8]) -> u16 {
    // The server may close the socket before all of it is written.
    let _ = socket.write_all(sent).await;
    loop {
        let (opcode, payload) = answer(&mut socket).await;
        if opcode == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

async fn nothing_stays(server: &Server) {
    let gone = async {
        while server.sessions.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, gone)
        .await
        .expect("all is given back");
    assert!(server.sessions.hub.is_empty());
}

#[tokio::test]
async fn each_violation_of_the_framing_gets_its_close_code() {
    let server = server(100, limits::STALLED).await;
    let init = frame(0x81, br#"{"type":"connection_init"}"#);
    let watch = frame(
        0x81,
        br#"{"id":"a","type":"subscribe","payload":{"query":"watch"}}"#,
    );
    let too_big = frame(0x81, &vec![b' '; MESSAGE_BYTES + 1]);
    let mut unmasked = frame(0x81, b"{}");
    unmasked[1] &= 0x7F;
    let halves = [
        frame(0x01, br#"{"type":"#),
        frame(0x89, b"between"),
        frame(0x80, br#""nonsense"}"#),
    ];
    let mut fits = br#"{"type":"ping"}"#.to_vec();
    fits.resize(MESSAGE_BYTES, b' ');
    let nonsense = frame(0x81, br#"{"type":"nonsense"}"#);
    for (what, sent, code) in [
        ("text that is not JSON", frame(0x81, b"\0"), 4400),
        ("a binary message", frame(0x82, b"{}"), 4400),
        ("in fragments, with a ping between", halves.concat(), 4400),
        ("not masked", unmasked, 1002),
        ("a reserved bit", frame(0xC1, b"{}"), 1002),
        ("an unknown opcode", frame(0x83, b"{}"), 1002),
        ("a fragmented ping", frame(0x09, b""), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        ("half a close code", frame(0x88, b"\x03"), 1002),
        ("not UTF-8", frame(0x81, b"\xFF"), 1007),
        ("one byte too big", too_big, 1009),
        (
            "as big as it may be",
            [frame(0x81, &fits), nonsense].concat(),
            4400,
        ),
        ("a goodbye", frame(0x88, &1001u16.to_be_bytes()), 1001),
    ] {
        for greeted in [false, true] {
            let mut socket = raw(&server, "", "graphql-transport-ws").await;
            if greeted {
                socket.write_all(&init).await.unwrap();
                answer(&mut socket).await;
                socket.write_all(&watch).await.unwrap();
            }
            let code_seen = closed_with(socket, &sent).await;
            assert_eq!(code_seen, code, "{what}");
        }
    }
    nothing_stays(&server).await;
}

#[tokio::test]
async fn an_unfinished_message_is_dropped_with_its_connection() {
    let server = server(100, limits::STALLED).await;
    for sent in [
        &b"\x81"[..],
        b"\x81\xFE\xFF",
        b"\x81\xFF\0\0\0\0\0\x0F\0\0\x01\x02\x03\x04{",
        b"\x01\x81\0\0\0\0{",
    ] {
        let mut socket = raw(&server, "", "graphql-transport-ws").await;
        socket.write_all(sent).await.unwrap();
        drop(socket);
    }
    nothing_stays(&server).await;
}

#[tokio::test]
async fn garbage_in_every_carrier_is_answered_by_the_protocol() {
    let server = server(100, limits::STALLED).await;
    let init = frame(0x81, br#"{"type":"connection_init","payload":"wrong"}"#);
    for (query, protocols) in [
        ("", "graphql-ws, header-%%%"),
        ("", "graphql-ws, header-"),
        ("?header=%%%&payload=x", "graphql-ws"),
        ("?header=%ff%fe", "graphql-ws"),
        ("?header=W10=", "graphql-ws"),
        ("", "graphql-ws"),
    ] {
        let mut socket = raw(&server, query, protocols).await;
        socket.write_all(&init).await.unwrap();
        let (_, payload) = answer(&mut socket).await;
        let text = String::from_utf8(payload).unwrap();
        assert!(
            text.contains(r#""type":"connection_error""#),
            "{query}: {text}"
        );
    }
    for last in ["", "x", "-1", "99999999999999999999999"] {
        let mut stream = events(&server, "watch", Some(last)).await;
        let snapshot = ":\n\nevent: next\nid: 1\ndata: {\"data\":1}\n\n";
        expect(&mut stream, snapshot).await;
    }
    nothing_stays(&server).await;
}

#[tokio::test]
async fn an_unanswered_read_counts_as_a_server_error() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let sessions = ::metrics::with_local_recorder(&recorder, || {
        let drain = CancellationToken::new();
        let settings = Settings {
            connections: 1,
            ..Settings::default()
        };
        Sessions::new(Arc::default(), OneJob::default(), drain, settings)
    });
    for query in ["down", "missing"] {
        let started = sessions.executor.start(None, request(query)).await;
        let stream = sse(&sessions, None, &parts(None), started);
        // The limit is one connection.
        let started = sessions.executor.start(None, request(query)).await;
        assert_eq!(multipart(&sessions, None, started).status(), 503);
        axum::body::to_bytes(stream.into_body(), 10_000)
            .await
            .unwrap();
    }
    let text = shown.render();
    for line in [
        "subscribe_server_error 1",
        "subscribe_client_error 1",
        "connect_server_error 2",
        "active_connections 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
    }
}
