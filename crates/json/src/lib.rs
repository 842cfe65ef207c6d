//! The reader of JSON from callers. All doors use it, so each gives the same verdict, and gives it
//! at once.
//!
//! | text | verdict |
//! |---|---|
//! | nesting | at most [`DEPTH`] levels |
//! | integers of 64 bits (from -2^63 to 2^64 - 1) | kept exactly |
//! | larger integers, and fractions | kept as written until their value is needed, then read as the nearest double, as in JavaScript |
//! | numbers that double precision does not hold (`1e999`, `1e-999`) | refused: they would become infinite or zero |
//! | an escape that is half of a surrogate pair (`"\ud800"`) | refused: it is not a character |
//! | surrogate pairs, `\u0000` and every other escape | kept |
//! | a byte order mark before the text | ignored (RFC 8259 section 8.1) |
//! | a name twice in one object | the last one counts |
//! | empty text | refused |
//! | text that is not UTF-8 | refused |
//!
//! A struct is read from an object only, never from an array of its fields ([`object()`]).
//!
//! Nothing here recurses. Code that walks a value later does; [`with_room`] gives it the stack.
//! Limits of size in bytes belong to the doors.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod check;
mod limits;
mod mark;
mod nesting;
mod object;
mod read;
mod refused;
mod repeated;
mod scan;
mod token;

pub use check::{check, check_made, check_names};
pub use limits::{DEPTH, MADE_DEPTH, THREAD_STACK};
pub use mark::{text, without_mark};
pub use nesting::{depth, with_room, write};
pub use object::{Objects, object, object_of};
pub use read::{read, read_made};
pub use refused::{Reason, Refused};
pub use repeated::{Step, repeated_names};

#[cfg(test)]
mod tests;
