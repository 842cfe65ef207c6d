//! AWS's own functions of JSONata, and those of the language that must not ask the machine.
use super::bounds;
use crate::{
    digest, history,
    scope::{Dice, Scope},
};
use jsonata_core::{
    evaluator::{Context, Evaluator, EvaluatorError},
    parser,
    value::JValue,
};

/// Items of `$range` and chunks of `$partition`.
const MAX_ITEMS: usize = 1_000_000;

pub(super) fn wrong(why: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(why.into())
}

/// AWS's own functions, and those of JSONata that must not ask the machine.
pub(super) fn register(evaluator: &mut Evaluator, scope: &Scope<'_>) -> Result<(), EvaluatorError> {
    let at = scope.now;
    evaluator.register_fn_override("now", move |arguments: &[JValue]| {
        if arguments.is_empty() {
            return Ok(JValue::from(history::time(at)));
        }
        formatted(at.as_millisecond() as f64, arguments)
    })?;
    evaluator.register_fn_override("millis", move |_: &[JValue]| {
        Ok(JValue::from_f64(at.as_millisecond() as f64))
    })?;
    evaluator.register_fn_override("eval", |_: &[JValue]| {
        Err(wrong(
            "The function $eval is not supported; use $parse to read JSON",
        ))
    })?;
    let (random, uuid) = (Dice::new(scope.dice.roll()), Dice::new(scope.dice.roll()));
    evaluator.register_fn_override("random", move |arguments: &[JValue]| {
        Ok(JValue::from_f64(match arguments.first() {
            Some(seed) if !seed.is_undefined() => {
                let seed = seed
                    .as_f64()
                    .ok_or_else(|| wrong("The seed of $random must be a number"))?;
                Dice::new(seed.to_bits()).fraction()
            }
            _ => random.fraction(),
        }))
    })?;
    evaluator.register_fn("uuid", move |_: &[JValue]| Ok(JValue::from(uuid.uuid())))?;
    evaluator.register_fn("parse", |arguments: &[JValue]| {
        let Some(text) = argument(arguments, 0) else {
            return Ok(JValue::Undefined);
        };
        let text = text
            .as_str()
            .ok_or_else(|| wrong("T0410: Argument 1 of function \"parse\" must be a string"))?;
        JValue::from_json_str(text)
            .map_err(|e| wrong(format!("The text of $parse is not JSON: {e}")))
    })?;
    evaluator.register_fn("hash", |arguments: &[JValue]| {
        let Some(data) = argument(arguments, 0) else {
            return Ok(JValue::Undefined);
        };
        let text = match data.as_str() {
            Some(text) => text.to_owned(),
            None => {
                bounds::whole(data)?;
                data.to_json_string().map_err(|e| wrong(e.to_string()))?
            }
        };
        let algorithm = argument(arguments, 1)
            .and_then(JValue::as_str)
            .unwrap_or("SHA-256");
        digest::hex(algorithm, text.as_bytes())
            .map(JValue::from)
            .map_err(wrong)
    })?;
    evaluator.register_fn("partition", partition)?;
    evaluator.register_fn("range", range)
}

pub(super) fn argument(arguments: &[JValue], at: usize) -> Option<&JValue> {
    arguments.get(at).filter(|a| !a.is_undefined())
}

/// `$now(picture, timezone)` by way of `$fromMillis`.
fn formatted(millis: f64, arguments: &[JValue]) -> Result<JValue, EvaluatorError> {
    let call = if arguments.len() > 1 {
        "$fromMillis($millis, $picture, $timezone)"
    } else {
        "$fromMillis($millis, $picture)"
    };
    let ast = parser::parse(&call.replace("$millis", "$at")).map_err(|e| wrong(e.to_string()))?;
    let mut context = Context::new();
    context.bind("at".to_owned(), JValue::from_f64(millis));
    for (name, argument) in ["picture", "timezone"].into_iter().zip(arguments) {
        context.bind(name.to_owned(), argument.clone());
    }
    Evaluator::with_context(context).evaluate(&ast, &JValue::Undefined)
}

fn partition(arguments: &[JValue]) -> Result<JValue, EvaluatorError> {
    let Some(list) = argument(arguments, 0) else {
        return Ok(JValue::Undefined);
    };
    let one;
    let items = match list.as_array() {
        Some(items) => items,
        None => {
            one = vec![list.clone()];
            &one
        }
    };
    let size = argument(arguments, 1)
        .and_then(JValue::as_f64)
        .map(f64::round)
        .filter(|n| *n >= 1.0)
        .ok_or_else(|| wrong("The chunk size of $partition must be a positive number"))?
        as usize;
    Ok(JValue::array(
        items
            .chunks(size)
            .map(|c| JValue::array(c.to_vec()))
            .collect(),
    ))
}

fn range(arguments: &[JValue]) -> Result<JValue, EvaluatorError> {
    let number = |at: usize| argument(arguments, at).and_then(JValue::as_f64);
    let (Some(from), Some(to)) = (number(0), number(1)) else {
        return Err(wrong("The arguments of $range must be numbers"));
    };
    let step = if arguments.len() > 2 {
        number(2)
    } else {
        Some(1.0)
    };
    let step = step
        .filter(|s| *s != 0.0 && s.is_finite())
        .ok_or_else(|| wrong("The step of $range must be a number other than 0"))?;
    let mut items = Vec::new();
    loop {
        let next = from + step * items.len() as f64;
        if !next.is_finite() || (step > 0.0 && next > to) || (step < 0.0 && next < to) {
            break;
        }
        if items.len() == MAX_ITEMS {
            return Err(wrong(format!("$range gives more than {MAX_ITEMS} items")));
        }
        items.push(JValue::from_f64(next));
    }
    Ok(JValue::sequence(items).unwrap_sequence())
}
