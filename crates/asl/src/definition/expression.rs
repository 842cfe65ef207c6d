//! What can be known of a JSONata expression before it runs: whether it can be read, in the words of JSONata's own messages, and whether it
//! names only what is there. It evaluates nothing.
//!
//! An expression has no context item: the input is `$states.input`, a variable `$name`. Only the first step of a path is read from the
//! context item; later steps, predicates, terms of an order and groups are read from what the step before them gives.
use super::{substitution::has_placeholder, words::in_words};
use crate::jsonata::{Jsonata, is_expression};
use jsonata_core::{
    ast::{AstNode, BinaryOp},
    parser,
};

/// Code of an expression that cannot be read.
pub(crate) const INVALID: &str = "INVALID_JSONATA_EXPRESSION";
/// Code of an expression that names what is not there.
pub(crate) const UNSUPPORTED: &str = "UNSUPPORTED_JSONATA_EXPRESSION";

/// The fields of `$states` that are there besides `input` and `context`, where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) result: bool,
    pub(crate) error: bool,
}
impl Known {
    /// Before the state's work is done.
    pub(crate) const BEFORE: Self = Self {
        result: false,
        error: false,
    };
    /// After the state's work.
    pub(crate) const AFTER: Self = Self {
        result: true,
        error: false,
    };
    /// In a catcher.
    pub(crate) const CAUGHT: Self = Self {
        result: false,
        error: true,
    };
}

/// A problem of an expression: code and message.
pub(crate) type Refused = (&'static str, String);

/// Parses a text for which `is_expression` holds. One that names what is not there can be read all the same.
pub(crate) fn parse(text: &str, known: Known) -> (Option<Jsonata>, Vec<Refused>) {
    match Jsonata::parse(text) {
        Ok(parsed) => {
            let refused = refusals(&parsed.text, known);
            (Some(parsed), refused)
        }
        // A deployment tool will write what cannot be read yet.
        Err(_) if has_placeholder(text) => (Jsonata::parse("{% null %}").ok(), Vec::new()),
        Err(why) => {
            let inside = text.get(2..text.len() - 2).unwrap_or_default().trim();
            (None, vec![(INVALID, in_words(&why, inside))])
        }
    }
}

/// Whether a text has one of the delimiters of an expression, and not the other.
pub(crate) fn is_half_open(text: &str) -> bool {
    text.starts_with("{%") != text.ends_with("%}")
}
/// What is wrong with a text that is half open.
pub(crate) const HALF_OPEN: &str = "JSONata string must start with {% and end with %}";
/// Whether white space around a text makes a constant of an expression.
pub(crate) fn is_set_apart(text: &str) -> bool {
    !is_expression(text) && is_expression(text.trim())
}

/// One problem for each distinct name that is not there, in the order of the text; what the library takes and JSONata does not, alone.
fn refusals(text: &str, known: Known) -> Vec<Refused> {
    let Ok(root) = parser::parse(text) else {
        return Vec::new();
    };
    let mut found: Vec<Refused> = Vec::new();
    // The last of these is looked at next: the tree of a long sum is deeper than the stack.
    let mut open = vec![&root];
    while let Some(node) = open.pop() {
        if let Some(message) = misread(node) {
            return vec![(INVALID, message.to_owned())];
        }
        let first = open.len();
        let missing = look(node, known, &mut open);
        open[first..].reverse();
        if let Some(message) = missing
            && !found.iter().any(|(_, known)| *known == message)
        {
            found.push((UNSUPPORTED, message));
        }
    }
    found
}

/// What the library takes and JSONata does not.
fn misread(node: &AstNode) -> Option<&'static str> {
    match node {
        AstNode::Regex { pattern, .. } if pattern.is_empty() => {
            Some("Empty regular expressions are not allowed")
        }
        AstNode::Binary {
            op: BinaryOp::ColonEqual,
            lhs,
            ..
        } if !matches!(**lhs, AstNode::Variable(_)) => {
            Some("The left side of := must be a variable name (start with $)")
        }
        _ => None,
    }
}

/// What a node names that is not there; the nodes below it that are read from the same context are added to `below`, in order.
fn look<'a>(node: &'a AstNode, known: Known, below: &mut Vec<&'a AstNode>) -> Option<String> {
    let at_the_top = |name: &str| {
        Some(format!(
            "Reference to '{name}' at the top level is not supported."
        ))
    };
    match node {
        AstNode::Name(name) => return at_the_top(name),
        AstNode::Variable(name) if name.is_empty() => return at_the_top("$"),
        AstNode::Variable(name) if name == "$" => {
            return Some("Reference to '$$' is not supported.".to_owned());
        }
        AstNode::ParentVariable(_) => {
            return Some("Reference to '$$' is not supported.".to_owned());
        }
        AstNode::Path { steps } => {
            below.extend(steps.first().map(|step| &step.node));
            return missing_field(steps.iter().map(|step| &step.node), known);
        }
        AstNode::Unary { operand, .. } => below.push(operand),
        AstNode::Binary {
            op: BinaryOp::ColonEqual,
            rhs,
            ..
        } => below.push(rhs),
        AstNode::Binary {
            op: BinaryOp::FocusBind | BinaryOp::IndexBind,
            lhs,
            ..
        } => below.push(lhs),
        AstNode::Binary { lhs, rhs, .. } => below.extend([&**lhs, &**rhs]),
        AstNode::Function {
            name,
            args,
            is_builtin,
        } => {
            below.extend(args);
            if !is_builtin {
                return at_the_top(name);
            }
        }
        AstNode::Call { procedure, args } => {
            below.push(procedure);
            below.extend(args);
        }
        AstNode::Lambda { body, .. } => below.push(body),
        AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
            below.extend(items);
        }
        AstNode::Object(pairs) => below.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
        AstNode::Conditional {
            condition,
            then_branch,
            else_branch,
        } => {
            below.extend([&**condition, &**then_branch]);
            below.extend(else_branch.as_deref());
        }
        AstNode::ObjectTransform { input, .. } | AstNode::Sort { input, .. } => below.push(input),
        // Literals, wildcards and transformers read nothing from the context item.
        _ => {}
    }
    None
}

