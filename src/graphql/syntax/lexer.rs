//! The tokens of a document (GraphQL, section 2.1), one after the other, counted.

use async_graphql::Pos;

use super::SyntaxError;
use super::strings;
use crate::graphql::limits;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of `! $ & ( ) ... : = @ [ ] { | }`.
    Punctuator,
    Name,
    Int,
    Float,
    String,
    BlockString,
    End,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// The text of the token; of a string the text between its quotes.
    pub(super) text: &'t str,
    pub(super) place: Pos,
}

impl Token<'_> {
    /// The token as an error shows it.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            Kind::End => "the end of the document".to_owned(),
            Kind::String | Kind::BlockString => "a string".to_owned(),
            _ => format!("`{}`", job::limits::beginning(self.text, SHOWN_BYTES)),
        }
    }
}

/// Maximum length in bytes of a token in an error.
const SHOWN_BYTES: usize = 64;

/// Reads tokens.
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// The rest of the text.
    at: usize,
    /// The place of `counted`.
    place: Pos,
    counted: usize,
    tokens: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            place: Pos { line: 1, column: 1 },
            counted: 0,
            tokens: 0,
        }
    }

    /// Number of tokens so far.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    pub(super) fn next(&mut self) -> Result<Token<'t>, Box<SyntaxError>> {
        self.skip_ignored();
        let place = self.place_of(self.at);
        let bytes = self.text.as_bytes();
        let Some(&first) = bytes.get(self.at) else {
            return Ok(self.token(Kind::End, self.at, place));
        };
        self.tokens += 1;
        if self.tokens > limits::TOKENS {
            let text = format!(
                "the document has more than {} tokens: split it",
                limits::TOKENS
            );
            return Err(SyntaxError::over_bound(text, place));
        }
        let end = match first {
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|'
            | b'}' => self.at + 1,
            b'.' if bytes[self.at..].starts_with(b"...") => self.at + 3,
            b'"' => return self.string(place),
            b'-' | b'0'..=b'9' => return self.number(place),
            byte if is_name_start(byte) => {
                let length = bytes[self.at..].iter().take_while(|byte| is_name(**byte));
                let end = self.at + length.count();
                return Ok(self.token(Kind::Name, end, place));
            }
            _ => {
                let found = self.text[self.at..].chars().next().unwrap_or_default();
                let text = format!("unexpected character {found:?}");
                return Err(SyntaxError::new(&text, place));
            }
        };
        Ok(self.token(Kind::Punctuator, end, place))
    }

    fn token(&mut self, kind: Kind, end: usize, place: Pos) -> Token<'t> {
        let text = &self.text[self.at..end];
        self.at = end;
        Token { kind, text, place }
    }

    /// White space, line ends, commas, comments and byte order marks.
    fn skip_ignored(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b',' | b'\n' | b'\r' => self.at += 1,
                b'#' => {
                    let rest = &bytes[self.at..];
                    let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    self.at += length.unwrap_or(rest.len());
                }
                0xEF if bytes[self.at..].starts_with("\u{FEFF}".as_bytes()) => self.at += 3,
                _ => return,
            }
        }
    }

    /// Lines and characters are counted once over the whole text.
    fn place_of(&mut self, at: usize) -> Pos {
        let mut after_return = self.counted > 0 && self.text.as_bytes()[self.counted - 1] == b'\r';
        for character in self.text[self.counted..at].chars() {
            match character {
                '\n' if after_return => {}
                '\n' | '\r' => {
                    self.place.line += 1;
                    self.place.column = 1;
                }
                // Columns count as in JavaScript, which is how editors and other servers show them.
                other => self.place.column += other.len_utf16(),
            }
            after_return = character == '\r';
        }
        self.counted = at;
        self.place
    }

    fn number(&mut self, place: Pos) -> Result<Token<'t>, Box<SyntaxError>> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
        };
        let bad = |at: usize| {
            let found = self.text[at..].chars().next();
            let found = found.map_or("the end of the document".to_owned(), |found| {
                format!("{found:?}")
            });
            Err(SyntaxError::new(
                &format!("invalid number: unexpected {found}"),
                place,
            ))
        };
        let mut end = self.at + usize::from(bytes[self.at] == b'-');
        let first = end;
        let count = digits(end).count();
        if count == 0 || (count > 1 && bytes[first] == b'0') {
            return bad(if count == 0 { end } else { end + 1 });
        }
        end += count;
        let mut kind = Kind::Int;
        if bytes.get(end) == Some(&b'.') {
            kind = Kind::Float;
            let count = digits(end + 1).count();
            if count == 0 {
                return bad(end + 1);
            }
            end += 1 + count;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            kind = Kind::Float;
            end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let count = digits(end).count();
            if count == 0 {
                return bad(end);
            }
            end += count;
        }
        if bytes
            .get(end)
            .is_some_and(|byte| *byte == b'.' || is_name_start(*byte))
        {
            return bad(end);
        }
        Ok(self.token(kind, end, place))
    }

    fn string(&mut self, place: Pos) -> Result<Token<'t>, Box<SyntaxError>> {
        let rest = &self.text[self.at..];
        let unterminated = || SyntaxError::new("unterminated string", place);
        if let Some(rest) = rest.strip_prefix("\"\"\"") {
            let length = strings::block_length(rest).ok_or_else(unterminated)?;
            self.at += 3 + length + 3;
            return Ok(Token {
                kind: Kind::BlockString,
                text: &rest[..length],
                place,
            });
        }
        let length = strings::length(&rest[1..]).ok_or_else(unterminated)?;
        self.at += 1 + length + 1;
        Ok(Token {
            kind: Kind::String,
            text: &rest[1..=length],
            place,
        })
    }
}

fn is_name_start(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic()
}

fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, line and column.
    type Read = (String, (usize, usize));

    fn tokens(text: &str) -> Result<Vec<Read>, String> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next().map_err(|error| error.message)?;
            if token.kind == Kind::End {
                return Ok(tokens);
            }
            let (line, column) = (token.place.line, token.place.column);
            tokens.push((token.text.to_owned(), (line, column)));
        }
    }

    #[test]
    fn each_token_has_its_line_and_column() {
        let place = |text: &str, line, column| (text.to_owned(), (line, column));
        assert_eq!(
            tokens("\u{FEFF}{ a,b # c\r\n\"ü😀\" x\r...y\n\n-1.5e3}"),
            Ok(vec![
                place("{", 1, 2),
                place("a", 1, 4),
                place("b", 1, 6),
                place("ü😀", 2, 1),
                place("x", 2, 7),
                place("...", 3, 1),
                place("y", 3, 4),
                place("-1.5e3", 5, 1),
                place("}", 5, 7),
            ])
        );
    }

    #[test]
    fn a_wrong_number_is_refused() {
        for number in ["0", "-0", "10", "1.0", "0.5", "1e5", "1E-5", "1.5e+9"] {
            assert!(tokens(number).is_ok(), "{number}");
        }
        for number in [
            "01", "-", "-a", "1.", "1.a", ".5", "1e", "1e+", "1a", "0x1", "1.2.3", "1_",
        ] {
            assert!(tokens(number).is_err(), "{number}");
        }
        for text in ["%", "..", "\u{0}", "ü", "\"a", "\"a\nb\"", "\"\"\"a", "'a'"] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }
}
