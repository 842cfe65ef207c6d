//! One state of any type: which fields it may have in its language, and what they mean. Maps are in `map`, the fields of others in `task` and `choice`.
use super::{
    model::{Kind, Language, State},
    reader::Reader,
};
use crate::path::Path;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The fields of a state type: those of both languages, of JSONPath alone, of JSONata alone.
fn fields(
    kind: &str,
) -> Option<(
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
)> {
    Some(match kind {
        "Pass" => (
            &["Next", "End", "Assign"],
            &[
                "InputPath",
                "OutputPath",
                "Result",
                "ResultPath",
                "Parameters",
            ],
            &["Output"],
        ),
        "Task" => (
            &[
                "Next",
                "End",
                "Assign",
                "Resource",
                "TimeoutSeconds",
                "HeartbeatSeconds",
                "Credentials",
                "Retry",
                "Catch",
            ],
            &[
                "InputPath",
                "OutputPath",
                "Parameters",
                "ResultSelector",
                "ResultPath",
                "TimeoutSecondsPath",
                "HeartbeatSecondsPath",
            ],
            &["Output", "Arguments"],
        ),
        "Choice" => (
            &["Choices", "Default", "Assign"],
            &["InputPath", "OutputPath"],
            &["Output"],
        ),
        "Wait" => (
            &["Next", "End", "Assign", "Seconds", "Timestamp"],
            &["InputPath", "OutputPath", "SecondsPath", "TimestampPath"],
            &["Output"],
        ),
        "Succeed" => (&[], &["InputPath", "OutputPath"], &["Output"]),
        "Fail" => (&["Error", "Cause"], &["ErrorPath", "CausePath"], &[]),
        "Parallel" => (
            &["Next", "End", "Assign", "Branches", "Retry", "Catch"],
            &[
                "InputPath",
                "OutputPath",
                "Parameters",
                "ResultSelector",
                "ResultPath",
            ],
            &["Output", "Arguments"],
        ),
        "Map" => (
            &[
                "Next",
                "End",
                "Assign",
                "ItemProcessor",
                "Iterator",
                "MaxConcurrency",
                "ToleratedFailureCount",
                "ToleratedFailurePercentage",
                "ItemReader",
                "ItemBatcher",
                "ResultWriter",
                "ItemSelector",
                "Label",
                "Retry",
                "Catch",
            ],
            &[
                "InputPath",
                "OutputPath",
                "Parameters",
                "ResultSelector",
                "ResultPath",
                "ItemsPath",
                "MaxConcurrencyPath",
                "ToleratedFailureCountPath",
                "ToleratedFailurePercentagePath",
            ],
            &["Output", "Items"],
        ),
        _ => return None,
    })
}

impl Reader {
    pub(super) fn state(&mut self, name: &str, value: &Value, at: &str) -> Option<State> {
        let Some(map) = value.as_object() else {
            self.bad(
                at,
                format!("Expected value of type Object, but was {value}"),
            );
            return None;
        };
        self.required(map, &["Type"], at);
        let mut kind = self.string(map, "Type", at)?;
        if kind.contains("${") {
            // What it is to be can be seen by its fields.
            self.unresolved(&map["Type"], &format!("{at}/Type"));
            kind = inferred(map).to_owned();
        }
        let Some((both, path_only, jsonata_only)) = fields(&kind) else {
            self.bad(
                &format!("{at}/Type"),
                "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]",
            );
            return None;
        };
        let machine = self.language;
        let language = self.query_language(map, at, machine);
        let own = if language == Language::JsonPath {
            path_only
        } else {
            jsonata_only
        };
        let known: Vec<&str> = ["Type", "Comment", "QueryLanguage"]
            .iter()
            .chain(both)
            .chain(own)
            .copied()
            .collect();
        self.known(map, &known, at);
        let next = self.transition(map, &kind, at);
        let parsed = self.kind(map, &kind, at, language);
        let parameters = match (kind.as_str(), language) {
            ("Map", _) if map.contains_key("ItemSelector") => "ItemSelector",
            (_, Language::Jsonata) => "Arguments",
            _ => "Parameters",
        };
        if kind == "Map" {
            self.exclusive(map, &["ItemSelector", "Parameters"], at);
        }
        let is_jsonpath = language == Language::JsonPath;
        let state = State {
            name: name.into(),
            at: at.to_owned(),
            language,
            next,
            input: if is_jsonpath {
                self.path(map, "InputPath", at, false)
            } else {
                Path::parse("$")
            },
            output: if is_jsonpath {
                self.path(map, "OutputPath", at, false)
            } else {
                Path::parse("$")
            },
            result_path: if is_jsonpath {
                self.path(map, "ResultPath", at, true)
            } else {
                Path::parse("$")
            },
            parameters: self.template(map, parameters, at, language),
            selector: if is_jsonpath {
                self.template(map, "ResultSelector", at, language)
                    .filter(|_| !map["ResultSelector"].is_null())
            } else {
                None
            },
            assign: self.assign(map, at, language),
            result: if is_jsonpath {
                None
            } else {
                self.template(map, "Output", at, language)
            },
            retry: self.retriers(map, at),
            catch: self.catchers(map, at, language),
            kind: parsed?,
            is_plain: false,
        };
        Some(State {
            is_plain: is_plain(&state),
            ..state
        })
    }

