//! The processes of one function: how many, which of them works, when one is started and when one ends. It starts them by `process`.
//!
//! As on Lambda, processes start when there is work for them, up to the function's concurrency, and stay for the next invocations. One
//! is started with the server and kept, so that the first invocation does not wait; those beyond it end when they were idle for long.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::function::{Function, State, StillAtWork, micros};
use super::process::{self, Process};
use super::{Timer, limits};
use crate::secret::Secret;
use crate::timers::now;

/// The processes of a function.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    all: HashMap<u64, Slot>,
    last: u64,
    /// Starts in a row of processes that ended before they served an invocation.
    futile: u32,
    /// Starts in a row of processes that ended before they asked for work.
    failed: u32,
    /// No process is started before.
    start_after: i64,
    start_alarm: bool,
    idle_alarm: bool,
}

#[derive(Debug)]
struct Slot {
    process: Arc<Process>,
    /// What it works on.
    current: Option<Uuid>,
    /// It is among the pollers.
    parked: bool,
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
            self.start_after = now + micros(wait.min(longest));
        }
        Some(Left {
            current: slot.current,
            again,
        })
    }
}

impl Function {
    pub(super) fn start_first(self: &Arc<Self>) {
        if self.has_command() {
            self.add_process(&mut self.state.lock());
        }
    }

    /// Starts processes for what waits, as far as the concurrency allows; and one in any case when the last one has ended, unless it
    /// was of no use: then the next invocation starts one.
    pub(super) fn start_what_is_needed(self: &Arc<Self>, state: &mut State) {
        let concurrency = match &self.config {
            Some(config) if !config.command.is_empty() => config.concurrency.max(1),
            _ => return,
        };
        if state.fleet.all.len() >= concurrency {
            return;
        }
        let slots = state.fleet.all.values();
        let starting = slots.filter(|slot| !slot.process.came_up()).count();
        let warm = usize::from(state.fleet.all.is_empty() && state.fleet.futile == 0);
        let room = concurrency - state.fleet.all.len();
        let wanted = state.queue.len().saturating_sub(starting).max(warm);
        if wanted == 0 {
            return;
        }
        if state.fleet.futile > 0 && now() < state.fleet.start_after {
            if !std::mem::replace(&mut state.fleet.start_alarm, true) {
                self.set_timer(state.fleet.start_after, Timer::Start(self.index));
            }
            return;
        }
        for _ in 0..wanted.min(room) {
            self.add_process(state);
        }
    }

    /// The wait before the next start is over.
    pub(super) fn start_again(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.fleet.start_alarm = false;
        self.start_what_is_needed(&mut state);
    }

    fn add_process(self: &Arc<Self>, state: &mut State) {
        // The host is gone, or stops.
        let Some(host) = self.host.upgrade().filter(|host| !host.stop.is_cancelled()) else {
            return;
        };
        state.fleet.last += 1;
        let secret = self.config.as_ref().is_some_and(|config| config.secret);
        let secret = secret.then(Secret::random);
        let process = Process::new(state.fleet.last, host.settings.redact, secret);
        let process = Arc::new(process);
        let slot = Slot {
            process: process.clone(),
            current: None,
            parked: false,
        };
        state.fleet.all.insert(process.id, slot);
        let stop: CancellationToken = host.stop.child_token();
        tokio::spawn(process::run(self.clone(), process, host, stop));
    }

    /// Gives up a process: it gets no more work, it is ended, and another takes its place where one is needed.
    pub(super) fn replace(
        self: &Arc<Self>,
        state: &mut State,
        process: Option<u64>,
        why: &'static str,
    ) -> Option<Arc<Process>> {
        let slot = state.fleet.all.remove(&process?)?;
        state.pollers.retain(|poller| poller.process != process);
        slot.process.give_up(why);
        self.start_what_is_needed(state);
        Some(slot.process)
    }

    /// A process asks for work; whether it may have some.
    pub(super) fn admit(
        &self,
        state: &mut State,
        process: &Arc<Process>,
    ) -> Result<bool, StillAtWork> {
        let Some(slot) = state.fleet.all.get_mut(&process.id) else {
            return Ok(false);
        };
        if slot.current.is_some() {
            return Err(StillAtWork);
        }
        // It asks again on another connection: the first one is not read any more.
        if std::mem::replace(&mut slot.parked, false) {
            state
                .pollers
                .retain(|poller| poller.process != Some(process.id));
        }
        if process.comes_up() {
            state.fleet.failed = 0;
        }
        Ok(true)
    }

    /// A process is idle; when that began, where it matters.
    pub(super) fn park(&self, state: &mut State, process: Option<u64>) -> i64 {
        let several = state.fleet.all.len() > 1;
        let Some(slot) = process.and_then(|process| state.fleet.all.get_mut(&process)) else {
            return 0;
        };
        slot.parked = true;
        if !several {
            return 0;
        }
        let (now, idle) = (now(), self.idle());
        if !std::mem::replace(&mut state.fleet.idle_alarm, true) {
            self.set_timer(now + idle, Timer::Idle(self.index));
        }
        now
    }

    fn idle(&self) -> i64 {
        micros(
            self.config
                .as_ref()
                .map_or(limits::IDLE, |config| config.idle),
        )
    }

    /// Ends the processes that have been idle for long; one stays.
    pub(super) fn end_idle(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.fleet.idle_alarm = false;
        let (now, idle) = (now(), self.idle());
        let waits = |state: &State| {
            let mut pollers = state.pollers.iter();
            let first = pollers.find(|poller| poller.process.is_some());
            first.map(|poller| (poller.process, poller.since + idle))
        };
        while state.fleet.all.len() > 1 {
            match waits(&state) {
                Some((process, until)) if until <= now => {
                    self.replace(&mut state, process, "it was idle");
                }
                Some((_, until)) => {
                    state.fleet.idle_alarm = true;
                    return self.set_timer(until, Timer::Idle(self.index));
                }
                // All work; the next one that waits sets the alarm.
                None => return,
            }
        }
    }
}
