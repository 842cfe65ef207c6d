//! What starting an execution means: the ARN leads to a state machine, the name and the input are
//! checked, and a repeated start finds the first one. The API and nested executions both use it,
//! each with its own names for the errors.

use asl::WorkflowType;
use jiff::Timestamp;

use crate::arn::{self, ArnError, MachineArn};
use crate::engine::{Started, Status, Stored, is_name};
use crate::json_error::check_json;
use crate::target::Target;
use crate::{Engine, EngineError, ids};

/// A request to start an execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartRequest<'a> {
    /// The ARN of a state machine, a version or an alias.
    pub(crate) machine: &'a str,
    pub(crate) name: Option<&'a str>,
    /// JSON.
    pub(crate) input: &'a str,
}

impl StartRequest<'_> {
    /// Checks the name and the input.
    ///
    /// # Errors
    /// [`StartError::InvalidName`], [`StartError::InvalidInput`].
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if let Some(name) = self.name.filter(|name| !is_name(name)) {
            return Err(StartError::InvalidName(name.to_owned()));
        }
        check_input(self.input)
    }
}

/// Checks that an input is JSON.
///
/// # Errors
/// [`StartError::InvalidInput`].
pub(crate) fn check_input(input: &str) -> Result<(), StartError> {
    check_json(input).map_err(StartError::InvalidInput)
}

/// Why an execution was not started or found. The texts are those of AWS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Arn(#[from] ArnError),
    #[error("Invalid Name: '{0}'")]
    InvalidName(String),
    #[error("Invalid State Machine Execution Input: '{0}'")]
    InvalidInput(String),
    /// Another execution of this ARN has ended, or has another input.
    #[error("Execution Already Exists: '{0}'")]
    AlreadyExists(String),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// An execution that was started, by this request or by an equal one before.
#[derive(Clone, Debug)]
pub(crate) struct StartedExecution {
    pub(crate) arn: String,
    pub(crate) at: Timestamp,
}

impl Engine {
    /// The state machine that an ARN leads to.
    ///
    /// # Errors
    /// [`StartError::Arn`], [`StartError::Engine`].
    pub(crate) async fn target(&self, arn: &str) -> Result<Target, StartError> {
        let parsed = MachineArn::parse(arn)?;
        let target = self.resolve(parsed.name, parsed.qualifier).await;
        target.map_err(|error| match error {
            EngineError::UnknownMachine(_) => ArnError::NoMachine(arn.to_owned()).into(),
            other => other.into(),
        })
    }

    /// Starts an execution. A start with the name and the input of a running one finds that one.
    ///
    /// # Errors
    /// [`StartError::AlreadyExists`], [`StartError::Engine`].
    pub(crate) async fn start_target(
        &self,
        target: Target,
        name: &str,
        input: &str,
    ) -> Result<StartedExecution, StartError> {
        let row_name = match target.kind {
            WorkflowType::Standard => name.to_owned(),
            WorkflowType::Express => format!("{name}:{}", ids::random()),
        };
        let arn = target.execution_arn(self, &row_name);
        let Target {
            machine,
            kind,
            origin,
            ..
        } = target;
        let started = self
            .start_machine(machine, &row_name, input.into(), kind, origin)
            .await?;
        match started {
            Started::New(at) => Ok(StartedExecution { arn, at }),
            Started::Already(earlier)
                if earlier.status == Status::Running && &*earlier.input == input =>
            {
                let at = earlier.started;
                Ok(StartedExecution { arn, at })
            }
            Started::Already(_) => Err(StartError::AlreadyExists(arn)),
        }
    }

    /// The execution that an ARN names.
    ///
    /// # Errors
    /// [`StartError::Arn`], [`StartError::Engine`].
    pub(crate) async fn stored(&self, arn: &str) -> Result<Stored, StartError> {
        let (machine, name) = arn::execution(arn)?;
        self.row(name, machine).await.map_err(|error| match error {
            EngineError::UnknownExecution(_) => ArnError::NoExecution(arn.to_owned()).into(),
            other => other.into(),
        })
    }

    /// The account in an execution's ARN.
    pub(crate) fn account_of<'a>(&'a self, row: &'a Stored) -> &'a str {
        let own = &self.settings().account;
        row.origin.account.as_deref().unwrap_or(own)
    }

    /// The ARN of an execution.
    pub(crate) fn stored_arn(&self, row: &Stored) -> String {
        let scope = self.settings().scope(self.account_of(row));
        scope.execution(WorkflowType::Standard, &row.machine, &row.name)
    }

    /// The ARN of an execution's state machine.
    pub(crate) fn stored_machine_arn(&self, row: &Stored) -> String {
        let scope = self.settings().scope(self.account_of(row));
        scope.machine(&row.machine)
    }
}
