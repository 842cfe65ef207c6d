//! Documents that were found valid lately: clients send the same few again and again, after a restart thousands of watchers at once.
//! Whether a document is valid does not depend on its variables, so a text that is known here is neither parsed nor checked again.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::graphql::request::bounds;
use crate::graphql::request::rules;
use crate::graphql::request::syntax::{self, Document, SyntaxError};
use crate::graphql::response::error::{Errors, RequestError};
use crate::graphql::schema::types::TYPES;

/// Documents that are kept, at most.
pub(in crate::graphql) const DOCUMENTS: usize = 256;
/// Bytes of a document that is kept, at most.
pub(in crate::graphql) const KEPT_BYTES: usize = 8 * 1024;

/// What is known of texts that came lately. A client that writes values into its documents fills the place with what never comes again:
/// then all is forgotten, and what does come again is soon back.
#[derive(Debug)]
pub(in crate::graphql) struct Lately<T>(Mutex<HashMap<Box<str>, T>>);

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Lately<T> {
    pub(in crate::graphql) fn get(&self, text: &str) -> Option<T> {
        self.0.lock().get(text).cloned()
    }

    /// Keeps it, unless the text is over [`KEPT_BYTES`].
    pub(in crate::graphql) fn keep(&self, text: &str, known: T) {
        if text.len() > KEPT_BYTES {
            return;
        }
        let mut kept = self.0.lock();
        if kept.len() >= DOCUMENTS {
            kept.clear();
        }
        kept.insert(text.into(), known);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Valid documents by their text.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Documents(Lately<Arc<Document>>);

impl Documents {
    /// The document of this text.
    ///
    /// # Errors
    /// The text is no document, the document is over a bound, or not valid.
    pub(in crate::graphql) fn get(&self, text: &str) -> Result<Arc<Document>, Errors> {
        if let Some(document) = self.0.get(text) {
            return Ok(document);
        }
        let document = Arc::new(checked(text)?);
        self.0.keep(text, Arc::clone(&document));
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

    #[test]
    fn an_error_of_syntax_does_not_repeat_the_document() {
        let long = format!("{{ a(b: {} }}", "x".repeat(10_000));
        let error = Documents::default()
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
    fn keeps_no_more_and_nothing_larger_than_its_limits() {
        let documents = Documents::default();
        let kept = || documents.0.len();
        let named = |n: usize| format!("{{ a{n}: __typename }}");
        for n in 0..DOCUMENTS {
            documents.get(&named(n)).expect("valid");
        }
        assert_eq!(kept(), DOCUMENTS);
        documents.get(&named(0)).expect("valid");
        assert_eq!(kept(), DOCUMENTS, "it was there");
        documents.get(&named(DOCUMENTS)).expect("valid");
        assert_eq!(kept(), 1);
        let long = |bytes: usize| format!("{{ __typename }}#{}", "a".repeat(bytes - 15));
        documents.get(&long(KEPT_BYTES)).expect("valid");
        assert_eq!(kept(), 2);
        documents.get(&long(KEPT_BYTES + 1)).expect("valid");
        assert_eq!(kept(), 2);
        documents.get("{").expect_err("no document");
        documents.get("{ a }").expect_err("not valid");
        assert_eq!(kept(), 2);
    }

    #[test]
    fn errors_up_to_their_limit_and_a_word_that_there_are_more() {
        let errors = |count: usize| {
            let fields: String = (0..count).map(|at| format!("no{at} ")).collect();
            let errors = Documents::default()
                .get(&format!("{{ {fields} }}"))
                .expect_err("not valid");
            let errors: serde_json::Value = serde_json::from_str(&errors.json()).expect("JSON");
            errors.as_array().expect("an array").clone()
        };
        assert_eq!(errors(bounds::ERRORS).len(), bounds::ERRORS);
        let more = errors(bounds::ERRORS + 1);
        assert_eq!(more.len(), bounds::ERRORS + 1);
        assert_eq!(errors(5_000).len(), bounds::ERRORS + 1);
        let last = more.last().and_then(|error| error["message"].as_str());
        assert!(
            last.is_some_and(|last| last.contains("more errors")),
            "{last:?}"
        );
    }
}
