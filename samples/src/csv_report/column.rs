//! Statistics of one column, collected value by value in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::frequent::{Counters, Frequent};
use super::histogram::Histogram;
use super::reservoir::{Reservoir, quantile};

/// Maximum number of distinct values that are counted exactly.
pub const MAX_DISTINCT: usize = 10_000;
/// Maximum size of a shown value or name in bytes; longer ones are cut.
pub const MAX_VALUE_BYTES: usize = 128;
/// Minimum share of values that must be numbers (or dates) for the column to have that type.
pub const KIND_SHARE: f64 = 0.95;

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The column has no values.
    Empty,
    /// Decimal numbers. A value with a leading zero (`007`) is a text: it is a code, not an amount.
    Number,
    /// `2026-01-31`, also with a time after `T` or a space.
    Date,
    /// Anything else.
    Text,
}

/// The report on one column.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnReport {
    /// The name in the header.
    pub name: String,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Number of values that are not empty.
    pub count: u64,
    /// Number of values that are empty or blank.
    pub empty: u64,
    /// Number of values that are not of the column's type.
    pub other_type: u64,
    /// Number of distinct values; a lower bound if `distinct_exact` is false.
    pub distinct: u64,
    /// Whether `distinct` is the exact number.
    pub distinct_exact: bool,
    /// For a column of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// For a column of dates: the first and the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<Range>,
    /// For a column of text: the lengths in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
    /// The most frequent values.
    pub top: Vec<Frequent>,
}

/// A column's numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation; 0 for a single number.
    pub stddev: f64,
    /// The quantile at 5 %.
    pub p05: f64,
    /// The quantile at 25 %.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The quantile at 75 %.
    pub p75: f64,
    /// The quantile at 95 %.
    pub p95: f64,
    /// Whether the quantiles are those of all numbers, or of a sample.
    pub quantiles_exact: bool,
}

/// The first and the last of a column's dates, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub min: String,
    /// The last.
    pub max: String,
}

/// Lengths in characters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lengths {
    /// The shortest value's.
    pub min: u64,
    /// The longest value's.
    pub max: u64,
    /// The mean.
    pub mean: f64,
}

/// The collector behind a report.
#[derive(Debug, Clone)]
pub(super) struct Column {
    name: String,
    count: u64,
    empty: u64,
    distinct: HashSet<u64>,
    distinct_full: bool,
    frequent: Counters,
    numbers: Moments,
    sample: Reservoir,
    dates: u64,
    range: Option<Range>,
    lengths: Moments,
}

