//! The parts of an execution: its start, its threads, and what each thread waits for.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::children::{ChildExecution, Children};
use super::data::Data;
use crate::definition::model::{Graph, State};
use crate::scope::Variables;
use crate::{Effect, ReadItems, Task, TaskId, TimerId, WorkflowType, WriteResults};

/// The surroundings of an execution.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of DescribeExecution")]
pub struct Start {
    pub execution_arn: String,
    pub execution_name: String,
    pub role_arn: String,
    pub state_machine_arn: String,
    pub state_machine_name: String,
    pub start_time: Timestamp,
    /// The input, as JSON.
    pub input: Arc<str>,
    pub kind: WorkflowType,
    /// The only source of randomness, for tokens and jitter.
    pub seed: u64,
}

#[derive(Debug)]
pub(super) enum ThreadPhase {
    Enter,
    Run,
    Task(Box<OpenTask>),
    Wait(TimerId),
    Backoff(TimerId),
    Children(Box<Children>),
    /// Waits for a distributed Map's items, or for its results to be stored.
    Files(Box<OpenFiles>),
}

/// A task that has not ended.
#[derive(Debug)]
pub(super) struct OpenTask {
    pub(super) request: Task,
    /// The time when it was scheduled.
    pub(super) since: Timestamp,
    pub(super) started: bool,
    pub(super) submitted: bool,
    pub(super) timeout: Option<TimerId>,
    pub(super) heartbeat: Option<(TimerId, f64)>,
}

#[derive(Debug)]
pub(super) struct OpenFiles {
    pub(super) request: FilesRequest,
    pub(super) children: Box<Children>,
}

#[derive(Debug, Clone)]
pub(super) enum FilesRequest {
    Read(ReadItems),
    Write(WriteResults, Arc<Value>),
}

impl FilesRequest {
    pub(super) fn task(&self) -> TaskId {
        match self {
            Self::Read(request) => request.task,
            Self::Write(request, _) => request.task,
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            Self::Read(request) => Effect::ReadItems(request.clone()),
            Self::Write(request, _) => Effect::WriteResults(request.clone()),
        }
    }
}

/// One sequence of states: the machine, a branch or an iteration.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) parent: Option<(u64, usize)>,
    pub(super) graph: Arc<Graph>,
    pub(super) step: Arc<str>,
    pub(super) state: Arc<State>,
    pub(super) input: Arc<Data>,
    pub(super) variables: Arc<Variables>,
    /// The event that the next event follows.
    pub(super) previous: u64,
    /// The value of `previous` before the state was entered.
    pub(super) before: u64,
    pub(super) entered: (u64, Timestamp),
    pub(super) attempt: u32,
    pub(super) retries: Vec<u32>,
    /// The context object's `Map.Item`.
    pub(super) item: Option<Arc<Value>>,
    /// The child execution of a distributed Map that the thread belongs to. It has no events in
    /// this history.
    pub(super) child: Option<Arc<ChildExecution>>,
    pub(super) phase: ThreadPhase,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TimerPurpose {
    Execution,
    Thread(u64),
    Timeout(TaskId),
    Heartbeat(TaskId),
}
