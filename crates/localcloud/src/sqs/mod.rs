//! SQS: queues, their messages, dead letters and moving them back, by the JSON API. Pure: time and
//! the seed of ids are arguments. The listener serves it, and waits where a caller asks to wait.
//!
//! | module | what |
//! |---|---|
//! | `account` | all queues of an account |
//! | `actions` | which action of the API does what |
//! | `queue` | one queue: its attributes, what is visible to whom |
//! | `send` | sending: sizes, digests, FIFO groups and deduplication |
//! | `task`, `moving` | tasks that move dead letters back |
//! | `digest` | MD5 of bodies and attributes |
//! | `error` | errors of the API |

mod account;
mod actions;
mod digest;
mod error;
mod moving;
mod queue;
mod send;
mod task;

pub use account::Queues;
pub use error::SqsError;
pub use queue::limits;
