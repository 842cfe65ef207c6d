//! Functions that call functions, and those that examine the type of a value.

use std::rc::Rc;

use super::super::arguments::argument;
use super::super::machine::Machine;
use super::super::value::{Object, Value};
use super::super::wrong::{Outcome, Wrong};

/// Calls a function with a value, its index and all values, as far as it uses them.
fn call<'a>(
    machine: &Machine<'a>,
    function: &Value<'a>,
    value: Value<'a>,
    place: Value<'a>,
    all: &Value<'a>,
) -> Outcome<Value<'a>> {
    let arity = arity(function);
    let mut given = vec![value];
    if arity >= 2 {
        given.push(place);
    }
    if arity >= 3 {
        given.push(all.clone());
    }
    machine.apply(function, given, &Value::Null)
}

fn arity(function: &Value<'_>) -> usize {
    match function {
        Value::Function(function) => function.arity(),
        _ => 0,
    }
}

pub(super) fn map<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (all, function) = (argument(arguments, 0), argument(arguments, 1));
    let Some(items) = all.items() else {
        return Ok(Value::Undefined);
    };
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let value = call(machine, function, item, Value::whole(at), all)?;
        if !value.is_undefined() {
            machine.push(&mut found, value)?;
        }
    }
    machine.sequence(found)
}

pub(super) fn filter<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (all, function) = (argument(arguments, 0), argument(arguments, 1));
    let Some(items) = all.items() else {
        return Ok(Value::Undefined);
    };
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let keep = call(machine, function, item.clone(), Value::whole(at), all)?;
        if machine.truthy(&keep)? {
            machine.push(&mut found, item)?;
        }
    }
    machine.sequence(found)
}

pub(super) fn single<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (all, function) = (argument(arguments, 0), argument(arguments, 1));
    let Some(items) = all.items() else {
        return Ok(Value::Undefined);
    };
    let mut found = None;
    for (at, item) in items.iter().enumerate() {
        let keep = function.is_undefined() || {
            let keep = call(machine, function, item.clone(), Value::whole(at), all)?;
            machine.truthy(&keep)?
        };
        if keep && found.replace(item).is_some() {
            return Err(Wrong::new("D3138"));
        }
    }
    found.ok_or_else(|| Wrong::new("D3139"))
}

pub(super) fn reduce<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (all, function) = (argument(arguments, 0), argument(arguments, 1));
    let Some(items) = all.items() else {
        return Ok(Value::Undefined);
    };
    let arity = arity(function);
    if arity < 2 {
        return Err(Wrong::new("D3050"));
    }
    let mut result = argument(arguments, 2).clone();
    let mut items = items.iter().enumerate();
    if result.is_undefined()
        && let Some((_, first)) = items.next()
    {
        result = first;
    }
    for (at, item) in items {
        let mut given = vec![result, item];
        if arity >= 3 {
            given.push(Value::whole(at));
        }
        if arity >= 4 {
            given.push(all.clone());
        }
        result = machine.apply(function, given, &Value::Null)?;
    }
    Ok(result)
}

pub(super) fn each<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (all, function) = (argument(arguments, 0), argument(arguments, 1));
    let mut found = Vec::new();
    for (key, value) in all.fields() {
        let value = call(machine, function, value, Value::Text(key), all)?;
        if !value.is_undefined() {
            machine.push(&mut found, value)?;
        }
    }
    machine.sequence(found)
}

pub(super) fn sift<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (all, function) = (argument(arguments, 0), argument(arguments, 1));
    let mut kept = Object::default();
    for (key, value) in all.fields() {
        let name = Value::Text(Rc::clone(&key));
        let keep = call(machine, function, value.clone(), name, all)?;
        if machine.truthy(&keep)? {
            kept.set(key, value)?;
        }
    }
    match kept.len() {
        0 => Ok(Value::Undefined),
        _ => machine.object(kept),
    }
}

pub(super) fn boolean<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    match argument(arguments, 0) {
        Value::Undefined => Ok(Value::Undefined),
        given => machine.truthy(given).map(Value::Bool),
    }
}

pub(super) fn not<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    match argument(arguments, 0) {
        Value::Undefined => Ok(Value::Undefined),
        given => machine.truthy(given).map(|b| Value::Bool(!b)),
    }
}

pub(super) fn exists<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    Ok(Value::Bool(!argument(arguments, 0).is_undefined()))
}

pub(super) fn kind<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let given = argument(arguments, 0);
    Ok(Value::Str(match given {
        Value::Undefined => return Ok(Value::Undefined),
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) | Value::Wide(_) => match given.as_number()? {
            Some(_) => "number",
            None => "object",
        },
        Value::Str(_) | Value::Text(_) => "string",
        Value::JsonArray(_) | Value::List(_) | Value::Tuples(_) => "array",
        Value::JsonObject(_) | Value::Object(_) => "object",
        Value::Function(_) => "function",
    }))
}

pub(super) fn error<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let words = argument(arguments, 0).as_str().filter(|w| !w.is_empty());
    Err(Wrong::said(
        "D3137",
        words.unwrap_or("$error() function evaluated"),
    ))
}

pub(super) fn assert<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    if machine.truthy(argument(arguments, 0))? {
        return Ok(Value::Undefined);
    }
    let words = argument(arguments, 1).as_str().filter(|w| !w.is_empty());
    Err(Wrong::said(
        "D3141",
        words.unwrap_or("$assert() statement failed"),
    ))
}
