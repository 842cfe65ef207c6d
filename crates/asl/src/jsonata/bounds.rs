//! Bounds that `jsonata-core` does not have: how much text one expression makes, and how large a value is that is walked through in one go.
//! Time alone does not bound it, since one call may ask for more than there is memory, and a value that holds another one twice, and so on,
//! is walked through as if each were its own. The parsed expression is changed: what a few functions and operators are given goes through
//! functions of ours first, whose names no expression can write.
//!
//! An expression that neither assigns a variable nor has a function of its own can only join and compare what is in its text and its data,
//! so its operators stay as they are.

use std::cell::Cell;
use std::rc::Rc;

use jsonata_core::{
    ast::{AstNode, BinaryOp, PathStep, Stage},
    evaluator::{Evaluator, EvaluatorError},
    value::JValue,
};

use super::functions::{argument, wrong};
use crate::execution::MAX_DEPTH;

/// Bytes of one text that an expression makes, and of its value: 64 times what a state may pass on.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of all the texts that go into others, in one evaluation.
const MAX_TOTAL: usize = 512 * 1024 * 1024;
/// Bytes of a value besides its text.
const VALUE: usize = 16;
/// Bytes of one side of a `&`, whatever the number of the others.
const LEAST_PART: usize = 256 * 1024;

/// Passes on a value whose text is not too long; the second argument is the most that it may be.
const PART: &str = "a part of a text";
/// Passes on the list that is to be joined.
const LIST: &str = "a list to join";
/// Passes on the text in which something is to be replaced.
const REPLACED: &str = "a text to replace in";
/// Passes on what `$pad` gets, in any place.
const WIDTH: &str = "a width";
/// Passes on what is compared or copied as a whole.
const WHOLE: &str = "a whole value";

/// Bytes that a value takes, about; counts no further than `most`, and no deeper than a value may be that leaves the expression.
fn size(value: &JValue, most: usize) -> usize {
    let mut sum = 0;
    add(value, most, MAX_DEPTH, &mut sum);
    sum
}

fn add(value: &JValue, most: usize, depth: usize, sum: &mut usize) {
    if *sum > most {
        return;
    }
    *sum += own_size(value);
    let Some(deeper) = depth.checked_sub(1) else {
        return;
    };
    let mut add = |item| add(item, most, deeper, sum);
    match value {
        JValue::Array(items) => items.iter().for_each(&mut add),
        JValue::Object(fields) => fields.values().for_each(&mut add),
        _ => {}
    }
}

/// What a value takes besides the values in it.
pub(super) fn own_size(value: &JValue) -> usize {
    VALUE
        + match value {
            JValue::String(text) => text.len(),
            JValue::Object(fields) => fields.keys().map(|name| name.len()).sum(),
            _ => 0,
        }
}

/// The bytes, if they are not too many.
fn check(bytes: usize, most: usize) -> Result<usize, EvaluatorError> {
    if bytes > most {
        return Err(wrong(format!(
            "The expression makes a text or a value of {bytes} bytes or more, and may make one of {most} at most"
        )));
    }
    Ok(bytes)
}

/// Whether a value is not too large to walk through, or to write as a text.
pub(super) fn whole(value: &JValue) -> Result<(), EvaluatorError> {
    check(size(value, MAX_BYTES), MAX_BYTES).map(|_| ())
}

/// A function that passes on its first argument, unless what `measure` says of its arguments is too much: the bytes that go into a text.
fn pass_on(
    evaluator: &mut Evaluator,
    name: &str,
    total: &Rc<Cell<usize>>,
    measure: impl Fn(&[JValue]) -> Result<usize, EvaluatorError> + 'static,
) -> Result<(), EvaluatorError> {
    let total = Rc::clone(total);
    evaluator.register_fn(name, move |arguments: &[JValue]| {
        total.set(total.get().saturating_add(measure(arguments)?));
        check(total.get(), MAX_TOTAL)?;
        Ok(arguments.first().cloned().unwrap_or(JValue::Undefined))
    })
}

