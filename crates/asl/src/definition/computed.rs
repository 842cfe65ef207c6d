//! Fields that may be computed: templates, assignments, expressions, numbers and texts with their `…Path` twins.
use super::{
    model::{Language, Number, NumberValue, Text, TextValue},
    reader::Reader,
};
use crate::{
    jsonata::{Jsonata, is_expression},
    template::{Template, token},
};
use serde_json::{Map, Value};

impl Reader {
    /// A payload template in the state's language.
    pub(super) fn template(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        at: &str,
        language: Language,
    ) -> Option<Template> {
        let found = map.get(key)?;
        let mut problems = Vec::new();
        let here = format!("{at}/{key}");
        let template = match language {
            Language::JsonPath => Template::parse(found, &here, &mut problems),
            Language::Jsonata => Template::parse_jsonata(found, &here, &mut problems),
        };
        for problem in problems {
            if problem.warning {
                self.warn(&problem.at, problem.message);
            } else {
                self.bad(&problem.at, problem.message);
            }
        }
        Some(template)
    }

    /// `Assign`: variables by name, each a template.
    pub(super) fn assign(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Option<Template> {
        let here = format!("{at}/Assign");
        for name in self.object(map, "Assign", at)?.keys() {
            let plain = match language {
                Language::JsonPath => name.strip_suffix(".$").unwrap_or(name),
                Language::Jsonata => name,
            };
            let first = plain.chars().next();
            let good = first.is_some_and(|c| c.is_alphabetic() || c == '_')
                && plain.chars().all(|c| c.is_alphanumeric() || c == '_');
            let place = format!("{here}/{}", token(name));
            if plain == "states" || plain.is_empty() || plain.chars().count() > super::MAX_NAME {
                self.bad(
                    &place,
                    format!(
                        "'{plain}' cannot be a variable: 1 to {} characters, and not 'states'",
                        super::MAX_NAME
                    ),
                );
            } else if !good {
                self.warn(
                    &place,
                    format!(
                        "No expression can name the variable '{plain}': use letters, digits and _"
                    ),
                );
            }
        }
        self.template(map, "Assign", at, language)
    }

    /// An expression in a field that takes one.
    pub(super) fn expression(&mut self, text: &str, at: &str) -> Option<Jsonata> {
        match Jsonata::parse(text) {
            Ok(expression) => Some(expression),
            Err(_) if text.contains("${") => {
                self.warn(
                    at,
                    format!("The expression {text} holds a substitution that nobody has resolved"),
                );
                Jsonata::parse("{% null %}").ok()
            }
            Err(why) => {
                self.bad(at, format!("Invalid JSONata expression: {why}"));
                None
            }
        }
    }

    /// A number field with its JSONata form, or its JSONPath twin `…Path`.
    pub(super) fn number(
        &mut self,
        map: &Map<String, Value>,
        key: &'static str,
        path_key: &'static str,
        at: &str,
        (least, most, whole): (f64, f64, bool),
        language: Language,
    ) -> Option<Number> {
        if language == Language::JsonPath && map.contains_key(path_key) {
            self.exclusive(map, &[key, path_key], at);
            let path = self.some_path(&map[path_key], &format!("{at}/{path_key}"), false)?;
            return Some(Number {
                field: path_key,
                value: NumberValue::Path(path),
            });
        }
        let found = map.get(key)?;
        let here = format!("{at}/{key}");
        let value = match found {
            Value::String(text) if language == Language::Jsonata && is_expression(text) => {
                NumberValue::Jsonata(self.expression(text, &here)?)
            }
            other => {
                let number = other
                    .as_f64()
                    .filter(|n| (least..=most).contains(n) && (!whole || n.fract() == 0.0));
                if number.is_none() && self.unresolved(other, &here) {
                    return None;
                }
                if number.is_none() {
                    let kind = if whole { "an integer" } else { "a number" };
                    self.bad(
                        &here,
                        format!("{key} must be {kind} of {least} to {most}, but was {other}"),
                    );
                }
                NumberValue::Fixed(number?)
            }
        };
        Some(Number { field: key, value })
    }

    /// A text field with its JSONata form, or its JSONPath twin `…Path`, which may be an intrinsic function.
    pub(super) fn text(
        &mut self,
        map: &Map<String, Value>,
        key: &'static str,
        path_key: &'static str,
        at: &str,
        language: Language,
    ) -> Option<Text> {
        if language == Language::JsonPath && map.contains_key(path_key) {
            self.exclusive(map, &[key, path_key], at);
            let found = &map[path_key];
            return match Template::dynamic(found) {
                Ok(Template::Path(path)) => Some(Text {
                    field: path_key,
                    value: TextValue::Path(path),
                }),
                Ok(Template::Intrinsic(call)) => Some(Text {
                    field: path_key,
                    value: TextValue::Intrinsic(call),
                }),
                _ => {
                    self.bad(
                        &format!("{at}/{path_key}"),
                        format!("The value must be a valid JSONPath or a valid intrinsic function call, but was {found}"),
                    );
                    None
                }
            };
        }
        let text = self.string(map, key, at)?;
        let value = if language == Language::Jsonata && is_expression(&text) {
            TextValue::Jsonata(self.expression(&text, &format!("{at}/{key}"))?)
        } else {
            TextValue::Fixed(text)
        };
        Some(Text { field: key, value })
    }
}
