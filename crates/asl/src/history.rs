//! One event of `GetExecutionHistory`, in AWS's JSON. It does not decide when events happen.

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A history event. It serializes to AWS's JSON, with the timestamp in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEvent {
    /// Its number, from 1.
    pub id: u64,
    /// The event that it follows; 0 for none.
    pub previous_event_id: u64,
    /// Its time.
    pub timestamp: Timestamp,
    /// AWS's event type, such as `TaskStateEntered`.
    pub kind: String,
    /// Name of the details field and its value.
    pub details: Option<(&'static str, Value)>,
}

impl Serialize for HistoryEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "timestamp",
            &(self.timestamp.as_millisecond() as f64 / 1000.0),
        )?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("previousEventId", &self.previous_event_id)?;
        if let Some((name, value)) = &self.details {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// RFC 3339 with milliseconds, as in the context object.
pub(crate) fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}
