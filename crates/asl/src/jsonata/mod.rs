//! JSONata between `{%` and `%}`: parsed once, evaluated over `$states` and the variables, with
//! AWS's additional functions.
//!
//! This is our own implementation, since AWS's limits, 64-bit integers and error texts differ from
//! JSONata's. `token` and `parse` make a tree from a text (`raw`), and `build` makes the tree that
//! `evaluate` walks in a `machine`, over values that borrow the state's data (`value`), with
//! `operator`, `group`, `walk` (paths), `filter`, `fields` and `call`. `native` has the functions.
//! Randomness and time come from the scope, so a replay gives the same values. The pictures of
//! numbers and times are those of the crate `jsonata-core`.

mod arguments;
mod build;
mod call;
mod content;
mod evaluate;
mod fields;
mod filter;
mod function;
mod group;
mod machine;
mod native;
mod node;
mod number;
mod operator;
mod parse;
mod raw;
mod references;
mod signature;
mod stack;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod token;
mod value;
mod walk;
mod wrong;

use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::fault::Fault;
use crate::scope::{Dice, Scope};
use function::Frame;
use machine::{Machine, MachineInput};
use node::Program;
use value::{Object, Value};
use wrong::{Outcome, STACK, Wrong};

pub(crate) use references::Reference;

/// Maximum size of an expression's text, in bytes.
const MAX_TEXT: usize = 65_536;

/// A parsed expression.
#[derive(Debug, Clone)]
pub(crate) struct Jsonata {
    /// The expression, without its delimiters.
    pub(crate) text: String,
    program: Arc<Program>,
    states: StatesParts,
}

/// The parts of `$states` that the text may use.
#[derive(Debug, Clone, Copy, Default)]
struct StatesParts {
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
    /// Parses a text for which [`is_expression`] holds.
    ///
    /// The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inside = text
            .get(2..text.len().saturating_sub(2))
            .unwrap_or_default()
            .trim();
        if inside.len() > MAX_TEXT {
            return Err(format!("the expression is longer than {MAX_TEXT} bytes"));
        }
        let program = parse::parse(inside).map_err(|wrong| wrong.to_string())?;
        Ok(Self {
            text: inside.to_owned(),
            program: Arc::new(program),
            states: parts(inside),
        })
    }

    /// Evaluates the expression. `location` names the field in an error.
    pub(crate) fn evaluate(
        &self,
        scope: &Scope<'_>,
        location: &dyn Fn() -> String,
    ) -> Result<Json, Fault> {
        let failed = |why: &str| {
            let location = location();
            let cause = format!(
                "The JSONata expression '{}' specified for the field '{location}' {why}",
                self.text
            );
            Fault::evaluation(Some(location), cause)
        };
        match self.run(scope) {
            Ok(Found::Json(json)) => Ok(json),
            Ok(Found::Nothing) => Err(failed("returned nothing (undefined).")),
            Ok(Found::Function) => Err(failed("returned an unsupported result type.")),
            Err(wrong) => {
                let sign = if wrong.has_code() { '.' } else { ':' };
                Err(failed(&format!(
                    "threw an error during evaluation{sign} {wrong}"
                )))
            }
        }
    }

    /// Evaluates the expression, whose value must have a type. `kind` is JSONata's name of the
    /// type.
    pub(crate) fn evaluate_as(
        &self,
        scope: &Scope<'_>,
        location: &str,
        kind: &str,
    ) -> Result<Json, Fault> {
        let found = self.evaluate(scope, &|| location.to_owned())?;
        self.expect(found, location, kind)
    }

    fn expect(&self, found: Json, location: &str, kind: &str) -> Result<Json, Fault> {
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

    /// Evaluates the items of a Map: an array, or an object if `objects` are allowed.
    pub(crate) fn evaluate_items(&self, scope: &Scope<'_>, objects: bool) -> Result<Json, Fault> {
        let found = self.evaluate(scope, &|| "Items".to_owned())?;
        if objects && found.is_object() {
            return Ok(found);
        }
        self.expect(found, "Items", "array")
    }

    /// Whether the expression is a path into `$states` that creates nothing new.
    pub(crate) fn selects_data(&self) -> bool {
        self.program.root.as_ref().is_some_and(|root| match &root.kind {
            node::NodeKind::Path { steps, .. } => {
                matches!(steps.first().map(|step| &step.kind), Some(node::NodeKind::Variable(name)) if name == "states")
                    && root.group.is_none()
            }
            _ => false,
        })
    }

    fn run(&self, scope: &Scope<'_>) -> Outcome<Found> {
        let Some(root) = &self.program.root else {
            return Err(Wrong::bound(STACK));
        };
        let mut states = Object::default();
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
        for (name, wanted, part) in parts {
            if let Some(part) = part.filter(|_| wanted) {
                states.set(name.into(), Value::from_json(part))?;
            }
        }
        let machine = Machine::new(MachineInput {
            labels: &self.program.labels,
            root: Value::Undefined,
            states: Value::Object(Rc::new(states)),
            variables: Some(scope.variables),
            now: scope.now,
            random: Dice::new(scope.dice.roll()),
            ids: Dice::new(scope.dice.roll()),
        });
        let found = machine.run(root, &Rc::new(Frame::default()))?;
        found_json(&machine, &found)
    }
}

/// The result of an expression.
enum Found {
    Json(Json),
    Nothing,
    /// A function, or a value that contains one.
    Function,
}

fn found_json<'a>(machine: &Machine<'a>, value: &Value<'a>) -> Outcome<Found> {
    if value.is_undefined() {
        return Ok(Found::Nothing);
    }
    Ok(content::to_json(machine, value)?.map_or(Found::Function, Found::Json))
}

/// JSONata's name of a value's type.
pub(crate) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// The parts of `$states` that a text may use: a superset, found without parsing.
fn parts(text: &str) -> StatesParts {
    let mut parts = StatesParts::default();
    for (at, _) in text.match_indices("$states") {
        let after = &text[at + "$states".len()..];
        let field = after.strip_prefix('.').unwrap_or_default();
        let end = field.find(|c: char| !c.is_ascii_alphanumeric());
        match &field[..end.unwrap_or(field.len())] {
            "input" => parts.input = true,
            "result" => parts.result = true,
            "errorOutput" => parts.error = true,
            "context" => parts.context = true,
            _ => {
                return StatesParts {
                    input: true,
                    result: true,
                    error: true,
                    context: true,
                };
            }
        }
    }
    parts
}
