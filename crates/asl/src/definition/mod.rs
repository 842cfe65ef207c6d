//! Parses a definition once: every path and rule is ready to use, and every problem is found. It
//! runs nothing.
//!
//! `model` holds the result. `forms` has the tables of the fields of each object, and `form` checks
//! objects against them. `reader` with `computed` and `values` reads fields; `state` with `task`,
//! `choice`, `map` and `retry` reads states. `variables` checks names of variables, `check` looks
//! at the whole graph, `duplicates` finds repeated fields, and `advice` has hints.

mod advice;
mod check;
mod choice;
mod computed;
mod duplicates;
mod field;
mod form;
mod forms;
mod map;
pub(crate) mod model;
mod reader;
mod retry;
mod state;
mod task;
mod values;
mod variables;

use std::sync::Arc;

use serde_json::Value;

use crate::limits::MAX_DEFINITION;
use crate::{Diagnostic, Resource, Severity, WorkflowType};
use model::{Graph, Language, State, StateKind, TaskState};

/// A parsed, immutable state machine.
#[derive(Debug)]
pub struct StateMachine {
    source: String,
    comment: Option<String>,
    pub(crate) timeout: Option<f64>,
    pub(crate) graph: Arc<Graph>,
    steps: Vec<StepPlan>,
    warnings: Vec<Diagnostic>,
}

/// A top-level state of a type that does work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPlan {
    /// The state's name.
    pub name: String,
    /// Its type.
    pub kind: StepKind,
}

/// The types of states that do work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the state types")]
pub enum StepKind {
    Task,
    Map,
    Parallel,
    Wait,
}

