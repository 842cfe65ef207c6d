//! Functions that write and read numbers and times by a picture. `jsonata-core` interprets the
//! picture.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator};
use jsonata_core::functions::numeric;
use jsonata_core::value::JValue;

use super::super::machine::Machine;
use super::super::value::Value;
use super::super::wrong::{Outcome, Wrong, quoted};

/// The library's error codes for pictures.
const CODES: [&str; 22] = [
    "D3080", "D3081", "D3082", "D3083", "D3084", "D3085", "D3086", "D3087", "D3088", "D3089",
    "D3090", "D3091", "D3092", "D3093", "D3110", "D3130", "D3131", "D3132", "D3133", "D3134",
    "D3135", "D3136",
];

/// An error of the library as an error of the language. `given` is the value that the function
/// read.
fn wrong(message: &str, given: &Value<'_>) -> Box<Wrong> {
    let code = CODES
        .iter()
        .find_map(|code| Some((code, message.find(code)?)));
    let Some((code, at)) = code else {
        return Wrong::bound(message);
    };
    let value = match *code {
        "D3110" => quoted(given.as_str().unwrap_or_default()),
        _ => quoted(message[at + code.len()..].trim_start_matches(':').trim()),
    };
    Wrong::new(code).value(value)
}

/// The result of the library's function of this name.
fn library<'a>(machine: &Machine<'a>, name: &str, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    let Some(first) = arguments.first().filter(|a| !a.is_undefined()) else {
        return Ok(Value::Undefined);
    };
    let mut context = Context::new();
    let mut args = Vec::with_capacity(arguments.len());
    for (at, argument) in arguments.iter().enumerate() {
        let value = match (argument.as_str(), argument.any_number()) {
            (Some(text), _) => JValue::from(text),
            (None, Some(n)) => JValue::from_f64(n.double()),
            (None, None) => JValue::Undefined,
        };
        let name = format!("a{at}");
        context.bind(name.clone(), value);
        args.push(AstNode::Variable(name));
    }
    while arguments
        .get(args.len() - 1)
        .is_some_and(Value::is_undefined)
    {
        args.pop();
    }
    let call = AstNode::Function {
        name: name.to_owned(),
        args,
        is_builtin: true,
    };
    let run = || Evaluator::with_context(context).evaluate(&call, &JValue::Undefined);
    // A panic in the library is an error of this expression only.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(JValue::Number(n))) => Ok(Value::double(n)),
        Ok(Ok(JValue::String(text))) => machine.text(&*text),
        Ok(Ok(_)) => Ok(Value::Undefined),
        Ok(Err(error)) => Err(wrong(error.message(), first)),
        Err(_) => Err(Wrong::bound(
            "The evaluation failed within the JSONata library",
        )),
    }
}

pub(super) fn format_integer<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    library(machine, "formatInteger", arguments)
}

pub(super) fn parse_integer<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    library(machine, "parseInteger", arguments)
}

pub(super) fn from_millis<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    library(machine, "fromMillis", arguments)
}

pub(super) fn to_millis<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Outcome<Value<'a>> {
    library(machine, "toMillis", arguments)
}

pub(super) fn format_number<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Outcome<Value<'a>> {
    let (Some(n), Some(picture)) = (
        arguments.first().and_then(Value::any_number),
        arguments.get(1).and_then(Value::as_str),
    ) else {
        return Ok(Value::Undefined);
    };
    let options = arguments.get(2).filter(|o| o.is_object()).map(|options| {
        let fields = options
            .fields()
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_string(), JValue::from(value.as_str()?))));
        JValue::object(fields.collect())
    });
    let run = || numeric::format_number(n.double(), picture, options.as_ref());
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(text)) => machine.text(text.as_str().unwrap_or_default()),
        Ok(Err(error)) => Err(wrong(&error.to_string(), &Value::Undefined)),
        Err(_) => Err(Wrong::bound(
            "The evaluation failed within the JSONata library",
        )),
    }
}
