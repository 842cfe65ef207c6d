//! The data that an expression sees: input, result, error, variables, the context object, and its
//! source of randomness.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Variables by name, without the `$`.
pub(crate) type Variables = Map<String, Value>;

/// The surroundings of one evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// `$` of a path; `$states.input` of JSONata.
    pub(crate) input: &'a Value,
    pub(crate) result: Option<&'a Value>,
    pub(crate) error: Option<&'a Value>,
    pub(crate) variables: &'a Variables,
    pub(crate) context: &'a Context<'a>,
    pub(crate) dice: &'a Dice,
    pub(crate) now: Timestamp,
}

/// The context object, built on first use.
pub(crate) struct Context<'a> {
    cell: OnceCell<Value>,
    build: Box<dyn Fn() -> Value + 'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(build: impl Fn() -> Value + 'a) -> Self {
        Self {
            cell: OnceCell::new(),
            build: Box::new(build),
        }
    }

    pub(crate) fn value(&self) -> &Value {
        self.cell.get_or_init(|| (self.build)())
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Context").field(&self.cell.get()).finish()
    }
}

/// Pseudorandom numbers (splitmix64). The same seed gives the same sequence.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    rolled: AtomicU64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            rolled: AtomicU64::new(0),
        }
    }

    pub(crate) fn roll(&self) -> u64 {
        let rolled = self.rolled.fetch_add(1, Ordering::Relaxed) + 1;
        let mut z = self
            .seed
            .wrapping_add(rolled.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to 1, without 1.
    pub(crate) fn fraction(&self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&self) -> String {
        let bits = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        uuid::Builder::from_random_bytes(bits.to_be_bytes())
            .into_uuid()
            .to_string()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A scope with one variable `v` and a small context, for tests of expressions.
    pub(crate) fn with_scope<T>(input: &Value, f: impl FnOnce(&Scope<'_>) -> T) -> T {
        let variables = json!({"v": {"w": 7}, "list": [1, 2]});
        let context = Context::new(|| json!({"State": {"Name": "S"}, "Execution": {"Id": "E"}}));
        f(&Scope {
            input,
            result: None,
            error: None,
            variables: variables.as_object().unwrap(),
            context: &context,
            dice: &Dice::new(1),
            now: "2026-01-02T03:04:05Z".parse().unwrap(),
        })
    }

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let (a, b) = (Dice::new(5), Dice::new(5));
        assert_eq!((a.roll(), a.uuid()), (b.roll(), b.uuid()));
        assert!((0.0..1.0).contains(&a.fraction()));
    }
}
