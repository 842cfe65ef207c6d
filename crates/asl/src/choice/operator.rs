//! Comparison operators of Choice rules: their names, operands and semantics.

use std::cmp::Ordering;

use serde_json::Value;

use crate::timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Is(Is),
    Order(OperandType, Relation),
    Matches,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Null,
    Present,
    String,
    Numeric,
    Boolean,
    Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperandType {
    String,
    Numeric,
    Timestamp,
    Boolean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equals,
    LessThan,
    GreaterThan,
    LessThanEquals,
    GreaterThanEquals,
}

impl Operator {
    /// The operator that a field names, and whether its operand is a path.
    pub(super) fn parse(name: &str) -> Option<(Self, bool)> {
        let is = |is| Some((Self::Is(is), false));
        match name {
            "IsNull" => return is(Is::Null),
            "IsPresent" => return is(Is::Present),
            "IsString" => return is(Is::String),
            "IsNumeric" => return is(Is::Numeric),
            "IsBoolean" => return is(Is::Boolean),
            "IsTimestamp" => return is(Is::Timestamp),
            "StringMatches" => return Some((Self::Matches, false)),
            _ => {}
        }
        let (name, path) = match name.strip_suffix("Path") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (kind, relation) = [
            ("String", OperandType::String),
            ("Numeric", OperandType::Numeric),
            ("Timestamp", OperandType::Timestamp),
            ("Boolean", OperandType::Boolean),
        ]
        .into_iter()
        .find_map(|(prefix, kind)| Some((kind, name.strip_prefix(prefix)?)))?;
        let relation = match relation {
            "Equals" => Relation::Equals,
            _ if kind == OperandType::Boolean => return None,
            "LessThan" => Relation::LessThan,
            "GreaterThan" => Relation::GreaterThan,
            "LessThanEquals" => Relation::LessThanEquals,
            "GreaterThanEquals" => Relation::GreaterThanEquals,
            _ => return None,
        };
        Some((Self::Order(kind, relation), path))
    }

    /// The problem of a literal operand, if there is one.
    pub(super) fn refuses(self, operand: &Value) -> Option<&'static str> {
        let (good, want) = match self {
            Self::Is(_) | Self::Order(OperandType::Boolean, _) => {
                (operand.is_boolean(), "Expected value of type Boolean")
            }
            Self::Matches | Self::Order(OperandType::String, _) => {
                (operand.is_string(), "Expected value of type String")
            }
            Self::Order(OperandType::Numeric, _) => {
                (operand.is_number(), "Expected value of type Number")
            }
            Self::Order(OperandType::Timestamp, _) => (
                operand
                    .as_str()
                    .is_some_and(|s| timestamp::parse(s).is_some()),
                "String does not match RFC3339 timestamp",
            ),
        };
        (!good).then_some(want)
    }
}

pub(super) fn test(operator: Operator, left: &Value, right: &Value) -> bool {
    let time = |v: &Value| v.as_str().and_then(timestamp::parse);
    let (kind, relation) = match operator {
        Operator::Is(is) => {
            let holds = match is {
                Is::Null => left.is_null(),
                Is::Present => true,
                Is::String => left.is_string(),
                Is::Numeric => left.is_number(),
                Is::Boolean => left.is_boolean(),
                Is::Timestamp => time(left).is_some(),
            };
            return Some(holds) == right.as_bool();
        }
        Operator::Matches => {
            return left
                .as_str()
                .zip(right.as_str())
                .is_some_and(|(l, r)| matches(r, l));
        }
        Operator::Order(kind, relation) => (kind, relation),
    };
    let order = match kind {
        OperandType::String => left.as_str().zip(right.as_str()).map(|(l, r)| l.cmp(r)),
        OperandType::Numeric => left
            .as_number()
            .zip(right.as_number())
            .and_then(|(l, r)| crate::number::order(l, r)),
        OperandType::Timestamp => time(left).zip(time(right)).map(|(l, r)| l.cmp(&r)),
        OperandType::Boolean => left.as_bool().zip(right.as_bool()).map(|(l, r)| l.cmp(&r)),
    };
    order.is_some_and(|order| match relation {
        Relation::Equals => order == Ordering::Equal,
        Relation::LessThan => order == Ordering::Less,
        Relation::GreaterThan => order == Ordering::Greater,
        Relation::LessThanEquals => order != Ordering::Greater,
        Relation::GreaterThanEquals => order != Ordering::Less,
    })
}

/// Matches a pattern: `*` is any run of characters, `\*` an asterisk, `\\` a backslash. It
/// backtracks to the last asterisk only, so its cost is at most the product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => None,
            '\\' => Some(chars.next().unwrap_or('\\')),
            c => Some(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut p, mut back) = (0, 0, None);
    while t < text.len() {
        match tokens.get(p) {
            Some(None) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Some(c)) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((bp, bt)) => {
                    p = bp + 1;
                    t = bt + 1;
                    back = Some((bp, bt + 1));
                }
                None => return false,
            },
        }
    }
    tokens[p..].iter().all(Option::is_none)
}