/// The field of `$states` that a path reads and that is not there.
fn missing_field<'a>(mut steps: impl Iterator<Item = &'a AstNode>, known: Known) -> Option<String> {
    let (Some(AstNode::Variable(root)), Some(AstNode::Name(field))) = (steps.next(), steps.next())
    else {
        return None;
    };
    let there = match field.as_str() {
        "input" | "context" => true,
        "result" => known.result,
        "errorOutput" => known.error,
        _ => false,
    };
    (root == "states" && !there).then(|| format!("Field '$states.{field}' does not exist."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, known: Known) -> Vec<String> {
        let (_, refused) = parse(&format!("{{% {text} %}}"), known);
        refused
            .into_iter()
            .map(|(code, message)| format!("{}: {message}", &code[..3]))
            .collect()
    }

    #[test]
    fn only_what_is_there_can_be_named() {
        let top =
            |name: &str| format!("UNS: Reference to '{name}' at the top level is not supported.");
        let field = |name: &str| format!("UNS: Field '$states.{name}' does not exist.");
        for (text, known, want) in [
            ("phone", Known::AFTER, vec![top("phone")]),
            ("phone[0]", Known::AFTER, vec![top("phone")]),
            ("a.b.c", Known::AFTER, vec![top("a")]),
            (
                "aaa + bbb + aaa",
                Known::AFTER,
                vec![top("aaa"), top("bbb")],
            ),
            ("$.phone", Known::AFTER, vec![top("$")]),
            ("$", Known::AFTER, vec![top("$")]),
            (
                "$$",
                Known::AFTER,
                vec!["UNS: Reference to '$$' is not supported.".to_owned()],
            ),
            (
                "$$.a",
                Known::AFTER,
                vec!["UNS: Reference to '$$' is not supported.".to_owned()],
            ),
            (
                "$map($states.input.a, function($x){ b })",
                Known::AFTER,
                vec![top("b")],
            ),
            ("$x := y", Known::AFTER, vec![top("y")]),
            ("{ k: v }", Known::AFTER, vec![top("k"), top("v")]),
            ("[a, [b]]", Known::AFTER, vec![top("a"), top("b")]),
            (
                "a ? b : c",
                Known::AFTER,
                vec![top("a"), top("b"), top("c")],
            ),
            ("(1; a)", Known::AFTER, vec![top("a")]),
            ("-a", Known::AFTER, vec![top("a")]),
            ("$sum(a)", Known::AFTER, vec![top("a")]),
            ("`two words`", Known::AFTER, vec![top("two words")]),
            ("$states.input.items[phone > 3]", Known::AFTER, vec![]),
            ("$states.input.items.{ 'a': b }", Known::AFTER, vec![]),
            ("$states.input.items{ a: b }", Known::AFTER, vec![]),
            ("$states.input^(a)", Known::AFTER, vec![]),
            ("$states.input.(a + $.b)", Known::AFTER, vec![]),
            (
                "$filter($states.input, function($x){ $x.a })",
                Known::AFTER,
                vec![],
            ),
            ("$states.input ~> $map($f)", Known::AFTER, vec![]),
            ("$states.input ~> |a|{'b': c}|", Known::AFTER, vec![]),
            ("$undefined_variable.a", Known::AFTER, vec![]),
            ("$eval('1+1')", Known::AFTER, vec![]),
            (
                "x := a",
                Known::AFTER,
                vec!["INV: The left side of := must be a variable name (start with $)".to_owned()],
            ),
            (
                "5 := 1",
                Known::AFTER,
                vec!["INV: The left side of := must be a variable name (start with $)".to_owned()],
            ),
            (
                "$match('a', //)",
                Known::AFTER,
                vec!["INV: Empty regular expressions are not allowed".to_owned()],
            ),
            (
                "(a; 1 +)",
                Known::AFTER,
                vec!["INV: The symbol \")\" cannot be used as a unary operator".to_owned()],
            ),
            ("$states", Known::BEFORE, vec![]),
            ("$states.context.State.Name", Known::BEFORE, vec![]),
            ("$states.result", Known::AFTER, vec![]),
            ("$states.result.a", Known::BEFORE, vec![field("result")]),
            (
                "$states.errorOutput",
                Known::AFTER,
                vec![field("errorOutput")],
            ),
            ("$states.errorOutput.Cause", Known::CAUGHT, vec![]),
            (
                "$string($states.errorOutput)",
                Known::BEFORE,
                vec![field("errorOutput")],
            ),
            ("$states.inputs", Known::AFTER, vec![field("inputs")]),
        ] {
            assert_eq!(problems(text, known), want, "{text}");
        }
    }

    #[test]
    fn a_long_sum_is_walked() {
        let sum = format!("{}a", "1+".repeat(500));
        assert_eq!(problems(&sum, Known::AFTER).len(), 1);
    }

    #[test]
    fn placeholders_are_filled_later() {
        assert!(problems("${Expression}", Known::AFTER).is_empty());
        assert!(problems("'${A}' & ", Known::AFTER).is_empty());
        assert_eq!(problems("'${A}' & b", Known::AFTER).len(), 1);
    }
}
