//! The error of a state: AWS's error name and cause, and its form in the history. It does not retry
//! or catch.

/// The source of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A task, a Fail state or a child: name and cause are kept unchanged.
    Task,
    /// The interpreter: the cause is prefixed with the state's name.
    State,
    /// The interpreter; the cause is already complete.
    Plain,
    /// A JSONata field: recorded as `EvaluationFailed`, with the field.
    Evaluation(Option<String>),
}

/// An error of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) origin: Origin,
}

impl Fault {
    fn new(error: &str, cause: String, origin: Origin) -> Self {
        Self {
            error: Some(error.to_owned()),
            cause: Some(cause),
            origin,
        }
    }

    pub(crate) fn state(error: &str, cause: impl Into<String>) -> Self {
        Self::new(error, cause.into(), Origin::State)
    }

    /// `States.Runtime`, which cannot be caught.
    pub(crate) fn runtime(cause: impl Into<String>) -> Self {
        Self::state("States.Runtime", cause)
    }

    pub(crate) fn evaluation(location: Option<String>, cause: impl Into<String>) -> Self {
        Self::new(
            "States.QueryEvaluationError",
            cause.into(),
            Origin::Evaluation(location),
        )
    }

    /// A result over the limit. `what` is the state or the resource that produced it.
    pub(crate) fn too_large(what: &str) -> Self {
        Self::new(
            "States.DataLimitExceeded",
            format!(
                "The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit."
            ),
            Origin::Plain,
        )
    }

    /// An error of a task, a Fail state or a child. Empty texts count as absent.
    pub(crate) fn task(error: Option<&str>, cause: Option<&str>) -> Self {
        let text = |s: Option<&str>| s.filter(|s| !s.is_empty()).map(str::to_owned);
        Self {
            error: text(error),
            cause: text(cause),
            origin: Origin::Task,
        }
    }

    /// A task that did not answer in time. Events have no cause, a catcher sees an empty one.
    pub(crate) fn timeout() -> Self {
        Self::new("States.Timeout", String::new(), Origin::Task)
    }

    pub(crate) fn plain(error: &str, cause: impl Into<String>) -> Self {
        Self::new(error, cause.into(), Origin::Plain)
    }

    /// Whether the interpreter gave up: no retrier and no catcher applies.
    pub(crate) fn is_final(&self) -> bool {
        self.origin != Origin::Task && self.error.as_deref() == Some("States.Runtime")
    }

    /// Whether an `ErrorEquals` list names the error. `also` is its second name.
    pub(crate) fn is_named_by(&self, names: &[String], also: Option<&str>) -> bool {
        if self.is_final() {
            return false;
        }
        let error = self.error.as_deref();
        let by_name_only = self.origin != Origin::Task && error == Some("States.DataLimitExceeded");
        names.iter().any(|name| {
            let name = name.as_str();
            Some(name) == error
                || Some(name) == also
                || match name {
                    "States.ALL" => !by_name_only,
                    "States.TaskFailed" => {
                        self.origin == Origin::Task && error != Some("States.Timeout")
                    }
                    _ => false,
                }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn an_error_matches_its_names() {
        let named = |fault: &Fault, name: &str| fault.is_named_by(&[name.to_owned()], Some("Also"));
        let task = Fault::task(Some("Any"), None);
        for (name, want) in [
            ("Any", true),
            ("States.ALL", true),
            ("States.TaskFailed", true),
            ("Also", true),
            ("Other", false),
        ] {
            assert_eq!(named(&task, name), want, "{name}");
        }
        assert!(
            !named(&Fault::runtime("x"), "States.Runtime")
                && !named(&Fault::runtime("x"), "States.ALL")
        );
        assert!(
            named(&Fault::too_large("x"), "States.DataLimitExceeded")
                && !named(&Fault::too_large("x"), "States.ALL")
        );
        assert!(!named(
            &Fault::task(Some("States.Timeout"), None),
            "States.TaskFailed"
        ));
        assert!(named(&Fault::task(Some(""), None), "States.ALL"));
    }
}
