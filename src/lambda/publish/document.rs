//! The document of `publishJob` for several records: one alias and two variables for each, and one
//! fragment for all. A node knows each document after its first execution, and then executes it no
//! more: the number of records is all that differs.

use std::fmt::Write as _;

/// Maximum number of records in one document: half of the aliases that a node accepts.
pub const RECORDS: usize = 50;
/// Number of bytes of the variables of a document after which no further record is added: half of
/// the body that a node accepts. A record alone has always room.
pub const VARIABLES_BYTES: usize = 4 * 1024 * 1024;

/// All fields of a job but `input`, `result` and `history`, which are read on request. Behind
/// managed AppSync, watchers see what the publisher selects. A node's watchers see what they have
/// selected themselves.
pub const FIELDS: &str = "id type owner status progress message error{name message step} \
    steps{name index type status progress attempt itemsDone itemsTotal startedAt finishedAt \
    error{name message step}} tags attempt version createdAt startedAt updatedAt finishedAt \
    expiresAt execution";

/// A change to publish: both jobs as they are stored, as JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'c> {
    /// The job after the change.
    pub new: &'c str,
    /// The job before it.
    pub old: Option<&'c str>,
}

impl Change<'_> {
    /// Number of bytes that it adds to the variables, without escapes.
    fn bytes(&self) -> usize {
        self.new.len() + self.old.map_or(0, str::len)
    }
}

/// The document for this number of records.
#[must_use]
pub fn document(records: usize) -> String {
    let mut text = String::from("mutation Publish(");
    for at in 0..records {
        let _ = write!(text, "$n{at}:AWSJSON!,$o{at}:AWSJSON,");
    }
    text.push_str("){");
    for at in 0..records {
        let _ = write!(text, "r{at}:publishJob(new:$n{at},old:$o{at}){{...J}}");
    }
    let _ = write!(text, "}}fragment J on Job{{{FIELDS}}}");
    text
}

/// The alias of a record in its document.
#[must_use]
pub fn alias(at: usize) -> String {
    format!("r{at}")
}

/// The body of the request that publishes these changes.
#[must_use]
pub fn body(changes: &[Change<'_>]) -> Vec<u8> {
    let bytes: usize = changes.iter().map(Change::bytes).sum();
    let document = document(changes.len());
    let mut out = Vec::with_capacity(document.len() + bytes + bytes / 4 + 1024);
    out.extend_from_slice(br#"{"operationName":"Publish","query":"#);
    string(&document, &mut out);
    out.extend_from_slice(br#","variables":{"#);
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"n{at}\":").as_bytes());
        string(change.new, &mut out);
        if let Some(old) = change.old {
            out.extend_from_slice(format!(",\"o{at}\":").as_bytes());
            string(old, &mut out);
        }
    }
    out.extend_from_slice(b"}}");
    out
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text is JSON, and memory takes it");
}

/// The numbers of records in the documents for these changes, in order: each within [`RECORDS`] and
/// [`VARIABLES_BYTES`].
#[must_use]
pub fn parts(changes: &[Change<'_>]) -> Vec<usize> {
    let mut parts = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    for change in changes {
        if records == RECORDS || records > 0 && bytes + change.bytes() > VARIABLES_BYTES {
            parts.push(records);
            (records, bytes) = (0, 0);
        }
        records += 1;
        bytes += change.bytes();
    }
    if records > 0 {
        parts.push(records);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql;

    #[test]
    fn the_document_of_any_number_of_records_is_valid_and_small_enough_to_be_known() {
        for records in 1..=RECORDS {
            let document = document(records);
            assert_eq!(graphql::check_document(&document), Ok(()), "{records}");
            // Over this size a node would execute it each time.
            assert!(document.len() <= 8 * 1024, "{}", document.len());
        }
        let most = graphql::limits::ALIASES / RECORDS;
        assert_eq!(most, 2, "a node accepts twice as many aliases");
    }

    #[test]
    fn every_field_of_a_job_is_selected_but_those_read_on_request() {
        let schema = graphql::sdl::sdl();
        for kind in ["Job", "Step", "JobError"] {
            let start = format!("type {kind} {{");
            let body = schema.split(&start).nth(1).expect("a type of the schema");
            let body = body.split("\n}").next().expect("its end");
            let names = body.lines().filter_map(|line| {
                let name = line.strip_prefix("  ")?.split([':', '(']).next()?;
                let is_name = name.chars().all(char::is_alphanumeric) && !name.is_empty();
                (is_name && line.contains(": ")).then_some(name)
            });
            let missing: Vec<_> = names
                .filter(|name| !FIELDS.split([' ', '{', '}']).any(|field| field == *name))
                .collect();
            let read_on_request: &[&str] = match kind {
                "Job" => &["input", "result", "history"],
                _ => &[],
            };
            assert_eq!(missing, read_on_request, "{kind}");
        }
    }

    #[test]
    fn a_document_has_no_more_records_than_its_limits_allow() {
        let small = Change {
            new: "{}",
            old: Some("{}"),
        };
        assert_eq!(parts(&[]), [0; 0]);
        assert_eq!(parts(&[small; RECORDS]), [RECORDS]);
        assert_eq!(parts(&[small; RECORDS + 1]), [RECORDS, 1]);
        let half = "x".repeat(VARIABLES_BYTES / 2);
        let half = Change {
            new: &half,
            old: None,
        };
        assert_eq!(parts(&[half, half, half]), [2, 1]);
        assert_eq!(parts(&[half, half, small, small]), [2, 2]);
        let most = "x".repeat(VARIABLES_BYTES + 1);
        let most = Change {
            new: &most,
            old: None,
        };
        assert_eq!(parts(&[small, most, small]), [1, 1, 1]);
    }

    #[test]
    fn a_body_is_a_request_whose_variables_are_the_jobs_as_they_are_stored() {
        let changes = [
            Change {
                new: r#"{"message":"\"a\" \n"}"#,
                old: None,
            },
            Change {
                new: "{}",
                old: Some("[1]"),
            },
        ];
        let body: serde_json::Value = serde_json::from_slice(&body(&changes)).expect("JSON");
        assert_eq!(body["query"], document(2));
        let variables = serde_json::json!({ "n0": changes[0].new, "n1": "{}", "o1": "[1]" });
        assert_eq!(body["variables"], variables);
    }
}
