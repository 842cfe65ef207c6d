//! Problems of a directory of state machines, and how they are shown.

use std::fmt;
use std::path::{Path, PathBuf};

use asl::{Diagnostic, Severity};

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The innermost state that it is in.
    pub state: Option<String>,
    /// The field as AWS names it, such as `/States/A/Choices[0]/Next`; empty for the whole file.
    pub field: String,
    /// Line and column from 1, where the file is not JSON.
    pub position: Option<(usize, usize)>,
    /// Whether the state machine can be used in spite of it.
    pub severity: Severity,
    /// A stable code, as in AWS's `ValidateStateMachineDefinition`; empty for the whole file.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// The whole file cannot be used.
    pub fn of_file(file: &Path, error: &dyn fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            state: None,
            field: String::new(),
            position: None,
            severity: Severity::Error,
            code: "",
            message: error.to_string(),
            hint: None,
        }
    }

    pub(super) fn new(file: &Path, diagnostic: &Diagnostic) -> Self {
        Self {
            file: file.to_owned(),
            state: diagnostic.state.clone(),
            field: diagnostic.location.clone(),
            position: diagnostic.position,
            severity: diagnostic.severity,
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(state) = &self.state {
            write!(f, ": state `{state}`")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        if let Some((line, column)) = self.position {
            write!(f, ": line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Some state machines cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MachinesError(pub Vec<Problem>);

impl fmt::Display for MachinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the state machines have a problem:")?,
            count => write!(f, "the state machines have {count} problems:")?,
        }
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
