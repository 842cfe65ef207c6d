//! A conversation in AppSync's protocol or the legacy one, with one line for each step. `fuzzing`
//! in the tests of `wire` has the properties that must hold.
#![no_main]
#![allow(dead_code, reason = "each target takes one check out of the tests' module")]

#[path = "../../crates/wire/tests/fuzzing/mod.rs"]
mod fuzzing;
mod lines;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let carried = data.first().is_some_and(|byte| byte & 1 == 0);
    fuzzing::conversation(wire::appsync::AppSync::new(carried), lines::steps(data));
});
