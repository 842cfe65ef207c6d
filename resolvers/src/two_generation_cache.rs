//! A bounded cache that keeps what was used last, without a list of uses: two generations of at
//! most `limit` entries each. Pure.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Entries by key: those used since the younger generation began, and those used before. When the
/// younger generation is full it becomes the older one, whose entries are dropped.
///
/// An entry is therefore kept until at least `limit` other entries have been used after it. The
/// cache holds at most `2 * limit` entries.
#[derive(Debug)]
pub struct TwoGenerationCache<K, V> {
    limit: usize,
    younger: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash, V> TwoGenerationCache<K, V> {
    /// An empty cache with at most `limit` entries in a generation.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            younger: HashMap::new(),
            older: HashMap::new(),
        }
    }

    /// The value, which counts as used.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        // No hash of the key for a generation without entries.
        if !self.older.is_empty()
            && let Some((key, value)) = self.older.remove_entry(key)
        {
            self.insert(key, value);
        }
        self.younger.get(key)
    }

    /// The value, whose generation stays as it is.
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.younger.get(key).or_else(|| self.older.get(key))
    }

    /// Adds or replaces a value, which counts as used.
    pub fn insert(&mut self, key: K, value: V) {
        self.older.remove(&key);
        if self.younger.len() >= self.limit && !self.younger.contains_key(&key) {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key, value);
    }

    /// Removes the value.
    pub fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.younger.remove(key);
        self.older.remove(key);
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        self.younger.clear();
        self.older.clear();
    }

    /// All values, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.younger.values_mut().chain(self.older.values_mut())
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.younger.len() + self.older.len()
    }

    /// Whether the cache has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_holds_at_most_two_generations_and_drops_what_was_used_least() {
        let mut cache = TwoGenerationCache::new(3);
        for number in 0..10 {
            cache.insert(number, number);
            assert_eq!(cache.get(&0), Some(&0), "used each time");
            assert!(cache.len() <= 6);
        }
        assert_eq!(cache.peek(&9), Some(&9));
        assert_eq!(cache.peek(&1), None);
    }

    #[test]
    fn an_entry_outlives_as_many_others_as_a_generation_holds() {
        let mut cache = TwoGenerationCache::new(3);
        (0..3).for_each(|number| cache.insert(number, ()));
        (3..6).for_each(|number| cache.insert(number, ()));
        assert!(cache.peek(&0).is_some());
        cache.insert(6, ());
        assert!(cache.peek(&0).is_none() && cache.peek(&3).is_some());
    }

    #[test]
    fn a_replaced_value_takes_no_second_place() {
        let mut cache = TwoGenerationCache::new(2);
        cache.insert("a", 1);
        cache.insert("b", 1);
        cache.insert("b", 2);
        cache.insert("c", 3);
        cache.insert("a", 4);
        assert_eq!((cache.peek("a"), cache.len()), (Some(&4), 3));
        cache.remove("a");
        assert_eq!(cache.peek("a"), None);
        cache.values_mut().for_each(|value| *value += 10);
        assert_eq!(cache.peek("b"), Some(&12));
        cache.clear();
        assert!(cache.is_empty());
    }
}
