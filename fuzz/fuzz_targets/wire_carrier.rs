//! A carrier of AppSync's credentials. `fuzzing` in the tests of `wire` has the properties that
//! must hold.
#![no_main]
#![allow(dead_code, reason = "each target takes one check out of the tests' module")]

#[path = "../../crates/wire/tests/fuzzing/mod.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        fuzzing::carrier(text);
    }
});
