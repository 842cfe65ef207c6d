//! Computes the fields of a Map: its items, concurrency and numbers. It starts nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Execution;
use super::data::{Data, data};
use super::fields::{fill, select};
use super::model::Thread;
use crate::definition::model::{MapItems, MapState, NumberField, plain};
use crate::fault::Fault;
use crate::path::{Path, Root};
use crate::scope::{Context, Scope};
use crate::template::Template;

/// The computed fields of a Map.
pub(super) struct MapPlan {
    pub(super) input: Arc<Data>,
    pub(super) concurrency: usize,
    /// `None` if they are read from files.
    pub(super) items: Option<ItemList>,
}

/// The items of a Map.
#[derive(Debug, Clone, Default)]
pub(super) struct ItemList {
    pub(super) values: Vec<Value>,
    /// Whether they are the fields of an object, each as `{"Key": …, "Value": …}`.
    pub(super) pairs: bool,
}

impl ItemList {
    pub(super) fn of(values: Vec<Value>) -> Self {
        Self {
            values,
            pairs: false,
        }
    }

    /// The items of an array, or the fields of an object if `objects` are allowed.
    fn read(found: Value, objects: bool) -> Option<Self> {
        match found {
            Value::Array(values) => Some(Self::of(values)),
            Value::Object(fields) if objects => {
                let pair = |(key, value)| json!({"Key": key, "Value": value});
                Some(Self {
                    values: fields.into_iter().map(pair).collect(),
                    pairs: true,
                })
            }
            _ => None,
        }
    }
}

pub(super) fn not_integer(field: &str, path: &str, value: &Value) -> String {
    format!(
        "The {field} field refers to value \"{}\" which is not a valid integer: {path}",
        plain(value)
    )
}

/// The items of a Map; `None` if they are read from files.
fn items(
    map: &MapState,
    state: &str,
    scope: &Scope<'_>,
    input: &Data,
) -> Result<Option<ItemList>, Fault> {
    Ok(match (&map.reader, &map.items) {
        (Some(_), _) => None,
        (None, MapItems::Path(path)) => {
            let found = path
                .read(scope)
                .map_err(|why| Fault::runtime(format!("Invalid path '{}' : {why}", path.text)))?;
            // A variable with an object ends an inline Map. Recordings of AWS show this; its
            // guide does not mention it.
            let selected = path.root == Root::Input && !path.is_whole();
            let objects = map.is_distributed || selected;
            Some(ItemList::read(found.into_owned(), objects).ok_or_else(|| {
                Fault::runtime(format!(
                    "Reference path \"{}\" must point to array.",
                    path.text
                ))
            })?)
        }
        (None, MapItems::Jsonata(Template::Jsonata(expression))) => {
            // Likewise, an inline Map takes an object from the state's data only.
            let objects = map.is_distributed || expression.selects_data();
            let found = expression.evaluate_items(scope, objects)?;
            Some(ItemList::read(found, objects).unwrap_or_default())
        }
        (None, MapItems::Jsonata(template)) => {
            let found = fill(template, scope, "Items", state)?;
            Some(
                ItemList::read(found, map.is_distributed)
                    .ok_or_else(|| Fault::runtime("Items must be an array"))?,
            )
        }
        (None, MapItems::Input) => Some(
            ItemList::read(input.value().clone(), map.is_distributed).ok_or_else(|| {
                Fault::evaluation(
                    None,
                    format!("Map state input must be an array but was: {}", input.text),
                )
            })?,
        ),
    })
}

impl Execution {
    /// Computes a Map's input, items and concurrency.
    pub(super) fn map_plan(&self, thread: &Thread, map: &MapState) -> Result<MapPlan, Fault> {
        let state = &*thread.state;
        let raw = &thread.input;
        let context = Context::new(|| self.context_object(thread, None));
        let scope = self.scope(thread, raw.value(), &context);
        let input = if state.input.as_ref().is_some_and(Path::is_whole) {
            Arc::clone(raw)
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
        let items = items(map, &state.name, &scope, &input)?;
        let concurrency = match &map.concurrency {
            None => 0.0,
            Some(number) => {
                let found = number.read(&scope, true, not_integer)?;
                number.within(found, (0.0, f64::INFINITY), || {
                    "MaxConcurrency must not be negative.".to_owned()
                })?
            }
        };
        Ok(MapPlan {
            input: Arc::clone(&input),
            concurrency: concurrency as usize,
            items,
        })
    }

    /// A number field of the thread's state, read from its raw input.
    pub(super) fn number(&self, id: u64, number: &NumberField, whole: bool) -> Result<f64, Fault> {
        let Some(thread) = self.threads.get(&id) else {
            return Ok(0.0);
        };
        let context = Context::new(|| self.context_object(thread, None));
        number.read(
            &self.scope(thread, thread.input.value(), &context),
            whole,
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
