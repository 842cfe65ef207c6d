//! Times as AWS writes them. Pure.

use jiff::Timestamp;

fn timestamp(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2022-07-13T13:48:01.000Z`.
#[must_use]
pub fn milliseconds(at: i64) -> String {
    format!("{:.3}", timestamp(at))
}

/// `2022-07-13T13:48:01Z`.
#[must_use]
pub fn seconds(at: i64) -> String {
    milliseconds(at - at.rem_euclid(1_000)).replace(".000Z", "Z")
}
