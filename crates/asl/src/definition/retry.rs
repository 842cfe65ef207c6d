//! `Retry` and `Catch`.
use super::{
    MAX_SECONDS,
    model::{Catcher, Language, Retrier},
    reader::Reader,
};
use serde_json::{Map, Value};

/// Seconds that `MaxDelaySeconds` may have (366 days).
const MAX_DELAY: f64 = 31_622_400.0;

impl Reader {
    pub(super) fn retriers(&mut self, map: &Map<String, Value>, at: &str) -> Vec<Retrier> {
        let list = self.list(map, "Retry", at);
        let mut retriers = Vec::new();
        for (i, entry) in list.iter().enumerate() {
            let here = format!("{at}/Retry/{i}");
            let Some(map) = entry.as_object() else {
                self.bad(&here, "A retrier must be an object");
                continue;
            };
            let fields = [
                "ErrorEquals",
                "IntervalSeconds",
                "MaxAttempts",
                "BackoffRate",
                "MaxDelaySeconds",
                "JitterStrategy",
                "Comment",
            ];
            self.known(map, &fields, &here);
            let errors = self.errors(map, &here, i + 1 == list.len());
            let interval = self
                .integer(map, "IntervalSeconds", &here, 1.0, MAX_SECONDS)
                .unwrap_or(1.0);
            let attempts = self
                .integer(map, "MaxAttempts", &here, 0.0, MAX_SECONDS)
                .unwrap_or(3.0);
            let backoff = match map.get("BackoffRate") {
                None => 2.0,
                Some(found) => found.as_f64().filter(|b| *b >= 1.0).unwrap_or_else(|| {
                    let place = format!("{here}/BackoffRate");
                    if !self.unresolved(found, &place) {
                        self.bad(
                            &place,
                            format!(
                                "BackoffRate must be a number of at least 1.0, but was {found}"
                            ),
                        );
                    }
                    2.0
                }),
            };
            let max = self
                .integer(map, "MaxDelaySeconds", &here, 1.0, MAX_DELAY)
                .unwrap_or(MAX_SECONDS);
            if map.contains_key("MaxDelaySeconds") && max <= interval {
                self.warn(
                    &format!("{here}/MaxDelaySeconds"),
                    "MaxDelaySeconds should be greater than IntervalSeconds",
                );
            }
            let jitter = match map.get("JitterStrategy").map(|j| j.as_str()) {
                None | Some(Some("NONE")) => false,
                Some(Some("FULL")) => true,
                Some(_) => {
                    self.bad(
                        &format!("{here}/JitterStrategy"),
                        "JitterStrategy must be FULL or NONE",
                    );
                    false
                }
            };
            retriers.push(Retrier {
                errors,
                interval,
                attempts: attempts as u32,
                backoff,
                max,
                jitter,
            });
        }
        retriers
    }

    pub(super) fn catchers(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        language: Language,
    ) -> Vec<Catcher> {
        let list = self.list(map, "Catch", at);
        let mut catchers = Vec::new();
        for (i, entry) in list.iter().enumerate() {
            let here = format!("{at}/Catch/{i}");
            let Some(map) = entry.as_object() else {
                self.bad(&here, "A catcher must be an object");
                continue;
            };
            let fields: &[&str] = match language {
                Language::JsonPath => &["ErrorEquals", "Next", "ResultPath", "Assign", "Comment"],
                Language::Jsonata => &["ErrorEquals", "Next", "Output", "Assign", "Comment"],
            };
            self.known(map, fields, &here);
            let errors = self.errors(map, &here, i + 1 == list.len());
            self.required(map, &["Next"], &here);
            let Some(next) = self.string(map, "Next", &here) else {
                continue;
            };
            catchers.push(Catcher {
                errors,
                next: next.into(),
                result_path: self.path(map, "ResultPath", &here, true),
                assign: self.assign(map, &here, language),
                output: self
                    .template(map, "Output", &here, language)
                    .filter(|_| language == Language::Jsonata),
            });
        }
        catchers
    }

    fn errors(&mut self, map: &Map<String, Value>, at: &str, last: bool) -> Vec<String> {
        let here = format!("{at}/ErrorEquals");
        self.required(map, &["ErrorEquals"], at);
        let list = self.list(map, "ErrorEquals", at);
        if list.is_empty() && map.get("ErrorEquals").is_some_and(Value::is_array) {
            self.bad(&here, "ErrorEquals must have at least one error name");
        }
        let mut names = Vec::new();
        for (i, name) in list.iter().enumerate() {
            match name.as_str() {
                Some(name) => names.push(name.to_owned()),
                None => self.bad(
                    &format!("{here}/{i}"),
                    format!("Expected value of type String, but was {name}"),
                ),
            }
        }
        if names.iter().any(|n| n == "States.ALL") && (names.len() > 1 || !last) {
            self.bad(
                &here,
                "States.ALL must appear alone, and in the last retrier or catcher",
            );
        }
        names
    }
}
