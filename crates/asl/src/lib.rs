//! The Amazon States Language as a pure library. It parses and validates definitions, and executes
//! them: events in, effects out.
//!
//! It has no clock, randomness or I/O: times and the seed are arguments. The durable driver is in
//! `workflow`. `definition` parses and validates; `path`, `intrinsic`, `jsonata` and `template`
//! transform data; `expression` checks the names in JSONata; `substitution` finds placeholders of
//! deployment tools; `choice` decides; `items` parses files into items; `execution` interprets.
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod choice;
mod definition;
mod diagnostic;
mod digest;
mod effect;
mod event;
mod execution;
mod expression;
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
mod substitution;
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
