//! Which records and messages a mapping lets through. Pure.
//!
//! A queue's `body` and a Kinesis record's `data` are texts: a pattern with fields is matched with
//! the JSON in the text, and a pattern of plain texts with the text itself. What is of the other
//! form than the pattern does not match.

use serde_json::Value;

use crate::pattern::{Asks, InvalidPattern, Pattern};
use crate::record::StreamRecord;

/// The filters of a mapping; one of them must match. Without filters everything matches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters(Vec<Pattern>);

impl Filters {
    /// Reads `FilterCriteria`.
    ///
    /// # Errors
    /// A pattern is invalid.
    pub fn of(criteria: &Value) -> Result<Self, InvalidPattern> {
        let filters = criteria["Filters"].as_array().into_iter().flatten();
        let patterns = filters.map(|filter| match &filter["Pattern"] {
            Value::String(text) => Pattern::parse(text),
            _ => Err(InvalidPattern),
        });
        patterns.collect::<Result<_, _>>().map(Filters)
    }

    /// Whether a record of a stream goes to the function.
    #[must_use]
    pub fn admit_record(&self, record: &StreamRecord) -> bool {
        self.0.is_empty() || self.admit(record.filtered(), "data")
    }

    /// Whether a message, as the function would receive it, goes to the function.
    #[must_use]
    pub fn admit_message(&self, message: &Value) -> bool {
        self.0.is_empty() || self.admit(message.clone(), "body")
    }

    fn admit(&self, mut event: Value, payload: &str) -> bool {
        let parsed = event[payload]
            .as_str()
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
            .filter(Value::is_object);
        let plain = event[payload].take();
        self.0.iter().any(|pattern| {
            let asks = pattern.asks_of(payload);
            let has_text = plain.is_string();
            event[payload] = match (asks, &parsed) {
                (Asks::Fields, None) if has_text => return false,
                (Asks::Text, Some(_)) => return false,
                (Asks::Fields, Some(parsed)) => parsed.clone(),
                _ if has_text => plain.clone(),
                _ => {
                    if let Value::Object(event) = &mut event {
                        event.shift_remove(payload);
                    }
                    return pattern.matches(&event);
                }
            };
            pattern.matches(&event)
        })
    }
}
