//! The rules of values (5.6): values of arguments, of fields of input objects, and defaults.

use async_graphql::parser::types::{BaseType, Type};

use super::suggestion::similar;
use super::{Checking, Rule, Use, Uses};
use crate::graphql::schema::scalar;
use crate::graphql::schema::types::{Input, Inputs, TypeDefinition};
use crate::graphql::syntax::{Named, Value, ValueKind};

/// The expectation of a value.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) kind: &'a Type,
    pub(super) has_default: bool,
}

impl<'a> From<&'a Input> for Expected<'a> {
    fn from(input: &'a Input) -> Self {
        Expected {
            kind: &input.kind,
            has_default: input.default.is_some(),
        }
    }
}

impl<'a> From<&'a Type> for Expected<'a> {
    fn from(kind: &'a Type) -> Self {
        Expected {
            kind,
            has_default: false,
        }
    }
}

impl<'a> Checking<'a> {
    /// Checks a value, and records its variables. Without an expectation it records the variables,
    /// and refuses what no value may have.
    pub(super) fn value(
        &mut self,
        value: &'a Value,
        expected: Option<Expected<'a>>,
        uses: &mut Uses<'a>,
    ) {
        if let ValueKind::Variable(name) = &value.kind {
            uses.variables.push(Use {
                name,
                place: value.place,
                kind: expected.map(|expected| expected.kind),
                has_default: expected.is_some_and(|expected| expected.has_default),
            });
            return;
        }
        let Some(Expected { kind, .. }) = expected else {
            return self.inside(value, uses);
        };
        if value.kind == ValueKind::Null {
            if !kind.nullable {
                self.not_of(value, kind, "it is null");
            }
            return;
        }
        match &kind.base {
            BaseType::List(item) => match &value.kind {
                ValueKind::List(items) => {
                    for value in items {
                        self.value(value, Some((&**item).into()), uses);
                    }
                }
                // One value is a list of one (GraphQL, section 3.11).
                _ => self.value(value, Some((&**item).into()), uses),
            },
            BaseType::Named(name) => match self.types.get(name) {
                Some(TypeDefinition::Input(defined)) => match &value.kind {
                    ValueKind::Object(fields) => {
                        self.object(name, defined, fields, value, uses);
                    }
                    _ => {
                        self.not_of(value, kind, "it must be an object: { … }");
                        self.inside(value, uses);
                    }
                },
                Some(TypeDefinition::Enum(values)) => {
                    let known = |found: &str| values.iter().any(|value| value == found);
                    match &value.kind {
                        ValueKind::Enum(found) if known(found) => {}
                        ValueKind::Enum(found) => {
                            let rest = similar(found, values.iter().map(|value| value.as_str()));
                            self.not_of(value, kind, &format!("it has no value \"{found}\"{rest}"));
                        }
                        ValueKind::String(found) => {
                            let rest = if known(found) {
                                format!(": write {found}, without quotes")
                            } else {
                                String::new()
                            };
                            self.not_of(
                                value,
                                kind,
                                &format!("a string is none of its values{rest}"),
                            );
                        }
                        _ => {
                            self.not_of(value, kind, "it must be one of its values");
                            self.inside(value, uses);
                        }
                    }
                }
                Some(TypeDefinition::Scalar) => {
                    if let Err(reason) = scalar::literal(name, &value.kind) {
                        self.not_of(value, kind, &reason);
                    }
                    self.inside(value, uses);
                }
                // An unknown type, or not an input type: refused at the place of the type.
                Some(TypeDefinition::Object(_)) | None => self.inside(value, uses),
            },
        }
    }

    fn not_of(&mut self, value: &Value, kind: &Type, reason: &str) {
        self.report(Rule::ValuesOfCorrectType, &[value.place], || {
            format!("the value is not of type \"{kind}\": {reason}")
        });
    }

    /// The parts of a value without an expectation.
    fn inside(&mut self, value: &'a Value, uses: &mut Uses<'a>) {
        match &value.kind {
            ValueKind::List(items) => {
                for value in items {
                    self.value(value, None, uses);
                }
            }
            ValueKind::Object(fields) => {
                self.unique_fields(fields);
                for (_, value) in fields {
                    self.value(value, None, uses);
                }
            }
            _ => {}
        }
    }

    fn unique_fields(&mut self, fields: &[(Named, Value)]) {
        if fields.len() > 1 {
            let names = fields.iter();
            let names = names.map(|(name, _)| (name.text.as_str(), name.place));
            self.unique(Rule::UniqueInputFields, names, |name| {
                format!("the field \"{name}\" of an input object is given twice")
            });
        }
    }

    fn object(
        &mut self,
        of: &'a str,
        defined: &'a Inputs,
        fields: &'a [(Named, Value)],
        object: &Value,
        uses: &mut Uses<'a>,
    ) {
        self.unique_fields(fields);
        for (name, value) in fields {
            let input = defined.get(&name.text);
            if input.is_none() {
                self.report(Rule::KnownInputFields, &[name.place], || {
                    let known = defined.iter().map(|input| input.name.as_str());
                    let similar = similar(&name.text, known);
                    format!("the type \"{of}\" has no field \"{}\"{similar}", name.text)
                });
            }
            self.value(value, input.map(Into::into), uses);
        }
        for input in defined.iter().filter(|input| input.is_required()) {
            if !fields.iter().any(|(name, _)| name.text == input.name) {
                self.report(Rule::RequiredInputFields, &[object.place], || {
                    format!(
                        "the type \"{of}\" needs its field \"{}\" of type \"{}\"",
                        input.name, input.kind
                    )
                });
            }
        }
    }
}
