//! A point in time with the precision that the contract shows: milliseconds. It does not read a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch, UTC. Written as RFC 3339 with three digits of fraction (`2026-11-24T05:00:00.000Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The text is not an RFC 3339 date and time with an offset (AppSync's `AWSDateTime`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date and time with an offset, such as 2026-11-24T05:00:00.000Z")]
pub struct InvalidTime(pub String);

const LEAST: i64 = -62_167_219_200_000;
const MOST: i64 = 253_402_207_200_000;

impl Time {
    /// The time `milliseconds` after the Unix epoch, brought into the years 0000..=9999 of RFC 3339.
    pub fn from_millis(milliseconds: i64) -> Time {
        Time(milliseconds.clamp(LEAST, MOST))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This time moved by `milliseconds`.
    #[must_use]
    pub fn plus_millis(self, milliseconds: i64) -> Time {
        Time::from_millis(self.0.saturating_add(milliseconds))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{timestamp:.3}")
    }
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Time, InvalidTime> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| InvalidTime(text.to_owned()))?;
        Ok(Time::from_millis(timestamp.as_millisecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_three_digits_and_read_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_496_400_007, "2026-11-24T05:00:00.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Time::from_millis(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Time::from_millis(millis)));
        }
        assert_eq!(
            "2026-11-24T06:00:00+01:00".parse(),
            Ok(Time::from_millis(1_795_496_400_000))
        );
    }

    #[test]
    fn needs_an_offset() {
        for text in ["2026-11-24T05:00:00", "yesterday", ""] {
            assert_eq!(text.parse::<Time>(), Err(InvalidTime(text.to_owned())));
        }
    }

    #[test]
    fn stays_in_the_range_of_the_calendar() {
        let _ = Time::from_millis(i64::MAX).to_string();
        let _ = Time::from_millis(i64::MIN)
            .plus_millis(i64::MIN)
            .to_string();
    }
}
