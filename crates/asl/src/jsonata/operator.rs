//! Operators on two values. It evaluates only their two sides.

use std::rc::Rc;

use super::content::{Style, Walk};
use super::function::Frame;
use super::machine::Machine;
use super::node::Node;
use super::number::Number;
use super::value::{self, MAX_ITEMS, Value};
use super::wrong::{MEMORY, Outcome, Wrong};

impl<'a> Machine<'a> {
    pub(super) fn binary(
        &self,
        sign: &'static str,
        lhs: &'a Node,
        rhs: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let left = self.evaluate(lhs, input, frame)?;
        if let "and" | "or" = sign {
            let first = self.truthy(&left)?;
            if first == (sign == "or") {
                return Ok(Value::Bool(first));
            }
            let right = self.evaluate(rhs, input, frame)?;
            return Ok(Value::Bool(self.truthy(&right)?));
        }
        let right = self.evaluate(rhs, input, frame)?;
        self.operation(sign, &left, &right)
            .map_err(|wrong| wrong.token(sign))
    }

    fn operation(&self, sign: &str, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let missing = left.is_undefined() || right.is_undefined();
        Ok(match sign {
            "=" | "!=" => Value::Bool(!missing && self.equal(left, right)? == (sign == "=")),
            "&" => self.concatenated(left, right)?,
            "in" => {
                let mut found = false;
                if !missing {
                    let bytes = left.as_str().map_or(0, str::len);
                    for item in right.clone().into_items().iter() {
                        self.visit()?;
                        self.read(bytes)?;
                        found |= item.is_same(left);
                    }
                }
                Value::Bool(found)
            }
            ".." => self.range(left, right)?,
            "<" | "<=" | ">" | ">=" => self.comparison(sign, left, right)?,
            _ => {
                let number = |value: &Value<'a>, code| match value.as_number()? {
                    None if !value.is_undefined() => Err(Wrong::new(code).value(self.named(value))),
                    n => Ok(n),
                };
                let (left, right) = (number(left, "T2001")?, number(right, "T2002")?);
                let (Some(left), Some(right)) = (left, right) else {
                    return Ok(Value::Undefined);
                };
                Value::Number(match sign {
                    "+" => left.add(right),
                    "-" => left.subtract(right),
                    "*" => left.multiply(right),
                    "/" => left.divide(right),
                    _ => left.modulo(right),
                })
            }
        })
    }

    fn concatenated(&self, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let left = self.string_of(left, Style::Text)?;
        let right = self.string_of(right, Style::Text)?;
        let (left, right) = (
            left.as_str().unwrap_or_default(),
            right.as_str().unwrap_or_default(),
        );
        if left.len() + right.len() > value::MAX_BYTES {
            return Err(Wrong::bound(MEMORY));
        }
        self.text([left, right].concat())
    }

    fn range(&self, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let whole = |value: &Value<'a>, code| match value.any_number() {
            Some(n) if n.is_integer() => Ok(Some(n)),
            None if value.is_undefined() => Ok(None),
            _ => Err(Wrong::new(code).value(self.named(value))),
        };
        let (from, to) = (whole(left, "T2003")?, whole(right, "T2004")?);
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(Value::Undefined);
        };
        let (from, to) = (from.towards_zero(), to.towards_zero());
        if from > to {
            return Ok(Value::Undefined);
        }
        let count = i128::from(to) - i128::from(from) + 1;
        if count > 10_000_000 {
            return Err(Wrong::new("D2014").value(Number::of(count as f64).to_string()));
        }
        if count > MAX_ITEMS as i128 {
            return Err(Wrong::bound(MEMORY));
        }
        let items = (from..=to).map(|n| Value::Number(Number::Whole(n)));
        self.sequence(items.collect())
    }

    fn comparison(&self, sign: &str, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let comparable = |value: &Value<'a>| {
            value.is_undefined() || value.as_str().is_some() || value.any_number().is_some()
        };
        if !comparable(left) || !comparable(right) {
            return Err(Wrong::new("T2010"));
        }
        if left.is_undefined() || right.is_undefined() {
            return Ok(Value::Undefined);
        }
        let order = match (left.as_str(), right.as_str()) {
            (Some(left), Some(right)) => {
                self.read(left.len().min(right.len()))?;
                Some(left.encode_utf16().cmp(right.encode_utf16()))
            }
            (None, None) => match (left.any_number(), right.any_number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => None,
            },
            _ => {
                return Err(Wrong::new("T2009")
                    .value(self.named(left))
                    .other(self.named(right)));
            }
        };
        Ok(Value::Bool(order.is_some_and(|order| match sign {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        })))
    }
}
