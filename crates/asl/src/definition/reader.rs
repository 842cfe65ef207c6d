//! Reading fields with their problems collected: what the parsers of states share. It knows no state type.
use super::model::{Graph, Language};
use crate::{Diagnostic, execution::Kind as Type, path::Path, template::token};
use serde_json::{Map, Value};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub(super) const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";
/// A placeholder of a deployment tool, such as `${Name}`: nothing is wrong with the definition, but it cannot be meant to run yet.
pub(super) const UNRESOLVED: &str = "UNRESOLVED_SUBSTITUTION";

pub(super) struct Reader {
    pub(super) problems: Vec<Diagnostic>,
    pub(super) kind: Type,
    /// The machine's own language.
    pub(super) language: Language,
    /// Every state's name so far.
    pub(super) names: HashSet<String>,
}

impl Reader {
    pub(super) fn new(kind: Type) -> Self {
        Self {
            problems: Vec::new(),
            kind,
            language: Language::JsonPath,
            names: HashSet::new(),
        }
    }
    /// The problems, errors first, as many as a caller can use.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        for problem in &mut self.problems {
            if problem.hint.is_none() {
                let hint = super::advice::advice(&problem.location, &problem.message);
                problem.hint = Some(hint.to_owned());
            }
        }
        self.problems
            .sort_by_key(|p| p.severity != crate::Severity::Error);
        self.problems.truncate(super::MAX_DIAGNOSTICS);
        self.problems
    }

    pub(super) fn machine(&mut self, root: &Value) -> Graph {
        let empty = Map::new();
        let map = root.as_object().unwrap_or(&empty);
        self.language = self.query_language(map, "", Language::JsonPath);
        self.known(
            map,
            &[
                "StartAt",
                "States",
                "Comment",
                "Version",
                "TimeoutSeconds",
                "QueryLanguage",
            ],
            "",
        );
        if let Some(version) = map.get("Version").filter(|v| *v != "1.0") {
            self.warn(
                "/Version",
                format!("Version must be \"1.0\", not {version}"),
            );
        }
        self.integer(map, "TimeoutSeconds", "", 1.0, super::MAX_SECONDS);
        self.graph(map, "")
    }

    /// The states of a machine, branch or processor.
    pub(super) fn graph(&mut self, map: &Map<String, Value>, at: &str) -> Graph {
        self.required(map, &["States", "StartAt"], at);
        let start = self.string(map, "StartAt", at).unwrap_or_default();
        let mut graph = Graph {
            start: start.into(),
            states: HashMap::new(),
        };
        match map.get("States") {
            None => {}
            Some(Value::Object(states)) if !states.is_empty() => {
                for (name, state) in states {
                    let here = format!("{at}/States/{}", token(name));
                    if name.chars().count() > super::MAX_NAME || name.is_empty() {
                        self.bad(
                            &here,
                            format!(
                                "The name of a state must have 1 to {} characters",
                                super::MAX_NAME
                            ),
                        );
                    }
                    if !self.names.insert(name.clone()) {
                        self.problem(
                            "DUPLICATE_STATE_NAME",
                            &here,
                            format!("Duplicate State name: {name}"),
                            "names must differ within the whole machine, branches and processors included",
                        );
                    }
                    if let Some(state) = self.state(name, state, &here) {
                        graph.states.insert(name.as_str().into(), Arc::new(state));
                    }
                }
                self.check(&graph, states, at);
            }
            Some(_) => self.bad(
                &format!("{at}/States"),
                "States must be an object with at least one state",
            ),
        }
        graph
    }

    pub(super) fn bad(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Diagnostic::error(SCHEMA, at, message));
    }
    pub(super) fn problem(
        &mut self,
        code: &'static str,
        at: &str,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.problems
            .push(Diagnostic::error(code, at, message).with_hint(hint));
    }
    pub(super) fn warn(&mut self, at: &str, message: impl Into<String>) {
        self.problems.push(Diagnostic::warning(SCHEMA, at, message));
    }
    /// Refuses fields that are not among `names`.
    pub(super) fn known(&mut self, map: &Map<String, Value>, names: &[&str], at: &str) {
        for key in map.keys().filter(|k| !names.contains(&k.as_str())) {
            self.problems.push(
                Diagnostic::error(
                    SCHEMA,
                    &format!("{at}/{}", token(key)),
                    "Field is not supported",
                )
                .with_hint(format!("the fields here are {}", names.join(", "))),
            );
        }
    }
    pub(super) fn required(&mut self, map: &Map<String, Value>, names: &[&str], at: &str) {
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|n| !map.contains_key(*n))
            .collect();
        if !missing.is_empty() {
            self.bad(
                at,
                format!("These fields are required: [{}]", missing.join(", ")),
            );
        }
    }
    /// Refuses two fields that exclude each other.
    pub(super) fn exclusive(&mut self, map: &Map<String, Value>, names: &[&str], at: &str) {
        let there: Vec<&str> = names
            .iter()
            .copied()
            .filter(|n| map.contains_key(*n))
            .collect();
        if there.len() > 1 {
            self.bad(
                &format!("{at}/{}", there[1]),
                format!("Only one of these fields may be set: {}", there.join(", ")),
            );
        }
    }
    pub(super) fn query_language(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        default: Language,
    ) -> Language {
        match map.get("QueryLanguage") {
            None => default,
            Some(Value::String(s)) if s == "JSONata" => Language::Jsonata,
            Some(Value::String(s)) if s == "JSONPath" => {
                if default == Language::Jsonata {
                    self.warn(
                        &format!("{at}/QueryLanguage"),
                        "A state of a JSONata state machine should not have QueryLanguage JSONPath",
                    );
                }
                Language::JsonPath
            }
            Some(other) if self.unresolved(other, &format!("{at}/QueryLanguage")) => default,
            Some(other) => {
                self.bad(
                    &format!("{at}/QueryLanguage"),
                    format!("QueryLanguage must be JSONPath or JSONata, not {other}"),
                );
                default
            }
        }
    }

    pub(super) fn string(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        at: &str,
    ) -> Option<String> {
        match map.get(key)? {
            Value::String(s) => Some(s.clone()),
            other if self.unresolved(other, &format!("{at}/{key}")) => {
                Some("${unresolved}".to_owned())
            }
            other => {
                self.bad(
                    &format!("{at}/{key}"),
                    format!("Expected value of type String, but was {other}"),
                );
                None
            }
        }
    }
    /// Whether a value of the wrong kind is a placeholder, which a deployment tool will fill: then that is only worth a warning.
    pub(super) fn unresolved(&mut self, found: &Value, at: &str) -> bool {
        let what = match found {
            Value::String(text) if text.contains("${") => "substitution",
            Value::Object(call) if is_template_call(call) => "template function",
            _ => return false,
        };
        let message = format!("The field holds a {what} that nobody has resolved: {found}");
        self.problems.push(
            Diagnostic::warning(UNRESOLVED, at, message)
                .with_hint("the tool that deploys the definition fills it"),
        );
        true
    }
    /// The value of an object field; something else is a problem.
    pub(super) fn object<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        key: &str,
        at: &str,
    ) -> Option<&'a Map<String, Value>> {
        let found = map.get(key)?;
        let object = found.as_object();
        if object.is_none() && !self.unresolved(found, &format!("{at}/{key}")) {
            self.bad(
                &format!("{at}/{key}"),
                format!("Expected value of type Object, but was {found}"),
            );
        }
        object
    }
    pub(super) fn list<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        key: &str,
        at: &str,
    ) -> &'a [Value] {
        match map.get(key) {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(other) if self.unresolved(other, &format!("{at}/{key}")) => &[],
            Some(other) => {
                self.bad(
                    &format!("{at}/{key}"),
                    format!("Expected value of type Array, but was {other}"),
                );
                &[]
            }
        }
    }
    /// A whole number within bounds.
    pub(super) fn integer(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        at: &str,
        least: f64,
        most: f64,
    ) -> Option<f64> {
        let found = map.get(key)?;
        let number = found
            .as_f64()
            .filter(|n| n.fract() == 0.0 && !found.is_f64() || *n == n.trunc());
        let number = number.filter(|n| (least..=most).contains(n));
        if number.is_none() && !self.unresolved(found, &format!("{at}/{key}")) {
            self.bad(
                &format!("{at}/{key}"),
                format!("{key} must be an integer of {least} to {most}, but was {found}"),
            );
        }
        number
    }
    /// A path field whose absence means `$` and whose null means nothing; `reference` allows one place only.
    pub(super) fn path(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        at: &str,
        reference: bool,
    ) -> Option<Path> {
        match map.get(key) {
            None => Path::parse("$"),
            Some(Value::Null) => None,
            Some(found) => self.some_path(found, &format!("{at}/{key}"), reference),
        }
    }
    pub(super) fn some_path(&mut self, found: &Value, at: &str, reference: bool) -> Option<Path> {
        let path = found.as_str().and_then(if reference {
            Path::parse_reference
        } else {
            Path::parse
        });
        if path.is_none() && self.unresolved(found, at) {
            return Path::parse("$");
        }
        if path.is_none() {
            self.bad(
                at,
                if reference {
                    format!("Value is not a Reference Path: {found}")
                } else {
                    format!("Value is not a valid JSONPath: {found}")
                },
            );
        }
        path
    }
}

/// Whether an object is a CloudFormation function, such as `{"Fn::GetAtt": …}`.
fn is_template_call(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.keys().all(|k| k == "Ref" || k.starts_with("Fn::"))
}
