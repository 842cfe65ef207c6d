//! A point in time in milliseconds, the precision of the public API. It does not read a clock.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch, UTC. Written as RFC 3339 with three digits of fraction
/// (`2026-11-24T05:00:00.000Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The text is not an RFC 3339 date and time with an offset (AppSync's `AWSDateTime`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date and time with an offset, such as 2026-11-24T05:00:00.000Z")]
pub struct InvalidTime(pub String);

/// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z, the first and the last moment that RFC
/// 3339 can write in UTC.
const LEAST: i64 = -62_167_219_200_000;
const MOST: i64 = 253_402_300_799_999;

impl Time {
    /// The time `milliseconds` after the Unix epoch, clamped to the years 0000..=9999 of RFC 3339.
    #[must_use]
    pub fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds.clamp(LEAST, MOST))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This time moved by `milliseconds`.
    #[must_use]
    pub fn plus_millis(self, milliseconds: i64) -> Self {
        Self::from_millis(self.0.saturating_add(milliseconds))
    }
}

/// The Unix epoch on a calendar. [`jiff::Timestamp`] ends 22 hours before the year 9999 does; a
/// calendar reaches further.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(timestamp) = jiff::Timestamp::from_millisecond(self.0) {
            return write!(f, "{timestamp:.3}");
        }
        let date = EPOCH
            .checked_add(SignedDuration::from_millis(self.0))
            .map_err(|_| fmt::Error)?;
        write!(f, "{date:.3}Z")
    }
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let milliseconds = match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Some(timestamp.as_millisecond()),
            Err(_) => beyond(text),
        };
        milliseconds
            .filter(|milliseconds| (LEAST..=MOST).contains(milliseconds))
            .map(Self)
            .ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

/// The milliseconds of a date and time with an offset that is after the last [`jiff::Timestamp`].
fn beyond(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let offset = i64::from(pieces.to_numeric_offset()?.seconds());
    let since = local
        .duration_since(EPOCH)
        .checked_sub(SignedDuration::from_secs(offset))?;
    i64::try_from(since.as_millis()).ok()
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
    fn a_time_is_written_with_three_digits_and_read_back() {
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
    fn a_time_without_an_offset_is_refused() {
        for text in ["2026-11-24T05:00:00", "yesterday", ""] {
            assert_eq!(text.parse::<Time>(), Err(InvalidTime(text.to_owned())));
        }
    }

    #[test]
    fn reaches_from_the_first_moment_of_the_year_0000_to_the_last_of_9999() {
        for (text, shown) in [
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-30T22:00:00Z", "9999-12-30T22:00:00.000Z"),
            ("9999-12-30T22:00:00.001Z", "9999-12-30T22:00:00.001Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"),
            ("9999-12-31T23:59:59+01:00", "9999-12-31T22:59:59.000Z"),
        ] {
            let time: Time = text.parse().unwrap();
            assert_eq!(time.to_string(), shown);
            assert_eq!(shown.parse(), Ok(time));
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        }
        for text in [
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "-000001-12-31T23:59:59Z",
            "-0001-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "+010000-01-01T00:00:00Z",
            "9999-12-31T24:00:00Z",
            "9999-12-32T00:00:00Z",
            "9999-12-31T23:59:59",
            "9999-12-31",
        ] {
            assert_eq!(text.parse::<Time>(), Err(InvalidTime(text.to_owned())));
        }
        let last = Time::from_millis(i64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(last.plus_millis(i64::MAX), last);
        let first = Time::from_millis(i64::MIN).plus_millis(i64::MIN);
        assert_eq!(first.to_string(), "0000-01-01T00:00:00.000Z");
    }
}
