//! Functions that search for a text, a pattern, or the matches of a function. Positions are those
//! of JavaScript: a character outside the basic multilingual plane counts as two.

use std::rc::Rc;

use regex::{Captures, Regex};

use super::super::arguments::argument;
use super::super::content::{Style, Walk};
use super::super::function::Function;
use super::super::machine::Machine;
use super::super::number::Number;
use super::super::value::{MAX_BYTES, Object, Value};
use super::super::wrong::{MEMORY, Outcome, Wrong, quoted};
use super::texts::{number_of, text_of};

/// A match of a pattern or a function.
struct Found<'a> {
    matched: Rc<str>,
    /// Number of bytes before it, and up to its end.
    start: usize,
    end: usize,
    index: Value<'a>,
    groups: Vec<Value<'a>>,
    next: Next<'a>,
    /// The argument of a replacement function.
    object: Value<'a>,
}

enum Next<'a> {
    Pattern(&'a Regex, usize),
    Function(Value<'a>),
}

/// The JavaScript position of a byte.
fn position(text: &str, byte: usize) -> usize {
    text[..byte].encode_utf16().count()
}

/// The byte at a JavaScript position.
fn byte(text: &str, position: f64) -> usize {
    let mut units = 0.0;
    for (at, c) in text.char_indices() {
        if units >= position {
            return at;
        }
        units += c.len_utf16() as f64;
    }
    text.len()
}

fn groups<'a>(machine: &Machine<'a>, captures: &Captures<'_>) -> Outcome<Vec<Value<'a>>> {
    let groups = captures.iter().skip(1).map(|group| match group {
        Some(group) => machine.text(group.as_str()),
        None => Ok(Value::Undefined),
    });
    groups.collect()
}

/// The result of a pattern as a function: the first match at or behind a byte, as an object.
pub(in super::super) fn match_object<'a>(
    machine: &Machine<'a>,
    pattern: &'a Regex,
    text: &Rc<str>,
    from: usize,
) -> Outcome<Value<'a>> {
    machine.make(64)?;
    let Some(captures) = pattern.captures_at(text, from) else {
        return Ok(Value::Undefined);
    };
    let whole = captures.get_match();
    let mut object = Object::default();
    object.set("match".into(), machine.text(whole.as_str())?)?;
    let start = Value::whole(position(text, whole.start()));
    let end = Value::whole(position(text, whole.end()));
    object.set("start".into(), start)?;
    object.set("end".into(), end)?;
    let groups = machine.array(groups(machine, &captures)?)?;
    object.set("groups".into(), groups)?;
    let next = Function::NextMatch {
        pattern,
        text: Rc::clone(text),
        from: whole.end(),
    };
    object.set("next".into(), Value::Function(Rc::new(next)))?;
    machine.object(object)
}

/// The match behind another one. It must not be empty.
pub(in super::super) fn next_match<'a>(
    machine: &Machine<'a>,
    pattern: &'a Regex,
    text: &Rc<str>,
    from: usize,
) -> Outcome<Value<'a>> {
    if from >= text.len() {
        return Ok(Value::Undefined);
    }
    let found = match_object(machine, pattern, text, from)?;
    match found.field("match") {
        Some(matched) if matched.as_str() == Some("") => {
            Err(Wrong::new("D1004").value(quoted(pattern.as_str())))
        }
        _ => Ok(found),
    }
}

fn by_pattern<'a>(
    machine: &Machine<'a>,
    pattern: &'a Regex,
    text: &Rc<str>,
    from: usize,
) -> Outcome<Option<Found<'a>>> {
    machine.make(64)?;
    let Some(captures) = pattern.captures_at(text, from) else {
        return Ok(None);
    };
    let whole = captures.get_match();
    Ok(Some(Found {
        matched: whole.as_str().into(),
        start: whole.start(),
        end: whole.end(),
        index: Value::Undefined,
        groups: groups(machine, &captures)?,
        next: Next::Pattern(pattern, whole.end()),
        object: Value::Undefined,
    }))
}

