//! `types --check`: reports every problem and warning of a directory of state machines, as `serve`
//! does. It needs no server.

use std::path::Path;

use serde_json::json;
use workflow::{Machines, Problem, Severity};

use crate::cli::error::CliError;
use crate::cli::outcome::Outcome;
use crate::cli::show::output::{print, print_json};
use crate::cli::show::text::{BOLD, DIM, GREEN, RED, YELLOW, paint, text};

pub(crate) fn check(directory: &Path, json: bool) -> Result<Outcome, CliError> {
    if !directory.is_dir() {
        return Err(CliError::Usage(format!(
            "{} is not a directory: --check takes the directory of the NAME.asl.json files",
            directory.display()
        )));
    }
    let checked = Machines::check(directory);
    let mut problems = checked.problems;
    for (file, schema) in &checked.schemas {
        if let Err(reason) = resolvers::jobs::check_schema(schema) {
            problems.push(Problem::of_file(file, &reason));
        }
    }
    problems.sort_by(|one, other| one.file.cmp(&other.file));
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    if json {
        problems
            .iter()
            .for_each(|problem| print_json(&as_json(problem)));
    } else {
        let mut file = None;
        for problem in &problems {
            if file != Some(&problem.file) {
                print(paint(BOLD, problem.file.display()));
                file = Some(&problem.file);
            }
            show(problem);
        }
        let warnings = problems.len() - errors;
        let verdict = match (errors, warnings) {
            (0, 0) => paint(GREEN, "no problems"),
            (0, _) => paint(YELLOW, counted(warnings, "warning")),
            (_, 0) => paint(RED, counted(errors, "error")),
            _ => paint(
                RED,
                format_args!(
                    "{}, {}",
                    counted(errors, "error"),
                    counted(warnings, "warning")
                ),
            ),
        };
        print(text![
            counted(checked.files, "state machine"),
            ": ",
            verdict
        ]);
    }
    Ok(if errors == 0 {
        Outcome::Succeeded
    } else {
        Outcome::Failed
    })
}

fn show(problem: &Problem) {
    let severity = match problem.severity {
        Severity::Error => paint(RED, "error"),
        Severity::Warning => paint(YELLOW, "warning"),
    };
    let mut place = Vec::new();
    place.extend((!problem.code.is_empty()).then(|| problem.code.to_owned()));
    place.extend(
        problem
            .state
            .as_ref()
            .map(|state| format!("state `{state}`")),
    );
    place.extend((!problem.field.is_empty()).then(|| problem.field.clone()));
    place.extend(
        problem
            .position
            .map(|(line, column)| format!("line {line}, column {column}")),
    );
    print(text!["  ", severity, " ", paint(DIM, place.join("  "))]);
    print(format_args!("    {}", problem.message));
    if let Some(hint) = &problem.hint {
        print(text!["    ", paint(DIM, "→"), " ", hint]);
    }
}

fn as_json(problem: &Problem) -> serde_json::Value {
    json!({
        "file": problem.file,
        "severity": problem.severity,
        "code": problem.code,
        "state": problem.state,
        "location": problem.field,
        "line": problem.position.map(|(line, _)| line),
        "column": problem.position.map(|(_, column)| column),
        "message": problem.message,
        "hint": problem.hint,
    })
}

fn counted(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}
