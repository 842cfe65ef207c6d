//! The state of the interpreter and its entry point, [`Execution::handle`].
//!
//! `enter` begins states and `leave` ends them; `task` follows tasks; `map` and `distributed` run
//! iterations; `failure` retries and catches; `redrive` continues after an end; `record` writes the
//! history; `trial` tries one state alone. Everything here is a pure function of the machine, the
//! start and the list of (event, now): a replay produces the same effects.

mod children;
mod data;
mod distributed;
mod enter;
mod failure;
mod fields;
mod files;
mod leave;
mod map;
mod map_plan;
mod map_run;
mod model;
mod record;
mod redrive;
mod run_tracking;
mod subtree;
mod table;
mod task;
mod trial;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::definition::model::Graph;
use crate::limits::{MAX_CAUSE, MAX_ERROR, MAX_TRANSITIONS};
use crate::scope::{Dice, Variables};
use crate::{Effect, Event, StateMachine, Status, Task, TaskId, TimerId};
use children::ChildExecution;
use data::{Data, cut};
use model::{Thread, ThreadPhase, TimerPurpose};
use table::Table;

pub use map_run::{MapRun, MapRunChild};
pub use model::Start;
pub use trial::{Before, Outcome, Trial, TrialStatus, Tried};

/// One running execution. It can be dropped and rebuilt from the same start and events.
#[derive(Debug)]
pub struct Execution {
    machine: Arc<StateMachine>,
    start: Start,
    input: Option<Arc<Data>>,
    /// The context object of a trial, in place of the execution's own.
    shown: Option<Box<Value>>,
    status: Status,
    output: Option<Arc<str>>,
    error: Option<String>,
    cause: Option<String>,
    begun: bool,
    last: u64,
    counter: u64,
    dice: Dice,
    redrives: u32,
    redriven: Option<Timestamp>,
    threads: Table<u64, Box<Thread>>,
    ready: VecDeque<u64>,
    tasks: Table<TaskId, u64>,
    timers: Table<TimerId, (Timestamp, TimerPurpose)>,
    runs: Vec<MapRun>,
    now: Timestamp,
    out: Vec<Effect>,
}

