//! Liveness, readiness and the listener of operations, as a cluster uses them.

use jobcast::http::operations::SLOTS;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Client, Door, Home, Server, Watch, on_job, soon};

/// A server that goes on for longer than a test after the signal to stop.
fn slow_to_stop() -> Home {
    Home::simple().config("operations_listen = \"127.0.0.1:0\"\nstop_delay = \"5m\"")
}

/// Waits until the probe says that the server stops.
async fn until_stopping(client: &Client) {
    soon("the probe to fail", async {
        while client.get("/livez").await.0 == 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Ends a server at once, by a second signal.
async fn end(server: Server) {
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(143));
}

#[tokio::test]
async fn both_probes_fail_from_the_signal_on() {
    let home = slow_to_stop();
    let server = home.start().await;
    let clients = [server.client(), server.operations()];
    for client in &clients {
        assert_eq!(client.get("/livez").await, (200, "alive\n".to_owned()));
        assert_eq!(client.get("/readyz").await, (200, "ready\n".to_owned()));
    }
    server.signal(Signal::TERM);
    until_stopping(&clients[0]).await;
    for client in &clients {
        for path in ["/livez", "/readyz"] {
            assert_eq!(client.get(path).await, (503, "stopping\n".to_owned()));
        }
        assert_eq!(client.get("/healthz").await.0, 200);
    }
    end(server).await;
}

#[tokio::test]
async fn during_the_delay_of_a_stop_every_door_works_as_before() {
    let home = slow_to_stop();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    server.signal(Signal::TERM);
    until_stopping(&client).await;
    for door in Door::ALL {
        let mut watch = Watch::open(door, &client, &on_job(), json!({ "id": id })).await;
        assert_eq!(watch.event().await["id"], id.as_str(), "{door:?}");
    }
    let later = client.submit("pass", &json!({})).await;
    client.until_status(&later, "SUCCEEDED").await;
    end(server).await;
}

#[tokio::test]
async fn after_the_delay_the_server_ends() {
    let home = Home::simple().config("stop_delay = \"100ms\"");
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("wait", &json!({})).await;
    let mut watch = Watch::open(Door::TransportWs, &client, &on_job(), json!({ "id": id })).await;
    watch.event().await;
    server.signal(Signal::TERM);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn the_listener_of_operations_has_its_own_doors_and_needs_no_credentials() {
    let key = "[[auth.api_keys]]\nsha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"\nsubject = \"a\"\nroles = [\"admin\"]";
    let home = Home::simple()
        .config("operations_listen = \"127.0.0.1:0\"")
        .config(key);
    let server = home.start().await;
    let client = server.operations();
    for (path, status) in [
        ("/healthz", 200),
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/", 404),
        ("/graphql", 404),
        ("/graphql/realtime", 404),
        ("/files/a/b", 404),
    ] {
        assert_eq!(client.get(path).await.0, status, "{path}");
    }
    // No socket either.
    let refused =
        Watch::try_open(Door::TransportWs, &client, &on_job(), json!({ "id": "a" })).await;
    assert!(refused.is_err_and(|error| error.contains("404")));
    assert_eq!(server.client().get("/metrics").await.0, 401);
}

#[tokio::test]
async fn probes_find_a_place_on_a_server_that_is_full_of_clients() {
    // A half of the open files is for connections.
    let home = Home::simple()
        .config("operations_listen = \"127.0.0.1:0\"")
        .open_files(128);
    let server = home.start().await;
    let client = server.client();
    // Streams give their places to no other connection.
    let list = "subscription { onJobs { kind } }";
    let mut streams = Vec::new();
    while let Ok(stream) = Watch::try_open(Door::Sse, &client, list, json!({})).await {
        streams.push(stream);
    }
    assert_eq!(streams.len(), 64);
    assert_eq!(client.get("/livez").await.0, 503);
    assert_eq!(server.operations().get("/livez").await.0, 200);
}

#[tokio::test]
async fn the_listener_of_operations_keeps_as_many_connections_as_it_has_places() {
    let home = Home::simple().config("operations_listen = \"127.0.0.1:0\"");
    let server = home.start().await;
    let operations = server.operations();
    let address = operations.url.strip_prefix("http://").unwrap();
    let mut open = Vec::new();
    for _ in 0..SLOTS {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(answered(&mut open).await, SLOTS);
    // One more takes the place of an idle one, or is refused.
    open.push(TcpStream::connect(address).await.unwrap());
    let answered = answered(&mut open).await;
    assert!((1..=SLOTS).contains(&answered), "{answered}");
}

/// The number of connections on which `/livez` is answered with 200.
async fn answered(sockets: &mut [TcpStream]) -> usize {
    let mut answered = 0;
    for socket in sockets {
        answered += usize::from(
            soon("an answer or an end", status(socket))
                .await
                .is_ok_and(|status| status == 200),
        );
    }
    answered
}

/// The status of `/livez` on a connection that is kept.
async fn status(socket: &mut TcpStream) -> std::io::Result<u16> {
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).await?;
    let mut answer = Vec::new();
    // `alive` and a line break end the answer.
    while !answer.ends_with(b"alive\n") {
        let mut read = [0; 1024];
        match socket.read(&mut read).await? {
            0 => break,
            count => answer.extend_from_slice(&read[..count]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|text| text.get(..3));
    Ok(status.and_then(|status| status.parse().ok()).unwrap_or(0))
}
