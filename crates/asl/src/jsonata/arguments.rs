//! The arguments of a call: checked against the signature of its function.

use super::signature::{Parameter, Signature};
use super::value::Value;
use super::wrong::{Outcome, Wrong};

/// An argument, or nothing if there are fewer.
pub(super) fn argument<'v, 'a>(arguments: &'v [Value<'a>], at: usize) -> &'v Value<'a> {
    arguments.get(at).unwrap_or(&Value::Undefined)
}

impl Signature {
    /// The arguments as the function takes them: the context replaces a missing one, and a single
    /// value becomes an array where one is required.
    pub(super) fn validate<'a>(
        &self,
        arguments: Vec<Value<'a>>,
        context: &Value<'a>,
    ) -> Outcome<Vec<Value<'a>>> {
        let kinds: Vec<char> = arguments.iter().map(symbol).collect();
        let Some(taken) = self.matched(self.parameters.len(), &kinds, true) else {
            let mut good = 0;
            for count in 1..=self.parameters.len() {
                match self.matched(count, &kinds, false) {
                    Some(taken) => good = taken.iter().sum(),
                    None => break,
                }
            }
            return Err(Wrong::argument(good + 1));
        };
        let mut validated = Vec::with_capacity(arguments.len().max(self.parameters.len()));
        let mut arguments = arguments.into_iter().enumerate().peekable();
        for (parameter, count) in self.parameters.iter().zip(taken) {
            let next = arguments.peek().map_or(kinds.len(), |(at, _)| *at);
            if count == 0 {
                if !parameter.context {
                    validated.push(arguments.next().map_or(Value::Undefined, |(_, a)| a));
                } else if parameter.kinds.contains(symbol(context)) {
                    validated.push(context.clone());
                } else {
                    return Err(Wrong::new("T0411").index(next + 1));
                }
            }
            for (at, argument) in arguments.by_ref().take(count) {
                if parameter.kind == 'a' {
                    validated.push(array(parameter, at, count, argument)?);
                } else {
                    validated.push(argument);
                }
            }
        }
        Ok(validated)
    }
}

/// An argument for an array parameter: any other value becomes an array.
fn array<'a>(
    parameter: &Parameter,
    at: usize,
    count: usize,
    argument: Value<'a>,
) -> Outcome<Value<'a>> {
    let kind = symbol(&argument);
    if kind == 'm' {
        return Ok(Value::Undefined);
    }
    if let Some(items) = &parameter.items {
        let fits = match argument.items() {
            Some(found) => {
                found.len() == 0 || {
                    let first = symbol(&found.get(0));
                    items.starts_with(first) && found.iter().all(|item| symbol(&item) == first)
                }
            }
            None => count == 1 && items.chars().eq([kind]),
        };
        if !fits {
            let plural = match items.as_str() {
                "a" => "\"arrays\"",
                "b" => "\"booleans\"",
                "f" => "\"functions\"",
                "n" => "\"numbers\"",
                "o" => "\"objects\"",
                "s" => "\"strings\"",
                _ => "undefined",
            };
            return Err(Wrong::new("T0412").index(at + 1).value(plural));
        }
    }
    Ok(if kind == 'a' {
        argument
    } else {
        Value::list(vec![argument])
    })
}

/// The letter of a value's type in a signature.
fn symbol(value: &Value<'_>) -> char {
    match value {
        Value::Undefined => 'm',
        Value::Null => 'l',
        Value::Bool(_) => 'b',
        Value::Number(_) | Value::Wide(_) => 'n',
        Value::Str(_) | Value::Text(_) => 's',
        Value::JsonArray(_) | Value::List(_) | Value::Tuples(_) => 'a',
        Value::JsonObject(_) | Value::Object(_) => 'o',
        Value::Function(_) => 'f',
    }
}
