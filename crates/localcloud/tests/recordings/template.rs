//! Compares a value with a recorded one in which ids and times are placeholders: `<uuid:1>` is
//! any text, the same one each time. A value that is its own key in words (`sent-timestamp`) is
//! a placeholder too. JSON inside a text is compared as JSON.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value;

/// Placeholders without brackets that do not repeat their key.
const LOOSE: &[&str] = &["date", "datetime", "timestamp", "snf_role_arn"];

/// What the placeholders stand for so far.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    bound: HashMap<String, String>,
    /// The keys of the recording that were compared; shared by clones.
    compared: Rc<RefCell<BTreeSet<String>>>,
}

impl Bindings {
    /// The keys of the recording that were compared.
    pub fn compared(&self) -> BTreeSet<String> {
        self.compared.borrow().clone()
    }

    /// The differences between a recorded value, at a key of the recording, and another.
    pub fn compare(&mut self, at: &str, recorded: &Value, found: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        self.compared.borrow_mut().insert(at.to_owned());
        self.values(at, "", recorded, found, &mut differences);
        differences
    }

    fn values(
        &mut self,
        at: &str,
        key: &str,
        recorded: &Value,
        found: &Value,
        to: &mut Vec<String>,
    ) {
        let (recorded, found) = (&parsed(recorded), &parsed(found));
        match (recorded, found) {
            (Value::String(recorded), _) if is_loose(key, recorded) => {}
            (Value::String(recorded), Value::String(found)) => {
                if !self.texts(recorded, found) {
                    to.push(format!("{at}: recorded {recorded}, found {found}"));
                }
            }
            // A number in a placeholder's place.
            (Value::String(recorded), found) if recorded.starts_with('<') && !found.is_null() => {
                if !self.texts(recorded, &found.to_string()) {
                    to.push(format!("{at}: recorded {recorded}, found {found}"));
                }
            }
            (Value::Object(one), Value::Object(other)) => {
                for (name, value) in one {
                    match other.get(name) {
                        Some(found) => self.values(&format!("{at}.{name}"), name, value, found, to),
                        None => to.push(format!("{at}.{name}: missing, recorded {value}")),
                    }
                }
                for (name, value) in other.iter().filter(|(name, _)| !one.contains_key(*name)) {
                    to.push(format!("{at}.{name}: not recorded, found {value}"));
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    to.push(format!(
                        "{at}: recorded {} items, found {}",
                        one.len(),
                        other.len()
                    ));
                }
                for (index, (one, other)) in one.iter().zip(other).enumerate() {
                    self.values(&format!("{at}[{index}]"), key, one, other, to);
                }
            }
            (one, other)
                if one == other || one.as_f64().is_some() && one.as_f64() == other.as_f64() => {}
            (one, other) => to.push(format!("{at}: recorded {one}, found {other}")),
        }
    }

    /// Whether a text is as recorded; binds the placeholders in it.
    fn texts(&mut self, recorded: &str, found: &str) -> bool {
        let mut trial = self.clone();
        let matched = trial.rest(recorded, found);
        if matched {
            *self = trial;
        }
        matched
    }

    fn rest(&mut self, recorded: &str, found: &str) -> bool {
        let Some(open) = recorded.find('<') else {
            return recorded == found;
        };
        let Some(rest) = found.strip_prefix(&recorded[..open]) else {
            return false;
        };
        let Some(close) = recorded[open..].find('>').map(|at| open + at + 1) else {
            return recorded == found;
        };
        let (name, after) = (&recorded[open..close], &recorded[close..]);
        // A time as an example of its form.
        if let Some(form) = name.strip_prefix("<timestamp:") {
            let form = form.trim_end_matches('>');
            return rest.len() >= form.len()
                && same_form(form, &rest[..form.len()])
                && self.rest(after, &rest[form.len()..]);
        }
        let is_numbered = name.contains(':');
        if let Some(bound) = self.bound.get(name) {
            let bound = bound.clone();
            return rest
                .strip_prefix(&bound)
                .is_some_and(|rest| self.rest(after, rest));
        }
        let ends = (1..=rest.len()).filter(|end| rest.is_char_boundary(*end));
        let ends: Vec<usize> = ends.collect();
        ends.into_iter().any(|end| {
            let mut trial = self.clone();
            let fixed = name == "<region>" || name == "<partition>";
            if is_numbered || fixed {
                trial.bound.insert(name.to_owned(), rest[..end].to_owned());
            }
            let matched = trial.rest(after, &rest[end..]);
            if matched {
                *self = trial;
            }
            matched
        })
    }
}

/// Digits stand where digits stand, and everything else is equal.
fn same_form(form: &str, text: &str) -> bool {
    let pairs = form.chars().zip(text.chars());
    pairs
        .into_iter()
        .all(|(one, other)| one == other || (one.is_ascii_digit() && other.is_ascii_digit()))
}

fn is_loose(key: &str, recorded: &str) -> bool {
    let key = kebab(key);
    LOOSE.contains(&recorded) || (!key.is_empty() && kebab(recorded) == key)
}

/// `SentTimestamp` and `sent_timestamp` as `sent-timestamp`.
fn kebab(text: &str) -> String {
    let mut words = String::new();
    for character in text.chars() {
        if character.is_uppercase() && !words.is_empty() && !words.ends_with('-') {
            words.push('-');
        }
        match character {
            '_' => words.push('-'),
            other => words.extend(other.to_lowercase()),
        }
    }
    words
}

/// JSON in a text, where it is an object or a list.
pub fn parsed(value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    let inner = serde_json::from_str::<Value>(text).ok();
    let inner = inner.filter(|inner| inner.is_object() || inner.is_array());
    inner.unwrap_or_else(|| value.clone())
}

/// A recorded text with names in the places of its placeholders: what a run uses.
pub fn concrete(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(concrete_text(text)),
        Value::Array(list) => list.iter().map(concrete).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), concrete(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn concrete_text(text: &str) -> String {
    let text = text
        .replace("<partition>", "aws")
        .replace("<region>", REGION);
    let mut named = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('<') {
        named.push_str(before);
        let Some((name, after)) = after.split_once('>') else {
            named.push('<');
            rest = after;
            continue;
        };
        named.push_str(&name.replace(':', "-"));
        rest = after;
    }
    named.push_str(rest);
    named
}

/// The region of a run.
pub const REGION: &str = "us-east-1";
/// The account of every recording.
pub const ACCOUNT: &str = "111111111111";

/// The scope of a run.
pub fn scope() -> localcloud::scope::Scope {
    localcloud::scope::Scope {
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
    }
}

/// An answer as an SDK for Python shows it.
pub fn answered(status: u16, mut body: Value) -> Value {
    body["ResponseMetadata"] = serde_json::json!({"HTTPHeaders": {}, "HTTPStatusCode": status});
    body
}

/// The body of a message, in recordings that shortened the key for it, as a run has it.
pub fn without_metadata(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("ResponseMetadata");
    }
    value
}
