//! JSON that a caller sends: one reader for every door, so that each gives the same verdict at once and none later.
//!
//! | what | verdict |
//! |---|---|
//! | nesting | at most [`DEPTH`] levels |
//! | integers of 64 bits (from -2^63 to 2^64 - 1) | kept exactly |
//! | larger integers, and fractions | kept as they are written while nothing looks into them, then read as the nearest number of double precision, as JavaScript does |
//! | numbers that double precision does not hold (`1e999`, `1e-999`) | refused: they would become infinity or zero |
//! | an escape that is half of a pair of surrogates (`"\ud800"`) | refused: it is no character |
//! | pairs of surrogates, `\u0000` and every other escape | kept |
//! | a byte order mark before the text | ignored (RFC 8259 section 8.1) |
//! | a name twice in one object | the last one counts |
//! | empty text | refused |
//! | text that is not UTF-8 | refused |
//!
//! A struct is read from an object alone, never from an array of its fields ([`object()`]).
//!
//! Nothing here recurses. What walks a value afterwards does; [`with_room`] gives it the stack.
//! It knows nothing of sizes in bytes: each door has its own limit.
#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test may fail where it stands")
)]

mod limits;
mod object;
mod read;
mod refused;
mod repeated;
mod scan;
mod token;

pub use limits::{DEPTH, MADE_DEPTH, THREAD_STACK};
pub use object::{Objects, object, object_of};
pub use read::{read, read_made};
pub use refused::{Reason, Refused};
pub use repeated::{Step, repeated_names};

use scan::Scanner;
use token::Token;

/// The text without a byte order mark before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The bytes as text, without a byte order mark before it.
///
/// # Errors
/// They are not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(bytes)
        .map(without_mark)
        .map_err(|error| Refused::not_utf8(bytes, error.valid_up_to()))
}

/// Whether a text is JSON that can be kept, and that text without a byte order mark. Reads it once and builds nothing.
///
/// # Errors
/// The first thing that is wrong with it, and where.
pub fn check(text: &str) -> Result<&str, Refused> {
    check_names(text, |_| ())
}

/// As [`check`]; `name` sees each name of the outermost object, with its escapes resolved.
///
/// # Errors
/// Those of [`check`].
pub fn check_names(text: &str, name: impl FnMut(&str)) -> Result<&str, Refused> {
    check_within(text, DEPTH, name)
}

/// As [`check`], of a text that was made here: it may nest as deep as [`MADE_DEPTH`].
///
/// # Errors
/// Those of [`check`].
pub fn check_made(text: &str) -> Result<&str, Refused> {
    check_within(text, MADE_DEPTH, |_| ())
}

fn check_within(text: &str, most: usize, mut name: impl FnMut(&str)) -> Result<&str, Refused> {
    let text = without_mark(text);
    let mut scanner = Scanner::new(text, most);
    while let Some(token) = scanner.next().map_err(|stop| scanner.refused(stop))? {
        if let Token::Name(found) = token
            && scanner.depth() == 1
        {
            name(&found.resolved());
        }
    }
    Ok(text)
}

/// How deep a value nests: 0 for a string, 1 for `[]`. Counts no further than one more than `most`.
pub fn depth(value: &serde_json::Value, most: usize) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        let inner: &mut dyn Iterator<Item = &serde_json::Value> = match value {
            serde_json::Value::Array(items) => &mut items.iter(),
            serde_json::Value::Object(map) => &mut map.values(),
            _ => continue,
        };
        deepest = deepest.max(depth);
        if deepest > most {
            break;
        }
        open.extend(
            inner
                .filter(|value| value.is_array() || value.is_object())
                .map(|value| (value, depth + 1)),
        );
    }
    deepest
}

/// Runs `walk` where there is stack enough to walk values as deep as [`MADE_DEPTH`], several times over. Costs nothing on a thread
/// with a stack of [`THREAD_STACK`], and otherwise the making of a stack.
pub fn with_room<T>(walk: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(limits::ROOM, limits::THREAD_STACK, walk)
}

/// The text of a value, which may nest as deep as [`MADE_DEPTH`].
pub fn write(value: &serde_json::Value) -> String {
    with_room(|| value.to_string())
}

#[cfg(test)]
mod tests;
