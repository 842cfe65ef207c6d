//! A problem of a definition and its location. It does not decide what is a problem.

use serde::Serialize;

/// The severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// The definition cannot run.
    Error,
    /// The definition runs, but probably not as intended.
    Warning,
}

/// One problem of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Its severity.
    pub severity: Severity,
    /// A stable code, as in AWS's `ValidateStateMachineDefinition`.
    pub code: &'static str,
    /// The field as AWS names it, such as `/States/A/Choices[0]/Next`. It is empty for the whole
    /// definition.
    pub location: String,
    /// The innermost state around it.
    #[serde(skip)]
    pub state: Option<String>,
    /// Line and column, both from 1, if the text is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<(usize, usize)>,
    /// The problem.
    pub message: String,
    /// A way to correct it.
    pub hint: Option<String>,
}

impl Diagnostic {
    fn new(
        severity: Severity,
        code: &'static str,
        location: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            location: location.to_owned(),
            state: None,
            position: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn error(code: &'static str, location: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, location, message)
    }

    pub(crate) fn warning(code: &'static str, location: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, location, message)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn in_state(mut self, state: Option<String>) -> Self {
        self.state = state;
        self
    }

    pub(crate) fn at(mut self, line: usize, column: usize) -> Self {
        self.position = Some((line, column));
        self
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} at {}",
            self.code,
            self.message,
            if self.location.is_empty() {
                "/"
            } else {
                &self.location
            }
        )?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}
