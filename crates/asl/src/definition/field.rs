//! What an object of a definition may hold: its fields with their query language, kind of value and bounds, and the check of an
//! object against them. The tables of the objects are in `forms`; what a field means is for its own reader.
use super::{
    expression::{HALF_OPEN, is_half_open},
    model::Language,
    reader::Reader,
    substitution::is_placeholder,
};
use crate::{
    jsonata::is_expression,
    path::{Path, Roots},
};
use serde_json::{Map, Value};

/// The kind of value that a field takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// Its own reader checks the value: a template, a graph, a list of rules.
    Anything,
    Text,
    Boolean,
    Object,
    /// A list of at least this many elements.
    List(usize),
    /// A whole number within bounds.
    Integer(f64, f64),
    /// A number within bounds; the words of AWS show them with one decimal.
    Decimal(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path, or null.
    Path,
    /// A path that names one place.
    Reference(Roots),
    /// As `Reference`, or null.
    ReferenceOrNull(Roots),
}

/// One field of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The only query language that has it.
    pub(super) language: Option<Language>,
    pub(super) takes: Takes,
    /// Whether a JSONata state may give an expression instead.
    pub(super) computed: bool,
}
impl Field {
    /// A field of both query languages.
    pub(super) const fn both(name: &'static str, takes: Takes) -> Self {
        Self {
            name,
            language: None,
            takes,
            computed: false,
        }
    }
    /// A field of both query languages that JSONata may compute.
    pub(super) const fn computed(name: &'static str, takes: Takes) -> Self {
        Self {
            computed: true,
            ..Self::both(name, takes)
        }
    }
    pub(super) const fn jsonpath(name: &'static str, takes: Takes) -> Self {
        Self {
            language: Some(Language::JsonPath),
            ..Self::both(name, takes)
        }
    }
    pub(super) const fn jsonata(name: &'static str, takes: Takes) -> Self {
        Self {
            language: Some(Language::Jsonata),
            ..Self::computed(name, takes)
        }
    }
}

/// Fields of which an object has at most one, or exactly one.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneOf {
    pub(super) names: &'static [&'static str],
    pub(super) required: bool,
}

/// An object of a definition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) fields: &'static [Field],
    pub(super) required: &'static [&'static str],
    pub(super) one_of: &'static [OneOf],
}

impl Language {
    /// Its name in a definition.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::JsonPath => "JSONPath",
            Self::Jsonata => "JSONata",
        }
    }
    fn other(self) -> Self {
        match self {
            Self::JsonPath => Self::Jsonata,
            Self::Jsonata => Self::JsonPath,
        }
    }
}

impl Reader {
    /// Reports what an object lacks, what it has too much, and each value of another kind or out of its bounds. `language` is `None` where
    /// the fields of both query languages are taken.
    pub(super) fn form(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        form: &Form,
        language: Option<Language>,
    ) {
        self.required(map, form.required, at);
        for key in map.keys() {
            match form.fields.iter().find(|field| field.name == key) {
                None => self.unsupported(key, form, language, at),
                Some(field) => self.of_language(field, language, at),
            }
        }
        for group in form.one_of {
            self.one_of(map, group, at);
        }
        for (key, value) in map {
            let field = form.fields.iter().find(|field| field.name == key);
            if let Some(field) = field {
                let computed = field.computed && language == Some(Language::Jsonata);
                self.value(field.takes, value, computed, &format!("{at}/{key}"));
            }
        }
    }

    fn unsupported(&mut self, key: &str, form: &Form, language: Option<Language>, at: &str) {
        let known: Vec<&str> = form
            .fields
            .iter()
            .filter(|field| field.language.is_none_or(|own| Some(own) == language))
            .map(|field| field.name)
            .collect();
        let hint = match known.iter().find(|name| name.eq_ignore_ascii_case(key)) {
            Some(meant) => format!("write {meant}"),
            None => format!("the fields here are {}", known.join(", ")),
        };
        self.problem(
            super::reader::SCHEMA,
            at,
            format!("Field '{key}' is not supported"),
            &hint,
        );
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

    /// Reports a value of another kind than `takes`, or out of its bounds.
    pub(super) fn value(&mut self, takes: Takes, value: &Value, computed: bool, at: &str) {
        if is_placeholder(value) {
            return;
        }
        if computed && let Some(text) = value.as_str() {
            if is_expression(text) {
                return;
            }
            // A template reports its own.
            if is_half_open(text) && !matches!(takes, Takes::Anything) {
                return self.bad(at, HALF_OPEN);
            }
        }
        if let Some(wrong) = refusal(takes, value) {
            self.bad(at, wrong);
        }
    }
}

/// What is wrong with a value, in AWS's words.
fn refusal(takes: Takes, value: &Value) -> Option<String> {
    let expected =
        |right: bool, kind: &str| (!right).then(|| format!("Expected value of type {kind}"));
    match takes {
        Takes::Anything => None,
        Takes::Text => expected(value.is_string(), "String"),
        Takes::Boolean => expected(value.is_boolean(), "Boolean"),
        Takes::Object => expected(value.is_object(), "Object"),
        Takes::List(least) => match value.as_array() {
            Some(list) if list.len() < least => Some("Value cannot be empty".to_owned()),
            Some(_) => None,
            None => expected(false, "Array"),
        },
        Takes::Integer(least, most) => {
            let number = value.as_f64().filter(|number| number.fract() == 0.0);
            match number {
                None => expected(false, "Integer"),
                Some(number) if number < least => Some(format!("Minimum value is {least}")),
                Some(number) if number > most => Some(format!("Maximum value is {most}")),
                Some(_) => None,
            }
        }
        Takes::Decimal(least, most) => match value.as_f64() {
            None => expected(false, "Number"),
            Some(number) if number < least => Some(format!("Minimum value is {least:.1}")),
            Some(number) if number > most => Some(format!("Maximum value is {most:.1}")),
            Some(_) => None,
        },
        Takes::Word(words) => match value.as_str() {
            None => expected(false, "[STRING]"),
            Some(word) if words.contains(&word) => None,
            Some(_) => Some(format!(
                "Value should be one of the following: [{}]",
                words.join(", ")
            )),
        },
        Takes::Path if value.is_null() => None,
        Takes::Path => match value.as_str() {
            None => expected(false, "String"),
            Some(text) => Path::parse(text)
                .is_none()
                .then(|| "Value must be a valid JSONPath.".to_owned()),
        },
        Takes::ReferenceOrNull(_) if value.is_null() => None,
        Takes::Reference(roots) | Takes::ReferenceOrNull(roots) => match value.as_str() {
            None => expected(false, "String"),
            Some(text) => Path::reference(text, roots).err(),
        },
    }
}
