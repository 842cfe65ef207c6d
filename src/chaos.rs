//! Injected faults: `serve --chaos SPEC` loses, repeats and delays published changes, cuts sockets,
//! and loses messages from other nodes, at given rates. All guarantees hold under it; delivery only
//! takes longer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The faults and their rates: `drop=0.05,duplicate=0.05,delay=20ms,cut=0.01,lose=0.05,seed=7`. An
/// omitted fault never happens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spec {
    /// The share of published changes that do not reach the watchers of this node.
    pub drop: f64,
    /// The share of published changes that reach them twice.
    pub duplicate: f64,
    /// Maximum delay of each change.
    pub delay: Duration,
    /// The share of deliveries that are replaced by a cut of the connection.
    pub cut: f64,
    /// The share of messages from other nodes that are lost.
    pub lose: f64,
    /// Equal seeds give equal random sequences; which event gets which value depends on timing.
    pub seed: u64,
}

/// Maximum value of `delay`.
pub const MAX_DELAY: Duration = Duration::from_secs(10);

/// Why a [`Spec`] is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a part of a chaos specification: it has to be like drop=0.05,duplicate=0.05,delay=20ms,cut=0.01,lose=0.05,seed=7, with shares from 0 to 1 and at most 10s of delay"
)]
pub struct SpecError(String);

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Spec::default();
        for part in text.split(',').map(str::trim) {
            let wrong = || SpecError(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let share = || {
                let share = value.parse().ok();
                share
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(wrong)
            };
            match name {
                "drop" => spec.drop = share()?,
                "duplicate" => spec.duplicate = share()?,
                "cut" => spec.cut = share()?,
                "lose" => spec.lose = share()?,
                "seed" => spec.seed = value.parse().map_err(|_| wrong())?,
                "delay" => {
                    let delay = humantime::parse_duration(value).ok();
                    let delay = delay.filter(|delay| *delay <= MAX_DELAY);
                    spec.delay = delay.ok_or_else(wrong)?;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(spec)
    }
}

impl fmt::Display for Spec {
    /// The specification in the form that [`FromStr`] reads, without the faults that never happen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, share) in [
            ("drop", self.drop),
            ("duplicate", self.duplicate),
            ("cut", self.cut),
            ("lose", self.lose),
        ] {
            if share > 0.0 {
                write!(f, "{name}={share},")?;
            }
        }
        if !self.delay.is_zero() {
            let delay = humantime::format_duration(self.delay).to_string();
            write!(f, "delay={},", delay.replace(' ', ""))?;
        }
        write!(f, "seed={}", self.seed)
    }
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Chooses faults at random.
#[derive(Clone)]
pub struct Chaos {
    spec: Spec,
    random: Arc<Mutex<StdRng>>,
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

/// The number of times that a published change arrives, and the delay of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fate(pub(crate) Vec<Duration>);

impl Chaos {
    /// The faults of this specification.
    pub fn new(spec: Spec) -> Self {
        Self {
            spec,
            random: Arc::new(Mutex::new(StdRng::seed_from_u64(spec.seed))),
        }
    }

    fn happens(&self, share: f64) -> bool {
        share > 0.0 && self.random.lock().random_bool(share)
    }

    pub(crate) fn fate(&self) -> Fate {
        if self.happens(self.spec.drop) {
            return Fate(Vec::new());
        }
        let times = 1 + usize::from(self.happens(self.spec.duplicate));
        let mut random = self.random.lock();
        let delay = |_| {
            if self.spec.delay.is_zero() {
                Duration::ZERO
            } else {
                random.random_range(Duration::ZERO..=self.spec.delay)
            }
        };
        Fate((0..times).map(delay).collect())
    }

    pub(crate) fn cuts(&self) -> bool {
        self.happens(self.spec.cut)
    }

    pub(crate) fn loses(&self) -> bool {
        self.happens(self.spec.lose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_is_read_or_its_error_is_named() {
        let all = "drop=0.05, duplicate=1,delay=20ms,cut=0,lose=0.5,seed=7";
        let expected = Spec {
            drop: 0.05,
            duplicate: 1.0,
            delay: Duration::from_millis(20),
            cut: 0.0,
            lose: 0.5,
            seed: 7,
        };
        assert_eq!(all.parse(), Ok(expected));
        assert_eq!(expected.to_string().parse(), Ok(expected));
        assert_eq!(Spec::default().to_string(), "seed=0");
        assert!("delay=10s".parse::<Spec>().is_ok());
        for (text, part) in [
            ("", ""),
            ("drop", "drop"),
            ("drop=1.1", "drop=1.1"),
            ("drop=-0.1", "drop=-0.1"),
            ("drop=NaN", "drop=NaN"),
            ("cut=0,lost=0", "lost=0"),
            ("delay=11s", "delay=11s"),
            ("delay=1", "delay=1"),
            ("seed=x", "seed=x"),
        ] {
            let fault = SpecError(part.to_owned());
            assert_eq!(text.parse::<Spec>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn faults_have_their_rates_and_repeat_with_the_seed() {
        let spec: Spec = "drop=0.5,duplicate=0.5,delay=5ms,seed=3"
            .parse()
            .expect("a specification");
        let draw = || -> Vec<Fate> {
            let chaos = Chaos::new(spec);
            (0..1_000).map(|_| chaos.fate()).collect()
        };
        let fates = draw();
        assert_eq!(fates, draw());
        let times = |count| fates.iter().filter(|fate| fate.0.len() == count).count();
        assert!((400..600).contains(&times(0)), "{}", times(0));
        assert!((150..350).contains(&times(2)), "{}", times(2));
        assert!(
            fates
                .iter()
                .flat_map(|fate| &fate.0)
                .all(|delay| *delay <= spec.delay)
        );
        let never = Chaos::new(Spec::default());
        assert_eq!(never.fate(), Fate(vec![Duration::ZERO]));
        assert!(!never.cuts() && !never.loses());
    }
}
