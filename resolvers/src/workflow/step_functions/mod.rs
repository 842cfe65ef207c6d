//! The port on AWS Step Functions.
//!
//! | module | what |
//! |---|---|
//! | `calls` | the calls of the SDK, and their errors |
//! | `machines` | whether the state machines are deployed as their files say |
//! | `pushed` | converts log entries and events of EventBridge to events of executions |
//! | `steps` | converts history events to updates of a job's steps |
//! | `token` | the token of a waiting task, from the request that carries it |
//! | `watch` | follows open executions |
//!
//! A Standard execution publishes no events by itself. With [`Follow::Read`] the adapter reads the
//! histories of the open executions that it started or took up, the newest events first: every
//! second while there are few, and as often as the budget allows otherwise. With
//! [`Follow::Pushed`] it reads none: the functions behind the log and EventBridge do it.

mod calls;
mod machines;
pub mod pushed;
mod steps;
mod token;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use job::Time;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use self::calls::Calls;
pub use self::machines::{MachineProblem, MachineReport};
use self::steps::Steps;
use self::watch::Watches;
use super::{
    End, Execution, ExecutionEvent, ExecutionStatus, HistoryPage, JobType, Listener, Started,
    Workflow, WorkflowError,
};
use crate::read_budget::ReadBudget;

/// Maximum size of an execution's input in bytes (AWS Step Functions: 256 KiB of UTF-8).
pub const EXECUTION_INPUT_BYTES: usize = 262_144;
/// Number of events in one page of a history (`GetExecutionHistory`).
const PAGE: usize = 1_000;

/// Location of the state machines of the job types, and polling of open executions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix of a job type's name in the ARN of its state machine:
    /// `arn:aws:states:REGION:ACCOUNT:stateMachine:`, with a prefix of the names if they have one.
    pub machine_arn_prefix: String,
    /// Minimum interval between two reads of an open execution.
    pub poll: Duration,
    /// How the events of executions arrive.
    pub follow: Follow,
}

/// How the events of executions arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// This process reads the histories of the executions that it started or took up.
    #[default]
    Read,
    /// They are pushed to functions, which apply them.
    Pushed,
}

impl Settings {
    /// The defaults: histories are read, each at most once in a second.
    #[must_use]
    pub fn new(machine_arn_prefix: &str) -> Settings {
        Settings {
            machine_arn_prefix: machine_arn_prefix.to_owned(),
            poll: Duration::from_secs(1),
            follow: Follow::default(),
        }
    }
}

/// State that the adapter and its watch share.
#[derive(Debug)]
struct AdapterState {
    calls: Calls,
    settings: Settings,
    job_types: Vec<Arc<JobType>>,
    watches: Watches,
}

/// AWS Step Functions.
#[derive(Clone)]
pub struct StepFunctionsWorkflow {
    shared: Arc<AdapterState>,
    _watching: Arc<AbortOnDropHandle<()>>,
}

impl fmt::Debug for StepFunctionsWorkflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepFunctionsWorkflow")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl StepFunctionsWorkflow {
    /// The port on Step Functions. Region, credentials and endpoint are those of `config`. Reads of
    /// histories and descriptions take `budget`. Events of executions go to `listener`. Call it
    /// within a Tokio runtime.
    #[must_use]
    pub fn new(
        config: &SdkConfig,
        settings: Settings,
        budget: ReadBudget,
        job_types: Vec<Arc<JobType>>,
        listener: Arc<dyn Listener>,
    ) -> StepFunctionsWorkflow {
        let shared = Arc::new(AdapterState {
            calls: Calls::new(config, budget),
            settings,
            job_types,
            watches: Watches::default(),
        });
        let watching = tokio::spawn(watch::run(Arc::clone(&shared), listener));
        StepFunctionsWorkflow {
            shared,
            _watching: Arc::new(AbortOnDropHandle::new(watching)),
        }
    }
}

