//! Turns one built node into another: into a path, with a binding, with its calls in tail position
//! marked.

use crate::jsonata::node::{Node, NodeKind, Stage};
use crate::jsonata::wrong::{Outcome, Wrong};

/// The slots of a part that have no step yet.
pub(super) fn seeking(node: &Node) -> Vec<usize> {
    let mut all = node.seeking.clone();
    if let NodeKind::Parent(slot) = node.kind {
        all.push(slot);
    }
    all
}

pub(super) fn into_path(node: Node) -> Node {
    if matches!(node.kind, NodeKind::Path { .. }) {
        return node;
    }
    Node::of(NodeKind::Path {
        steps: vec![node],
        keep_singleton: false,
    })
}

pub(super) fn last_step(node: &mut Node) -> Option<&mut Node> {
    if matches!(node.kind, NodeKind::Path { .. }) {
        let NodeKind::Path { steps, .. } = &mut node.kind else {
            return None;
        };
        return steps.last_mut();
    }
    Some(node)
}

/// `node@$name` (focus) or `node#$name`.
pub(super) fn bound(mut node: Node, focus: bool, name: String, keep_array: bool) -> Outcome<Node> {
    if !focus && !matches!(node.kind, NodeKind::Path { .. }) {
        node.stages = std::mem::take(&mut node.predicate);
        node = into_path(node);
    }
    let Some(step) = last_step(&mut node) else {
        return Ok(node);
    };
    step.tuple = true;
    if focus {
        if !step.stages.is_empty() || !step.predicate.is_empty() {
            return Err(Wrong::new("S0215"));
        }
        if matches!(step.kind, NodeKind::Sort(_)) {
            return Err(Wrong::new("S0216"));
        }
        step.keep_array |= keep_array;
        step.focus = Some(name);
    } else if step.stages.is_empty() {
        step.index = Some(name);
    } else {
        step.stages.push(Stage::Index(name));
    }
    Ok(node)
}

/// Marks the calls in tail position. The caller makes them, so they do not nest.
pub(super) fn with_thunks(mut node: Node) -> Node {
    match &mut node.kind {
        NodeKind::Call { .. } if node.predicate.is_empty() => {
            return Node::of(NodeKind::Thunk(Box::new(node)));
        }
        NodeKind::Condition {
            then, otherwise, ..
        } => {
            **then = with_thunks(std::mem::take(then));
            if let Some(otherwise) = otherwise {
                **otherwise = with_thunks(std::mem::take(otherwise));
            }
        }
        NodeKind::Block(parts) => {
            if let Some(last) = parts.pop() {
                parts.push(with_thunks(last));
            }
        }
        _ => {}
    }
    node
}
