//! What a Map's fields say: its items, its concurrency, its numbers. It starts nothing.
use super::{
    Execution,
    data::{Data, data},
    enter::{fill, select},
    model::Thread,
};
use crate::{
    definition::model::{Items, MapState, Number, plain},
    fault::Fault,
    path::Path,
    scope::{Context, Scope},
    template::Template,
};
use serde_json::Value;
use std::{borrow::Cow, sync::Arc};

/// What a Map's fields say.
pub(super) struct MapPlan {
    pub(super) input: Arc<Data>,
    pub(super) concurrency: usize,
    /// `None` when they are to be read.
    pub(super) items: Option<Vec<Value>>,
}

pub(super) fn not_integer(field: &str, path: &str, value: &Value) -> String {
    format!(
        "The {field} field refers to value \"{}\" which is not a valid integer: {path}",
        plain(value)
    )
}

impl Execution {
    /// Works out a Map's input, items and concurrency.
    pub(super) fn map_plan(&self, thread: &Thread, map: &MapState) -> Result<MapPlan, Fault> {
        let state = &*thread.state;
        let raw = &thread.input;
        let context = Context::new(|| self.context_object(thread, None));
        let scope = self.scope(thread, raw.value(), &context);
        let input = if state.input.as_ref().is_some_and(Path::is_whole) {
            raw.clone()
        } else {
            data(
                select(state.input.as_ref(), &scope)?.into_owned(),
                &state.name,
            )?
        };
        let scope = Scope {
            input: input.value(),
            ..scope
        };
        let items = match (&map.reader, &map.items) {
            (Some(_), _) => None,
            (None, Items::Path(path)) => {
                let found = path.read(&scope).map_err(|why| {
                    Fault::runtime(format!("Invalid path '{}' : {why}", path.text))
                })?;
                Some(listed(found).ok_or_else(|| {
                    Fault::runtime(format!(
                        "Reference path \"{}\" must point to array.",
                        path.text
                    ))
                })?)
            }
            (None, Items::Jsonata(Template::Jsonata(expression))) => {
                let found = expression.evaluate_as(&scope, "Items", "array")?;
                Some(listed(Cow::Owned(found)).unwrap_or_default())
            }
            (None, Items::Jsonata(template)) => {
                let found = fill(template, &scope, "Items", &state.name)?;
                Some(
                    listed(Cow::Owned(found))
                        .ok_or_else(|| Fault::runtime("Items must be an array"))?,
                )
            }
            (None, Items::Input) => {
                Some(listed(Cow::Borrowed(input.value())).ok_or_else(|| {
                    Fault::evaluation(
                        None,
                        format!("Map state input must be an array but was: {}", input.text),
                    )
                })?)
            }
        };
        let concurrency = match &map.concurrency {
            None => 0.0,
            Some(number) => number.read(&scope, true, not_integer)?,
        };
        if concurrency < 0.0 {
            return Err(Fault::runtime("MaxConcurrency must not be negative."));
        }
        Ok(MapPlan {
            input: input.clone(),
            concurrency: concurrency as usize,
            items,
        })
    }
    /// A number field of the thread's state, over its raw input.
    pub(super) fn number(&self, id: u64, number: &Number) -> Result<f64, Fault> {
        let Some(thread) = self.threads.get(&id) else {
            return Ok(0.0);
        };
        let context = Context::new(|| self.context_object(thread, None));
        number.read(
            &self.scope(thread, thread.input.value(), &context),
            false,
            |field, path, value| {
                let kind = if field.contains("Percentage") {
                    "float"
                } else {
                    "integer"
                };
                format!(
                    "The {field} field refers to value \"{}\" which is not a valid {kind}: {path}",
                    plain(value)
                )
            },
        )
    }
}

/// The items of a list; of an object, its entries.
fn listed(found: Cow<'_, Value>) -> Option<Vec<Value>> {
    match found.into_owned() {
        Value::Array(items) => Some(items),
        _ => None,
    }
}
