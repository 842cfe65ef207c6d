//! The sample job types from end to end: the interpreter of `crates/asl` runs their definitions,
//! and the real functions run against a real HTTP server on port 0. One runs as a separate process
//! over the Lambda Runtime API.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod approval;
mod csv_report;
mod definitions;
mod machine;
mod runtime;
mod samples;
#[path = "../../../crates/functions/tests/it/server.rs"]
#[expect(dead_code, reason = "the crate `functions` tests with the rest of it")]
mod server;
mod thumbnails;
