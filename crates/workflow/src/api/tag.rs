//! Tags of state machines and activities.

use serde_json::{Value, json};

use super::error::ApiError;
use super::shape::{ARN, Shape};
use super::{Api, Call, Reply};
use crate::arn::{self, Taggable};
use crate::catalog::Tables;

/// Tags of one resource.
pub(crate) const TAGS: usize = 50;

/// Tags in a request: keys and values.
pub(super) fn given(shape: &mut Shape<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let mut tags = Vec::new();
    for (index, tag) in shape.list("tags").unwrap_or_default().iter().enumerate() {
        shape.within(&format!("tags.{}.member", index + 1), tag, |inner| {
            let key = inner.optional("key", 1..=128).unwrap_or_default();
            let value = inner.optional("value", 0..=256).unwrap_or_default();
            tags.push((key.to_owned(), value.to_owned()));
        });
    }
    shape.check()?;
    if let Some((key, _)) = tags
        .iter()
        .find(|(key, _)| key.is_empty() || key.starts_with("aws:"))
    {
        return Err(ApiError::invalid(format!(
            "A tag's key has 1 to 128 characters and does not begin with 'aws:'. Received: '{key}'"
        )));
    }
    let mut keys: Vec<&String> = tags.iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    too_many("", keys.len())?;
    Ok(tags)
}

fn too_many(resource: &str, count: usize) -> Result<(), ApiError> {
    if count <= TAGS {
        return Ok(());
    }
    Err(ApiError::new(
        "TooManyTags",
        format!("Too many tags: {count}, and a resource may have {TAGS}: '{resource}'"),
    ))
}

/// The resource must be there; versions and aliases have no tags.
fn check(tables: &Tables<'_>, arn: &str) -> Result<(), ApiError> {
    let found = match arn::taggable(arn)? {
        Taggable::Machine(name) => tables.machine(name)?.is_some(),
        Taggable::Activity(name) => tables.activity(name)?.is_some(),
    };
    if found {
        Ok(())
    } else {
        Err(ApiError::no_resource(arn))
    }
}

impl Api {
    pub(super) async fn tag_resource(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.text("resourceArn", ARN).to_owned();
        shape.required_list("tags");
        let tags = given(&mut shape)?;
        self.write(move |tables| {
            check(&tables, &arn)?;
            for (key, value) in &tags {
                tables.put_tag(&arn, key, value)?;
            }
            too_many(&arn, tables.tags(&arn)?.len())?;
            Ok(json!({}))
        })
        .await
    }

    pub(super) async fn untag_resource(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.text("resourceArn", ARN).to_owned();
        let keys = shape.required_list("tagKeys").iter();
        let keys: Vec<String> = keys
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect();
        shape.check()?;
        self.write(move |tables| {
            check(&tables, &arn)?;
            for key in &keys {
                tables.delete_tag(&arn, key)?;
            }
            Ok(json!({}))
        })
        .await
    }

    pub(super) async fn list_tags_for_resource(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.text("resourceArn", ARN).to_owned();
        shape.check()?;
        let directory = match arn::taggable(&arn)? {
            Taggable::Machine(name) => self.engine.machines().get(name).is_some(),
            Taggable::Activity(_) => false,
        };
        if directory {
            return Ok(json!({"tags": []}));
        }
        let tags = self
            .read(move |tables| {
                check(&tables, &arn)?;
                Ok(tables.tags(&arn)?)
            })
            .await?;
        let tags: Vec<Value> = tags
            .into_iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        Ok(json!({"tags": tags}))
    }
}
