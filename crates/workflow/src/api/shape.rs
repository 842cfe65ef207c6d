//! The shape of a request: which members it has, and the constraints that the service model sets on
//! them. All constraints that do not hold are reported together, in AWS's words. The meaning of the
//! values is not checked.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::error::ApiError;

/// Characters of an ARN.
pub(super) const ARN: RangeInclusive<usize> = 1..=256;
/// Characters of a name.
pub(super) const NAME: RangeInclusive<usize> = 1..=80;
/// Characters of a definition.
pub(super) const DEFINITION: RangeInclusive<usize> = 1..=1_048_576;
/// Characters of inputs and outputs.
pub(super) const DATA: RangeInclusive<usize> = 0..=262_144;
/// Characters of an error's name.
pub(super) const ERROR: RangeInclusive<usize> = 0..=256;
/// Characters of an error's cause.
pub(super) const CAUSE: RangeInclusive<usize> = 0..=32_768;
/// Characters of a description of a version or an alias.
pub(super) const DESCRIPTION: RangeInclusive<usize> = 0..=256;
/// Characters of a task's token.
pub(super) const TASK_TOKEN: RangeInclusive<usize> = 1..=2_048;
/// Characters of a page's token.
pub(super) const PAGE_TOKEN: RangeInclusive<usize> = 1..=1_024;
/// Characters of the token of a page of executions.
pub(super) const EXECUTIONS_PAGE_TOKEN: RangeInclusive<usize> = 1..=3_096;
/// Entries of a page.
pub(super) const PAGE: usize = 1_000;
/// Entries of a page whose request names no number.
pub(super) const USUAL_PAGE: usize = 100;

