//! Checks an object of a definition against its form.

use serde_json::{Map, Value};

use super::field::{Field, Form, OneOf, Takes, refusal};
use super::model::Language;
use super::reader::{DefinitionReader, SCHEMA};
use crate::expression::{HALF_OPEN, is_half_open};
use crate::jsonata::is_expression;
use crate::substitution::is_placeholder;

impl DefinitionReader {
    /// Reports missing fields, unknown fields, and values of a wrong type or out of bounds. If
    /// `language` is `None`, the fields of both query languages are accepted.
    pub(super) fn form(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        form: &Form,
        language: Option<Language>,
    ) {
        self.required(map, form.required, at);
        for key in map.keys() {
            match form.field(key) {
                None => self.unsupported(key, form, language, at),
                Some(field) => self.of_language(field, language, at),
            }
        }
        for group in form.one_of {
            self.one_of(map, group, at);
        }
        for (key, value) in map {
            let field = form.field(key);
            if let Some(field) = field {
                let computed = field.computed && language == Some(Language::Jsonata);
                self.value(field.takes, value, computed, &format!("{at}/{key}"));
            }
        }
    }

    fn unsupported(&mut self, key: &str, form: &Form, language: Option<Language>, at: &str) {
        let known: Vec<&str> = form
            .fields()
            .filter(|field| field.language.is_none_or(|own| Some(own) == language))
            .map(|field| field.name)
            .collect();
        let hint = match known.iter().find(|name| name.eq_ignore_ascii_case(key)) {
            Some(meant) => format!("write {meant}"),
            None => format!("the fields here are {}", known.join(", ")),
        };
        self.problem(SCHEMA, at, format!("Field '{key}' is not supported"), &hint);
    }

    fn of_language(&mut self, field: &Field, language: Option<Language>, at: &str) {
        if let (Some(own), Some(language)) = (field.language, language)
            && own != language
        {
            self.bad(
                at,
                format!(
                    "The QueryLanguage is set to '{}', but field '{}' is only supported for the '{}' QueryLanguage",
                    language.name(),
                    field.name,
                    language.other().name()
                ),
            );
        }
    }

    fn one_of(&mut self, map: &Map<String, Value>, group: &OneOf, at: &str) {
        let there = group.names.iter().filter(|name| map.contains_key(**name));
        let names = group.names.join(", ");
        match there.count() {
            0 if group.required => self.bad(
                at,
                format!("This object should have only one of the following fields: [{names}]"),
            ),
            0 | 1 => {}
            _ => self.bad(
                at,
                format!("There should only be one of the following fields: [{names}]"),
            ),
        }
    }

    /// Reports a value of another type than `takes`, or out of its bounds.
    pub(super) fn value(&mut self, takes: Takes, value: &Value, computed: bool, at: &str) {
        if is_placeholder(value) {
            return;
        }
        if computed && let Some(text) = value.as_str() {
            if is_expression(text) {
                return;
            }
            // A template reports this itself.
            if is_half_open(text) && !matches!(takes, Takes::Anything) {
                return self.bad(at, HALF_OPEN);
            }
        }
        if let Some(wrong) = refusal(takes, value) {
            self.bad(at, wrong);
        }
    }
}
