//! Functions of numbers.

use super::super::arguments::argument;
use super::super::machine::Machine;
use super::super::number::Number;
use super::super::value::{Items, Value};
use super::super::wrong::{Outcome, Wrong};

/// The first argument as a number, or `None` if it is missing.
fn first<'a>(arguments: &[Value<'a>]) -> Option<Number> {
    argument(arguments, 0).any_number()
}

fn of_number<'a>(arguments: &[Value<'a>], f: impl Fn(Number) -> Number) -> Outcome<Value<'a>> {
    Ok(first(arguments).map_or(Value::Undefined, |n| Value::Number(f(n))))
}

/// The numbers of an array, or `None` if it is missing.
fn numbers<'a>(arguments: &[Value<'a>]) -> Option<Items<'a>> {
    argument(arguments, 0).items()
}

fn each(items: &Items<'_>) -> impl Iterator<Item = Number> {
    items.iter().filter_map(|item| item.any_number())
}

pub(super) fn abs<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    of_number(arguments, Number::absolute)
}

pub(super) fn floor<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    of_number(arguments, Number::floor)
}

pub(super) fn ceil<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    of_number(arguments, Number::ceil)
}

pub(super) fn round<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let digits = argument(arguments, 1).any_number();
    let digits = digits.map_or(0, Number::towards_zero);
    of_number(arguments, |n| n.round(digits))
}

pub(super) fn sqrt<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    match first(arguments) {
        Some(n) if n.double() < 0.0 => {
            Err(Wrong::new("D3060").value(machine.named(argument(arguments, 0))))
        }
        _ => of_number(arguments, |n| Number::of(n.double().sqrt())),
    }
}

pub(super) fn power<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(base) = first(arguments) else {
        return Ok(Value::Undefined);
    };
    let exponent = argument(arguments, 1).any_number();
    let power = base.power(exponent.unwrap_or(Number::Double(f64::NAN)));
    if power.double().is_finite() {
        return Ok(Value::Number(power));
    }
    Err(Wrong::new("D3061")
        .value(machine.named(argument(arguments, 0)))
        .other(machine.named(argument(arguments, 1))))
}

pub(super) fn sum<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    Ok(numbers(arguments).map_or(Value::Undefined, |items| {
        Value::Number(each(&items).fold(Number::Whole(0), Number::add))
    }))
}

pub(super) fn average<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    match numbers(arguments) {
        Some(items) if items.len() > 0 => {
            let sum = sum(machine, arguments)?.any_number();
            let count = Number::of(items.len() as f64);
            Ok(sum.map_or(Value::Undefined, |sum| Value::Number(sum.divide(count))))
        }
        _ => Ok(Value::Undefined),
    }
}

fn chosen<'a>(arguments: &[Value<'a>], better: impl Fn(Number, Number) -> bool) -> Value<'a> {
    let choose = |best, n| if better(n, best) { n } else { best };
    let best = numbers(arguments).and_then(|items| each(&items).reduce(choose));
    best.map_or(Value::Undefined, Value::Number)
}

pub(super) fn max<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    Ok(chosen(arguments, |n, best| n > best))
}

pub(super) fn min<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    Ok(chosen(arguments, |n, best| n < best))
}

pub(super) fn number<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let given = argument(arguments, 0);
    let wrong = || Err(Wrong::new("D3030").value(machine.named(given)));
    let text = match given {
        Value::Bool(b) => return Ok(Value::whole(usize::from(*b))),
        Value::Undefined | Value::Number(_) | Value::Wide(_) => return Ok(given.clone()),
        other => match other.as_str() {
            Some(text) => text,
            None => return wrong(),
        },
    };
    if is_decimal(text) {
        if let Ok(n) = text.parse() {
            return Ok(Value::Number(Number::Whole(n)));
        }
        return match text.parse::<f64>() {
            Ok(n) if n.is_finite() => Ok(Value::double(n)),
            _ => wrong(),
        };
    }
    let radix = match text.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ => return wrong(),
    };
    match u64::from_str_radix(&text[2..], radix) {
        Ok(n) => {
            Ok(i64::try_from(n)
                .map_or(Value::double(n as f64), |n| Value::Number(Number::Whole(n))))
        }
        Err(_) => wrong(),
    }
}

/// Whether a text is a decimal number: sign, digits, fraction and exponent as in JSON, with leading
/// zeros allowed.
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole) && digits(fraction) && digits(exponent)
}

pub(super) fn format_base<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    let Some(n) = first(arguments) else {
        return Ok(Value::Undefined);
    };
    let radix = argument(arguments, 1).any_number();
    let radix = radix.map_or(10, |radix| radix.round(0).towards_zero());
    if !(2..=36).contains(&radix) {
        return Err(Wrong::new("D3100").value(radix.to_string()));
    }
    if !n.double().is_finite() {
        return machine.text(n.to_string());
    }
    machine.text(n.round(0).in_base(radix as u32))
}
