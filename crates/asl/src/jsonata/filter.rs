//! Filters and sorts items.

use std::rc::Rc;

use super::content::Walk;
use super::function::Frame;
use super::machine::{Machine, context};
use super::node::{Node, NodeKind, Term};
use super::value::{Tuple, Tuples, Value};
use super::wrong::{Outcome, Wrong};

impl<'a> Machine<'a> {
    /// The items of a value that a predicate selects, by truth or by position.
    pub(super) fn filter(
        &self,
        predicate: &'a Node,
        input: Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        if let Value::Tuples(tuples) = &input
            && tuples.known
        {
            let of_tuple = |tuple: &Rc<Tuple<'a>>| (context(tuple), Some(Rc::clone(tuple)));
            let items = self.kept(predicate, &tuples.items, of_tuple, frame)?;
            return Ok(Value::Tuples(Tuples {
                items: Rc::new(items),
                known: true,
            }));
        }
        let items = input.into_items();
        if let NodeKind::Number(n) = &predicate.kind {
            let item = match position(n.floor().towards_zero(), items.len()) {
                Some(at) => items.get(at),
                None => Value::Undefined,
            };
            return match item {
                Value::Undefined => self.sequence(Vec::new()),
                array if array.is_array() => Ok(array),
                item => self.sequence(vec![item]),
            };
        }
        let mut kept = Vec::new();
        for (at, item) in items.iter().enumerate() {
            for _ in 0..self.times(predicate, &item, at, items.len(), frame)? {
                self.push(&mut kept, item.clone())?;
            }
        }
        self.sequence(kept)
    }

    pub(super) fn kept<T: Clone>(
        &self,
        predicate: &'a Node,
        items: &[T],
        seen: impl Fn(&T) -> (Value<'a>, Option<Rc<Tuple<'a>>>),
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Vec<T>> {
        if let NodeKind::Number(n) = &predicate.kind {
            let at = position(n.floor().towards_zero(), items.len());
            return Ok(at.map(|at| items[at].clone()).into_iter().collect());
        }
        let mut kept = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let (value, tuple) = seen(item);
            let inner = match tuple {
                Some(tuple) => self.tuple_frame(frame, &tuple),
                None => Rc::clone(frame),
            };
            for _ in 0..self.times(predicate, &value, at, items.len(), &inner)? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }

    /// Number of times that a predicate selects the item at an index.
    fn times(
        &self,
        predicate: &'a Node,
        item: &Value<'a>,
        at: usize,
        count: usize,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<usize> {
        let found = self.evaluate(predicate, item, frame)?;
        let named =
            |n: super::number::Number| position(n.floor().towards_zero(), count) == Some(at);
        if let Some(n) = found.as_number()? {
            return Ok(usize::from(named(n)));
        }
        if let Some(items) = found.items() {
            let mut times = 0;
            let mut all = true;
            for item in items.iter() {
                self.visit()?;
                match item.as_number()? {
                    Some(n) => times += usize::from(named(n)),
                    None => {
                        all = false;
                        break;
                    }
                }
            }
            if all {
                return Ok(times);
            }
        }
        self.truthy(&found).map(usize::from)
    }

    pub(super) fn sorted<T: Clone>(
        &self,
        terms: &'a [Term],
        items: Vec<T>,
        seen: impl Fn(&T) -> (Value<'a>, Option<Rc<Tuple<'a>>>),
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Vec<T>> {
        let value = |item: &T, term: &'a Term| {
            let (value, tuple) = seen(item);
            match tuple {
                Some(tuple) => {
                    self.evaluate(&term.expression, &value, &self.tuple_frame(frame, &tuple))
                }
                None => self.evaluate(&term.expression, &value, frame),
            }
        };
        self.merge_sort(items, &mut |a, b| {
            for term in terms {
                let (a, b) = (value(a, term)?, value(b, term)?);
                let order = match (a.is_undefined(), b.is_undefined()) {
                    (true, true) => continue,
                    (true, false) => return Ok(true),
                    (false, true) => return Ok(false),
                    (false, false) => order(self, &a, &b)?,
                };
                if order.is_ne() {
                    return Ok(order.is_gt() != term.descending);
                }
            }
            Ok(false)
        })
    }

    /// Sorts by a function that says whether its first argument belongs after its second.
    pub(super) fn merge_sort<T: Clone>(
        &self,
        items: Vec<T>,
        after: &mut dyn FnMut(&T, &T) -> Outcome<bool>,
    ) -> Outcome<Vec<T>> {
        if items.len() <= 1 {
            return Ok(items);
        }
        let mut left = items;
        let right = left.split_off(left.len() / 2);
        let left = self.merge_sort(left, after)?;
        let right = self.merge_sort(right, after)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            self.visit()?;
            let next = if after(a, b)? {
                right.next()
            } else {
                left.next()
            };
            merged.extend(next);
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }
}

/// The index for a number; negative numbers count from the end.
fn position(n: i64, count: usize) -> Option<usize> {
    let at = if n < 0 {
        n.checked_add(i64::try_from(count).ok()?)?
    } else {
        n
    };
    usize::try_from(at).ok().filter(|at| *at < count)
}

fn order<'a>(machine: &Machine<'a>, a: &Value<'a>, b: &Value<'a>) -> Outcome<std::cmp::Ordering> {
    let orders = |value: &Value<'a>| value.as_str().is_some() || value.any_number().is_some();
    if !orders(a) || !orders(b) {
        return Err(Wrong::new("T2008"));
    }
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => Ok(a.encode_utf16().cmp(b.encode_utf16())),
        (None, None) => Ok(match (a.any_number(), b.any_number()) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
            _ => std::cmp::Ordering::Equal,
        }),
        _ => Err(Wrong::new("T2007")
            .value(machine.named(a))
            .other(machine.named(b))),
    }
}
