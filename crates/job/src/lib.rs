//! The job and its rules. Pure: values in, values out; no clock, no randomness, no I/O.
//!
//! | module | what |
//! |---|---|
//! | [`id`] | [`JobId`]: UUIDv7, sortable by creation |
//! | [`time`] | [`Time`]: milliseconds since the epoch, RFC 3339 outside |
//! | [`status`] | [`Status`], [`Event`] and [`RULES`], the whole state machine |
//! | [`step`] | [`Step`]: one top-level state of the job's state machine |
//! | [`record`] | [`Job`]: the row, as stored and as published |
//! | [`change`] | [`Change`]: what may be done to a job, and [`Job::apply`] |
//! | [`progress`] | how the progress of a job follows from its steps |
//! | [`filter`] | [`Filter`]: which jobs a list or a subscription wants |
//! | [`limits`] | every limit of a job, as a named constant |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod change;
pub mod filter;
pub mod id;
pub mod limits;
pub mod progress;
pub mod record;
mod refused;
pub mod status;
pub mod step;
pub mod time;

pub use change::{Applied, Change, Refused, Update};
pub use filter::Filter;
pub use id::JobId;
pub use limits::OverLimit;
pub use record::{Job, JobError, NewJob, Version};
pub use status::{Event, RULES, Status};
pub use step::{Step, StepKind, StepStatus};
pub use time::Time;
