//! Documents that were parsed lately: clients send the same few again and again. Only the parsing is remembered; whether a document may be
//! executed is decided anew for each request.

use std::collections::HashMap;

use async_graphql::ServerError;
use async_graphql::parser::types::ExecutableDocument;
use parking_lot::Mutex;

use super::bounds;
use super::error::{error_json, errors_text};

/// Documents that are kept, at most.
pub(super) const DOCUMENTS: usize = 256;
/// Bytes of a document that is kept, at most.
pub(super) const DOCUMENT_BYTES: usize = 8 * 1024;

/// What is known of texts that came lately. A client that writes values into its documents fills the place with what never comes again:
/// then all is forgotten, and what does come again is soon back.
#[derive(Debug)]
pub(super) struct Lately<T>(Mutex<HashMap<Box<str>, T>>);

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Lately<T> {
    pub(super) fn get(&self, text: &str) -> Option<T> {
        self.0.lock().get(text).cloned()
    }

    /// Keeps it, unless the text is over [`DOCUMENT_BYTES`].
    pub(super) fn keep(&self, text: &str, known: T) {
        if text.len() > DOCUMENT_BYTES {
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

/// Parsed documents by their text.
#[derive(Debug, Default)]
pub(super) struct Documents(Lately<ExecutableDocument>);

impl Documents {
    /// The document of this text.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors: the text is no document, or the document is over a bound.
    pub(super) fn parse(&self, text: &str) -> Result<ExecutableDocument, String> {
        if let Some(document) = self.0.get(text) {
            return Ok(document);
        }
        let document = async_graphql::parser::parse_query(text).map_err(not_a_document)?;
        bounds::check(&document).map_err(|(message, code)| errors_text(&message, code))?;
        self.0.keep(text, document.clone());
        Ok(document)
    }
}

/// The library's text shows the line of the document, which may be all of it; where the error is, `locations` says.
fn not_a_document(error: async_graphql::parser::Error) -> String {
    let mut error = ServerError::from(error);
    let expected = error.message.lines().last();
    if let Some(expected) = expected.and_then(|line| line.trim_start().strip_prefix("= ")) {
        error.message = format!("syntax error: {expected}");
    }
    serde_json::Value::from(vec![error_json(&error)]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_syntax_does_not_repeat_the_document() {
        let long = format!("{{ a(b: {} }}", "x".repeat(10_000));
        let error = Documents::default().parse(&long).expect_err("no document");
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
        for n in 0..DOCUMENTS {
            documents.parse(&format!("{{ a{n} }}")).expect("a document");
        }
        assert_eq!(kept(), DOCUMENTS);
        documents.parse("{ a0 }").expect("a document");
        assert_eq!(kept(), DOCUMENTS, "it was there");
        documents.parse("{ another }").expect("a document");
        assert_eq!(kept(), 1);
        let long = |bytes: usize| format!("{{ {} }}", "a".repeat(bytes - 4));
        documents.parse(&long(DOCUMENT_BYTES)).expect("a document");
        assert_eq!(kept(), 2);
        documents
            .parse(&long(DOCUMENT_BYTES + 1))
            .expect("a document");
        assert_eq!(kept(), 2);
        documents.parse("{").expect_err("no document");
        assert_eq!(kept(), 2);
    }
}