/// The functions that [`bound`] puts in.
pub(super) fn register(evaluator: &mut Evaluator) -> Result<(), EvaluatorError> {
    let total = Rc::default();
    pass_on(evaluator, PART, &total, |arguments| {
        let most = argument(arguments, 1).and_then(JValue::as_f64);
        let most = most.map_or(MAX_BYTES, |most| most as usize);
        let bytes = arguments.first().map_or(0, |value| size(value, most));
        check(bytes, most)
    })?;
    pass_on(evaluator, WHOLE, &total, |arguments| {
        arguments.first().map_or(Ok(()), whole).map(|()| 0)
    })?;
    pass_on(evaluator, LIST, &total, |arguments| {
        let separator = argument(arguments, 1).and_then(JValue::as_str);
        let between = separator.map_or(0, str::len);
        let items = argument(arguments, 0).and_then(JValue::as_array);
        let texts = items.into_iter().flat_map(|items| items.iter());
        let lengths = texts.filter_map(JValue::as_str).map(str::len);
        let bytes = lengths.fold(0_usize, |sum, bytes| {
            sum.saturating_add(bytes).saturating_add(between)
        });
        check(bytes, MAX_BYTES)
    })?;
    pass_on(evaluator, REPLACED, &total, |arguments| {
        let text = |at| argument(arguments, at).and_then(JValue::as_str);
        let (Some(replaced), Some(by)) = (text(0), text(2)) else {
            return Ok(0);
        };
        let (times, most) = match text(1) {
            Some("") => (0, MAX_BYTES),
            Some(sought) => (replaced.matches(sought).count(), MAX_BYTES),
            // An expression may match everywhere, but seldom does.
            None => (replaced.len() + 1, MAX_TOTAL),
        };
        let more = times.saturating_mul(by.len());
        check(replaced.len().saturating_add(more), most)?;
        Ok(replaced.len())
    })?;
    pass_on(evaluator, WIDTH, &total, |arguments| {
        let width = argument(arguments, 0).and_then(JValue::as_f64);
        check(width.map_or(0, |width| width.abs() as usize), MAX_BYTES)
    })
}

/// Puts the functions of [`register`] where they belong. `false`: nowhere, so they need not be registered.
pub(super) fn bound(text: &str, ast: &mut AstNode) -> bool {
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let repeats = has(&[":=", "function", "λ"]);
    if !repeats && !has(&["join", "replace", "string", "pad"]) {
        return false;
    }
    // Without recursion: a chain of operators is as deep as it is long.
    let mut open = vec![ast];
    while let Some(node) = open.pop() {
        if is_concatenation(node) {
            let parts = parts_of(node);
            let most = (MAX_BYTES / parts.len()).max(LEAST_PART);
            for part in parts {
                if repeats {
                    bound_part(part, most);
                }
                open.push(part);
            }
        } else {
            bound_call(node);
            if repeats {
                bound_walk(node);
            }
            push_children(node, &mut open);
        }
    }
    true
}

/// What is walked through as a whole, by an operator or a function that looks at no clock meanwhile.
fn bound_walk(node: &mut AstNode) {
    match node {
        AstNode::Binary {
            op: BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::In,
            lhs,
            rhs,
        } if !is_scalar(lhs) && !is_scalar(rhs) => {
            wrap(lhs, WHOLE, Vec::new());
            wrap(rhs, WHOLE, Vec::new());
        }
        AstNode::Function { name, args, .. } => {
            if let ("distinct" | "lookup", [value, more @ ..]) =
                (name.as_str(), args.as_mut_slice())
            {
                wrap_unless_open(value, WHOLE, more);
            }
        }
        AstNode::Binary {
            op: BinaryOp::ChainPipe,
            lhs,
            rhs,
        } => match rhs.as_ref() {
            AstNode::Variable(name) if name == "distinct" => wrap(lhs, WHOLE, Vec::new()),
            AstNode::Function { name, args, .. }
                if matches!(name.as_str(), "distinct" | "lookup") =>
            {
                wrap_unless_open(lhs, WHOLE, args)
            }
            _ => {}
        },
        // Wherever the function stands that this makes, it gets no larger value.
        AstNode::Transform { location, .. } => after_whole_context(location),
        AstNode::Path { steps } => {
            for step in steps.iter_mut().skip(1) {
                if matches!(step.node, AstNode::Descendant | AstNode::Wildcard) {
                    after_whole_context(&mut step.node);
                }
            }
        }
        _ => {}
    }
}

/// `node` becomes `(whole($); node)`.
fn after_whole_context(node: &mut AstNode) {
    let mut context = AstNode::Variable(String::new());
    wrap(&mut context, WHOLE, Vec::new());
    let walk = std::mem::replace(node, AstNode::Null);
    *node = AstNode::Block(vec![context, walk]);
}

fn is_concatenation(node: &AstNode) -> bool {
    matches!(
        node,
        AstNode::Binary {
            op: BinaryOp::Concatenate,
            ..
        }
    )
}

/// What a chain of `&` joins.
fn parts_of(mut node: &mut AstNode) -> Vec<&mut AstNode> {
    let mut parts = Vec::new();
    loop {
        match node {
            AstNode::Binary {
                op: BinaryOp::Concatenate,
                lhs,
                rhs,
            } => {
                parts.push(rhs.as_mut());
                node = lhs;
            }
            first => {
                parts.push(first);
                return parts;
            }
        }
    }
}

fn bound_part(node: &mut AstNode, most: usize) {
    if !is_scalar(node) {
        wrap(node, PART, vec![AstNode::Number(most as f64)]);
    }
}

/// Whether a value is as long as the expression's text.
fn is_scalar(node: &AstNode) -> bool {
    matches!(
        node,
        AstNode::String(_) | AstNode::Number(_) | AstNode::Boolean(_) | AstNode::Null
    )
}

