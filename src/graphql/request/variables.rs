//! The variables of a request: read, and coerced to values of their types (GraphQL, section 6.1.2).

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql_value::{ConstValue, indexmap::IndexMap};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::graphql::limits::OverBound;
use crate::graphql::request::bounds;
use crate::graphql::request::plan::constant;
use crate::graphql::schema::scalar;
use crate::graphql::schema::types::{Inputs, TypeDefinition, Types};
use crate::graphql::syntax::Operation;

/// The variables that have a value.
pub(in crate::graphql) type Variables = HashMap<Name, ConstValue>;

/// The code of variables that are missing, or are not values of their types.
const INVALID: &str = "ValidationError";

/// The variables of a valid operation.
///
/// # Errors
/// What is wrong, and the code: too many values, not an object, or a variable that is missing or
/// not a value of its type.
pub(in crate::graphql) fn coerce(
    supplied: Option<&RawValue>,
    operation: &Operation,
    types: &Types,
) -> Result<Variables, OverBound> {
    let mut supplied = read(supplied)?;
    let mut variables = Variables::with_capacity(operation.variables.len());
    for definition in &operation.variables {
        let (name, kind) = (&definition.name, &definition.kind);
        let invalid = |reason: String| {
            (
                format!("the variable \"${name}\" of type \"{kind}\" {reason}"),
                INVALID,
            )
        };
        let value = match (supplied.remove(name.as_str()), &definition.default) {
            (Some(value), _) => {
                let value = Coercing {
                    types,
                    path: String::new(),
                }
                .value(value, kind);
                value.map_err(|error| invalid(format!("has an invalid value: {error}")))?
            }
            (None, Some(default)) => {
                constant(default, kind, &Variables::new(), types).unwrap_or_default()
            }
            (None, None) if !kind.nullable => {
                return Err(invalid("is missing in the variables".to_owned()));
            }
            (None, None) => continue,
        };
        variables.insert(name.clone(), value);
    }
    Ok(variables)
}

fn read(supplied: Option<&RawValue>) -> Result<Map<String, Value>, OverBound> {
    let Some(text) = supplied else {
        return Ok(Map::new());
    };
    bounds::check_variables(text.get())?;
    let read = serde_json::from_str::<Option<Map<String, Value>>>(text.get());
    let read = read.map_err(|error| {
        (
            format!("variables must be an object: {error}"),
            "BadRequest",
        )
    })?;
    Ok(read.unwrap_or_default())
}

struct Coercing<'a> {
    types: &'a Types,
    /// Path of the value in its variable.
    path: String,
}

impl Coercing<'_> {
    /// Follows the nesting of the variables, which [`limits::VARIABLE_DEPTH`] ends, and that of the
    /// type.
    fn value(&mut self, value: Value, kind: &Type) -> Result<ConstValue, String> {
        if value.is_null() {
            if kind.nullable {
                return Ok(ConstValue::Null);
            }
            return self.wrong("it must not be null");
        }
        match &kind.base {
            BaseType::List(item) => match value {
                Value::Array(items) => {
                    let mut values = Vec::with_capacity(items.len());
                    for (at, value) in items.into_iter().enumerate() {
                        values.push(self.below(&format!("[{at}]"), value, item)?);
                    }
                    Ok(ConstValue::List(values))
                }
                // One value is a list of one (GraphQL, section 3.11).
                value => Ok(ConstValue::List(vec![self.value(value, item)?])),
            },
            BaseType::Named(name) => match (self.types.get(name), value) {
                (Some(TypeDefinition::Input(defined)), Value::Object(fields)) => {
                    self.object(name, defined, fields)
                }
                (Some(TypeDefinition::Input(_)), _) => {
                    self.wrong(&format!("{name} must be an object"))
                }
                (Some(TypeDefinition::Enum(values)), Value::String(text)) => {
                    match values.iter().find(|value| **value == text) {
                        Some(found) => Ok(ConstValue::Enum(found.clone())),
                        None => {
                            let shown = job::limits::beginning(&text, SHOWN_BYTES);
                            self.wrong(&format!("\"{shown}\" is no value of {name}"))
                        }
                    }
                }
                (Some(TypeDefinition::Enum(_)), _) => {
                    self.wrong(&format!("a value of {name} is a string"))
                }
                (_, value) => scalar::supplied(name, value).or_else(|reason| self.wrong(&reason)),
            },
        }
    }

    fn below(&mut self, step: &str, value: Value, kind: &Type) -> Result<ConstValue, String> {
        let length = self.path.len();
        self.path.push_str(step);
        let value = self.value(value, kind)?;
        self.path.truncate(length);
        Ok(value)
    }

    fn object(
        &mut self,
        of: &str,
        defined: &Inputs,
        mut fields: Map<String, Value>,
    ) -> Result<ConstValue, String> {
        let mut values = IndexMap::with_capacity(fields.len());
        for input in defined.iter() {
            match fields.remove(input.name.as_str()) {
                Some(value) => {
                    let value = self.below(&format!(".{}", input.name), value, &input.kind)?;
                    values.insert(input.name.clone(), value);
                }
                None if input.is_required() => {
                    return self.wrong(&format!("{of} needs its field \"{}\"", input.name));
                }
                None => {}
            }
        }
        match fields.keys().next() {
            Some(unknown) => {
                let shown = job::limits::beginning(unknown, SHOWN_BYTES);
                self.wrong(&format!("{of} has no field \"{shown}\""))
            }
            None => Ok(ConstValue::Object(values)),
        }
    }

    fn wrong<T>(&self, reason: &str) -> Result<T, String> {
        if self.path.is_empty() {
            return Err(reason.to_owned());
        }
        Err(format!(
            "at \"{}\": {reason}",
            self.path.trim_start_matches('.')
        ))
    }
}

