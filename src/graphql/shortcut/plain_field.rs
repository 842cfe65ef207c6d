//! Operations of one field whose arguments are variables. Only these variables differ between
//! requests, so that everything else is determined once for all requests of the document.

use async_graphql::parser::types::OperationType;

use crate::graphql::syntax::{
    Document, Field, Operation, Selection, ValueKind, VariableDefinition,
};

/// An operation of one field whose arguments are variables.
pub(super) struct PlainField<'a, const N: usize> {
    pub(super) operation: &'a Operation,
    /// The variables of its arguments, in the order of the names that were given; `None` for an
    /// argument that is left out.
    pub(super) arguments: [Option<&'a VariableDefinition>; N],
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
        // With this no directive in the selection depends on a variable.
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