/// `node` becomes the first argument of a function of ours.
fn wrap(node: &mut AstNode, name: &str, more: Vec<AstNode>) {
    let mut args = vec![std::mem::replace(node, AstNode::Null)];
    args.extend(more);
    *node = AstNode::Function {
        name: name.to_owned(),
        args,
        is_builtin: true,
    };
}

/// What the functions get that make long texts.
fn bound_call(node: &mut AstNode) {
    match node {
        AstNode::Function { name, args, .. } => match (name.as_str(), args.as_mut_slice()) {
            ("join", [list, more @ ..]) => wrap_unless_open(list, LIST, more),
            ("replace", [text, more @ ..]) => wrap_unless_open(text, REPLACED, more),
            ("string", [value, ..]) => wrap_unless_open(value, PART, &[]),
            ("pad", args) => args
                .iter_mut()
                .for_each(|arg| wrap_unless_open(arg, WIDTH, &[])),
            _ => {}
        },
        // `list ~> $join(separator)`: the first argument stands before the function.
        AstNode::Binary {
            op: BinaryOp::ChainPipe,
            lhs,
            rhs,
        } => {
            let (called, args) = match rhs.as_mut() {
                AstNode::Function { name, args, .. } => (name.as_str(), args.as_mut_slice()),
                AstNode::Variable(name) => (name.as_str(), &mut [] as &mut [AstNode]),
                _ => return,
            };
            match called {
                "join" => wrap_unless_open(lhs, LIST, args),
                "replace" => wrap_unless_open(lhs, REPLACED, args),
                "string" => wrap_unless_open(lhs, PART, &[]),
                _ => {}
            }
        }
        _ => {}
    }
}

/// A `?` in a call stands for an argument that comes later: such a call makes a function, and nothing else yet.
fn wrap_unless_open(node: &mut AstNode, name: &str, more: &[AstNode]) {
    let open = |node: &AstNode| matches!(node, AstNode::Placeholder);
    if !open(node) && !more.iter().any(open) {
        wrap(node, name, more.iter().map(again).collect());
    }
}

/// An argument that our function looks at as well, where to evaluate it twice costs nothing.
fn again(node: &AstNode) -> AstNode {
    match node {
        AstNode::String(_) | AstNode::Regex { .. } | AstNode::Variable(_) => node.clone(),
        AstNode::Path { steps } if steps.iter().all(is_plain) => node.clone(),
        _ => AstNode::Undefined,
    }
}

fn is_plain(step: &PathStep) -> bool {
    step.stages.is_empty() && matches!(step.node, AstNode::Name(_) | AstNode::Variable(_))
}

fn push_children<'a>(node: &'a mut AstNode, open: &mut Vec<&'a mut AstNode>) {
    match node {
        AstNode::Path { steps } => {
            for step in steps {
                open.push(&mut step.node);
                open.extend(step.stages.iter_mut().filter_map(|stage| match stage {
                    Stage::Filter(filter) => Some(filter.as_mut()),
                    Stage::KeepArray | Stage::Index(_) => None,
                }));
            }
        }
        AstNode::Binary { lhs, rhs, .. } => open.extend([lhs.as_mut(), rhs.as_mut()]),
        AstNode::Unary { operand, .. } => open.push(operand),
        AstNode::Function { args, .. } => open.extend(args),
        AstNode::Call { procedure, args } => {
            open.push(procedure);
            open.extend(args);
        }
        AstNode::Lambda { body, .. } => open.push(body),
        AstNode::Array(nodes) | AstNode::Block(nodes) | AstNode::ArrayGroup(nodes) => {
            open.extend(nodes);
        }
        AstNode::Object(pairs) => open.extend(pairs.iter_mut().flat_map(|(k, v)| [k, v])),
        AstNode::ObjectTransform { input, pattern } => {
            open.push(input);
            open.extend(pattern.iter_mut().flat_map(|(k, v)| [k, v]));
        }
        AstNode::Conditional {
            condition,
            then_branch,
            else_branch,
        } => {
            open.extend([condition.as_mut(), then_branch.as_mut()]);
            open.extend(else_branch.as_deref_mut());
        }
        AstNode::FunctionApplication(inner) => open.push(inner),
        AstNode::Sort { input, terms } => {
            open.push(input);
            open.extend(terms.iter_mut().map(|(term, _)| term));
        }
        AstNode::Transform {
            location,
            update,
            delete,
        } => {
            open.extend([location.as_mut(), update.as_mut()]);
            open.extend(delete.as_deref_mut());
        }
        AstNode::String(_)
        | AstNode::Name(_)
        | AstNode::Number(_)
        | AstNode::Boolean(_)
        | AstNode::Null
        | AstNode::Undefined
        | AstNode::Placeholder
        | AstNode::Regex { .. }
        | AstNode::Variable(_)
        | AstNode::ParentVariable(_)
        | AstNode::Wildcard
        | AstNode::Descendant
        | AstNode::Parent(_) => {}
    }
}
