//! Static checks of a JSONata expression: whether it parses, and whether it names only data that
//! exists. It evaluates nothing.
//!
//! An expression has no context item: the input is `$states.input`, a variable is `$name`. Only the
//! first step of a path is read from the context item. Later steps, predicates, sort terms and
//! groups are read from the value before them. `words` has the messages of JSONata.

mod words;

use crate::jsonata::{Jsonata, Reference, is_expression};
use crate::substitution::has_placeholder;
use words::in_words;

/// The code of an expression that does not parse.
pub(crate) const INVALID: &str = "INVALID_JSONATA_EXPRESSION";
/// The code of an expression that names data that does not exist.
pub(crate) const UNSUPPORTED: &str = "UNSUPPORTED_JSONATA_EXPRESSION";

/// The fields of `$states` that exist besides `input` and `context` at the location of an
/// expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) result: bool,
    pub(crate) error: bool,
}

impl Known {
    /// Before the work of the state.
    pub(crate) const BEFORE: Self = Self {
        result: false,
        error: false,
    };

    /// After the work of the state.
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

/// Parses a text for which `is_expression` holds. An expression that names unknown data still
/// parses.
pub(crate) fn parse(text: &str, known: Known) -> (Option<Jsonata>, Vec<Refused>) {
    match Jsonata::parse(text) {
        Ok(parsed) => {
            let refused = refusals(&parsed, known);
            (Some(parsed), refused)
        }
        // A deployment tool has yet to write a part of it.
        Err(_) if has_placeholder(text) => (Jsonata::parse("{% null %}").ok(), Vec::new()),
        Err(why) => (None, vec![(INVALID, in_words(&why))]),
    }
}

/// Whether a text has only one of the two delimiters of an expression.
pub(crate) fn is_half_open(text: &str) -> bool {
    text.starts_with("{%") != text.ends_with("%}")
}

/// The message for a text with only one delimiter.
pub(crate) const HALF_OPEN: &str = "JSONata string must start with {% and end with %}";
/// Whether white space around a text turns an expression into a constant.
pub(crate) fn is_set_apart(text: &str) -> bool {
    !is_expression(text) && is_expression(text.trim())
}

/// One problem for each distinct unknown name, in the order of the text.
fn refusals(parsed: &Jsonata, known: Known) -> Vec<Refused> {
    let mut found: Vec<Refused> = Vec::new();
    for reference in parsed.references() {
        let at_the_top =
            |name: &str| format!("Reference to '{name}' at the top level is not supported.");
        let message = match reference {
            Reference::Name(name) => at_the_top(&name),
            Reference::Context => at_the_top("$"),
            Reference::Root => "Reference to '$$' is not supported.".to_owned(),
            Reference::State(field) => {
                let there = match field.as_str() {
                    "input" | "context" => true,
                    "result" => known.result,
                    "errorOutput" => known.error,
                    _ => false,
                };
                if there {
                    continue;
                }
                format!("Field '$states.{field}' does not exist.")
            }
        };
        if !found.iter().any(|(_, known)| *known == message) {
            found.push((UNSUPPORTED, message));
        }
    }
    found
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
    fn unknown_names_are_refused() {
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
    fn a_long_sum_is_checked_without_overflow() {
        let sum = format!("{}a", "1+".repeat(500));
        assert_eq!(problems(&sum, Known::AFTER).len(), 1);
    }

    #[test]
    fn an_expression_with_a_placeholder_is_accepted() {
        assert!(problems("${Expression}", Known::AFTER).is_empty());
        assert!(problems("'${A}' & ", Known::AFTER).is_empty());
        assert_eq!(problems("'${A}' & b", Known::AFTER).len(), 1);
    }
}
