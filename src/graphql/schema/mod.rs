//! The schema: its root fields, its types, and its text.
//!
//! | module | what |
//! |---|---|
//! | `query`, `mutation`, `subscription` | the root fields |
//! | `object`, `filter`, `scalar` | the types of results and arguments |
//! | `allowance` | bounds the bytes of a response while its fields are executed |
//! | `sdl` | the schema as text, as AppSync accepts it |
//! | `types` | the schema as tables, for the validation of documents |

pub(super) mod allowance;
pub(super) mod filter;
pub(super) mod mutation;
pub(super) mod object;
pub(super) mod query;
pub(super) mod scalar;
pub mod sdl;
pub(super) mod subscription;
#[cfg(test)]
mod tests;
pub(super) mod types;

use async_graphql::{Schema, SchemaBuilder, ValidationMode};

use mutation::Mutation;
use query::Query;
use subscription::Subscription;

/// The schema as the library executes it.
pub type JobSchema = Schema<Query, Mutation, Subscription>;

/// The schema without data. It serves for the schema's text and types; its fields cannot be
/// executed.
#[must_use]
pub fn bare_schema() -> JobSchema {
    builder().finish()
}

/// A builder whose schema leaves out the library's validation, because `request` has done ours.
pub(super) fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription).validation_mode(ValidationMode::Fast)
}
