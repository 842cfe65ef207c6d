//! The rules for jobs in use: the use cases, the two ports that they need, and the adapters of the
//! ports.
//!
//! | module | what |
//! |---|---|
//! | [`jobs`] | [`Resolvers`]: the use cases, one function per GraphQL field |
//! | `aws` | calls of AWS's services: their limits and failures (feature `aws`) |
//! | [`caller`] | the caller and its rights |
//! | [`token`] | the tokens of a job's functions and watchers |
//! | [`files`] | signed addresses for files |
//! | [`store`] | the port [`store::JobStore`] and its adapters |
//! | [`queues`] | queues of messages that become jobs |
//! | [`workflow`] | the port [`workflow::Workflow`] and its adapters |
//! | [`read_budget`] | the number of reads of executions in a second, shared by nodes and functions |
//! | [`error`] | [`Error`], with the code that clients see |
//!
//! No HTTP, no GraphQL library, no Lambda here. Only this crate writes jobs.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

#[cfg(feature = "aws")]
pub mod aws;
pub mod caller;
pub mod error;
pub mod files;
pub mod jobs;
mod percent;
pub mod queues;
pub mod read_budget;
pub mod store;
pub mod token;
mod two_generation_cache;
pub mod workflow;

pub use caller::{Caller, Role};
pub use error::Error;
pub use jobs::Resolvers;
pub use percent::percent_decoded;
pub use two_generation_cache::TwoGenerationCache;
