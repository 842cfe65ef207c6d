//! The properties that must hold for any input of a client, shared by the tests and the targets of
//! libFuzzer in `fuzz/`.

use std::time::Duration;

use wire::appsync::header;
use wire::frame::{Decoder, Event};
use wire::{Input, Output, Refusal, Session, close, limits};

/// Maximum size of a message in bytes.
const MAX: usize = 256;

/// All events that a decoder returns for these bytes, given in pieces.
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

/// A stream of frames decodes the same in three pieces as whole, and to nothing over the limit.
pub fn frames(bytes: &[u8], cuts: [usize; 2]) {
    let cuts = cuts.map(|cut| cut.min(bytes.len()));
    let (first, last) = (cuts[0].min(cuts[1]), cuts[0].max(cuts[1]));
    let whole = decode(&[bytes], MAX);
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
}

/// A message of either protocol. Its payload may echo the client's input, with numbers that are
/// JSON but too large to be read as a number. Therefore the payload is not read.
#[derive(serde::Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
}

/// The properties that hold for every output, after any input.
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

/// One step of a conversation. Every number is valid.
pub struct Step {
    /// The action; in most cases the client sends a message.
    pub what: usize,
    /// The message that the client sends.
    pub sent: Vec<u8>,
    /// The answer to a request to authorize.
    pub answer: usize,
}

/// A whole conversation; every output is checked.
pub fn conversation(mut session: impl Session, steps: impl IntoIterator<Item = Step>) {
    let mut judge = Judge::default();
    judge.take(session.opened());
    for (step, seconds) in steps.into_iter().zip((0..).step_by(7)) {
        let now = Duration::from_secs(seconds);
        let asked = judge.asked;
        let outputs = match (step.what % 12, std::str::from_utf8(&step.sent)) {
            (0, _) => session.handle(now, Input::Tick),
            (1, _) => session.handle(now, Input::Binary),
            (2, _) => session.handle(now, Input::Started("1")),
            (3, _) => session.handle(now, Input::Done("1")),
            (4, _) => {
                let (id, errors) = ("1", r#"[{"message":"no"}]"#);
                session.handle(now, Input::Failed { id, errors })
            }
            (_, Ok(text)) => session.handle(now, Input::Text(text)),
            // The frames' decoder accepts no other text.
            (_, Err(_)) => Vec::new(),
        };
        judge.take(outputs);
        if judge.asked && !asked {
            let answer = match step.answer % 6 {
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

/// A carrier of credentials holds an object, or nothing.
pub fn carrier(text: &str) {
    if let Some(object) = header(text) {
        let parsed: serde_json::Value = serde_json::from_str(object.get()).expect("JSON");
        assert!(parsed.is_object(), "{text}");
    }
}
