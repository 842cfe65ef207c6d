//! Fields that may be computed: templates, assignments, expressions, and numbers and texts with
//! their `…Path` forms.

use serde_json::{Map, Value};

use super::model::{Language, NumberField, NumberSource, TextField, TextSource};
use super::reader::DefinitionReader;
use super::values::{reference, text};
use super::variables;
use crate::Diagnostic;
use crate::expression::{self, Known};
use crate::jsonata::{Jsonata, is_expression};
use crate::substitution::{has_placeholder, is_placeholder};
use crate::template::Template;

impl DefinitionReader {
    /// Reads a payload template in the state's language.
    pub(super) fn template(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        at: &str,
        language: Language,
        known: Known,
    ) -> Option<Template> {
        let found = map.get(key)?;
        let mut problems = Vec::new();
        let here = format!("{at}/{key}");
        let template = match language {
            Language::JsonPath => Template::parse(found, &here, &mut problems),
            Language::Jsonata => Template::parse_jsonata(found, &here, known, &mut problems),
        };
        for problem in problems {
            match (problem.code, problem.warning) {
                (_, true) => self.warn(&problem.at, problem.message),
                (None, _) => self.bad(&problem.at, problem.message),
                (Some(code), _) => {
                    self.push(Diagnostic::error(code, &problem.at, problem.message));
                }
            }
        }
        Some(template)
    }

    /// Reads `Assign`: variables by name, each a template.
    pub(super) fn assign(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
        known: Known,
    ) -> Option<Template> {
        let here = format!("{at}/Assign");
        for key in map.get("Assign")?.as_object()?.keys() {
            let name = variables::name(key, language);
            let filled_later = has_placeholder(name) || is_placeholder(&map["Assign"]);
            if !filled_later && let Some((code, message)) = self.refused_variable(name) {
                self.problem(
                    code,
                    &format!("{here}/{key}"),
                    message,
                    "a name has 1 to 80 letters, digits and _, a letter first, and is used by one scope only",
                );
            }
        }
        self.template(map, "Assign", at, language, known)
    }

    /// The reason why a variable cannot have this name here, if there is one.
    fn refused_variable(&mut self, name: &str) -> Option<(&'static str, String)> {
        variables::refused(name).or_else(|| {
            let (_, outer) = self.scopes.split_last_mut()?;
            outer.iter_mut().any(|scope| scope.has(name)).then(|| {
                (
                    "DUPLICATE_VARIABLE_NAME",
                    format!("The variable name '{name}' was already defined in a parent scope."),
                )
            })
        })
    }

    /// Reads an expression in a field that takes one.
    pub(super) fn expression(&mut self, text: &str, at: &str, known: Known) -> Option<Jsonata> {
        let (parsed, refused) = expression::parse(text, known);
        for (code, message) in refused {
            self.push(Diagnostic::error(code, at, message));
        }
        parsed
    }

    /// Reads a number field, its JSONata form, or its JSONPath form `…Path`.
    pub(super) fn number(
        &mut self,
        map: &Map<String, Value>,
        key: &'static str,
        path_key: &'static str,
        at: &str,
        language: Language,
    ) -> Option<NumberField> {
        if language == Language::JsonPath
            && let Some(found) = map.get(path_key)
        {
            return Some(NumberField {
                field: path_key,
                value: NumberSource::Path(reference(found)?),
            });
        }
        let value = match map.get(key)? {
            Value::String(text) if language == Language::Jsonata && is_expression(text) => {
                let here = format!("{at}/{key}");
                NumberSource::Jsonata(self.expression(text, &here, Known::BEFORE)?)
            }
            other => NumberSource::Fixed(other.as_f64()?),
        };
        Some(NumberField { field: key, value })
    }

    /// Reads a text field, its JSONata form, or its JSONPath form `…Path`, which may be an
    /// intrinsic function.
    pub(super) fn text(
        &mut self,
        map: &Map<String, Value>,
        key: &'static str,
        path_key: &'static str,
        at: &str,
        language: Language,
    ) -> Option<TextField> {
        if language == Language::JsonPath
            && let Some(found) = map.get(path_key)
        {
            let value = match Template::dynamic(found) {
                Ok(Template::Path(path)) => TextSource::Path(path),
                Ok(Template::Intrinsic(call)) if call.gives_text() => TextSource::Intrinsic(call),
                _ if is_placeholder(found) => TextSource::Fixed(found.to_string()),
                _ => {
                    if found.is_string() {
                        self.bad(
                            &format!("{at}/{path_key}"),
                            "The value must be a valid JSONPath or a valid intrinsic function call that returns a string",
                        );
                    }
                    return None;
                }
            };
            return Some(TextField {
                field: path_key,
                value,
            });
        }
        let text = text(map, key)?;
        let value = if language == Language::Jsonata && is_expression(&text) {
            TextSource::Jsonata(self.expression(&text, &format!("{at}/{key}"), Known::BEFORE)?)
        } else {
            TextSource::Fixed(text)
        };
        Some(TextField { field: key, value })
    }
}
