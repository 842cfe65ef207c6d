//! The scalars: AppSync's `AWSDateTime` and `AWSJSON` (AppSync developer guide, "Scalar types in
//! AWS AppSync"), and which literals and JSON values are values of each scalar (GraphQL, section
//! 3.5).

use std::sync::Arc;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use async_graphql_value::ConstValue;
use job::Time;

use crate::graphql::syntax::ValueKind;

/// A date and time with an offset, ISO 8601: `2026-11-24T05:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsDateTime(pub Time);

/// A date and time with an offset in ISO 8601, such as `2026-11-24T05:00:00.000Z`. Answers are in
/// UTC with milliseconds.
#[Scalar(name = "AWSDateTime")]
impl ScalarType for AwsDateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => text
                .parse()
                .map(AwsDateTime)
                .map_err(InputValueError::custom),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A JSON document, as the text of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsJson(pub Arc<str>);

/// A JSON document written as a string, in both directions: `"{\"width\": 320}"`. A text that is
/// not JSON is refused.
#[Scalar(name = "AWSJSON")]
impl ScalarType for AwsJson {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = value else {
            return Err(InputValueError::custom(NO_JSON_STRING));
        };
        match json::check(&text) {
            Ok(json) => Ok(AwsJson(json.into())),
            Err(refused) => Err(InputValueError::custom(format!(
                "this AWSJSON string is {refused}"
            ))),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Checks that a literal is a value of the scalar; the error says why it is not.
pub(in crate::graphql) fn literal(scalar: &str, value: &ValueKind) -> Result<(), String> {
    constant(scalar, value).map(drop)
}

/// The value of a literal, which is not a variable.
pub(in crate::graphql) fn constant(scalar: &str, value: &ValueKind) -> Result<ConstValue, String> {
    let wrong = |what: &str| Err(format!("it must be {what}"));
    match (scalar, value) {
        ("Int", ValueKind::Int(digits)) => match digits.parse::<i32>() {
            Ok(number) => Ok(ConstValue::Number(number.into())),
            Err(_) => wrong(INT),
        },
        ("Int", _) => wrong(INT),
        ("Float", ValueKind::Int(digits) | ValueKind::Float(digits)) => {
            let number = digits.parse().ok().and_then(serde_json::Number::from_f64);
            number.map_or_else(
                || wrong("a finite number"),
                |number| Ok(ConstValue::Number(number)),
            )
        }
        ("Float", _) => wrong("a number"),
        ("Boolean", ValueKind::Boolean(value)) => Ok(ConstValue::Boolean(*value)),
        ("Boolean", _) => wrong("true or false"),
        ("ID", ValueKind::String(text) | ValueKind::Int(text)) => {
            Ok(ConstValue::String(text.to_string()))
        }
        ("ID", _) => wrong("a string or an integer"),
        (_, ValueKind::String(text)) => {
            check_text(scalar, text)?;
            Ok(ConstValue::String(text.to_string()))
        }
        ("AWSJSON", _) => Err(NO_JSON_STRING.to_owned()),
        _ => wrong("a string"),
    }
}

const INT: &str = "an integer of 32 bits";

/// The value of a JSON value in a variable; the error says why it is not a value of the scalar.
pub(in crate::graphql) fn supplied(
    scalar: &str,
    value: serde_json::Value,
) -> Result<ConstValue, String> {
    use serde_json::Value;
    let wrong = |what: &str| Err(format!("it must be {what}"));
    match (scalar, value) {
        ("Int", Value::Number(number)) => {
            match integer(&number).and_then(|number| i32::try_from(number).ok()) {
                Some(number) => Ok(ConstValue::Number(number.into())),
                None => wrong(INT),
            }
        }
        ("Int", _) => wrong(INT),
        ("Float", Value::Number(number)) => Ok(ConstValue::Number(number)),
        ("Float", _) => wrong("a number"),
        ("Boolean", Value::Bool(value)) => Ok(ConstValue::Boolean(value)),
        ("Boolean", _) => wrong("true or false"),
        ("ID", Value::String(text)) => Ok(ConstValue::String(text)),
        ("ID", Value::Number(number)) => match integer(&number) {
            Some(number) => Ok(ConstValue::String(number.to_string())),
            None => wrong("a string or an integer"),
        },
        ("ID", _) => wrong("a string or an integer"),
        (_, Value::String(text)) => {
            check_text(scalar, &text)?;
            Ok(ConstValue::String(text))
        }
        ("AWSJSON", _) => Err(NO_JSON_STRING.to_owned()),
        _ => wrong("a string"),
    }
}

/// A JSON number without a fraction. `1`, `1.0` and `1e0` are equal.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked before"
)]
fn integer(number: &serde_json::Number) -> Option<i128> {
    let whole = number.as_i64().map(i128::from);
    whole
        .or_else(|| number.as_u64().map(i128::from))
        .or_else(|| {
            let value = number.as_f64()?;
            (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128)
        })
}