/// Maximum length in bytes of a caller's text in an error.
const SHOWN_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graphql::schema::types::TYPES;
    use crate::graphql::syntax::parse;

    fn coerced(definitions: &str, supplied: Value) -> Result<Value, String> {
        let document = parse(&format!("query ({definitions}) {{ a }}")).expect("a document");
        let text = RawValue::from_string(supplied.to_string()).expect("JSON");
        let variables = coerce(Some(&text), &document.operations[0], &TYPES);
        let variables = variables.map_err(|(message, _)| message)?;
        let value = variables.get("v").cloned();
        Ok(value.map_or(json!("absent"), |value| value.into_json().expect("JSON")))
    }

    #[test]
    fn a_variable_is_coerced_to_its_type() {
        for (kind, supplied, expected) in [
            ("Int", json!({}), json!("absent")),
            ("Int", json!({"v": null}), json!(null)),
            ("Int = 3", json!({}), json!(3)),
            ("Int = 3", json!({"v": null}), json!(null)),
            ("Int! = 3", json!({}), json!(3)),
            ("Int!", json!({"v": 1, "other": {}}), json!(1)),
            ("[ID!]", json!({"v": "x"}), json!(["x"])),
            ("[[Int]]", json!({"v": 1}), json!([[1]])),
            (
                "[[Int]]",
                json!({"v": [1, [2, null], null]}),
                json!([[1], [2, null], null]),
            ),
            ("[Int] = 4", json!({}), json!([4])),
            ("JobStatus", json!({"v": "RUNNING"}), json!("RUNNING")),
            (
                "JobFilter",
                json!({"v": {"status": {"in": "FAILED"}}}),
                json!({"status": {"in": ["FAILED"]}}),
            ),
            (
                "JobFilter",
                json!({"v": {"owner": {"eq": null}}}),
                json!({"owner": {"eq": null}}),
            ),
            (
                "JobFilter = {owner: {eq: null}}",
                json!({}),
                json!({"owner": {"eq": null}}),
            ),
        ] {
            let found = coerced(&format!("$v: {kind}"), supplied.clone());
            assert_eq!(found, Ok(expected), "{kind} {supplied}");
        }
    }

    #[test]
    fn a_missing_or_wrong_variable_is_refused() {
        for (kind, supplied, said) in [
            ("Int!", json!({}), "is missing"),
            ("Int!", json!({"v": null}), "must not be null"),
            ("Int! = 3", json!({"v": null}), "must not be null"),
            ("Int", json!({"v": "1"}), "an integer of 32 bits"),
            (
                "[Int!]",
                json!({"v": [1, null]}),
                "at \"[1]\": it must not be null",
            ),
            (
                "JobStatus",
                json!({"v": "NOPE"}),
                "\"NOPE\" is no value of JobStatus",
            ),
            ("JobStatus", json!({"v": 1}), "is a string"),
            ("JobFilter", json!({"v": []}), "JobFilter must be an object"),
            (
                "JobFilter",
                json!({"v": {"nope": 1}}),
                "has no field \"nope\"",
            ),
            (
                "JobFilter",
                json!({"v": {"owner": {"in": ["a", 1]}}}),
                "at \"owner.in[1]\"",
            ),
            (
                "SubmitJobInput",
                json!({"v": {}}),
                "needs its field \"type\"",
            ),
            ("Int", json!([1]), "must be an object"),
        ] {
            let error = coerced(&format!("$v: {kind}"), supplied.clone()).expect_err("invalid");
            assert!(error.contains(said), "{kind} {supplied}: {error}");
        }
    }
}