fn by_object<'a>(text: &str, found: Value<'a>) -> Outcome<Option<Found<'a>>> {
    if found.is_undefined() {
        return Ok(None);
    }
    let field = |name| found.field(name).unwrap_or(Value::Undefined);
    let (start, end, groups, next) = (field("start"), field("end"), field("groups"), field("next"));
    let is_match = start.any_number().is_some()
        || end.any_number().is_some()
        || groups.is_array()
        || matches!(next, Value::Function(_));
    if !is_match {
        return Err(Wrong::new("T1010"));
    }
    let place = |value: &Value<'a>| byte(text, value.any_number().map_or(0.0, Number::double));
    Ok(Some(Found {
        matched: field("match").as_str().unwrap_or_default().into(),
        start: place(&start),
        end: place(&end),
        index: start,
        groups: match groups.items() {
            Some(groups) => groups.iter().collect(),
            None => Vec::new(),
        },
        next: Next::Function(next),
        object: found,
    }))
}

fn first_found<'a>(
    machine: &Machine<'a>,
    matcher: &Value<'a>,
    text: &Rc<str>,
) -> Outcome<Option<Found<'a>>> {
    if let Value::Function(function) = matcher
        && let Function::Pattern(pattern) = &**function
    {
        return by_pattern(machine, pattern, text, 0);
    }
    let given = vec![Value::Text(Rc::clone(text))];
    by_object(text, machine.apply(matcher, given, &Value::Null)?)
}

fn next_found<'a>(
    machine: &Machine<'a>,
    next: Next<'a>,
    text: &Rc<str>,
) -> Outcome<Option<Found<'a>>> {
    match next {
        Next::Pattern(_, from) if from >= text.len() => Ok(None),
        Next::Pattern(pattern, from) => match by_pattern(machine, pattern, text, from)? {
            Some(found) if found.matched.is_empty() => {
                Err(Wrong::new("D1004").value(quoted(pattern.as_str())))
            }
            found => Ok(found),
        },
        Next::Function(next) => by_object(text, machine.apply(&next, Vec::new(), &Value::Null)?),
    }
}

/// Calls `act` for each match, as long as it returns true.
fn each_found<'a>(
    machine: &Machine<'a>,
    matcher: &Value<'a>,
    text: &Rc<str>,
    limit: Option<f64>,
    mut act: impl FnMut(&Found<'a>) -> Outcome<()>,
) -> Outcome<f64> {
    let mut count = 0.0;
    let mut found = first_found(machine, matcher, text)?;
    while let Some(this) = found {
        if limit.is_some_and(|limit| count >= limit) {
            break;
        }
        act(&this)?;
        count += 1.0;
        found = next_found(machine, this.next, text)?;
    }
    Ok(count)
}

pub(super) fn contains<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let sought = argument(arguments, 1);
    let (Some(text), false) = (text_of(arguments, 0), sought.is_undefined()) else {
        return Ok(Value::Undefined);
    };
    if let Some(sought) = sought.as_str() {
        return Ok(Value::Bool(text.contains(sought)));
    }
    let found = first_found(machine, sought, &text.into())?;
    Ok(Value::Bool(found.is_some()))
}

pub(super) fn matches<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let limit = number_of(arguments, 2);
    if limit.is_some_and(|limit| limit < 0.0) {
        return Err(Wrong::new("D3040").index(3));
    }
    let mut all = Vec::new();
    if limit != Some(0.0) {
        let text: Rc<str> = text.into();
        each_found(machine, argument(arguments, 1), &text, limit, |found| {
            let mut object = Object::default();
            object.set("match".into(), Value::Text(Rc::clone(&found.matched)))?;
            let index = match &found.index {
                Value::Undefined => Value::whole(position(&text, found.start)),
                index => index.clone(),
            };
            object.set("index".into(), index)?;
            object.set("groups".into(), machine.array(found.groups.clone())?)?;
            let object = machine.object(object)?;
            machine.push(&mut all, object)
        })?;
    }
    machine.sequence(all)
}

