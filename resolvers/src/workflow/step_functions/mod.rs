//! The port on AWS Step Functions.
//!
//! | module | what |
//! |---|---|
//! | `steps` | converts history events to updates of a job's steps |
//! | `token` | the token of a waiting task, from the request that carries it |
//! | `watch` | follows open executions |
//! | `calls` | the calls of the SDK, and their errors |
//! | `deployed` | whether the deployed state machines are those of the files |
//!
//! A Standard execution publishes no events by itself. The adapter therefore reads the histories of
//! the open executions that it started or was asked about, the newest events first: often while
//! events arrive, and less often otherwise. It finds the end in the last event of the history,
//! within [`Settings::poll`]. After a restart the sweep of open jobs asks about each of them, which
//! starts to follow them again.

mod calls;
mod deployed;
mod steps;
mod token;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use self::calls::{Calls, Described};
use self::steps::Steps;
use self::watch::Watches;
use super::{
    Execution, ExecutionEvent, ExecutionStatus, HistoryPage, JobType, Listener, Started, Workflow,
    WorkflowError,
};

/// Maximum number of executions whose state machine is remembered. For others, all job types are
/// searched.
const REMEMBERED: usize = 10_000;
/// Number of events in one page of a history (`GetExecutionHistory`).
const PAGE: usize = 1_000;

/// Location of the state machines of the job types, and polling of open executions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Prefix of a job type's name in the ARN of its state machine:
    /// `arn:aws:states:REGION:ACCOUNT:stateMachine:`, with a prefix of the names if they have one.
    pub machine_arn_prefix: String,
    /// Minimum and maximum interval between two reads of an open execution.
    pub poll: RangeInclusive<Duration>,
}

impl Settings {
    /// The default intervals: every second while events arrive, every 15 seconds otherwise.
    #[must_use]
    pub fn new(machine_arn_prefix: &str) -> Settings {
        Settings {
            machine_arn_prefix: machine_arn_prefix.to_owned(),
            poll: Duration::from_secs(1)..=Duration::from_secs(15),
        }
    }
}

/// State that the adapter and its watch share.
#[derive(Debug)]
struct AdapterState {
    calls: Calls,
    settings: Settings,
    job_types: Vec<Arc<JobType>>,
    /// The job types of executions, by name.
    known: Mutex<HashMap<String, Arc<JobType>>>,
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
    /// The port on Step Functions. Region, credentials and endpoint are those of `config`. Events
    /// of executions go to `listener`. Call it within a Tokio runtime.
    #[must_use]
    pub fn new(
        config: &SdkConfig,
        settings: Settings,
        job_types: Vec<Arc<JobType>>,
        listener: Arc<dyn Listener>,
    ) -> StepFunctionsWorkflow {
        let shared = Arc::new(AdapterState {
            calls: Calls::new(config),
            settings,
            job_types,
            known: Mutex::default(),
            watches: Watches::default(),
        });
        let watching = tokio::spawn(watch::run(Arc::clone(&shared), listener));
        StepFunctionsWorkflow {
            shared,
            _watching: Arc::new(AbortOnDropHandle::new(watching)),
        }
    }

    /// The execution's job type and its description.
    async fn find(&self, name: &str) -> Result<Option<(Arc<JobType>, Described)>, WorkflowError> {
        let shared = &self.shared;
        let known = shared.known.lock().get(name).cloned();
        let types = match &known {
            Some(job_type) => std::slice::from_ref(job_type),
            None => shared.job_types.as_slice(),
        };
        for job_type in types {
            let arn = shared.execution_arn(&job_type.name, name);
            if let Some(described) = shared.calls.describe(&arn).await? {
                shared.remember(name, job_type);
                return Ok(Some((Arc::clone(job_type), described)));
            }
        }
        Ok(None)
    }

    async fn arn(&self, name: &str) -> Result<(Arc<JobType>, String), WorkflowError> {
        let known = self.shared.known.lock().get(name).cloned();
        let job_type = match known {
            Some(job_type) => job_type,
            None => {
                let found = self.find(name).await?;
                let unknown = || WorkflowError::UnknownExecution(name.to_owned());
                found.ok_or_else(unknown)?.0
            }
        };
        let arn = self.shared.execution_arn(&job_type.name, name);
        Ok((job_type, arn))
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

    fn remember(&self, name: &str, job_type: &Arc<JobType>) {
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name.to_owned(), Arc::clone(job_type));
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
        let types = &self.shared.job_types;
        types.iter().find(|one| one.name == name).cloned()
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
        let repeated = shared.known.lock().contains_key(name);
        let machine = shared.machine_arn(&job_type.name);
        let started = shared.calls.start(&machine, name, &input).await;
        let started = match started {
            Err(WorkflowError::UnknownType(_)) => return Err(unknown()),
            started => started?,
        };
        shared.remember(name, &job_type);
        let arn = shared.execution_arn(&job_type.name, name);
        shared
            .watches
            .add(name, arn, Steps::new(&job_type.definition));
        match started {
            Started::New if repeated => Ok(Started::Already),
            started => Ok(started),
        }
    }

    async fn stop(&self, name: &str, error: &str, cause: &str) -> Result<(), WorkflowError> {
        let (_, arn) = self.arn(name).await?;
        self.shared.calls.stop(&arn, name, error, cause).await?;
        self.shared.watches.hurry(name);
        Ok(())
    }

    fn keeps_first_token(&self) -> bool {
        true
    }

    async fn redrive(&self, name: &str) -> Result<(), WorkflowError> {
        let (job_type, arn) = self.arn(name).await?;
        self.shared.calls.redrive(&arn, name).await?;
        let steps = Steps::new(&job_type.definition);
        self.shared.watches.add(name, arn, steps);
        Ok(())
    }

    async fn describe(&self, name: &str) -> Result<Option<Execution>, WorkflowError> {
        let Some((job_type, described)) = self.find(name).await? else {
            return Ok(None);
        };
        let arn = self.shared.execution_arn(&job_type.name, name);
        let history = self.shared.whole_history(&arn).await?;
        let mut steps = Steps::new(&job_type.definition);
        let mut so_far = ExecutionEvent {
            execution: name.to_owned(),
            position: 0,
            at: described.started,
            redrives: 0,
            steps: Vec::new(),
            end: None,
        };
        for event in &history {
            steps.take(event, &mut so_far);
        }
        // The description may be older than the history.
        let end = so_far.end.as_ref();
        let status = end.map_or(ExecutionStatus::Running, |end| end.status);
        if status == ExecutionStatus::Running {
            self.shared.watches.add(name, arn, steps);
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

    async fn history(
        &self,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<HistoryPage, WorkflowError> {
        let (_, arn) = self.arn(name).await?;
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

    async fn waiting_token(&self, name: &str, step: &str) -> Result<Option<String>, WorkflowError> {
        let (job_type, arn) = self.arn(name).await?;
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
