//! The begin of an execution: decided before it is written, in a commit that others may have a part in, and acted upon after it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use asl::{Event, WorkflowType};
use futures_util::FutureExt;
use sqlite::{Write, WriteError};
use tokio::sync::oneshot;

use super::cell::Cell;
use super::commit::{record, unwritten};
use super::drive::now;
use super::journal::{self, Entry, NewExecution, Origin};
use super::live::{Live, Turn};
use super::model::{End, EngineError, ExecutionEvent, Listener, Started};
use super::rebuild::abandoned;
use super::{Engine, Inner, check_json, is_name};
use crate::Machine;
use crate::alarm::timestamp;

/// An execution that is to begin.
struct Beginning {
    id: i64,
    hash: [u8; 32],
    started: i64,
    live: Box<Live>,
    turn: Turn,
    events: Arc<[ExecutionEvent]>,
}

/// What the commit has of it.
struct Row {
    new: NewExecution,
    entries: Vec<Entry>,
    end: Option<(End, i64)>,
    events: Arc<[ExecutionEvent]>,
    listener: Arc<dyn Listener>,
}

impl Row {
    /// Writes it; `None` when there is an execution of that name already, else whether the listener has its part in the commit.
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
    /// Starts an execution in one commit with what `first` writes, which is run as [`sqlite::Database::write_decided`]
    /// runs it. It returns what the caller is told, and whether anything is to be started.
    ///
    /// # Errors
    /// [`EngineError`] before anything was tried, with `first` not called; else what became of the write.
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
        Ok(begun.await?.map(|(told, _)| told))
    }

    /// Starts an execution. An Express one may have a `:` in its name, with what makes it unique behind it.
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

    /// As [`Engine::start_with`], and tells when the execution was started; `None` when it was not.
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
            let (told, starts) = first(write)?;
            let recorded = if starts { row.write(write)? } else { None };
            Ok((told, recorded))
        }));
        let (running, runtime) = (&self.inner.running, &self.inner.runtime);
        // The caller may go away at any time; the execution must not stop half-way for it.
        if let Some(written) = (&mut written).now_or_never() {
            let (told, rest) = inner.clone().written(beginning, written);
            if let Some(rest) = rest {
                running.spawn_on(rest, runtime);
            }
            return Ok(told);
        }
        let (answer, answered) = oneshot::channel();
        let begin = async move {
            let (told, rest) = inner.written(beginning, written.await);
            // Nobody may be there any more to hear it.
            let _ = answer.send(told);
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
            Box::new(Live::new(id, name, parsed, start.clone()))
        };
        let (mut live, mut turn) = (fresh(), Turn::default());
        if let Err(broken) = live.turn(Event::Begin, started, &mut turn) {
            tracing::error!(execution = %name, %broken, "the execution fails at its start");
            (live, turn) = (fresh(), Turn::default());
            let _ = live.turn(abandoned(&broken), started, &mut turn);
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
            live,
            turn,
            events,
        };
        (beginning, row)
    }

    /// Acts upon a begin that is on disk. What the caller is told of the write, and what is still to be run where an execution has begun.
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
            Ok((told, Some(recorded))) => {
                let cell = self.enter(&beginning);
                self.act(&beginning.live, beginning.turn.acts);
                let over = beginning.turn.end.is_some();
                if over {
                    self.close_cell(&cell);
                }
                self.tell(beginning.id, &beginning.events, recorded);
                let rest = (!over).then(|| self.run(cell, Some(beginning.live)));
                (Ok((told, Some(beginning.started))), rest)
            }
            Ok((told, None)) => (Ok((told, None)), None),
            Err(error) => (Err(error), None),
        }
    }

    /// The execution is in memory: who is told of it from now on finds it there.
    fn enter(&self, beginning: &Beginning) -> Arc<Cell> {
        self.stored_definitions.lock().insert(beginning.hash);
        let cell = Arc::new(Cell::running(beginning.id));
        self.cells.lock().insert(beginning.id, cell.clone());
        cell
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