pub(super) fn split<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let limit = number_of(arguments, 2);
    if limit.is_some_and(|limit| limit < 0.0) {
        return Err(Wrong::new("D3020").index(3));
    }
    let most = limit.map_or(usize::MAX, |limit| limit as usize);
    let mut parts = Vec::new();
    if limit == Some(0.0) {
        return machine.array(parts);
    }
    match text_of(arguments, 1) {
        Some("") => {
            for c in text.chars().take(most) {
                let part = machine.text(c.to_string())?;
                machine.push(&mut parts, part)?;
            }
        }
        Some(separator) => {
            for part in text.split(separator).take(most) {
                let part = machine.text(part)?;
                machine.push(&mut parts, part)?;
            }
        }
        None => {
            let text: Rc<str> = text.into();
            let mut start = 0;
            let separator = argument(arguments, 1);
            let count = each_found(machine, separator, &text, limit, |found| {
                let part = machine.text(text.get(start..found.start).unwrap_or_default())?;
                start = found.end;
                machine.push(&mut parts, part)
            })?;
            if limit.is_none_or(|limit| count < limit) {
                let rest = machine.text(text.get(start..).unwrap_or_default())?;
                machine.push(&mut parts, rest)?;
            }
        }
    }
    machine.array(parts)
}

pub(super) fn replace<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let (pattern, replacement) = (argument(arguments, 1), argument(arguments, 2));
    if pattern.as_str() == Some("") {
        return Err(Wrong::new("D3010").index(2));
    }
    let limit = number_of(arguments, 3);
    if limit.is_some_and(|limit| limit < 0.0) {
        return Err(Wrong::new("D3011").index(4));
    }
    if limit == Some(0.0) {
        return Ok(argument(arguments, 0).clone());
    }
    let mut result = String::new();
    let add = |result: &mut String, part: &str| {
        machine.visit()?;
        result.push_str(part);
        if result.len() > MAX_BYTES {
            return Err(Wrong::bound(MEMORY));
        }
        Ok(())
    };
    let mut from = 0;
    if let Some(pattern) = pattern.as_str() {
        let by = machine.string_of(replacement, Style::Text)?;
        let by = by.as_str().unwrap_or("undefined");
        let mut count = 0.0;
        while limit.is_none_or(|limit| count < limit)
            && let Some(at) = text[from..].find(pattern)
        {
            add(&mut result, &text[from..from + at])?;
            add(&mut result, by)?;
            from += at + pattern.len();
            count += 1.0;
        }
        add(&mut result, &text[from..])?;
        return machine.text(result);
    }
    let text: Rc<str> = text.into();
    each_found(machine, pattern, &text, limit, |found| {
        add(&mut result, text.get(from..found.start).unwrap_or_default())?;
        match replacement.as_str() {
            Some(replacement) => add(&mut result, &substituted(replacement, found))?,
            None => {
                let object = match &found.object {
                    Value::Undefined => {
                        let Next::Pattern(pattern, _) = &found.next else {
                            return Ok(());
                        };
                        match_object(machine, pattern, &text, found.start)?
                    }
                    object => object.clone(),
                };
                let by = machine.apply(replacement, vec![object], &Value::Null)?;
                match by.as_str() {
                    Some(by) => add(&mut result, by)?,
                    None => return Err(Wrong::new("D3012").value(machine.named(&by))),
                }
            }
        }
        from = found.start + found.matched.len();
        Ok(())
    })?;
    add(&mut result, text.get(from..).unwrap_or_default())?;
    machine.text(result)
}

/// A replacement with its `$1`, `$0` and `$$` replaced.
fn substituted(replacement: &str, found: &Found<'_>) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(more) = rest.strip_prefix('$') {
            out.push('$');
            rest = more;
            continue;
        }
        if let Some(more) = rest.strip_prefix('0') {
            out.push_str(&found.matched);
            rest = more;
            continue;
        }
        let count = found.groups.len();
        let most = count.max(1).ilog10() as usize + 1;
        let digits = rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        let mut index: Option<usize> = rest[..digits].parse().ok();
        if most > 1 && index.is_some_and(|index| index > count) {
            index = rest[..digits.min(most - 1)].parse().ok();
        }
        match index {
            Some(index) => {
                let group = index.checked_sub(1).and_then(|at| found.groups.get(at));
                out.push_str(group.and_then(Value::as_str).unwrap_or_default());
                rest = &rest[index.to_string().len().min(digits)..];
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}
