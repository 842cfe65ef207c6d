//! Bringing an execution back from its journal, or giving it up when that cannot be.

use std::sync::Arc;

use asl::{Event, Start, StateMachine, WorkflowType};

use super::Inner;
use super::cell::Cell;
use super::commit::Written;
use super::drive::now;
use super::journal::{self, Origin, Record, Stored};
use super::live::{Broken, Live, Turn};
use super::model::{End, ExecutionEvent, Status, limits};
use crate::alarm::timestamp;

/// An execution as it was found.
pub(super) enum Loaded {
    Live(Box<Live>),
    Over,
    Broken(Box<Stored>, u64, Broken),
    Closed,
}

impl Inner {
    #[expect(clippy::too_many_arguments, reason = "the parts of a start")]
    pub(super) fn start_of(
        &self,
        machine: &str,
        name: &str,
        input: Arc<str>,
        kind: WorkflowType,
        seed: u64,
        started: i64,
        origin: &Origin,
    ) -> Start {
        let region = &self.settings.region;
        let account = origin.account.as_deref().unwrap_or(&self.settings.account);
        let (resource, shown) = match kind {
            WorkflowType::Standard => ("execution", name),
            // Its row's name is made unique by what follows the colon.
            WorkflowType::Express => ("express", name.split(':').next().unwrap_or(name)),
        };
        Start {
            execution_arn: format!("arn:aws:states:{region}:{account}:{resource}:{machine}:{name}"),
            execution_name: shown.to_owned(),
            role_arn: origin
                .role
                .as_deref()
                .map_or_else(|| self.settings.role_arn(), str::to_owned),
            state_machine_arn: format!("arn:aws:states:{region}:{account}:stateMachine:{machine}"),
            state_machine_name: machine.to_owned(),
            start_time: timestamp(started),
            input,
            kind,
            seed,
        }
    }

    /// The parsed definition, from memory if it is there.
    pub(super) fn parsed(
        &self,
        hash: &[u8; 32],
        text: &Arc<str>,
    ) -> Result<Arc<StateMachine>, Broken> {
        if let Some(machine) = self.parsed.lock().get(hash) {
            return Ok(machine.clone());
        }
        let machine = StateMachine::restore(text).map_err(|problems| {
            let first = problems.first().map(ToString::to_string);
            Broken::Definition(first.unwrap_or_default())
        })?;
        let machine = Arc::new(machine);
        let mut parsed = self.parsed.lock();
        if parsed.len() >= limits::PARSED_DEFINITIONS {
            parsed.retain(|_, machine| Arc::strong_count(machine) > 1);
        }
        parsed.insert(*hash, machine.clone());
        Ok(machine)
    }

    /// An execution as its journal says.
    pub(super) fn rebuild(
        &self,
        record: &Record,
        watch: impl FnMut(asl::StepChange),
    ) -> Result<Box<Live>, Broken> {
        let row = &record.row;
        let machine = self.parsed(&row.hash, &record.definition)?;
        let start = self.start_of(
            &row.machine,
            &row.name,
            row.input.clone(),
            row.kind,
            row.seed,
            row.started,
            &row.origin,
        );
        Live::rebuild(record, machine, start, watch).map(Box::new)
    }

    /// An open execution from its journal; a closed one too when it is to go on.
    pub(super) async fn load(&self, execution: i64, closed: bool) -> Loaded {
        let (mut delay, longest) = limits::WRITE_RETRY;
        let record = loop {
            let read = self
                .database
                .read(move |connection| -> rusqlite::Result<Option<Record>> {
                    match journal::by_id(connection, execution)? {
                        Some(row) if closed || row.status == Status::Running => {
                            journal::record(connection, row).map(Some)
                        }
                        _ => Ok(None),
                    }
                })
                .await;
            match read {
                Ok(Some(record)) => break record,
                Ok(None) => return Loaded::Over,
                Err(_) if self.is_closed() => return Loaded::Closed,
                Err(error) => {
                    tracing::error!(%error, "the journal of executions cannot be read; trying again in {delay:?}");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(longest);
                }
            }
        };
        match self.rebuild(&record, |_| {}) {
            Ok(live) => Loaded::Live(live),
            Err(broken) => Loaded::Broken(Box::new(record.row), record.position, broken),
        }
    }

    /// Ends an execution that cannot be rebuilt: it fails alone, with the reason as its cause.
    pub(super) async fn give_up(
        self: &Arc<Self>,
        cell: &Cell,
        row: Box<Stored>,
        position: u64,
        broken: &Broken,
    ) {
        tracing::error!(execution = %row.name, %broken, "the execution cannot be rebuilt and fails");
        let Event::Abandon { error, cause } = abandoned(broken) else {
            return;
        };
        let (at, id) = (now(), row.id);
        let end = End {
            status: Status::Failed,
            output: None,
            error: Some(error.clone()),
            cause: Some(cause.clone()),
        };
        let event = asl::HistoryEvent {
            id: position + 1,
            previous_event_id: position,
            timestamp: timestamp(at),
            kind: "ExecutionFailed".to_owned(),
            details: Some((
                "executionFailedEventDetails",
                serde_json::json!({"error": error, "cause": cause}),
            )),
        };
        let last = self
            .database
            .read(move |connection| journal::last_sequence(connection, id))
            .await;
        let Ok(sequence) = last else {
            return self.close_cell(cell);
        };
        let mut turn = Turn {
            entries: vec![journal::Entry {
                sequence: sequence + 1,
                at,
                event: serde_json::to_string(&abandoned(broken)).expect("an event is strings"),
                history: serde_json::to_string(&[&event]).expect("a history event is JSON"),
                position: position + 1,
                wake: None,
                busy: false,
                map_runs: Vec::new(),
            }],
            end: Some((end.clone(), at)),
            ..Turn::default()
        };
        let events = Arc::new([ExecutionEvent {
            execution: row.name,
            machine: row.machine,
            position: position + 1,
            at: timestamp(at),
            redrives: row.redrives,
            steps: Vec::new(),
            end: Some(end),
        }]) as Arc<[_]>;
        if let Written::Yes { recorded } = self.commit(id, &mut turn, &events).await
            && !self.is_closed()
        {
            self.tell(id, &events, recorded);
        }
        self.close_cell(cell);
    }
}

pub(super) fn abandoned(broken: &Broken) -> Event {
    Event::Abandon {
        error: "States.Runtime".to_owned(),
        cause: format!("The execution cannot go on: {broken}"),
    }
}
