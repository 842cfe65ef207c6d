//! A conversation in graphql-transport-ws, with one line for each step. `fuzzing` in the tests of
//! `wire` has the properties that must hold.
#![no_main]
#![allow(dead_code, reason = "each target takes one check out of the tests' module")]

#[path = "../../crates/wire/tests/fuzzing/mod.rs"]
mod fuzzing;
mod lines;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::conversation(wire::transport_ws::TransportWs::default(), lines::steps(data));
});
