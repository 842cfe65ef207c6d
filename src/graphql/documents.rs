//! Documents that were parsed lately: clients send the same few again and again. Only the parsing is remembered; whether a document may be
//! executed is decided anew for each request.

use std::collections::HashMap;

use async_graphql::parser::types::ExecutableDocument;
use parking_lot::Mutex;

/// Documents that are kept, at most.
pub(super) const DOCUMENTS: usize = 256;
/// Bytes of a document that is kept, at most.
pub(super) const DOCUMENT_BYTES: usize = 8 * 1024;

/// Parsed documents by their text.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<HashMap<Box<str>, ExecutableDocument>>);

impl Documents {
    /// The document of this text.
    ///
    /// # Errors
    /// As the parser's.
    pub(super) fn parse(
        &self,
        text: &str,
    ) -> Result<ExecutableDocument, async_graphql::parser::Error> {
        if let Some(document) = self.0.lock().get(text) {
            return Ok(document.clone());
        }
        let document = async_graphql::parser::parse_query(text)?;
        if text.len() <= DOCUMENT_BYTES {
            let mut kept = self.0.lock();
            // A client that writes values into its documents fills the place with what never comes again: what does is soon back.
            if kept.len() >= DOCUMENTS {
                kept.clear();
            }
            kept.insert(text.into(), document.clone());
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_and_nothing_larger_than_its_limits() {
        let documents = Documents::default();
        let kept = || documents.0.lock().len();
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
