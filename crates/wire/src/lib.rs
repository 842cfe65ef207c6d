//! The wire protocols of the real-time doors, as state machines without input or output.
//!
//! A [`Session`] takes what happened (`Input`) and returns what to do (`Output`); [`frame`] reads
//! and writes RFC 6455 frames in memory. No socket, no clock, no GraphQL: those belong to the
//! driver and to the executor.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

pub mod appsync;
pub mod frame;
mod message;
mod session;
pub mod sse;
pub mod transport_ws;

pub use session::{
    Authorization, Elapsed, Input, Output, Refusal, Request, Session, close, data_prefix, limits,
};

#[cfg(test)]
mod transcript;
