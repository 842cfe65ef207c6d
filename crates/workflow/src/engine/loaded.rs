//! One execution in memory: the pure engine with what the driver must remember beside it. No I/O:
//! `turn` takes events and says what to write and what to do; `rebuild` is the same from a journal.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use asl::{
    Effect, Event, Execution, Pattern, Resource, Start, StateMachine, StepChange, TaskId, TimerId,
};

use super::journal::{Entry, Record};
use super::model::{End, ExecutionEvent};
use crate::timers::{micros, timestamp};

/// What is known of a task that has not ended.
#[derive(Debug)]
struct OpenTask {
    /// It is with an outside worker: it is not run again after a crash.
    handed_over: bool,
    activity: bool,
    /// The runner itself waits for the end of what it started: accepted is not handed over.
    sync: bool,
    token: Option<String>,
    step: String,
}

/// An execution in memory.
#[derive(Debug)]
pub(super) struct LoadedExecution {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) machine: Arc<str>,
    execution: Execution,
    sequence: i64,
    position: u64,
    last_at: i64,
    tasks: HashMap<TaskId, OpenTask>,
    timers: BTreeMap<TimerId, i64>,
    deadlines: BTreeSet<(i64, TimerId)>,
    /// A `Continue` is due.
    ready: bool,
}

/// What the driver does after the commit.
#[derive(Debug)]
pub(super) enum Act {
    /// With whether it was done before, as far as the journal knows: before a crash.
    Run(asl::Task, bool),
    Read(asl::ReadItems),
    Write(asl::WriteResults),
    Cancel(TaskId),
    /// Sets a timer: the time that it was set to before, and the time that it is set to.
    Arm(Option<i64>, i64, TimerId),
    Disarm(i64, TimerId),
    Continue,
}

/// What came of one or several events, to be written and then done.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) entries: Vec<Entry>,
    pub(super) acts: Vec<Act>,
    /// What listeners hear.
    pub(super) events: Vec<ExecutionEvent>,
    /// A closed execution goes on.
    pub(super) reopened: bool,
    pub(super) end: Option<(End, i64)>,
}

/// The execution cannot be brought back to where it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("its journal is damaged: {0}")]
    Journal(String),
    #[error("its definition is refused by this version: {0}")]
    Definition(String),
    #[error(
        "replaying its journal leads to event {found}, not {expected}: it was started by a version that behaves differently"
    )]
    Diverged { found: u64, expected: u64 },
    #[error("the interpreter failed: {0}")]
    Panicked(String),
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

impl LoadedExecution {
    pub(super) fn new(
        id: i64,
        machine_name: Arc<str>,
        machine: Arc<StateMachine>,
        start: Start,
    ) -> LoadedExecution {
        let name: Arc<str> = start.execution_name.as_str().into();
        let last_at = micros(start.start_time);
        LoadedExecution {
            id,
            name,
            machine: machine_name,
            execution: Execution::new(machine, start),
            sequence: 0,
            position: 0,
            last_at,
            tasks: HashMap::new(),
            timers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ready: false,
        }
    }

    /// Brings an execution back from its journal; `watch` sees every step change with its place.
    pub(super) fn rebuild(
        record: &Record,
        machine: Arc<StateMachine>,
        start: Start,
        mut watch: impl FnMut(StepChange),
    ) -> Result<LoadedExecution, Broken> {
        let mut live =
            LoadedExecution::new(record.row.id, record.row.machine.clone(), machine, start);
        for (text, at) in &record.events {
            let event: Event =
                serde_json::from_str(text).map_err(|error| Broken::Journal(error.to_string()))?;
            live.last_at = *at;
            live.sequence += 1;
            let effects = live.handle(event)?;
            for effect in effects {
                match effect {
                    Effect::Record(event) => live.position = event.id,
                    Effect::Step(change) => watch(change),
                    other => {
                        live.note(&other);
                    }
                }
            }
        }
        if live.position != record.position {
            return Err(Broken::Diverged {
                found: live.position,
                expected: record.position,
            });
        }
        live.ready = live.execution.is_ready();
        Ok(live)
    }

