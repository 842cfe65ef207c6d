//! The objects of distributed Maps: `s3:getObject`, `s3:listObjectsV2` and `s3:putObject` over the
//! configured object stores.

use std::sync::Arc;

use asl::{MAX_ITEMS_BYTES, ReadItems, Resource, WriteResults};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use serde_json::json;

use super::ServiceSettings;

/// Objects of one listing.
const LISTED: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    bucket: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    start_after: String,
}

/// An object's text, or a list of objects, as the resource says.
pub(super) async fn read(
    settings: &ServiceSettings,
    request: &ReadItems,
) -> Result<String, String> {
    let place: Place = json::object(&request.arguments)
        .map_err(|error| format!("the arguments of the ItemReader cannot be read: {error}"))?;
    let bucket = bucket(settings, &place.bucket)?;
    match &request.resource {
        Resource::Service { action, .. } if action == "listObjectsV2" => list(bucket, &place).await,
        _ => object(bucket, &place).await,
    }
}

fn bucket<'a>(
    settings: &'a ServiceSettings,
    name: &str,
) -> Result<&'a Arc<dyn ObjectStore>, String> {
    settings.buckets.get(name).ok_or_else(|| {
        let mut names: Vec<&str> = settings.buckets.keys().map(String::as_str).collect();
        names.sort_unstable();
        format!(
            "there is no bucket {name:?}: add it to the section [services.buckets] of the configuration (there are: {})",
            names.join(", ")
        )
    })
}

fn path(key: &str) -> Result<Path, String> {
    Path::parse(key).map_err(|error| format!("the key {key:?} cannot be used: {error}"))
}

async fn object(store: &Arc<dyn ObjectStore>, place: &Place) -> Result<String, String> {
    let failed = |error: object_store::Error| match error {
        object_store::Error::NotFound { .. } => format!(
            "The specified key does not exist: {} in {}",
            place.key, place.bucket
        ),
        error => format!("the object {} cannot be read: {error}", place.key),
    };
    let found = store.get(&path(&place.key)?).await.map_err(failed)?;
    let size = found.meta.size;
    if size > MAX_ITEMS_BYTES as u64 {
        return Err(format!(
            "the object {} has {size} bytes, but {MAX_ITEMS_BYTES} are allowed",
            place.key
        ));
    }
    let bytes = found.bytes().await.map_err(failed)?;
    json::text(&bytes)
        .map(str::to_owned)
        .map_err(|_| format!("the object {} is not UTF-8 text", place.key))
}

/// S3's prefix is a beginning of the key, wherever it ends; the store's is whole folders.
async fn list(store: &Arc<dyn ObjectStore>, place: &Place) -> Result<String, String> {
    let folder = place.prefix.rsplit_once('/').map(|(folder, _)| folder);
    let folder = folder.filter(|folder| !folder.is_empty()).map(path);
    let folder = folder.transpose()?;
    let mut found: Vec<_> = store
        .list(folder.as_ref())
        .try_filter(|object| {
            let key = object.location.as_ref();
            std::future::ready(
                key.starts_with(&place.prefix)
                    && (place.start_after.is_empty() || key > place.start_after.as_str()),
            )
        })
        .take(LISTED + 1)
        .try_collect()
        .await
        .map_err(|error| format!("the objects of {} cannot be listed: {error}", place.bucket))?;
    if found.len() > LISTED {
        return Err(format!(
            "more than {LISTED} objects begin with {:?}",
            place.prefix
        ));
    }
    found.sort_by(|a, b| a.location.cmp(&b.location));
    let listed: Vec<_> = found
        .into_iter()
        .map(|object| {
            json!({
                "Etag": object.e_tag.unwrap_or_default(),
                "Key": object.location.as_ref(),
                "LastModified": object.last_modified.timestamp(),
                "Size": object.size,
                "StorageClass": "STANDARD",
            })
        })
        .collect();
    Ok(serde_json::Value::Array(listed).to_string())
}

/// Writes the files in order: the manifest, which names the others, comes last.
pub(super) async fn write(
    settings: &ServiceSettings,
    request: &WriteResults,
) -> Result<(), String> {
    let bucket = bucket(settings, &request.bucket)?;
    for (key, body) in &request.files {
        bucket
            .put(&path(key)?, body.as_bytes().to_vec().into())
            .await
            .map_err(|error| format!("the object {key} cannot be written: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_an_object() {
        for (arguments, taken) in [
            (r#"{"Bucket": "b", "Key": "k"}"#, true),
            (r#"["b", "k", "p", "a"]"#, false),
            (r#"["b"]"#, false),
            ("{}", false),
        ] {
            assert_eq!(
                json::object::<Place>(arguments).is_ok(),
                taken,
                "{arguments}"
            );
        }
    }
}
