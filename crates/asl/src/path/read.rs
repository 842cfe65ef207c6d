//! Walks a value along a path. The work is bounded: a path that visits too many values ends with an
//! error.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::model::{Function, Part, Path, Root, position};
use crate::number::integer;
use crate::scope::Scope;

/// Maximum number of values that one path visits or copies.
pub(super) const MAX_VISITS: usize = 1_000_000;

impl Path {
    /// The value that the path names. A path that can name several values gives a list.
    ///
    /// The error is AWS's text for a missing value.
    pub(crate) fn read<'a>(&self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, String> {
        let root: &'a Value = match &self.root {
            Root::Input => scope.input,
            Root::Context => scope.context.value(),
            Root::Variable(name) => scope
                .variables
                .get(name)
                .ok_or_else(|| format!("Variable ${name} is not defined"))?,
        };
        let found = Walk {
            root,
            visits: MAX_VISITS,
        }
        .run(root, &self.parts)?;
        match self.function {
            None => Ok(found),
            Some(function) => apply(function, &found)
                .map(Cow::Owned)
                .ok_or_else(|| format!("The function of {} cannot be applied", self.text)),
        }
    }
}

/// One walk: the document that `$` means in filters, and the remaining visits.
pub(super) struct Walk<'a> {
    pub(super) root: &'a Value,
    pub(super) visits: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn run(
        &mut self,
        value: &'a Value,
        parts: &[Part],
    ) -> Result<Cow<'a, Value>, String> {
        let definite = parts
            .iter()
            .all(|p| matches!(p, Part::Field(_) | Part::Index(_) | Part::Fields(_)));
        let mut out = Vec::new();
        self.step(value, parts, 0, definite, &mut out)?;
        if definite {
            return out
                .pop()
                .ok_or_else(|| format!("No results for path: {}", shown(parts)));
        }
        let mut items = Vec::with_capacity(out.len());
        for found in out {
            items.push(self.own(found)?);
        }
        Ok(Cow::Owned(Value::Array(items)))
    }

    /// A copy of a found value, unless it is already owned. The values of the copy count as visits,
    /// since many overlapping finds add up.
    pub(super) fn own(&mut self, found: Cow<'a, Value>) -> Result<Value, String> {
        if let Cow::Borrowed(value) = found {
            let mut open = vec![value];
            while let Some(value) = open.pop() {
                self.visit()?;
                match value {
                    Value::Array(items) => open.extend(items),
                    Value::Object(map) => open.extend(map.values()),
                    _ => {}
                }
            }
        }
        Ok(found.into_owned())
    }

    fn visit(&mut self) -> Result<(), String> {
        self.visits = self
            .visits
            .checked_sub(1)
            .ok_or("The path visits too many values")?;
        Ok(())
    }

    fn step(
        &mut self,
        value: &'a Value,
        parts: &[Part],
        at: usize,
        definite: bool,
        out: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), String> {
        self.visit()?;
        let Some(part) = parts.get(at) else {
            out.push(Cow::Borrowed(value));
            return Ok(());
        };
        match part {
            Part::Field(name) => self.field(value, name, parts, at, definite, out)?,
            Part::Fields(names) => self.fields(value, names, parts, at, definite, out)?,
            Part::Index(_) | Part::Indexes(_) | Part::Slice(..) => {
                self.elements(value, part, parts, at, definite, out)?;
            }
            Part::Wildcard => match value {
                Value::Array(items) => {
                    for next in items {
                        self.step(next, parts, at + 1, false, out)?;
                    }
                }
                Value::Object(map) => {
                    for next in map.values() {
                        self.step(next, parts, at + 1, false, out)?;
                    }
                }
                _ => {}
            },
            Part::Filter(filter) => match value {
                Value::Array(items) => {
                    for next in items {
                        if filter.holds(next, self)? {
                            self.step(next, parts, at + 1, false, out)?;
                        }
                    }
                }
                Value::Object(_) if filter.holds(value, self)? => {
                    self.step(value, parts, at + 1, false, out)?;
                }
                _ => {}
            },
            Part::Descent => self.descend(value, parts, at, out)?,
        }
        Ok(())
    }

    fn field(
        &mut self,
        value: &'a Value,
        name: &str,
        parts: &[Part],
        at: usize,
        definite: bool,
        out: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), String> {
        match value {
            Value::Object(map) => match map.get(name) {
                Some(next) => self.step(next, parts, at + 1, definite, out),
                None if definite && at + 1 < parts.len() => Err(format!(
                    "Missing property in path {}['{name}']",
                    shown(&parts[..at])
                )),
                None => Ok(()),
            },
            _ if definite => Err(format!(
                "Expected to find an object with property ['{name}'] in path {} but found '{}'",
                shown(&parts[..at]),
                kind(value)
            )),
            _ => Ok(()),
        }
    }

    fn fields(
        &mut self,
        value: &'a Value,
        names: &[String],
        parts: &[Part],
        at: usize,
        definite: bool,
        out: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), String> {
        let Value::Object(map) = value else {
            return if definite {
                Err(format!(
                    "Expected to find an object in path {} but found '{}'",
                    shown(&parts[..at]),
                    kind(value)
                ))
            } else {
                Ok(())
            };
        };
        if at + 1 == parts.len() {
            let chosen: Map<String, Value> = names
                .iter()
                .filter_map(|n| Some((n.clone(), map.get(n)?.clone())))
                .collect();
            out.push(Cow::Owned(Value::Object(chosen)));
        } else {
            for next in names.iter().filter_map(|n| map.get(n)) {
                self.step(next, parts, at + 1, false, out)?;
            }
        }
        Ok(())
    }

    /// The elements of an array that `part` selects: an index, indexes or a slice.
    fn elements(
        &mut self,
        value: &'a Value,
        part: &Part,
        parts: &[Part],
        at: usize,
        definite: bool,
        out: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), String> {
        let Value::Array(items) = value else {
            return if definite {
                Err(format!(
                    "Filter: {} can only be applied to arrays. Current context is: {value}",
                    shown_part(part)
                ))
            } else {
                Ok(())
            };
        };
        match part {
            Part::Index(index) => {
                if let Some(next) = position(*index, items.len()) {
                    self.step(&items[next], parts, at + 1, definite, out)?;
                }
            }
            Part::Indexes(indexes) => {
                for next in indexes.iter().filter_map(|i| position(*i, items.len())) {
                    self.step(&items[next], parts, at + 1, false, out)?;
                }
            }
            Part::Slice(from, to) => {
                let length = items.len() as i64;
                let bound = |b: i64| (if b < 0 { b + length } else { b }).clamp(0, length) as usize;
                let (from, to) = (bound(from.unwrap_or(0)), bound(to.unwrap_or(length)));
                for next in items.get(from..to).unwrap_or_default() {
                    self.step(next, parts, at + 1, false, out)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn descend(
        &mut self,
        value: &'a Value,
        parts: &[Part],
        at: usize,
        out: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), String> {
        let fits = match parts.get(at + 1) {
            Some(Part::Field(_) | Part::Fields(_)) => value.is_object(),
            Some(Part::Index(_) | Part::Indexes(_) | Part::Slice(..)) => value.is_array(),
            _ => value.is_object() || value.is_array(),
        };
        if fits {
            self.step(value, parts, at + 1, false, out)?;
        }
        match value {
            Value::Array(items) => {
                for next in items {
                    self.descend(next, parts, at, out)?;
                }
            }
            Value::Object(map) => {
                for next in map.values() {
                    self.descend(next, parts, at, out)?;
                }
            }
            _ => self.visit()?,
        }
        Ok(())
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A path in the evaluator's own notation: `$['a'][0]`.
fn shown(parts: &[Part]) -> String {
    parts
        .iter()
        .fold("$".to_owned(), |text, part| text + &shown_part(part))
}

fn shown_part(part: &Part) -> String {
    let list = |items: &[i64]| {
        items
            .iter()
            .map(i64::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    match part {
        Part::Field(name) => format!("['{name}']"),
        Part::Fields(names) => format!("['{}']", names.join("','")),
        Part::Index(index) => format!("[{index}]"),
        Part::Indexes(indexes) => format!("[{}]", list(indexes)),
        Part::Slice(from, to) => {
            let bound = |b: &Option<i64>| b.map(|b| b.to_string()).unwrap_or_default();
            format!("[{}:{}]", bound(from), bound(to))
        }
        Part::Wildcard => "[*]".to_owned(),
        Part::Descent => "..".to_owned(),
        Part::Filter(_) => "[?]".to_owned(),
    }
}

fn apply(function: Function, value: &Value) -> Option<Value> {
    if function == Function::Length {
        return Some(Value::from(match value {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            Value::String(text) => text.chars().count(),
            _ => return None,
        }));
    }
    if function == Function::Keys {
        return Some(Value::Array(
            value
                .as_object()?
                .keys()
                .cloned()
                .map(Value::String)
                .collect(),
        ));
    }
    let items = value.as_array()?;
    if let Some(whole) = of_integers(function, items) {
        return Some(whole);
    }
    let numbers: Vec<f64> = items.iter().filter_map(Value::as_f64).collect();
    if numbers.is_empty() {
        return None;
    }
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    number(match function {
        Function::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        Function::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Function::Average => sum / count,
        Function::Sum => sum,
        _ => {
            let mean = sum / count;
            (numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / count).sqrt()
        }
    })
}

/// The exact result of a function of integers; `None` if the result is not an integer.
fn of_integers(function: Function, items: &[Value]) -> Option<Value> {
    let mut numbers = items.iter().filter_map(Value::as_number).map(integer);
    let numbers: Vec<i128> = numbers.by_ref().collect::<Option<_>>()?;
    let found = match function {
        Function::Min => numbers.into_iter().min()?,
        Function::Max => numbers.into_iter().max()?,
        Function::Sum if !numbers.is_empty() => numbers.into_iter().sum(),
        _ => return None,
    };
    let signed = i64::try_from(found).map(Value::from);
    signed
        .or_else(|_| u64::try_from(found).map(Value::from))
        .ok()
}

/// A JSON number, as an integer if it is one.
fn number(n: f64) -> Option<Value> {
    if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 {
        Some(Value::from(n as i64))
    } else {
        Number::from_f64(n).map(Value::Number)
    }
}
