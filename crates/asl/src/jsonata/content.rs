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
    let mut out = String::new();
    write(walk, value, style, 0, &mut out)?;
    Ok(out)
}

fn write(
    walk: &dyn Walk,
    value: &Value<'_>,
    style: Style,
    indent: usize,
    out: &mut String,
) -> Outcome<()> {
    level(|| write_here(walk, value, style, indent, out))
}

fn write_here(
    walk: &dyn Walk,
    value: &Value<'_>,
    style: Style,
    indent: usize,
    out: &mut String,
) -> Outcome<()> {
    walk.visit()?;
    if out.len() > MAX_BYTES {
        return Err(Wrong::bound(MEMORY));
    }
    match value {
        Value::Undefined | Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Wide(n) if style == Style::Exact => {
            let _ = write!(out, "{n}");
        }
        Value::Number(_) | Value::Wide(_) => {
            write_number(value.any_number().unwrap_or(Number::Whole(0)), style, out)?;
        }
        Value::Str(text) => out.push_str(&quoted(text)),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::Function(_) => out.push_str("\"\""),
        Value::JsonArray(_) | Value::List(_) | Value::Tuples(_) => {
            write_array(walk, value, style, indent, out)?;
        }
        Value::JsonObject(_) | Value::Object(_) => write_object(walk, value, style, indent, out)?,
    }
    Ok(())
}

fn write_number(n: Number, style: Style, out: &mut String) -> Outcome<()> {
    if !n.double().is_finite() {
        if style != Style::Exact && n.double().is_infinite() {
            return Err(Wrong::new("D1001").value("null"));
        }
        out.push_str("null");
    } else if style == Style::Exact {
        let _ = write!(out, "{n}");
    } else {
        let _ = write!(out, "{}", n.with_precision());
    }
    Ok(())
}

fn write_array(
    walk: &dyn Walk,
    value: &Value<'_>,
    style: Style,
    indent: usize,
    out: &mut String,
) -> Outcome<()> {
    let items = value.clone().into_items();
    if let Value::List(list) = value
        && list.outer
    {
        return write(walk, &items.get(0), style, indent, out);
    }
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        line(style, indent + 1, out);
        write(walk, &item, style, indent + 1, out)?;
    }
    if items.len() > 0 {
        line(style, indent, out);
    }
    out.push(']');
    Ok(())
}

fn write_object(
    walk: &dyn Walk,
    value: &Value<'_>,
    style: Style,
    indent: usize,
    out: &mut String,
) -> Outcome<()> {
    let mut first = true;
    out.push('{');
    for (key, field) in value.fields() {
        if field.is_undefined() {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        line(style, indent + 1, out);
        out.push_str(&quoted(&key));
        out.push_str(if style == Style::Pretty { ": " } else { ":" });
        write(walk, &field, style, indent + 1, out)?;
    }
    if !first {
        line(style, indent, out);
    }
    out.push('}');
    Ok(())
}

/// Begins a line, if the style has lines.
fn line(style: Style, indent: usize, out: &mut String) {
    if style == Style::Pretty {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", indent));
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
