//! Numbers counted into equal ranges. Whole numbers get ranges of whole numbers, so that ratings
//! from 1 to 5 become five bars without gaps.

use serde::{Deserialize, Serialize};

use super::reservoir::quantile;

/// Maximum number of ranges per histogram.
pub const BINS: usize = 24;
/// Maximum whole number that is exact in 64 bits of floating point. Larger ones count as any other
/// number.
const LARGEST_WHOLE: f64 = 9e15;

/// A column's numbers, counted into equal ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The column's name.
    pub column: String,
    /// Number of numbers in the column.
    pub count: u64,
    /// The smallest number.
    pub min: f64,
    /// The largest number.
    pub max: f64,
    /// The median.
    pub median: f64,
    /// The beginning of the first range.
    pub from: f64,
    /// The end of the last range.
    pub to: f64,
    /// Numbers per range, scaled up if they are from a sample.
    pub bins: Vec<u64>,
}

impl Histogram {
    /// Counts an ascending sample of `count` numbers between `min` and `max`. Nothing for an empty
    /// one.
    pub(super) fn of(
        column: &str,
        count: u64,
        (min, max): (f64, f64),
        sorted: &[f64],
    ) -> Option<Self> {
        let median = quantile(sorted, 0.5)?;
        let whole = |value: &f64| value.fract() == 0.0 && value.abs() < LARGEST_WHOLE;
        let (from, to, bins) = if sorted.iter().chain([&min, &max]).all(whole) {
            let span = max - min + 1.0;
            let width = (span / BINS as f64).ceil();
            let bins = (span / width).ceil();
            (min - 0.5, min - 0.5 + bins * width, bins as usize)
        } else {
            (min, max, BINS)
        };
        let mut counts = vec![0_u64; bins];
        for value in sorted {
            let bin = share(from, to, *value) * bins as f64;
            counts[(bin as usize).min(bins - 1)] += 1;
        }
        let scale = count as f64 / sorted.len() as f64;
        let bins = counts
            .into_iter()
            .map(|counted| (counted as f64 * scale).round() as u64)
            .collect();
        Some(Self {
            column: column.to_owned(),
            count,
            min,
            max,
            median,
            from,
            to,
            bins,
        })
    }

    /// The position of a number between the first range's beginning and the last one's end, 0.0 to
    /// 1.0.
    pub(super) fn place(&self, value: f64) -> f64 {
        share(self.from, self.to, value)
    }

    /// The number at a position.
    pub(super) fn at(&self, place: f64) -> f64 {
        self.from * (1.0 - place) + self.to * place
    }
}

/// Divides by two first, so that the widest span stays finite. In a span of width 0 every number is
/// at the beginning.
fn share(from: f64, to: f64, value: f64) -> f64 {
    let share = (value / 2.0 - from / 2.0) / (to / 2.0 - from / 2.0);
    if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(mut values: Vec<f64>) -> Histogram {
        values.sort_by(f64::total_cmp);
        let ends = (values[0], values[values.len() - 1]);
        Histogram::of("c", values.len() as u64, ends, &values).unwrap()
    }

    #[test]
    fn few_whole_numbers_have_a_bar_each() {
        let ratings = of(vec![1.0, 5.0, 5.0, 4.0, 2.0]);
        assert_eq!(
            (ratings.bins.as_slice(), ratings.from, ratings.to),
            ([1, 1, 0, 1, 2].as_slice(), 0.5, 5.5)
        );
        assert_eq!(of(vec![7.0; 3]).bins, [3]);
        assert_eq!(
            of((0..BINS).map(|number| number as f64).collect()).bins,
            [1; BINS]
        );
    }

    #[test]
    fn many_whole_numbers_share_bars_evenly() {
        let numbers = of((1..=100).map(f64::from).collect());
        assert_eq!(numbers.bins, [5; 20]);
        assert_eq!(
            (numbers.from, numbers.to, numbers.median),
            (0.5, 100.5, 50.5)
        );
    }

    #[test]
    fn other_numbers_are_counted_between_their_ends() {
        let numbers = of(vec![0.0, 0.5, 1.0]);
        assert_eq!(
            (
                numbers.bins.len(),
                numbers.bins[0],
                numbers.bins[BINS / 2],
                numbers.bins[BINS - 1]
            ),
            (BINS, 1, 1, 1)
        );
        let widest = of(vec![-1.7e308, 1.7e308]);
        assert_eq!((widest.bins[0], widest.bins[BINS - 1]), (1, 1));
        assert!(Histogram::of("c", 0, (0.0, 0.0), &[]).is_none());
    }

    proptest! {
        #[test]
        fn every_number_is_counted_once(
            whole in prop::collection::vec(-1_000_000i64..1_000_000, 1..200),
            by in prop_oneof![Just(1.0), Just(0.37), Just(1e300)],
        ) {
            let histogram = of(whole.iter().map(|number| *number as f64 * by).collect());
            prop_assert!(histogram.bins.len() <= BINS);
            prop_assert_eq!(histogram.bins.iter().sum::<u64>(), whole.len() as u64);
            prop_assert!(histogram.from <= histogram.min && histogram.max <= histogram.to);
        }
    }
}
