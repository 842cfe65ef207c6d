//! What a function says about the records of its batch (`ReportBatchItemFailures`). Pure.

use serde_json::Value;

/// The failures that an answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failures {
    /// The whole batch succeeded.
    None,
    /// The whole batch failed: the answer names something that cannot be an item.
    All,
    /// These items failed, as the answer names them.
    Items(Vec<String>),
}

/// Reads a function's answer.
///
/// Recorded: `null`, `""`, `[]`, `{}` and an empty or null `batchItemFailures` are complete
/// successes; an identifier that is empty, null, no text or under another key is a complete
/// failure. An answer that is no object has no failures.
#[must_use]
pub fn failures(answer: &[u8]) -> Failures {
    let answer: Value = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        Err(_) if answer.trim_ascii().is_empty() => return Failures::None,
        Err(_) => return Failures::All,
    };
    let list = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Failures::None,
        Some(Value::Array(list)) if list.is_empty() => return Failures::None,
        Some(Value::Array(list)) => list,
        Some(_) => return Failures::All,
    };
    let items = list.iter().map(|item| {
        let identifier = item.get("itemIdentifier").and_then(Value::as_str);
        identifier
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    });
    items
        .collect::<Option<Vec<_>>>()
        .map_or(Failures::All, Failures::Items)
}
