//! The answer of a node to a document of several records, read alias by alias.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::document::alias;

/// Codes of refusals that another try does not change: they are about the record.
const FOR_GOOD: &[&str] = &[
    "BadRequest",
    "ValidationError",
    "PayloadTooLarge",
    "ResolverExecutionLimitReached",
    "MalformedHttpRequestException",
];

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is published.
    Published,
    /// The node refuses it, now and later: why.
    Refused(String),
    /// It was not published, and may be later: why.
    Failed(String),
    /// The answer does not say: it names the first errors only, or refuses the whole document. The
    /// record is to be sent alone.
    Unknown,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<HashMap<String, Option<IgnoredAny>>>,
    #[serde(default)]
    errors: Vec<AnswerError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerError {
    #[serde(default)]
    message: String,
    error_type: Option<String>,
    #[serde(default)]
    path: Vec<serde_json::Value>,
}

impl AnswerError {
    fn outcome(&self) -> Outcome {
        let code = self.error_type.as_deref().unwrap_or_default();
        let why = format!("{code}: {}", self.message);
        if FOR_GOOD.contains(&code) {
            Outcome::Refused(why)
        } else {
            Outcome::Failed(why)
        }
    }
}

/// What became of each record of a document; `None` if the text is no answer of GraphQL.
#[must_use]
pub fn read(text: &[u8], records: usize) -> Option<Vec<Outcome>> {
    let answer: Answer = serde_json::from_slice(text).ok()?;
    let Some(data) = answer.data else {
        // The whole document is refused, perhaps because of one record.
        let first = answer.errors.first()?.outcome();
        let outcome = match first {
            Outcome::Refused(_) if records > 1 => Outcome::Unknown,
            other => other,
        };
        return Some(vec![outcome; records]);
    };
    let mut errors = HashMap::new();
    for error in &answer.errors {
        if let Some(first) = error.path.first().and_then(serde_json::Value::as_str) {
            errors.entry(first).or_insert(error);
        }
    }
    let outcomes = (0..records).map(|at| {
        let alias = alias(at);
        match (data.get(&alias), errors.get(alias.as_str())) {
            (_, Some(error)) => error.outcome(),
            (Some(Some(_)), None) => Outcome::Published,
            _ if records > 1 => Outcome::Unknown,
            _ => Outcome::Failed("the answer has neither the job nor an error".to_owned()),
        }
    });
    Some(outcomes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(alias: &str, code: &str) -> String {
        format!(r#"{{"message":"m","errorType":"{code}","path":["{alias}"]}}"#)
    }

    #[test]
    fn each_alias_is_read_for_itself() {
        let (bad, busy) = (error("r1", "BadRequest"), error("r3", "ServiceUnavailable"));
        let text = format!(
            r#"{{"data":{{"r0":{{"id":"a"}},"r1":null,"r2":{{}},"r3":null,"r4":null}},"errors":[{bad},{busy}]}}"#
        );
        let expected = [
            Outcome::Published,
            Outcome::Refused("BadRequest: m".to_owned()),
            Outcome::Published,
            Outcome::Failed("ServiceUnavailable: m".to_owned()),
            // Its error was left out of the answer.
            Outcome::Unknown,
            // It is not in the answer at all.
            Outcome::Unknown,
        ];
        assert_eq!(read(text.as_bytes(), 6).as_deref(), Some(&expected[..]));
    }

    #[test]
    fn a_refusal_of_the_whole_document_is_about_one_record_if_it_has_one() {
        let text = br#"{"data":null,"errors":[{"message":"m","errorType":"BadRequest"}]}"#;
        assert_eq!(read(text, 2), Some(vec![Outcome::Unknown; 2]));
        let refused = Outcome::Refused("BadRequest: m".to_owned());
        assert_eq!(read(text, 1), Some(vec![refused]));
        let text = br#"{"errors":[{"message":"m","errorType":"UnauthorizedException"}]}"#;
        let failed = Outcome::Failed("UnauthorizedException: m".to_owned());
        assert_eq!(read(text, 2), Some(vec![failed; 2]));
    }

    #[test]
    fn another_text_is_no_answer() {
        for text in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":[1]}"#,
        ] {
            assert_eq!(read(text.as_bytes(), 1), None, "{text}");
        }
        // A proxy's JSON without GraphQL's keys.
        assert_eq!(read(br#"{"message":"not found"}"#, 1), None);
    }
}
