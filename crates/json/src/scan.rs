//! The grammar of RFC 8259 as a loop that returns tokens. The open arrays and objects are bits.

use crate::limits::FOLLOWED;
use crate::refused::{Reason, Refused, Stop};
use crate::token::{Quoted, Token, unit};

/// The tokens that may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    FirstItem,
    FirstName,
    After,
    End,
}

#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    limit: usize,
    depth: usize,
    /// A bit for each open level: whether it is an object.
    objects: [u64; FOLLOWED / 64],
    next: Next,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, limit: usize) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            limit: limit.min(FOLLOWED),
            depth: 0,
            objects: [0; FOLLOWED / 64],
            next: Next::Value,
        }
    }

    /// Number of open arrays and objects.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next token; `None` at the end of the text.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Stop> {
        let Some(mut byte) = self.peek() else {
            return match self.next {
                Next::End => Ok(None),
                Next::Value if self.depth == 0 => Err(self.refuse(Reason::Empty)),
                _ => Err(self.refuse(Reason::Ended)),
            };
        };
        match self.next {
            Next::End => return Err(self.refuse(Reason::Expected("the end of the text"))),
            Next::FirstItem if byte == b']' => return Ok(Some(self.close())),
            Next::FirstName if byte == b'}' => return Ok(Some(self.close())),
            Next::FirstName => return self.name().map(Some),
            Next::After => {
                let object = self.in_object();
                match (byte, object) {
                    (b']', false) | (b'}', true) => return Ok(Some(self.close())),
                    (b',', _) => self.at += 1,
                    (_, true) => return Err(self.refuse(Reason::Expected("`,` or `}`"))),
                    (_, false) => return Err(self.refuse(Reason::Expected("`,` or `]`"))),
                }
                byte = self.peek().ok_or_else(|| self.refuse(Reason::Ended))?;
                if object {
                    return self.name().map(Some);
                }
            }
            Next::Value | Next::FirstItem => {}
        }
        self.value(byte).map(Some)
    }

    #[inline]
    fn value(&mut self, byte: u8) -> Result<Token<'a>, Stop> {
        let token = match byte {
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            b'"' => Token::String(self.quoted()?),
            b'-' | b'0'..=b'9' => Token::Number(self.number()?),
            b't' => self.word("true", Token::Bool(true))?,
            b'f' => self.word("false", Token::Bool(false))?,
            b'n' => self.word("null", Token::Null)?,
            _ => return Err(self.refuse(Reason::Expected("a value"))),
        };
        self.done();
        Ok(token)
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    #[inline]
    fn open(&mut self, object: bool) -> Result<Token<'a>, Stop> {
        if self.depth >= self.limit {
            return Err(self.refuse(Reason::Depth(self.limit)));
        }
        let bit = 1 << (self.depth % 64);
        let word = &mut self.objects[self.depth / 64];
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        self.at += 1;
        self.next = if object {
            Next::FirstName
        } else {
            Next::FirstItem
        };
        Ok(if object { Token::Object } else { Token::Array })
    }

    #[inline]
    fn in_object(&self) -> bool {
        let level = self.depth - 1;
        self.objects[level / 64] >> (level % 64) & 1 == 1
    }

    #[inline]
    fn close(&mut self) -> Token<'a> {
        self.at += 1;
        self.depth -= 1;
        self.done();
        Token::Close
    }

    #[inline]
    fn done(&mut self) {
        self.next = if self.depth == 0 {
            Next::End
        } else {
            Next::After
        };
    }

    #[inline]
    fn name(&mut self) -> Result<Token<'a>, Stop> {
        if self.peek() != Some(b'"') {
            return Err(self.refuse(Reason::Expected("a name in quotation marks")));
        }
        let name = self.quoted()?;
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.refuse(Reason::Expected("`:`"))),
            None => return Err(self.refuse(Reason::Ended)),
        }
        self.next = Next::Value;
        Ok(Token::Name(name))
    }

    fn word(&mut self, word: &'static str, token: Token<'a>) -> Result<Token<'a>, Stop> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(token);
        }
        let reason = if word.as_bytes().starts_with(rest) {
            Reason::Ended
        } else {
            Reason::Expected("a value")
        };
        Err(self.refuse(reason))
    }

    /// A string, from its opening quotation mark to behind its closing one.
    #[inline]
    fn quoted(&mut self) -> Result<Quoted<'a>, Stop> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = plain_until(self.text.as_bytes(), at);
            match self.byte(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += self.escape(at)?;
                }
                Some(_) => return Err(stop(at, Reason::Control)),
                None => return Err(stop(at, Reason::Ended)),
            }
        }
        self.at = at + 1;
        Ok(Quoted {
            raw: &self.text[start..at],
            escaped,
        })
    }

    /// The length of the escape at `at`. A pair of surrogates is one escape.
    fn escape(&self, at: usize) -> Result<usize, Stop> {
        match self.byte(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match unit(self.rest(at)) {
                Some(0xD800..=0xDBFF) => match unit(self.rest(at + 6)) {
                    Some(0xDC00..=0xDFFF) => Ok(12),
                    _ => Err(stop(at, Reason::Surrogate)),
                },
                Some(0xDC00..=0xDFFF) => Err(stop(at, Reason::Surrogate)),
                Some(_) => Ok(6),
                None => Err(stop(at, Reason::Escape)),
            },
            Some(_) => Err(stop(at, Reason::Escape)),
            None => Err(stop(at + 1, Reason::Ended)),
        }
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    #[inline]
    fn number(&mut self) -> Result<&'a str, Stop> {
        let start = self.at;
        let whole = start + usize::from(self.byte(start) == Some(b'-'));
        let mut at = self.digits(whole)?;
        if at > whole + 1 && self.byte(whole) == Some(b'0') {
            return Err(stop(
                whole + 1,
                Reason::Expected("a number without a leading zero"),
            ));
        }
        let mut far = at - whole > FAR;
        let mut next = self.byte(at);
        if next == Some(b'.') {
            let end = self.digits(at + 1)?;
            far |= end - at > FAR;
            at = end;
            next = self.byte(at);
        }
        if let Some(b'e' | b'E') = next {
            let sign = matches!(self.byte(at + 1), Some(b'+' | b'-'));
            at = self.digits(at + 1 + usize::from(sign))?;
            far = true;
        }
        let number = &self.text[start..at];
        if far && !in_range(number) {
            return Err(stop(start, Reason::Range));
        }
        self.at = at;
        Ok(number)
    }

    /// The end of the digits that begin at `from`. There must be at least one.
    #[inline]
    fn digits(&self, from: usize) -> Result<usize, Stop> {
        let mut end = from;
        while self.byte(end).is_some_and(|byte| byte.is_ascii_digit()) {
            end += 1;
        }
        if end > from {
            return Ok(end);
        }
        Err(stop(
            end,
            match self.byte(end) {
                Some(_) => Reason::Expected("a digit"),
                None => Reason::Ended,
            },
        ))
    }

    fn refuse(&self, reason: Reason) -> Stop {
        Stop {
            at: self.at,
            reason,
        }
    }

    /// The error for the position where the scanner stopped.
    pub(crate) fn refused(&self, stop: Stop) -> Refused {
        Refused::new(self.text, stop.at, stop.reason)
    }
}

fn stop(at: usize, reason: Reason) -> Stop {
    Stop { at, reason }
}

/// Maximum number of digits before or behind the point for which a number without an exponent is in
/// range.
const FAR: usize = 300;

/// Whether double precision holds the number: it does not become infinite, or zero unless it is
/// written as zero.
fn in_range(number: &str) -> bool {
    let nothing = |number: &str| {
        number
            .bytes()
            .take_while(|b| !matches!(b, b'e' | b'E'))
            .all(|b| matches!(b, b'-' | b'.' | b'0'))
    };
    number
        .parse::<f64>()
        .is_ok_and(|read| read.is_finite() && (read != 0.0 || nothing(number)))
}

/// The position of the first quotation mark, backslash or control character from `at` on. It reads
/// eight bytes at a time.
#[inline]
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice has eight bytes"));
        let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = control
            | zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            // Carries may set bits above the first one. The first one is correct.
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
            break;
        }
        at += 1;
    }
    at
}
