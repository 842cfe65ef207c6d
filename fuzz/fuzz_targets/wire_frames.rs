//! Frames of a WebSocket in three pieces. `fuzzing` in the tests of `wire` has the properties that
//! must hold.
#![no_main]
#![allow(dead_code, reason = "each target takes one check out of the tests' module")]

#[path = "../../crates/wire/tests/fuzzing/mod.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [first, last, bytes @ ..] = data else {
        return;
    };
    fuzzing::frames(bytes, [usize::from(*first), usize::from(*last)]);
});
