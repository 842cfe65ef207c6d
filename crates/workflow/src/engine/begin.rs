//! The begin of an execution: it is decided, then written in a commit that may hold other writes,
//! and then acted upon.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use asl::{Event, WorkflowType};
use futures_util::FutureExt;
use sqlite::{Write, WriteError};
use tokio::sync::oneshot;

use super::commit::{record, unwritten};
use super::error::EngineError;
use super::inbox::ExecutionInbox;
use super::journal::{self, Entry, NewExecution, Origin};
use super::loaded::{LoadedExecution, Turn};
use super::model::{End, ExecutionEvent, Listener, Started};
use super::rebuild::abandoned;
use super::{Engine, Inner, check_json, is_name};
use crate::Machine;
use crate::timers::{now, timestamp};

/// An execution that is to begin.
struct Beginning {
    id: i64,
    hash: [u8; 32],
    started: i64,
    loaded: Box<LoadedExecution>,
    turn: Turn,
    events: Arc<[ExecutionEvent]>,
}

/// What is written of an execution that begins.
struct Row {
    new: NewExecution,
    entries: Vec<Entry>,
    end: Option<(End, i64)>,
    events: Arc<[ExecutionEvent]>,
    listener: Arc<dyn Listener>,
}

impl Row {
    /// Writes the execution. Returns `None` when there is an execution of that name already, else
    /// whether the listener took part in the commit.
    fn write(self, write: &mut Write<'_>) -> rusqlite::Result<Option<bool>> {
        if !journal::insert(write.connection(), &self.new)? {
            return Ok(None);
        }
        let end = self.end.as_ref().map(|(end, at)| (end, *at));
        journal::append(write.connection(), self.new.id, &self.entries, false, end)?;
        record(&*self.listener, write, &self.events).map(Some)
    }
}

impl Engine {
    /// Starts an execution in one commit with what `first` writes, which is run as
    /// [`sqlite::Database::write_decided`] runs it. `first` returns the caller's result, and
    /// whether the execution is to be started.
    ///
    /// # Errors
    /// [`EngineError`] before anything was tried, with `first` not called; else what became of the
    /// write.
    pub async fn start_with<T, E, F>(
        &self,
        machine: &str,
        name: &str,
        input: Arc<str>,
        first: F,
    ) -> Result<Result<T, WriteError<E>>, EngineError>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<(T, bool), E> + Send + 'static,
    {
        let machine = self.machine(machine)?;
        let origin = Origin::default();
        let begun = self.begin(machine, name, input, WorkflowType::Standard, origin, first);
        Ok(begun.await?.map(|(reply, _)| reply))
    }

    /// Starts an execution. An Express one may have a `:` in its name, with what makes it unique
    /// behind it.
    pub(crate) async fn start_machine(
        &self,
        machine: Arc<Machine>,
        name: &str,
        input: Arc<str>,
        kind: WorkflowType,
        origin: Origin,
    ) -> Result<Started, EngineError> {
        let of = machine.name().clone();
        let alone = |_: &mut Write<'_>| Ok::<_, rusqlite::Error>(((), true));
        let begun = self
            .begin(machine, name, input, kind, origin, alone)
            .await?;
        match begun.map_err(unwritten)? {
            ((), Some(started)) => Ok(Started::New(timestamp(started))),
            ((), None) => self.inner.earlier(name, &of).await,
        }
    }

    /// As [`Engine::start_with`], and returns when the execution was started; `None` when it was
    /// not.
    async fn begin<T, E, F>(
        &self,
        machine: Arc<Machine>,
        name: &str,
        input: Arc<str>,
        kind: WorkflowType,
        origin: Origin,
        first: F,
    ) -> Result<Result<(T, Option<i64>), WriteError<E>>, EngineError>
    where
        T: Send + 'static,
        E: From<rusqlite::Error> + Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<(T, bool), E> + Send + 'static,
    {
        let shown = match kind {
            WorkflowType::Standard => name,
            WorkflowType::Express => name.split(':').next().unwrap_or(name),
        };
        if !is_name(shown) {
            return Err(EngineError::InvalidName(name.to_owned()));
        }
        let input = check_json("input", input)?;
        if self.inner.is_closed() {
            return Err(EngineError::Closed);
        }
        let inner = self.inner.clone();
        let (beginning, row) = inner.beginning(&machine, &Arc::from(name), input, kind, origin);
        let mut written = Box::pin(inner.database.write_decided(move |write| -> Result<_, E> {
            let (reply, starts) = first(write)?;
            let recorded = if starts { row.write(write)? } else { None };
            Ok((reply, recorded))
        }));
        let (running, runtime) = (&self.inner.running, &self.inner.runtime);
        // The caller may disappear at any time; the execution must not stop half-way because of
        // that.
        if let Some(written) = (&mut written).now_or_never() {
            let (reply, rest) = inner.clone().written(beginning, written);
            if let Some(rest) = rest {
                running.spawn_on(rest, runtime);
            }
            return Ok(reply);
        }
        let (answer, answered) = oneshot::channel();
        let begin = async move {
            let (reply, rest) = inner.written(beginning, written.await);
            // The caller may no longer wait.
            let _ = answer.send(reply);
            if let Some(rest) = rest {
                rest.await;
            }
        };
        running.spawn_on(begin, runtime);
        Ok(answered.await.unwrap_or(Err(WriteError::Closed)))
    }
}

