//! The engine on a real file, functions in real processes.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod api;
mod engine;
mod faulty;
mod function;
#[path = "../../../asl/tests/generator/mod.rs"]
mod generator;
mod http;
mod internal;
mod lambda;
mod nested;
mod random;
mod recording;
mod recovery;
mod services;
mod world;
