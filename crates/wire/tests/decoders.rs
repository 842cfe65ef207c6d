//! Garbage for every decoder: nothing that a client sends may make one panic, hold more than it may, or say two things of the
//! same bytes.
//!
//! A short run each time; `JOBCAST_FUZZ_SECONDS=60` runs each decoder so long. A failure prints its seed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lots;

use std::time::Duration;

use lots::{Lots, fuzz};
use wire::appsync::{AppSync, header};
use wire::frame::{Decoder, Event};
use wire::transport_ws::TransportWs;
use wire::{Input, Output, Refusal, Session, close, limits};

/// All that a decoder says of these bytes, given in pieces.
fn decode(pieces: &[&[u8]], max: usize) -> (Vec<Event>, Option<u16>) {
    let (mut decoder, mut events) = (Decoder::new(max), Vec::new());
    for piece in pieces {
        decoder.receive(piece);
        loop {
            match decoder.decode() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation.code)),
            }
        }
    }
    (events, None)
}

fn frame(lots: &mut Lots, out: &mut Vec<u8>) {
    let opcode = [0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x83][lots.below(10)];
    let length = [0, 1, 2, 5, 64, 65, 125, 126, 127, 300][lots.below(10)];
    let wrong = lots.below(20) == 0;
    let declared = if wrong { lots.below(70_000) } else { length };
    out.push(opcode);
    let mask = if lots.below(30) == 0 { 0 } else { 0x80 };
    match declared {
        0..=125 if lots.below(20) > 0 => out.push(mask | u8::try_from(declared).unwrap()),
        0..=0xFFFF => {
            out.push(mask | 126);
            out.extend(u16::try_from(declared).unwrap().to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend(u64::try_from(declared).unwrap().to_be_bytes());
        }
    }
    let key = [lots.byte(), 0, lots.byte(), 0xFF];
    out.extend(key);
    let text = lots.below(3) > 0;
    for index in 0..length {
        let byte = if text { b'a' } else { lots.byte() };
        out.push(byte ^ key[index & 3]);
    }
}

#[test]
fn frames() {
    const MAX: usize = 256;
    fuzz(30_000, |lots| {
        let mut bytes = Vec::new();
        for _ in 0..=lots.below(5) {
            frame(lots, &mut bytes);
        }
        if lots.below(4) == 0 {
            let at = lots.below(bytes.len());
            bytes[at] = lots.byte();
        }
        let whole = decode(&[&bytes], MAX);
        let cuts = [lots.below(bytes.len()), lots.below(bytes.len())];
        let (first, last) = (cuts[0].min(cuts[1]), cuts[0].max(cuts[1]));
        let cut = decode(&[&bytes[..first], &bytes[first..last], &bytes[last..]], MAX);
        assert_eq!(whole, cut, "cut at {first} and {last}: {bytes:?}");
        let known = [close::PROTOCOL_ERROR, close::NOT_UTF8, close::TOO_BIG];
        assert!(whole.1.is_none_or(|code| known.contains(&code)));
        for event in &whole.0 {
            let (length, most) = match event {
                Event::Text(text) => (text.len(), MAX),
                Event::Binary(bytes) => (bytes.len(), MAX),
                Event::Ping(bytes) => (bytes.len(), 125),
                Event::Pong | Event::Close(_) => (0, 0),
            };
            assert!(length <= most, "{event:?}");
        }
    });
}

const MESSAGES: &[&str] = &[
    r#"{"type":"connection_init"}"#,
    r#"{"type":"connection_init","payload":{"authorization":"Bearer x"}}"#,
    r#"{"type":"ping","payload":{"a":[1,{"b":null}]}}"#,
    r#"{"type":"pong"}"#,
    r#"{"id":"1","type":"subscribe","payload":{"query":"subscription { onJobs { kind } }","variables":{"a":1}}}"#,
    r#"{"id":"2","type":"subscribe","payload":{"query":"{ a }","operationName":null,"extensions":{}}}"#,
    r#"{"id":"1","type":"complete"}"#,
    r#"{"id":"1","type":"start","payload":{"data":"{\"query\":\"subscription { onJobs { kind } }\",\"variables\":{}}","extensions":{"authorization":{"x-api-key":"k","host":"h"}}}}"#,
    r#"{"id":"3","type":"start","payload":{"query":"subscription { onJobs { kind } }"}}"#,
    r#"{"type":"stop","id":"1"}"#,
    r#"{"type":"connection_terminate"}"#,
];

/// A message of either protocol. Its payload may be an echo of what the client sent, numbers included that are JSON and yet too large to be read as
/// one, so nothing is read of it.
#[derive(serde::Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
}

/// What is true of every answer, whatever was sent.
#[derive(Default)]
struct Judge {
    closed: bool,
    open: usize,
    asked: bool,
}