impl Inner {
    fn beginning(
        &self,
        machine: &Arc<Machine>,
        name: &Arc<str>,
        input: Arc<str>,
        kind: WorkflowType,
        origin: Origin,
    ) -> (Beginning, Row) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let started = now();
        let text = (!self.stored_definitions.lock().contains(machine.hash()))
            .then(|| machine.definition().clone());
        let seed = rand::random();
        let start = self.start_of(
            machine.name(),
            name,
            input.clone(),
            kind,
            seed,
            started,
            &origin,
        );
        let new = NewExecution {
            id,
            name: name.clone(),
            machine: machine.name().clone(),
            hash: *machine.hash(),
            text,
            kind,
            seed,
            input,
            started,
            origin,
        };
        let fresh = || {
            let (name, parsed) = (machine.name().clone(), machine.parsed().clone());
            Box::new(LoadedExecution::new(id, name, parsed, start.clone()))
        };
        let (mut loaded, mut turn) = (fresh(), Turn::default());
        if let Err(broken) = loaded.turn(Event::Begin, started, &mut turn) {
            tracing::error!(execution = %name, %broken, "the execution fails at its start");
            (loaded, turn) = (fresh(), Turn::default());
            let _ = loaded.turn(abandoned(&broken), started, &mut turn);
        }
        let events: Arc<[_]> = std::mem::take(&mut turn.events).into();
        let row = Row {
            new,
            entries: std::mem::take(&mut turn.entries),
            end: turn.end.clone(),
            events: events.clone(),
            listener: self.listener.clone(),
        };
        let beginning = Beginning {
            id,
            hash: *machine.hash(),
            started,
            loaded,
            turn,
            events,
        };
        (beginning, row)
    }

    /// Acts upon a begin that is on disk. Returns the caller's result of the write, and the rest to
    /// run where an execution has begun.
    #[expect(clippy::type_complexity, reason = "both come from one place")]
    fn written<T, E>(
        self: Arc<Self>,
        beginning: Beginning,
        written: Result<(T, Option<bool>), WriteError<E>>,
    ) -> (
        Result<(T, Option<i64>), WriteError<E>>,
        Option<impl Future<Output = ()> + use<T, E>>,
    ) {
        match written {
            Ok((reply, Some(recorded))) => {
                let inbox = self.enter(&beginning);
                self.act(&beginning.loaded, beginning.turn.acts);
                let over = beginning.turn.end.is_some();
                if over {
                    self.close_inbox(&inbox);
                }
                self.publish(beginning.id, &beginning.events, recorded);
                let rest = (!over).then(|| self.run(inbox, Some(beginning.loaded)));
                (Ok((reply, Some(beginning.started))), rest)
            }
            Ok((reply, None)) => (Ok((reply, None)), None),
            Err(error) => (Err(error), None),
        }
    }

    /// From here on, lookups by listeners find the execution in memory.
    fn enter(&self, beginning: &Beginning) -> Arc<ExecutionInbox> {
        self.stored_definitions.lock().insert(beginning.hash);
        let inbox = Arc::new(ExecutionInbox::running(beginning.id));
        self.inboxes.lock().insert(beginning.id, inbox.clone());
        inbox
    }

    async fn earlier(&self, name: &str, machine: &str) -> Result<Started, EngineError> {
        let rows = self.find(name, Some(machine)).await?;
        let row = rows
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::UnknownExecution(name.to_string()))?;
        Ok(Started::Already(super::Earlier {
            status: row.status,
            input: row.input,
            started: timestamp(row.started),
        }))
    }
}
