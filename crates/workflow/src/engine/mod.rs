//! The durable driver of `asl`. [`Engine`] is its door; `drive` is its loop; `live` an execution in memory; `cell` its mailbox; `journal`
//! the tables; `model` what goes in and out.
//!
//! Write ahead: every input of an execution is in the journal, with what came of it, before anything is done about it. A rebuilt execution
//! is the replay of its journal. It runs no task itself and reads no definition from a directory.

mod cell;
mod drive;
mod journal;
mod live;
mod model;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use asl::{Event, Kind, StateMachine, TaskId, TimerId, token};
use parking_lot::Mutex;
use sqlite::Database;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use self::cell::{Cell, Input, Mail};
use self::drive::now;
pub(crate) use self::journal::{Filter, Origin, Stored};
use self::live::Steps;
pub use self::model::{
    Definition, Description, Earlier, End, EngineError, ExecutionEvent, History, Listed, Listener,
    NoListener, OpenError, Settings, Started, Status, limits,
};
use crate::Machine;
use crate::alarm::{Alarms, timestamp};
use crate::task::TaskRunner;

/// What rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// A timer of an execution.
    Timer(i64, TimerId),
    /// News that waited for company.
    Flush(i64),
}

impl Alarm {
    /// After a crash only the time of an execution's earliest timer is known. Ids of timers begin with 1.
    const ANY: TimerId = TimerId(0);
}

/// What all handles share.
pub(crate) struct Inner {
    database: Database,
    settings: Settings,
    tasks: Arc<dyn TaskRunner>,
    listener: Arc<dyn Listener>,
    runtime: Handle,
    /// Executions at work or in memory.
    cells: Mutex<HashMap<i64, Arc<Cell>>>,
    /// Those that rest, the longest first: they may be forgotten.
    idle: Mutex<VecDeque<i64>>,
    alarms: Alarms<Alarm>,
    last_id: AtomicI64,
    parsed: Mutex<HashMap<[u8; 32], Arc<StateMachine>>>,
    stored_definitions: Mutex<HashSet<[u8; 32]>>,
    waiting_for_end: Mutex<HashMap<i64, Vec<oneshot::Sender<End>>>>,
    running: TaskTracker,
    closed: AtomicBool,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("in_memory", &self.cells.lock().len())
            .finish_non_exhaustive()
    }
}

/// The embedded Step Functions. Clones are handles on the same engine, which stops acting when the last of them is dropped; what it has
/// not done then is done by whoever opens the database next.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
    /// `None` in a handle that a task borrows: it keeps nothing running.
    _owner: Option<Arc<Owner>>,
}

#[derive(Debug)]
struct Owner(Weak<Inner>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.closed.store(true, Ordering::Release);
        }
    }
}

