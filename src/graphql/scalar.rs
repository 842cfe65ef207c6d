//! AppSync's scalars that the schema uses: `AWSDateTime` and `AWSJSON` (AppSync developer guide, "Scalar types in AWS AppSync").

use std::sync::Arc;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use job::Time;

/// A date and time with an offset, ISO 8601: `2026-11-24T05:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwsDateTime(pub Time);

/// A date and time with an offset in ISO 8601, such as `2026-11-24T05:00:00.000Z`. Answers are in UTC with milliseconds.
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

/// A JSON document written as a string, in both directions: `"{\"width\": 320}"`. A text that is not JSON is refused.
#[Scalar(name = "AWSJSON")]
impl ScalarType for AwsJson {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = value else {
            return Err(InputValueError::custom(
                "AWSJSON is a JSON document written as a string, such as \"{\\\"a\\\": 1}\"; this is no string",
            ));
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
