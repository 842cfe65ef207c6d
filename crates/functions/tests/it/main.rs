//! The crate against a real HTTP server on port 0 that answers as Jobcast does. No part of the
//! crate is replaced.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod files;
mod reports;
#[expect(dead_code, reason = "the crate `samples` tests with the rest of it")]
mod server;
mod service;
