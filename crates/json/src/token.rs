//! The tokens of the scanner: the checked parts of a text, which are not values yet.

use std::borrow::Cow;

/// One part of a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token<'a> {
    Array,
    Object,
    Close,
    Name(Quoted<'a>),
    String(Quoted<'a>),
    Number(&'a str),
    Bool(bool),
    Null,
}

/// The text between two quotation marks. Its escapes were checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a> {
    pub(crate) raw: &'a str,
    pub(crate) escaped: bool,
}

impl<'a> Quoted<'a> {
    pub(crate) fn resolved(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let mut length = 2;
            let found = match rest.as_bytes().get(at + 1) {
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'u') => {
                    let high = unit(&rest[at..]).unwrap_or_default();
                    length = 6;
                    match high {
                        0xD800..=0xDBFF => {
                            length = 12;
                            let low = unit(&rest[at + 6..]).unwrap_or_default();
                            char::from_u32(
                                0x10000 + ((high - 0xD800) << 10) + (low.saturating_sub(0xDC00)),
                            )
                        }
                        other => char::from_u32(other),
                    }
                    .unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                // A quotation mark, a slash or a backslash.
                Some(other) => char::from(*other),
                None => char::REPLACEMENT_CHARACTER,
            };
            out.push(found);
            rest = &rest[(at + length).min(rest.len())..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// The code unit of an escape `\uXXXX` at the beginning of a text.
pub(crate) fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}
