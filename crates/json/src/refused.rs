//! The reason and the position of a refused text. It is safe to show: it repeats at most one word
//! of the text.

use std::fmt;

/// The problem of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is empty, or white space only.
    Empty,
    /// It ends before the value does.
    Ended,
    /// Another character was expected here.
    Expected(&'static str),
    /// An escape that does not exist in JSON.
    Escape,
    /// A control character in a string without an escape.
    Control,
    /// It nests deeper than this number of levels.
    Depth(usize),
    /// A number that double precision does not hold.
    Range,
    /// An escape that is one half of a pair of surrogates, without the other.
    Surrogate,
    /// The bytes are not UTF-8.
    Utf8,
}

/// A text that is not JSON, or JSON that cannot be kept. `Display` continues a sentence such as
/// "the input is".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// The problem.
    pub reason: Reason,
    /// Its position, in bytes from the beginning of the text (behind the byte order mark).
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column, in characters from 1.
    pub column: usize,
    /// The number or the escape, if the problem is about one.
    word: String,
}

/// The position and the reason for a [`Refused`].
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) at: usize,
    pub(crate) reason: Reason,
}

/// Maximum length of a number that an error repeats, in characters.
const WORD: usize = 40;

impl Refused {
    #[cold]
    pub(crate) fn new(text: &str, offset: usize, reason: Reason) -> Refused {
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let word: String = match reason {
            Reason::Range => text[offset..]
                .chars()
                .take_while(|c| c.is_ascii_digit() || "+-.eE".contains(*c))
                .collect(),
            Reason::Surrogate => text[offset..].chars().take(6).collect(),
            _ => String::new(),
        };
        let word = match word.char_indices().nth(WORD) {
            Some((end, _)) => format!("{}…", &word[..end]),
            None => word,
        };
        Refused {
            reason,
            offset,
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            word,
        }
    }

    #[cold]
    pub(crate) fn not_utf8(bytes: &[u8], valid: usize) -> Refused {
        let valid = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
        Refused::new(&valid, valid.len(), Reason::Utf8)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = &self.word;
        match self.reason {
            Reason::Empty => return f.write_str("not JSON: it is empty"),
            Reason::Ended => write!(f, "not JSON: it ends too early"),
            Reason::Expected(what) => write!(f, "not JSON: expected {what}"),
            Reason::Escape => write!(f, "not JSON: this escape does not exist in JSON"),
            Reason::Control => write!(
                f,
                "not JSON: control characters in a string must be escaped"
            ),
            Reason::Depth(limit) => {
                write!(f, "not usable JSON: it nests deeper than {limit} levels")
            }
            Reason::Range => write!(
                f,
                "not usable JSON: the number {word} is out of range (numbers of double precision reach from about 5e-324 to 1.8e308; write it as a string)"
            ),
            Reason::Surrogate => write!(
                f,
                "not usable JSON: the escape {word} is one half of a pair of surrogates and is no character"
            ),
            Reason::Utf8 => write!(f, "not JSON: it is not UTF-8"),
        }?;
        write!(f, " at line {} column {}", self.line, self.column)
    }
}