    fn transition(&mut self, map: &Map<String, Value>, kind: &str, at: &str) -> Option<Arc<str>> {
        if matches!(kind, "Choice" | "Succeed" | "Fail") {
            return None;
        }
        let next = self.string(map, "Next", at);
        let end = match map.get("End") {
            None => false,
            Some(Value::Bool(end)) => *end,
            Some(other) if self.unresolved(other, &format!("{at}/End")) => true,
            Some(other) => {
                self.bad(
                    &format!("{at}/End"),
                    format!("Expected value of type Boolean, but was {other}"),
                );
                true
            }
        };
        if next.is_some() && end {
            self.problem(
                "SCHEMA_VALIDATION_FAILED",
                at,
                "Only one of these fields may be set: Next, End",
                "remove one of the two",
            );
        } else if next.is_none() && !end && !map.contains_key("Next") {
            self.problem(
                "SCHEMA_VALIDATION_FAILED",
                at,
                "These fields are required: one of [Next, End]",
                "name the next state, or write \"End\": true",
            );
        }
        next.map(Into::into)
    }

    fn kind(
        &mut self,
        map: &Map<String, Value>,
        kind: &str,
        at: &str,
        language: Language,
    ) -> Option<Kind> {
        Some(match kind {
            "Pass" => Kind::Pass(map.get("Result").cloned()),
            "Succeed" => Kind::Succeed,
            "Fail" => Kind::Fail {
                error: self.text(map, "Error", "ErrorPath", at, language),
                cause: self.text(map, "Cause", "CausePath", at, language),
            },
            "Task" => Kind::Task(Box::new(self.task(map, at, language)?)),
            "Choice" => self.choice(map, at, language),
            "Wait" => Kind::Wait(self.delay(map, at, language)?),
            "Parallel" => {
                self.required(map, &["Branches"], at);
                let branches = self.list(map, "Branches", at);
                if branches.is_empty() && map.contains_key("Branches") {
                    self.bad(&format!("{at}/Branches"), "Value cannot be empty");
                }
                let mut graphs = Vec::new();
                for (i, branch) in branches.iter().enumerate() {
                    let here = format!("{at}/Branches/{i}");
                    match branch.as_object() {
                        Some(map) => {
                            self.known(
                                map,
                                &[
                                    "StartAt",
                                    "States",
                                    "Comment",
                                    "QueryLanguage",
                                    "ProcessorConfig",
                                ],
                                &here,
                            );
                            graphs.push(Arc::new(self.graph(map, &here)));
                        }
                        None => self.bad(&here, "A branch must be an object"),
                    }
                }
                Kind::Parallel(graphs)
            }
            _ => Kind::Map(Box::new(self.map(map, at, language)?)),
        })
    }
}

/// The type that a state's fields belong to.
fn inferred(map: &Map<String, Value>) -> &'static str {
    let has = |names: &[&str]| names.iter().any(|name| map.contains_key(*name));
    match () {
        () if has(&["Choices"]) => "Choice",
        () if has(&["Branches"]) => "Parallel",
        () if has(&["ItemProcessor", "Iterator"]) => "Map",
        () if has(&["Resource"]) => "Task",
        () if has(&["Seconds", "SecondsPath", "Timestamp", "TimestampPath"]) => "Wait",
        () if has(&["Error", "ErrorPath", "Cause", "CausePath"]) => "Fail",
        () if has(&["Next", "End"]) => "Pass",
        () => "Succeed",
    }
}

/// Whether a state of these types hands its input on untouched.
fn is_plain(state: &State) -> bool {
    let whole = |p: &Option<Path>| p.as_ref().is_some_and(Path::is_whole);
    matches!(
        state.kind,
        Kind::Pass(None) | Kind::Succeed | Kind::Choice { .. } | Kind::Wait(_)
    ) && whole(&state.input)
        && whole(&state.output)
        && whole(&state.result_path)
        && state.parameters.is_none()
        && state.assign.is_none()
        && state.result.is_none()
}
