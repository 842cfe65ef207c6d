//! Filters of a path: `[?(@.price < 10 && @.tags anyof ['a'])]`. Depth is bounded when parsed.
use super::{Part, parse, read::Walk};
use crate::number;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// Maximum nesting of parentheses, negations and filters in a filter.
pub(super) const MAX_NESTING: usize = 32;

#[derive(Debug, Clone)]
pub(crate) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare(Operand, Operator, Operand),
    Matches(Operand, regex::Regex),
}
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Literal(Value),
    /// `@…`: from the element.
    Element(Vec<Part>),
    /// `$…`: from the document.
    Document(Vec<Part>),
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    LessEqual,
    GreaterEqual,
    Less,
    Greater,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
}
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

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Filter {
    /// Parses from the opening parenthesis; gives back what follows the closing one. `depth` counts what is around it.
    pub(super) fn parse(text: &str, depth: usize) -> Option<(Self, &str)> {
        let inside = text.trim_start().strip_prefix('(')?;
        let (filter, rest) = or(inside, depth)?;
        Some((filter, rest.trim_start().strip_prefix(')')?))
    }

    pub(super) fn holds<'a>(
        &self,
        element: &'a Value,
        walk: &mut Walk<'a>,
    ) -> Result<bool, String> {
        Ok(match self {
            Self::Or(filters) => {
                for filter in filters {
                    if filter.holds(element, walk)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::And(filters) => {
                for filter in filters {
                    if !filter.holds(element, walk)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Not(filter) => !filter.holds(element, walk)?,
            Self::Exists(operand) => operand.read(element, walk)?.is_some(),
            Self::Compare(left, operator, right) => {
                let (left, right) = (left.read(element, walk)?, right.read(element, walk)?);
                match (left, right) {
                    (Some(left), Some(right)) => compare(&left, *operator, &right),
                    (None, None) => *operator == Operator::Equal,
                    _ => matches!(
                        operator,
                        Operator::Unequal | Operator::NotIn | Operator::NoneOf
                    ),
                }
            }
            Self::Matches(operand, pattern) => operand
                .read(element, walk)?
                .as_ref()
                .and_then(|v| v.as_str())
                .is_some_and(|s| pattern.is_match(s)),
        })
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(l), Value::Number(r)) => number::order(l, r),
        (Value::String(l), Value::String(r)) => Some(l.cmp(r)),
        _ => None,
    };
    let equal = order.map_or_else(|| left == right, |o| o == Ordering::Equal);
    let has = |list: &Value, item: &Value| {
        list.as_array()
            .is_some_and(|l| l.iter().any(|v| same(v, item)))
    };
    let any = || {
        left.as_array()
            .is_some_and(|l| l.iter().any(|v| has(right, v)))
    };
    match operator {
        Operator::Equal => equal,
        Operator::Unequal => !equal,
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessEqual => order.is_some_and(|o| o != Ordering::Greater),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterEqual => order.is_some_and(|o| o != Ordering::Less),
        Operator::In => has(right, left),
        Operator::NotIn => !has(right, left),
        Operator::SubsetOf => left
            .as_array()
            .is_some_and(|l| l.iter().all(|v| has(right, v))),
        Operator::AnyOf => any(),
        Operator::NoneOf => !any(),
        Operator::Size => length(left).is_some_and(|l| right.as_u64() == Some(l as u64)),
        Operator::Empty => length(left).is_some_and(|l| right.as_bool() == Some(l == 0)),
    }
}
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => number::equal(l, r),
        _ => left == right,
    }
}
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::String(text) => Some(text.chars().count()),
        _ => None,
    }
}

impl Operand {
    fn read<'a>(&self, element: &'a Value, walk: &mut Walk<'a>) -> Result<Option<Value>, String> {
        let (from, parts) = match self {
            Self::Literal(value) => return Ok(Some(value.clone())),
            Self::Element(parts) => (element, parts),
            Self::Document(parts) => (walk.root, parts),
        };
        // A filter within a filter walks the document again, while the first walk is under way.
        let found = json::with_room(|| {
            let found = walk.run(from, parts)?;
            walk.own(found)
        });
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if walk.visits == 0 => Err(error),
            Err(_) => Ok(None),
        }
    }
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
        // AWS takes a bare word for a string.
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
/// `/pattern/i`, in linear time and bounded size.
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