impl StateMachine {
    /// Parses the definition of a Standard machine.
    ///
    /// # Errors
    /// All problems, warnings included, if AWS would refuse the definition.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_as(text, WorkflowType::Standard)
    }

    /// Parses the definition of a machine of this type.
    ///
    /// # Errors
    /// All problems, warnings included, if AWS would refuse the definition for this type.
    pub fn parse_as(text: &str, workflow_type: WorkflowType) -> Result<Self, Vec<Diagnostic>> {
        let (machine, _, problems) = Self::read(text, workflow_type);
        match machine {
            Some(machine) if !problems.iter().any(|p| p.severity == Severity::Error) => Ok(Self {
                warnings: problems,
                ..machine
            }),
            _ => Err(problems),
        }
    }

    /// Parses a definition that was accepted before, even if it breaks a newer rule. Its executions
    /// continue as they began.
    ///
    /// # Errors
    /// All problems, if one of its states cannot be read.
    pub fn restore(text: &str) -> Result<Self, Vec<Diagnostic>> {
        match Self::read(text, WorkflowType::Standard) {
            (Some(machine), true, _) => Ok(machine),
            (_, _, problems) => Err(problems),
        }
    }

    /// Returns the machine if the text is an object, whether each of its states could be read, and
    /// all problems.
    fn read(text: &str, workflow_type: WorkflowType) -> (Option<Self>, bool, Vec<Diagnostic>) {
        // Templates, rules and states nest; the depth is up to the caller.
        json::with_room(|| Self::read_here(text, workflow_type))
    }

    fn read_here(text: &str, workflow_type: WorkflowType) -> (Option<Self>, bool, Vec<Diagnostic>) {
        let root = match root(text) {
            Ok(root) => root,
            Err(problem) => return (None, false, vec![*problem]),
        };
        let mut reader = reader::DefinitionReader::new(workflow_type);
        reader.problems.extend(duplicates::find(text));
        let graph = reader.machine(&root);
        let complete = !reader.incomplete;
        let machine = Self {
            source: text.to_owned(),
            comment: root
                .get("Comment")
                .and_then(Value::as_str)
                .map(str::to_owned),
            // AWS accepts 0 for a machine: it has no time limit.
            timeout: root
                .get("TimeoutSeconds")
                .and_then(Value::as_f64)
                .filter(|seconds| *seconds > 0.0),
            steps: steps(&graph),
            graph: Arc::new(graph),
            warnings: Vec::new(),
        };
        (Some(machine), complete, reader.finish())
    }

    /// Top-level Task, Map, Parallel and Wait states, in the order of a walk from `StartAt`.
    #[must_use]
    pub fn steps(&self) -> &[StepPlan] {
        &self.steps
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The definition's `Comment`.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// Warnings: the definition runs, but probably not as intended.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The resource of every Task with the location of its field, including nested states.
    #[must_use]
    pub fn resources(&self) -> Vec<(String, Resource)> {
        let mut found: Vec<_> = tasks(&self.graph)
            .into_iter()
            .map(|(state, task)| (format!("{}/Resource", state.at), task.resource.clone()))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// The function of every Task that names one literally, with its location, including nested
    /// states. A name that is computed at run time is not included.
    #[must_use]
    pub fn functions(&self) -> Vec<(String, String)> {
        let named = |(state, task): (&State, &TaskState)| match &task.resource {
            placeholder if placeholder.is_placeholder() => None,
            Resource::Lambda { function } => {
                Some((format!("{}/Resource", state.at), function.clone()))
            }
            Resource::Service { service, .. } if service == "lambda" => {
                let field = match state.language {
                    Language::JsonPath => "Parameters",
                    Language::Jsonata => "Arguments",
                };
                let name = state
                    .parameters
                    .as_ref()?
                    .constant("FunctionName")?
                    .as_str()?;
                Some((
                    format!("{}/{field}/FunctionName", state.at),
                    name.to_owned(),
                ))
            }
            Resource::Service { .. } | Resource::Activity { .. } => None,
        };
        let mut found: Vec<_> = tasks(&self.graph).into_iter().filter_map(named).collect();
        found.sort();
        found
    }

    /// One error for each Task whose service is not available here, according to `supported`.
    #[must_use]
    pub fn unsupported(&self, supported: impl Fn(&Resource) -> bool) -> Vec<Diagnostic> {
        let mut found: Vec<Diagnostic> = tasks(&self.graph)
            .into_iter()
            .filter(|(_, task)| !supported(&task.resource) && !task.resource.is_placeholder())
            .map(|(state, task)| {
                Diagnostic::error(
                    "UNSUPPORTED_RESOURCE",
                    &format!("{}/Resource", state.at),
                    format!(
                        "The service integration {} is not available here",
                        task.resource
                    ),
                )
                .in_state(Some(state.name.to_string()))
                .with_hint("call a function that does this work, or run the machine on AWS")
            })
            .collect();
        found.sort_by(|a, b| a.location.cmp(&b.location));
        found
    }
}

/// All problems of a Standard machine's definition. The list is empty if there are none.
#[must_use]
pub fn validate(text: &str) -> Vec<Diagnostic> {
    validate_as(text, WorkflowType::Standard)
}

/// All problems of the definition of a machine of this type. The list is empty if there are none.
#[must_use]
pub fn validate_as(text: &str, workflow_type: WorkflowType) -> Vec<Diagnostic> {
    match StateMachine::parse_as(text, workflow_type) {
        Ok(machine) => machine.warnings,
        Err(problems) => problems,
    }
}

pub(crate) fn root(text: &str) -> Result<Value, Box<Diagnostic>> {
    if text.len() > MAX_DEFINITION {
        return Err(Box::new(
            Diagnostic::error(
                reader::SCHEMA,
                "",
                format!(
                    "The definition has {} bytes, but {MAX_DEFINITION} are allowed",
                    text.len()
                ),
            )
            .with_hint(
                "move parts into separate state machines and start them with states:startExecution",
            ),
        ));
    }
    if text.trim().is_empty() {
        return Err(Box::new(
            Diagnostic::error(reader::SCHEMA, "", "Definition must be a valid JSON object")
                .with_hint("write {\"StartAt\": …, \"States\": {…}}"),
        ));
    }
    let root = json::read(text).map_err(|refused| {
        let (line, column) = (refused.line, refused.column);
        let message = format!("The definition is {refused}");
        Box::new(
            Diagnostic::error("INVALID_JSON_DESCRIPTION", "", message)
                .at(line, column)
                .with_hint("correct the text at this position"),
        )
    })?;
    if !root.is_object() {
        return Err(Box::new(
            Diagnostic::error(reader::SCHEMA, "", "Definition must be a valid JSON object")
                .with_hint("write {\"StartAt\": …, \"States\": {…}}"),
        ));
    }
    Ok(root)
}

/// All Tasks, including nested states.
fn tasks(graph: &Graph) -> Vec<(&State, &TaskState)> {
    let mut found = Vec::new();
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        for state in graph.states.values() {
            match &state.kind {
                StateKind::Task(task) => found.push((&**state, &**task)),
                StateKind::Parallel(branches) => graphs.extend(branches.iter().map(|b| &**b)),
                StateKind::Map(map) => graphs.push(&map.processor),
                _ => {}
            }
        }
    }
    found
}

fn steps(graph: &Graph) -> Vec<StepPlan> {
    check::walk(graph)
        .into_iter()
        .filter_map(|name| {
            let kind = match graph.states.get(name)?.kind {
                StateKind::Task(_) => StepKind::Task,
                StateKind::Map(_) => StepKind::Map,
                StateKind::Parallel(_) => StepKind::Parallel,
                StateKind::Wait(_) => StepKind::Wait,
                _ => return None,
            };
            Some(StepPlan {
                name: name.to_string(),
                kind,
            })
        })
        .collect()
}
