//! Proxies and networks gather what a client writes, or cut it anywhere: whole conversations of
//! each WebSocket protocol, from the upgrade on, have the same outcome in one piece, cut once at
//! each place, and cut at random with fragmented frames.
//!
//! `JOBCAST_CASES` is the number of random cuttings of each conversation, `JOBCAST_TEST_SEED` their
//! seed.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Client, Home, soon};

/// Cuttings of each conversation, unless `JOBCAST_CASES` says how many.
const CASES: usize = 40;

/// What a client writes without waiting for an answer in between, and how it knows that it was
/// answered: this many messages of these types.
struct Turn {
    sends: Vec<Value>,
    awaits: Vec<(&'static str, usize)>,
}

/// One protocol's conversation.
struct Conversation {
    name: &'static str,
    head: String,
    turns: Vec<Turn>,
}

fn head(path: &str, protocol: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: {protocol}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn conversations(id: &str) -> Vec<Conversation> {
    let watch = json!({
        "query": "subscription($id: ID!, $after: Int) { onJob(id: $id, after: $after) { id version status } }",
        "variables": { "id": id, "after": 99 },
    });
    let query = json!({ "query": format!("{{ getJob(id: \"{id}\") {{ status }} }}") });
    let invalid = json!({ "query": "{ nothing }" });
    let init = json!({ "type": "connection_init", "payload": {} });
    let legacy =
        |id: &str, payload: &Value| json!({ "type": "start", "id": id, "payload": payload });
    let amazon = |id: &str, payload: &Value| {
        let data = payload.to_string();
        let extensions =
            json!({ "authorization": { "host": "localhost", "x-api-key": "da2-none" } });
        json!({ "type": "start", "id": id, "payload": { "data": data, "extensions": extensions } })
    };
    let modern =
        |id: &str, payload: &Value| json!({ "type": "subscribe", "id": id, "payload": payload });
    let stop = |kind: &str, id: &str| json!({ "type": kind, "id": id });
    vec![
        Conversation {
            name: "graphql-transport-ws",
            head: head("/graphql", "graphql-transport-ws"),
            turns: vec![
                Turn {
                    sends: vec![
                        init.clone(),
                        json!({ "type": "ping", "payload": { "é": "✓" } }),
                    ],
                    awaits: vec![("connection_ack", 1), ("pong", 1)],
                },
                Turn {
                    sends: vec![
                        modern("1", &watch),
                        modern("2", &query),
                        stop("complete", "unknown"),
                        modern("3", &invalid),
                        json!({ "type": "pong" }),
                    ],
                    awaits: vec![("complete", 2), ("next", 2), ("error", 1)],
                },
            ],
        },
        // Its clients write the first operations without waiting for the acknowledgement.
        Conversation {
            name: "subscriptions-transport-ws",
            head: head("/graphql", "graphql-ws"),
            turns: vec![Turn {
                sends: vec![
                    init.clone(),
                    legacy("1", &watch),
                    legacy("2", &query),
                    stop("stop", "unknown"),
                    legacy("3", &invalid),
                ],
                awaits: vec![
                    ("complete", 2),
                    ("data", 2),
                    ("error", 1),
                    ("connection_ack", 1),
                ],
            }],
        },
        Conversation {
            name: "AppSync",
            head: head("/graphql/realtime?header=e30=&payload=e30=", "graphql-ws"),
            turns: vec![
                Turn {
                    sends: vec![init, amazon("1", &watch), amazon("2", &invalid)],
                    awaits: vec![
                        ("data", 1),
                        ("error", 1),
                        ("start_ack", 1),
                        ("connection_ack", 1),
                    ],
                },
                Turn {
                    sends: vec![stop("stop", "1"), stop("stop", "unknown")],
                    awaits: vec![("complete", 1)],
                },
            ],
        },
    ]
}

/// A masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    let mask = [7, 0, 255, 90];
    out.push(first);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | u8::try_from(length).unwrap()),
        length => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

/// A text message; with `random` in fragments, with control frames between them.
fn message(text: &Value, random: Option<&mut StdRng>, out: &mut Vec<u8>) {
    let text = text.to_string();
    let Some(random) = random else {
        return frame(0x81, text.as_bytes(), out);
    };
    let (mut rest, mut opcode) = (text.as_bytes(), 0x01);
    while random.random_bool(0.7) {
        let (piece, more) = rest.split_at(random.random_range(0..=rest.len()));
        frame(opcode, piece, out);
        (rest, opcode) = (more, 0x00);
        if random.random_bool(0.3) {
            frame(0x8A, b"unasked", out);
        }
    }
    frame(0x80 | opcode, rest, out);
}

/// How the bytes of one turn are written.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Nowhere,
    /// Once, at this place of the whole conversation.
    At(usize),
    /// At random, from this seed, into pieces of up to this many bytes.
    Random(u64, usize),
    EachByte,
}

