//! Numbers of an expression: 64-bit integers are exact, all others are doubles. Both are written as
//! JavaScript writes them. It has no notion of other values.

/// The first integer that a double cannot distinguish from a neighbour.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// The first double above all 64-bit integers.
const INTEGERS: f64 = 9_223_372_036_854_775_808.0;

/// A number that is not NaN.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    /// An exact integer.
    Whole(i64),
    /// Any other double.
    Double(f64),
}

use Number::{Double, Whole};

impl Number {
    /// The number of a double. A double that holds an exact integer becomes one.
    pub(super) fn of(n: f64) -> Self {
        if n.fract() == 0.0 && n.abs() <= EXACT {
            Whole(n as i64)
        } else {
            Double(n)
        }
    }

    /// The number of an integer that may have more than 64 bits.
    fn wide(n: i128) -> Self {
        i64::try_from(n).map_or(Double(n as f64), Whole)
    }

    pub(super) fn double(self) -> f64 {
        match self {
            Whole(n) => n as f64,
            Double(n) => n,
        }
    }

    /// Whether it is an integer of any size.
    pub(super) fn is_integer(self) -> bool {
        match self {
            Whole(_) => true,
            Double(n) => n.is_finite() && n.fract() == 0.0,
        }
    }

    /// Truncates to an integer, within the range of 64 bits.
    pub(super) fn towards_zero(self) -> i64 {
        match self {
            Whole(n) => n,
            Double(n) => n as i64,
        }
    }

    pub(super) fn add(self, other: Self) -> Self {
        match (self, other) {
            (Whole(a), Whole(b)) => Self::wide(i128::from(a) + i128::from(b)),
            (a, b) => Self::of(a.double() + b.double()),
        }
    }

    pub(super) fn subtract(self, other: Self) -> Self {
        match (self, other) {
            (Whole(a), Whole(b)) => Self::wide(i128::from(a) - i128::from(b)),
            (a, b) => Self::of(a.double() - b.double()),
        }
    }

    pub(super) fn multiply(self, other: Self) -> Self {
        match (self, other) {
            (Whole(a), Whole(b)) => Self::wide(i128::from(a) * i128::from(b)),
            (a, b) => Self::of(a.double() * b.double()),
        }
    }

    pub(super) fn divide(self, other: Self) -> Self {
        match (self, other) {
            (Whole(a), Whole(b)) if a.checked_rem(b) == Some(0) => Whole(a / b),
            (a, b) => Self::of(a.double() / b.double()),
        }
    }

    /// The remainder of a division, with the sign of the dividend.
    pub(super) fn modulo(self, other: Self) -> Self {
        match (self, other) {
            (Whole(a), Whole(b)) if b != 0 => Self::wide(i128::from(a) % i128::from(b)),
            (a, b) => Self::of(a.double() % b.double()),
        }
    }

    pub(super) fn negate(self) -> Self {
        match self {
            Whole(n) => Self::wide(-i128::from(n)),
            Double(n) => Double(-n),
        }
    }

    pub(super) fn absolute(self) -> Self {
        match self {
            Whole(n) => Self::wide(i128::from(n).abs()),
            Double(n) => Double(n.abs()),
        }
    }

    pub(super) fn floor(self) -> Self {
        self.with(f64::floor)
    }

    pub(super) fn ceil(self) -> Self {
        self.with(f64::ceil)
    }

    fn with(self, round: impl Fn(f64) -> f64) -> Self {
        match self {
            Whole(n) => Whole(n),
            Double(n) => Self::of(round(n)),
        }
    }

    pub(super) fn power(self, exponent: Self) -> Self {
        if let (Whole(base), Whole(exponent)) = (self, exponent)
            && let Ok(exponent) = u32::try_from(exponent)
            && let Some(exact) = base.checked_pow(exponent)
        {
            return Whole(exact);
        }
        Self::of(self.double().powf(exponent.double()))
    }

    /// Rounds to `digits` after the point, or before it if negative. A half goes to the even
    /// neighbour.
    pub(super) fn round(self, digits: i64) -> Self {
        if let (Whole(_), 0..) = (self, digits) {
            return self;
        }
        let shifted = |n: f64, by: i64| {
            let (mantissa, exponent) = parts(n);
            format!("{mantissa}e{}", exponent.saturating_add(by))
                .parse()
                .unwrap_or(n)
        };
        let n = self.double();
        if !n.is_finite() {
            return self;
        }
        let n = if digits == 0 { n } else { shifted(n, digits) };
        let mut rounded = (n + 0.5).floor();
        if n.abs() >= EXACT {
            rounded = n;
        } else if (rounded - n).abs() == 0.5 && rounded.rem_euclid(2.0) == 1.0 {
            rounded -= 1.0;
        }
        Self::of(if digits == 0 {
            rounded
        } else {
            shifted(rounded, -digits)
        })
    }

    /// The number with fifteen digits, unless it is an integer.
    pub(super) fn with_precision(self) -> Self {
        match self {
            Double(n) if n.fract() != 0.0 => Self::of(format!("{n:.14e}").parse().unwrap_or(n)),
            other => other,
        }
    }

