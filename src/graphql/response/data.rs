//! Writes the data of a response along its plan (GraphQL, sections 6.4.3 and 7): fields in the
//! order of the plan, `{}` for an object without selected fields, and null for the nearest nullable
//! value around a value that is null and may not be.

use async_graphql::Response;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql_value::ConstValue;

use crate::graphql::error::field_errors;
use crate::graphql::request::plan::{Plan, Planned};

/// A value is null and may not be: the value around it becomes null.
struct NullNotAllowed;

/// The response to a request that was executed, as JSON text on one line.
pub(in crate::graphql) fn executed(plan: &Plan, response: &Response) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(b"{\"data\":");
    write(plan, &response.data, &mut text);
    if !response.errors.is_empty() {
        text.extend_from_slice(b",\"errors\":");
        text.extend_from_slice(field_errors(&response.errors).as_bytes());
    }
    text.push(b'}');
    text
}

/// Writes `data` as JSON.
fn write(plan: &Plan, data: &ConstValue, out: &mut Vec<u8>) {
    let start = out.len();
    // The library makes null of a root without fields.
    if plan.fields.is_empty() {
        out.extend_from_slice(b"{}");
        return;
    }
    if object(&plan.fields, data, out).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

fn object(fields: &[Planned], value: &ConstValue, out: &mut Vec<u8>) -> Result<(), NullNotAllowed> {
    let ConstValue::Object(values) = value else {
        return Err(NullNotAllowed);
    };
    out.push(b'{');
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(field.key.as_bytes());
        out.extend_from_slice(b"\":");
        self::value(field, field.kind, values.get(&field.key), out)?;
    }
    out.push(b'}');
    Ok(())
}

fn value(
    field: &Planned,
    kind: &Type,
    value: Option<&ConstValue>,
    out: &mut Vec<u8>,
) -> Result<(), NullNotAllowed> {
    let start = out.len();
    let written = match value {
        None | Some(ConstValue::Null) => Err(NullNotAllowed),
        Some(value) => present(field, kind, value, out),
    };
    if written.is_err() && kind.nullable {
        out.truncate(start);
        out.extend_from_slice(b"null");
        return Ok(());
    }
    written
}

fn present(
    field: &Planned,
    kind: &Type,
    value: &ConstValue,
    out: &mut Vec<u8>,
) -> Result<(), NullNotAllowed> {
    match (&kind.base, value, &field.fields) {
        (BaseType::List(item), ConstValue::List(values), _) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                self::value(field, item, Some(value), out)?;
            }
            out.push(b']');
            Ok(())
        }
        (_, value, Some(fields)) => object(fields, value, out),
        (_, value, None) => {
            serde_json::to_writer(out, value)
                .expect("a GraphQL value is JSON, and memory takes it");
            Ok(())
        }
    }
}
