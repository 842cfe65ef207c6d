//! The GraphQL edge: the schema over the use cases, and its execution for every door.
//!
//! | module | what |
//! |---|---|
//! | `query`, `mutation`, `subscription` | the root fields |
//! | `object`, `filter`, `scalar` | the types |
//! | [`bounds`], [`rate`] | what a request may ask for, how often one caller may submit |
//! | `syntax` | documents from their text |
//! | `types`, `rules` | the schema, and whether a document is valid against it |
//! | `documents` | what was found valid lately |
//! | `variables`, `plan`, `weight` | what a valid document asks for with its variables, and what that costs |
//! | [`executor`] | runs requests for HTTP and for sessions |
//! | `allowance`, `answer`, `error` | what an answer may hold, how it is written, errors as clients see them |
//! | `held` | what the subscriptions of a caller hold in memory |
//! | `projection` | writes the payloads of events, without an execution where it can |
//! | `on_job`, `publishing` | `onJob` and `publishJob` of documents that were executed before: without an execution |
//! | `plain_field` | which documents these are |
//! | [`sdl`] | the schema as text, as AppSync accepts it |

mod allowance;
mod answer;
pub mod bounds;
mod documents;
mod error;
pub mod executor;
mod filter;
#[cfg(test)]
mod garbage_tests;
mod held;
mod mutation;
mod object;
mod on_job;
mod plain_field;
mod plan;
mod projection;
#[cfg(test)]
mod projection_tests;
mod publishing;
mod query;
pub mod rate;
mod rules;
mod scalar;
pub mod sdl;
mod subscription;
mod syntax;
#[cfg(test)]
mod tests;
mod types;
mod variables;
mod weight;

use std::sync::{Arc, LazyLock};

use async_graphql::{Schema, ValidationMode};
use resolvers::Resolvers;

use crate::realtime::publisher::Publisher;
pub use bounds::{COMPLEXITY, DEPTH, RECURSION};
pub use error::{error_json, errors_text};
pub use executor::{Executor, HttpAnswer};
use rate::SubmitRate;

/// Our schema.
pub type JobSchema = Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// Whether a text is a document that may be executed; if not, a JSON array of GraphQL errors.
///
/// # Errors
/// The errors.
pub fn check_document(text: &str) -> Result<(), String> {
    let document = documents::Documents::default().get(text);
    document.map(drop).map_err(|errors| errors.json())
}

/// The schema without anything behind it: for its text.
pub fn bare_schema() -> JobSchema {
    builder().finish()
}

/// The schema over the use cases.
#[derive(Clone)]
pub struct Schemas {
    /// Executes what was found valid. The library checks no more than it cannot leave out.
    schema: JobSchema,
    publisher: Publisher,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

/// The schema over the use cases.
pub fn schema(resolvers: Resolvers, publisher: Publisher, rate: SubmitRate) -> Schemas {
    // Not with the first request.
    LazyLock::force(&types::TYPES);
    let builder = builder().data(resolvers).data(publisher.clone());
    let builder = builder.data(Arc::new(rate)).extension(allowance::Counting);
    Schemas {
        schema: builder.finish(),
        publisher,
    }
}

fn builder()
-> async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .validation_mode(ValidationMode::Fast)
}
