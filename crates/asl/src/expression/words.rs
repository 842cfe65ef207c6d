//! JSONata's messages for an expression that does not parse, as AWS writes them: without their
//! code.

/// A message without JSONata's code.
pub(super) fn in_words(why: &str) -> String {
    let coded = why.split_once(": ").filter(|(code, _)| {
        code.len() == 5
            && code.starts_with('S')
            && code[1..].bytes().all(|byte| byte.is_ascii_digit())
    });
    coded.map_or(why, |(_, message)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use crate::expression::{Known, parse};

    #[test]
    fn each_message_equals_that_of_jsonata() {
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
