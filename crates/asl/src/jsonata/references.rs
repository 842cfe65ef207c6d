//! The data that an expression reads from outside, found in its tree without evaluation.

use super::Jsonata;
use super::node::{Node, NodeKind};
use super::stack::level;

/// Data that an expression reads, other than a variable or a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A field of the context item, which the states language does not have.
    Name(String),
    /// `$`, the context item itself.
    Context,
    /// `$$`, the context item of the whole expression.
    Root,
    /// A field of `$states`.
    State(String),
}

impl Jsonata {
    /// The data that the expression reads from its context, in the order of its text. Later steps
    /// of a path, filters, sort terms, groups and transformers read from the value before them.
    pub(crate) fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        if let Some(root) = &self.program.root {
            walk(root, &mut found);
        }
        found
    }
}

fn walk(node: &Node, found: &mut Vec<Reference>) {
    level(|| walk_here(node, found));
}

fn walk_here(node: &Node, found: &mut Vec<Reference>) {
    match &node.kind {
        NodeKind::Name(name) => found.push(Reference::Name(name.clone())),
        NodeKind::Variable(name) if name.is_empty() => found.push(Reference::Context),
        NodeKind::Variable(name) if name == "$" => found.push(Reference::Root),
        NodeKind::Path { steps, .. } => {
            if let [first, second, ..] = steps.as_slice()
                && let (NodeKind::Variable(root), NodeKind::Name(field)) =
                    (&first.kind, &second.kind)
                && root == "states"
            {
                found.push(Reference::State(field.clone()));
            } else if let Some(first) = steps.first() {
                walk(first, found);
            }
        }
        NodeKind::Binary { lhs, rhs, .. } | NodeKind::Apply { lhs, rhs } => {
            walk(lhs, found);
            walk(rhs, found);
        }
        NodeKind::Negate(inner) | NodeKind::Thunk(inner) | NodeKind::Bind { value: inner, .. } => {
            walk(inner, found);
        }
        NodeKind::Array(parts) | NodeKind::Block(parts) => {
            parts.iter().for_each(|part| walk(part, found));
        }
        NodeKind::Object(pairs) => {
            for (key, value) in pairs {
                walk(key, found);
                walk(value, found);
            }
        }
        NodeKind::Condition {
            condition,
            then,
            otherwise,
        } => {
            walk(condition, found);
            walk(then, found);
            if let Some(otherwise) = otherwise {
                walk(otherwise, found);
            }
        }
        NodeKind::Call {
            procedure,
            arguments,
        } => {
            walk(procedure, found);
            arguments.iter().for_each(|argument| walk(argument, found));
        }
        NodeKind::Partial {
            procedure,
            arguments,
        } => {
            walk(procedure, found);
            arguments
                .iter()
                .flatten()
                .for_each(|argument| walk(argument, found));
        }
        NodeKind::Lambda(lambda) => walk(&lambda.body, found),
        _ => {}
    }
}
