//! `Retry` and `Catch`.

use serde_json::{Map, Value};

use super::forms;
use super::model::{Catcher, Language, Retrier};
use super::reader::DefinitionReader;
use super::state::result_path;
use super::values::{list, number, text};
use crate::expression::Known;
use crate::limits::MAX_SECONDS;
use crate::substitution::is_placeholder;

/// The name that matches every error.
const ALL: &str = "States.ALL";

impl DefinitionReader {
    pub(super) fn retriers(&mut self, map: &Map<String, Value>, at: &str) -> Vec<Retrier> {
        let list = list(map, "Retry");
        let mut retriers = Vec::new();
        for (i, entry) in list.iter().enumerate() {
            let here = format!("{at}/Retry[{i}]");
            let Some(map) = self.element(entry, &here) else {
                continue;
            };
            self.form(map, &here, &forms::RETRIER, None);
            let errors = self.error_names(map, &here, i + 1 == list.len());
            let interval = number(map, "IntervalSeconds").unwrap_or(1.0);
            let max = number(map, "MaxDelaySeconds").unwrap_or(MAX_SECONDS);
            if interval == 0.0 {
                self.warn(
                    &format!("{here}/IntervalSeconds"),
                    "The language asks for an IntervalSeconds of at least 1: the first retry comes at once",
                );
            }
            if map.contains_key("MaxDelaySeconds") && max <= interval {
                self.warn(
                    &format!("{here}/MaxDelaySeconds"),
                    "MaxDelaySeconds should be greater than IntervalSeconds",
                );
            }
            retriers.push(Retrier {
                errors,
                interval,
                attempts: number(map, "MaxAttempts").unwrap_or(3.0) as u32,
                backoff: number(map, "BackoffRate").unwrap_or(2.0),
                max,
                jitter: text(map, "JitterStrategy").as_deref() == Some("FULL"),
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
        let list = list(map, "Catch");
        let mut catchers = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let here = format!("{at}/Catch[{index}]");
            let Some(map) = self.element(entry, &here) else {
                continue;
            };
            self.form(map, &here, &forms::CATCHER, Some(language));
            let errors = self.error_names(map, &here, index + 1 == list.len());
            let assign = self.assign(map, &here, language, Known::CAUGHT);
            let output = match language {
                Language::JsonPath => None,
                Language::Jsonata => self.template(map, "Output", &here, language, Known::CAUGHT),
            };
            if let Some(next) = text(map, "Next") {
                catchers.push(Catcher {
                    index,
                    errors,
                    next: next.into(),
                    result_path: result_path(map),
                    assign,
                    output,
                });
            }
        }
        catchers
    }

    fn error_names(&mut self, map: &Map<String, Value>, at: &str, last: bool) -> Vec<String> {
        let list = list(map, "ErrorEquals");
        let mut names = Vec::new();
        for (i, name) in list.iter().enumerate() {
            let here = format!("{at}/ErrorEquals[{i}]");
            match name.as_str() {
                Some(name) => {
                    if name == ALL && (list.len() > 1 || !last) {
                        self.bad(&here, "States.ALL must appear alone and at end of list");
                    }
                    names.push(name.to_owned());
                }
                None if is_placeholder(name) => {}
                None => self.bad(&here, "Expected value of type String"),
            }
        }
        names
    }
}
