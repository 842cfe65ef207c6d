//! A record of the job table's stream, as AWS Lambda delivers it. Reading publishes nothing.

use std::collections::HashSet;

use aws_lambda_events::dynamodb::EventRecord;
use job::Job;
use resolvers::store::dynamodb::{JOB_ATTRIBUTE, JOB_SORT_KEY};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A record of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its number, by which its place in the shard is named.
    pub sequence: String,
    /// Its identifier, which no other record has; empty if it has none.
    pub event: String,
    /// What it is about.
    pub content: Content,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A job has changed. Both are the job as it is stored, as JSON text.
    Change {
        /// The job after the change.
        new: String,
        /// The job before it; `None` for a new job.
        old: Option<String>,
    },
    /// It was published before, although a record before it was not.
    Ahead,
    /// Nothing to publish: another row, or the deletion of a job.
    Other,
    /// It cannot be published, now or later: why.
    Unreadable(String),
}

/// A record without a number, whose place in the shard cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of the stream has no SequenceNumber")]
pub struct NoPlace;

/// Reads a record. One that was published ahead is not read again.
///
/// # Errors
/// [`NoPlace`].
pub fn read(text: &RawValue, ahead: &HashSet<String>) -> Result<StreamRecord, NoPlace> {
    if !ahead.is_empty() {
        let Place { sequence, event } = Place::of(text);
        if ahead.contains(&event) {
            return Ok(StreamRecord {
                sequence,
                event,
                content: Content::Ahead,
            });
        }
    }
    let record = match serde_json::from_str::<EventRecord>(text.get()) {
        Ok(record) => record,
        Err(error) => {
            let Place { sequence, event } = Place::of(text);
            if sequence.is_empty() {
                return Err(NoPlace);
            }
            return Ok(StreamRecord {
                sequence,
                event,
                content: Content::Unreadable(format!("it is no record of a stream: {error}")),
            });
        }
    };
    let content = content(&record);
    let sequence = record.change.sequence_number.unwrap_or_default();
    if sequence.is_empty() && content != Content::Other {
        return Err(NoPlace);
    }
    Ok(StreamRecord {
        sequence,
        event: record.event_id,
        content,
    })
}

/// Which record it is, without its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub sequence: String,
    /// Its identifier.
    pub event: String,
}

impl Place {
    /// The place of a record; empty for what the record does not have.
    #[must_use]
    pub fn of(text: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct Named {
            #[serde(default, rename = "eventID")]
            event: String,
            dynamodb: Numbered,
        }
        #[derive(Deserialize)]
        struct Numbered {
            #[serde(default, rename = "SequenceNumber")]
            sequence: String,
        }
        let named = serde_json::from_str::<Named>(text.get());
        named.map_or_else(
            |_| Self::default(),
            |named| Self {
                sequence: named.dynamodb.sequence,
                event: named.event,
            },
        )
    }
}

fn content(record: &EventRecord) -> Content {
    let change = &record.change;
    let sort_key = change.keys.get("sk").and_then(attribute);
    // A job is deleted after its end, by a purge or by the table's time to live. No watcher waits
    // for that.
    if sort_key != Some(JOB_SORT_KEY) || record.event_name == "REMOVE" {
        return Content::Other;
    }
    let job = |image: &serde_dynamo::Item, which: &str| {
        let text = image.get(JOB_ATTRIBUTE).and_then(attribute);
        let text = text.ok_or_else(|| format!("the {which} has no text `{JOB_ATTRIBUTE}`"))?;
        // As a node reads it.
        let checked = json::check(text).map_err(|error| error.to_string());
        let job =
            checked.and_then(|text| json::object::<Job>(text).map_err(|error| error.to_string()));
        match job {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(format!("the {which} has no job: {error}")),
        }
    };
    match job(&change.new_image, "new image") {
        // Without the old job the change is published nevertheless.
        Ok(new) => Content::Change {
            new,
            old: job(&change.old_image, "old image").ok(),
        },
        Err(why) => Content::Unreadable(why),
    }
}

fn attribute(value: &serde_dynamo::AttributeValue) -> Option<&str> {
    match value {
        serde_dynamo::AttributeValue::S(text) => Some(text),
        _ => None,
    }
}
