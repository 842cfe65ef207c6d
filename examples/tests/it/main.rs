//! The sample job types from end to end: their definitions run by the interpreter of `crates/asl`, their functions for
//! real, against a real HTTP server on port 0; and one as a process of its own over the Lambda Runtime API.

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