impl Engine {
    /// Opens the engine on a database: every open execution goes on where it was. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        database: Database,
        settings: Settings,
        tasks: Arc<dyn TaskRunner>,
        listener: Arc<dyn Listener>,
    ) -> Result<Engine, OpenError> {
        database.migrate("workflow", journal::MIGRATIONS)?;
        database.migrate("catalog", crate::catalog::MIGRATIONS)?;
        let (last_id, open) = database
            .read(|connection| -> rusqlite::Result<_> {
                Ok((
                    journal::last_id(connection)?,
                    journal::open_executions(connection)?,
                ))
            })
            .await
            .map_err(|error| OpenError::Journal(Arc::new(error)))?;
        let inner = Arc::new(Inner {
            database,
            settings,
            tasks,
            listener,
            runtime: Handle::current(),
            cells: Mutex::default(),
            idle: Mutex::default(),
            alarms: Alarms::new(),
            last_id: AtomicI64::new(last_id),
            parsed: Mutex::default(),
            stored_definitions: Mutex::default(),
            waiting_for_end: Mutex::default(),
            running: TaskTracker::new(),
            closed: AtomicBool::new(false),
        });
        for machine in inner.settings.machines.iter() {
            let parsed = machine.parsed().clone();
            inner.parsed.lock().insert(*machine.hash(), parsed);
        }
        for execution in open {
            if let Some(wake) = execution.wake {
                let alarm = Alarm::Timer(execution.id, Alarm::ANY);
                inner.alarms.set(wake, alarm);
            }
            if execution.busy {
                inner.wake(execution.id, Input::Wake);
            }
        }
        let engine = Engine {
            _owner: Some(Arc::new(Owner(Arc::downgrade(&inner)))),
            inner,
        };
        tokio::spawn(ring(Arc::downgrade(&engine.inner)));
        if let Some(retention) = engine.inner.settings.retention {
            tokio::spawn(purge(Arc::downgrade(&engine.inner), retention));
        }
        Ok(engine)
    }

    pub(crate) fn borrowed(inner: Arc<Inner>) -> Engine {
        Engine {
            inner,
            _owner: None,
        }
    }

    /// Stops acting and waits until what was begun is written. Open executions go on when the database is opened again.
    pub async fn shutdown(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.running.close();
        self.inner.running.wait().await;
    }

    /// The state machines that can be started.
    #[must_use]
    pub fn machines(&self) -> &crate::Machines {
        &self.inner.settings.machines
    }

    /// How the engine was set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Starts an execution of a state machine of the directory. It is durable when this returns.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn start(
        &self,
        machine: &str,
        name: &str,
        input: Arc<str>,
    ) -> Result<Started, EngineError> {
        let machine = self.machine(machine)?;
        self.start_machine(machine, name, input, Kind::Standard, Origin::default())
            .await
    }

    fn machine(&self, name: &str) -> Result<Arc<Machine>, EngineError> {
        let machine = self.inner.settings.machines.get(name);
        let unknown = || EngineError::UnknownMachine(name.to_owned());
        Ok(machine.ok_or_else(unknown)?.clone())
    }

    /// Starts an execution. An Express one may have a `:` in its name, with what makes it unique behind it.
    pub(crate) async fn start_machine(
        &self,
        machine: Arc<Machine>,
        name: &str,
        input: Arc<str>,
        kind: Kind,
        origin: Origin,
    ) -> Result<Started, EngineError> {
        let shown = match kind {
            Kind::Standard => name,
            Kind::Express => name.split(':').next().unwrap_or(name),
        };
        if !is_name(shown) {
            return Err(EngineError::InvalidName(name.to_owned()));
        }
        check_json("input", &input)?;
        if self.inner.is_closed() {
            return Err(EngineError::Closed);
        }
        let (answer, answered) = oneshot::channel();
        // The caller may go away at any time; the execution must not stop half-way for it.
        let begin = self
            .inner
            .clone()
            .begin(machine, name.into(), input, kind, origin, answer);
        self.inner.running.spawn_on(begin, &self.inner.runtime);
        answered.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Stops an execution; a closed one is left alone.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn stop(
        &self,
        name: &str,
        error: Option<String>,
        cause: Option<String>,
    ) -> Result<(), EngineError> {
        let row = self.inner.newest(name, None).await?;
        self.stop_row(&row, error, cause).await
    }

    async fn stop_row(
        &self,
        row: &Stored,
        error: Option<String>,
        cause: Option<String>,
    ) -> Result<(), EngineError> {
        if row.status != Status::Running {
            return Ok(());
        }
        let event = Event::Stop { error, cause };
        match self.ask(row.id, event, None).await {
            // It ended before it could be stopped.
            Err(EngineError::NoSuchTask) => Ok(()),
            other => other,
        }
    }

    async fn ask(
        &self,
        execution: i64,
        event: Event,
        token: Option<String>,
    ) -> Result<(), EngineError> {
        if self.inner.is_closed() {
            return Err(EngineError::Closed);
        }
        let (answer, answered) = oneshot::channel();
        self.inner.deliver(
            execution,
            Mail {
                input: Input::Event(event),
                at: now(),
                token,
                answer: Some(answer),
            },
        );
        answered.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Goes on at the state that failed, was stopped or timed out.
    ///
    /// # Errors
    /// [`EngineError::NotRedrivable`].
    pub async fn redrive(&self, name: &str) -> Result<(), EngineError> {
        let row = self.inner.newest(name, None).await?;
        self.redrive_stored(&row).await
    }

    pub(crate) async fn redrive_stored(&self, row: &Stored) -> Result<(), EngineError> {
        let not = |reason: &str| EngineError::NotRedrivable {
            name: row.name.to_string(),
            reason: reason.to_owned(),
        };
        match row.status {
            Status::Running => return Err(not("Execution is RUNNING and cannot be redriven")),
            Status::Succeeded => return Err(not("Execution is SUCCEEDED and cannot be redriven")),
            Status::Failed | Status::TimedOut | Status::Aborted => {}
        }
        match self.ask(row.id, Event::Redrive, None).await {
            Err(EngineError::NoSuchTask) => Err(not(
                "it is an Express execution, its history has no room, or another caller redrives it",
            )),
            other => other,
        }
    }

    /// The execution as it is now, with all that happened so far.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn describe(&self, name: &str) -> Result<Option<Description>, EngineError> {
        let name = name.to_owned();
        let record = self
            .inner
            .database
            .read(move |connection| journal::newest_record(connection, &name))
            .await
            .map_err(unread)?;
        let Some(record) = record else {
            return Ok(None);
        };
        let mut steps = Steps::default();
        let rebuilt = self.inner.rebuild(&record, |change| steps.add(change));
        let (position, at) = match &rebuilt {
            Ok(live) => (live.position(), live.last_at()),
            Err(_) => (
                record.position,
                record.row.stopped.unwrap_or(record.row.started),
            ),
        };
        let row = record.row;
        let end = row.end();
        Ok(Some(Description {
            so_far: ExecutionEvent {
                execution: row.name.clone(),
                machine: row.machine.clone(),
                position,
                at: timestamp(row.stopped.unwrap_or(at)),
                steps: steps.into_changes(),
                end,
            },
            name: row.name,
            machine: row.machine,
            input: row.input,
            started: timestamp(row.started),
            stopped: row.stopped.map(timestamp),
            status: row.status,
        }))
    }

    /// The history after the event with the id `after`, at most `limit` events ([`limits::HISTORY_PAGE`] at most).
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn history(
        &self,
        name: &str,
        after: u64,
        limit: usize,
    ) -> Result<History, EngineError> {
        let row = self.inner.newest(name, None).await?;
        self.inner.history(row.id, after, limit).await
    }

    /// Executions, the newest first, with ids below `before`; of one state machine, in one status.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn list(
        &self,
        machine: Option<&str>,
        status: Option<Status>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Listed>, EngineError> {
        let filter = Filter {
            machine: machine.map(str::to_owned),
            status,
            ..Filter::default()
        };
        let rows = self.rows(filter, before, limit).await?;
        let listed = rows.into_iter().map(|row| Listed {
            id: row.id,
            name: row.name,
            machine: row.machine,
            status: row.status,
            started: timestamp(row.started),
            stopped: row.stopped.map(timestamp),
        });
        Ok(listed.collect())
    }

    /// The token of the task that waits in the top-level state `step`.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn waiting_token(
        &self,
        name: &str,
        step: &str,
    ) -> Result<Option<String>, EngineError> {
        let row = self.inner.newest(name, None).await?;
        if row.status != Status::Running {
            return Ok(None);
        }
        let live = self.rebuilt(row).await?;
        Ok(live.and_then(|live| live.waiting_token(step)))
    }

    /// Answers a waiting task with its output, JSON.
    ///
    /// # Errors
    /// [`EngineError::NoSuchTask`] when nothing waits for this token (any more).
    pub async fn task_success(&self, token: &str, output: Arc<str>) -> Result<(), EngineError> {
        check_json("output", &output)?;
        self.answer(token, |task| Event::TaskSucceeded {
            task,
            output: output.clone(),
        })
        .await
    }

    /// Answers a waiting task with an error.
    ///
    /// # Errors
    /// As [`Self::task_success`].
    pub async fn task_failure(
        &self,
        token: &str,
        error: &str,
        cause: &str,
    ) -> Result<(), EngineError> {
        self.answer(token, |task| Event::TaskFailed {
            task,
            error: error.to_owned(),
            cause: cause.to_owned(),
        })
        .await
    }

    /// Says that whoever has the token is at work.
    ///
    /// # Errors
    /// As [`Self::task_success`].
    pub async fn task_heartbeat(&self, token: &str) -> Result<(), EngineError> {
        self.answer(token, |task| Event::TaskHeartbeat { task })
            .await
    }

    async fn answer(
        &self,
        token: &str,
        event: impl Fn(TaskId) -> Event,
    ) -> Result<(), EngineError> {
        let (name, task, _) = token::decode(token).ok_or(EngineError::InvalidToken)?;
        let rows = self.inner.find(&name, None).await?;
        for row in rows.iter().filter(|row| row.status == Status::Running) {
            match self.ask(row.id, event(task), Some(token.to_owned())).await {
                Err(EngineError::NoSuchTask) => {}
                other => return other,
            }
        }
        Err(EngineError::NoSuchTask)
    }

    /// Waits for the end of an execution.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn end(&self, machine: Option<&str>, name: &str) -> Result<End, EngineError> {
        let id = self.inner.newest(name, machine).await?.id;
        let (told, end) = oneshot::channel();
        self.inner
            .waiting_for_end
            .lock()
            .entry(id)
            .or_default()
            .push(told);
        // It may have ended before anybody was told.
        let row = self.inner.newest(name, machine).await?;
        if let Some(end) = row.end() {
            return Ok(end);
        }
        end.await.map_err(|_| EngineError::Closed)
    }

    /// The ARN of an execution.
    #[must_use]
    pub fn execution_arn(&self, machine: &str, name: &str) -> String {
        let Settings {
            region, account, ..
        } = &self.inner.settings;
        format!("arn:aws:states:{region}:{account}:execution:{machine}:{name}")
    }

    /// The ARN of a state machine.
    #[must_use]
    pub fn machine_arn(&self, machine: &str) -> String {
        let Settings {
            region, account, ..
        } = &self.inner.settings;
        format!("arn:aws:states:{region}:{account}:stateMachine:{machine}")
    }

    /// The ARN of the role that executions show.
    #[must_use]
    pub fn role_arn(&self) -> String {
        self.inner.settings.role_arn()
    }

    pub(crate) async fn rows(
        &self,
        filter: Filter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Stored>, EngineError> {
        let (before, limit) = (before.unwrap_or(i64::MAX), limit.min(limits::LIST_PAGE));
        self.inner
            .database
            .read(move |connection| journal::list(connection, &filter, before, limit))
            .await
            .map_err(unread)
    }

    /// The execution that a map run belongs to.
    pub(crate) async fn row_of_map_run(&self, arn: &str) -> Result<Option<Stored>, EngineError> {
        let arn = arn.to_owned();
        self.inner
            .database
            .read_row(move |connection| journal::by_map_run(connection, &arn))
            .await
            .map_err(unread)
    }

    /// The map runs of an execution, in the order in which they began.
    pub(crate) async fn map_runs(&self, row: Stored) -> Result<Vec<asl::MapRun>, EngineError> {
        let live = self.rebuilt(row).await?;
        Ok(live.map_or_else(Vec::new, |live| live.map_runs().to_vec()))
    }

    /// The child executions of a map run that have not ended.
    pub(crate) async fn map_run_children(
        &self,
        row: Stored,
        arn: &str,
    ) -> Result<Vec<asl::MapRunChild>, EngineError> {
        let live = self.rebuilt(row).await?;
        Ok(live.map_or_else(Vec::new, |live| live.map_run_children(arn)))
    }

    /// Hands an open execution an event of its user's.
    pub(crate) async fn tell(&self, row: &Stored, event: Event) -> Result<(), EngineError> {
        self.ask(row.id, event, None).await
    }

    async fn rebuilt(&self, row: Stored) -> Result<Option<Box<live::Live>>, EngineError> {
        let record = self
            .inner
            .database
            .read(move |connection| journal::record(connection, row))
            .await
            .map_err(unread)?;
        Ok(self.inner.rebuild(&record, |_| {}).ok())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// A state machine that is in no directory.
    pub(crate) fn machine_of(
        &self,
        name: &str,
        definition: Arc<str>,
    ) -> Result<Arc<Machine>, EngineError> {
        let hash = crate::machines::hash(&definition);
        let parsed = self
            .inner
            .parsed(&hash, &definition)
            .map_err(|broken| EngineError::Journal(Arc::new(broken)))?;
        Ok(Arc::new(Machine::known(name, definition, hash, parsed)))
    }

    pub(crate) async fn row(&self, name: &str, machine: &str) -> Result<Stored, EngineError> {
        self.inner.newest(name, Some(machine)).await
    }

    pub(crate) async fn stop_stored(
        &self,
        row: &Stored,
        error: Option<String>,
        cause: Option<String>,
    ) -> Result<(), EngineError> {
        self.stop_row(row, error, cause).await
    }

    pub(crate) async fn history_of(
        &self,
        row: &Stored,
        after: u64,
        limit: usize,
    ) -> Result<History, EngineError> {
        self.inner.history(row.id, after, limit).await
    }

    pub(crate) async fn definition_of(&self, row: &Stored) -> Result<Arc<str>, EngineError> {
        let hash = row.hash;
        self.inner
            .database
            .read_row(move |connection| journal::definition(connection, &hash))
            .await
            .map_err(unread)
    }
}

impl Inner {
    async fn find(&self, name: &str, machine: Option<&str>) -> Result<Vec<Stored>, EngineError> {
        let (name, machine) = (name.to_owned(), machine.map(str::to_owned));
        self.database
            .read_row(move |connection| journal::find(connection, &name, machine.as_deref()))
            .await
            .map_err(unread)
    }

    async fn newest(&self, name: &str, machine: Option<&str>) -> Result<Stored, EngineError> {
        let rows = self.find(name, machine).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| EngineError::UnknownExecution(name.to_owned()))
    }

    async fn history(&self, id: i64, after: u64, limit: usize) -> Result<History, EngineError> {
        let limit = limit.clamp(1, limits::HISTORY_PAGE);
        let pages = self
            .database
            .read(move |connection| journal::history(connection, id, after, limit))
            .await
            .map_err(unread)?;
        let mut events = Vec::new();
        for page in pages {
            let page: Vec<serde_json::Value> = serde_json::from_str(&page)
                .map_err(|error| EngineError::Journal(Arc::new(error)))?;
            events.extend(
                page.into_iter()
                    .filter(|event| event["id"].as_u64() > Some(after)),
            );
        }
        let more = events.len() > limit;
        events.truncate(limit);
        let next = more.then(|| after + limit as u64);
        Ok(History { events, next })
    }
}

