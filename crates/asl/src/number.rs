//! Compares JSON numbers: integers exactly, all others as doubles. It does not calculate.

use std::cmp::Ordering;

use serde_json::Number;

/// The integer that a number is written as.
pub(crate) fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// The order of two numbers. 64-bit integers are compared exactly, even where doubles would be
/// equal.
pub(crate) fn order(left: &Number, right: &Number) -> Option<Ordering> {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// Whether two numbers are equal.
pub(crate) fn equal(left: &Number, right: &Number) -> bool {
    order(left, right) == Some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_compared_to_their_last_digit() {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        for (left, right, want) in [
            (
                "1234567890123456789",
                "1234567890123456788",
                Ordering::Greater,
            ),
            (
                "18446744073709551615",
                "18446744073709551614",
                Ordering::Greater,
            ),
            (
                "-9223372036854775808",
                "18446744073709551615",
                Ordering::Less,
            ),
            ("1", "1.0", Ordering::Equal),
            ("9007199254740993", "9007199254740992.0", Ordering::Equal),
            ("0.1", "0.2", Ordering::Less),
        ] {
            assert_eq!(
                order(&number(left), &number(right)),
                Some(want),
                "{left} {right}"
            );
        }
    }
}
