//! Walks through whole values: compares them, writes them as JSON text, and converts them to JSON.
//! Each walk is bounded in time and in the size of its result.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::number::Number;
use super::stack::level;
use super::value::{MAX_BYTES, Value};
use super::wrong::{MEMORY, Outcome, Wrong, quoted};
use crate::limits::MAX_DEPTH;

/// A walk through values, with a bound on its steps and on its result.
pub(super) trait Walk {
    /// Counts a value that is visited.
    fn visit(&self) -> Outcome<()>;
    /// Counts text that is read.
    fn read(&self, bytes: usize) -> Outcome<()>;
}

/// Whether two values have the same content.
pub(super) fn equal<'a>(walk: &dyn Walk, a: &Value<'a>, b: &Value<'a>) -> Outcome<bool> {
    level(|| equal_here(walk, a, b))
}

fn equal_here<'a>(walk: &dyn Walk, a: &Value<'a>, b: &Value<'a>) -> Outcome<bool> {
    walk.visit()?;
    walk.read(a.as_str().map_or(0, str::len))?;
    if a.is_same(b) {
        return Ok(true);
    }
    if let (Some(a), Some(b)) = (a.items(), b.items()) {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b.iter()) {
            if !equal(walk, &a, &b)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let count = |value: &Value<'_>| match value {
        Value::JsonObject(fields) => Some(fields.len()),
        Value::Object(object) => Some(object.len()),
        _ => None,
    };
    if count(a).is_none() || count(a) != count(b) {
        return Ok(false);
    }
    for (key, a) in a.fields() {
        let Some(b) = b.field(&key) else {
            return Ok(false);
        };
        if !equal(walk, &a, &b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The style of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// As `$string` writes it: fractions have fifteen digits.
    Text,
    /// As `$string` writes it with its second argument.
    Pretty,
    /// As in error texts.
    Exact,
}

/// A value as JSON text. An infinite number is an error, except in [`Style::Exact`], which writes
/// its name.
pub(super) fn json_text(walk: &dyn Walk, value: &Value<'_>, style: Style) -> Outcome<String> {
    let mut writer = JsonWriter {
        walk,
        style,
        out: String::new(),
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

/// Writes values as JSON text.
struct JsonWriter<'a> {
    walk: &'a dyn Walk,
    style: Style,
    out: String,
}

impl JsonWriter<'_> {
    /// Writes a value whose lines are indented by `indent` levels.
    fn value(&mut self, value: &Value<'_>, indent: usize) -> Outcome<()> {
        level(|| self.value_here(value, indent))
    }

    fn value_here(&mut self, value: &Value<'_>, indent: usize) -> Outcome<()> {
        self.walk.visit()?;
        if self.out.len() > MAX_BYTES {
            return Err(Wrong::bound(MEMORY));
        }
        match value {
            Value::Undefined | Value::Null => self.out.push_str("null"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Wide(n) if self.style == Style::Exact => {
                let _ = write!(self.out, "{n}");
            }
            Value::Number(_) | Value::Wide(_) => {
                self.number(value.any_number().unwrap_or(Number::Whole(0)))?;
            }
            Value::Str(text) => self.out.push_str(&quoted(text)),
            Value::Text(text) => self.out.push_str(&quoted(text)),
            Value::Function(_) => self.out.push_str("\"\""),
            Value::JsonArray(_) | Value::List(_) | Value::Tuples(_) => self.array(value, indent)?,
            Value::JsonObject(_) | Value::Object(_) => self.object(value, indent)?,
        }
        Ok(())
    }

    fn number(&mut self, n: Number) -> Outcome<()> {
        if !n.double().is_finite() {
            if self.style != Style::Exact && n.double().is_infinite() {
                return Err(Wrong::new("D1001").value("null"));
            }
            self.out.push_str("null");
        } else if self.style == Style::Exact {
            let _ = write!(self.out, "{n}");
        } else {
            let _ = write!(self.out, "{}", n.with_precision());
        }
        Ok(())
    }

    fn array(&mut self, value: &Value<'_>, indent: usize) -> Outcome<()> {
        let items = value.clone().into_items();
        if let Value::List(list) = value
            && list.outer
        {
            return self.value(&items.get(0), indent);
        }
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.line(indent + 1);
            self.value(&item, indent + 1)?;
        }
        if items.len() > 0 {
            self.line(indent);
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self, value: &Value<'_>, indent: usize) -> Outcome<()> {
        let mut first = true;
        self.out.push('{');
        for (key, field) in value.fields() {
            if field.is_undefined() {
                continue;
            }
            if !first {
                self.out.push(',');
            }
            first = false;
            self.line(indent + 1);
            self.out.push_str(&quoted(&key));
            let pretty = self.style == Style::Pretty;
            self.out.push_str(if pretty { ": " } else { ":" });
            self.value(&field, indent + 1)?;
        }
        if !first {
            self.line(indent);
        }
        self.out.push('}');
        Ok(())
    }

    /// Begins a line, if the style has lines.
    fn line(&mut self, indent: usize) {
        if self.style == Style::Pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", indent));
        }
    }
}

/// Size of a value besides its text, in bytes.
const VALUE: usize = 8;

/// The result of an expression as JSON. Undefined becomes null within arrays and objects; a number
/// that JSON does not have becomes the text of its name. `None`: a function, or a value that nests
/// too deeply for the states language.
pub(super) fn to_json(walk: &dyn Walk, value: &Value<'_>) -> Outcome<Option<Json>> {
    let mut room = MAX_BYTES * 2;
    convert(walk, value, MAX_DEPTH, &mut room)
}

fn convert(
    walk: &dyn Walk,
    value: &Value<'_>,
    depth: usize,
    room: &mut usize,
) -> Outcome<Option<Json>> {
    walk.visit()?;
    let text = value.as_str().map_or(0, str::len);
    *room = room
        .checked_sub(text + VALUE)
        .ok_or_else(|| Wrong::bound(MEMORY))?;
    Ok(Some(match value {
        Value::Undefined | Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Number(n) => n.json(),
        Value::Wide(n) => Json::from(*n),
        Value::Str(text) => Json::from(*text),
        Value::Text(text) => Json::from(&**text),
        Value::Function(_) => return Ok(None),
        _ => {
            let Some(depth) = depth.checked_sub(1) else {
                return Ok(None);
            };
            return level(|| convert_inner(walk, value, depth, room));
        }
    }))
}

/// Converts arrays and objects.
fn convert_inner(
    walk: &dyn Walk,
    value: &Value<'_>,
    depth: usize,
    room: &mut usize,
) -> Outcome<Option<Json>> {
    if let Some(items) = value.items() {
        let mut out = Vec::with_capacity(items.len());
        for item in items.iter() {
            let Some(item) = convert(walk, &item, depth, room)? else {
                return Ok(None);
            };
            out.push(item);
        }
        return Ok(Some(Json::Array(out)));
    }
    let mut out = Map::new();
    match value {
        Value::JsonObject(fields) => {
            for (key, field) in *fields {
                let Some(field) = convert(walk, &Value::from_json(field), depth, room)? else {
                    return Ok(None);
                };
                out.insert(key.clone(), field);
            }
        }
        Value::Object(object) => {
            for (key, field) in object.iter() {
                let Some(field) = convert(walk, field, depth, room)? else {
                    return Ok(None);
                };
                out.insert(key.to_string(), field);
            }
        }
        _ => {}
    }
    Ok(Some(Json::Object(out)))
}