impl Execution {
    /// An execution that waits for `Event::Begin`.
    #[must_use]
    pub fn new(machine: Arc<StateMachine>, start: Start) -> Self {
        Self {
            machine,
            now: start.start_time,
            dice: Dice::new(start.seed),
            start,
            input: None,
            shown: None,
            status: Status::Running,
            output: None,
            error: None,
            cause: None,
            begun: false,
            last: 0,
            counter: 0,
            redrives: 0,
            redriven: None,
            threads: Table::default(),
            ready: VecDeque::new(),
            tasks: Table::default(),
            timers: Table::default(),
            runs: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its result as JSON, if it succeeded.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// The name of its error, if it failed.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The text of its error, if it failed.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The requests in flight, in the order of their ids. A driver schedules them again after a
    /// rebuild.
    #[must_use]
    pub fn open_tasks(&self) -> Vec<&Task> {
        self.tasks
            .values()
            .filter_map(|t| match &self.threads.get(t)?.phase {
                ThreadPhase::Task(open) => Some(&open.request),
                _ => None,
            })
            .collect()
    }

    /// The reads and writes of distributed Maps in flight, as effects. A driver repeats them after
    /// a rebuild.
    #[must_use]
    pub fn open_files(&self) -> Vec<Effect> {
        self.tasks
            .values()
            .filter_map(|t| match &self.threads.get(t)?.phase {
                ThreadPhase::Files(files) => Some(files.request.effect()),
                _ => None,
            })
            .collect()
    }

    /// The armed timers and their deadlines.
    #[must_use]
    pub fn timers(&self) -> Vec<(TimerId, Timestamp)> {
        self.timers.iter().map(|(id, t)| (*id, t.0)).collect()
    }

    /// Whether a `Continue` is due, after a rebuild that ended with `Yield`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the timer is a deadline of a function's task that no worker has taken yet. Such a
    /// deadline counts from [`Event::TaskStarted`] (Amazon States Language, `TimeoutSeconds`: the
    /// count begins with the started event), so a driver must not report the timer as fired.
    #[must_use]
    pub fn waits_for_start(&self, timer: TimerId) -> bool {
        let Some((_, TimerPurpose::Timeout(task) | TimerPurpose::Heartbeat(task))) =
            self.timers.get(&timer)
        else {
            return false;
        };
        let thread = self.tasks.get(task).and_then(|id| self.threads.get(id));
        thread.is_some_and(|thread| match &thread.phase {
            ThreadPhase::Task(open) => !open.started && open.request.resource.runs_function(),
            _ => false,
        })
    }

    /// Handles one event at its time, and returns the effects. Unknown, late and repeated events
    /// have none.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        // Values are walked by recursion; their depth is up to the caller.
        json::with_room(|| self.take(event, now))
    }

    fn take(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        self.now = now;
        if self.status != Status::Running {
            if event == Event::Redrive {
                self.redrive();
                self.run();
            }
            return std::mem::take(&mut self.out);
        }
        if !self.begun
            && !matches!(
                event,
                Event::Begin | Event::Stop { .. } | Event::Abandon { .. }
            )
        {
            return Vec::new();
        }
        match event {
            Event::Begin => self.begin(),
            Event::Continue | Event::Redrive => {}
            Event::TaskStarted { task, worker } => self.task_started(task, worker),
            Event::TaskSubmitted { task, output } => self.task_submitted(task, &output),
            Event::TaskSucceeded { task, output } => self.task_succeeded(task, &output),
            Event::TaskFailed { task, error, cause } => self.task_failed(task, &error, &cause),
            Event::TaskHeartbeat { task } => self.task_heartbeat(task),
            Event::TimerFired { timer } => self.timer_fired(timer),
            Event::ItemsRead { task, body } => self.items_read(task, &body),
            Event::ResultsWritten { task } => self.results_written(task),
            Event::MapRunUpdated {
                run,
                max_concurrency,
                tolerated_failure_count,
                tolerated_failure_percentage,
            } => self.update_run(
                &run,
                max_concurrency,
                tolerated_failure_count,
                tolerated_failure_percentage.and_then(|share| share.as_f64()),
            ),
            Event::Stop { error, cause } => self.end(Status::Aborted, None, error, cause),
            Event::Abandon { error, cause } => {
                self.end(Status::Failed, None, Some(error), Some(cause))
            }
        }
        self.run();
        std::mem::take(&mut self.out)
    }

    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let text = Arc::clone(&self.start.input);
        let role = self.start.role_arn.clone();
        self.record_after(
            0,
            "ExecutionStarted",
            Some((
                "executionStartedEventDetails",
                json!({"input": &*text, "inputDetails": {"truncated": false}, "roleArn": role}),
            )),
        );
        self.set_off(text);
    }

