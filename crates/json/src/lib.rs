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
