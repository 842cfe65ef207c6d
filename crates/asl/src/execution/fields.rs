//! Applies the fields of a state to its data: paths, templates and `Assign`.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::limits::MAX_PAYLOAD;
use crate::path::Path;
use crate::scope::{Scope, Variables};
use crate::template::{FieldLocation, FillError, Template};

/// The part of the data that a path field selects. Null means an empty object.
pub(super) fn select<'a>(path: Option<&Path>, scope: &Scope<'a>) -> Result<Cow<'a, Value>, Fault> {
    match path {
        None => Ok(Cow::Owned(json!({}))),
        Some(path) => path
            .read(scope)
            .map_err(|why| Fault::runtime(format!("Invalid path '{}' : {why}", path.text))),
    }
}

/// Fills a template. `field` is its name in errors, `what` the name of the source of a result that
/// is too large.
pub(super) fn fill(
    template: &Template,
    scope: &Scope<'_>,
    field: &str,
    what: &str,
) -> Result<Value, Fault> {
    template
        .fill(scope, FieldLocation::new(field), &mut { MAX_PAYLOAD })
        .map_err(|e| match e {
            FillError::Fault(fault) => fault,
            FillError::TooLarge => Fault::too_large(what),
        })
}

/// The variables of an `Assign`.
pub(super) fn assign(
    template: Option<&Template>,
    scope: &Scope<'_>,
    what: &str,
) -> Result<Option<Variables>, Fault> {
    template
        .map(|template| match fill(template, scope, "Assign", what)? {
            Value::Object(map) => Ok(map),
            other => Err(Fault::runtime(format!(
                "Assign must give an object, but gave {other}"
            ))),
        })
        .transpose()
}
