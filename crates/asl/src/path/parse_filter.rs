//! Parses filters of a path: `[?(@.price < 10 && @.tags anyof ['a'])]`.

use serde_json::{Number, Value};

use super::model::{Filter, Operand, Operator};
use super::parse;

/// Maximum nesting of parentheses, negations and filters in a filter.
pub(super) const MAX_NESTING: usize = 32;

const OPERATORS: [(&str, Operator); 13] = [
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::LessEqual),
    (">=", Operator::GreaterEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("in ", Operator::In),
    ("nin ", Operator::NotIn),
    ("subsetof ", Operator::SubsetOf),
    ("anyof ", Operator::AnyOf),
    ("noneof ", Operator::NoneOf),
    ("size ", Operator::Size),
    ("empty ", Operator::Empty),
];

/// Parses from the opening parenthesis, and returns the text behind the closing one. `depth` is the
/// number of enclosing filters and parentheses.
pub(super) fn filter(text: &str, depth: usize) -> Option<(Filter, &str)> {
    let inside = text.trim_start().strip_prefix('(')?;
    let (filter, rest) = or(inside, depth)?;
    Some((filter, rest.trim_start().strip_prefix(')')?))
}

fn or(text: &str, depth: usize) -> Option<(Filter, &str)> {
    list(text, "||", depth, and, Filter::Or)
}

fn and(text: &str, depth: usize) -> Option<(Filter, &str)> {
    list(text, "&&", depth, unary, Filter::And)
}

type Parser = fn(&str, usize) -> Option<(Filter, &str)>;

fn list<'a>(
    text: &'a str,
    between: &str,
    depth: usize,
    item: Parser,
    join: fn(Vec<Filter>) -> Filter,
) -> Option<(Filter, &'a str)> {
    let (first, mut rest) = item(text, depth)?;
    let mut filters = vec![first];
    while let Some(after) = rest.trim_start().strip_prefix(between) {
        let (next, tail) = item(after, depth)?;
        filters.push(next);
        rest = tail;
    }
    let filter = if filters.len() == 1 {
        filters.remove(0)
    } else {
        join(filters)
    };
    Some((filter, rest))
}

fn unary(text: &str, depth: usize) -> Option<(Filter, &str)> {
    if depth > MAX_NESTING {
        return None;
    }
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('!') {
        let (filter, rest) = unary(rest, depth + 1)?;
        return Some((Filter::Not(Box::new(filter)), rest));
    }
    if let Some(rest) = text.strip_prefix('(') {
        let (filter, rest) = or(rest, depth + 1)?;
        return Some((filter, rest.trim_start().strip_prefix(')')?));
    }
    let (left, rest) = operand(text, depth)?;
    let after = rest.trim_start();
    if let Some(pattern) = after.strip_prefix("=~") {
        let (pattern, rest) = regex(pattern.trim_start())?;
        return Some((Filter::Matches(left, pattern), rest));
    }
    for (symbol, operator) in OPERATORS {
        if let Some(rest) = after.strip_prefix(symbol) {
            let (right, rest) = operand(rest.trim_start(), depth)?;
            return Some((Filter::Compare(left, operator, right), rest));
        }
    }
    (!matches!(left, Operand::Literal(_))).then_some((Filter::Exists(left), rest))
}

fn operand(text: &str, depth: usize) -> Option<(Operand, &str)> {
    if let Some(rest) = text.strip_prefix('@') {
        let (parts, function, rest) = parse::parts(rest, depth + 1)?;
        return function
            .is_none()
            .then_some((Operand::Element(parts), rest));
    }
    if let Some(rest) = text.strip_prefix('$') {
        let (parts, function, rest) = parse::parts(rest, depth + 1)?;
        return function
            .is_none()
            .then_some((Operand::Document(parts), rest));
    }
    let (value, rest) = literal(text)?;
    Some((Operand::Literal(value), rest))
}

fn literal(text: &str) -> Option<(Value, &str)> {
    if text.starts_with(['\'', '"']) {
        let (text, rest) = parse::quoted(text)?;
        return Some((Value::String(text), rest));
    }
    for (word, value) in [
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
        ("null", Value::Null),
    ] {
        if let Some(rest) = text.strip_prefix(word)
            && !rest.starts_with(|c: char| c.is_alphanumeric())
        {
            return Some((value, rest));
        }
    }
    if let Some(inside) = text.strip_prefix('[') {
        let mut items = Vec::new();
        let mut rest = inside.trim_start();
        if let Some(rest) = rest.strip_prefix(']') {
            return Some((Value::Array(items), rest));
        }
        loop {
            if rest.starts_with('[') {
                return None;
            }
            let (item, tail) = literal(rest)?;
            items.push(item);
            let tail = tail.trim_start();
            match tail.strip_prefix(',') {
                Some(tail) => rest = tail.trim_start(),
                None => return Some((Value::Array(items), tail.strip_prefix(']')?)),
            }
        }
    }
    if text.starts_with(|c: char| c.is_alphabetic()) {
        // AWS accepts a bare word as a string.
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(text.len());
        return Some((Value::String(text[..end].to_owned()), &text[end..]));
    }
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')))
        .unwrap_or(text.len());
    let number: Number = serde_json::from_str(&text[..end]).ok()?;
    Some((Value::Number(number), &text[end..]))
}

/// `/pattern/i`, with linear time and bounded size.
fn regex(text: &str) -> Option<(regex::Regex, &str)> {
    let inside = text.strip_prefix('/')?;
    let mut escaped = false;
    let end = inside.find(|c| {
        let stop = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        stop
    })?;
    let (pattern, rest) = (&inside[..end], &inside[end + 1..]);
    let (insensitive, rest) = match rest.strip_prefix('i') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let pattern = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .case_insensitive(insensitive)
        .size_limit(1 << 20)
        .build()
        .ok()?;
    Some((pattern, rest))
}
