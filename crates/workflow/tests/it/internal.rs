//! The internal listener's connections: each head has its time and its size, and one connection
//! more than there are places waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use workflow::Engine;
use workflow::internal::{self, HEAD, HEAD_BYTES, Limits};
use workflow::lambda::{FunctionConfig, Host, HostSettings};
use workflow::runner::Runner;

use crate::world::{DEADLINE, World, chain};

/// A time that is over soon.
const SHORT: Duration = Duration::from_millis(300);
const WHOLE: &[u8] = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POLL: &[u8] =
    b"GET /f/2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn serve(limits: Limits) -> (SocketAddr, Engine) {
    let world = World::new(&[("m", &chain(1))]);
    let runner = Runner::new(Host::new(HostSettings {
        functions: vec![FunctionConfig::new("f", Vec::new())],
        ..HostSettings::default()
    }));
    let engine = world.open(Arc::new(runner.clone())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(internal::serve_within(
        listener,
        engine.clone(),
        runner,
        workflow::secret::Admission::Open,
        limits,
        std::future::pending(),
    ));
    (address, engine)
}

async fn connect(address: SocketAddr, first: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
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
    timeout(DEADLINE, reading)
        .await
        .expect("the end of a connection");
    String::from_utf8_lossy(&said).into_owned()
}

/// The first bytes of an answer.
async fn answer(socket: &mut TcpStream) -> String {
    let mut said = [0; 12];
    let reading = socket.read_exact(&mut said);
    timeout(DEADLINE, reading)
        .await
        .expect("an answer")
        .unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether nothing comes for longer than a head has time.
async fn is_silent(socket: &mut TcpStream) -> bool {
    timeout(SHORT * 3, socket.read(&mut [0])).await.is_err()
}

#[tokio::test]
async fn heads_have_their_time() {
    let (address, _engine) = serve(Limits {
        head: SHORT,
        ..Limits::default()
    })
    .await;
    for first in [
        &b""[..],
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX: ",
        WHOLE,
    ] {
        let began = Instant::now();
        let said = closed(connect(address, first).await).await;
        assert!(began.elapsed() >= SHORT, "{said}");
        let answered = said.starts_with("HTTP/1.1 404");
        assert_eq!(answered, first == WHOLE, "{said}");
    }
    // A process that waits for work is silent for as long as there is none.
    assert!(is_silent(&mut connect(address, POLL).await).await);
    assert_eq!(
        Limits::default().head,
        HEAD,
        "the usual time is the documented one"
    );
}

#[tokio::test]
async fn heads_up_to_their_size() {
    let (address, _engine) = serve(Limits::default()).await;
    // How far beyond the bound a head is read depends on how it comes.
    for (bytes, status) in [(HEAD_BYTES - 1_024, "404"), (HEAD_BYTES * 2, "431")] {
        let cause = "x".repeat(bytes);
        let head = format!("GET /nothing HTTP/1.1\r\nHost: localhost\r\nX: {cause}\r\n\r\n");
        let mut socket = TcpStream::connect(address).await.unwrap();
        let (mut reads, mut writes) = socket.split();
        let mut said = [0; 12];
        // The server may close before it has read all of it.
        let (_, read) = tokio::join!(
            writes.write_all(head.as_bytes()),
            reads.read_exact(&mut said)
        );
        read.unwrap();
        assert_eq!(said, format!("HTTP/1.1 {status}").as_bytes(), "{bytes}");
    }
}

#[tokio::test]
async fn one_connection_more_than_there_are_places_waits() {
    let (address, _engine) = serve(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let mut first = connect(address, WHOLE).await;
    let mut second = connect(address, WHOLE).await;
    for socket in [&mut first, &mut second] {
        assert_eq!(answer(socket).await, "HTTP/1.1 404");
    }
    let mut third = connect(address, WHOLE).await;
    assert!(is_silent(&mut third).await, "there is no place for it");
    drop(first);
    assert_eq!(answer(&mut third).await, "HTTP/1.1 404");
    drop(second);
}
