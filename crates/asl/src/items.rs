//! Parses the text of an object into the items of a distributed Map: JSON, JSON Lines, CSV. It
//! reads no storage.

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::limits::MAX_PAYLOAD;

/// Maximum size of an object that a Map reads, in bytes. The journal holds its items.
pub const MAX_ITEMS_BYTES: usize = 64 * 1024 * 1024;
/// Maximum size of one item, in bytes.
const MAX_ITEM: usize = MAX_PAYLOAD;

/// The format of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON list, with its JSON pointer if it is not the whole text.
    Json(Option<String>),
    JsonLines,
    /// A format of AWS that this engine does not support.
    Unavailable(String),
    Csv {
        header: Header,
        delimiter: u8,
    },
}

/// The source of the column names of a CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Header {
    FirstRow,
    Given(Vec<String>),
}

fn failed(cause: impl Into<String>) -> Fault {
    Fault::plain("States.ItemReaderFailed", cause)
}

/// The items of a text, at most `most`.
pub(crate) fn parse(format: &Format, body: &str, most: Option<usize>) -> Result<Vec<Value>, Fault> {
    if body.len() > MAX_ITEMS_BYTES {
        return Err(failed(format!(
            "The object has {} bytes, but {MAX_ITEMS_BYTES} are allowed",
            body.len()
        )));
    }
    let most = most.unwrap_or(usize::MAX);
    let body = json::without_mark(body);
    let items = match format {
        Format::Json(pointer) => {
            let mut whole =
                json::read(body).map_err(|refused| failed(format!("The object is {refused}")))?;
            let found = match pointer {
                None => Some(&mut whole),
                Some(pointer) => whole.pointer_mut(pointer),
            };
            match found.map(Value::take) {
                Some(Value::Array(mut items)) => {
                    items.truncate(most);
                    items
                }
                Some(_) => return Err(failed("Attempting to map over non-iterable node.")),
                None => {
                    return Err(failed(format!(
                        "The ItemsPointer {} points to nothing in the object",
                        pointer.as_deref().unwrap_or_default()
                    )));
                }
            }
        }
        Format::JsonLines => body
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .take(most)
            .map(|(at, line)| {
                json::read(line).map_err(|refused| failed(format!("Line {} is {refused}", at + 1)))
            })
            .collect::<Result<_, _>>()?,
        Format::Unavailable(name) => {
            return Err(failed(format!("{name} is not available here")));
        }
        Format::Csv { header, delimiter } => csv(header, *delimiter, body, most)?,
    };
    Ok(items)
}

fn csv(header: &Header, delimiter: u8, body: &str, most: usize) -> Result<Vec<Value>, Fault> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(body.as_bytes());
    let mut rows = reader.records();
    let names: Vec<String> = match header {
        Header::Given(names) => names.clone(),
        Header::FirstRow => match rows.next() {
            None => return Ok(Vec::new()),
            Some(row) => row
                .map_err(|e| failed(format!("The first row cannot be read: {e}")))?
                .iter()
                .map(str::to_owned)
                .collect(),
        },
    };
    let mut seen = std::collections::HashSet::new();
    if !names.iter().all(|n| seen.insert(n)) {
        return Err(failed("CSV headers cannot contain duplicates."));
    }
    let mut items = Vec::new();
    for row in rows.take(most) {
        let row = row.map_err(|e| failed(format!("A row cannot be read: {e}")))?;
        let item: Map<String, Value> = names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                (
                    name.clone(),
                    Value::String(row.get(i).unwrap_or_default().to_owned()),
                )
            })
            .collect();
        items.push(Value::Object(item));
    }
    Ok(items)
}

/// Groups items into batches by number and bytes.
///
/// The error is an item that is larger than a batch.
pub(crate) fn batches(
    items: Vec<Value>,
    input: Option<&Value>,
    most: Option<usize>,
    bytes: Option<usize>,
) -> Result<Vec<Value>, Fault> {
    let (most, bytes) = (
        most.unwrap_or(usize::MAX),
        bytes.unwrap_or(MAX_ITEM).min(MAX_ITEM),
    );
    let frame = input.map_or(0, |v| v.to_string().len()) + 32;
    let mut batches = Vec::new();
    let (mut batch, mut size) = (Vec::new(), frame);
    let close = |batch: Vec<Value>| {
        let mut map = Map::new();
        if let Some(input) = input {
            map.insert("BatchInput".to_owned(), input.clone());
        }
        map.insert("Items".to_owned(), Value::Array(batch));
        Value::Object(map)
    };
    for item in items {
        let weight = item.to_string().len() + 1;
        if frame + weight > bytes {
            return Err(failed(format!(
                "An item has {weight} bytes, more than a batch of {bytes} bytes can hold"
            )));
        }
        if !batch.is_empty() && (batch.len() >= most || size + weight > bytes) {
            batches.push(close(std::mem::take(&mut batch)));
            size = frame;
        }
        size += weight;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(close(batch));
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_format_is_parsed_or_refused() {
        let csv = |header| Format::Csv {
            header,
            delimiter: b',',
        };
        for (format, body, most, want) in [
            (
                Format::Json(None),
                "[1,{\"a\":2}]",
                None,
                json!([1, {"a": 2}]),
            ),
            (Format::Json(None), "[1,2,3]", Some(2), json!([1, 2])),
            (
                Format::Json(Some("/a~1b/0".into())),
                "{\"a/b\":[[1,2]]}",
                Some(1),
                json!([1]),
            ),
            (
                Format::JsonLines,
                "1\n\n{\"a\":2}\n",
                None,
                json!([1, {"a": 2}]),
            ),
            (
                csv(Header::FirstRow),
                "H1,\nx,\"y,z\",w\n,\n",
                None,
                json!([{"H1": "x", "": "y,z"}, {"H1": "", "": ""}]),
            ),
            (
                csv(Header::Given(vec!["a".into()])),
                "1\n2\n3\n",
                Some(2),
                json!([{"a": "1"}, {"a": "2"}]),
            ),
        ] {
            assert_eq!(
                parse(&format, body, most).map(Value::Array),
                Ok(want),
                "{body}"
            );
        }
        for (format, body, why) in [
            (Format::Json(None), "{}", "non-iterable"),
            (Format::Json(None), "[", "not JSON"),
            (
                Format::Json(Some("/a".into())),
                "{\"b\":[]}",
                "points to nothing",
            ),
            (Format::JsonLines, "1\n{", "Line 2"),
            (csv(Header::FirstRow), "a,a\n1,2\n", "duplicates"),
        ] {
            let fault = parse(&format, body, None).unwrap_err();
            assert!(fault.cause.unwrap().contains(why), "{body}");
        }
    }

    #[test]
    fn batches_stay_within_both_limits() {
        let items = || vec![json!("aaaa"), json!("bbbb"), json!("cccc")];
        let got = batches(items(), Some(&json!({"k": 1})), Some(2), None).unwrap();
        assert_eq!(
            got,
            [
                json!({"BatchInput": {"k": 1}, "Items": ["aaaa", "bbbb"]}),
                json!({"BatchInput": {"k": 1}, "Items": ["cccc"]})
            ]
        );
        assert_eq!(batches(items(), None, None, Some(46)).unwrap().len(), 2);
        assert!(batches(items(), None, None, Some(38)).is_err());
    }
}
