//! The Amazon States Language as a pure library: parse, validate, execute as events in, effects out.
//!
//! No clock, randomness or I/O: times and the seed are arguments. The durable driver lives in `workflow`.
//! `definition` parses and validates; `path`, `intrinsic`, `jsonata` and `template` move data; `choice` decides;
//! `items` takes files apart; `execution` interprets. Pictures of numbers and times in JSONata are `jsonata-core`'s.
#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test may fail where it stands")
)]

mod choice;
mod definition;
mod diagnostic;
mod digest;
mod effect;
mod event;
mod execution;
mod fault;
mod history;
mod intrinsic;
mod items;
mod jsonata;
mod limits;
mod number;
mod path;
mod resource;
mod scope;
mod status;
mod template;
mod timestamp;
pub mod token;
mod workflow_type;

pub use definition::{StateMachine, StepKind, StepPlan, validate, validate_as};
pub use diagnostic::{Diagnostic, Severity};
pub use effect::{Effect, ReadItems, StepChange, Task, WriteResults};
pub use event::{Event, TaskId, TimerId};
pub use execution::{
    Before, Execution, MapRun, MapRunChild, Outcome, Start, Trial, TrialStatus, Tried,
};
pub use history::HistoryEvent;
pub use items::MAX_ITEMS_BYTES;
pub use limits::{
    MAX_CAUSE, MAX_DEFINITION, MAX_EXPRESS_HISTORY, MAX_EXPRESS_SECONDS, MAX_HISTORY, MAX_PAYLOAD,
    MAX_TRANSITIONS,
};
pub use resource::{Pattern, Resource};
pub use status::Status;
pub use workflow_type::WorkflowType;
