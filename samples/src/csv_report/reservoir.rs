//! A uniform sample of a stream of numbers, for quantiles and histograms. Exact while the stream
//! fits.

/// Number of numbers in the sample.
pub const RESERVOIR: usize = 10_000;

/// Algorithm R (Vitter, "Random sampling with a reservoir", 1985). The choice is seeded: the same
/// stream gives the same sample, so that a repeated step gives the same result.
#[derive(Debug, Clone)]
pub(super) struct Reservoir {
    sample: Vec<f64>,
    seen: u64,
    random: u64,
}

impl Reservoir {
    pub(super) fn new() -> Self {
        Self {
            sample: Vec::new(),
            seen: 0,
            random: 0x9E37_79B9_7F4A_7C15,
        }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.seen += 1;
        if self.sample.len() < RESERVOIR {
            self.sample.push(value);
            return;
        }
        // Multiply-shift instead of a remainder; its bias is below 2^-40 for any real file.
        let at = (u128::from(self.next()) * u128::from(self.seen)) >> 64;
        if let Some(slot) = usize::try_from(at)
            .ok()
            .and_then(|at| self.sample.get_mut(at))
        {
            *slot = value;
        }
    }

    /// Whether every number is in the sample.
    pub(super) fn is_exact(&self) -> bool {
        self.seen == self.sample.len() as u64
    }

    /// The sample, ascending.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.sample.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The `share`-quantile (0.0 to 1.0) of ascending numbers, linear between neighbours (type 7 of
/// Hyndman and Fan, 1996, as in spreadsheets). `None` for no numbers.
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_a_spreadsheet() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&sorted, 0.0), Some(1.0));
        assert_eq!(quantile(&sorted, 0.25), Some(1.75));
        assert_eq!(quantile(&sorted, 0.5), Some(2.5));
        assert_eq!(quantile(&sorted, 1.0), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_stream_up_to_the_limit_is_kept_whole() {
        let mut reservoir = Reservoir::new();
        (0..RESERVOIR).for_each(|number| reservoir.add(number as f64));
        assert!(reservoir.is_exact());
        reservoir.add(0.5);
        assert!(!reservoir.is_exact());
        assert_eq!(reservoir.sorted().len(), RESERVOIR);
    }

    #[test]
    fn quantiles_of_a_long_stream_are_within_the_promised_error() {
        let mut reservoir = Reservoir::new();
        let total = 400_000_u64;
        // Each number once, in an order that is independent of its size (the factor is prime to the
        // total).
        (0..total).for_each(|number| reservoir.add((number * 314_159 % total) as f64));
        let sorted = reservoir.sorted();
        for share in [0.05, 0.25, 0.5, 0.75, 0.95] {
            let rank = quantile(&sorted, share).unwrap() / total as f64;
            assert!((rank - share).abs() < 0.01, "{share}: {rank}");
        }
    }
}
