//! A small ordered map for ids that only grow: a sorted vector. A waiting execution has one thread
//! and one timer, and a node of a tree would have room for eleven of each. A removal shifts the
//! later entries; the concurrency bounds their number.

#[derive(Debug)]
pub(super) struct Table<K, V>(Vec<(K, V)>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy, V> Table<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        // The newest entry is requested most often.
        match self.0.last() {
            Some((last, _)) if last == key => Ok(self.0.len() - 1),
            _ => self.0.binary_search_by(|entry| entry.0.cmp(key)),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => {
                if self.0.capacity() == 0 {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, (key, value));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.0.iter().map(|entry| entry.0)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|entry| &entry.1)
    }

    /// The entries after a key, in order.
    pub(super) fn after(&self, key: &K) -> impl Iterator<Item = (&K, &V)> {
        let from = self.find(key).map_or_else(|at| at, |at| at + 1);
        self.0[from..].iter().map(|(key, value)| (key, value))
    }

    /// Removes the entries whose keys are in the sorted list.
    pub(super) fn remove_all(&mut self, keys: &[K]) {
        self.0.retain(|entry| keys.binary_search(&entry.0).is_err());
    }

    /// Removes all entries, and returns their keys in order.
    pub(super) fn take_keys(&mut self) -> Vec<K> {
        std::mem::take(&mut self.0)
            .into_iter()
            .map(|entry| entry.0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_table_equals_an_ordered_map() {
        let (mut table, mut tree) = (Table::default(), BTreeMap::new());
        for i in 0..200_u64 {
            let key = i * 7 % 101;
            if i % 3 == 2 {
                assert_eq!(table.remove(&key), tree.remove(&key));
            } else {
                table.insert(key, i);
                tree.insert(key, i);
            }
            assert!(table.iter().eq(tree.iter()) && table.get(&key) == tree.get(&key));
            assert!(table.after(&50).eq(tree.range(51..)) && table.is_empty() == tree.is_empty());
        }
        let gone: Vec<u64> = tree.keys().copied().filter(|k| k % 2 == 0).collect();
        table.remove_all(&gone);
        assert!(table.keys().all(|k| k % 2 == 1) && table.values().count() < tree.len());
        assert!(!table.take_keys().is_empty() && table.is_empty());
    }
}
