//! What can be known of a JSONata expression before it runs: whether it can be read, in the words of JSONata's own messages, and whether it
//! names only what is there. It evaluates nothing.
//!
//! An expression has no context item: the input is `$states.input`, a variable `$name`.
use super::substitution::has_placeholder;
use crate::jsonata::{Jsonata, Named, is_expression};

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
            let refused = refusals(&parsed, known);
            (Some(parsed), refused)
        }
        // A deployment tool will write what cannot be read yet.
        Err(_) if has_placeholder(text) => (Jsonata::parse("{% null %}").ok(), Vec::new()),
        Err(why) => (None, vec![(INVALID, without_code(&why).to_owned())]),
    }
}

/// A message of JSONata without its code, as AWS reports it.
fn without_code(message: &str) -> &str {
    match message.split_once(": ") {
        Some((code, rest)) if code.len() == 5 && code.starts_with('S') => rest,
        _ => message,
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

/// One problem for each distinct name that is not there, in the order of the text.
fn refusals(parsed: &Jsonata, known: Known) -> Vec<Refused> {
    let mut found: Vec<Refused> = Vec::new();
    for name in parsed.names() {
        if let Some(message) = missing(name, known)
            && !found.iter().any(|(_, known)| *known == message)
        {
            found.push((UNSUPPORTED, message));
        }
    }
    found
}

/// What is wrong with a name, if it is not there.
fn missing(name: Named<'_>, known: Known) -> Option<String> {
    let at_the_top = |name: &str| {
        Some(format!(
            "Reference to '{name}' at the top level is not supported."
        ))
    };
    let there = match name {
        Named::Field(name) => return at_the_top(name),
        Named::Context => return at_the_top("$"),
        Named::Root => return Some("Reference to '$$' is not supported.".to_owned()),
        Named::State("input" | "context") => true,
        Named::State("result") => known.result,
        Named::State("errorOutput") => known.error,
        Named::State(_) => false,
    };
    match name {
        Named::State(field) if !there => Some(format!("Field '$states.{field}' does not exist.")),
        _ => None,
    }
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
        let sum = format!("{}a", "1+".repeat(200));
        assert_eq!(problems(&sum, Known::AFTER).len(), 1);
    }

    #[test]
    fn placeholders_are_filled_later() {
        assert!(problems("${Expression}", Known::AFTER).is_empty());
        assert!(problems("'${A}' & ", Known::AFTER).is_empty());
        assert_eq!(problems("'${A}' & b", Known::AFTER).len(), 1);
    }

    #[test]
    fn each_message_is_jsonatas() {
        for (text, words) in [
            (
                "\"unterminated",
                "String literal must be terminated by a matching quote",
            ),
            (
                "$a / 2 & \"b",
                "String literal must be terminated by a matching quote",
            ),
            ("1e400", "Number out of range: \"1e400\""),
            ("\"\\q\"", "Unsupported escape sequence: \\\"q\""),
            (
                "\"\\u12g4\"",
                "The escape sequence \\u must be followed by 4 hex digits",
            ),
            (
                "`a",
                "Quoted property name must be terminated with a backquote (`)",
            ),
            ("1 /* a", "Comment has no closing tag"),
            ("$a $b", "Syntax error: \"b\""),
            ("1 2", "Syntax error: 2"),
            ("$x true", "Syntax error: true"),
            ("$a[1,2)", "Expected \"]\", got \",\""),
            (
                "[1 \"zz at /States/X\"]",
                "Expected \"]\", got \"zz at /States/X\"",
            ),
            ("{\"a\" 1}", "Expected \":\", got 1"),
            ("$f(1", "Expected \")\" before end of expression"),
            ("$f($a,", "Expected \")\" before end of expression"),
            ("(1 +", "Expected \")\" before end of expression"),
            ("$a[", "Expected \"]\" before end of expression"),
            ("$a^", "Expected \"(\" before end of expression"),
            ("{1", "Expected \":\" before end of expression"),
            ("$a ! $b", "Unknown operator: \"!\""),
            ("1 +", "Unexpected end of expression"),
            ("$x :=", "Unexpected end of expression"),
            ("", "Unexpected end of expression"),
            (
                "function($a, b){1}",
                "Parameter 2 of function definition must be a variable name (start with $)",
            ),
            (
                "$o{'a':1}[0]",
                "A predicate cannot follow a grouping expression in a step",
            ),
            (
                "$o{'a':1}{'b':2}",
                "Each step can only have one grouping expression",
            ),
            (
                "{\"a\":}",
                "The symbol \"}\" cannot be used as a unary operator",
            ),
            (
                "phone %.other",
                "The symbol \".\" cannot be used as a unary operator",
            ),
            (
                "$a.b.5",
                "The literal value 5 cannot be used as a step within a path expression",
            ),
            (
                "$a @ 1",
                "The right side of \"@\" must be a variable name (start with $)",
            ),
            (
                "$a[0]@$v",
                "A context variable binding must precede any predicates on a step",
            ),
            (
                "$a^(b)@$v",
                "A context variable binding must precede the 'order-by' clause on a step",
            ),
            (
                "%",
                "The object representing the 'parent' cannot be derived from this expression",
            ),
            (
                "$match(\"a\", /abc",
                "No terminating / in regular expression",
            ),
            (
                "function($x)<n<n>>{1}",
                "Type parameters can only be applied to functions and arrays",
            ),
            (
                "function($x)<(n<s>)>{1}",
                "Choice groups containing parameterized types are not supported",
            ),
        ] {
            let (_, refused) = parse(&format!("{{% {text} %}}"), Known::AFTER);
            let want = [("INVALID_JSONATA_EXPRESSION", words.to_owned())];
            assert_eq!(refused, want, "{text}");
        }
    }
}
