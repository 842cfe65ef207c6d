//! The forms of the objects of a definition: their fields with query language, type and bounds.
//! `forms` has the tables, `form` checks objects against them.

use serde_json::Value;

use super::model::Language;
use crate::path::{Path, Roots};

/// The type of value that a field takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    /// Any value; the reader of the field checks it (a template, a graph, a list of rules).
    Anything,
    Text,
    Boolean,
    Object,
    /// A list of at least this many elements.
    List(usize),
    /// An integer within bounds.
    Integer(f64, f64),
    /// A number within bounds. AWS's messages show the bounds with one decimal.
    Decimal(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path, or null.
    Path,
    /// A path that names exactly one location.
    Reference(Roots),
    /// Like `Reference`, or null.
    ReferenceOrNull(Roots),
}

/// One field of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The only query language with this field; `None` for both.
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

/// Fields of which an object has at most one, or exactly one if `required`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneOf {
    pub(super) names: &'static [&'static str],
    pub(super) required: bool,
}

/// The form of an object of a definition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Its fields, in groups that forms share. Hints list them in this order.
    pub(super) fields: &'static [&'static [Field]],
    pub(super) required: &'static [&'static str],
    pub(super) one_of: &'static [OneOf],
}

impl Form {
    /// All its fields, in their order.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().copied().flatten()
    }

    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }
}

/// The problem of a value, in AWS's words.
pub(super) fn refusal(takes: Takes, value: &Value) -> Option<String> {
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
