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
//! | [`hostile`] | requests that attack, for tests and benchmarks |
//! | `held` | what the subscriptions of a caller hold in memory |
//! | `projection` | writes the payloads of events, without an execution where it can |
//! | `on_job`, `publishing` | `onJob` and `publishJob` of documents that were executed before: without an execution |
//! | `plain_field` | which documents these are |
//! | [`sdl`] | the schema as text, as AppSync accepts it |

mod batch;
pub mod executor;
mod held;
pub mod hostile;
pub mod rate;
mod request;
mod response;
mod schema;
mod session;
mod shortcut;
mod watch;

use std::sync::{Arc, LazyLock};

use resolvers::Resolvers;

use crate::realtime::publisher::Publisher;
pub use executor::{Executor, HttpReply};
use rate::SubmitRate;
pub use request::bounds::{self, COMPLEXITY, DEPTH, RECURSION};
use request::validated::ValidatedDocuments;
use response::allowance;
pub use response::error::{error_json, errors_text};
pub use schema::sdl;
use schema::types::TYPES;
pub use schema::{JobSchema, bare_schema};

/// Whether a text is a document that may be executed; if not, a JSON array of GraphQL errors.
///
/// # Errors
/// The errors.
pub fn check_document(text: &str) -> Result<(), String> {
    let document = ValidatedDocuments::default().get(text);
    document.map(drop).map_err(|errors| errors.json())
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
    LazyLock::force(&TYPES);
    let builder = schema::builder().data(resolvers).data(publisher.clone());
    let builder = builder.data(Arc::new(rate)).extension(allowance::Counting);
    Schemas {
        schema: builder.finish(),
        publisher,
    }
}
