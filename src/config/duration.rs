//! Durations as the file has them.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// `30s`, `15m`, `2h`, `30d`.
pub(super) fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = humantime::parse_duration(&text);
    parsed.map(Some).map_err(|error| {
        serde::de::Error::custom(format!(
            "`{text}` is not a duration such as 30s, 15m, 2h, 30d: {error}"
        ))
    })
}