impl AdapterState {
    fn machine_arn(&self, job_type: &str) -> String {
        format!("{}{job_type}", self.settings.machine_arn_prefix)
    }

    fn execution_arn(&self, job_type: &str, name: &str) -> String {
        let machine = self.machine_arn(job_type);
        let arn = machine.replacen(":stateMachine:", ":execution:", 1);
        format!("{arn}:{name}")
    }

    fn job_type(&self, name: &str) -> Option<Arc<JobType>> {
        let mut types = self.job_types.iter();
        types.find(|one| one.name == name).cloned()
    }

    /// The progress of an execution before its first event. The definition of a job type that this
    /// server no longer has shows no steps.
    fn steps(&self, job_type: &str) -> Steps {
        let job_type = self.job_type(job_type);
        Steps::new(job_type.as_ref().map_or("{}", |one| &*one.definition))
    }

    /// Follows an open execution, if histories are read.
    fn watch(&self, name: &str, arn: String, steps: Steps) {
        if self.settings.follow == Follow::Read {
            self.watches.add(name, arn, steps);
        }
    }

    /// Everything that happened to an execution, and its progress.
    async fn read(
        &self,
        job_type: &str,
        name: &str,
    ) -> Result<(ExecutionEvent, Steps), WorkflowError> {
        let arn = self.execution_arn(job_type, name);
        let mut steps = self.steps(job_type);
        let mut so_far = ExecutionEvent {
            execution: name.to_owned(),
            position: 0,
            at: Time::from_millis(0),
            redrives: 0,
            steps: Vec::new(),
            end: None,
        };
        for event in &self.whole_history(&arn).await? {
            steps.take(event, &mut so_far);
        }
        Ok((so_far, steps))
    }

    /// The whole history of an execution, the oldest event first.
    async fn whole_history(&self, arn: &str) -> Result<Vec<Value>, WorkflowError> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let page = self.calls.history(arn, PAGE, false, token).await?;
            all.extend(page.events);
            token = page.next;
            if token.is_none() {
                return Ok(all);
            }
        }
    }
}

#[async_trait]
impl Workflow for StepFunctionsWorkflow {
    fn job_types(&self) -> Vec<Arc<JobType>> {
        self.shared.job_types.clone()
    }

    fn job_type(&self, name: &str) -> Option<Arc<JobType>> {
        self.shared.job_type(name)
    }

    async fn start(
        &self,
        job_type: &str,
        name: &str,
        input: Arc<str>,
    ) -> Result<Started, WorkflowError> {
        let unknown = || WorkflowError::UnknownType(job_type.to_owned());
        let job_type = self.job_type(job_type).ok_or_else(unknown)?;
        let shared = &self.shared;
        // While the execution is open, AWS answers a repeat as it answered the first call.
        let repeated = shared.watches.has(name);
        let machine = shared.machine_arn(&job_type.name);
        let started = shared.calls.start(&machine, name, &input).await?;
        let arn = shared.execution_arn(&job_type.name, name);
        shared.watch(name, arn, Steps::new(&job_type.definition));
        match started {
            Started::New if repeated => Ok(Started::Already),
            started => Ok(started),
        }
    }

    async fn stop(
        &self,
        job_type: &str,
        name: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        let arn = self.shared.execution_arn(job_type, name);
        self.shared.calls.stop(&arn, name, error, cause).await?;
        self.shared.watches.hurry(name);
        Ok(())
    }

    fn keeps_first_token(&self) -> bool {
        true
    }

    fn reads_are_limited(&self) -> bool {
        true
    }

    fn input_limit(&self) -> Option<usize> {
        Some(EXECUTION_INPUT_BYTES)
    }

    async fn redrive(&self, job_type: &str, name: &str) -> Result<(), WorkflowError> {
        let shared = &self.shared;
        let arn = shared.execution_arn(job_type, name);
        shared.calls.redrive(&arn, name).await?;
        shared.watch(name, arn, shared.steps(job_type));
        Ok(())
    }

