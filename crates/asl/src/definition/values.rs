//! Reads the values of an object's fields. A value that a deployment tool has yet to fill is read
//! as a valid one.

use serde_json::{Map, Value};

use super::model::Language;
use crate::jsonata::is_expression;
use crate::path::Path;
use crate::substitution::is_placeholder;

/// The query language of an object's fields: JSONPath if it says exactly that, the enclosing
/// language if it does not say.
pub(super) fn query_language(map: &Map<String, Value>, enclosing: Language) -> Language {
    match map.get("QueryLanguage") {
        None => enclosing,
        // The fields show the language.
        Some(placeholder) if is_placeholder(placeholder) => {
            let states = object(map, "States").into_iter().flat_map(Map::values);
            let mut states = states.filter_map(Value::as_object);
            if is_jsonata(map) || states.any(is_jsonata) {
                Language::Jsonata
            } else {
                enclosing
            }
        }
        Some(named) if *named == "JSONPath" => Language::JsonPath,
        Some(_) => Language::Jsonata,
    }
}

/// Whether an object has fields of JSONata, or expressions in them.
fn is_jsonata(map: &Map<String, Value>) -> bool {
    let own = ["Output", "Arguments", "Items", "Condition"];
    own.iter().any(|name| map.contains_key(*name))
        || map
            .values()
            .any(|value| value.as_str().is_some_and(is_expression))
        || list(map, "Choices")
            .iter()
            .any(|rule| rule.get("Condition").is_some())
}

/// The value of a text field. A value that a deployment tool will fill is kept as it is.
pub(super) fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    match map.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => is_placeholder(other).then(|| "${unresolved}".to_owned()),
    }
}

/// The value of an object field.
pub(super) fn object<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    let found = map.get(key)?;
    found.as_object().filter(|_| !is_placeholder(found))
}

/// The elements of a list field.
pub(super) fn list<'a>(map: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    map.get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A number field.
pub(super) fn number(map: &Map<String, Value>, key: &str) -> Option<f64> {
    map.get(key).and_then(Value::as_f64)
}

/// A path field. If it is absent it means `$`; null means none.
pub(super) fn path(map: &Map<String, Value>, key: &str) -> Option<Path> {
    match map.get(key) {
        Some(Value::Null) => None,
        Some(found) if !is_placeholder(found) => found.as_str().and_then(Path::parse),
        _ => Path::parse("$"),
    }
}

/// A field with a path that names one location. `form` has reported a path that names more.
pub(super) fn reference(found: &Value) -> Option<Path> {
    if is_placeholder(found) {
        return Path::parse("$");
    }
    Path::parse(found.as_str()?)
}
