//! SQS: queues, their messages, dead letters and moving them back, by the JSON API. Pure: time and
//! the seed of ids are arguments. The listener serves it, and waits where a caller asks to wait.
//!
//! | module | what |
//! |---|---|
//! | `queues` | all queues; which action of the API does what |
//! | `queue` | one queue: its attributes, what is visible to whom |
//! | `send` | sending: sizes, digests, FIFO groups and deduplication |
//! | `moving` | tasks that move dead letters back |
//! | `digest` | MD5 of bodies and attributes |
//! | `error` | errors of the API |

mod digest;
mod error;
mod moving;
mod queue;
mod queues;
mod send;

pub use error::SqsError;
pub use queue::limits;
pub use queues::Queues;
