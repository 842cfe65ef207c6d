//! Parses the text of a path. It accepts what AWS's evaluator accepts; the definition checks what a
//! field allows.

use super::model::{Function, Part, Path, Root, Roots};
use super::parse_filter;

impl Path {
    /// Parses a path. White space around it is ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::parse_prefix(text.trim())
            .filter(|(_, rest)| rest.is_empty())
            .map(|(path, _)| path)
    }

    /// Parses a path at the beginning of a text, and returns the rest of the text.
    pub(crate) fn parse_prefix(text: &str) -> Option<(Self, &str)> {
        prefix(text)
    }

    /// Parses a path that names one location.
    ///
    /// The error has AWS's words.
    pub(crate) fn reference(text: &str, roots: Roots) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("Value is not a Reference Path: {why}"));
        if !text.starts_with('$') {
            return refused("Reference path didn't start with '$'");
        }
        match Self::parse(text) {
            None => refused(&format!("'{text}' is not a path")),
            Some(path) if !path.is_reference() => refused("it must name exactly one place"),
            Some(path) => match (&path.root, roots) {
                (Root::Input, _) | (_, Roots::All) | (Root::Variable(_), Roots::Variables) => {
                    Ok(path)
                }
                (Root::Context, _) => refused("it cannot begin in the context object here"),
                (Root::Variable(_), _) => refused("it cannot begin at a variable here"),
            },
        }
    }
}

fn prefix(text: &str) -> Option<(Path, &str)> {
    let mut rest = text.strip_prefix('$')?;
    let mut root = Root::Input;
    if let Some(after) = rest.strip_prefix('$') {
        (root, rest) = (Root::Context, after);
    } else {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || unicode_ident::is_xid_continue(c)))
            .unwrap_or(rest.len());
        if end > 0 {
            root = Root::Variable(variable(&rest[..end])?);
            rest = &rest[end..];
        }
    }
    let (parts, function, rest) = parts(rest, 0)?;
    let path = Path {
        root,
        parts,
        function,
        text: text[..text.len() - rest.len()].to_owned(),
    };
    Some((path, rest))
}

/// A variable's name: it begins with a letter or `_`.
pub(super) fn variable(name: &str) -> Option<String> {
    let first = name.chars().next()?;
    (first.is_alphabetic() || first == '_').then(|| name.to_owned())
}

type Parsed<'a> = (Vec<Part>, Option<Function>, &'a str);

/// Maximum number of parts of a path. No value nests deeply enough for more.
pub(super) const MAX_PARTS: usize = 1_000;

/// Parses parts until another character follows; the caller handles the rest. `depth` is the number
/// of enclosing filters.
pub(super) fn parts(mut rest: &str, depth: usize) -> Option<Parsed<'_>> {
    let mut parts = Vec::new();
    loop {
        if parts.len() > MAX_PARTS {
            return None;
        }
        if let Some(after) = rest.strip_prefix("..") {
            parts.push(Part::Descent);
            if after.starts_with('[') {
                rest = after;
                continue;
            }
            let (part, tail) = name(after)?;
            parts.push(part);
            rest = tail;
        } else if let Some(after) = rest.strip_prefix('.') {
            if after.starts_with('[') {
                rest = after;
                continue;
            }
            if let Some((function, tail)) = function(after) {
                return Some((parts, Some(function), tail));
            }
            let (part, tail) = name(after)?;
            parts.push(part);
            rest = tail;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (part, tail) = bracket(after, depth)?;
            parts.push(part);
            rest = tail;
        } else {
            return Some((parts, None, rest));
        }
    }
}

fn function(text: &str) -> Option<(Function, &str)> {
    [
        ("length()", Function::Length),
        ("size()", Function::Length),
        ("min()", Function::Min),
        ("max()", Function::Max),
        ("avg()", Function::Average),
        ("stddev()", Function::Deviation),
        ("sum()", Function::Sum),
        ("keys()", Function::Keys),
    ]
    .into_iter()
    .find_map(|(name, function)| Some((function, text.strip_prefix(name)?)))
}

/// A name after a dot.
fn name(text: &str) -> Option<(Part, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((Part::Wildcard, rest));
    }
    let stop = |c: char| {
        matches!(
            c,
            '.' | '['
                | ']'
                | '('
                | ')'
                | ','
                | '*'
                | '?'
                | '@'
                | '\''
                | '"'
                | '='
                | '<'
                | '>'
                | '!'
                | '&'
                | '|'
        ) || c.is_whitespace()
            || c.is_control()
    };
    let end = text.find(stop).unwrap_or(text.len());
    (end > 0 && !text[end..].starts_with('('))
        .then(|| (Part::Field(text[..end].to_owned()), &text[end..]))
}

/// The part between brackets. `text` begins behind the opening one.
fn bracket(text: &str, depth: usize) -> Option<(Part, &str)> {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('*') {
        return Some((Part::Wildcard, rest.trim_start().strip_prefix(']')?));
    }
    if let Some(rest) = text.strip_prefix('?') {
        let (filter, rest) = parse_filter::filter(rest, depth)?;
        return Some((Part::Filter(filter), rest.trim_start().strip_prefix(']')?));
    }
    if text.starts_with(['\'', '"']) {
        let mut names = Vec::new();
        let mut rest = text;
        loop {
            let (name, tail) = quoted(rest)?;
            names.push(name);
            let tail = tail.trim_start();
            if let Some(tail) = tail.strip_prefix(',') {
                rest = tail.trim_start();
                continue;
            }
            let tail = tail.strip_prefix(']')?;
            let part = if names.len() == 1 {
                Part::Field(names.remove(0))
            } else {
                Part::Fields(names)
            };
            return Some((part, tail));
        }
    }
    if let Some(after) = text.strip_prefix("(@.length") {
        // The only script of Jayway's parser: an index counted from the end.
        let (back, rest) = after.trim_start().strip_prefix('-')?.split_once(')')?;
        let back = back.trim().parse::<u32>().ok().filter(|b| *b > 0)?;
        return Some((
            Part::Index(-i64::from(back)),
            rest.trim_start().strip_prefix(']')?,
        ));
    }
    let (inside, rest) = text.split_once(']')?;
    let number = |s: &str| s.trim().parse::<i64>().ok();
    if let Some((from, to)) = inside.split_once(':') {
        let bound = |s: &str| match s.trim() {
            "" => Some(None),
            s => number(s).map(Some),
        };
        return Some((Part::Slice(bound(from)?, bound(to)?), rest));
    }
    let mut indexes: Vec<i64> = inside.split(',').map(number).collect::<Option<_>>()?;
    let part = if indexes.len() == 1 {
        Part::Index(indexes.remove(0))
    } else {
        Part::Indexes(indexes)
    };
    Some((part, rest))
}

/// A quoted text with backslash escapes, and the text behind it.
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((out, &text[at + c.len_utf8()..]));
        }
        out.push(if c == '\\' { chars.next()?.1 } else { c });
    }
    None
}
