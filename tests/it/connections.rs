//! Connections that are silent, slow or never end, at a listener with short times and few places:
//! each is closed in its time, active ones stay open, and honest callers get through while others
//! hold connections open.

use std::sync::Arc;
use std::time::Duration;

use jobcast::http;
use jobcast::http::patience::ConnectionTimes;
use jobcast::realtime::Realtime;
use jobcast::session;
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use sqlite::{Database, Location};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::delivery::Node;
use crate::kit::{Client, soon};

/// Far longer than any test takes.
const LONG: Duration = Duration::from_secs(3_600);
/// A time that is over soon.
const SHORT: Duration = Duration::from_millis(300);

const LONG_TIMES: ConnectionTimes = ConnectionTimes {
    head: LONG,
    idle: LONG,
    write: LONG,
    pace: LONG,
};

async fn node(settings: http::Settings) -> Node {
    let database = Database::open(&Location::Memory).unwrap();
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(database).unwrap());
    let realtime = Realtime::default();
    Node::serving(
        &store,
        false,
        realtime,
        session::Settings::default(),
        settings,
    )
    .await
}

async fn with_times(times: ConnectionTimes) -> Node {
    node(http::Settings {
        times,
        ..http::Settings::default()
    })
    .await
}

async fn connect(node: &Node, first: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(&node.address).await.unwrap();
    socket.write_all(first).await.unwrap();
    socket
}

