//! Prepares a request for its execution: document, variables, plan and cost.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;

use super::plan::Plan;
use super::validated::ValidatedDocuments;
use super::{variables, weight};
use crate::graphql::error::Errors;
use crate::graphql::limits::{COMPLEXITY, TOO_MUCH};
use crate::graphql::schema::types::TYPES;
use crate::graphql::syntax::Document;

/// Minimum size in bytes of a document with its variables that is prepared on a thread for blocking
/// work. A smaller request does not hold up the others.
const LARGE_BYTES: usize = 32 * 1024;

/// Whether a request may change anything: with GET it may not (GraphQL over HTTP, "GET").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Any operation may be executed.
    Allowed,
    /// A mutation is refused.
    Refused,
}

/// The operations that a transport supports.
#[derive(Clone, Copy)]
pub(in crate::graphql) struct Supported {
    pub(in crate::graphql) changes: Changes,
    /// Whether a subscription can be answered.
    pub(in crate::graphql) subscriptions: bool,
}

/// A valid request.
pub(in crate::graphql) struct Prepared {
    pub(in crate::graphql) request: wire::Request,
    pub(in crate::graphql) document: Arc<Document>,
    /// The operation with the values of its variables.
    pub(in crate::graphql) plan: Plan,
    /// Its share of [`COMPLEXITY`].
    pub(in crate::graphql) cost: usize,
}

/// A request that is not executed.
pub(in crate::graphql) enum Refused {
    /// The request is not valid, or is over a bound.
    Request(Errors),
    /// The request is a mutation, and [`Changes::Refused`].
    MutationOverGet,
}

impl From<Errors> for Refused {
    fn from(errors: Errors) -> Self {
        Self::Request(errors)
    }
}

/// Prepares a request.
///
/// # Errors
/// [`Refused`].
pub(in crate::graphql) async fn prepare(
    documents: &Arc<ValidatedDocuments>,
    request: wire::Request,
    supported: Supported,
) -> Result<Prepared, Refused> {
    let variables = request.variables.as_ref();
    let bytes = request.query.len() + variables.map_or(0, |variables| variables.get().len());
    if bytes < LARGE_BYTES {
        return prepare_now(documents, request, supported);
    }
    let documents = Arc::clone(documents);
    tokio::task::spawn_blocking(move || prepare_now(&documents, request, supported))
        .await
        .expect("it does not panic, and no code aborts it")
}

fn prepare_now(
    documents: &ValidatedDocuments,
    request: wire::Request,
    supported: Supported,
) -> Result<Prepared, Refused> {
    let document = documents.get(&request.query)?;
    let name = request.operation_name.as_deref();
    let Some(operation) = document.operation(name) else {
        return Err(Errors::one(no_operation(&document, name), "BadRequest").into());
    };
    match operation.kind {
        OperationType::Mutation if supported.changes == Changes::Refused => {
            return Err(Refused::MutationOverGet);
        }
        OperationType::Subscription if !supported.subscriptions => {
            let text = "a subscription needs a stream: connect with WebSocket, or ask with \
                        Accept: text/event-stream";
            return Err(Errors::one(text, "OperationNotSupported").into());
        }
        _ => {}
    }
    let variables = variables::coerce(request.variables.as_deref(), operation, &TYPES);
    let variables = variables.map_err(|(message, code)| Errors::one(message, code))?;
    let plan = Plan::of(&document, operation, &variables, &TYPES);
    let plan = plan.map_err(|message| Errors::one(message, "BadRequest"))?;
    let cost = weight::of(&plan);
    if cost > COMPLEXITY {
        return Err(Errors::one(too_complex(), TOO_MUCH).into());
    }
    Ok(Prepared {
        request,
        document,
        plan,
        cost,
    })
}

fn no_operation(document: &Document, name: Option<&str>) -> &'static str {
    match (name, document.operations.len()) {
        (None, 0) => "the document has no operation: only fragments",
        (None, _) => "Missing operation name.",
        (Some(_), _) => "the document has no operation of that name",
    }
}

/// The message about a request, or a batch, whose cost is over [`COMPLEXITY`].
pub(in crate::graphql) fn too_complex() -> String {
    format!(
        "the request asks for too much: each field counts 1 or its weight, in a page as often as \
         it may have items, and the limit is {COMPLEXITY}"
    )
}
