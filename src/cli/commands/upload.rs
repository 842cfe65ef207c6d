//! The files of `submit`: they are uploaded, and their addresses are written to the fields for
//! files in the type's schema.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use resolvers::files::UPLOAD_BYTES;
use serde_json::{Map, Value, json};
use tokio_util::io::ReaderStream;

use crate::cli::client::http::Client;
use crate::cli::commands::types::{JobType, fetch, find};
use crate::cli::error::CliError;

/// `PATH` or `FIELD=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileArgument {
    field: Option<String>,
    path: PathBuf,
}

impl FromStr for FileArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<FileArgument, String> {
        let word = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        let (field, path) = match text.split_once('=') {
            Some((field, path)) if word(field) && !Path::new(text).exists() => {
                (Some(field.to_owned()), path)
            }
            _ => (None, text),
        };
        if path.is_empty() {
            return Err("the path is empty: give PATH, or FIELD=PATH".to_owned());
        }
        Ok(FileArgument {
            field,
            path: path.into(),
        })
    }
}

/// How many addresses a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    One,
    Many,
}

/// Uploads the files and returns the input with their addresses. Nothing is uploaded before the
/// field of every file is known.
pub(crate) async fn put_files(
    client: &Client,
    job_type: &str,
    input: &str,
    files: &[FileArgument],
) -> Result<String, CliError> {
    let input =
        json::read(input).map_err(|refused| CliError::Usage(format!("the input is {refused}")))?;
    let Value::Object(mut input) = input else {
        return Err(CliError::Usage(
            "--file needs an input that is a JSON object".to_owned(),
        ));
    };
    let types = fetch(client).await?;
    let fields = address_fields(find(&types, job_type)?);
    let places = places(job_type, &fields, &input, files)?;
    for (file, (field, takes)) in files.iter().zip(places) {
        let bytes = read(&file.path).await?;
        let url = upload(client, &file.path, bytes.0, bytes.1).await?;
        match (takes, input.get_mut(&field)) {
            (Takes::Many, Some(Value::Array(there))) => there.push(url.into()),
            (Takes::Many, _) => drop(input.insert(field, json!([url]))),
            (Takes::One, _) => drop(input.insert(field, url.into())),
        }
    }
    Ok(Value::Object(input).to_string())
}

async fn read(path: &Path) -> Result<(u64, reqwest::Body), CliError> {
    let failed = |source| CliError::file(path, source);
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let about = file.metadata().await.map_err(failed)?;
    if !about.is_file() {
        return Err(CliError::Usage(format!("{} is not a file", path.display())));
    }
    if about.len() > UPLOAD_BYTES {
        let size = about.len();
        return Err(CliError::Usage(format!(
            "{} has {size} bytes, and an upload may have {UPLOAD_BYTES}",
            path.display()
        )));
    }
    Ok((
        about.len(),
        reqwest::Body::wrap_stream(ReaderStream::new(file)),
    ))
}

/// Uploads bytes under the path's name and returns the address to read them from.
pub(crate) async fn upload(
    client: &Client,
    path: &Path,
    size: u64,
    body: reqwest::Body,
) -> Result<String, CliError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let document = "mutation Upload($name: String!, $contentType: String, $size: Int!) { createUpload(name: $name, contentType: $contentType, \
        size: $size) { putUrl getUrl } }";
    let variables = json!({ "name": name, "contentType": content_type(path), "size": size });
    let data = client.ask(document, variables).await?;
    let address = |field: &str| {
        let found = data["createUpload"][field].as_str();
        found.ok_or_else(|| client.unexpected(format_args!("createUpload has no {field}")))
    };
    client.put(address("putUrl")?, size, body).await?;
    address("getUrl").map(str::to_owned)
}

/// The fields of a type's input that take the address of a file: a text or a list of texts that
/// must be an http address.
fn address_fields(job_type: &JobType) -> Vec<(String, Takes)> {
    let is_address = |schema: &Value| {
        schema["type"] == "string"
            && (schema["format"]
                .as_str()
                .is_some_and(|format| matches!(format, "uri" | "iri" | "url"))
                || schema["pattern"]
                    .as_str()
                    .is_some_and(|pattern| pattern.starts_with("^http")))
    };
    let properties = job_type
        .input_schema
        .as_ref()
        .and_then(|schema| schema["properties"].as_object());
    let properties = properties.into_iter().flatten();
    let taking = properties.filter_map(|(name, schema)| {
        let takes = if is_address(schema) {
            Takes::One
        } else if schema["type"] == "array" && is_address(&schema["items"]) {
            Takes::Many
        } else {
            return None;
        };
        Some((name.clone(), takes))
    });
    taking.collect()
}

