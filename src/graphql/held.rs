//! Memory of subscriptions, counted for each caller: the names and the writers of the fields that
//! they select. Watchers that share a payload hold it once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::graphql::limits::{OverBound, SUBSCRIPTION_BYTES_PER_CALLER, TOO_MUCH};

type Callers = Arc<Mutex<HashMap<Arc<str>, usize>>>;

/// Bytes by caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings(Callers);

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    callers: Callers,
    name: Arc<str>,
    bytes: usize,
}

impl Holdings {
    /// Counts bytes of a caller.
    ///
    /// # Errors
    /// The caller's subscriptions would hold more than [`SUBSCRIPTION_BYTES_PER_CALLER`].
    pub(super) fn take(&self, name: &Arc<str>, bytes: usize) -> Result<Held, OverBound> {
        let mut callers = self.0.lock();
        let before = callers.get(name).copied().unwrap_or(0);
        let after = before.saturating_add(bytes);
        if after > SUBSCRIPTION_BYTES_PER_CALLER {
            let text = format!(
                "the subscriptions of this caller hold {before} bytes, and this one {bytes}: the limit is {SUBSCRIPTION_BYTES_PER_CALLER}, end some or select fewer fields"
            );
            return Err((text, TOO_MUCH));
        }
        callers.insert(Arc::clone(name), after);
        Ok(Held {
            callers: Arc::clone(&self.0),
            name: Arc::clone(name),
            bytes,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut callers = self.callers.lock();
        let left = callers.get(&self.name).map(|held| held - self.bytes);
        match left {
            Some(0) | None => callers.remove(&self.name),
            Some(left) => callers.insert(Arc::clone(&self.name), left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_holds_at_most_its_limit_of_bytes() {
        let holdings = Holdings::default();
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let half = SUBSCRIPTION_BYTES_PER_CALLER / 2;
        let first = holdings.take(&ann, half).expect("within");
        let second = holdings.take(&ann, half).expect("exactly at it");
        let (text, code) = holdings.take(&ann, 1).expect_err("over it");
        assert!(text.contains("the limit is") && code == TOO_MUCH, "{text}");
        let other = holdings.take(&bob, half).expect("another caller");
        drop(first);
        let third = holdings.take(&ann, 1).expect("there is room again");
        drop((second, third, other));
        assert!(holdings.0.lock().is_empty());
    }
}
