//! The own fields of Choice and Wait: rules with their targets, and delays.
use super::{
    MAX_SECONDS,
    model::{Branch, Delay, Kind, Language, Number, NumberValue, Test},
    reader::Reader,
};
use crate::{choice::Rule, jsonata::is_expression, timestamp};
use serde_json::{Map, Value};

impl Reader {
    pub(super) fn choice(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Kind {
        self.required(map, &["Choices"], at);
        let list = self.list(map, "Choices", at);
        if list.is_empty() && map.contains_key("Choices") {
            self.bad(
                &format!("{at}/Choices"),
                "Choices must have at least one rule",
            );
        }
        let mut rules = Vec::new();
        for (i, rule) in list.iter().enumerate() {
            let here = format!("{at}/Choices/{i}");
            let Some(map) = rule.as_object() else {
                self.bad(&here, "A Choice rule must be an object");
                continue;
            };
            self.required(map, &["Next"], &here);
            let test = match language {
                Language::JsonPath => {
                    let mut wrong = Vec::new();
                    let parsed = Rule::parse(rule, &["Next", "Comment", "Assign"], &mut wrong);
                    for (below, why) in wrong {
                        let (place, found) = (format!("{here}{below}"), rule.pointer(&below));
                        if !found.is_some_and(|found| self.unresolved(found, &place)) {
                            self.bad(&place, why);
                        }
                    }
                    parsed.map(Test::Rule)
                }
                Language::Jsonata => {
                    self.known(
                        map,
                        &["Condition", "Next", "Comment", "Assign", "Output"],
                        &here,
                    );
                    self.required(map, &["Condition"], &here);
                    let place = format!("{here}/Condition");
                    match map.get("Condition") {
                        None => None,
                        Some(Value::Bool(constant)) => Some(Test::Constant(*constant)),
                        Some(Value::String(text)) if is_expression(text) => {
                            self.expression(text, &place).map(Test::Condition)
                        }
                        Some(other) => {
                            self.bad(&place, format!("Condition must be a boolean or a JSONata expression, but was {other}"));
                            None
                        }
                    }
                }
            };
            let (Some(next), Some(test)) = (self.string(map, "Next", &here), test) else {
                continue;
            };
            rules.push(Branch {
                test,
                next: next.into(),
                assign: self.assign(map, &here, language),
                output: self
                    .template(map, "Output", &here, language)
                    .filter(|_| language == Language::Jsonata),
            });
        }
        Kind::Choice {
            rules,
            default: self.string(map, "Default", at).map(Into::into),
        }
    }

    pub(super) fn delay(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<Delay> {
        let names = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        self.exclusive(map, &names, at);
        if !names.iter().any(|n| map.contains_key(*n)) {
            self.bad(at, "These fields are required: one of [Seconds, SecondsPath, Timestamp, TimestampPath]");
            return None;
        }
        if map.contains_key("Seconds") || map.contains_key("SecondsPath") {
            return self
                .number(
                    map,
                    "Seconds",
                    "SecondsPath",
                    at,
                    (0.0, MAX_SECONDS, true),
                    language,
                )
                .map(Delay::Seconds);
        }
        if let Some(path) = map.get("TimestampPath") {
            return self
                .some_path(path, &format!("{at}/TimestampPath"), false)
                .map(Delay::UntilPath);
        }
        let text = self.string(map, "Timestamp", at)?;
        let here = format!("{at}/Timestamp");
        if language == Language::Jsonata && is_expression(&text) {
            return self.expression(&text, &here).map(Delay::UntilJsonata);
        }
        let stamp = timestamp::parse(&text);
        if stamp.is_none() && self.unresolved(&Value::from(text.as_str()), &here) {
            return Some(Delay::Seconds(Number {
                field: "Seconds",
                value: NumberValue::Fixed(0.0),
            }));
        }
        if stamp.is_none() {
            self.bad(&here, "String does not match RFC3339 timestamp");
        }
        stamp.map(|at| Delay::Until(at.timestamp()))
    }
}
