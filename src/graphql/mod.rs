//! The GraphQL edge: the schema over the use cases, and its execution for every door.
//!
//! | module | what |
//! |---|---|
//! | `query`, `mutation`, `subscription` | the root fields |
//! | `object`, `filter`, `scalar` | the types |
//! | [`bounds`], [`rate`] | what a document may ask for, how often one caller may submit |
//! | `document` | what the specification asks of a document, and the library does not do |
//! | `error` | errors and responses as clients see them |
//! | [`executor`] | runs requests for HTTP and for sessions |
//! | `projection` | writes the payloads of events, without an execution where it can |
//! | `publishing` | the same for `publishJob` |
//! | `documents`, `validated` | what was parsed, and found valid, lately |
//! | [`sdl`] | the schema as text, as AppSync accepts it |

pub mod bounds;
mod document;
mod documents;
mod error;
pub mod executor;
mod filter;
mod mutation;
mod object;
mod projection;
#[cfg(test)]
mod projection_tests;
mod publishing;
mod query;
pub mod rate;
mod scalar;
pub mod sdl;
mod subscription;
#[cfg(test)]
mod tests;
mod validated;

use std::sync::Arc;

use async_graphql::{Schema, ValidationMode};
use resolvers::Resolvers;

use crate::publisher::Publisher;
pub use error::{error_json, errors_text, response_bytes};
pub use executor::{Executor, HttpAnswer};
use rate::SubmitRate;

/// Our schema.
pub type JobSchema = Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// How deep the selections of a document may be nested (AppSync: at most 75).
pub const DEPTH: usize = 32;
/// How much a request may ask for: each field counts 1, and a page as often as it may have items.
pub const COMPLEXITY: usize = 10_000;
/// How deep a document's own syntax may be nested.
pub const RECURSION: usize = 64;

/// The schema without anything behind it: for its text.
pub fn bare_schema() -> JobSchema {
    builder().finish()
}

/// The schema over the use cases.
#[derive(Clone)]
pub struct Schemas {
    /// Takes requests.
    requests: JobSchema,
    /// Takes what was validated before: a subscription's document for each of its events, and requests that come again.
    validated: JobSchema,
    publisher: Publisher,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

/// The schema over the use cases.
pub fn schema(resolvers: Resolvers, publisher: Publisher, rate: SubmitRate) -> Schemas {
    let rate = Arc::new(rate);
    let with_data = || {
        let builder = builder().data(resolvers.clone()).data(publisher.clone());
        builder.data(Arc::clone(&rate))
    };
    Schemas {
        requests: with_data().finish(),
        validated: with_data().validation_mode(ValidationMode::Fast).finish(),
        publisher,
    }
}

fn builder()
-> async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .limit_depth(DEPTH)
        .limit_complexity(COMPLEXITY)
        .limit_recursive_depth(RECURSION)
}