/// Waits until the server closes, and returns what it said.
async fn closed(mut socket: TcpStream) -> String {
    let mut said = Vec::new();
    let reading = async {
        // A reset is an end too.
        while socket.read_buf(&mut said).await.unwrap_or(0) > 0 {}
    };
    soon("the end of a connection", reading).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether a connection is still open after a time in which those that are too slow are closed.
async fn lives(socket: &mut TcpStream) -> bool {
    let mut said = [0; 4096];
    loop {
        match timeout(SHORT * 3, socket.read(&mut said)).await {
            Err(_) => return true,
            Ok(Ok(0) | Err(_)) => return false,
            Ok(Ok(_)) => {}
        }
    }
}

/// One byte again and again, slower than any honest client.
async fn drip(mut socket: TcpStream) -> String {
    let (mut reads, mut writes) = socket.split();
    let mut said = Vec::new();
    let dripping = async {
        loop {
            if writes.write_all(b"a").await.is_err() {
                break;
            }
            sleep(SHORT / 10).await;
        }
    };
    let reading = async { while reads.read_buf(&mut said).await.unwrap_or(0) > 0 {} };
    let both = async {
        tokio::select! {
            () = dripping => {}
            () = reading => {}
        }
    };
    soon("the end of a connection", both).await;
    String::from_utf8_lossy(&said).into_owned()
}

const HALF_A_POST: &[u8] = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nX: ";
const HALF_A_GET: &[u8] = b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nX: ";
const WHOLE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const WITHOUT_BODY: &[u8] =
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";

#[tokio::test]
async fn heads_have_their_time() {
    let node = with_times(ConnectionTimes {
        head: SHORT,
        ..LONG_TIMES
    })
    .await;
    for first in [&b""[..], HALF_A_GET, HALF_A_POST] {
        let began = Instant::now();
        closed(connect(&node, first).await).await;
        assert!(began.elapsed() >= SHORT, "{first:?}");
        if !first.is_empty() {
            drip(connect(&node, first).await).await;
        }
    }
    // The head of a second request; before it begins, the connection is only idle.
    let mut socket = connect(&node, WHOLE).await;
    assert!(
        lives(&mut socket).await,
        "idle connections have another time"
    );
    socket.write_all(HALF_A_POST).await.unwrap();
    closed(socket).await;
    // A body has another time too.
    assert!(lives(&mut connect(&node, WITHOUT_BODY).await).await);
}

#[tokio::test]
async fn idle_connections_have_their_time() {
    let node = with_times(ConnectionTimes {
        idle: SHORT,
        ..LONG_TIMES
    })
    .await;
    let began = Instant::now();
    let said = closed(connect(&node, WHOLE).await).await;
    assert!(
        said.starts_with("HTTP/1.1 200") && began.elapsed() >= SHORT,
        "{said}"
    );
    assert!(lives(&mut connect(&node, HALF_A_POST).await).await);
    // A stream is no idle connection.
    let stream = b"GET /graphql?query=subscription%7BonJobs%7Bkind%7D%7D HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    assert!(lives(&mut connect(&node, stream).await).await);
}

#[tokio::test]
async fn bodies_have_their_pace() {
    let node = with_times(ConnectionTimes {
        pace: SHORT,
        ..LONG_TIMES
    })
    .await;
    let began = Instant::now();
    let said = closed(connect(&node, WITHOUT_BODY).await).await;
    assert!(
        said.starts_with("HTTP/1.1 408") && began.elapsed() >= SHORT,
        "{said}"
    );
    let said = drip(connect(&node, WITHOUT_BODY).await).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(lives(&mut connect(&node, HALF_A_POST).await).await);
    // One that goes on lives longer than any of its stretches of time.
    let mut socket = connect(&node, WITHOUT_BODY).await;
    let began = Instant::now();
    let piece = vec![b' '; http::patience::PACE_BYTES];
    let mut left: usize = 100_000;
    while left > 0 {
        let now = piece.len().min(left);
        socket.write_all(&piece[..now]).await.unwrap();
        left -= now;
        sleep(SHORT / 2).await;
    }
    assert!(began.elapsed() > SHORT * 3);
    let mut answer = [0; 12];
    soon("an answer", socket.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400", "white space is no request");
}

#[tokio::test]
async fn answers_that_are_not_read_have_their_time() {
    let node = with_times(ConnectionTimes {
        write: SHORT,
        ..LONG_TIMES
    })
    .await;
    // More requests than the sockets hold answers for.
    let many = b"GET /graphql/graphiql.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let mut socket = connect(&node, b"").await;
    let writing = async { while socket.write_all(&many).await.is_ok() {} };
    soon("the end of a connection that reads nothing", writing).await;
    // One that reads gets all of them.
    let mut socket = connect(&node, &many).await;
    let mut read = 0;
    let mut bytes = vec![0; 64 * 1024];
    while read < 5_000_000 {
        let count = soon("more of the answers", socket.read(&mut bytes))
            .await
            .unwrap();
        assert!(count > 0, "closed after {read} bytes");
        read += count;
    }
}

/// An honest caller: connects, asks and hears.
async fn honest(node: &Node) -> String {
    let mut socket = connect(
        node,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .await;
    let mut said = String::new();
    let _ = soon("an answer", socket.read_to_string(&mut said)).await;
    said
}

#[tokio::test]
async fn honest_callers_get_through_whatever_others_hold_open() {
    let upgrade = b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
    for first in [
        &b""[..],
        HALF_A_GET,
        HALF_A_POST,
        WITHOUT_BODY,
        WHOLE,
        upgrade,
    ] {
        let node = node(http::Settings {
            slots: 20,
            times: LONG_TIMES,
            ..http::Settings::default()
        })
        .await;
        let mut held = Vec::new();
        for _ in 0..60 {
            held.push(connect(&node, first).await);
        }
        // What others do is given a moment; then it gives way.
        let mut said = honest(&node).await;
        for _ in 0..100 {
            if said.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(
                said.is_empty() || said.starts_with("HTTP/1.1 503"),
                "{said}"
            );
            sleep(jobcast::peers::SPARED / 5).await;
            said = honest(&node).await;
        }
        assert!(said.starts_with("HTTP/1.1 200"), "{first:?}: {said}");
    }
}

#[tokio::test]
async fn without_a_place_the_answer_is_503() {
    let node = node(http::Settings {
        slots: 2,
        per_address: Some(2),
        times: LONG_TIMES,
        ..http::Settings::default()
    })
    .await;
    // Streams are at work: no connection takes their places.
    let stream = b"GET /graphql?query=subscription%7BonJobs%7Bkind%7D%7D HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut socket = connect(&node, stream).await;
        let mut head = [0; 15];
        soon("a head", socket.read_exact(&mut head)).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        streams.push(socket);
    }
    let said = honest(&node).await;
    assert!(
        said.starts_with("HTTP/1.1 503") && said.contains("Retry-After: 5"),
        "{said}"
    );
    for socket in &mut streams {
        assert!(lives(socket).await);
    }
    drop(streams);
    let again = async {
        while !honest(&node).await.starts_with("HTTP/1.1 200") {
            tokio::task::yield_now().await;
        }
    };
    soon("a place that was given back", again).await;
}

#[tokio::test]
async fn bodies_that_never_end_hold_little() {
    let node = with_times(LONG_TIMES).await;
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        http::BODY_BYTES
    );
    let bytes = vec![b' '; http::BODY_BYTES - 1];
    let most = http::room::HELD_BYTES / http::BODY_BYTES;
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..most + 4 {
        let mut socket = connect(&node, head.as_bytes()).await;
        soon("room for a body", socket.write_all(&bytes))
            .await
            .unwrap();
        held.push(socket);
    }
    for socket in held.iter_mut().rev().take(4) {
        let mut answer = [0; 12];
        soon("a refusal", socket.read_exact(&mut answer))
            .await
            .unwrap();
        refused += usize::from(&answer == b"HTTP/1.1 503");
    }
    assert_eq!(refused, 4);
    // Small ones are read all the same.
    assert!(honest(&node).await.starts_with("HTTP/1.1 200"));
    let small = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"query\":\"{ __typename }\"}";
    let mut socket = connect(&node, small).await;
    let mut answer = [0; 12];
    soon("an answer", socket.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

/// An address to put a file of this size to, and one to get it from, without their host.
async fn place(node: &Node, size: usize) -> [String; 2] {
    let client = Client::new(&format!("http://{}", node.address));
    let document =
        format!("mutation {{ createUpload(name: \"a.bin\", size: {size}) {{ putUrl getUrl }} }}");
    let place = client.data(&document, serde_json::json!({})).await;
    ["putUrl", "getUrl"].map(|name| {
        let url = place[name].as_str().unwrap();
        url[url.find("/files/").unwrap()..].to_owned()
    })
}

fn put(path: &str, size: usize) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n")
}

async fn get(node: &Node, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    closed(connect(node, head.as_bytes()).await).await
}

#[tokio::test]
async fn an_upload_that_stops_halfway_has_its_time_and_nothing_of_it_is_kept() {
    let node = with_times(ConnectionTimes {
        pace: SHORT,
        ..LONG_TIMES
    })
    .await;
    // A part of it is written when it stops.
    let size = resolvers::files::PART_BYTES * 2;
    let [put_path, get_path] = place(&node, size).await;
    let mut socket = connect(&node, put(&put_path, size).as_bytes()).await;
    let began = Instant::now();
    socket.write_all(&vec![7; size * 2 / 3]).await.unwrap();
    let said = closed(socket).await;
    assert!(
        said.starts_with("HTTP/1.1 408") && began.elapsed() >= SHORT,
        "{said}"
    );
    assert!(get(&node, &get_path).await.starts_with("HTTP/1.1 404"));
    // One that is slow but goes on is kept, and takes the place of what was given up.
    let mut socket = connect(&node, put(&put_path, size).as_bytes()).await;
    for piece in vec![7; size].chunks(size / 6) {
        socket.write_all(piece).await.unwrap();
        sleep(SHORT / 2).await;
    }
    let mut answer = [0; 12];
    soon("an answer", socket.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
    let got = get(&node, &get_path).await;
    assert!(got.starts_with("HTTP/1.1 200") && got.ends_with(&"\u{7}".repeat(size)));
}
