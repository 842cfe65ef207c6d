//! JSONata between `{%` and `%}`: parsed once, evaluated over `$states` and the variables, with AWS's extra functions.
//!
//! Depth, length of sequences and texts, size of values that are walked through, and time are bounded; chance and time come from the scope,
//! so that a replay gives the same values. `$eval` is refused as on AWS. The language itself is `jsonata-core`'s;
//! `functions` adds AWS's.
mod bounds;
mod functions;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;

use crate::{fault::Fault, path::number, scope::Scope};
use jsonata_core::{
    ast::AstNode,
    evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions},
    parser,
    value::JValue,
};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Nested evaluations of one expression.
const MAX_STACK: usize = 2_000;
/// Items of one sequence.
const MAX_SEQUENCE: usize = 1_000_000;
/// Milliseconds of one expression: a guard against endless ones, far above what a real one takes.
const MAX_MILLISECONDS: u64 = 1_000;
/// Bytes of an expression's text.
const MAX_TEXT: usize = 65_536;
/// Brackets open at once in an expression's text, so that its parser's recursion is bounded.
const MAX_BRACKETS: usize = 100;

/// A parsed expression.
#[derive(Debug, Clone)]
pub(crate) struct Jsonata {
    /// The expression, without its delimiters.
    pub(crate) text: String,
    ast: AstNode,
    /// Whether the functions of [`bounds`] are in it.
    bounded: bool,
    states: Parts,
    variables: Vec<String>,
}
/// The parts of `$states` that the text may touch.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    input: bool,
    result: bool,
    error: bool,
    context: bool,
}

/// Whether a text is an expression.
pub(crate) fn is_expression(text: &str) -> bool {
    text.len() >= 4 && text.starts_with("{%") && text.ends_with("%}")
}

impl Jsonata {
    /// Parses a text for which [`is_expression`] holds; `Err` says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inside = text
            .get(2..text.len().saturating_sub(2))
            .unwrap_or_default()
            .trim();
        if inside.len() > MAX_TEXT {
            return Err(format!("the expression is longer than {MAX_TEXT} bytes"));
        }
        let mut open = 0_usize;
        let mut deepest = 0;
        for c in inside.chars() {
            match c {
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open = open.saturating_sub(1),
                '-' | '?' | '~' | '^' | '&' => {}
                _ => continue,
            }
            deepest = deepest.max(open);
        }
        if deepest > MAX_BRACKETS {
            return Err(format!(
                "the expression nests deeper than {MAX_BRACKETS} brackets"
            ));
        }
        let mut ast = parser::parse(inside).map_err(|e| e.to_string())?;
        let bounded = bounds::bound(inside, &mut ast);
        let (states, variables) = names(inside);
        Ok(Self {
            text: inside.to_owned(),
            ast,
            bounded,
            states,
            variables,
        })
    }

    /// The value; `location` names the field in an error.
    pub(crate) fn evaluate(
        &self,
        scope: &Scope<'_>,
        location: &dyn Fn() -> String,
    ) -> Result<Value, Fault> {
        let failed = |why: String| {
            let location = location();
            let cause = format!(
                "The JSONata expression '{}' specified for the field '{location}' {why}",
                self.text
            );
            Fault::evaluation(Some(location), cause)
        };
        let found = self
            .run(scope)
            .map_err(|e| failed(format!("threw an error during evaluation. {}", e.message())))?;
        if found.is_undefined() {
            return Err(failed("returned nothing (undefined).".to_owned()));
        }
        value(&found).map_err(failed)
    }

    /// The value, which must be of a kind; `kind` is JSONata's name for it.
    pub(crate) fn evaluate_as(
        &self,
        scope: &Scope<'_>,
        location: &str,
        kind: &str,
    ) -> Result<Value, Fault> {
        let found = self.evaluate(scope, &|| location.to_owned())?;
        let got = kind_of(&found);
        if got == kind || (kind == "integer" && found.is_i64()) {
            return Ok(found);
        }
        Err(Fault::evaluation(
            Some(location.to_owned()),
            format!(
                "The JSONata expression '{}' specified for the field '{location}' returned an unexpected result type. Expected '{kind}', but was '{got}' for value: {found}",
                self.text
            ),
        ))
    }

    fn run(&self, scope: &Scope<'_>) -> Result<JValue, EvaluatorError> {
        let mut context = Context::new();
        let parts = [
            ("input", self.states.input, Some(scope.input)),
            ("result", self.states.result, scope.result),
            ("errorOutput", self.states.error, scope.error),
            (
                "context",
                self.states.context,
                self.states.context.then(|| scope.context.value()),
            ),
        ];
        let states = parts
            .into_iter()
            .filter(|p| p.1)
            .filter_map(|(name, _, part)| Some((name.to_owned(), jvalue(part?))));
        context.bind("states".to_owned(), JValue::object(states.collect()));
        for name in &self.variables {
            if let Some(known) = scope.variables.get(name) {
                context.bind(name.clone(), jvalue(known));
            }
        }
        let mut evaluator = Evaluator::with_options(context, options());
        functions::register(&mut evaluator, scope)?;
        if self.bounded {
            bounds::register(&mut evaluator)?;
        }
        // A mistake of the library is an error of the expression, and nobody else's.
        let found = catch_unwind(AssertUnwindSafe(|| {
            evaluator.evaluate(&self.ast, &JValue::Undefined)
        }));
        found.unwrap_or_else(|_| {
            Err(functions::wrong(
                "The evaluation failed within the JSONata library",
            ))
        })
    }
}

