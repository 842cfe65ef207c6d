//! Operations whose fields have one name, and variables as arguments. Only these variables differ
//! between requests, so that everything else is determined once for all requests of the document.

use async_graphql::parser::types::OperationType;

use crate::graphql::syntax::{
    Document, Field, Operation, Selection, ValueKind, VariableDefinition,
};

/// The variables of a field's arguments, in the order of the names that were given; `None` for an
/// argument that is left out.
pub(super) type Arguments<'a, const N: usize> = [Option<&'a VariableDefinition>; N];

/// An operation of one field whose arguments are variables.
pub(super) struct PlainField<'a, const N: usize> {
    pub(super) arguments: Arguments<'a, N>,
}

/// An operation of fields of one name whose arguments are variables, and whose selections are
/// equal: with several fields, each spreads the same fragment and nothing else.
pub(super) struct PlainFields<'a, const N: usize> {
    pub(super) operation: &'a Operation,
    /// The arguments of each field, in the order of the fields.
    pub(super) arguments: Vec<Arguments<'a, N>>,
}

impl<'a, const N: usize> PlainField<'a, N> {
    /// The operation of a valid document that a request selects, if its only field has this name
    /// and no arguments besides these. `None`: the operation is another, a variable has a default
    /// or is used elsewhere, or there is a directive.
    pub(super) fn of(
        document: &'a Document,
        operation: Option<&str>,
        kind: OperationType,
        name: &str,
        arguments: [&str; N],
    ) -> Option<Self> {
        let all = PlainFields::of(document, operation, kind, name, arguments)?;
        let [arguments] = all.arguments[..] else {
            return None;
        };
        Some(PlainField { arguments })
    }
}

impl<'a, const N: usize> PlainFields<'a, N> {
    /// As [`PlainField::of`], for one or more fields.
    pub(super) fn of(
        document: &'a Document,
        operation: Option<&str>,
        kind: OperationType,
        name: &str,
        arguments: [&str; N],
    ) -> Option<Self> {
        let operation = document.operation(operation)?;
        let is_it = operation.kind == kind && operation.directives.is_empty();
        is_it.then_some(())?;
        let fields: Option<Vec<&Field>> = operation.selections.iter().map(field).collect();
        let fields = fields?;
        let of_name = |field: &&Field| field.name.text == name && field.directives.is_empty();
        let is_it = fields.iter().all(of_name) && are_equal(&fields);
        is_it.then_some(())?;
        let arguments = fields
            .iter()
            .map(|field| variables(operation, field, arguments));
        let arguments: Vec<_> = arguments.collect::<Option<_>>()?;
        // With this no directive in the selection depends on a variable.
        let all_known = operation.variables.iter().all(|definition| {
            let mut known = arguments.iter().flatten().flatten();
            definition.default.is_none() && known.any(|known| known.name == definition.name)
        });
        all_known.then_some(PlainFields {
            operation,
            arguments,
        })
    }
}

fn field(selection: &Selection) -> Option<&Field> {
    match selection {
        Selection::Field(field) => Some(field),
        _ => None,
    }
}

/// Whether the fields select the same.
fn are_equal(fields: &[&Field]) -> bool {
    let spread = |field: &Field| match &field.selections[..] {
        [Selection::Spread(spread)] if spread.directives.is_empty() => {
            Some(spread.name.text.clone())
        }
        _ => None,
    };
    match fields {
        [] => false,
        [_] => true,
        [first, others @ ..] => {
            let first = spread(first);
            first.is_some() && others.iter().all(|other| spread(other) == first)
        }
    }
}

fn variables<'a, const N: usize>(
    operation: &'a Operation,
    field: &Field,
    names: [&str; N],
) -> Option<Arguments<'a, N>> {
    let mut found = [None; N];
    for argument in &field.arguments {
        let ValueKind::Variable(variable) = &argument.value.kind else {
            return None;
        };
        let mut definitions = operation.variables.iter();
        let definition = definitions.find(|definition| definition.name == *variable)?;
        let place = names.iter().position(|name| argument.name.text == *name)?;
        found[place] = Some(definition);
    }
    Some(found)
}
