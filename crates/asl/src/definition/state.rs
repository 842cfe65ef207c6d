//! One state of any type. Its fields are in `forms`; `map`, `task` and `choice` read the fields of
//! their types.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::forms;
use super::model::{Language, State, StateKind};
use super::reader::DefinitionReader;
use super::values::{list, path, query_language, reference, text};
use crate::expression::Known;
use crate::path::Path;
use crate::substitution::has_placeholder;

impl DefinitionReader {
    pub(super) fn state(&mut self, name: &str, value: &Value, at: &str) -> Option<State> {
        let map = self.element(value, at)?;
        self.required(map, &["Type"], at);
        let kind = self.state_type(map, at)?;
        let Some((_, form)) = forms::TYPES.iter().find(|(name, _)| *name == kind) else {
            let names = forms::TYPES.map(|(name, _)| name).join(", ");
            self.bad(
                &format!("{at}/Type"),
                format!("The field 'Type' should have one of these values: [{names}]"),
            );
            return None;
        };
        let language = query_language(map, self.language);
        let reverted = self.language == Language::Jsonata && language == Language::JsonPath;
        if reverted {
            self.bad(
                at,
                "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine",
            );
        }
        self.form(map, at, form, (!reverted).then_some(language));
        let next = self.transition_of(map, &kind, at);
        let parsed = self.kind(map, &kind, at, language);
        let is_jsonpath = language == Language::JsonPath;
        let (input, output, written) = match language {
            Language::JsonPath => (
                path(map, "InputPath"),
                path(map, "OutputPath"),
                result_path(map),
            ),
            Language::Jsonata => (Path::parse("$"), Path::parse("$"), Path::parse("$")),
        };
        // The result of a state is known only to fields that follow its work.
        let known = match kind.as_str() {
            "Task" | "Parallel" | "Map" | "Pass" => Known::AFTER,
            _ => Known::BEFORE,
        };
        let state = State {
            name: name.into(),
            at: at.to_owned(),
            language,
            next,
            input,
            output,
            result_path: written,
            parameters: self.template(
                map,
                parameters(map, &kind, language),
                at,
                language,
                Known::BEFORE,
            ),
            selector: if is_jsonpath {
                self.template(map, "ResultSelector", at, language, known)
                    .filter(|_| !map["ResultSelector"].is_null())
            } else {
                None
            },
            assign: self.assign(map, at, language, known),
            result: if is_jsonpath {
                None
            } else {
                self.template(map, "Output", at, language, known)
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

    /// The state's `Type`. If a deployment tool has yet to fill it, the fields show the type.
    fn state_type(&mut self, map: &Map<String, Value>, at: &str) -> Option<String> {
        let named = text(map, "Type");
        match named {
            Some(placeholder) if has_placeholder(&placeholder) => Some(inferred(map).to_owned()),
            Some(named) => Some(named),
            None => {
                if map.contains_key("Type") {
                    self.bad(&format!("{at}/Type"), "Expected value of type [STRING]");
                }
                None
            }
        }
    }

    fn transition_of(
        &mut self,
        map: &Map<String, Value>,
        kind: &str,
        at: &str,
    ) -> Option<Arc<str>> {
        if matches!(kind, "Choice" | "Succeed" | "Fail") {
            return None;
        }
        // `"End": false` has no effect.
        let ends = map.get("End").is_some_and(|end| *end != false);
        let names = forms::TRANSITION.join(", ");
        match (map.contains_key("Next"), ends) {
            (true, true) => self.bad(
                at,
                format!("There should only be one of the following fields: [{names}]"),
            ),
            (false, false) => self.bad(
                at,
                format!("This object should have only one of the following fields: [{names}]"),
            ),
            _ => {}
        }
        text(map, "Next").map(Into::into)
    }

    fn kind(
        &mut self,
        map: &Map<String, Value>,
        kind: &str,
        at: &str,
        language: Language,
    ) -> Option<StateKind> {
        Some(match kind {
            "Pass" => StateKind::Pass(map.get("Result").cloned()),
            "Succeed" => StateKind::Succeed,
            "Fail" => StateKind::Fail {
                error: self.text(map, "Error", "ErrorPath", at, language),
                cause: self.text(map, "Cause", "CausePath", at, language),
            },
            "Task" => StateKind::Task(Box::new(self.task(map, at, language)?)),
            "Choice" => self.choice(map, at, language),
            "Wait" => StateKind::Wait(self.delay(map, at, language)?),
            "Parallel" => {
                let mut graphs = Vec::new();
                for (i, branch) in list(map, "Branches").iter().enumerate() {
                    let here = format!("{at}/Branches[{i}]");
                    if let Some(map) = self.element(branch, &here) {
                        self.form(map, &here, &forms::BRANCH, None);
                        graphs.push(Arc::new(self.graph(map, &here)));
                    } else {
                        self.incomplete = true;
                    }
                }
                StateKind::Parallel(graphs)
            }
            _ => StateKind::Map(Box::new(self.map(map, at, language)?)),
        })
    }
}

/// The name of the field that `State::parameters` is read from.
fn parameters(map: &Map<String, Value>, kind: &str, language: Language) -> &'static str {
    match (kind, language) {
        ("Map", _) if map.contains_key("ItemSelector") => "ItemSelector",
        (_, Language::Jsonata) => "Arguments",
        _ => "Parameters",
    }
}

/// Reads `ResultPath`: absent means `$`, null means that the result is discarded.
pub(super) fn result_path(map: &Map<String, Value>) -> Option<Path> {
    match map.get("ResultPath") {
        None => Path::parse("$"),
        Some(Value::Null) => None,
        Some(found) => reference(found),
    }
}

/// The type that has the state's fields.
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

/// Whether a state of these types passes its input on unchanged.
fn is_plain(state: &State) -> bool {
    let whole = |p: &Option<Path>| p.as_ref().is_some_and(Path::is_whole);
    matches!(
        state.kind,
        StateKind::Pass(None) | StateKind::Succeed | StateKind::Choice { .. } | StateKind::Wait(_)
    ) && whole(&state.input)
        && whole(&state.output)
        && whole(&state.result_path)
        && state.parameters.is_none()
        && state.assign.is_none()
        && state.result.is_none()
}
