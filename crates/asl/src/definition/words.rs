//! The messages of JSONata for an expression that cannot be read, as JSONata writes them: without their code, with tokens as they stand in
//! the text. The library finds the same mistakes and words some of them in its own way.

/// JSONata's message for what the library says of a text.
pub(super) fn in_words(why: &str, text: &str) -> String {
    let message = without_code(why);
    if message.starts_with("String literal must be terminated")
        && Scan::of(text).open == Some(Open::Regex)
    {
        return "No terminating / in regular expression".to_owned();
    }
    if message.starts_with("Unclosed comment") {
        return "Comment has no closing tag".to_owned();
    }
    if message.starts_with("Unexpected end of expression") {
        return match Scan::of(text).expected {
            Some(closing) => format!("Expected \"{closing}\" before end of expression"),
            None => message.to_owned(),
        };
    }
    if message.starts_with("Parameter of function definition") {
        let at = parameter(text).map_or_else(String::new, |at| format!(" {at}"));
        return message.replacen("Parameter", &format!("Parameter{at}"), 1);
    }
    if let Some(operator) = message.strip_prefix("Expected a variable reference after ") {
        return format!("The right side of \"{operator}\" must be a variable name (start with $)");
    }
    if let Some((expected, got)) = message
        .strip_prefix("Expected ")
        .and_then(|rest| rest.split_once(", got "))
    {
        return format!("Expected {}, got {}", lexeme(expected), lexeme(got));
    }
    // The token stands between these.
    for (before, after) in [
        ("The symbol ", " cannot be used as a unary operator"),
        ("Unknown operator: ", ""),
        ("Syntax error: ", ""),
        ("Number out of range: ", ""),
        ("Unsupported escape sequence: \\", ""),
        ("Expected ", " before end of expression"),
    ] {
        let token = message.strip_prefix(before);
        if let Some(token) = token.and_then(|rest| rest.strip_suffix(after)) {
            return format!("{before}{}{after}", lexeme(token));
        }
    }
    message.to_owned()
}

/// A message without the library's own words before it and without JSONata's code.
fn without_code(why: &str) -> &str {
    let mut message = why;
    while let Some((first, rest)) = message.split_once(": ") {
        let code = first.len() == 5
            && first.starts_with('S')
            && first[1..].bytes().all(|byte| byte.is_ascii_digit());
        let own = ["Invalid syntax", "Invalid number", "Parse error"].contains(&first);
        if !code && !own {
            break;
        }
        message = rest;
    }
    message
}

/// A token as it stands in the text, in quotes unless it is a number or a constant.
fn lexeme(token: &str) -> String {
    const NAMES: [(&str, &str); 36] = [
        ("Plus", "+"),
        ("Minus", "-"),
        ("Star", "*"),
        ("StarStar", "**"),
        ("Slash", "/"),
        ("Percent", "%"),
        ("Equal", "="),
        ("NotEqual", "!="),
        ("LessThan", "<"),
        ("LessThanOrEqual", "<="),
        ("GreaterThan", ">"),
        ("GreaterThanOrEqual", ">="),
        ("And", "and"),
        ("Or", "or"),
        ("In", "in"),
        ("Ampersand", "&"),
        ("Dot", "."),
        ("DotDot", ".."),
        ("Question", "?"),
        ("QuestionQuestion", "??"),
        ("QuestionColon", "?:"),
        ("Colon", ":"),
        ("ColonEqual", ":="),
        ("TildeArrow", "~>"),
        ("LeftParen", "("),
        ("RightParen", ")"),
        ("LeftBracket", "["),
        ("RightBracket", "]"),
        ("LeftBrace", "{"),
        ("RightBrace", "}"),
        ("Comma", ","),
        ("Semicolon", ";"),
        ("Caret", "^"),
        ("Pipe", "|"),
        ("Hash", "#"),
        ("At", "@"),
    ];
    if let Some((_, symbol)) = NAMES.iter().find(|(name, _)| *name == token) {
        return format!("\"{symbol}\"");
    }
    if matches!(token, "True" | "False" | "Null") {
        return token.to_lowercase();
    }
    let (kind, inside) = match token.split_once('(') {
        Some((kind, rest)) => (kind, rest.strip_suffix(')').unwrap_or(rest)),
        None => ("", token),
    };
    match kind {
        "Number" => inside.strip_suffix(".0").unwrap_or(inside).to_owned(),
        "Identifier" | "String" | "Variable" | "Function" => inside.to_owned(),
        _ => format!("\"{token}\""),
    }
}

/// The number, from 1, of the first parameter of a function definition that is no variable.
fn parameter(text: &str) -> Option<usize> {
    let starts = text
        .match_indices("function")
        .chain(text.match_indices('λ'))
        .map(|(at, word)| &text[at + word.len()..]);
    starts
        .filter_map(|rest| rest.trim_start().strip_prefix('(')?.split_once(')'))
        .find_map(|(parameters, _)| {
            let mut parameters = parameters.split(',').map(str::trim);
            parameters.position(|name| !name.starts_with('$') && !name.is_empty())
        })
        .map(|at| at + 1)
}

/// What a text leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Regex,
}
struct Scan {
    /// A literal without its end.
    open: Option<Open>,
    /// What the innermost open bracket lacks.
    expected: Option<char>,
}
impl Scan {
    fn of(text: &str) -> Self {
        let mut chars = text.chars().peekable();
        // Brackets that are open, with what they lack.
        let mut brackets: Vec<char> = Vec::new();
        // Whether a `/` divides: it stands after a value.
        let mut value = false;
        let mut last = ' ';
        while let Some(c) = chars.next() {
            match c {
                '"' | '\'' | '`' => {
                    if !close(&mut chars, c) {
                        return Self::literal(Open::Text);
                    }
                    value = true;
                }
                '/' if chars.peek() == Some(&'*') => {
                    let mut star = false;
                    chars.next();
                    for c in chars.by_ref() {
                        if star && c == '/' {
                            break;
                        }
                        star = c == '*';
                    }
                }
                '/' if !value => {
                    if !close(&mut chars, '/') {
                        return Self::literal(Open::Regex);
                    }
                    value = true;
                }
                c if c.is_whitespace() => continue,
                c => {
                    match c {
                        '(' => brackets.push(')'),
                        '[' => brackets.push(']'),
                        '{' => brackets.push(':'),
                        ')' | ']' | '}' => {
                            brackets.pop();
                        }
                        // A group has keys and values by turns.
                        ':' if brackets.last() == Some(&':') => {
                            brackets.pop();
                            brackets.push('}');
                        }
                        ',' if brackets.last() == Some(&'}') => {
                            brackets.pop();
                            brackets.push(':');
                        }
                        _ => {}
                    }
                    value = c.is_alphanumeric() || matches!(c, '_' | '$' | ')' | ']' | '}');
                }
            }
            last = c;
        }
        Self {
            open: None,
            expected: if last == '^' {
                Some('(')
            } else {
                brackets.last().copied()
            },
        }
    }
    fn literal(open: Open) -> Self {
        Self {
            open: Some(open),
            expected: None,
        }
    }
}
/// Reads to the end of a literal; whether it has one.
fn close(chars: &mut impl Iterator<Item = char>, quote: char) -> bool {
    while let Some(c) = chars.next() {
        if c == quote {
            return true;
        }
        if c == '\\' {
            chars.next();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::expression::{Known, parse};

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
