//! Decides whether a filter of a path holds for an element.

use std::cmp::Ordering;

use serde_json::Value;

use super::model::{Filter, Operand, Operator};
use super::read::Walk;
use crate::number;

impl Filter {
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
        // A filter within a filter walks the document again, inside the first walk.
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