/// The bounds of one evaluation.
fn options() -> EvaluatorOptions {
    EvaluatorOptions {
        timeout_ms: Some(MAX_MILLISECONDS),
        max_stack_depth: Some(MAX_STACK),
        max_sequence_length: Some(MAX_SEQUENCE),
        ..EvaluatorOptions::default()
    }
}

/// JSONata's name of a value's type.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What a text may refer to: a superset, found without understanding it.
fn names(text: &str) -> (Parts, Vec<String>) {
    let all = Parts {
        input: true,
        result: true,
        error: true,
        context: true,
    };
    let (mut states, mut variables) = (Parts::default(), Vec::new());
    for (at, _) in text.match_indices('$') {
        let rest = &text[at + 1..];
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (name, after) = (&rest[..end], &rest[end..]);
        if name == "states" {
            let field = after.strip_prefix('.').map_or("", |f| {
                &f[..f
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .unwrap_or(f.len())]
            });
            match field {
                "input" => states.input = true,
                "result" => states.result = true,
                "errorOutput" => states.error = true,
                "context" => states.context = true,
                _ => states = all,
            }
        } else if !name.is_empty() && !variables.iter().any(|v| v == name) {
            variables.push(name.to_owned());
        }
    }
    (states, variables)
}

fn jvalue(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(b) => JValue::from(*b),
        Value::Number(n) => JValue::from_f64(n.as_f64().unwrap_or(f64::NAN)),
        Value::String(s) => JValue::from(s.as_str()),
        Value::Array(items) => JValue::array(items.iter().map(jvalue).collect()),
        Value::Object(map) => {
            JValue::object(map.iter().map(|(k, v)| (k.clone(), jvalue(v))).collect())
        }
    }
}
/// The error says what the expression returned, where JSON cannot hold it (functions, infinities, too deep a nesting) or it is too large.
fn value(found: &JValue) -> Result<Value, String> {
    let mut room = bounds::MAX_BYTES;
    convert(found, crate::execution::MAX_DEPTH, &mut room)
}
fn convert(found: &JValue, depth: usize, room: &mut usize) -> Result<Value, String> {
    let unsupported = || "returned an unsupported result type.".to_owned();
    *room = room
        .checked_sub(bounds::own_size(found))
        .ok_or_else(|| format!("returned a value of more than {} bytes.", bounds::MAX_BYTES))?;
    let mut inner = |item: &JValue| {
        let deeper = depth.checked_sub(1).ok_or_else(unsupported)?;
        convert(item, deeper, room)
    };
    Ok(match found {
        JValue::Null | JValue::Undefined => Value::Null,
        JValue::Bool(b) => Value::Bool(*b),
        JValue::Number(n) => number(*n).ok_or_else(unsupported)?,
        JValue::String(s) => Value::String(s.to_string()),
        JValue::Array(items) => Value::Array(items.iter().map(inner).collect::<Result<_, _>>()?),
        JValue::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, item)| !item.is_undefined())
                .map(|(key, item)| Ok((key.clone(), inner(item)?)))
                .collect::<Result<_, String>>()?,
        ),
        _ => return Err(unsupported()),
    })
}
