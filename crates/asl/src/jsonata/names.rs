//! What an expression reads that is neither a variable nor made by the expression. It evaluates nothing.
//!
//! Only the first step of a path is read from the context item that the expression starts with; later steps, filters, terms of an order, groups
//! and transformers are read from what stands before them.
use super::{
    Jsonata,
    node::{Kind, Node},
};

/// Something that an expression reads by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// A field of the context item.
    Field(&'a str),
    /// `$`, the context item.
    Context,
    /// `$$`, the input of the whole expression.
    Root,
    /// A field of `$states`.
    State(&'a str),
}

impl Jsonata {
    /// What it names, in the order of the text; one name as often as it stands there.
    pub(crate) fn names(&self) -> Vec<Named<'_>> {
        let mut found = Vec::new();
        // The last of these is looked at next: the tree of a long sum is deeper than the stack.
        let mut open: Vec<&Node> = self.program.root.iter().collect();
        while let Some(node) = open.pop() {
            let first = open.len();
            found.extend(look(node, &mut open));
            open[first..].reverse();
        }
        found
    }
}

/// What a node itself names; the nodes in it that are read from the same context are added to `inner`, in order.
fn look<'a>(node: &'a Node, inner: &mut Vec<&'a Node>) -> Option<Named<'a>> {
    match &node.kind {
        Kind::Name(name) => return Some(Named::Field(name)),
        Kind::Variable(name) if name.is_empty() => return Some(Named::Context),
        Kind::Variable(name) if name == "$" => return Some(Named::Root),
        Kind::Path { steps, .. } => {
            inner.extend(steps.first());
            return field_of_states(steps);
        }
        Kind::Binary { lhs, rhs, .. } | Kind::Apply { lhs, rhs } => inner.extend([&**lhs, &**rhs]),
        Kind::Negate(operand) | Kind::Thunk(operand) | Kind::Bind { value: operand, .. } => {
            inner.push(operand);
        }
        Kind::Array(items) | Kind::Block(items) => inner.extend(items),
        Kind::Object(pairs) => inner.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
        Kind::Condition {
            condition,
            then,
            otherwise,
        } => {
            inner.extend([&**condition, &**then]);
            inner.extend(otherwise.as_deref());
        }
        Kind::Call {
            procedure,
            arguments,
        } => {
            inner.push(procedure);
            inner.extend(arguments);
        }
        Kind::Partial {
            procedure,
            arguments,
        } => {
            inner.push(procedure);
            inner.extend(arguments.iter().flatten());
        }
        Kind::Lambda(lambda) => inner.push(&lambda.body),
        Kind::Text(_)
        | Kind::Number(_)
        | Kind::Bool(_)
        | Kind::Null
        | Kind::Pattern(_)
        | Kind::Variable(_)
        | Kind::Wildcard
        | Kind::Descendant
        | Kind::Parent(_)
        | Kind::Sort(_)
        | Kind::Transform { .. } => {}
    }
    None
}

fn field_of_states(steps: &[Node]) -> Option<Named<'_>> {
    match steps {
        [root, field, ..] => match (&root.kind, &field.kind) {
            (Kind::Variable(root), Kind::Name(field)) if root == "states" => {
                Some(Named::State(field))
            }
            _ => None,
        },
        _ => None,
    }
}
