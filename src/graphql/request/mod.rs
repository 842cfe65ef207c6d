//! Requests before their execution: documents are read, bounded and validated, variables are
//! coerced, and the whole becomes a plan of fields.
//!
//! | module | what |
//! |---|---|
//! | `syntax` | reads a document from its text |
//! | [`bounds`] | what a request may ask for |
//! | `rules` | whether a document is valid against the schema |
//! | `validated` | documents that were found valid before, by their text |
//! | `variables` | the values of variables |
//! | `plan` | a request as one tree of fields, without fragments, directives and variables |
//! | `weight` | the cost of a plan |

pub mod bounds;
#[cfg(test)]
mod garbage_tests;
pub(super) mod plan;
mod rules;
pub(super) mod syntax;
pub(super) mod validated;
pub(super) mod variables;
pub(super) mod weight;
