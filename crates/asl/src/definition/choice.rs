//! The fields of Choice and Wait: rules with their targets, and delays.

use serde_json::{Map, Value};

use super::forms;
use super::model::{
    ChoiceBranch, ChoiceTest, Delay, Language, NumberField, NumberSource, StateKind,
};
use super::reader::DefinitionReader;
use super::values::{list, reference, text};
use crate::choice::Rule;
use crate::expression::{Known, is_half_open};
use crate::jsonata::is_expression;
use crate::substitution::is_placeholder;
use crate::timestamp;

impl DefinitionReader {
    pub(super) fn choice(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> StateKind {
        let mut rules = Vec::new();
        for (index, rule) in list(map, "Choices").iter().enumerate() {
            let here = format!("{at}/Choices[{index}]");
            let Some(map) = self.element(rule, &here) else {
                continue;
            };
            let test = match language {
                Language::JsonPath => self.rule(rule, map, &here),
                Language::Jsonata => {
                    self.form(map, &here, &forms::CONDITION, Some(language));
                    self.condition(map, &here)
                }
            };
            let assign = self.assign(map, &here, language, Known::BEFORE);
            let output = match language {
                Language::JsonPath => None,
                Language::Jsonata => self.template(map, "Output", &here, language, Known::BEFORE),
            };
            if let (Some(next), Some(test)) = (text(map, "Next"), test) {
                rules.push(ChoiceBranch {
                    index,
                    test,
                    next: next.into(),
                    assign,
                    output,
                });
            }
        }
        StateKind::Choice {
            rules,
            default: text(map, "Default").map(Into::into),
        }
    }

    /// Reads a rule of a JSONPath state.
    fn rule(&mut self, rule: &Value, map: &Map<String, Value>, at: &str) -> Option<ChoiceTest> {
        self.required(map, &["Next"], at);
        for (key, takes) in forms::RULE {
            if let Some(value) = map.get(key) {
                self.value(takes, value, false, &format!("{at}/{key}"));
            }
        }
        let mut wrong = Vec::new();
        let parsed = Rule::parse(rule, &["Next", "Comment", "Assign"], &mut wrong);
        for (below, why) in wrong {
            self.bad(&format!("{at}{below}"), why);
        }
        parsed.map(ChoiceTest::Rule)
    }

    /// Reads the condition of a JSONata state's rule.
    fn condition(&mut self, map: &Map<String, Value>, at: &str) -> Option<ChoiceTest> {
        match map.get("Condition")? {
            Value::Bool(constant) => Some(ChoiceTest::Constant(*constant)),
            Value::String(text) if is_expression(text) => self
                .expression(text, &format!("{at}/Condition"), Known::BEFORE)
                .map(ChoiceTest::Condition),
            placeholder => is_placeholder(placeholder).then_some(ChoiceTest::Constant(false)),
        }
    }

    pub(super) fn delay(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<Delay> {
        if map.contains_key("Seconds") || map.contains_key("SecondsPath") {
            let seconds = self.number(map, "Seconds", "SecondsPath", at, language);
            let unknown = map.get("Seconds").is_some_and(is_placeholder);
            return seconds
                .or_else(|| unknown.then(no_seconds))
                .map(Delay::Seconds);
        }
        if let Some(found) = map.get("TimestampPath")
            && language == Language::JsonPath
        {
            return reference(found).map(Delay::UntilPath);
        }
        let text = text(map, "Timestamp")?;
        let here = format!("{at}/Timestamp");
        if language == Language::Jsonata && is_expression(&text) {
            let expression = self.expression(&text, &here, Known::BEFORE);
            return expression.map(Delay::UntilJsonata);
        }
        if is_placeholder(&Value::from(text.as_str())) {
            return Some(Delay::Seconds(no_seconds()));
        }
        let stamp = timestamp::parse(&text);
        // The form has reported an expression with only one delimiter.
        let half = language == Language::Jsonata && is_half_open(&text);
        if stamp.is_none() && !half {
            self.bad(&here, "String does not match RFC3339 timestamp");
        }
        stamp.map(|at| Delay::Until(at.timestamp()))
    }
}

/// A placeholder for a delay that a deployment tool will fill.
fn no_seconds() -> NumberField {
    NumberField {
        field: "Seconds",
        value: NumberSource::Fixed(0.0),
    }
}
