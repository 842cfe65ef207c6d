//! Calls of AWS's services: the limits of each call, and the failure of a call as the log shows it.
//!
//! | module | what |
//! |---|---|
//! | [`limits`] | time allowed for a call, and its tries |
//! | [`failure`] | [`CallFailed`]: action, resource, cause, and what to do |

pub mod failure;
pub mod limits;

pub use failure::{Cause, CallFailed};
pub use limits::bounded;
