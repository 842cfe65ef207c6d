//! Functions of arrays and objects.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::arguments::argument;
use super::super::content::Walk;
use super::super::machine::Machine;
use super::super::value::{Object, Value};
use super::super::wrong::{Outcome, Wrong};

pub(super) fn append<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    machine.append(
        argument(arguments, 0).clone(),
        argument(arguments, 1).clone(),
    )
}

pub(super) fn count<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let items = argument(arguments, 0).items();
    Ok(Value::whole(items.map_or(0, |items| items.len())))
}

pub(super) fn clone<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    machine.copied(argument(arguments, 0), &HashMap::new())
}

/// The key of a scalar in a set.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Null,
    Bool(bool),
    Whole(i64),
    Text(Rc<str>),
}

fn key(value: &Value<'_>) -> Option<Key> {
    Some(match value {
        Value::Null => Key::Null,
        Value::Bool(b) => Key::Bool(*b),
        Value::Number(super::super::number::Number::Whole(n)) => Key::Whole(*n),
        Value::Str(text) => Key::Text((*text).into()),
        Value::Text(text) => Key::Text(Rc::clone(text)),
        _ => return None,
    })
}

pub(super) fn distinct<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let given = argument(arguments, 0);
    let Some(items) = given.items().filter(|items| items.len() > 1) else {
        return Ok(given.clone());
    };
    // Values with a key are compared by it, the others with each other.
    let mut keys = HashSet::new();
    let mut others: Vec<Value<'a>> = Vec::new();
    let mut found = Vec::new();
    'items: for item in items.iter() {
        match key(&item) {
            Some(key) => {
                if !keys.insert(key) {
                    continue;
                }
            }
            None => {
                for other in &others {
                    if machine.equal(&item, other)? {
                        continue 'items;
                    }
                }
                others.push(item.clone());
            }
        }
        machine.push(&mut found, item)?;
    }
    if given.is_sequence() {
        machine.sequence(found)
    } else {
        machine.array(found)
    }
}

fn add_keys<'a>(
    machine: &Machine<'a>,
    value: &Value<'a>,
    known: &mut HashSet<Rc<str>>,
    keys: &mut Vec<Value<'a>>,
) -> Outcome<()> {
    if let Some(items) = value.items() {
        machine.visit()?;
        return items
            .iter()
            .try_for_each(|item| add_keys(machine, &item, known, keys));
    }
    for (key, _) in value.fields() {
        if known.insert(Rc::clone(&key)) {
            machine.push(keys, Value::Text(key))?;
        }
    }
    Ok(())
}

pub(super) fn keys<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let mut keys = Vec::new();
    add_keys(
        machine,
        argument(arguments, 0),
        &mut HashSet::new(),
        &mut keys,
    )?;
    machine.sequence(keys)
}

pub(super) fn lookup<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let key = argument(arguments, 1).as_str().unwrap_or_default();
    machine.named_field(argument(arguments, 0), key)
}

pub(super) fn merge<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(objects) = argument(arguments, 0).items() else {
        return Ok(Value::Undefined);
    };
    let mut merged = Object::default();
    for object in objects.iter() {
        for (key, value) in object.fields() {
            machine.visit()?;
            merged.set(key, value)?;
        }
    }
    machine.object(merged)
}

pub(super) fn reverse<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let given = argument(arguments, 0);
    match given.items() {
        Some(items) if items.len() > 1 => {
            let mut items: Vec<_> = items.iter().collect();
            items.reverse();
            machine.array(items)
        }
        _ => Ok(given.clone()),
    }
}

pub(super) fn shuffle<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let given = argument(arguments, 0);
    match given.items() {
        Some(items) if items.len() > 1 => {
            let mut items: Vec<_> = items.iter().collect();
            for at in (1..items.len()).rev() {
                let other = (machine.random.fraction() * (at + 1) as f64) as usize;
                items.swap(at, other.min(at));
            }
            machine.array(items)
        }
        _ => Ok(given.clone()),
    }
}

pub(super) fn sort<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let (given, function) = (argument(arguments, 0), argument(arguments, 1));
    let Some(items) = given.items().filter(|items| items.len() > 1) else {
        return Ok(given.clone());
    };
    let items: Vec<_> = items.iter().collect();
    let sorted = if function.is_undefined() {
        let texts = items.iter().all(|item| item.as_str().is_some());
        let mut numbers = !texts;
        for item in &items {
            numbers = numbers && item.as_number()?.is_some();
        }
        if !texts && !numbers {
            return Err(Wrong::new("D3070"));
        }
        machine.merge_sort(items, &mut |a, b| {
            Ok(match (a.as_str(), b.as_str()) {
                (Some(a), Some(b)) => a.encode_utf16().gt(b.encode_utf16()),
                _ => a.any_number() > b.any_number(),
            })
        })?
    } else {
        machine.merge_sort(items, &mut |a, b| {
            let found = machine.apply(function, vec![a.clone(), b.clone()], &Value::Null)?;
            machine.truthy(&found)
        })?
    };
    machine.array(sorted)
}

pub(super) fn spread<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let given = argument(arguments, 0);
    let mut found = Vec::new();
    match given.items() {
        Some(items) => {
            for item in items.iter() {
                let spread = spread(machine, &[item])?;
                if !spread.is_undefined() {
                    for item in spread.into_items().iter() {
                        machine.push(&mut found, item)?;
                    }
                }
            }
        }
        None if given.is_object() => {
            for (key, value) in given.fields() {
                let mut object = Object::default();
                object.set(key, value)?;
                let object = machine.object(object)?;
                machine.push(&mut found, object)?;
            }
        }
        None => return Ok(given.clone()),
    }
    machine.sequence(found)
}

pub(super) fn zip<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let lists: Vec<_> = arguments.iter().map(Value::items).collect();
    let length = |list: &Option<super::super::value::Items<'a>>| {
        list.as_ref().map_or(0, |items| items.len())
    };
    let count = lists.iter().map(length).min().unwrap_or(0);
    let mut zipped = Vec::new();
    for at in 0..count {
        let tuple = lists.iter().flatten().map(|items| items.get(at)).collect();
        let tuple = machine.array(tuple)?;
        machine.push(&mut zipped, tuple)?;
    }
    machine.array(zipped)
}
