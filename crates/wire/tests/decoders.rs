//! Random input for every decoder. No message of a client may make a decoder panic, hold more than
//! its limit, or decode the same bytes in two ways.
//!
//! A run is short; `JOBCAST_FUZZ_SECONDS=60` runs each decoder for that time. A failure prints its
//! seed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fuzzing;
mod random;

use std::time::Duration;

use fuzzing::Step;
use random::{Random, fuzz};
use wire::appsync::AppSync;
use wire::transport_ws::TransportWs;
use wire::{Input, Session};

fn frame(random: &mut Random, out: &mut Vec<u8>) {
    let opcode = [0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x83][random.below(10)];
    let length = [0, 1, 2, 5, 64, 65, 125, 126, 127, 300][random.below(10)];
    let wrong = random.below(20) == 0;
    let declared = if wrong { random.below(70_000) } else { length };
    out.push(opcode);
    let mask = if random.below(30) == 0 { 0 } else { 0x80 };
    match declared {
        0..=125 if random.below(20) > 0 => out.push(mask | u8::try_from(declared).unwrap()),
        0..=0xFFFF => {
            out.push(mask | 126);
            out.extend(u16::try_from(declared).unwrap().to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend(u64::try_from(declared).unwrap().to_be_bytes());
        }
    }
    let key = [random.byte(), 0, random.byte(), 0xFF];
    out.extend(key);
    let text = random.below(3) > 0;
    for index in 0..length {
        let byte = if text { b'a' } else { random.byte() };
        out.push(byte ^ key[index & 3]);
    }
}

#[test]
fn random_frames_keep_the_limits() {
    fuzz(30_000, |random| {
        let mut bytes = Vec::new();
        for _ in 0..=random.below(5) {
            frame(random, &mut bytes);
        }
        if random.below(4) == 0 {
            let at = random.below(bytes.len());
            bytes[at] = random.byte();
        }
        let cuts = [random.below(bytes.len()), random.below(bytes.len())];
        fuzzing::frames(&bytes, cuts);
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

fn conversation(random: &mut Random, session: impl Session) {
    let steps = random.below(12);
    let steps = (0..steps).map(|step| Step {
        sent: match step {
            // Most conversations begin correctly, to reach later states.
            0 if random.below(4) > 0 => MESSAGES[0].as_bytes().to_vec(),
            _ => random.mutated(MESSAGES),
        },
        what: random.below(12),
        answer: random.below(6),
    });
    fuzzing::conversation(session, steps);
}

#[test]
fn random_transport_ws_conversations_keep_the_rules() {
    fuzz(20_000, |random| {
        conversation(random, TransportWs::default())
    });
}

#[test]
fn random_appsync_conversations_keep_the_rules() {
    fuzz(20_000, |random| {
        let carried = random.below(2) == 0;
        conversation(random, AppSync::new(carried));
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
fn random_carriers_hold_an_object_or_nothing() {
    const CARRIERS: &[&str] = &[
        "eyJ4LWFwaS1rZXkiOiJrIn0=",
        "eyJrIjoifn4+Pz8ifQ",
        "eyJrIjoifn4-Pz8ifQ==",
        "e30",
        "eyJob3N0IjoiYS5iIiwiQXV0aG9yaXphdGlvbiI6ImV5SiJ9",
        " \n\r=-_+/",
    ];
    fuzz(50_000, |random| {
        fuzzing::carrier(&String::from_utf8_lossy(&random.mutated(CARRIERS)));
    });
}
