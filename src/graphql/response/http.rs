//! Responses to requests over HTTP.

use bytes::Bytes;

use crate::graphql::error::errors_text;
use crate::graphql::request::prepare::Refused;

/// The response to a request, or to a batch, over HTTP.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// The JSON text.
    pub body: Bytes,
    /// What became of the request. The HTTP status depends on it (GraphQL over HTTP, "Status
    /// codes").
    pub outcome: Outcome,
}

/// What became of a request over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request was executed, with or without errors of its fields.
    Executed,
    /// The request was refused before its execution.
    Refused,
    /// The request was a mutation over GET.
    MutationOverGet,
}

impl HttpReply {
    pub(in crate::graphql) fn executed(body: Bytes) -> Self {
        Self {
            body,
            outcome: Outcome::Executed,
        }
    }

    /// `errors` is a JSON array.
    pub(in crate::graphql) fn refused(outcome: Outcome, errors: &str) -> Self {
        Self {
            body: format!(r#"{{"errors":{errors}}}"#).into(),
            outcome,
        }
    }
}

impl From<Refused> for HttpReply {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Request(errors) => Self::refused(Outcome::Refused, &errors.json()),
            Refused::MutationOverGet => {
                let errors = errors_text("a mutation must be sent with POST", "MutationOverGet");
                Self::refused(Outcome::MutationOverGet, &errors)
            }
        }
    }
}