/// The members of a request, or of a structure in it, with what is wrong with them so far.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    members: &'a Value,
    problems: Vec<String>,
    /// A member has another type than the model says.
    unreadable: Option<String>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(members: &'a Value) -> Shape<'a> {
        Shape {
            members,
            problems: Vec::new(),
            unreadable: None,
        }
    }

    /// The first thing that is wrong with the request.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if let Some(what) = &self.unreadable {
            return Err(ApiError::new("SerializationException", what));
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::validation(&self.problems))
        }
    }

    fn wrong(&mut self, value: &str, at: &str, constraint: &str) {
        self.problems.push(format!(
            "Value {value} at '{at}' failed to satisfy constraint: Member must {constraint}"
        ));
    }

    fn get(&self, at: &str) -> Option<&'a Value> {
        self.members.get(at).filter(|value| !value.is_null())
    }

    fn present(&mut self, at: &str) -> bool {
        let present = self.get(at).is_some();
        if !present {
            self.wrong("null", at, "not be null");
        }
        present
    }

    fn of_type<T>(&mut self, found: &Value, read: Option<T>, wanted: &str) -> Option<T> {
        if read.is_none() {
            let token = match found {
                Value::Null => "NULL_VALUE",
                Value::Bool(true) => "TRUE_VALUE",
                Value::Bool(false) => "FALSE_VALUE",
                Value::Number(_) => "NUMBER_VALUE",
                Value::String(_) => "STRING_VALUE",
                Value::Array(_) => "START_ARRAY",
                Value::Object(_) => "START_OBJECT",
            };
            self.unreadable
                .get_or_insert_with(|| format!("{token} can not be converted to {wanted}"));
        }
        read
    }

    fn length(&mut self, text: &str, at: &str, limits: RangeInclusive<usize>, secret: bool) {
        let length = text.chars().count();
        if limits.contains(&length) {
            return;
        }
        let bound = if length < *limits.start() {
            format!("have length greater than or equal to {}", limits.start())
        } else {
            format!("have length less than or equal to {}", limits.end())
        };
        if secret {
            self.problems.push(format!(
                "Value at '{at}' failed to satisfy constraint: Member must {bound}"
            ));
        } else {
            self.wrong(&format!("'{text}'"), at, &bound);
        }
    }

    /// A text that may be missing.
    pub(super) fn optional(&mut self, at: &str, limits: RangeInclusive<usize>) -> Option<&'a str> {
        let found = self.get(at)?;
        let text = self.of_type(found, found.as_str(), "a String")?;
        self.length(text, at, limits, false);
        Some(text)
    }

    /// A text that must be there; empty when it is not, and then [`Self::check`] says so.
    pub(super) fn text(&mut self, at: &str, limits: RangeInclusive<usize>) -> &'a str {
        self.present(at);
        self.optional(at, limits).unwrap_or_default()
    }

    /// A text that errors do not show.
    pub(super) fn secret(&mut self, at: &str, limits: RangeInclusive<usize>) -> Option<&'a str> {
        let found = self.get(at)?;
        let text = self.of_type(found, found.as_str(), "a String")?;
        self.length(text, at, limits, true);
        Some(text)
    }

    pub(super) fn required_secret(&mut self, at: &str, limits: RangeInclusive<usize>) -> &'a str {
        self.present(at);
        self.secret(at, limits).unwrap_or_default()
    }

    /// The ARN that must be there.
    pub(super) fn arn(&mut self, at: &str) -> &'a str {
        self.text(at, ARN)
    }

    /// One of some words.
    pub(super) fn word(&mut self, at: &str, words: &[&str]) -> Option<&'a str> {
        let found = self.get(at)?;
        let word = self.of_type(found, found.as_str(), "a String")?;
        if !words.contains(&word) {
            let set = words.join(", ");
            self.wrong(
                &format!("'{word}'"),
                at,
                &format!("satisfy enum value set: [{set}]"),
            );
        }
        Some(word)
    }

    pub(super) fn flag(&mut self, at: &str) -> Option<bool> {
        let found = self.get(at)?;
        self.of_type(found, found.as_bool(), "a Boolean")
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, at: &str, limits: RangeInclusive<i64>) -> Option<i64> {
        let found = self.get(at)?;
        let read = found
            .as_i64()
            .or_else(|| found.as_f64().map(|number| number as i64));
        let number = self.of_type(found, read, "an Integer")?;
        if number < *limits.start() {
            let bound = format!("have value greater than or equal to {}", limits.start());
            self.wrong(&format!("'{number}'"), at, &bound);
        } else if number > *limits.end() {
            let bound = format!("have value less than or equal to {}", limits.end());
            self.wrong(&format!("'{number}'"), at, &bound);
        }
        Some(number)
    }

    pub(super) fn list(&mut self, at: &str) -> Option<&'a [Value]> {
        let found = self.get(at)?;
        self.of_type(found, found.as_array().map(Vec::as_slice), "a List")
    }

    pub(super) fn structure(&mut self, at: &str) -> Option<&'a Value> {
        let found = self.get(at)?;
        self.of_type(found, found.is_object().then_some(found), "a Structure")
    }

    pub(super) fn required_list(&mut self, at: &str) -> &'a [Value] {
        self.present(at);
        self.list(at).unwrap_or_default()
    }

    /// How many entries a page may have.
    pub(super) fn page(&mut self) -> usize {
        match self.number("maxResults", 0..=PAGE as i64) {
            None | Some(0) => USUAL_PAGE,
            Some(count) => usize::try_from(count).unwrap_or(USUAL_PAGE),
        }
    }

    /// The members of a structure within this one, under its name; what is wrong with them is wrong
    /// with the request.
    pub(super) fn within(
        &mut self,
        at: &str,
        members: &'a Value,
        read: impl FnOnce(&mut Shape<'a>),
    ) {
        let mut inner = Shape::of(members);
        read(&mut inner);
        if let Some(what) = inner.unreadable {
            self.unreadable.get_or_insert(what);
        }
        let renamed = inner
            .problems
            .into_iter()
            .map(|problem| problem.replacen(" at '", &format!(" at '{at}."), 1));
        self.problems.extend(renamed);
    }

    /// A constraint of this operation's own.
    pub(super) fn require(&mut self, holds: bool, value: &str, at: &str, constraint: &str) {
        if !holds {
            self.wrong(value, at, constraint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(members: &Value, read: impl FnOnce(&mut Shape<'_>)) -> Option<String> {
        let mut shape = Shape::of(members);
        read(&mut shape);
        shape.check().err().map(|error| error.to_string())
    }

    #[test]
    fn each_limit_has_two_sides() {
        let name = |length: usize| json!({"name": "n".repeat(length)});
        for (length, want) in [
            (0, Some("greater than or equal to 1")),
            (1, None),
            (80, None),
            (81, Some("less than or equal to 80")),
        ] {
            let refusal = refusal(&name(length), |shape| {
                shape.text("name", NAME);
            });
            assert_eq!(refusal.is_some(), want.is_some(), "{length}: {refusal:?}");
            assert!(
                refusal.unwrap_or_default().contains(want.unwrap_or("")),
                "{length}"
            );
        }
        for (count, good) in [(-1, false), (0, true), (1_000, true), (1_001, false)] {
            let refusal = refusal(&json!({"maxResults": count}), |shape| {
                shape.page();
            });
            assert_eq!(refusal.is_none(), good, "{count}: {refusal:?}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let members = json!({"type": "FAST", "name": "x"});
        let refusal = refusal(&members, |shape| {
            shape.word("type", &["STANDARD", "EXPRESS"]);
            shape.arn("roleArn");
            shape.text("name", NAME);
        });
        assert_eq!(
            refusal.unwrap(),
            "ValidationException: 2 validation errors detected: Value 'FAST' at 'type' failed to satisfy constraint: Member must satisfy \
             enum value set: [STANDARD, EXPRESS]; Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn another_type_is_not_converted() {
        let refusal = refusal(&json!({"name": 7}), |shape| {
            shape.text("name", NAME);
        });
        assert_eq!(
            refusal.unwrap(),
            "SerializationException: NUMBER_VALUE can not be converted to a String"
        );
    }
}
