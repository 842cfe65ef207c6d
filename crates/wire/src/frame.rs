//! RFC 6455 frames, the server's side, in memory: decoding of masked client frames, encoding of
//! unmasked ones.
//!
//! No extensions (therefore no compression), no handshake, no socket. A message is returned as a
//! whole.

use crate::session::{close, limits};

/// An event that the client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// Must be answered by a pong with the same bytes.
    Ping(Vec<u8>),
    /// Answers our ping.
    Pong,
    /// The client closes with this code, if it gave one.
    Close(Option<u16>),
}

/// A violation of RFC 6455. The connection must be closed with this code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Violation {
    /// 1002, 1007 or 1009.
    pub code: u16,
    /// For the close frame.
    pub reason: &'static str,
}

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Turns received bytes into events. Between messages it holds only unfinished input.
#[derive(Debug)]
pub struct Decoder {
    max_bytes: usize,
    received: Vec<u8>,
    /// Number of bytes of `received` that are decoded.
    start: usize,
    fragments: Option<Fragments>,
}

/// A message whose end has not arrived yet.
#[derive(Debug)]
struct Fragments {
    opcode: u8,
    bytes: Vec<u8>,
    /// Number of bytes of a text that are known to be UTF-8.
    checked: usize,
}

impl Fragments {
    /// Adds a frame's payload. A text that can no longer become UTF-8 is refused at once, not at
    /// its end.
    fn push(&mut self, payload: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(payload);
        if self.opcode == TEXT {
            match std::str::from_utf8(&self.bytes[self.checked..]) {
                Ok(_) => self.checked = self.bytes.len(),
                Err(error) if error.error_len().is_some() => return Err(not_utf8()),
                // The last character continues in the next fragment.
                Err(error) => self.checked += error.valid_up_to(),
            }
        }
        Ok(())
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(limits::MESSAGE_BYTES)
    }
}

struct Header {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    start: usize,
    length: usize,
}

impl Decoder {
    /// `max_bytes` is the maximum size of a message, or of the sum of its fragments.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            received: Vec::new(),
            start: 0,
            fragments: None,
        }
    }

    /// Adds bytes as they were read from the socket.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received.drain(..self.start);
        self.start = 0;
        self.received.extend_from_slice(bytes);
    }

    /// The next whole event; `None` if more bytes are needed. After a violation the decoder must be
    /// dropped.
    pub fn decode(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let begin = self.start + header.start;
            let end = begin + header.length;
            let Some(masked) = self.received.get(begin..end) else {
                return Ok(None);
            };
            let mut payload = masked.to_vec();
            for (index, byte) in payload.iter_mut().enumerate() {
                *byte ^= header.mask[index & 3];
            }
            self.start = end;
            if end == self.received.len() {
                self.received = Vec::new(); // an idle connection keeps no buffer
                self.start = 0;
            }
            if let Some(event) = self.frame(header.fin, header.opcode, payload)? {
                return Ok(Some(event));
            }
        }
    }

    fn header(&self) -> Result<Option<Header>, Violation> {
        let [first, second, rest @ ..] = &self.received[self.start..] else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(broken("reserved bits are set"));
        }
        if second & 0x80 == 0 {
            return Err(broken("a client's frame must be masked"));
        }
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        if opcode >= CLOSE && (!fin || second & 0x7F > 125) {
            return Err(broken(
                "a control frame must be whole and at most 125 bytes long",
            ));
        }
        let (length, size) = match second & 0x7F {
            126 => match rest.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        let held = self.fragments.as_ref().map_or(0, |held| held.bytes.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if opcode < CLOSE && length > self.max_bytes.saturating_sub(held) {
            return Err(Violation {
                code: close::TOO_BIG,
                reason: "message too big",
            });
        }
        let Some(mask) = rest[size..].first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(Some(Header {
            fin,
            opcode,
            mask: *mask,
            start: 2 + size + 4,
            length,
        }))
    }

    fn frame(
        &mut self,
        fin: bool,
        opcode: u8,
        payload: Vec<u8>,
    ) -> Result<Option<Event>, Violation> {
        match opcode {
            TEXT | BINARY if self.fragments.is_some() => {
                Err(broken("a new message inside a fragmented one"))
            }
            TEXT | BINARY if fin => message(opcode, payload).map(Some),
            TEXT | BINARY => {
                let mut begun = Fragments {
                    opcode,
                    bytes: Vec::new(),
                    checked: 0,
                };
                begun.push(&payload)?;
                self.fragments = Some(begun);
                Ok(None)
            }
            CONTINUATION => {
                let Some(held) = &mut self.fragments else {
                    return Err(broken("a continuation of nothing"));
                };
                held.push(&payload)?;
                if !fin {
                    return Ok(None);
                }
                let whole = self.fragments.take();
                let Fragments { opcode, bytes, .. } = whole.expect("it was there just now");
                message(opcode, bytes).map(Some)
            }
            PING => Ok(Some(Event::Ping(payload))),
            PONG => Ok(Some(Event::Pong)),
            CLOSE => closing(&payload).map(Some),
            _ => Err(broken("unknown opcode")),
        }
    }
}

fn message(opcode: u8, payload: Vec<u8>) -> Result<Event, Violation> {
    if opcode == BINARY {
        return Ok(Event::Binary(payload));
    }
    String::from_utf8(payload)
        .map(Event::Text)
        .map_err(|_| not_utf8())
}

fn closing(payload: &[u8]) -> Result<Event, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(Event::Close(None))
        } else {
            Err(broken("half a close code"))
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(broken("a close code that must not be sent"));
    }
    std::str::from_utf8(reason).map_err(|_| not_utf8())?;
    Ok(Event::Close(Some(code)))
}

fn broken(reason: &'static str) -> Violation {
    Violation {
        code: close::PROTOCOL_ERROR,
        reason,
    }
}

fn not_utf8() -> Violation {
    Violation {
        code: close::NOT_UTF8,
        reason: "text is not UTF-8",
    }
}

fn head(opcode: u8, length: usize, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Appends a text frame that consists of `parts`, so that a shared payload is copied only once,
/// here.
pub fn text(parts: &[&[u8]], out: &mut Vec<u8>) {
    let length = parts.iter().map(|part| part.len()).sum();
    out.reserve(length + 10);
    text_head(length, out);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends the head of a text frame; `length` bytes must follow.
pub fn text_head(length: usize, out: &mut Vec<u8>) {
    head(TEXT, length, out);
}

/// Appends a ping without content.
pub fn ping(out: &mut Vec<u8>) {
    head(PING, 0, out);
}

/// Appends the answer to a ping. `payload` has at most 125 bytes, which the decoder ensures.
pub fn pong(payload: &[u8], out: &mut Vec<u8>) {
    head(PONG, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends a close frame; without a code it is empty.
pub fn closed(code: Option<u16>, reason: &str, out: &mut Vec<u8>) {
    let Some(code) = code else {
        return head(CLOSE, 0, out);
    };
    head(CLOSE, 2 + reason.len(), out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

#[cfg(test)]
mod tests;
