//! AWS's additional functions, and JSONata's functions of time and randomness. Their time and
//! randomness come from the execution, so a replay gives the same values.

use super::super::arguments::argument;
use super::super::machine::Machine;
use super::super::number::Number;
use super::super::value::{Items, Value};
use super::super::wrong::{MEMORY, Outcome, Wrong};
use super::pictures;
use crate::{digest, history};

/// Maximum number of items of `$range`. AWS returns 360,145 items, and refuses one more.
const MAX_RANGE: i128 = 360_145;

/// Refuses arguments beyond those of the function.
fn refuse_surplus(arguments: &[Value<'_>], count: usize) -> Outcome<()> {
    match argument(arguments, count) {
        Value::Undefined => Ok(()),
        _ => Err(Wrong::argument(count + 1)),
    }
}

/// An argument as an integer, without its fraction. Other values do not fit the signature.
fn integer(arguments: &[Value<'_>], at: usize) -> Outcome<i64> {
    argument(arguments, at)
        .any_number()
        .map(Number::towards_zero)
        .ok_or_else(|| Wrong::argument(at + 1))
}

pub(super) fn now<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    if argument(arguments, 0).is_undefined() && argument(arguments, 1).is_undefined() {
        return machine.text(history::time(machine.now));
    }
    let mut all = vec![Value::double(machine.now.as_millisecond() as f64)];
    all.extend_from_slice(arguments);
    pictures::from_millis(machine, &all)
}

pub(super) fn millis<'a>(machine: &Machine<'a>, _: &[Value<'a>]) -> Outcome<Value<'a>> {
    Ok(Value::Number(Number::Whole(machine.now.as_millisecond())))
}

pub(super) fn uuid<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    refuse_surplus(arguments, 0)?;
    machine.text(machine.ids.uuid())
}

pub(super) fn random<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    refuse_surplus(arguments, 1)?;
    Ok(Value::double(match argument(arguments, 0) {
        Value::Undefined => machine.random.fraction(),
        _ => seeded(integer(arguments, 0)?),
    }))
}

/// The first fraction of Java's random generator for a seed. The generator has 48 bits of state,
/// and takes 26 and 27 of them in two steps.
fn seeded(seed: i64) -> f64 {
    const FACTOR: u64 = 0x5_DEEC_E66D;
    const STATE: u64 = (1 << 48) - 1;
    let mut state = (seed as u64 ^ FACTOR) & STATE;
    let mut bits = |count: u32| {
        state = state.wrapping_mul(FACTOR).wrapping_add(0xB) & STATE;
        state >> (48 - count)
    };
    let (high, low) = (bits(26), bits(27));
    ((high << 27) + low) as f64 / (1_u64 << 53) as f64
}

pub(super) fn parse<'a>(_: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    refuse_surplus(arguments, 1)?;
    let given = argument(arguments, 0);
    if given.is_undefined() {
        return Ok(Value::Undefined);
    }
    let text = given.as_str().ok_or_else(|| Wrong::argument(1))?;
    match json::read(text) {
        Ok(parsed) if json::repeated_names(text).is_empty() => Value::from_owned(parsed),
        _ => Err(Wrong::said("D3137", "Invalid JSON")),
    }
}

pub(super) fn hash<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    refuse_surplus(arguments, 2)?;
    let text = argument(arguments, 0).as_str();
    let text = text.ok_or_else(|| Wrong::argument(1))?;
    let algorithm = argument(arguments, 1);
    if algorithm.is_undefined() {
        return Ok(Value::Undefined);
    }
    let algorithm = algorithm.as_str().ok_or_else(|| Wrong::argument(2))?;
    match digest::hex(algorithm, text.as_bytes()) {
        Ok(hash) => machine.text(hash),
        Err(_) => Err(Wrong::said(
            "D3137",
            format!(
                "Hash algorithm '{algorithm}' must be one of SHA-1, SHA-384, SHA-256, SHA-512, MD5"
            ),
        )),
    }
}

pub(super) fn partition<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    refuse_surplus(arguments, 2)?;
    let given = argument(arguments, 0);
    if given.is_undefined() {
        return Ok(Value::Undefined);
    }
    let Some(items) = given.items() else {
        return Err(Wrong::new("T0412").index(1));
    };
    if items.len() == 0 {
        return Ok(Value::Undefined);
    }
    let size = match argument(arguments, 1) {
        Value::Undefined => items.len(),
        _ => match integer(arguments, 1)? {
            0 => return Ok(Value::Undefined),
            size => usize::try_from(size)
                .map_err(|_| Wrong::said("D3137", "Second argument must be zero or greater"))?,
        },
    };
    let all: Vec<_> = Items::iter(&items).collect();
    let mut chunks = Vec::new();
    for chunk in all.chunks(size) {
        let chunk = machine.array(chunk.to_vec())?;
        machine.push(&mut chunks, chunk)?;
    }
    machine.array(chunks)
}

pub(super) fn range<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    refuse_surplus(arguments, 3)?;
    let (from, to) = (integer(arguments, 0)?, integer(arguments, 1)?);
    if argument(arguments, 2).is_undefined() {
        return Ok(Value::Undefined);
    }
    let step = integer(arguments, 2)?;
    if step == 0 || (step > 0 && from > to) || (step < 0 && from < to) {
        return Ok(Value::Undefined);
    }
    let (from, to, step) = (i128::from(from), i128::from(to), i128::from(step));
    let count = (to - from) / step + 1;
    if count > MAX_RANGE {
        return Err(Wrong::bound(MEMORY));
    }
    let items = (0..count).map(|at| {
        let n = i64::try_from(from + at * step).unwrap_or(i64::MAX);
        Value::Number(Number::Whole(n))
    });
    machine.sequence(items.collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_seed_gives_the_fraction_of_java() {
        for (seed, fraction) in [
            (42, 0.727_563_680_032_868_1),
            (0, 0.730_967_787_376_657),
            (7, 0.730_699_042_060_042_1),
        ] {
            assert_eq!(super::seeded(seed), fraction);
        }
    }
}
