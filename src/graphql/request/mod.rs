//! Requests before their execution: documents are read, bounded and validated, variables are
//! coerced, and the whole becomes a plan of fields.
//!
//! | module | what |
//! |---|---|
//! | `bounds` | what a request may ask for |
//! | `rules` | whether a document is valid against the schema |
//! | `validated`, `cache` | documents that were found valid before, by their text |
//! | `variables` | the values of variables |
//! | `plan` | a request as one tree of fields, without fragments, directives and variables |
//! | `weight` | the cost of a plan |
//! | `prepare` | all of these in their order |
//! | `credentials` | credentials inside a message |

mod bounds;
pub(super) mod cache;
pub(super) mod credentials;
#[cfg(test)]
mod garbage_tests;
pub(super) mod plan;
pub(super) mod prepare;
mod rules;
pub(super) mod validated;
pub(super) mod variables;
pub(super) mod weight;
