#![doc = include_str!("../README.md")]
//!
//! # The map
//!
//! * [`Job`]: the `job` object of the event; progress, items, heartbeat. Reports are throttled: one
//!   slot, the newest wins, the last is always sent.
//! * [`Uploaded`], [`Download`]: files by signed addresses, streamed.
//! * [`Places`]: which addresses of a job may be read.
//! * [`Error`], [`Failure`]: what can go wrong, and its name in a state machine.
//! * [`run`], [`service`]: the wrapper around a handler.
//!
//! This crate is not the server and has no notion of how jobs are stored. It speaks plain HTTP to
//! Jobcast, and to the Lambda Runtime API through [`lambda_runtime`].

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")
)]

mod client;
mod error;
mod files;
mod job;
mod places;
mod report;
mod service;

pub use client::{Client, MAX_ATTEMPTS, MAX_REPLY_BYTES, RETRY_FIRST_DELAY, RETRY_MAX_DELAY};
pub use error::{Error, Failure};
pub use files::{Download, MAX_UPLOAD_BYTES, Uploaded};
pub use job::{Job, MAX_MESSAGE_BYTES};
pub use places::Places;
pub use report::{FLUSH_TIMEOUT, REPORT_INTERVAL};
pub use service::{PANIC_ERROR, run, service};

/// The Lambda runtime this crate is built on, so that a function needs no second dependency.
pub use lambda_runtime;
