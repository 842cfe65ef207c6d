//! The most frequent values of a stream, with a fixed number of counters. Exact while the distinct
//! values fit.

use std::collections::HashMap;

use serde::Serialize;

/// Number of counters.
pub const FREQUENT: usize = 64;
/// Number of values in a report.
pub const TOP_VALUES: usize = 5;

/// One frequent value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frequent {
    /// The value, cut at 128 bytes.
    pub value: String,
    /// Number of occurrences, at most `error` too high.
    pub count: u64,
    /// The part of `count` that may belong to other values; 0 means exact.
    pub error: u64,
}

/// Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k
/// elements", 2005).
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    counters: HashMap<Box<str>, (u64, u64)>,
}

impl Counters {
    pub(super) fn add(&mut self, value: &str) {
        if let Some((count, _)) = self.counters.get_mut(value) {
            *count += 1;
            return;
        }
        let mut inherited = 0;
        if self.counters.len() >= FREQUENT {
            // The value itself breaks ties, so that the same stream gives the same counters.
            let least = self
                .counters
                .iter()
                .min_by_key(|(value, (count, _))| (*count, *value));
            let (least, count) = least
                .map(|(value, (count, _))| (value.clone(), *count))
                .expect("it is full");
            self.counters.remove(&least);
            inherited = count;
        }
        self.counters
            .insert(value.into(), (inherited + 1, inherited));
    }

    /// The most frequent values, most frequent first. A value that may have occurred only once is
    /// left out, unless all counts are exact.
    pub(super) fn top(&self) -> Vec<Frequent> {
        let exact = self.counters.values().all(|(_, error)| *error == 0);
        let mut top: Vec<_> = self
            .counters
            .iter()
            .filter(|(_, (count, error))| exact || count - error > 1)
            .map(|(value, (count, error))| Frequent {
                value: value.to_string(),
                count: *count,
                error: *error,
            })
            .collect();
        top.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        top.truncate(TOP_VALUES);
        top
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_count_is_never_too_low_and_within_its_error(
            stream in prop::collection::vec(prop_oneof![3 => 0u32..10, 2 => 0u32..5000], 1..3000)
        ) {
            let mut counters = Counters::default();
            let mut truth: HashMap<String, u64> = HashMap::new();
            for number in &stream {
                counters.add(&number.to_string());
                *truth.entry(number.to_string()).or_default() += 1;
            }
            prop_assert!(counters.counters.len() <= FREQUENT);
            for (value, (count, error)) in &counters.counters {
                let truth = truth[&**value];
                prop_assert!(*count >= truth && count - error <= truth, "{value}: {truth}, {count} - {error}");
            }
            for (value, count) in truth {
                if count > (stream.len() / FREQUENT) as u64 {
                    prop_assert!(counters.counters.contains_key(&*value), "{value} was there {count} times");
                }
            }
        }
    }

    #[test]
    fn few_values_are_counted_exactly_in_order() {
        let mut counters = Counters::default();
        "b a c b d e f g a b"
            .split(' ')
            .for_each(|value| counters.add(value));
        let top: Vec<_> = counters
            .top()
            .into_iter()
            .map(|top| (top.value, top.count, top.error))
            .collect();
        let expected = [("b", 3), ("a", 2), ("c", 1), ("d", 1), ("e", 1)];
        assert_eq!(
            top,
            expected.map(|(value, count)| (value.to_owned(), count, 0))
        );
    }

    #[test]
    fn values_that_are_all_different_have_no_top() {
        let mut counters = Counters::default();
        (0..FREQUENT + 1).for_each(|number| counters.add(&number.to_string()));
        assert_eq!(counters.top(), []);
    }
}
