//! Payloads: a JSON text and, once it is needed, its value. States share both. Also their limits.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::fault::Fault;
use crate::limits::{MAX_DEPTH, MAX_PAYLOAD};

/// A payload. A waiting execution holds only the text.
#[derive(Debug)]
pub(crate) struct Data {
    pub(super) text: Arc<str>,
    value: OnceLock<Value>,
}

impl Data {
    /// Wraps a text that was checked to be JSON.
    pub(super) fn of_text(text: Arc<str>) -> Self {
        Self {
            text,
            value: OnceLock::new(),
        }
    }

    pub(super) fn value(&self) -> &Value {
        self.value
            .get_or_init(|| json::read_made(&self.text).expect("the text was checked before"))
    }

    pub(super) fn into_value(self) -> Value {
        let Self { text, value } = self;
        value
            .into_inner()
            .unwrap_or_else(|| json::read_made(&text).expect("the text was checked before"))
    }
}

/// Makes a value the payload of `what`.
///
/// The error says which limit it exceeds.
pub(super) fn data(value: Value, what: &str) -> Result<Arc<Data>, Fault> {
    if json::depth(&value, MAX_DEPTH) > MAX_DEPTH {
        return Err(Fault::runtime(format!(
            "The value is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    let text: Arc<str> = value.to_string().into();
    if text.len() > MAX_PAYLOAD {
        return Err(Fault::too_large(what));
    }
    Ok(Arc::new(Data {
        text,
        value: OnceLock::from(value),
    }))
}

/// A text cut to at most `most` bytes, between characters.
pub(super) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
