//! A whole definition. `fuzzing` in the tests of `asl` has the properties that must hold.
#![no_main]
#![allow(dead_code, reason = "each target takes one check out of the tests' modules")]

#[path = "../../crates/asl/tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../crates/asl/tests/simulation/mod.rs"]
mod simulation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::definition(data));
