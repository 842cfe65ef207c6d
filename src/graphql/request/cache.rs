//! What is known about document texts, bounded in number and bytes.

use std::fmt;

use parking_lot::Mutex;
use resolvers::TwoGenerationCache;

/// Maximum number of documents in a cache.
pub(in crate::graphql) const CACHED_DOCUMENTS: usize = 256;
/// Maximum size in bytes of a document in a cache.
pub(in crate::graphql) const CACHED_DOCUMENT_BYTES: usize = 8 * 1024;

/// Values by the text of a document.
///
/// A client that writes values into its documents fills the cache with texts that are never sent
/// again. The documents that are sent again outlive these, because their use renews them.
pub(in crate::graphql) struct DocumentCache<T>(Mutex<TwoGenerationCache<Box<str>, T>>);

impl<T> Default for DocumentCache<T> {
    fn default() -> Self {
        Self(Mutex::new(TwoGenerationCache::new(CACHED_DOCUMENTS / 2)))
    }
}

impl<T> fmt::Debug for DocumentCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DocumentCache")
    }
}

impl<T: Clone> DocumentCache<T> {
    /// The value of a text, which counts as used.
    pub(in crate::graphql) fn get(&self, text: &str) -> Option<T> {
        if text.len() > CACHED_DOCUMENT_BYTES {
            return None;
        }
        self.0.lock().get(text).cloned()
    }

    /// Adds a value, unless the text is longer than [`CACHED_DOCUMENT_BYTES`].
    pub(in crate::graphql) fn insert(&self, text: &str, value: T) {
        if text.len() <= CACHED_DOCUMENT_BYTES {
            self.0.lock().insert(text.into(), value);
        }
    }

    #[cfg(test)]
    pub(in crate::graphql) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_holds_as_many_documents_as_its_limit_and_no_more() {
        let cache = DocumentCache::default();
        for number in 0..CACHED_DOCUMENTS {
            cache.insert(&number.to_string(), number);
        }
        assert_eq!(cache.len(), CACHED_DOCUMENTS);
        assert_eq!(cache.get("0"), Some(0), "the first is still there");
        for number in CACHED_DOCUMENTS..10 * CACHED_DOCUMENTS {
            cache.insert(&number.to_string(), number);
            assert!(cache.len() <= CACHED_DOCUMENTS);
        }
    }

    #[test]
    fn a_document_in_use_outlives_documents_that_are_sent_once() {
        let cache = DocumentCache::default();
        cache.insert("often", 0);
        for number in 1..10 * CACHED_DOCUMENTS {
            cache.insert(&number.to_string(), number);
            assert_eq!(cache.get("often"), Some(0));
        }
    }

    #[test]
    fn a_document_over_the_limit_of_bytes_is_not_cached() {
        let cache = DocumentCache::default();
        let longest = "a".repeat(CACHED_DOCUMENT_BYTES);
        cache.insert(&longest, ());
        assert_eq!(cache.get(&longest), Some(()));
        let longer = "a".repeat(CACHED_DOCUMENT_BYTES + 1);
        cache.insert(&longer, ());
        assert_eq!((cache.get(&longer), cache.len()), (None, 1));
    }
}