impl Judge {
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            assert!(!self.closed, "{output:?} after the close");
            match output {
                Output::Send(text) => {
                    let message: Message = serde_json::from_str(&text).expect("JSON");
                    assert!(!message.kind.is_empty(), "{text}");
                }
                Output::Close { code, reason } => {
                    assert!(reason.len() <= limits::CLOSE_REASON_BYTES);
                    assert!(matches!(code, 1000 | 1012 | 1013 | 4400..=4429), "{code}");
                    self.closed = true;
                }
                Output::Start { id, .. } => {
                    assert!(!id.is_empty() && id.len() <= limits::ID_BYTES);
                    self.open += 1;
                }
                Output::Stop(_) => {
                    assert!(self.open > 0, "nothing is open");
                }
                Output::Authorize(_) => {
                    assert!(!self.asked, "asked twice");
                    self.asked = true;
                }
                Output::WakeAt(_) => {}
            }
        }
    }
}

fn conversation(lots: &mut Lots, mut session: impl Session) {
    let mut judge = Judge::default();
    judge.take(session.opened());
    for step in 0..lots.below(12) {
        let now = Duration::from_secs(u64::try_from(step).unwrap() * 7);
        let sent = match step {
            // Most conversations begin as they should, to come further.
            0 if lots.below(4) > 0 => MESSAGES[0].as_bytes().to_vec(),
            _ => lots.mutated(MESSAGES),
        };
        let asked = judge.asked;
        let outputs = match (lots.below(12), std::str::from_utf8(&sent)) {
            (0, _) => session.handle(now, Input::Tick),
            (1, _) => session.handle(now, Input::Binary),
            (2, _) => session.handle(now, Input::Started("1")),
            (3, _) => session.handle(now, Input::Done("1")),
            (4, _) => {
                let (id, errors) = ("1", r#"[{"message":"no"}]"#);
                session.handle(now, Input::Failed { id, errors })
            }
            (_, Ok(text)) => session.handle(now, Input::Text(text)),
            // The frames' decoder lets no other text through.
            (_, Err(_)) => Vec::new(),
        };
        judge.take(outputs);
        if judge.asked && !asked {
            let answer = match lots.below(6) {
                0 => Err(Refusal::Unauthorized("no \"right\"".into())),
                1 => Err(Refusal::Busy("é".repeat(200))),
                2 => Err(Refusal::Expired("old".into())),
                _ => Ok(()),
            };
            judge.take(session.handle(now, Input::Authorized(answer)));
        }
    }
    let prefix = session.data_prefix("\"\\\u{1}é");
    let message = format!("{prefix}null}}");
    serde_json::from_str::<serde_json::Value>(&message).expect("JSON");
}

#[test]
fn graphql_transport_ws() {
    fuzz(20_000, |lots| conversation(lots, TransportWs::default()));
}

#[test]
fn appsync_and_legacy() {
    fuzz(20_000, |lots| {
        let carried = lots.below(2) == 0;
        conversation(lots, AppSync::new(carried));
    });
}

#[test]
fn deeply_nested_messages_are_answered() {
    for depth in [10, 100, 1_000, 100_000] {
        for (open, shut) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = format!("{}1{}", open.repeat(depth), shut.repeat(depth));
            let ping = format!(r#"{{"type":"ping","payload":{nested}}}"#);
            let outputs = TransportWs::default().handle(Duration::ZERO, Input::Text(&ping));
            assert_eq!(outputs.len(), 1, "a pong, or a close");
            let start = format!(r#"{{"id":"1","type":"start","payload":{nested}}}"#);
            let mut session = AppSync::new(true);
            session.handle(Duration::ZERO, Input::Authorized(Ok(())));
            let outputs = session.handle(Duration::ZERO, Input::Text(&start));
            assert_eq!(outputs.len(), 1, "an error");
        }
    }
}

#[test]
fn carriers_of_credentials() {
    const CARRIERS: &[&str] = &[
        "eyJ4LWFwaS1rZXkiOiJrIn0=",
        "eyJrIjoifn4+Pz8ifQ",
        "eyJrIjoifn4-Pz8ifQ==",
        "e30",
        "eyJob3N0IjoiYS5iIiwiQXV0aG9yaXphdGlvbiI6ImV5SiJ9",
        " \n\r=-_+/",
    ];
    fuzz(50_000, |lots| {
        let carrier = String::from_utf8_lossy(&lots.mutated(CARRIERS)).into_owned();
        if let Some(object) = header(&carrier) {
            let parsed: serde_json::Value = serde_json::from_str(object.get()).expect("JSON");
            assert!(parsed.is_object(), "{carrier}");
        }
    });
}