    async fn describe(
        &self,
        job_type: &str,
        name: &str,
    ) -> Result<Option<Execution>, WorkflowError> {
        let shared = &self.shared;
        let arn = shared.execution_arn(job_type, name);
        let Some(described) = shared.calls.describe(&arn).await? else {
            return Ok(None);
        };
        let (mut so_far, steps) = shared.read(job_type, name).await?;
        if so_far.position == 0 {
            so_far.at = described.started;
        }
        // The description may be older than the history.
        let end = so_far.end.as_ref();
        let status = end.map_or(ExecutionStatus::Running, |end| end.status);
        if status == ExecutionStatus::Running {
            shared.watch(name, arn, steps);
        }
        Ok(Some(Execution {
            name: name.to_owned(),
            status,
            is_redrivable: !described.is_final
                && !matches!(
                    status,
                    ExecutionStatus::Running | ExecutionStatus::Succeeded
                ),
            so_far,
        }))
    }

    async fn so_far(
        &self,
        job_type: &str,
        name: &str,
    ) -> Result<Option<ExecutionEvent>, WorkflowError> {
        let (so_far, steps) = match self.shared.read(job_type, name).await {
            Ok(read) => read,
            Err(WorkflowError::UnknownExecution(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if so_far.end.is_none() {
            let arn = self.shared.execution_arn(job_type, name);
            self.shared.watch(name, arn, steps);
        }
        Ok(Some(so_far))
    }

    async fn events_after(
        &self,
        job_type: &str,
        name: &str,
        position: u64,
    ) -> Result<Vec<ExecutionEvent>, WorkflowError> {
        let arn = self.shared.execution_arn(job_type, name);
        let history = match self.shared.whole_history(&arn).await {
            Ok(history) => history,
            Err(WorkflowError::UnknownExecution(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let job_type = self.job_type(job_type);
        let definition = job_type.as_ref().map_or("{}", |one| &*one.definition);
        Ok(pushed::after(definition, name, position, &history))
    }

    async fn end(&self, job_type: &str, name: &str) -> Result<Option<End>, WorkflowError> {
        let arn = self.shared.execution_arn(job_type, name);
        let described = self.shared.calls.describe(&arn).await?;
        Ok(described.and_then(|described| described.end))
    }

    async fn history(
        &self,
        job_type: &str,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, WorkflowError> {
        let arn = self.shared.execution_arn(job_type, name);
        let limit = limit.clamp(1, PAGE);
        let mut events: Vec<Value> = Vec::new();
        let mut token = None;
        // Pages have no numbers: earlier pages are read and skipped.
        loop {
            let page = self.shared.calls.history(&arn, PAGE, false, token).await?;
            let wanted = |event: &Value| event["id"].as_u64() > Some(after);
            events.extend(page.events.into_iter().filter(wanted));
            token = page.next;
            if events.len() > limit || token.is_none() {
                break;
            }
        }
        let more = events.len() > limit;
        events.truncate(limit);
        let last = events.last().filter(|_| more);
        let next = last.and_then(|event| event["id"].as_u64());
        Ok(HistoryPage { events, next })
    }

    async fn waiting_token(
        &self,
        job_type: &str,
        name: &str,
        step: &str,
    ) -> Result<Option<String>, WorkflowError> {
        let unknown = || WorkflowError::UnknownType(job_type.to_owned());
        let job_type = self.job_type(job_type).ok_or_else(unknown)?;
        let arn = self.shared.execution_arn(&job_type.name, name);
        let history = self.shared.whole_history(&arn).await?;
        Ok(token::waiting(&job_type.definition, step, &history))
    }

    async fn task_success(&self, token: &str, output: Arc<str>) -> Result<(), WorkflowError> {
        self.shared.calls.task_success(token, &output).await
    }

    async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), WorkflowError> {
        self.shared.calls.task_failure(token, error, cause).await
    }
}
