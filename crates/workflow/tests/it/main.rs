//! The engine on a real file, functions in real processes.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod engine;
mod function;
mod http;
mod lambda;
mod recovery;
mod services;
mod world;