    /// Starts the machine's first state.
    fn set_off(&mut self, text: Arc<str>) {
        // The doors have checked it. This is for other drivers.
        if let Err(refused) = json::check_made(&text) {
            return self.end(
                Status::Failed,
                None,
                Some("States.Runtime".to_owned()),
                Some(format!("The execution's input is {refused}")),
            );
        }
        if let Some(seconds) = self.start.kind.timeout(self.machine.timeout) {
            self.arm(seconds, TimerPurpose::Execution);
        }
        let graph = Arc::clone(&self.machine.graph);
        let input = Arc::new(Data::of_text(text));
        self.input = Some(Arc::clone(&input));
        self.spawn(None, &graph, input, no_variables(), 0, None, None);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a new thread")]
    fn spawn(
        &mut self,
        parent: Option<(u64, usize)>,
        graph: &Arc<Graph>,
        input: Arc<Data>,
        variables: Arc<Variables>,
        previous: u64,
        item: Option<Arc<Value>>,
        child: Option<Arc<ChildExecution>>,
    ) {
        let Some(state) = graph.states.get(&graph.start).cloned() else {
            return;
        };
        self.counter += 1;
        let step = parent
            .and_then(|(p, _)| self.threads.get(&p))
            .map_or_else(|| Arc::clone(&state.name), |p| Arc::clone(&p.step));
        let thread = Thread {
            parent,
            graph: Arc::clone(graph),
            step,
            state,
            input,
            variables,
            previous,
            before: previous,
            entered: (0, self.now),
            attempt: 0,
            retries: Vec::new(),
            item,
            child,
            phase: ThreadPhase::Enter,
        };
        self.threads.insert(self.counter, Box::new(thread));
        self.ready.push_back(self.counter);
    }

    /// Runs the ready threads, at most [`MAX_TRANSITIONS`] states.
    fn run(&mut self) {
        for _ in 0..MAX_TRANSITIONS {
            if self.status != Status::Running {
                return;
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            self.enter(id);
        }
        if !self.ready.is_empty() {
            self.out.push(Effect::Yield);
        }
    }

    fn timer_fired(&mut self, timer: TimerId) {
        let Some(fired) = self.timers.remove(&timer) else {
            return;
        };
        match fired.1 {
            // AWS names no error here: the status is enough.
            TimerPurpose::Execution => self.end(Status::TimedOut, None, None, None),
            TimerPurpose::Timeout(task) => self.task_timed_out(task, false),
            TimerPurpose::Heartbeat(task) => self.task_timed_out(task, true),
            TimerPurpose::Thread(id) => {
                let Some(thread) = self.threads.get_mut(&id) else {
                    return;
                };
                match std::mem::replace(&mut thread.phase, ThreadPhase::Run) {
                    ThreadPhase::Backoff(_) => self.ready.push_back(id),
                    ThreadPhase::Wait(_) => self.waited(id),
                    other => thread.phase = other,
                }
            }
        }
    }

    fn end(
        &mut self,
        status: Status,
        output: Option<Arc<str>>,
        error: Option<String>,
        cause: Option<String>,
    ) {
        let previous = self
            .threads
            .values()
            .filter(|t| t.child.is_none())
            .map(|t| t.previous)
            .max()
            .unwrap_or(self.last);
        self.end_after(previous, status, output, error, cause);
    }

    /// Ends the execution. Threads are kept for a redrive; their tasks and timers are cancelled.
    fn end_after(
        &mut self,
        previous: u64,
        status: Status,
        output: Option<Arc<str>>,
        error: Option<String>,
        cause: Option<String>,
    ) {
        if self.status != Status::Running {
            return;
        }
        self.status = status;
        self.ready.clear();
        self.out
            .extend(self.tasks.take_keys().into_iter().map(Effect::CancelTask));
        self.out
            .extend(self.timers.take_keys().into_iter().map(Effect::CancelTimer));
        let error = error.map(|e| cut(e, MAX_ERROR));
        let cause = cause.map(|c| cut(c, MAX_CAUSE));
        self.record_end(
            previous,
            status,
            output.as_ref(),
            error.as_ref(),
            cause.as_ref(),
        );
        self.end_runs();
        (self.output, self.error, self.cause) = (output.clone(), error.clone(), cause.clone());
        self.out.push(Effect::End {
            status,
            output,
            error,
            cause,
        });
    }

    fn arm(&mut self, seconds: f64, purpose: TimerPurpose) -> TimerId {
        let delay = jiff::SignedDuration::try_from_secs_f64(seconds.clamp(0.0, 1e11))
            .unwrap_or(jiff::SignedDuration::ZERO);
        self.arm_at(
            self.now.checked_add(delay).unwrap_or(Timestamp::MAX),
            purpose,
        )
    }

    fn arm_at(&mut self, at: Timestamp, purpose: TimerPurpose) -> TimerId {
        self.counter += 1;
        let timer = TimerId(self.counter);
        self.timers.insert(timer, (at, purpose));
        self.out.push(Effect::SetTimer(timer, at));
        timer
    }

    /// Moves an armed timer's deadline.
    fn postpone(&mut self, timer: TimerId, by: jiff::SignedDuration) {
        if let Some((at, _)) = self.timers.get_mut(&timer) {
            *at = at.checked_add(by).unwrap_or(Timestamp::MAX);
            self.out.push(Effect::SetTimer(timer, *at));
        }
    }

    fn disarm(&mut self, timer: TimerId) {
        if self.timers.remove(&timer).is_some() {
            self.out.push(Effect::CancelTimer(timer));
        }
    }

    fn next_task(&mut self) -> TaskId {
        self.counter += 1;
        TaskId(self.counter)
    }
}

/// The empty set of variables, shared by all threads without any.
fn no_variables() -> Arc<Variables> {
    static NONE: std::sync::LazyLock<Arc<Variables>> = std::sync::LazyLock::new(Arc::default);
    NONE.clone()
}