/// Lets alarms ring while the engine lives.
async fn ring(engine: Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade().filter(|inner| !inner.is_closed()) else {
            return;
        };
        // Bounded, so that an engine without handles is let go.
        let rung =
            tokio::time::timeout(std::time::Duration::from_secs(1), inner.alarms.next()).await;
        for alarm in rung.unwrap_or_default() {
            inner.rung(alarm);
        }
    }
}

/// Forgets closed executions that have outlived their retention.
async fn purge(engine: Weak<Inner>, retention: std::time::Duration) {
    let mut every = tokio::time::interval(limits::PURGE_EVERY);
    loop {
        every.tick().await;
        let Some(inner) = engine.upgrade().filter(|inner| !inner.is_closed()) else {
            return;
        };
        let before = now() - i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        loop {
            let purged = inner
                .database
                .write(move |write| journal::purge(write.connection(), before, limits::PURGE_BATCH))
                .await;
            match purged {
                Ok(limits::PURGE_BATCH) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "closed executions were not purged");
                    break;
                }
            }
        }
    }
}

/// AWS's rule for the names of executions.
pub(crate) fn is_name(name: &str) -> bool {
    let characters = name.chars().count();
    (1..=limits::NAME_CHARACTERS).contains(&characters)
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c))
}

fn check_json(what: &'static str, text: &str) -> Result<(), EngineError> {
    if text.len() > limits::PAYLOAD_BYTES {
        return Err(EngineError::TooLarge {
            what,
            bytes: text.len(),
        });
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| EngineError::NotJson {
            what,
            reason: error.to_string(),
        })
}

fn unread<E: std::error::Error + Send + Sync + 'static>(
    error: sqlite::ReadError<E>,
) -> EngineError {
    EngineError::Journal(Arc::new(error))
}
