//! Reads a machine and collects its problems: the part that the readers of all states share. It has
//! no notion of state types.
//!
//! `form` has reported each value of a wrong type, so the readers are silent about them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::forms;
use super::model::{Graph, Language, State, StateKind, TextField, TextSource};
use super::values::{object, query_language, text};
use super::variables::VariableScope;
use crate::limits::{MAX_DIAGNOSTICS, MAX_NAME};
use crate::path::Path;
use crate::substitution::{self, has_placeholder, is_placeholder};
use crate::{Diagnostic, Severity, WorkflowType};

pub(super) const SCHEMA: &str = "SCHEMA_VALIDATION_FAILED";

/// Maximum nesting of `States` in the states of a Parallel or a Map.
pub(super) const MAX_NESTED_STATES: usize = 30;

pub(super) struct DefinitionReader {
    pub(super) problems: Vec<Diagnostic>,
    /// Problems that only a whole graph shows. They are reported after all others, as AWS does.
    pub(super) transitions: Vec<Diagnostic>,
    pub(super) workflow_type: WorkflowType,
    /// The query language of the machine.
    pub(super) language: Language,
    /// The names of all states read so far.
    pub(super) names: HashSet<String>,
    /// The labels of all Maps read so far.
    pub(super) labels: HashSet<String>,
    /// The names of the states that are being read, the innermost last.
    pub(super) inside: Vec<String>,
    /// The variables of each enclosing graph that the states see, the innermost last.
    pub(super) scopes: Vec<VariableScope>,
    /// Number of graphs around the states that are being read.
    depth: usize,
    /// Whether a state or a part of it could not be read.
    pub(super) incomplete: bool,
    /// The locations of states that a deployment tool has yet to write.
    pub(super) unfilled: HashSet<String>,
    /// Number of errors so far.
    pub(super) errors: usize,
}

impl DefinitionReader {
    pub(super) fn new(workflow_type: WorkflowType) -> Self {
        Self {
            problems: Vec::new(),
            transitions: Vec::new(),
            workflow_type,
            language: Language::JsonPath,
            names: HashSet::new(),
            labels: HashSet::new(),
            inside: Vec::new(),
            scopes: Vec::new(),
            depth: 0,
            incomplete: false,
            unfilled: HashSet::new(),
            errors: 0,
        }
    }

