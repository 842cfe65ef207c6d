//! Computes the intrinsic functions, with AWS's limits. Arguments are values: paths are read
//! before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::digest;
use crate::scope::{Dice, Scope};

/// Maximum number of elements of `States.ArrayRange`.
const MAX_RANGE: usize = 1_000;
/// Maximum length of an argument of the encoding and hashing functions, in characters.
const MAX_TEXT: usize = 10_000;

type Answer = Result<Value, String>;

pub(super) fn call(name: &str, arguments: &[Value], scope: &Scope<'_>) -> Answer {
    let at = |i: usize| &arguments[i];
    match name {
        "States.Array" => Ok(Value::Array(arguments.to_vec())),
        "States.ArrayPartition" => partition(at(0), integer(at(1))?),
        "States.ArrayContains" => Ok(Value::Bool(list(at(0))?.iter().any(|v| equal(v, at(1))))),
        "States.ArrayRange" => range(integer(at(0))?, integer(at(1))?, integer(at(2))?),
        "States.ArrayGetItem" => {
            let index = integer(at(1))?;
            usize::try_from(index)
                .ok()
                .and_then(|i| list(at(0)).ok()?.get(i))
                .cloned()
                .ok_or_else(|| format!("the array has no item at index {index}"))
        }
        "States.ArrayLength" => Ok(Value::from(list(at(0))?.len())),
        "States.ArrayUnique" => {
            let mut seen = std::collections::HashSet::new();
            Ok(list(at(0))?
                .iter()
                .filter(|v| seen.insert(v.to_string()))
                .cloned()
                .collect())
        }
        "States.Base64Encode" => Ok(Value::String(STANDARD.encode(short(at(0))?))),
        "States.Base64Decode" => decode(short(at(0))?),
        "States.Hash" => hash(at(0), at(1)),
        "States.JsonMerge" => merge(at(0), at(1), at(2)),
        "States.StringToJson" => match text(at(0))?.trim() {
            "" => Ok(Value::Null),
            text => json::read(text).map_err(|refused| format!("the text is {refused}")),
        },
        "States.JsonToString" => Ok(Value::String(at(0).to_string())),
        "States.MathRandom" => random(integer(at(0))?, integer(at(1))?, arguments.get(2), scope),
        "States.MathAdd" => integer(at(0))?
            .checked_add(integer(at(1))?)
            .map(Value::from)
            .ok_or_else(|| "the sum is too large".to_owned()),
        "States.StringSplit" => {
            let delimiters = text(at(1))?;
            let parts = text(at(0))?
                .split(|c| delimiters.contains(c))
                .filter(|p| !p.is_empty());
            Ok(parts.map(|p| Value::String(p.to_owned())).collect())
        }
        "States.UUID" => Ok(Value::String(scope.dice.uuid())),
        _ => format(arguments),
    }
}

fn partition(items: &Value, size: i64) -> Answer {
    let size = usize::try_from(size)
        .ok()
        .filter(|s| *s > 0)
        .ok_or("the chunk size must be positive")?;
    Ok(list(items)?
        .chunks(size)
        .map(|c| Value::Array(c.to_vec()))
        .collect())
}

fn decode(text: &str) -> Answer {
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| format!("the text is not Base64: {e}"))?;
    String::from_utf8(bytes)
        .map(Value::String)
        .map_err(|_| "the decoded bytes are not UTF-8".to_owned())
}

fn hash(value: &Value, algorithm: &Value) -> Answer {
    let data = match value {
        Value::String(s) => s.clone(),
        Value::Number(_) | Value::Object(_) | Value::Array(_) => value.to_string(),
        other => return Err(format!("{other} cannot be hashed")),
    };
    if data.chars().count() > MAX_TEXT {
        return Err(format!("the text is longer than {MAX_TEXT} characters"));
    }
    digest::hex(text(algorithm)?, data.as_bytes()).map(Value::String)
}

fn merge(first: &Value, second: &Value, deep: &Value) -> Answer {
    match (first, second, deep) {
        (Value::Object(first), Value::Object(second), Value::Bool(false)) => {
            let mut merged: Map<String, Value> = first.clone();
            merged.extend(second.iter().map(|(k, v)| (k.clone(), v.clone())));
            Ok(Value::Object(merged))
        }
        (Value::Object(_), Value::Object(_), _) => {
            Err("only shallow merging (false) is supported".to_owned())
        }
        _ => Err("both values must be objects".to_owned()),
    }
}

/// A random integer from `from` up to `to`, without `to`.
fn random(from: i64, to: i64, seed: Option<&Value>, scope: &Scope<'_>) -> Answer {
    let width = u64::try_from(i128::from(to) - i128::from(from))
        .ok()
        .filter(|w| *w > 0)
        .ok_or("the end must be greater than the start")?;
    let roll = match seed {
        None => scope.dice.roll(),
        Some(seed) => Dice::new(integer(seed)? as u64).roll(),
    };
    Ok(Value::from(from.wrapping_add((roll % width) as i64)))
}

fn range(from: i64, to: i64, step: i64) -> Answer {
    if step == 0 {
        return Err("the step must not be 0".to_owned());
    }
    let mut items = Vec::new();
    let mut next = Some(from);
    while let Some(n) = next.filter(|n| if step > 0 { *n <= to } else { *n >= to }) {
        if items.len() == MAX_RANGE {
            return Err(format!("the range has more than {MAX_RANGE} items"));
        }
        items.push(Value::from(n));
        next = n.checked_add(step);
    }
    Ok(Value::Array(items))
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value
        .as_array()
        .ok_or_else(|| format!("{value} is not an array"))
}

fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("{value} is not a string"))
}

fn short(value: &Value) -> Result<&str, String> {
    let text = text(value)?;
    if text.chars().count() > MAX_TEXT {
        return Err(format!("the text is longer than {MAX_TEXT} characters"));
    }
    Ok(text)
}

/// Rounds half up, as AWS does.
fn integer(value: &Value) -> Result<i64, String> {
    if let Some(n) = value.as_i64() {
        return Ok(n);
    }
    value
        .as_f64()
        .map(|n| (n + 0.5).floor())
        .filter(|n| n.abs() < 9.2e18)
        .map(|n| n as i64)
        .ok_or_else(|| format!("{value} is not a number"))
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(l), Value::Number(r)) => crate::number::equal(l, r),
        _ => left == right,
    }
}

fn format(arguments: &[Value]) -> Answer {
    let template = text(&arguments[0])?;
    let mut values = arguments[1..].iter();
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.peek() {
                Some(&next @ ('{' | '}' | '\\' | '\'')) => {
                    out.push(next);
                    chars.next();
                }
                _ => out.push('\\'),
            },
            '{' => {
                if chars.next() != Some('}') {
                    return Err("an opening brace without its closing brace".to_owned());
                }
                let value = values.next().ok_or("there are more {} than values")?;
                shown(value, &mut out);
            }
            c => out.push(c),
        }
    }
    if values.next().is_some() {
        return Err("there are more values than {}".to_owned());
    }
    Ok(Value::String(out))
}

/// Writes a value into a text, as AWS does: `{a=1, b=[x, y]}`.
fn shown(value: &Value, out: &mut String) {
    match value {
        Value::String(s) => out.push_str(s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                shown(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                out.push_str(key);
                out.push('=');
                shown(item, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}
