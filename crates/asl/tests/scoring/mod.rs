//! The similarity of a run to a recording: the reference scorer's six levels, and its rules for
//! matching.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

pub(crate) const LEVELS: [&str; 6] = ["status", "result", "cause", "types", "history", "strict"];
const ANY: &str = "«any»";
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-][01]\d:?(?:[0-5]\d)?)").unwrap()
});

/// Whether a value matches. `«any»` matches anything, also within a text; the word `date` matches a
/// time; a text with JSON matches by value.
pub(crate) fn matches(want: &Value, got: &Value) -> bool {
    let parsed = |s: &str| serde_json::from_str::<Value>(s).ok();
    match (want, got) {
        (Value::String(w), _) if w == ANY => true,
        (Value::String(w), Value::Array(_) | Value::Object(_)) => {
            w.starts_with(['{', '[']) && parsed(w).is_some_and(|w| matches(&w, got))
        }
        (Value::String(w), Value::String(g)) => {
            let (w2, g2) = (TIME.replace_all(w, "date"), TIME.replace_all(g, "date"));
            if w2 == g2 || (w2.contains(ANY) && spread(&w2, &g2)) {
                return true;
            }
            let first = w2.chars().next();
            first.is_some_and(|c| matches!(c, '{' | '[' | '"'))
                && g2.chars().next() == first
                && parsed(w)
                    .zip(parsed(g))
                    .is_some_and(|(w, g)| matches(&w, &g))
        }
        (Value::String(_), _) => false,
        (Value::Null | Value::Bool(_) | Value::Number(_), Value::String(g)) => {
            parsed(g).is_some_and(|g| !g.is_string() && matches(want, &g))
        }
        (Value::Object(_), Value::String(g)) => {
            g.starts_with('{') && parsed(g).is_some_and(|g| matches(want, &g))
        }
        (Value::Array(_), Value::String(g)) => {
            g.starts_with('[') && parsed(g).is_some_and(|g| matches(want, &g))
        }
        (Value::Number(w), Value::Number(g)) => w
            .as_f64()
            .zip(g.as_f64())
            .is_some_and(|(w, g)| w == g || (w - g).abs() <= 1e-9 * w.abs().max(1.0)),
        (Value::Object(w), Value::Object(g)) => {
            let dated = |map: &Map<String, Value>| -> Map<String, Value> {
                map.iter()
                    .map(|(k, v)| (TIME.replace_all(k, "date").into_owned(), v.clone()))
                    .collect()
            };
            let (w, g) = (dated(w), dated(g));
            w.len() == g.len()
                && w.iter()
                    .all(|(k, w)| g.get(k).is_some_and(|g| matches(w, g)))
        }
        (Value::Array(w), Value::Array(g)) => {
            w.len() == g.len() && w.iter().zip(g).all(|(w, g)| matches(w, g))
        }
        _ => want == got,
    }
}

fn spread(want: &str, got: &str) -> bool {
    let mut parts = want.split(ANY);
    let Some(mut rest) = got.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The events of a run or a recording, without timestamps and empty details.
fn stripped(events: &[&Value]) -> Vec<Map<String, Value>> {
    events
        .iter()
        .filter_map(|e| e.as_object())
        .map(|e| {
            e.iter()
                .filter(|(k, v)| {
                    let empty = v.is_null() || v.as_object().is_some_and(Map::is_empty);
                    *k != "timestamp" && !(k.ends_with("EventDetails") && empty)
                })
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        })
        .collect()
}

fn same(want: &Map<String, Value>, got: &Map<String, Value>, without: &[&str]) -> bool {
    let kept = |map: &Map<String, Value>| -> Value {
        Value::Object(
            map.iter()
                .filter(|(k, _)| !without.contains(&k.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        )
    };
    matches(&kept(want), &kept(got))
}

/// The verdict for each level; `None` if the recording has no data for it.
pub(crate) fn score(case: &Value, got: &Value) -> [Option<bool>; 6] {
    let want = &case["expect"];
    let status = want["status"] == got["status"];
    let succeeded = want["status"] == "SUCCEEDED";
    let result = status
        && if !succeeded {
            want.get("error").map_or_else(
                || got["error"].is_null() || got["error"] == "",
                |w| matches(w, &got["error"]),
            )
        } else {
            let output = got["output"].as_str();
            match (want.get("output"), want.get("output_raw")) {
                (None, None) => true,
                (Some(w), raw) => {
                    output
                        .and_then(|o| serde_json::from_str::<Value>(o).ok())
                        .is_some_and(|g| matches(w, &g))
                        || raw.is_some_and(|r| matches(r, &got["output"]))
                }
                (None, Some(raw)) => matches(raw, &got["output"]),
            }
        };
    let cause = (status && !succeeded)
        .then(|| {
            want.get("cause")
                .map(|w| result && matches(w, &got["cause"]))
        })
        .flatten();
    let Some(types) = want["history_event_types"]
        .as_array()
        .filter(|t| !t.is_empty())
    else {
        return [Some(status), Some(result), cause, None, None, None];
    };
    let ignored: Vec<&Value> = want["history_ignore_types"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let events: Vec<&Value> = got["history"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|h| !ignored.contains(&&h["type"]))
        .collect();
    let mut wanted: Vec<&Value> = types.iter().collect();
    let mut found: Vec<&Value> = events.iter().map(|h| &h["type"]).collect();
    let concurrent = case["concurrent"] == true;
    if concurrent {
        wanted.sort_by_key(|t| t.to_string());
        found.sort_by_key(|t| t.to_string());
    }
    let expected: Vec<&Value> = want["history"].as_array().into_iter().flatten().collect();
    let (expected, events) = (stripped(&expected), stripped(&events));
    let history = expected.len() == events.len()
        && if concurrent {
            let mut left: Vec<_> = events.iter().collect();
            expected.iter().all(|w| {
                let at = left
                    .iter()
                    .position(|g| same(w, g, &["id", "previousEventId"]));
                at.map(|at| left.remove(at)).is_some()
            })
        } else {
            expected
                .iter()
                .zip(&events)
                .all(|(w, g)| same(w, g, &["previousEventId"]))
        };
    let strict = ignored.is_empty().then(|| {
        expected.len() == events.len() && expected.iter().zip(&events).all(|(w, g)| same(w, g, &[]))
    });
    [
        Some(status),
        Some(result),
        cause,
        Some(status && wanted == found),
        Some(history),
        strict,
    ]
}
