//! Operations that are one field whose arguments are variables: what they ask for depends on nothing else that a request may change, so
//! it is worked out once for all requests of the document.

use async_graphql::parser::types::OperationType;

use crate::graphql::request::syntax::{
    Document, Field, Operation, Selection, ValueKind, VariableDefinition,
};

/// An operation of that kind.
pub(super) struct PlainField<'a, const N: usize> {
    pub(super) operation: &'a Operation,
    /// The variables that are its arguments, in the order of the names that were given; `None` for an argument that it leaves out.
    pub(super) arguments: [Option<&'a VariableDefinition>; N],
}

impl<'a, const N: usize> PlainField<'a, N> {
    /// The operation of a valid document that a request means, if it is the field of this name and has no arguments but these. `None`:
    /// it is anything else, a variable of it has a default or is used elsewhere as well, or it has a directive.
    pub(super) fn of(
        document: &'a Document,
        operation: Option<&str>,
        kind: OperationType,
        name: &str,
        arguments: [&str; N],
    ) -> Option<Self> {
        let operation = document.operation(operation)?;
        let [Selection::Field(field)] = &operation.selections[..] else {
            return None;
        };
        let is_it = operation.kind == kind
            && field.name.text == name
            && operation.directives.is_empty()
            && field.directives.is_empty();
        is_it.then_some(())?;
        let arguments = variables(operation, field, arguments)?;
        // Then no directive in what is selected asks for a variable.
        let all_known = operation.variables.iter().all(|definition| {
            let mut known = arguments.iter().flatten();
            definition.default.is_none() && known.any(|known| known.name == definition.name)
        });
        all_known.then_some(PlainField {
            operation,
            arguments,
        })
    }
}

fn variables<'a, const N: usize>(
    operation: &'a Operation,
    field: &Field,
    names: [&str; N],
) -> Option<[Option<&'a VariableDefinition>; N]> {
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
