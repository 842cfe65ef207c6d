//! The rules of variables (5.8).

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{BaseType, Type};

use super::operations::shown;
use super::{Checking, Rule, Use, Uses};
use crate::graphql::schema::types::{Place, base};
use crate::graphql::syntax::{Named, Operation, ValueKind, VariableDefinition};

impl<'a> Checking<'a> {
    /// The definitions of an operation, without their uses.
    pub(super) fn definitions(&mut self, operation: &'a Operation, uses: &mut Uses<'a>) {
        let names = operation.variables.iter();
        let names = names.map(|one| (one.name.as_str(), one.place));
        self.unique(Rule::UniqueVariables, names, |name| {
            format!("the variable \"${name}\" is defined twice")
        });
        for definition in &operation.variables {
            let (kind, place) = (&definition.kind, definition.kind_place);
            if self.types.get(base(kind)).is_none() {
                self.unknown_type(base(kind), place);
            } else if !self.types.is_input(kind) {
                self.report(Rule::VariablesAreInputTypes, &[place], || {
                    format!(
                        "the variable \"${}\" cannot be of type \"{kind}\": it is no input type",
                        definition.name
                    )
                });
            }
            self.directives(&definition.directives, Place::VariableDefinition, uses);
            if let Some(default) = &definition.default {
                self.value(default, Some((&definition.kind).into()), uses);
            }
        }
    }

    /// The uses of each operation's variables, including those in its fragments.
    pub(super) fn variables(&mut self, operations: &[Uses<'a>], fragments: &[Uses<'a>]) {
        let document = self.document;
        for (operation, own) in document.operations.iter().zip(operations) {
            let mut defined = HashMap::new();
            for definition in operation.variables.iter().rev() {
                defined.insert(&definition.name, definition);
            }
            let mut used = HashSet::new();
            let mut spread = HashSet::new();
            let mut open: Vec<&Uses<'a>> = vec![own];
            while let Some(uses) = open.pop() {
                for found in &uses.variables {
                    used.insert(found.name);
                    self.usage(operation, defined.get(found.name).copied(), found);
                }
                let names = uses.spreads.iter().map(|name: &&Named| &name.text);
                let indexes = names.filter_map(|name| document.fragment_index(name));
                let new = indexes.filter(|index| spread.insert(*index));
                open.extend(new.map(|index| &fragments[index]));
            }
            for definition in &operation.variables {
                if !used.contains(&definition.name) {
                    self.report(Rule::VariablesUsed, &[definition.place], || {
                        format!(
                            "the variable \"${}\" is never used in {}",
                            definition.name,
                            shown(operation)
                        )
                    });
                }
            }
        }
    }

    fn usage(
        &mut self,
        operation: &Operation,
        definition: Option<&'a VariableDefinition>,
        found: &Use<'a>,
    ) {
        let Some(definition) = definition else {
            let places = [found.place, operation.place];
            return self.report(Rule::VariablesDefined, &places, || {
                format!(
                    "the variable \"${}\" is not defined by {}",
                    found.name,
                    shown(operation)
                )
            });
        };
        let Some(expected) = found.kind else { return };
        if self.types.get(base(&definition.kind)).is_some()
            && !is_allowed(definition, expected, found)
        {
            let rule = Rule::VariablesInAllowedPositions;
            self.report(rule, &[definition.place, found.place], || {
                format!(
                    "the variable \"${}\" of type \"{}\" cannot stand where \"{expected}\" is expected",
                    found.name, definition.kind
                )
            });
        }
    }
}

/// Whether a variable is allowed at a place: a default on either side permits a nullable variable
/// (5.8.5).
fn is_allowed(definition: &VariableDefinition, expected: &Type, found: &Use<'_>) -> bool {
    if !expected.nullable && definition.kind.nullable {
        let default = definition.default.as_ref();
        let has_value = default.is_some_and(|value| value.kind != ValueKind::Null);
        let nullable = Type {
            nullable: true,
            ..expected.clone()
        };
        return (has_value || found.has_default) && is_within(&definition.kind, &nullable);
    }
    is_within(&definition.kind, expected)
}

/// Whether each value of the first type is a value of the second.
fn is_within(kind: &Type, other: &Type) -> bool {
    if kind.nullable && !other.nullable {
        return false;
    }
    match (&kind.base, &other.base) {
        (BaseType::Named(kind), BaseType::Named(other)) => kind == other,
        (BaseType::List(kind), BaseType::List(other)) => is_within(kind, other),
        _ => false,
    }
}