/// The messages by operation, in order, and how many bytes the client wrote.
async fn outcome(
    client: &Client,
    conversation: &Conversation,
    cut: Cut,
) -> (BTreeMap<String, Vec<Value>>, usize) {
    let address = client.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut random = match cut {
        Cut::Random(seed, _) => Some(StdRng::seed_from_u64(seed)),
        _ => None,
    };
    let (mut written, mut received, mut has_head) = (0, Vec::new(), false);
    let mut said: Vec<Value> = Vec::new();
    for (number, turn) in conversation.turns.iter().enumerate() {
        let mut bytes = Vec::new();
        if number == 0 {
            bytes.extend_from_slice(conversation.head.as_bytes());
        }
        for text in &turn.sends {
            message(text, random.as_mut(), &mut bytes);
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = match (cut, &mut random) {
                (Cut::EachByte, _) => 1,
                (Cut::At(at), _) if (written + 1..written + rest.len()).contains(&at) => {
                    at - written
                }
                (Cut::Random(_, most), Some(random)) => {
                    random.random_range(1..=most.min(rest.len()))
                }
                _ => rest.len(),
            };
            socket.write_all(&rest[..length]).await.unwrap();
            // So that the other side may read this piece by itself.
            tokio::task::yield_now().await;
            (rest, written) = (&rest[length..], written + length);
        }
        let done = |said: &[Value]| {
            turn.awaits.iter().all(|(kind, count)| {
                said.iter()
                    .filter(|message| message["type"] == *kind)
                    .count()
                    >= *count
            })
        };
        while !done(&said) {
            let mut chunk = [0; 4096];
            let read = soon("an answer", socket.read(&mut chunk)).await.unwrap();
            assert!(
                read > 0,
                "{} {cut:?}: closed after {said:?}",
                conversation.name
            );
            received.extend_from_slice(&chunk[..read]);
            take(&mut received, &mut has_head, &mut said);
        }
    }
    let mut by_operation: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for message in said {
        let id = message["id"].as_str().unwrap_or_default().to_owned();
        by_operation.entry(id).or_default().push(message);
    }
    // What belongs to no operation has no order: a ping is answered while credentials are checked.
    if let Some(others) = by_operation.get_mut("") {
        others.sort_by_key(Value::to_string);
    }
    (by_operation, written)
}

/// Takes whole messages from what was received; `ka` may come at any time.
fn take(received: &mut Vec<u8>, has_head: &mut bool, said: &mut Vec<Value>) {
    if !*has_head {
        let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return;
        };
        assert!(
            received.starts_with(b"HTTP/1.1 101 "),
            "{}",
            String::from_utf8_lossy(received)
        );
        received.drain(..end + 4);
        *has_head = true;
    }
    loop {
        let (length, start) = match received[..] {
            [_, 126, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 4),
            [_, short, ..] if short < 126 => (usize::from(short), 2),
            _ => return,
        };
        if received.len() < start + length {
            return;
        }
        let opcode = received[0] & 0x0F;
        let payload: Vec<u8> = received.drain(..start + length).skip(start).collect();
        assert_ne!(opcode, 8, "closed: {}", String::from_utf8_lossy(&payload));
        if opcode == 1 {
            let message: Value = serde_json::from_slice(&payload).unwrap();
            if message["type"] != "ka" {
                said.push(message);
            }
        }
    }
}

#[tokio::test]
async fn a_conversation_has_one_outcome_however_it_is_cut() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<usize>().unwrap())
    };
    let cases = number("JOBCAST_CASES").unwrap_or(CASES);
    let seed = u64::try_from(number("JOBCAST_TEST_SEED").unwrap_or(1)).unwrap();
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("pass", &json!({})).await;
    client.until_status(&id, "SUCCEEDED").await;
    for conversation in conversations(&id) {
        let (expected, length) = outcome(&client, &conversation, Cut::Nowhere).await;
        let watched = &expected["1"];
        assert!(
            watched
                .iter()
                .any(|message| message["payload"]["data"]["onJob"]["status"] == "SUCCEEDED"),
            "{}: {expected:?}",
            conversation.name
        );
        let places = (1..length)
            .step_by((length / cases.max(1)).max(1))
            .map(Cut::At);
        let random = (0..cases)
            .zip(seed..)
            .map(|(case, seed)| Cut::Random(seed, [3, 20, 120, 2_000][case % 4]));
        for cut in places.chain(random).chain([Cut::EachByte]) {
            let (got, _) = outcome(&client, &conversation, cut).await;
            assert_eq!(got, expected, "{} {cut:?}", conversation.name);
        }
    }
}
