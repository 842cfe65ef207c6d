//! The tokens of an expression's text. It has no notion of their structure.

use regex::Regex;

use super::number::Number;
use super::wrong::{Outcome, Wrong, quoted};

/// One token.
#[derive(Debug, Clone)]
pub(super) enum Token {
    Name(String),
    /// Without the `$`.
    Variable(String),
    Text(String),
    Number(Number),
    Bool(bool),
    Null,
    /// A pattern, or the reason why it is invalid.
    Pattern(Result<Regex, String>),
    /// An operator, a bracket, or one of the words `and`, `or` and `in`.
    Sign(&'static str),
    End,
}

/// Signs by length. The first that fits is taken.
const SIGNS: [&str; 35] = [
    "..", ":=", "!=", ">=", "<=", "**", "~>", "?:", "??", ".", "[", "]", "{", "}", "(", ")", ",",
    "@", "#", ";", ":", "?", "+", "-", "*", "/", "%", "|", "=", "<", ">", "^", "&", "!", "~",
];
const SPACE: [char; 5] = [' ', '\t', '\n', '\r', '\u{b}'];

impl Token {
    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(own) if *own == sign)
    }

    /// Its name in an error.
    pub(super) fn named(&self) -> String {
        match self {
            Self::Name(text) | Self::Variable(text) | Self::Text(text) => text.clone(),
            Self::Number(n) => n.to_string(),
            Self::Bool(b) => b.to_string(),
            Self::Null => "null".to_owned(),
            Self::Pattern(_) => "/".to_owned(),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "(end)".to_owned(),
        }
    }
}

/// Reads the tokens of a text.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    /// The character before `rest`.
    before: char,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            before: ' ',
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.before = taken.chars().next_back().unwrap_or(self.before);
        self.rest = rest;
        taken
    }

    fn skip(&mut self) -> Outcome<()> {
        loop {
            self.rest = self.rest.trim_start_matches(SPACE);
            let Some(comment) = self.rest.strip_prefix("/*") else {
                return Ok(());
            };
            let end = comment.find("*/").ok_or_else(|| Wrong::new("S0106"))?;
            self.rest = &comment[end + 2..];
        }
    }

    /// The next token. A `/` divides after an operand (`infix`), and begins a pattern elsewhere.
    pub(super) fn next(&mut self, infix: bool) -> Outcome<Token> {
        self.skip()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token::End);
        };
        match first {
            '/' if !infix => return self.pattern(),
            '"' | '\'' => return self.text(first),
            '`' => {
                self.take(1);
                let end = self.rest.find('`').ok_or_else(|| Wrong::new("S0105"))?;
                let name = self.take(end).to_owned();
                self.take(1);
                return Ok(Token::Name(name));
            }
            '0'..='9' => return self.number(),
            _ => {}
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            self.take(sign.len());
            return Ok(Token::Sign(sign));
        }
        let ends =
            |c: char| SPACE.contains(&c) || SIGNS.iter().any(|s| s.len() == 1 && s.starts_with(c));
        let word = self.take(self.rest.find(ends).unwrap_or(self.rest.len()));
        Ok(match word {
            "and" => Token::Sign("and"),
            "or" => Token::Sign("or"),
            "in" => Token::Sign("in"),
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            "null" => Token::Null,
            _ => match word.strip_prefix('$') {
                Some(name) => Token::Variable(name.to_owned()),
                None => Token::Name(word.to_owned()),
            },
        })
    }

    fn number(&mut self) -> Outcome<Token> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            let count = bytes[from..].iter().take_while(|b| b.is_ascii_digit());
            from + count.count()
        };
        let mut end = if bytes[0] == b'0' { 1 } else { digits(0) };
        let whole = end;
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1 + sign);
            }
        }
        let text = self.take(end);
        if whole == end
            && let Ok(n) = text.parse()
        {
            return Ok(Token::Number(Number::Whole(n)));
        }
        match text.parse::<f64>() {
            Ok(n) if n.is_finite() => Ok(Token::Number(Number::of(n))),
            _ => Err(Wrong::new("S0102").token(text)),
        }
    }

    fn text(&mut self, quote: char) -> Outcome<Token> {
        self.take(1);
        let mut units: Vec<u16> = Vec::new();
        let mut text = String::new();
        loop {
            let c = self
                .rest
                .chars()
                .next()
                .ok_or_else(|| Wrong::new("S0101"))?;
            self.take(c.len_utf8());
            if c == '\\' {
                let escape = self.rest.chars().next();
                let escape = escape.ok_or_else(|| Wrong::new("S0103").token(""))?;
                self.take(escape.len_utf8());
                let plain = match escape {
                    '"' | '\\' | '/' => escape,
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let hex = self.rest.get(..4).unwrap_or_default();
                        let unit = u16::from_str_radix(hex, 16)
                            .ok()
                            .filter(|_| !hex.starts_with('+'))
                            .ok_or_else(|| Wrong::new("S0104"))?;
                        self.take(4);
                        // Two halves of one character may follow each other.
                        units.push(unit);
                        continue;
                    }
                    other => return Err(Wrong::new("S0103").token(&other.to_string())),
                };
                text.push_str(&String::from_utf16_lossy(&units));
                units.clear();
                text.push(plain);
            } else {
                text.push_str(&String::from_utf16_lossy(&units));
                units.clear();
                if c == quote {
                    return Ok(Token::Text(text));
                }
                text.push(c);
            }
        }
    }

    fn pattern(&mut self) -> Outcome<Token> {
        self.take(1);
        let (mut depth, mut escaped, mut end) = (0_i32, false, None);
        for (at, c) in self.rest.char_indices() {
            match c {
                '/' if depth == 0 && !escaped => {
                    end = Some(at);
                    break;
                }
                '(' | '[' | '{' if !escaped => depth += 1,
                ')' | ']' | '}' if !escaped => depth -= 1,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
        }
        let end = end.ok_or_else(|| Wrong::new("S0302"))?;
        if end == 0 {
            return Err(Wrong::new("S0301"));
        }
        let pattern = self.take(end);
        self.take(1);
        let flags = self.rest.len() - self.rest.trim_start_matches(['i', 'm']).len();
        let flags = self.take(flags);
        // In JavaScript, the classes for digits and words are ASCII. A slash may be escaped.
        let built = regex::RegexBuilder::new(&ascii_classes(pattern))
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .build();
        Ok(Token::Pattern(built.map_err(|error| {
            format!(
                "The regular expression {} is not supported: {}",
                quoted(pattern),
                error.to_string().lines().last().unwrap_or_default().trim()
            )
        })))
    }
}

/// Translates `\d`, `\w` and `\b` to JavaScript's meaning, and `\/` to a slash.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('/') => out.push('/'),
                Some('d') if in_class => out.push_str("0-9"),
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') if in_class => out.push_str("0-9A-Za-z_"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('b') if !in_class => out.push_str("(?-u:\\b)"),
                Some('-') => out.push_str("\\-"),
                // Escapes of characters that need none.
                Some(other) if !other.is_ascii_alphanumeric() && other.is_ascii() => {
                    out.push('\\');
                    out.push(other);
                }
                Some(other) if !other.is_ascii() => out.push(other),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push(c);
            }
            ']' => {
                in_class = false;
                out.push(c);
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
