//! The real session over a real socket on a free port, with an independent client library.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use job::{Job, Time, Version};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::chaos::Chaos;
use crate::realtime::hub::tests::row;
use crate::realtime::hub::{Event, PayloadGroupKey, Render};

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

struct Plain;

#[async_trait]
impl Render for Plain {
    async fn render(&self, event: Event) -> Bytes {
        match event {
            Event::Job(job) => Bytes::from(format!(r#"{{"data":{}}}"#, job.version)),
            Event::Jobs(change) => Bytes::from(format!(r#"{{"data":"{}"}}"#, change.kind.as_str())),
        }
    }
}

/// Counts the renderings.
struct Counting(Arc<AtomicU64>);

#[async_trait]
impl Render for Counting {
    async fn render(&self, event: Event) -> Bytes {
        self.0.fetch_add(1, Ordering::SeqCst);
        Plain.render(event).await
    }
}

/// Renders payloads of this many bytes.
struct Sized(usize);

#[async_trait]
impl Render for Sized {
    async fn render(&self, _: Event) -> Bytes {
        Bytes::from(format!("\"{}\"", "x".repeat(self.0 - 2)))
    }
}

/// Has one job, in version 1, and one secret.
#[derive(Default)]
pub(super) struct OneJob {
    renders: Arc<AtomicU64>,
    let_render: Arc<tokio::sync::Notify>,
    /// The number of queries that were answered with [`LARGE`] bytes.
    answered: Arc<AtomicU64>,
}

/// Size in bytes of a large answer to a query.
const LARGE: usize = 4 * 1024 * 1024;

#[async_trait]
impl Executor for OneJob {
    type Caller = String;

    async fn authorize(&self, credentials: Credentials) -> Result<Authorized<String>, Refusal> {
        let said: String = [&credentials.init, &credentials.appsync]
            .into_iter()
            .flatten()
            .map(|said| said.get())
            .collect();
        let name = credentials
            .parts
            .headers
            .get("name")
            .map(|name| name.to_str().unwrap().into());
        match () {
            () if said.contains("wrong") => Err(Refusal::Unauthorized("Forbidden".into())),
            () if said.contains("stale") => Err(Refusal::Expired("Old".into())),
            () => Ok(Authorized {
                caller: Arc::new(said.clone()),
                name,
                expires_at: said.contains("short").then(soon),
            }),
        }
    }

    async fn start(&self, caller: Option<Arc<String>>, request: Request) -> Started {
        let counting = || Counting(Arc::clone(&self.renders));
        let watch = |number, snapshot: ReadResult<Arc<Job>>| {
            let query = request.query.as_str();
            Started::Watch(Watch {
                target: Target::Job {
                    id: row(number, 1).id,
                    after: query.ends_with("after 12").then_some(Version(12)),
                    snapshot: Box::pin(async { snapshot }),
                },
                group: PayloadGroupKey(query.into()),
                render: match query {
                    "fits" => Arc::new(Sized(limits::EVENT_BYTES)),
                    "too big" => Arc::new(Sized(limits::EVENT_BYTES + 1)),
                    "counted" => Arc::new(counting()),
                    query if query.ends_with(" bytes") => Arc::new(Sized(bytes_of(query))),
                    "slow" => Arc::new(Slow(Arc::clone(&self.let_render))),
                    _ => Arc::new(Plain),
                },
                expires_at: None,
            })
        };
        if request.query == "list" {
            let page = || Box::pin(async { Ok(vec![row(1, 1)]) }) as BoxFuture<_>;
            return Started::Watch(Watch {
                target: Target::Jobs {
                    scope: Arc::default(),
                    page: Arc::new(page),
                },
                group: PayloadGroupKey("list".into()),
                render: Arc::new(Plain),
                expires_at: None,
            });
        }
        match request.query.as_str() {
            "query" => Started::Single(Bytes::from_static(br#"{"data":"single"}"#)),
            "large" => {
                self.answered.fetch_add(1, Ordering::SeqCst);
                Started::Single(Sized(LARGE).render(Event::Job(row(1, 1))).await)
            }
            "who" => Started::Single(Bytes::from(format!(
                r#"{{"data":{}}}"#,
                serde_json::json!([
                    caller.as_deref(),
                    request.authorization.map(|found| found.header)
                ])
            ))),
            "slow" | "watch" | "fits" | "too big" | "counted" => watch(1, Ok(row(1, 1))),
            "finished" | "finished after 12" => watch(1, Ok(row(1, 12))),
            query if query.ends_with(" bytes") => watch(1, Ok(row(1, 1))),
            "missing" => watch(2, Err(unread("no such job", false))),
            "down" => watch(2, Err(unread("the store is down", true))),
            _ => Started::Invalid(r#"[{"message":"bad"}]"#.into()),
        }
    }
}

/// The number in `12 bytes`.
fn bytes_of(query: &str) -> usize {
    query.trim_end_matches(" bytes").parse().unwrap()
}

fn unread(message: &str, unavailable: bool) -> Unread {
    Unread {
        errors: format!(r#"[{{"message":"{message}"}}]"#),
        unavailable,
    }
}

fn soon() -> Time {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    Time::from_millis(i64::try_from(now).unwrap() + 300)
}

pub(super) struct Server {
    pub(super) address: String,
    pub(super) sessions: Arc<Sessions<OneJob>>,
    drain: CancellationToken,
}

pub(super) async fn server(max_connections: usize, stalled: Duration) -> Server {
    serving(max_connections, stalled, None).await
}

async fn serving(max_connections: usize, stalled: Duration, chaos: Option<Chaos>) -> Server {
    let drain = CancellationToken::new();
    let settings = Settings {
        connections: max_connections,
        per_caller: PER_CALLER,
        stalled,
        chaos,
    };
    let executor = OneJob::default();
    let sessions = Sessions::new(Arc::default(), executor, drain.clone(), settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/", listener.local_addr().unwrap());
    let shared = Arc::clone(&sessions);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let shared = Arc::clone(&shared);
        async move { upgrade(&shared, request) }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server {
        address,
        sessions,
        drain,
    }
}

/// A session of graphql-transport-ws over any socket, without an HTTP request before it.
fn serve_modern(
    sessions: &Arc<Sessions<OneJob>>,
    socket: tokio::io::DuplexStream,
) -> impl Future<Output = ()> + Send + use<> {
    let credentials = Box::new(Credentials {
        parts: parts(None),
        appsync: None,
        init: None,
    });
    let protocol = Box::new(wire::transport_ws::TransportWs::default());
    let admission = sessions.admit().unwrap();
    connection::serve(admission, socket, b"", protocol, credentials)
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(server: &Server, protocols: &str) -> Result<Socket, Error> {
    let mut request = server.address.as_str().into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocols.parse().unwrap());
    connect_async(request).await.map(|(socket, _)| socket)
}

/// Runs `> ` and `< ` lines; `! N` publishes version N, `< close N` expects a close frame.
async fn check(server: &Server, protocols: &str, transcript: &str) {
    let mut socket = connect(server, protocols).await.unwrap();
    run(server, &mut socket, transcript).await;
}

async fn run(server: &Server, socket: &mut Socket, transcript: &str) {
    for line in transcript.lines().map(str::trim) {
        match line.split_at(2) {
            ("> ", text) => socket.send(Message::text(text)).await.unwrap(),
            ("! ", version) => assert!(
                server
                    .sessions
                    .hub
                    .publish(None, &row(1, version.parse().unwrap()))
                    > 0
            ),
            (_, expected) => assert_eq!(receive(socket).await, expected),
        }
    }
}

async fn receive(socket: &mut Socket) -> String {
    match tokio::time::timeout(DEADLINE, socket.next())
        .await
        .expect("an answer in time")
    {
        Some(Ok(Message::Close(Some(frame)))) => format!("close {}", u16::from(frame.code)),
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

const PER_CALLER: usize = 3;
const MODERN: &str = "graphql-transport-ws";
const OPEN: &str = "> {\"type\":\"connection_init\"}\n< {\"type\":\"connection_ack\"}";
const WATCH: &str = r#"> {"id":"a","type":"subscribe","payload":{"query":"watch"}}
    < {"id":"a","type":"next","payload":{"data":1}}"#;

#[tokio::test]
async fn a_watcher_receives_the_snapshot_the_changes_and_the_end() {
    let server = server(10, limits::STALLED).await;
    let rest = r#"! 3
        < {"id":"a","type":"next","payload":{"data":3}}
        ! 2
        ! 12
        < {"id":"a","type":"next","payload":{"data":12}}
        < {"id":"a","type":"complete"}
        > {"id":"b","type":"subscribe","payload":{"query":"query"}}
        < {"id":"b","type":"next","payload":{"data":"single"}}
        < {"id":"b","type":"complete"}
        > {"id":"c","type":"subscribe","payload":{"query":"missing"}}
        < {"id":"c","type":"error","payload":[{"message":"no such job"}]}
        > {"id":"c","type":"subscribe","payload":{"query":"?"}}
        < {"id":"c","type":"error","payload":[{"message":"bad"}]}
        > {"type":"nonsense"}
        < close 4400"#;
    check(&server, MODERN, &format!("{OPEN}\n{WATCH}\n{rest}")).await;
    assert!(server.sessions.hub.is_empty());
}

#[tokio::test]
async fn a_cut_connection_receives_no_further_event() {
    let chaos = Chaos::new("cut=0.5,seed=1".parse().unwrap());
    let server = serving(10, limits::STALLED, Some(chaos)).await;
    let list = r#"{"id":"a","type":"subscribe","payload":{"query":"list"}}"#;
    let whole = ["ENTER", "SNAPSHOT"]
        .map(|kind| format!(r#"{{"id":"a","type":"next","payload":{{"data":"{kind}"}}}}"#));
    for _ in 0..40 {
        let mut socket = connect(&server, MODERN).await.unwrap();
        run(&server, &mut socket, OPEN).await;
        socket.send(Message::text(list)).await.unwrap();
        let mut received = Vec::new();
        while received.len() < whole.len() {
            let message = tokio::time::timeout(DEADLINE, socket.next()).await;
            match message.expect("an answer in time") {
                Some(Ok(Message::Text(text))) => received.push(text.to_string()),
                _ => break,
            }
        }
        assert!(whole.starts_with(&received), "{received:?}");
    }
}

#[tokio::test]
async fn an_amplify_client_receives_its_protocol() {
    let transcript = r#"> {"type":"connection_init"}
        < {"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}
        < {"type":"ka"}
        > {"id":"a","type":"start","payload":{"data":"{\"query\":\"watch\"}","extensions":{}}}
        < {"type":"start_ack","id":"a"}
        < {"id":"a","type":"data","payload":{"data":1}}
        ! 12
        < {"id":"a","type":"data","payload":{"data":12}}
        > {"id":"a","type":"start","payload":{"data":"{\"query\":\"watch\"}","extensions":{}}}
        < {"type":"start_ack","id":"a"}
        > {"id":"a","type":"stop"}
        < {"type":"complete","id":"a"}"#;
    check(
        &server(10, limits::STALLED).await,
        "graphql-ws, header-e30",
        transcript,
    )
    .await;
}

#[tokio::test]
async fn credentials_that_end_reach_amplify_as_errors_it_understands() {
    let server = server(10, limits::STALLED).await;
    let ack = r#"> {"type":"connection_init"}
        < {"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}
        < {"type":"ka"}"#;
    let header = |text: &str| format!("graphql-ws, header-{}", URL_SAFE_NO_PAD.encode(text));
    // An expired token is acknowledged; then each start is refused unless it has a valid one.
    let stale = r#"> {"id":"a","type":"start","payload":{"data":"{\"query\":\"who\"}"}}
        < {"id":"a","type":"error","payload":{"errors":[{"message":"Token has expired.","errorType":"UnauthorizedException","errorCode":401,"extensions":{"code":"UnauthorizedException"}}]}}
        > {"id":"b","type":"start","payload":{"data":"{\"query\":\"who\"}","extensions":{"authorization":{"x-api-key":"k"}}}}
        < {"type":"start_ack","id":"b"}
        < {"id":"b","type":"data","payload":{"data":[null,{"x-api-key":"k"}]}}"#;
    check(
        &server,
        &header(r#"{"token":"stale"}"#),
        &format!("{ack}\n{stale}"),
    )
    .await;
    // A token that ends while the socket is open.
    check(
        &server,
        &header(r#"{"token":"short"}"#),
        &format!("{ack}\n< close 1012"),
    )
    .await;
    let init = r#"> {"type":"connection_init","payload":{"token":"short"}}"#;
    let modern = format!("{init}\n< {{\"type\":\"connection_ack\"}}\n< close 4403");
    check(&server, MODERN, &modern).await;
    // Refused: the client receives the error and closes the socket; the server does not.
    let refused = r#"> {"type":"connection_init"}
        < {"type":"connection_error","payload":{"errors":[{"errorType":"UnauthorizedException","message":"Forbidden","errorCode":401}]}}"#;
    let mut socket = connect(&server, &header(r#"{"token":"wrong"}"#))
        .await
        .unwrap();
    run(&server, &mut socket, refused).await;
    socket.send(Message::Ping("p".into())).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Pong(_)))));
}

#[tokio::test]
async fn appsync_credentials_are_read_from_three_carriers() {
    let server = server(10, limits::STALLED).await;
    let object = r#"{"x-api-key":"k"}"#;
    let query = format!("?header={}%0A&payload=e30=", STANDARD.encode(object));
    let item = format!("graphql-ws, header-{}", URL_SAFE_NO_PAD.encode(object));
    for (query, protocols, plain) in [
        ("", item.as_str(), None),
        (&query, "graphql-ws", None),
        ("", "graphql-ws", Some("k")),
    ] {
        let mut request = format!("{}{query}", server.address)
            .into_client_request()
            .unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", protocols.parse().unwrap());
        if let Some(key) = plain {
            headers.insert("x-api-key", key.parse().unwrap());
        }
        let (mut socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-ws");
        socket
            .send(Message::text(r#"{"type":"connection_init"}"#))
            .await
            .unwrap();
        receive(&mut socket).await;
        receive(&mut socket).await;
        let start = r#"{"id":"a","type":"start","payload":{"data":"{\"query\":\"who\"}"}}"#;
        socket.send(Message::text(start)).await.unwrap();
        receive(&mut socket).await;
        let who = receive(&mut socket).await;
        assert!(who.contains(r#"\"x-api-key\":\"k\""#), "{who}");
    }
}

#[tokio::test]
async fn a_caller_over_its_limit_of_connections_is_refused() {
    let server = server(10, limits::STALLED).await;
    let open = async || {
        let mut request = server.address.as_str().into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", MODERN.parse().unwrap());
        headers.insert("name", "me".parse().unwrap());
        connect_async(request).await.unwrap().0
    };
    let mut sockets = Vec::new();
    for _ in 0..PER_CALLER {
        let mut socket = open().await;
        run(&server, &mut socket, OPEN).await;
        sockets.push(socket);
    }
    let over = "> {\"type\":\"connection_init\"}\n< close 1013";
    run(&server, &mut open().await, over).await;
    // The limit does not concern another caller's connections.
    check(&server, MODERN, OPEN).await;
    drop(sockets.pop());
    tokio::time::timeout(DEADLINE, async {
        while server.sessions.connections() > PER_CALLER - 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the slot is free again");
    run(&server, &mut open().await, OPEN).await;
}

#[tokio::test]
async fn each_refusal_has_its_close_code() {
    let server = server(10, limits::STALLED).await;
    check(
        &server,
        MODERN,
        "> {\"type\":\"connection_init\",\"payload\":{\"token\":\"wrong\"}}\n< close 4403",
    )
    .await;
    check(
        &server,
        MODERN,
        WATCH
            .lines()
            .next()
            .map(|line| format!("{line}\n< close 4401"))
            .unwrap()
            .as_str(),
    )
    .await;
    // The client library insists on a sub-protocol in the answer, so this one offers none.
    let (mut socket, _) = connect_async(&server.address).await.unwrap();
    assert_eq!(receive(&mut socket).await, "close 4406");
}

#[tokio::test]
async fn over_the_limit_of_connections_an_upgrade_gets_503() {
    let server = server(1, limits::STALLED).await;
    let first = connect(&server, MODERN).await.unwrap();
    match connect(&server, MODERN).await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{other:?}"),
    }
    drop(first);
    tokio::time::timeout(DEADLINE, async {
        while connect(&server, MODERN).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the slot is free again");
}

#[tokio::test]
async fn a_drain_acknowledges_first_and_then_closes_1012() {
    let server = server(10, limits::STALLED).await;
    let mut socket = connect(&server, MODERN).await.unwrap();
    server.drain.cancel();
    match connect(&server, MODERN).await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{other:?}"),
    }
    run(&server, &mut socket, &format!("{OPEN}\n< close 1012")).await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed() {
    let server = server(10, Duration::from_millis(200)).await;
    let mut socket = connect(&server, MODERN).await.unwrap();
    run(&server, &mut socket, OPEN).await;
    let ping = format!(
        r#"{{"type":"ping","payload":{{"p":"{}"}}}}"#,
        "x".repeat(200_000)
    );
    // Pongs that the client does not read fill the socket, then the outbox; then the server stops
    // reading as well.
    let flood = async { while socket.send(Message::text(ping.clone())).await.is_ok() {} };
    let cut = async {
        while server.sessions.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, async {
        tokio::select! { () = flood => cut_after(&server).await, () = cut => {} }
    })
    .await
    .expect("cut off in time");
}

async fn cut_after(server: &Server) {
    while server.sessions.connections() > 0 {
        tokio::task::yield_now().await;
    }
}

pub(super) type Chunks = axum::body::BodyDataStream;

/// Reads what the stream has written so far, and compares it.
pub(super) async fn expect(stream: &mut Chunks, expected: &str) {
    let mut seen = String::new();
    while seen.len() < expected.len() {
        let chunk = tokio::time::timeout(DEADLINE, stream.next()).await;
        let chunk = chunk.expect("more in time").expect("not the end").unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(seen, expected);
}

async fn expect_end(stream: &mut Chunks) {
    let end = tokio::time::timeout(DEADLINE, stream.next()).await;
    assert!(end.expect("the end in time").is_none());
}

pub(super) fn parts(last: Option<&str>) -> http::request::Parts {
    let mut request = http::Request::new(());
    if let Some(last) = last {
        let headers = request.headers_mut();
        headers.insert("last-event-id", last.parse().unwrap());
    }
    request.into_parts().0
}

pub(super) fn request(query: &str) -> Request {
    serde_json::from_value(serde_json::json!({ "query": query })).unwrap()
}

pub(super) async fn events(server: &Server, query: &str, last: Option<&str>) -> Chunks {
    let sessions = &server.sessions;
    let started = sessions.executor.start(None, request(query)).await;
    let response = sse(sessions, None, &parts(last), started);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body().into_data_stream()
}

#[tokio::test]
async fn events_are_streamed_and_resumed() {
    let server = server(10, limits::STALLED).await;
    let publish = |version| server.sessions.hub.publish(None, &row(1, version));
    let mut stream = events(&server, "watch", None).await;
    expect(
        &mut stream,
        ":\n\nevent: next\nid: 1\ndata: {\"data\":1}\n\n",
    )
    .await;
    publish(2);
    publish(3);
    expect(&mut stream, "event: next\nid: 3\ndata: {\"data\":3}\n\n").await;
    // One client has version 1, as the store does; the other has a version from before a restore of
    // the store.
    let mut resumed = events(&server, "watch", Some("1")).await;
    expect(&mut resumed, ":\n\n").await;
    let mut ahead = events(&server, "watch", Some("40")).await;
    expect(
        &mut ahead,
        ":\n\nevent: next\nid: 1\ndata: {\"data\":1}\n\n",
    )
    .await;
    publish(4);
    publish(12);
    let end = "event: next\nid: 12\ndata: {\"data\":12}\n\nevent: complete\ndata:\n\n";
    expect(&mut stream, end).await;
    expect_end(&mut stream).await;
    expect(&mut resumed, end).await;
    expect(&mut ahead, end).await;
    drop((stream, resumed, ahead));
    assert!(server.sessions.hub.is_empty());
    assert_eq!(server.sessions.connections(), 0);
    for (query, data) in [
        ("query", r#"{"data":"single"}"#),
        ("missing", r#"{"errors":[{"message":"no such job"}]}"#),
        ("?", r#"{"errors":[{"message":"bad"}]}"#),
    ] {
        let mut stream = events(&server, query, None).await;
        let data = format!(":\n\nevent: next\ndata: {data}\n\nevent: complete\ndata:\n\n");
        expect(&mut stream, &data).await;
        expect_end(&mut stream).await;
    }
}

#[tokio::test]
async fn a_finished_job_that_the_client_has_completes_at_once() {
    let server = server(10, limits::STALLED).await;
    let mut stream = events(&server, "finished", Some("12")).await;
    expect(&mut stream, ":\n\nevent: complete\ndata:\n\n").await;
    let finished = r#"> {"id":"a","type":"subscribe","payload":{"query":"finished after 12"}}
        < {"id":"a","type":"complete"}"#;
    check(&server, MODERN, &format!("{OPEN}\n{finished}")).await;
}

#[tokio::test]
async fn multipart_parts_are_streamed_to_their_end() {
    let server = server(10, limits::STALLED).await;
    let head = "\r\ncontent-type: application/json\r\n\r\n";
    let started = server.sessions.executor.start(None, request("watch")).await;
    let response = multipart(&server.sessions, None, started);
    let kind = &response.headers()["content-type"];
    assert_eq!(
        kind,
        "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0"
    );
    let mut stream = response.into_body().into_data_stream();
    let part = |data| format!("{head}{{\"payload\":{{\"data\":{data}}}}}\r\n--graphql");
    expect(&mut stream, &format!("\r\n--graphql{}", part(1))).await;
    server.sessions.hub.publish(None, &row(1, 12));
    expect(&mut stream, &format!("{}--\r\n", part(12))).await;
    expect_end(&mut stream).await;
}

#[tokio::test]
async fn streams_drain_and_count_as_connections_like_sockets() {
    let server = server(PER_CALLER + 1, limits::STALLED).await;
    let me: Arc<str> = "me".into();
    let open = async |name: &str| {
        let started = server.sessions.executor.start(None, request("watch")).await;
        let name = (name == "me").then_some(&me);
        multipart(&server.sessions, name, started)
    };
    let mut streams = Vec::new();
    for _ in 0..PER_CALLER {
        streams.push(open("me").await.into_body().into_data_stream());
    }
    assert_eq!(open("me").await.status(), 429);
    let mut last = events(&server, "watch", None).await;
    assert_eq!(open("nobody").await.status(), 503);
    server.drain.cancel();
    // Server-sent events end without `complete`, so that the client connects again.
    expect(&mut last, ":\n\nevent: next\nid: 1\ndata: {\"data\":1}\n\n").await;
    expect_end(&mut last).await;
    let mut text = String::new();
    while let Some(chunk) = streams[0].next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    assert!(
        text.ends_with("\r\n--graphql--\r\n") && text.contains("StreamEnded"),
        "{text}"
    );
}

#[tokio::test]
async fn a_list_is_read_again_after_a_resync() {
    let server = server(10, limits::STALLED).await;
    let mut socket = connect(&server, MODERN).await.unwrap();
    let next =
        |kind| format!("< {{\"id\":\"a\",\"type\":\"next\",\"payload\":{{\"data\":\"{kind}\"}}}}");
    let watch = r#"> {"id":"a","type":"subscribe","payload":{"query":"list"}}"#;
    let paged = [next("ENTER"), next("SNAPSHOT")].join("\n");
    let changed = next("CHANGE");
    let transcript = format!("{OPEN}\n{watch}\n{paged}\n! 2\n{changed}\n! 12\n{changed}");
    run(&server, &mut socket, &transcript).await;
    server.sessions.hub.resync_lists();
    run(
        &server,
        &mut socket,
        &format!("{}\n{paged}", next("RESYNC")),
    )
    .await;
    let mut stream = events(&server, "list", None).await;
    let event = |kind| format!("event: next\ndata: {{\"data\":\"{kind}\"}}\n\n");
    expect(
        &mut stream,
        &format!(":\n\n{}{}", event("ENTER"), event("SNAPSHOT")),
    )
    .await;
    server.sessions.hub.resync_lists();
    let again = ["RESYNC", "ENTER", "SNAPSHOT"].map(event).concat();
    expect(&mut stream, &again).await;
}

#[tokio::test]
async fn an_event_over_the_limit_ends_the_operation_with_an_error() {
    let server = server(10, limits::STALLED).await;
    let mut socket = connect(&server, MODERN).await.unwrap();
    run(&server, &mut socket, OPEN).await;
    for (query, kind) in [("fits", "next"), ("too big", "error")] {
        let subscribe =
            format!(r#"{{"id":"a","type":"subscribe","payload":{{"query":"{query}"}}}}"#);
        socket.send(Message::text(subscribe)).await.unwrap();
        let answer = receive(&mut socket).await;
        assert!(
            answer.starts_with(&format!(r#"{{"id":"a","type":"{kind}""#)),
            "{query}"
        );
        let complete = r#"{"id":"a","type":"complete"}"#;
        socket.send(Message::text(complete)).await.unwrap();
    }
}

#[tokio::test]
async fn payloads_arrive_whole_however_few_bytes_a_write_takes() {
    let Server { sessions, .. } = server(10, limits::STALLED).await;
    let least = limits::UNCOPIED_BYTES;
    let mut version = 100;
    for room in [16, 5_000, 1024 * 1024] {
        for bytes in [least - 1, least, 3 * limits::OUTBOX_BYTES] {
            let (socket, peer) = tokio::io::duplex(room);
            let mut client = WebSocketStream::from_raw_socket(peer, Role::Client, None).await;
            let serving = tokio::spawn(serve_modern(&sessions, socket));
            let subscribe =
                format!(r#"{{"id":"a","type":"subscribe","payload":{{"query":"{bytes} bytes"}}}}"#);
            let payload = "x".repeat(bytes - 2);
            let event = format!(r#"{{"id":"a","type":"next","payload":"{payload}"}}"#);
            for (said, expected) in [
                (
                    Some(r#"{"type":"connection_init"}"#),
                    r#"{"type":"connection_ack"}"#,
                ),
                (Some(&subscribe), &event),
                (None, &event),
                (None, &event),
            ] {
                match said {
                    Some(said) => client.send(Message::text(said)).await.unwrap(),
                    None => {
                        version += 1;
                        sessions.hub.publish(None, &row(1, version));
                    }
                }
                let heard = tokio::time::timeout(DEADLINE, client.next()).await;
                let heard = heard.unwrap().unwrap().unwrap().into_text().unwrap();
                assert!(*heard == *expected, "{bytes} in {room}: {heard:.200}");
            }
            drop(client);
            serving.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_thousand_watchers_cost_one_rendering_per_event() {
    let server = server(10, limits::STALLED).await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut socket = connect(&server, MODERN).await.unwrap();
        run(&server, &mut socket, OPEN).await;
        for id in 0..100 {
            let subscribe =
                format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"counted"}}}}"#);
            socket.send(Message::text(subscribe)).await.unwrap();
        }
        for _ in 0..100 {
            receive(&mut socket).await;
        }
        sockets.push(socket);
    }
    let renders = || server.sessions.executor.renders.load(Ordering::SeqCst);
    assert_eq!(renders(), 1);
    for version in 2..5 {
        assert_eq!(server.sessions.hub.publish(None, &row(1, version)), 1_000);
        for socket in &mut sockets {
            for _ in 0..100 {
                let text = receive(socket).await;
                assert!(
                    text.ends_with(&format!(r#""payload":{{"data":{version}}}}}"#)),
                    "{text}"
                );
            }
        }
        assert_eq!(renders(), version);
    }
}

/// Counts how often a task is polled.
#[derive(Default)]
struct Turns {
    count: AtomicU64,
    due: tokio::sync::Notify,
}

impl std::task::Wake for Turns {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.due.notify_one();
    }
}

#[tokio::test]
async fn a_publish_is_delivered_without_a_poll_of_the_connections_task() {
    let Server { sessions, .. } = server(10, limits::STALLED).await;
    let (socket, peer) = tokio::io::duplex(4096);
    let client = WebSocketStream::from_raw_socket(peer, Role::Client, None).await;
    let (mut says, mut hears) = client.split();
    let mut serving = Box::pin(serve_modern(&sessions, socket));
    let turns = Arc::new(Turns::default());
    let waker = std::task::Waker::from(Arc::clone(&turns));
    let mut receive = async |has_turns: bool| {
        loop {
            if has_turns {
                let turned = serving
                    .as_mut()
                    .poll(&mut std::task::Context::from_waker(&waker));
                assert!(turned.is_pending());
            }
            tokio::select! {
                message = hears.next() => match message {
                    Some(Ok(Message::Text(text))) => return text.to_string(),
                    other => panic!("{other:?}"),
                },
                () = turns.due.notified(), if has_turns => {}
            }
        }
    };
    for (said, heard) in [
        (r#"{"type":"connection_init"}"#, "connection_ack"),
        (
            r#"{"id":"a","type":"subscribe","payload":{"query":"watch"}}"#,
            r#"{"data":1}"#,
        ),
    ] {
        says.send(Message::text(said)).await.unwrap();
        let answer = tokio::time::timeout(DEADLINE, receive(true)).await;
        assert!(answer.unwrap().contains(heard));
    }
    let before = turns.count.load(Ordering::SeqCst);
    for version in 2..5 {
        sessions.hub.publish(None, &row(1, version));
        let heard = tokio::time::timeout(DEADLINE, receive(false)).await;
        assert!(heard.unwrap().contains(&format!(r#"{{"data":{version}}}"#)));
    }
    assert_eq!(turns.count.load(Ordering::SeqCst), before);
    drop(serving);
    assert!(sessions.hub.is_empty());
    assert_eq!(sessions.connections(), 0);
}

/// Renders when the test allows it.
struct Slow(Arc<tokio::sync::Notify>);

#[async_trait]
impl Render for Slow {
    async fn render(&self, event: Event) -> Bytes {
        self.0.notified().await;
        Plain.render(event).await
    }
}

#[tokio::test]
async fn a_slow_rendering_delays_only_its_event() {
    let server = server(10, limits::STALLED).await;
    let mut socket = connect(&server, MODERN).await.unwrap();
    let slow = r#"> {"id":"s","type":"subscribe","payload":{"query":"slow"}}
        > {"type":"ping"}
        < {"type":"pong"}
        > {"id":"q","type":"subscribe","payload":{"query":"query"}}
        < {"id":"q","type":"next","payload":{"data":"single"}}
        < {"id":"q","type":"complete"}"#;
    run(&server, &mut socket, &format!("{OPEN}\n{slow}")).await;
    // Events during the first rendering are conflated.
    server.sessions.hub.publish(None, &row(1, 2));
    server.sessions.hub.publish(None, &row(1, 3));
    server.sessions.executor.let_render.notify_one();
    assert!(receive(&mut socket).await.ends_with(r#"{"data":1}}"#));
    server.sessions.executor.let_render.notify_one();
    assert!(receive(&mut socket).await.ends_with(r#"{"data":3}}"#));
}

#[tokio::test]
async fn deliveries_are_counted_and_their_lag_is_measured() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let sessions = ::metrics::with_local_recorder(&recorder, || {
        let executor = OneJob::default();
        let drain = CancellationToken::new();
        Sessions::new(Arc::default(), executor, drain, Settings::default())
    });
    let started = sessions.executor.start(None, request("watch")).await;
    let mut stream = sse(&sessions, None, &parts(None), started)
        .into_body()
        .into_data_stream();
    expect(
        &mut stream,
        ":\n\nevent: next\nid: 1\ndata: {\"data\":1}\n\n",
    )
    .await;
    let seen = |line: &str| shown.render().lines().any(|shown| shown == line);
    assert!(seen("active_connections 1") && seen("active_subscriptions 1"));
    assert!(
        !seen("commit_to_socket_seconds_count 1"),
        "a snapshot has no lag"
    );
    sessions.hub.publish(None, &row(1, 2));
    expect(&mut stream, "event: next\nid: 2\ndata: {\"data\":2}\n\n").await;
    assert!(
        seen("commit_to_socket_seconds_count 1"),
        "{}",
        shown.render()
    );
    assert!(seen("publish_data_message_success 2"));
    drop(stream);
    assert!(seen("active_connections 0") && seen("active_subscriptions 0"));
}

/// Work for a client that does not read waits as a request, not as an answer.
#[tokio::test]
async fn answers_are_produced_only_as_the_client_takes_them() {
    let Server { sessions, .. } = server(1, limits::STALLED).await;
    // The requests fit into the pipe, one answer does not.
    let (socket, peer) = tokio::io::duplex(limits::OUTBOX_BYTES);
    let mut client = WebSocketStream::from_raw_socket(peer, Role::Client, None).await;
    let _serving = AbortOnDropHandle::new(tokio::spawn(serve_modern(&sessions, socket)));
    let init = Message::text(r#"{"type":"connection_init"}"#);
    client.send(init).await.unwrap();
    let acknowledged = tokio::time::timeout(DEADLINE, client.next()).await;
    assert!(acknowledged.unwrap().unwrap().unwrap().is_text());
    let queries = u64::try_from(wire::limits::SUBSCRIPTIONS).unwrap();
    for id in 0..queries {
        let text = format!(r#"{{"type":"subscribe","id":"{id}","payload":{{"query":"large"}}}}"#);
        client.send(Message::text(text)).await.unwrap();
    }
    let mut taken = 0;
    while taken < queries {
        let message = tokio::time::timeout(DEADLINE, client.next()).await;
        if message.unwrap().unwrap().unwrap().len() > LARGE {
            taken += 1;
        }
        let answered = sessions.executor.answered.load(Ordering::SeqCst);
        assert!(answered <= taken + 1, "{answered} made, {taken} taken");
    }
}
