#![doc = include_str!("../README.md")]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod history;
mod list;
mod seen;
mod transcript;
mod violation;

pub use history::{BrokenHistory, History};
pub use list::{BrokenList, ListEvent, ListEventKind, ListTranscript, ListedJob};
pub use seen::{Seen, Unreadable};
pub use transcript::{BrokenJob, JobTranscript};
pub use violation::Violation;