    /// The problems, errors first, at most [`MAX_DIAGNOSTICS`].
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.problems.append(&mut self.transitions);
        for problem in &mut self.problems {
            if problem.hint.is_none() {
                let hint = super::advice::advice(&problem.location, &problem.message);
                problem.hint = Some(hint.to_owned());
            }
        }
        self.problems.sort_by_key(|p| p.severity != Severity::Error);
        self.problems.truncate(MAX_DIAGNOSTICS);
        self.problems
    }

    pub(super) fn machine(&mut self, root: &Value) -> Graph {
        let empty = Map::new();
        let map = root.as_object().unwrap_or(&empty);
        self.problems.extend(substitution::find(root));
        self.language = query_language(map, Language::JsonPath);
        self.form(map, "", &forms::MACHINE, None);
        self.graph(map, "")
    }

    /// Reads the states of a machine, branch or processor. The caller checks its form.
    pub(super) fn graph(&mut self, map: &Map<String, Value>, at: &str) -> Graph {
        let start = text(map, "StartAt").unwrap_or_default();
        let mut graph = Graph {
            start: start.into(),
            states: HashMap::new(),
        };
        let Some(states) = object(map, "States") else {
            if map.get("States").is_some_and(is_placeholder) {
                let start = Arc::clone(&graph.start);
                let state = stand_in(&start, &format!("{at}/States/{start}"));
                graph.states.insert(start, Arc::new(state));
            } else {
                self.incomplete = true;
            }
            return graph;
        };
        if self.depth > MAX_NESTED_STATES {
            self.problem(
                "TOO_DEEPLY_NESTED",
                at,
                format!("The states nest deeper than {MAX_NESTED_STATES} levels"),
                "move the inner states into a separate state machine",
            );
            self.incomplete = true;
            return graph;
        }
        if states.is_empty() {
            self.bad(&format!("{at}/States"), "Value cannot be empty");
            return graph;
        }
        self.depth += 1;
        self.scopes.push(VariableScope::new(states, self.language));
        for (name, state) in states {
            let here = format!("{at}/States/{name}");
            self.inside.push(name.clone());
            if let Some(scope) = self.scopes.last_mut() {
                scope.enter(name);
            }
            self.name(name, &here);
            let errors = self.errors;
            let mut read = self.state(name, state, &here);
            if read.is_none() && self.errors == errors {
                // A state that a deployment tool will write is not an error. It cannot run before
                // that.
                read = Some(stand_in(name, &here));
                self.unfilled.insert(here);
            }
            if let Some(state) = read {
                graph.states.insert(name.as_str().into(), Arc::new(state));
            } else {
                self.incomplete = true;
            }
            self.inside.pop();
        }
        self.scopes.pop();
        self.depth -= 1;
        self.check(
            &graph,
            states,
            map.get("StartAt").is_some_and(Value::is_string),
            at,
        );
        graph
    }

    fn name(&mut self, name: &str, at: &str) {
        const MAX: usize = MAX_NAME;
        if name.is_empty() {
            self.problem(
                "INVALID_STATE_NAME",
                at,
                "The name of a state cannot be empty",
                &format!("give a name of 1 to {MAX} characters"),
            );
        } else if name.chars().count() > MAX && !has_placeholder(name) {
            self.problem(
                "INVALID_STATE_NAME",
                at,
                format!(
                    "State name '{name}' exceeds the {MAX}-character limit allowed by the service"
                ),
                &format!("give a name of 1 to {MAX} characters"),
            );
        }
        if !self.names.insert(name.to_owned()) {
            self.problem(
                "DUPLICATE_STATE_NAME",
                at,
                format!("Duplicate State name: {name}"),
                "names must differ within the whole machine, branches and processors included",
            );
        }
    }

    pub(super) fn bad(&mut self, at: &str, message: impl Into<String>) {
        self.push(Diagnostic::error(SCHEMA, at, message));
    }

    pub(super) fn problem(
        &mut self,
        code: &'static str,
        at: &str,
        message: impl Into<String>,
        hint: &str,
    ) {
        self.push(Diagnostic::error(code, at, message).with_hint(hint));
    }

    pub(super) fn warn(&mut self, at: &str, message: impl Into<String>) {
        self.push(Diagnostic::warning(SCHEMA, at, message));
    }

    pub(super) fn push(&mut self, problem: Diagnostic) {
        let state = self.inside.last().cloned();
        self.errors += usize::from(problem.severity == Severity::Error);
        self.problems.push(problem.in_state(state));
    }

    /// The object that an element of a list, or a state, must be.
    pub(super) fn element<'a>(
        &mut self,
        value: &'a Value,
        at: &str,
    ) -> Option<&'a Map<String, Value>> {
        if is_placeholder(value) {
            return None;
        }
        let object = value.as_object();
        if object.is_none() {
            self.bad(at, "Expected value of type Object");
        }
        object
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
}

/// The state that replaces one that a deployment tool has yet to write.
fn stand_in(name: &str, at: &str) -> State {
    let text = |field, text: &str| {
        let value = TextSource::Fixed(text.to_owned());
        Some(TextField { field, value })
    };
    State {
        name: name.into(),
        at: at.to_owned(),
        kind: StateKind::Fail {
            error: text("Error", "States.Runtime"),
            cause: text("Cause", "A deployment tool has yet to write this state."),
        },
        language: Language::JsonPath,
        next: None,
        input: Path::parse("$"),
        output: Path::parse("$"),
        result_path: Path::parse("$"),
        parameters: None,
        selector: None,
        assign: None,
        result: None,
        retry: Vec::new(),
        catch: Vec::new(),
        is_plain: false,
    }
}
