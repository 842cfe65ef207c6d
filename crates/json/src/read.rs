//! Builds a value from tokens. The open arrays and objects are in a list instead of on the stack.

use serde_json::{Map, Number, Value};

use crate::limits::{DEPTH, MADE_DEPTH};
use crate::mark::without_mark;
use crate::refused::Refused;
use crate::scan::Scanner;
use crate::token::Token;

/// The value of a text from a caller.
///
/// # Errors
/// The first problem of the text, and its position.
pub fn read(text: &str) -> Result<Value, Refused> {
    within(text, DEPTH)
}

/// The value of a text that was made here, such as the output of an execution. It may nest as deep
/// as [`MADE_DEPTH`].
///
/// # Errors
/// Those of [`read`].
pub fn read_made(text: &str) -> Result<Value, Refused> {
    within(text, MADE_DEPTH)
}

/// An array or object that has not ended.
enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

fn within(text: &str, limit: usize) -> Result<Value, Refused> {
    let mut scanner = Scanner::new(without_mark(text), limit);
    let mut open: Vec<Open> = Vec::new();
    let mut last = Value::Null;
    while let Some(token) = scanner.next().map_err(|stop| scanner.refused(stop))? {
        let value = match token {
            Token::Array => {
                open.push(Open::Array(Vec::new()));
                continue;
            }
            Token::Object => {
                open.push(Open::Object(Map::new(), String::new()));
                continue;
            }
            Token::Name(found) => {
                if let Some(Open::Object(_, name)) = open.last_mut() {
                    *name = found.resolved().into_owned();
                }
                continue;
            }
            Token::Close => match open.pop() {
                Some(Open::Array(items)) => Value::Array(items),
                Some(Open::Object(map, _)) => Value::Object(map),
                None => continue,
            },
            Token::String(text) => Value::String(text.resolved().into_owned()),
            Token::Number(text) => number(text),
            Token::Bool(value) => Value::Bool(value),
            Token::Null => Value::Null,
        };
        match open.last_mut() {
            Some(Open::Array(items)) => items.push(value),
            Some(Open::Object(map, name)) => {
                map.insert(std::mem::take(name), value);
            }
            None => last = value,
        }
    }
    Ok(last)
}

/// A number that the scanner found in range. `-0` is a fraction, as elsewhere, since an integer has
/// no negative zero.
fn number(text: &str) -> Value {
    let whole = !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
    if whole && text != "-0" {
        if let Ok(number) = text.parse::<u64>() {
            return number.into();
        }
        if let Ok(number) = text.parse::<i64>() {
            return number.into();
        }
    }
    text.parse()
        .ok()
        .and_then(Number::from_f64)
        .map_or(Value::Null, Value::Number)
}
