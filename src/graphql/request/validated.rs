//! Documents that were found valid before. Clients send the same few documents many times; after a
//! restart thousands of watchers send one at once. Whether a document is valid does not depend on
//! its variables, so that a known text is neither parsed nor checked again.

use std::sync::Arc;

use super::cache::DocumentCache;
use crate::graphql::error::{Errors, RequestError};
use crate::graphql::request::bounds;
use crate::graphql::request::rules;
use crate::graphql::schema::types::TYPES;
use crate::graphql::syntax::{self, Document, SyntaxError};

/// Valid documents by their text.
#[derive(Debug, Default)]
pub(in crate::graphql) struct ValidatedDocuments(DocumentCache<Arc<Document>>);

impl ValidatedDocuments {
    /// The document of this text.
    ///
    /// # Errors
    /// The text is not a document, or the document is over a bound or not valid.
    pub(in crate::graphql) fn get(&self, text: &str) -> Result<Arc<Document>, Errors> {
        if let Some(document) = self.0.get(text) {
            return Ok(document);
        }
        let document = Arc::new(checked(text)?);
        self.0.insert(text, Arc::clone(&document));
        Ok(document)
    }
}

fn checked(text: &str) -> Result<Document, Errors> {
    let document = syntax::parse(text).map_err(|error| of_syntax(*error))?;
    bounds::check(&document).map_err(|error| of_syntax(*error))?;
    rules::validate(&document, &TYPES).map_err(|errors| {
        let of_rule = |error: rules::Invalid| RequestError {
            message: format!(
                "{} (GraphQL, section {})",
                error.message,
                error.rule.section()
            ),
            code: "ValidationError",
            places: error.places,
        };
        Errors {
            first: errors.first.into_iter().map(of_rule).collect(),
            more: errors.more,
        }
    })?;
    Ok(document)
}

fn of_syntax(error: SyntaxError) -> Errors {
    Errors::from(RequestError {
        message: error.message,
        code: error.code,
        places: error.place.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::limits;

    #[test]
    fn an_error_of_syntax_does_not_repeat_the_document() {
        let long = format!("{{ a(b: {} }}", "x".repeat(10_000));
        let error = ValidatedDocuments::default()
            .get(&long)
            .expect_err("no document")
            .json();
        assert!(
            error.contains("syntax error: expected") && error.len() < 1_000,
            "{error}"
        );
        assert!(error.contains("locations"), "{error}");
    }

    #[test]
    fn only_valid_documents_are_cached() {
        let documents = ValidatedDocuments::default();
        documents.get("{ __typename }").expect("valid");
        documents.get("{ __typename }").expect("valid");
        documents.get("{").expect_err("no document");
        documents.get("{ a }").expect_err("not valid");
        assert_eq!(documents.0.len(), 1);
    }

    #[test]
    fn errors_over_their_limit_are_left_out_and_one_more_says_so() {
        let errors = |count: usize| {
            let fields: String = (0..count).map(|at| format!("no{at} ")).collect();
            let errors = ValidatedDocuments::default()
                .get(&format!("{{ {fields} }}"))
                .expect_err("not valid");
            let errors: serde_json::Value = serde_json::from_str(&errors.json()).expect("JSON");
            errors.as_array().expect("an array").clone()
        };
        assert_eq!(errors(limits::ERRORS).len(), limits::ERRORS);
        let more = errors(limits::ERRORS + 1);
        assert_eq!(more.len(), limits::ERRORS + 1);
        assert_eq!(errors(5_000).len(), limits::ERRORS + 1);
        let last = more.last().and_then(|error| error["message"].as_str());
        assert!(
            last.is_some_and(|last| last.contains("more errors")),
            "{last:?}"
        );
    }
}
