//! How often each action was called, and what DynamoDB would bill for it.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// The figures at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Calls by action, as IAM names it: `dynamodb:PutItem`. Refused and lost ones count too.
    pub calls: BTreeMap<String, u64>,
    /// Write request units.
    pub write_units: f64,
    /// Read request units.
    pub read_units: f64,
    /// Invocations by the mappings, subscriptions and rules, by function.
    pub invocations: BTreeMap<String, u64>,
    /// Records and messages that those invocations had, by function.
    pub records: BTreeMap<String, u64>,
}

impl Counted {
    /// The calls of an action; `dynamodb:*` is all of a service.
    #[must_use]
    pub fn calls_of(&self, action: &str) -> u64 {
        let of = |name: &String| match action.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == action,
        };
        let found = self.calls.iter().filter(|(name, _)| of(name));
        found.map(|(_, count)| count).sum()
    }

    /// What came since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Counted) -> Counted {
        let less = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            now.iter()
                .map(|(name, count)| {
                    let before = then.get(name).copied().unwrap_or_default();
                    (name.clone(), count.saturating_sub(before))
                })
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Counted {
            calls: less(&self.calls, &earlier.calls),
            write_units: self.write_units - earlier.write_units,
            read_units: self.read_units - earlier.read_units,
            invocations: less(&self.invocations, &earlier.invocations),
            records: less(&self.records, &earlier.records),
        }
    }
}

/// The figures of a cloud.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Counted>);

impl Counts {
    /// The figures now.
    #[must_use]
    pub fn now(&self) -> Counted {
        self.0.lock().clone()
    }

    pub(crate) fn called(&self, action: &str) {
        *self.0.lock().calls.entry(action.to_owned()).or_default() += 1;
    }

    pub(crate) fn consumed(&self, write_units: f64, read_units: f64) {
        let mut counted = self.0.lock();
        counted.write_units += write_units;
        counted.read_units += read_units;
    }

    pub(crate) fn invoked(&self, function: &str, records: usize) {
        let mut counted = self.0.lock();
        *counted.invocations.entry(function.to_owned()).or_default() += 1;
        *counted.records.entry(function.to_owned()).or_default() += records as u64;
    }
}