impl Column {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: cut(name).to_owned(),
            count: 0,
            empty: 0,
            distinct: HashSet::new(),
            distinct_full: false,
            frequent: Counters::default(),
            numbers: Moments::default(),
            sample: Reservoir::new(),
            dates: 0,
            range: None,
            lengths: Moments::default(),
        }
    }

    pub(super) fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            self.empty += 1;
            return;
        }
        self.count += 1;
        self.add_distinct(value);
        self.frequent.add(cut(value));
        self.lengths.add(value.chars().count() as f64);
        if let Some(number) = number(value) {
            self.numbers.add(number);
            self.sample.add(number);
        } else if is_date(value) {
            self.dates += 1;
            self.add_date(cut(value));
        }
    }

    fn add_distinct(&mut self, value: &str) {
        // Hashes of 64 bits: two of 10,000 values collide once in 10^11 columns.
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let hash = hasher.finish();
        if self.distinct.len() < MAX_DISTINCT {
            self.distinct.insert(hash);
        } else if !self.distinct_full {
            self.distinct_full = !self.distinct.contains(&hash);
        }
    }

    fn add_date(&mut self, date: &str) {
        match &mut self.range {
            None => {
                self.range = Some(Range {
                    min: date.into(),
                    max: date.into(),
                })
            }
            // The notation sorts in the order of time.
            Some(range) if date < range.min.as_str() => range.min = date.into(),
            Some(range) if date > range.max.as_str() => range.max = date.into(),
            Some(_) => {}
        }
    }

    fn kind(&self) -> Kind {
        let most = |count: u64| count as f64 >= self.count as f64 * KIND_SHARE;
        match self.count {
            0 => Kind::Empty,
            _ if most(self.numbers.count) => Kind::Number,
            _ if most(self.dates) => Kind::Date,
            _ => Kind::Text,
        }
    }

    pub(super) fn report(&self) -> ColumnReport {
        let kind = self.kind();
        let of_kind = match kind {
            Kind::Number => self.numbers.count,
            Kind::Date => self.dates,
            Kind::Empty | Kind::Text => self.count,
        };
        ColumnReport {
            name: self.name.clone(),
            kind,
            count: self.count,
            empty: self.empty,
            other_type: self.count - of_kind,
            distinct: self.distinct.len() as u64 + u64::from(self.distinct_full),
            distinct_exact: !self.distinct_full,
            numbers: if kind == Kind::Number {
                self.summary()
            } else {
                None
            },
            dates: if kind == Kind::Date {
                self.range.clone()
            } else {
                None
            },
            lengths: (kind == Kind::Text).then(|| self.lengths()),
            top: self.frequent.top(),
        }
    }

    /// The histogram of a column of numbers.
    pub(super) fn histogram(&self) -> Option<Histogram> {
        if self.kind() != Kind::Number {
            return None;
        }
        let ends = (self.numbers.min, self.numbers.max);
        Histogram::of(&self.name, self.numbers.count, ends, &self.sample.sorted())
    }

    fn summary(&self) -> Option<Numbers> {
        let sorted = self.sample.sorted();
        let at = |share| quantile(&sorted, share);
        Some(Numbers {
            min: self.numbers.min,
            max: self.numbers.max,
            mean: self.numbers.mean,
            stddev: self.numbers.stddev(),
            p05: at(0.05)?,
            p25: at(0.25)?,
            p50: at(0.5)?,
            p75: at(0.75)?,
            p95: at(0.95)?,
            quantiles_exact: self.sample.is_exact(),
        })
    }

    fn lengths(&self) -> Lengths {
        let Moments { min, max, mean, .. } = self.lengths;
        Lengths {
            min: min as u64,
            max: max as u64,
            mean,
        }
    }
}

/// Count, extremes, mean and spread in one pass (Welford, 1962).
#[derive(Debug, Clone, Default)]
struct Moments {
    count: u64,
    min: f64,
    max: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        if self.count == 1 {
            (self.min, self.max) = (value, value);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    fn stddev(&self) -> f64 {
        if self.count < 2 {
            0.0
        } else {
            (self.squares / (self.count - 1) as f64).sqrt()
        }
    }
}

/// A finite decimal number, with `.` and an optional exponent. Codes with a leading zero, `inf` and
/// `NaN` are not numbers here.
fn number(value: &str) -> Option<f64> {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value).as_bytes();
    match digits {
        [b'0', b'0'..=b'9', ..] => None,
        [b'0'..=b'9' | b'.', ..] => value.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// `YYYY-MM-DD` with a month and a day that exist, and an optional time after it.
fn is_date(value: &str) -> bool {
    let bytes = value.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .filter(|part| part.iter().all(u8::is_ascii_digit))
    };
    let two = |range| digits(range).map(|part| (part[0] - b'0') * 10 + (part[1] - b'0'));
    let (Some(year), Some(month), Some(day)) = (digits(0..4), two(5..7), two(8..10)) else {
        return false;
    };
    let leap = {
        let year = year
            .iter()
            .fold(0_u32, |year, digit| year * 10 + u32::from(digit - b'0'));
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let longest = match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    let time = match bytes.get(10) {
        None => true,
        Some(b'T' | b't' | b' ') => {
            two(11..13).is_some_and(|hour| hour < 24) && bytes.get(13) == Some(&b':')
        }
        Some(_) => false,
    };
    bytes[4] == b'-' && bytes[7] == b'-' && (1..=longest).contains(&day) && time
}

/// At most [`MAX_VALUE_BYTES`], whole characters.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(MAX_VALUE_BYTES)]
}

#[cfg(test)]
#[path = "column_tests.rs"]
mod tests;
