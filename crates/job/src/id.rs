//! Job ids. They are created from a time and random bits that the caller supplies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::Time;

/// A UUIDv7 (RFC 9562, section 5.7). Ids sort by the millisecond in which they were created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

/// The text is not a job id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a job id: a job id is a UUID such as 019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f, as submitJob returns it"
)]
pub struct InvalidJobId(pub String);

impl JobId {
    /// The id of a job created at `now`, made unique by 74 of the `random` bits.
    #[must_use]
    pub fn new(now: Time, random: u128) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let bytes = random.to_be_bytes();
        let mut counter = [0; 10];
        counter.copy_from_slice(&bytes[..10]);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &counter).into_uuid())
    }

    /// The id with these bytes, as [`JobId::as_bytes`] gave them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes. They sort in the same order as the ids.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The millisecond in which the id was created.
    #[must_use]
    pub fn created_at(self) -> Time {
        let bytes = self.0.as_bytes();
        let millis = bytes[..6]
            .iter()
            .fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        Time::from_millis(millis)
    }

    /// The smallest id that a job created at `time` or later can have.
    #[must_use]
    pub fn least_at(time: Time) -> Self {
        Self::at(time, 0x00)
    }

    /// The largest id that a job created at `time` or earlier can have.
    #[must_use]
    pub fn greatest_at(time: Time) -> Self {
        Self::at(time, 0xff)
    }

    fn at(time: Time, filler: u8) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(0).to_be_bytes();
        let mut bytes = [filler; 16];
        bytes[..6].copy_from_slice(&millis[2..]);
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        // Accepts only the hyphenated form, so that a job has one name in every log and URL.
        if text.len() != 36 {
            return Err(InvalidJobId(text.chars().take(64).collect()));
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| InvalidJobId(text.to_owned()))
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JobId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_sort_by_time_and_read_back(a in 0..1_i64 << 47, b in 0..1_i64 << 47, x: u128, y: u128) {
            let (first, second) = (JobId::new(Time::from_millis(a), x), JobId::new(Time::from_millis(b), y));
            prop_assert_eq!(first.created_at().as_millis(), a);
            prop_assert_eq!(first.to_string().parse(), Ok(first));
            prop_assert_eq!(JobId::from_bytes(*first.as_bytes()), first);
            if a != b {
                prop_assert_eq!(a < b, first < second);
                prop_assert_eq!(a < b, first.to_string() < second.to_string());
            }
            prop_assert!(JobId::least_at(Time::from_millis(a)) <= first);
            prop_assert!(JobId::greatest_at(Time::from_millis(a)) >= first);
        }
    }

    #[test]
    fn a_text_in_another_form_is_refused() {
        for text in [
            "",
            "1",
            "not-a-uuid",
            "019ab0c47e2f7c319d5e6a1b2c3d4e5f",
            "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5g",
        ] {
            assert!(text.parse::<JobId>().is_err(), "{text}");
        }
    }
}
