//! A server that is asked to stop: new requests get 503, and connected clients are asked to come
//! back, bit by bit.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::delivery::{DEADLINE, Door, open};

use futures_util::StreamExt;

const SOCKETS: usize = 40;

#[tokio::test]
async fn a_server_that_drains_sends_newcomers_away_and_closes_the_others_1012() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_jobcast"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().unwrap().unwrap();
        if let Some(address) = line.strip_prefix("listening on http://") {
            break address.to_owned();
        }
    };
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(open(&address, Door::Modern).await.unwrap());
    }
    // Connected already, but the drain has begun when it asks for its upgrade.
    let early = TcpStream::connect(&address).await.unwrap();
    let pid = Pid::from_child(&server);
    kill_process(pid, Signal::TERM).unwrap();
    // The first close says that the drain has begun; the last one is seconds away.
    let mut open_ones: futures_util::stream::FuturesUnordered<_> = sockets
        .into_iter()
        .map(async |mut socket| {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        })
        .collect();
    let first = timeout(DEADLINE, open_ones.next()).await.unwrap();
    assert_eq!(first, Some(1012));
    let mut request = format!("ws://{address}/graphql")
        .into_client_request()
        .unwrap();
    let protocol = "graphql-transport-ws".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    match tokio_tungstenite::client_async(request, early).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
        }
        other => panic!("{other:?}"),
    }
    let rest = timeout(DEADLINE, open_ones.collect::<Vec<u16>>())
        .await
        .unwrap();
    assert_eq!(rest, vec![1012; SOCKETS - 1]);
    let ended = tokio::task::spawn_blocking(move || server.wait().unwrap());
    assert!(timeout(DEADLINE, ended).await.unwrap().unwrap().success());
}
