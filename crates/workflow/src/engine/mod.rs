//! The durable driver of `asl`. [`Engine`] is its door, with what is asked of executions in `read` and the answers to tasks in `tokens`; `begin` and
//! `drive` are its loop, `commit` the writing of a turn, `rebuild` the way back from the journal; `live` an execution in memory; `cell` its mailbox;
//! `journal` the tables; `model` what goes in and out.
//!
//! Write ahead: every input of an execution is in the journal, with what came of it, before anything is done about it. A rebuilt execution
//! is the replay of its journal. It runs no task itself and reads no definition from a directory.

mod begin;
mod cell;
mod commit;
mod drive;
mod journal;
#[cfg(test)]
mod journal_tests;
mod live;
mod model;
mod read;
mod rebuild;
mod tokens;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use asl::{Event, StateMachine, TimerId, WorkflowType};
use parking_lot::Mutex;
use sqlite::Database;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use self::cell::{Cell, Input, Mail};
use self::drive::now;
pub(crate) use self::journal::{Filter, Origin, Stored};
pub use self::model::{
    Definition, Description, Earlier, End, EngineError, ExecutionEvent, History, Listed, Listener,
    NoListener, OpenError, Settings, Started, Status, limits,
};
use crate::Machine;
use crate::alarm::Alarms;
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
        self.start_machine(
            machine,
            name,
            input,
            WorkflowType::Standard,
            Origin::default(),
        )
        .await
    }

    /// As [`Engine::start`], an Express execution: its history is longer ([`asl::MAX_EXPRESS_HISTORY`]), its time shorter.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn start_express(
        &self,
        machine: &str,
        name: &str,
        input: Arc<str>,
    ) -> Result<Started, EngineError> {
        let machine = self.machine(machine)?;
        self.start_machine(
            machine,
            name,
            input,
            WorkflowType::Express,
            Origin::default(),
        )
        .await
    }

    fn machine(&self, name: &str) -> Result<Arc<Machine>, EngineError> {
        let machine = self.inner.settings.machines.get(name);
        let unknown = || EngineError::UnknownMachine(name.to_owned());
        Ok(machine.ok_or_else(unknown)?.clone())
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

    /// Hands an open execution an event of its user's.
    pub(crate) async fn tell(&self, row: &Stored, event: Event) -> Result<(), EngineError> {
        self.ask(row.id, event, None).await
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

    pub(crate) async fn stop_stored(
        &self,
        row: &Stored,
        error: Option<String>,
        cause: Option<String>,
    ) -> Result<(), EngineError> {
        self.stop_row(row, error, cause).await
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

/// The text without a byte order mark, if it is JSON within the limits.
fn check_json(what: &'static str, text: Arc<str>) -> Result<Arc<str>, EngineError> {
    if text.len() > limits::PAYLOAD_BYTES {
        return Err(EngineError::TooLarge {
            what,
            bytes: text.len(),
        });
    }
    let checked = json::check_made(&text).map_err(|refused| EngineError::NotJson {
        what,
        reason: refused.to_string(),
    })?;
    Ok(if checked.len() == text.len() {
        text
    } else {
        checked.into()
    })
}