/// The field of each file.
fn places(
    job_type: &str,
    fields: &[(String, Takes)],
    input: &Map<String, Value>,
    files: &[FileArgument],
) -> Result<Vec<(String, Takes)>, CliError> {
    let mut taken: Vec<String> = Vec::new();
    let mut places = Vec::new();
    // Files with a given field are assigned first.
    let named = |name: &str| {
        files
            .iter()
            .filter(|file| file.field.as_deref() == Some(name))
            .count()
    };
    for file in files {
        let place = match &file.field {
            Some(name) => {
                let known = fields
                    .iter()
                    .find(|(field, _)| field == name)
                    .map(|(_, takes)| *takes);
                let guess = if named(name) > 1 {
                    Takes::Many
                } else {
                    Takes::One
                };
                let takes = known.unwrap_or(guess);
                if takes == Takes::One && named(name) > 1 {
                    return Err(CliError::Usage(format!(
                        "`{name}` takes one file, and {} are given",
                        named(name)
                    )));
                }
                (name.clone(), takes)
            }
            None => {
                let free = |(field, takes): &&(String, Takes)| {
                    *takes == Takes::Many
                        || (!input.contains_key(field)
                            && !taken.contains(field)
                            && named(field) == 0)
                };
                let free: Vec<_> = fields.iter().filter(free).collect();
                match free[..] {
                    [place] => place.clone(),
                    [] => {
                        return Err(CliError::Usage(format!(
                            "the input of job type `{job_type}` has no {}field that takes the address of {}: say which with --file FIELD={}",
                            if fields.is_empty() { "" } else { "more " },
                            file.path.display(),
                            file.path.display()
                        )));
                    }
                    _ => {
                        let names: Vec<&str> = free.iter().map(|(name, _)| name.as_str()).collect();
                        return Err(CliError::Usage(format!(
                            "{} fields of job type `{job_type}` take a file ({}): say which with --file FIELD={}",
                            names.len(),
                            names.join(", "),
                            file.path.display()
                        )));
                    }
                }
            }
        };
        taken.push(place.0.clone());
        places.push(place);
    }
    Ok(places)
}

/// The media type for the name's extension. Without one the file is sent as bytes.
fn content_type(path: &Path) -> Option<&'static str> {
    let end = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match end.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "csv" => "text/csv",
        "txt" | "md" => "text/plain",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(schema: Value, input: Value, files: &[&str]) -> Result<Vec<String>, String> {
        let job_type = JobType {
            name: "t".into(),
            description: None,
            input_schema: Some(schema),
            definition: Value::Null,
            steps: Vec::new(),
        };
        let files: Vec<FileArgument> = files.iter().map(|file| file.parse().expect(file)).collect();
        let fields = address_fields(&job_type);
        let input = input.as_object().expect("an object");
        places("t", &fields, input, &files)
            .map(|places| {
                places
                    .into_iter()
                    .map(|(field, takes)| format!("{field} {takes:?}"))
                    .collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_assigned_to_a_field_for_addresses() {
        let one = json!({ "properties": { "image": { "type": "string", "pattern": "^https?://" }, "name": { "type": "string" } } });
        let two = json!({ "properties": { "a": { "type": "string", "format": "uri" }, "b": { "type": "string", "format": "uri" } } });
        let many = json!({ "properties": { "parts": { "type": "array", "items": { "type": "string", "format": "uri" } } } });
        let none = json!({ "properties": { "name": { "type": "string" } } });
        for (schema, input, files, places) in [
            (&one, json!({}), &["x.png"][..], Ok(vec!["image One"])),
            (&one, json!({}), &["image=x.png"], Ok(vec!["image One"])),
            (&one, json!({}), &["name=x.png"], Ok(vec!["name One"])),
            (&one, json!({}), &["x.png", "y.png"], Err("no more field")),
            (
                &one,
                json!({}),
                &["image=x.png", "image=y.png"],
                Err("`image` takes one file"),
            ),
            (
                &one,
                json!({ "image": "there" }),
                &["x.png"],
                Err("no more field"),
            ),
            (
                &two,
                json!({}),
                &["x"],
                Err("2 fields of job type `t` take a file (a, b)"),
            ),
            (&two, json!({ "a": "there" }), &["x"], Ok(vec!["b One"])),
            (&two, json!({}), &["x", "a=y"], Ok(vec!["b One", "a One"])),
            (
                &many,
                json!({}),
                &["x", "y"],
                Ok(vec!["parts Many", "parts Many"]),
            ),
            (
                &none,
                json!({}),
                &["x"],
                Err("has no field that takes the address of x"),
            ),
            (
                &none,
                json!({}),
                &["f=x", "f=y"],
                Ok(vec!["f Many", "f Many"]),
            ),
        ] {
            let found = place(schema.clone(), input, files);
            match (&found, &places) {
                (Ok(found), Ok(places)) => assert_eq!(found, places, "{files:?}"),
                (Err(error), Err(said)) => assert!(error.contains(said), "{files:?}: {error}"),
                _ => panic!("{files:?}: {found:?}, not {places:?}"),
            }
        }
    }

    #[test]
    fn a_field_is_the_word_before_an_equals_sign() {
        for (text, field, path) in [
            ("a.csv", None, "a.csv"),
            ("csv=a.csv", Some("csv"), "a.csv"),
            ("dir/a=b.csv", None, "dir/a=b.csv"),
            ("=x", None, "=x"),
        ] {
            let file: FileArgument = text.parse().expect(text);
            assert_eq!(
                (file.field.as_deref(), file.path.to_str()),
                (field, Some(path))
            );
        }
        assert!("csv=".parse::<FileArgument>().is_err());
    }
}