fn check_text(scalar: &str, text: &str) -> Result<(), String> {
    match scalar {
        "AWSDateTime" => match text.parse::<Time>() {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        "AWSJSON" => match json::check(text) {
            Ok(_) => Ok(()),
            Err(refused) => Err(format!("this AWSJSON string is {refused}")),
        },
        _ => Ok(()),
    }
}

const NO_JSON_STRING: &str =
    "AWSJSON is a JSON document written as a string, such as \"{\\\"a\\\": 1}\"; this is no string";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_scalar_accepts_its_literals_and_refuses_others() {
        let int = |text: &str| ValueKind::Int(text.into());
        let float = |text: &str| ValueKind::Float(text.into());
        let string = |text: &str| ValueKind::String(text.into());
        for (scalar, value, valid) in [
            ("Int", int("2147483647"), true),
            ("Int", int("2147483648"), false),
            ("Int", int("-2147483648"), true),
            ("Int", int("-2147483649"), false),
            ("Int", float("1.0"), false),
            ("Int", string("1"), false),
            ("Float", int("1"), true),
            ("Float", float("1e400"), false),
            ("Boolean", ValueKind::Boolean(true), true),
            ("Boolean", string("true"), false),
            ("String", string(""), true),
            ("String", int("1"), false),
            ("ID", int("123456789012345678901234567890"), true),
            ("ID", string("x"), true),
            ("ID", float("1.5"), false),
            ("AWSDateTime", string("2026-01-01T00:00:00.000Z"), true),
            ("AWSDateTime", string("yesterday"), false),
            ("AWSDateTime", int("0"), false),
            ("AWSJSON", string("{}"), true),
            ("AWSJSON", string("{"), false),
            ("AWSJSON", ValueKind::Object(Vec::new()), false),
        ] {
            assert_eq!(literal(scalar, &value).is_ok(), valid, "{scalar} {value:?}");
        }
    }

    #[test]
    fn each_scalar_accepts_its_json_values_and_refuses_others() {
        for (scalar, value, expected) in [
            ("Int", json!(1), Some(json!(1))),
            ("Int", json!(1.0), Some(json!(1))),
            ("Int", json!(1.5), None),
            ("Int", json!(2_147_483_648_i64), None),
            (
                "Int",
                json!(-2_147_483_648_i64),
                Some(json!(-2_147_483_648_i64)),
            ),
            ("Int", json!(1e300), None),
            ("Int", json!("1"), None),
            ("Int", json!(true), None),
            ("Boolean", json!(false), Some(json!(false))),
            ("Boolean", json!(0), None),
            ("String", json!("x"), Some(json!("x"))),
            ("String", json!(1), None),
            ("ID", json!(7), Some(json!("7"))),
            ("ID", json!(7.0), Some(json!("7"))),
            ("ID", json!(u64::MAX), Some(json!("18446744073709551615"))),
            ("ID", json!(7.5), None),
            ("ID", json!(true), None),
            ("ID", json!([]), None),
            (
                "AWSDateTime",
                json!("2026-01-01T00:00:00+01:00"),
                Some(json!("2026-01-01T00:00:00+01:00")),
            ),
            ("AWSDateTime", json!("x"), None),
            ("AWSDateTime", json!(0), None),
            ("AWSJSON", json!("[1]"), Some(json!("[1]"))),
            ("AWSJSON", json!("[1"), None),
            ("AWSJSON", json!({"a": 1}), None),
        ] {
            let found = supplied(scalar, value.clone()).ok();
            let found = found.map(|value| value.into_json().expect("JSON"));
            assert_eq!(found, expected, "{scalar} {value}");
        }
    }
}