    /// Handles one event and adds what comes of it. An event that changes nothing leaves no trace.
    pub(super) fn turn(&mut self, event: Event, at: i64, turn: &mut Turn) -> Result<(), Broken> {
        let before = self.last_at;
        self.last_at = at.max(before);
        let text = serde_json::to_string(&event).expect("an event is strings and numbers");
        let reopens = event == Event::Redrive;
        let effects = self.handle(event)?;
        if effects.is_empty() {
            self.last_at = before;
            return Ok(());
        }
        let mut history = Vec::with_capacity(1_024);
        history.push(b'[');
        let (mut steps, mut map_runs) = (Vec::new(), Vec::new());
        let mut end = None;
        for effect in effects {
            match effect {
                Effect::Record(event) => {
                    if history.len() > 1 {
                        history.push(b',');
                    }
                    serde_json::to_writer(&mut history, &event)
                        .expect("a history event is JSON, and memory takes it");
                    self.position = event.id;
                    map_runs.extend(map_run(&event));
                }
                Effect::Step(change) => steps.push(change),
                Effect::End {
                    status,
                    output,
                    error,
                    cause,
                } => {
                    end = Some(End {
                        status,
                        output,
                        error,
                        cause,
                    });
                }
                other => {
                    let act = self.note(&other);
                    turn.acts.extend(match other {
                        Effect::Schedule(task) => Some(Act::Run(task, false)),
                        Effect::ReadItems(read) => Some(Act::Read(read)),
                        Effect::WriteResults(write) => Some(Act::Write(write)),
                        _ => act,
                    });
                }
            }
        }
        history.push(b']');
        turn.reopened |= reopens;
        self.sequence += 1;
        turn.entries.push(self.entry(text, history, map_runs));
        if !steps.is_empty() || end.is_some() {
            turn.events.push(self.change(steps, end.clone()));
        }
        if let Some(end) = end {
            turn.end = Some((end, self.last_at));
        }
        Ok(())
    }

    /// The journal's entry of a turn: the event and the history that it led to, both JSON.
    fn entry(&self, event: String, history: Vec<u8>, map_runs: Vec<String>) -> Entry {
        Entry {
            sequence: self.sequence,
            at: self.last_at,
            event,
            history: String::from_utf8(history).expect("JSON is UTF-8"),
            position: self.position,
            wake: self.deadlines.first().map(|first| first.0),
            busy: self.is_busy(),
            map_runs,
        }
    }

    /// What a turn publishes.
    fn change(&self, steps: Vec<StepChange>, end: Option<End>) -> ExecutionEvent {
        ExecutionEvent {
            execution: self.name.clone(),
            machine: self.machine.clone(),
            position: self.position,
            at: timestamp(self.last_at),
            redrives: self.redrives(),
            steps,
            end,
        }
    }

    fn handle(&mut self, event: Event) -> Result<Vec<Effect>, Broken> {
        match &event {
            Event::Continue => self.ready = false,
            Event::TaskSubmitted { task, .. } => self.hand_over(*task, false),
            Event::TaskStarted { task, .. } => self.hand_over(*task, true),
            Event::TaskSucceeded { task, .. }
            | Event::TaskFailed { task, .. }
            | Event::ItemsRead { task, .. }
            | Event::ResultsWritten { task } => {
                self.tasks.remove(task);
            }
            Event::TimerFired { timer } => {
                if let Some(at) = self.timers.remove(timer) {
                    self.deadlines.remove(&(at, *timer));
                }
            }
            _ => {}
        }
        let (execution, now) = (&mut self.execution, timestamp(self.last_at));
        // The execution is not used again after a panic.
        catch_unwind(AssertUnwindSafe(|| execution.handle(event, now)))
            .map_err(|panic| Broken::Panicked(words(&*panic)))
    }

    fn hand_over(&mut self, task: TaskId, only_activity: bool) {
        if let Some(open) = self.tasks.get_mut(&task) {
            open.handed_over |= open.activity || !(only_activity || open.sync);
        }
    }

    /// Remembers what an effect means for the driver.
    fn note(&mut self, effect: &Effect) -> Option<Act> {
        match effect {
            Effect::Schedule(task) => {
                let open = OpenTask {
                    handed_over: false,
                    activity: matches!(task.resource, Resource::Activity { .. }),
                    sync: matches!(
                        task.resource,
                        Resource::Service {
                            pattern: Pattern::Sync | Pattern::Sync2,
                            ..
                        }
                    ),
                    token: task.token.clone(),
                    step: task.step.clone(),
                };
                self.tasks.insert(task.task, open);
                None
            }
            Effect::ReadItems(asl::ReadItems { task, step, .. })
            | Effect::WriteResults(asl::WriteResults { task, step, .. }) => {
                let open = OpenTask {
                    handed_over: false,
                    activity: false,
                    sync: false,
                    token: None,
                    step: step.clone(),
                };
                self.tasks.insert(*task, open);
                None
            }
            Effect::CancelTask(task) => {
                self.tasks.remove(task);
                Some(Act::Cancel(*task))
            }
            Effect::SetTimer(timer, at) => {
                let at = micros(*at);
                let before = self.timers.insert(*timer, at);
                if let Some(before) = before {
                    self.deadlines.remove(&(before, *timer));
                }
                self.deadlines.insert((at, *timer));
                Some(Act::Arm(before, at, *timer))
            }
            Effect::CancelTimer(timer) => {
                let at = self.timers.remove(timer)?;
                self.deadlines.remove(&(at, *timer));
                Some(Act::Disarm(at, *timer))
            }
            Effect::Yield => {
                self.ready = true;
                Some(Act::Continue)
            }
            _ => None,
        }
    }

