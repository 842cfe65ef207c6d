//! The GraphQL edge: the schema over the use cases, and its execution for HTTP and for sessions.
//!
//! | module | what |
//! |---|---|
//! | [`limits`] | limits of requests and responses |
//! | `syntax` | reads a document from its text |
//! | `error` | errors as clients see them |
//! | `schema` | root fields, types, and the schema's text |
//! | `request` | requests before their execution: documents, variables, bounds, plan |
//! | [`executor`] | executes requests |
//! | `batch`, `watch`, `session` | lists of requests, subscriptions, operations of sessions |
//! | `response` | the text of responses |
//! | `shortcut` | faster ways with the same results, which may be left out |
//! | `held` | memory of subscriptions, for each caller |
//! | [`rate`] | how often one caller may submit |

mod batch;
mod error;
pub mod executor;
mod held;
pub mod limits;
pub mod rate;
mod request;
mod response;
mod schema;
mod session;
mod shortcut;
mod syntax;
mod watch;

use std::sync::{Arc, LazyLock};

use resolvers::Resolvers;

use crate::realtime::publisher::Publisher;
pub use error::{error_json, errors_text};
pub use executor::{Executor, HttpReply};
pub use limits::{COMPLEXITY, DEPTH, RECURSION};
use rate::SubmitRate;
use request::validated::ValidatedDocuments;
use schema::allowance;
pub use schema::sdl;
use schema::types::TYPES;
pub use schema::{JobSchema, bare_schema};

/// Checks that a text is a valid document.
///
/// # Errors
/// A JSON array of GraphQL errors.
pub fn check_document(text: &str) -> Result<(), String> {
    let document = ValidatedDocuments::default().get(text);
    document.map(drop).map_err(|errors| errors.json())
}

/// The schema over the use cases.
#[derive(Clone)]
pub struct Schemas {
    /// Executes valid plans. The library repeats only the checks that it cannot leave out.
    schema: JobSchema,
    publisher: Publisher,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

/// The schema over the use cases.
#[must_use]
pub fn schema(resolvers: Resolvers, publisher: Publisher, rate: SubmitRate) -> Schemas {
    // At the start, so that the first request does not wait for it.
    LazyLock::force(&TYPES);
    let builder = schema::builder().data(resolvers).data(publisher.clone());
    let builder = builder.data(Arc::new(rate)).extension(allowance::Counting);
    Schemas {
        schema: builder.finish(),
        publisher,
    }
}
