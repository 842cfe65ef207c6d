//! Everybody comes back at once after the server was killed, and everybody is current. How long it takes is printed, not judged:
//!
//! `JOBCAST_RECONNECT_WATCHERS=10000 cargo test --release --test it -- --nocapture everybody_is_current`

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::delivery::{DEADLINE, http};

/// Without the variable: enough to see that it works.
const WATCHERS: usize = 300;
/// Jobs that are watched.
const JOBS: usize = 20;

/// The server, and where it listens. It is killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(directory: &std::path::Path, listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobcast"))
            .args(["serve", "--log", "warn", "--listen", listen, "--data"])
            .arg(directory)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Read to its last line: a server that nobody listens to any more could not print it.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = None;
        for line in lines {
            let line = line.unwrap();
            match line.split_once(" on http://") {
                Some(("listening", public)) => address = Some(public.to_owned()),
                Some(("internal", _)) => break,
                _ => {}
            }
        }
        let address = address.expect("the server says where it listens");
        Self { child, address }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn post(address: &str, body: Value) -> Value {
    let sent = http()
        .post(format!("http://{address}/graphql"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send();
    let text = sent.await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A masked text frame; the mask is zero, which leaves the text as it is.
fn frame(text: &str) -> Vec<u8> {
    let mut out = vec![0x81];
    match text.len() {
        short @ 0..=125 => out.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(text.bytes());
    out
}

/// A watcher that costs little: the server is what is measured.
struct Watcher {
    address: String,
    upgrade: Vec<u8>,
    init: Vec<u8>,
    subscribe: Vec<u8>,
}

impl Watcher {
    fn new(address: &str, id: &str) -> Self {
        let upgrade = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        let query = "subscription ($id: ID!) { onJob(id: $id) { id version status } }";
        let payload = json!({ "query": query, "variables": { "id": id } });
        let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
        Self {
            address: address.to_owned(),
            upgrade: upgrade.into(),
            init: frame(r#"{"type":"connection_init"}"#),
            subscribe: frame(&subscribe.to_string()),
        }
    }

    /// Connected, and told the job's version by its snapshot.
    async fn connect(&self) -> Option<(TcpStream, u64)> {
        let mut socket = TcpStream::connect(&self.address).await.ok()?;
        socket.set_nodelay(true).ok()?;
        socket.write_all(&self.upgrade).await.ok()?;
        let mut seen = Vec::new();
        until(&mut socket, &mut seen, "\r\n\r\n").await?;
        socket.write_all(&self.init).await.ok()?;
        until(&mut socket, &mut seen, "connection_ack").await?;
        socket.write_all(&self.subscribe).await.ok()?;
        until(&mut socket, &mut seen, r#","status":"#).await?;
        let text = String::from_utf8_lossy(&seen);
        let (_, version) = text.split_once(r#""version":"#)?;
        let version = version.split(',').next()?.parse().ok()?;
        Some((socket, version))
    }
}

/// Reads until this text has come.
async fn until(socket: &mut TcpStream, seen: &mut Vec<u8>, text: &str) -> Option<()> {
    seen.clear();
    while !String::from_utf8_lossy(seen).contains(text) {
        if socket.read_buf(seen).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}

#[tokio::test]
async fn everybody_is_current_after_a_restart() {
    let asked = std::env::var("JOBCAST_RECONNECT_WATCHERS").ok();
    let watchers = asked.map_or(WATCHERS, |count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), "127.0.0.1:0");
    let address = server.address.clone();
    let input = json!({ "type": "approval", "input": r#"{"subject":"s","approver":"a"}"# });
    let submitted = post(
        &address,
        json!({
            "query": "mutation ($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } } }",
            "variables": { "inputs": vec![input; JOBS] },
        }),
    );
    let submitted = submitted.await;
    let ids: Vec<String> = submitted["data"]["submitJobs"]
        .as_array()
        .unwrap_or_else(|| panic!("{submitted}"))
        .iter()
        .map(|result| result["job"]["id"].as_str().unwrap().to_owned())
        .collect();
    let connected = Arc::new(watch::Sender::new(0_usize));
    let mut all = JoinSet::new();
    for number in 0..watchers {
        let watcher = Watcher::new(&address, &ids[number % ids.len()]);
        let connected = Arc::clone(&connected);
        all.spawn(async move {
            let mut broken = false;
            loop {
                let Some((mut socket, version)) = watcher.connect().await else {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                connected.send_modify(|count| *count += 1);
                if std::mem::replace(&mut broken, true) {
                    return (number, socket, version);
                }
                // Until it breaks.
                while socket.read_buf(&mut Vec::new()).await.unwrap_or(0) > 0 {}
            }
        });
    }
    let mut count = connected.subscribe();
    let first = count.wait_for(|count| *count == watchers);
    timeout(DEADLINE, first).await.expect("in time").unwrap();

    let mut committed = Vec::new();
    for id in &ids {
        let job = json!({ "query": format!("{{ getJob(id: \"{id}\") {{ version }} }}") });
        let job = post(&address, job).await;
        committed.push(job["data"]["getJob"]["version"].as_u64().unwrap());
    }
    server.kill();
    let mut server = Server::start(directory.path(), &address);
    let began = Instant::now();
    let second = count.wait_for(|count| *count == 2 * watchers);
    timeout(DEADLINE, second).await.expect("in time").unwrap();
    println!(
        "{watchers} watchers of {JOBS} jobs were current {:.3} s after the server listened again",
        began.elapsed().as_secs_f64()
    );
    let mut sockets = Vec::new();
    while let Some(watcher) = all.join_next().await {
        let (number, socket, version) = watcher.unwrap();
        let committed = committed[number % ids.len()];
        assert!(version >= committed, "told {version} after {committed}");
        sockets.push(socket);
    }
    server.kill();
}
