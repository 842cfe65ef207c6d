//! Calls of AWS's services: the limits of each call, and the failure of a call as the log shows it.
//!
//! | module | what |
//! |---|---|
//! | [`limits`] | time allowed for a call, and its tries |
//! | [`clock`] | AWS's clock |
//! | [`failure`] | [`CallFailed`]: action, resource, cause, and what to do |

pub mod clock;
pub mod failure;
pub mod limits;

pub use failure::{CallFailed, Cause};
pub use limits::bounded;
