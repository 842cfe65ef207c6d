//! Functions of texts. Positions count characters, as in JSONata.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use jsonata_core::functions::encoding;
use jsonata_core::value::JValue;

use super::super::arguments::argument;
use super::super::content::{Style, Walk};
use super::super::machine::Machine;
use super::super::number::Number;
use super::super::value::{MAX_BYTES, Value};
use super::super::wrong::{MEMORY, Outcome, Wrong, quoted};

pub(super) fn text_of<'v>(arguments: &'v [Value<'_>], at: usize) -> Option<&'v str> {
    argument(arguments, at).as_str()
}

pub(super) fn number_of(arguments: &[Value<'_>], at: usize) -> Option<f64> {
    argument(arguments, at).any_number().map(Number::double)
}

/// Makes a text from the first argument. Undefined if it is missing.
fn of_text<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
    f: impl Fn(&str) -> String,
) -> Outcome<Value<'a>> {
    match text_of(arguments, 0) {
        Some(text) => machine.text(f(text)),
        None => Ok(Value::Undefined),
    }
}

pub(super) fn string<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let style = match argument(arguments, 1) {
        Value::Bool(true) => Style::Pretty,
        _ => Style::Text,
    };
    machine.string_of(argument(arguments, 0), style)
}

pub(super) fn length<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let text = text_of(arguments, 0);
    Ok(text.map_or(Value::Undefined, |text| Value::whole(text.chars().count())))
}

pub(super) fn lowercase<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    of_text(machine, arguments, str::to_lowercase)
}

pub(super) fn uppercase<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    of_text(machine, arguments, str::to_uppercase)
}

pub(super) fn trim<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    of_text(machine, arguments, |text| {
        let words = text.split([' ', '\t', '\n', '\r']);
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ")
    })
}

pub(super) fn substring<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let count = text.chars().count() as f64;
    let start = number_of(arguments, 1).unwrap_or(0.0);
    let start = if count + start < 0.0 { 0.0 } else { start };
    let end = match number_of(arguments, 2) {
        Some(length) if length <= 0.0 => return machine.text(""),
        Some(length) if start >= 0.0 => start + length,
        Some(length) => count + start + length,
        None => count,
    };
    let place = |at: f64| {
        let at = at.trunc();
        let at = if at < 0.0 { count + at } else { at };
        at.clamp(0.0, count) as usize
    };
    let (start, end) = (place(start), place(end));
    let part = text.chars().skip(start).take(end.saturating_sub(start));
    machine.text(part.collect::<String>())
}

fn parted<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
    part: impl Fn((&str, &str)) -> String,
) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let separator = text_of(arguments, 1).unwrap_or("undefined");
    match text.split_once(separator) {
        Some(parts) => machine.text(part(parts)),
        None => Ok(argument(arguments, 0).clone()),
    }
}

pub(super) fn substring_before<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    parted(machine, arguments, |(before, _)| before.to_owned())
}

pub(super) fn substring_after<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    parted(machine, arguments, |(_, after)| after.to_owned())
}

pub(super) fn pad<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let with = text_of(arguments, 2).filter(|c| !c.is_empty());
    let with = with.unwrap_or(" ");
    let width = number_of(arguments, 1).unwrap_or(0.0).trunc();
    let missing = width.abs() - text.chars().count() as f64;
    if missing.is_nan() || missing <= 0.0 {
        return Ok(argument(arguments, 0).clone());
    }
    if missing > MAX_BYTES as f64 {
        return Err(Wrong::bound(MEMORY));
    }
    let padding: String = with.chars().cycle().take(missing as usize).collect();
    machine.text(if width > 0.0 {
        [text, &padding].concat()
    } else {
        [&padding, text].concat()
    })
}

pub(super) fn join<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(texts) = argument(arguments, 0).items() else {
        return Ok(Value::Undefined);
    };
    let separator = text_of(arguments, 1).unwrap_or_default();
    let mut joined = String::new();
    for (at, text) in texts.iter().enumerate() {
        machine.visit()?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text.as_str().unwrap_or_default());
        if joined.len() > MAX_BYTES {
            return Err(Wrong::bound(MEMORY));
        }
    }
    machine.text(joined)
}

/// Applies a text function of the library.
fn coded<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
    f: fn(&str) -> Result<JValue, jsonata_core::functions::FunctionError>,
) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    match f(text).as_ref().map(JValue::as_str) {
        Ok(Some(text)) => machine.text(text),
        _ => Err(Wrong::new("D3140").value(quoted(text))),
    }
}

pub(super) fn base64encode<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    coded(machine, arguments, encoding::base64encode)
}

pub(super) fn base64decode<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    let engine = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    match engine.decode(text) {
        Ok(bytes) => machine.text(String::from_utf8_lossy(&bytes).into_owned()),
        Err(why) => Err(Wrong::bound(&format!("The text is not Base64: {why}"))),
    }
}

pub(super) fn encode_url<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    coded(machine, arguments, encoding::encode_url)
}

pub(super) fn encode_url_component<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    coded(machine, arguments, encoding::encode_url_component)
}

/// Decodes percent signs, except those of the characters in `kept`. `None` if one is not followed
/// by two digits, or if the bytes are not text.
fn decoded(text: &str, kept: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        let byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        rest = &rest[2..];
        if kept.as_bytes().contains(&byte) {
            bytes.push(b'%');
            bytes.extend_from_slice(digits);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn decode<'a>(machine: &Machine<'a>, arguments: &[Value<'a>], kept: &str) -> Outcome<Value<'a>> {
    let Some(text) = text_of(arguments, 0) else {
        return Ok(Value::Undefined);
    };
    match decoded(text, kept) {
        Some(text) => machine.text(text),
        None => Err(Wrong::new("D3140").value(quoted(text))),
    }
}

pub(super) fn decode_url<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    decode(machine, arguments, ";/?:@&=+$,#")
}

pub(super) fn decode_url_component<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    decode(machine, arguments, "")
}
