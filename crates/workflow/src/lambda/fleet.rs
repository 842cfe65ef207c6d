//! The processes of one function, and what each of them works on. `scaling` decides when one starts
//! or ends.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::limits;
use super::process::Process;
use crate::timers::micros_of;

/// The processes of a function.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) all: HashMap<u64, Slot>,
    pub(super) last: u64,
    /// Starts in a row of processes that ended before they served an invocation.
    pub(super) futile: u32,
    /// Starts in a row of processes that ended before they asked for work.
    pub(super) failed: u32,
    /// No process is started before.
    pub(super) start_after: i64,
    pub(super) start_timer: bool,
    pub(super) idle_timer: bool,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) process: Arc<Process>,
    /// What it works on.
    pub(super) current: Option<Uuid>,
    /// It is among the pollers.
    pub(super) parked: bool,
}

/// A process that left the fleet by its own end.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) current: Option<Uuid>,
    /// It never asked for work, nor did the one before it.
    pub(super) again: bool,
}

impl Fleet {
    pub(super) fn unpark(&mut self, process: Option<u64>) {
        if let Some(slot) = process.and_then(|process| self.all.get_mut(&process)) {
            slot.parked = false;
        }
    }

    pub(super) fn begin(&mut self, process: Option<u64>, id: Uuid, tail: bool) {
        if let Some(slot) = process.and_then(|process| self.all.get_mut(&process)) {
            slot.current = Some(id);
            slot.process.begin(id, tail);
            self.futile = 0;
        }
    }

    pub(super) fn end(&mut self, process: Option<u64>) {
        if let Some(slot) = process.and_then(|process| self.all.get_mut(&process)) {
            slot.current = None;
        }
    }

    pub(super) fn process(&self, process: Option<u64>) -> Option<Arc<Process>> {
        Some(self.all.get(&process?)?.process.clone())
    }

    /// Whether no process that is here now ever asked for work.
    pub(super) fn none_came_up(&self) -> bool {
        !self.all.values().any(|slot| slot.process.came_up())
    }

    /// Takes out a process that ended by itself. `None`: it was given up before.
    pub(super) fn remove(&mut self, process: &Process, now: i64) -> Option<Left> {
        let slot = self.all.remove(&process.id)?;
        let again = self.failed > 0;
        if !process.came_up() {
            self.failed += 1;
        }
        if !process.served() {
            self.futile += 1;
            let (first, longest) = limits::RESTART;
            let wait = first.saturating_mul(1 << (self.futile - 1).min(16));
            self.start_after = now + micros_of(wait.min(longest));
        }
        Some(Left {
            current: slot.current,
            again,
        })
    }
}