    /// Whether something is in flight that a crash would lose.
    pub(super) fn is_busy(&self) -> bool {
        self.ready || self.tasks.values().any(|task| !task.handed_over)
    }

    pub(super) fn is_over(&self) -> bool {
        self.execution.status() != asl::Status::Running
    }

    pub(super) fn is_redrivable(&self) -> bool {
        self.execution.is_redrivable()
    }

    /// How often the execution was redriven.
    pub(super) fn redrives(&self) -> u32 {
        self.execution.redrive_count()
    }

    pub(super) fn map_runs(&self) -> &[asl::MapRun] {
        self.execution.map_runs()
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn last_at(&self) -> i64 {
        self.last_at
    }

    /// The timers whose deadline has come: the named one, or all. Not those of a function's task
    /// that waits in the function's queue: their time has not begun.
    pub(super) fn due(&self, timer: Option<TimerId>, now: i64) -> Vec<Event> {
        let due = |timer: &TimerId| Event::TimerFired { timer: *timer };
        match timer {
            Some(timer) => {
                let armed = self.timers.get(&timer).is_some_and(|at| *at <= now)
                    && !self.execution.waits_for_start(timer);
                armed.then(|| due(&timer)).into_iter().collect()
            }
            None => self
                .deadlines
                .iter()
                .take_while(|(at, _)| *at <= now)
                .filter(|(_, timer)| !self.execution.waits_for_start(*timer))
                .map(|(_, timer)| due(timer))
                .collect(),
        }
    }

    /// Whether this token's task waits for its answer.
    pub(super) fn waits_for(&self, task: TaskId, token: &str) -> bool {
        self.tasks
            .get(&task)
            .is_some_and(|open| open.token.as_deref() == Some(token))
    }

    /// The token of a task that waits in the top-level state `step`.
    pub(super) fn waiting_token(&self, step: &str) -> Option<String> {
        let mut waiting: Vec<_> = self
            .tasks
            .iter()
            .filter(|(_, open)| open.step == step && open.token.is_some())
            .collect();
        waiting.sort_by_key(|(id, _)| **id);
        waiting.first().and_then(|(_, open)| open.token.clone())
    }

    /// What a rebuilt execution needs done to go on: its timers armed, its tasks run again.
    pub(super) fn resume(&self) -> Vec<Act> {
        let mut acts: Vec<Act> = self
            .timers
            .iter()
            .map(|(timer, at)| Act::Arm(None, *at, *timer))
            .collect();
        for task in self.execution.open_tasks() {
            if self
                .tasks
                .get(&task.task)
                .is_some_and(|open| !open.handed_over)
            {
                acts.push(Act::Run(task.clone(), true));
            }
        }
        for effect in self.execution.open_files() {
            match effect {
                Effect::ReadItems(read) => acts.push(Act::Read(read)),
                Effect::WriteResults(write) => acts.push(Act::Write(write)),
                _ => {}
            }
        }
        if self.ready {
            acts.push(Act::Continue);
        }
        acts
    }
}

/// The ARN of the map run that the event begins.
fn map_run(event: &asl::HistoryEvent) -> Option<String> {
    let (_, details) = event
        .details
        .as_ref()
        .filter(|(name, _)| *name == "mapRunStartedEventDetails")?;
    details["mapRunArn"].as_str().map(str::to_owned)
}

/// The last known state of each step, in the order in which they were entered.
#[derive(Debug, Default)]
pub(super) struct Steps(Vec<Vec<StepChange>>);

impl Steps {
    pub(super) fn add(&mut self, change: StepChange) {
        let name = step_of(&change).to_owned();
        let place = self
            .0
            .iter()
            .position(|all| all.first().is_some_and(|first| step_of(first) == name));
        match (&change, place) {
            (StepChange::Entered { .. }, place) => {
                if let Some(place) = place {
                    self.0.remove(place);
                }
                self.0.push(vec![change]);
            }
            (_, Some(place)) => {
                let all = &mut self.0[place];
                all.retain(|one| std::mem::discriminant(one) != std::mem::discriminant(&change));
                if matches!(
                    change,
                    StepChange::Running { .. } | StepChange::Waiting { .. }
                ) {
                    all.retain(|one| {
                        !matches!(one, StepChange::Running { .. } | StepChange::Waiting { .. })
                    });
                }
                all.push(change);
            }
            (_, None) => self.0.push(vec![change]),
        }
    }

    pub(super) fn into_changes(self) -> Vec<StepChange> {
        self.0.into_iter().flatten().collect()
    }
}

fn step_of(change: &StepChange) -> &str {
    match change {
        StepChange::Entered { step }
        | StepChange::Retrying { step, .. }
        | StepChange::Waiting { step, .. }
        | StepChange::Running { step }
        | StepChange::Items { step, .. }
        | StepChange::Exited { step }
        | StepChange::Failed { step, .. } => step,
        _ => "",
    }
}
