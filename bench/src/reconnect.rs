//! `reconnect`: the server is killed under its watchers and started again, and all watchers
//! reconnect at once. Measures the time until every watcher has received the current version, and
//! checks that none receives an older version.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::args::BenchArgs;
use crate::error::Result;
use crate::http::Client;
use crate::report::Section;
use crate::server::WAIT;

/// Number of watched jobs.
const JOBS: usize = 100;
const WATCH: &str = "subscription($id: ID!) { onJob(id: $id) { id version status } }";
/// Delay before a watcher tries to connect again.
const AGAIN: Duration = Duration::from_millis(20);
/// Time allowed for the whole benchmark.
const PATIENCE: Duration = Duration::from_secs(120);
const GOAL: f64 = 2.0;

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("reconnect")?;
    let watchers = args.watchers;
    jobcast::server::allow_open_files();
    let mut section = Section::new(
        "reconnect",
        format!("{watchers} watchers of {JOBS} jobs, the server killed and started again"),
    );
    let setting = args.setting(&place)?.machine("wait", WAIT)?;
    let server = setting.start().await?;
    let address = server.address.clone();
    let ids = jobs(&address).await?;
    let (addresses, address_now) = watch::channel(address.clone());
    let (sender, mut seen) = mpsc::channel(1_024);
    let mut all = JoinSet::new();
    for number in 0..watchers {
        let (addresses, sender) = (address_now.clone(), sender.clone());
        let (job, id) = (number % ids.len(), ids[number % ids.len()].clone());
        all.spawn(async move {
            loop {
                let address = addresses.borrow().clone();
                let Ok((mut socket, version)) = connect(&address, &id).await else {
                    sleep(AGAIN).await;
                    continue;
                };
                if sender.send((job, version)).await.is_err() {
                    return;
                }
                // Reads until the connection breaks.
                while socket.read_buf(&mut Vec::new()).await.unwrap_or(0) > 0 {}
            }
        });
    }
    let begun = Instant::now();
    everybody(&mut seen, watchers, &vec![0; ids.len()]).await?;
    section.plain("first connect", begun.elapsed().as_secs_f64(), "s");

    let mut committed = Vec::new();
    let client = Client::new(&address, 1);
    for id in &ids {
        let about = json!({"id": id});
        let job = client.graphql("query($id: ID!) { getJob(id: $id) { version } }", &about);
        let job: Value = serde_json::from_str(&job.await?)?;
        committed.push(
            job["data"]["getJob"]["version"]
                .as_u64()
                .ok_or("a job is gone")?,
        );
    }
    drop(client);
    server.kill().await?;
    let server = setting.start().await?;
    // A restart uses the same port. If it is taken, another port gives the same figures.
    addresses.send(server.address.clone())?;
    let begun = Instant::now();
    everybody(&mut seen, watchers, &committed).await?;
    let current = begun.elapsed();
    section.at_most("all are current after", current.as_secs_f64(), "s", GOAL);
    #[expect(clippy::cast_precision_loss, reason = "watchers are few")]
    section.plain(
        "watchers per second",
        watchers as f64 / current.as_secs_f64(),
        "",
    );
    all.shutdown().await;
    server.stop().await?;
    Ok(section)
}

/// Submits the jobs and waits until they no longer change.
async fn jobs(address: &str) -> Result<Vec<String>> {
    const SUBMIT: &str =
        "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } } }";
    let inputs = vec![json!({"type": "wait", "input": "{}"}); JOBS];
    let client = Client::new(address, 1);
    let answer = client.graphql(SUBMIT, &json!({"inputs": inputs})).await?;
    let submitted: Value = serde_json::from_str(&answer)?;
    let results = submitted["data"]["submitJobs"].as_array();
    let ids = results.into_iter().flatten();
    let ids: Vec<String> = ids
        .filter_map(|result| Some(result["job"]["id"].as_str()?.to_owned()))
        .collect();
    if ids.len() != JOBS {
        return Err(format!("some jobs were not accepted: {answer}").into());
    }
    crate::start::leave(address, JOBS, &["QUEUED"]).await?;
    Ok(ids)
}

/// Waits until every watcher has received a version that is not older than these.
async fn everybody(
    seen: &mut mpsc::Receiver<(usize, u64)>,
    watchers: usize,
    committed: &[u64],
) -> Result<()> {
    let all = async {
        for _ in 0..watchers {
            let (job, version) = seen.recv().await.ok_or("the watchers ended")?;
            if version < committed[job] {
                return Err(format!(
                    "a watcher received version {version} after {}",
                    committed[job]
                )
                .into());
            }
        }
        Ok(())
    };
    timeout(PATIENCE, all)
        .await
        .map_err(|_| format!("not all watchers came back within {PATIENCE:?}"))?
}

/// Connects a watcher and returns the version of its snapshot. A watcher costs little, since the
/// server is measured.
async fn connect(address: &str, id: &str) -> Result<(TcpStream, u64)> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let upgrade = format!(
        "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n"
    );
    socket.write_all(upgrade.as_bytes()).await?;
    let mut seen = Vec::new();
    until(&mut socket, &mut seen, "\r\n\r\n").await?;
    socket
        .write_all(&frame(r#"{"type":"connection_init"}"#))
        .await?;
    until(&mut socket, &mut seen, "connection_ack").await?;
    let payload = json!({"query": WATCH, "variables": {"id": id}});
    let subscribe = json!({"id": "1", "type": "subscribe", "payload": payload});
    socket.write_all(&frame(&subscribe.to_string())).await?;
    until(&mut socket, &mut seen, r#","status":"#).await?;
    let text = String::from_utf8_lossy(&seen);
    let version = text.split_once(r#""version":"#);
    let version = version.and_then(|(_, rest)| rest.split(',').next());
    let version = version.ok_or("an event without a version")?.parse()?;
    Ok((socket, version))
}

/// Reads until this text has arrived.
async fn until(socket: &mut TcpStream, seen: &mut Vec<u8>, text: &str) -> Result<()> {
    seen.clear();
    while !seen
        .windows(text.len())
        .any(|window| window == text.as_bytes())
    {
        if socket.read_buf(seen).await? == 0 {
            return Err("the server is gone".into());
        }
    }
    Ok(())
}

/// A masked text frame (RFC 6455, section 5.2). The mask is zero, which leaves the text unchanged.
fn frame(text: &str) -> Vec<u8> {
    let mut out = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short @ 0..=125) => out.push(0x80 | short),
        _ => {
            let length = u16::try_from(text.len()).expect("a subscription is short");
            out.push(0x80 | 126);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(text.bytes());
    out
}