    /// The number in base `radix`, from 2 to 36.
    pub(super) fn in_base(self, radix: u32) -> String {
        let n = match self {
            Whole(n) => i128::from(n),
            Double(n) => n as i128,
        };
        let mut digits = Vec::new();
        let mut rest = n.unsigned_abs();
        loop {
            let digit = (rest % u128::from(radix)) as u32;
            digits.push(char::from_digit(digit, radix).unwrap_or('0'));
            rest /= u128::from(radix);
            if rest == 0 {
                break;
            }
        }
        if n < 0 {
            digits.push('-');
        }
        digits.iter().rev().collect()
    }

    /// The number as JSON. If JSON has no such number, JavaScript's name for it as text.
    pub(super) fn json(self) -> serde_json::Value {
        match self {
            Whole(n) => n.into(),
            Double(n) if n.fract() == 0.0 && n.abs() < INTEGERS => (n as i64).into(),
            Double(n) => serde_json::Number::from_f64(n)
                .map_or_else(|| name(n).into(), serde_json::Value::Number),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(std::cmp::Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Whole(a), Whole(b)) => Some(a.cmp(b)),
            (a, b) => a.double().partial_cmp(&b.double()),
        }
    }
}

fn name(n: f64) -> &'static str {
    if n.is_nan() {
        "NaN"
    } else if n > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// The shortest digits that read back as the same double, and their exponent.
fn parts(n: f64) -> (String, i64) {
    let text = format!("{n:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n = match *self {
            Whole(n) => return write!(f, "{n}"),
            Double(n) if !n.is_finite() => return f.write_str(name(n)),
            Double(n) => n,
        };
        let (mantissa, exponent) = parts(n);
        let (sign, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", mantissa.as_str()),
        };
        let digits = mantissa.replace('.', "");
        let count = digits.len() as i64;
        match exponent {
            -6..0 => {
                let zeros = "0".repeat((-exponent - 1).unsigned_abs() as usize);
                write!(f, "{sign}0.{zeros}{digits}")
            }
            0..21 if count <= exponent + 1 => {
                let zeros = "0".repeat((exponent + 1 - count).unsigned_abs() as usize);
                write!(f, "{sign}{digits}{zeros}")
            }
            0..21 => {
                let (whole, rest) = digits.split_at(exponent.unsigned_abs() as usize + 1);
                write!(f, "{sign}{whole}.{rest}")
            }
            _ => {
                let plus = if exponent < 0 { "" } else { "+" };
                write!(f, "{sign}{mantissa}e{plus}{exponent}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        for (number, text) in [
            (Number::of(0.0), "0"),
            (Number::of(-0.0), "0"),
            (Number::of(1.0), "1"),
            (Number::of(2.50), "2.5"),
            (Number::of(1e-6), "0.000001"),
            (Number::of(1.5e-7), "1.5e-7"),
            (Number::of(1e19), "10000000000000000000"),
            (Number::of(-1.5e20), "-150000000000000000000"),
            (
                Number::of(999_999_999_999_999_868_928.0),
                "999999999999999900000",
            ),
            (Number::of(1e21), "1e+21"),
            (Number::of(1.25e100), "1.25e+100"),
            (
                Number::of(9_223_372_036_854_775_808.0),
                "9223372036854776000",
            ),
            (Whole(i64::MAX), "9223372036854775807"),
            (Number::of(123.456), "123.456"),
            (Number::of(f64::INFINITY), "Infinity"),
        ] {
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn integers_stay_exact_until_they_have_more_than_64_bits() {
        let id = Whole(1_234_567_890_123_456_789);
        assert_eq!(id.add(Whole(1)).to_string(), "1234567890123456790");
        assert_eq!(id.subtract(id).to_string(), "0");
        assert_eq!(id.divide(Whole(1)).to_string(), "1234567890123456789");
        assert_eq!(id.modulo(Whole(1000)).to_string(), "789");
        let most = Whole(i64::MAX);
        assert_eq!(most.add(Whole(1)).to_string(), "9223372036854776000");
        assert_eq!(Whole(i64::MIN).negate().to_string(), "9223372036854776000");
        assert_eq!(Whole(7).divide(Whole(2)).to_string(), "3.5");
        assert_eq!(Whole(7).divide(Whole(0)).to_string(), "Infinity");
        assert_eq!(Whole(-7).modulo(Whole(3)).to_string(), "-1");
        assert_eq!(Whole(3).power(Whole(39)).to_string(), "4052555153018976267");
    }

    #[test]
    fn a_half_is_rounded_to_the_even_neighbour() {
        for (n, digits, text) in [
            (0.5, 0, "0"),
            (1.5, 0, "2"),
            (-0.5, 0, "0"),
            (-1.5, 0, "-2"),
            (2.5, 0, "2"),
            (4.525, 2, "4.52"),
            (4.515, 2, "4.52"),
            (12345.6789, -2, "12300"),
            (1e300, 2, "1e+300"),
            (125.0, -1, "120"),
        ] {
            assert_eq!(
                Number::of(n).round(digits).to_string(),
                text,
                "{n} {digits}"
            );
        }
    }
}
