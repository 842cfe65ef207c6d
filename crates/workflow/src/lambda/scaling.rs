//! When the processes of a function start and end.
//!
//! As on Lambda, processes start when there is work for them, up to the function's concurrency, and
//! stay for the next invocations. One is started with the server and kept, so that the first
//! invocation does not wait. Those beyond it end after they have been idle for a while.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::fleet::Slot;
use super::function::{Function, FunctionState, StillAtWork};
use super::host::Timer;
use super::process::Process;
use super::{lifetime, limits};
use crate::secret::Secret;
use crate::timers::{micros_of, now};

impl Function {
    pub(super) fn start_first(self: &Arc<Self>) {
        if self.has_command() {
            self.add_process(&mut self.state.lock());
        }
    }

    /// Starts processes for what waits, as far as the concurrency allows; and one in any case when
    /// the last one has ended, unless it was of no use: then the next invocation starts one.
    pub(super) fn start_what_is_needed(self: &Arc<Self>, state: &mut FunctionState) {
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
            if !std::mem::replace(&mut state.fleet.start_timer, true) {
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
        state.fleet.start_timer = false;
        self.start_what_is_needed(&mut state);
    }

    fn add_process(self: &Arc<Self>, state: &mut FunctionState) {
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
        tokio::spawn(lifetime::run(self.clone(), process, host, stop));
    }

    /// Gives up a process: it gets no more work, it is ended, and another takes its place where one
    /// is needed.
    pub(super) fn replace(
        self: &Arc<Self>,
        state: &mut FunctionState,
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
        state: &mut FunctionState,
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
    pub(super) fn park(&self, state: &mut FunctionState, process: Option<u64>) -> i64 {
        let several = state.fleet.all.len() > 1;
        let Some(slot) = process.and_then(|process| state.fleet.all.get_mut(&process)) else {
            return 0;
        };
        slot.parked = true;
        if !several {
            return 0;
        }
        let (now, idle) = (now(), self.idle());
        if !std::mem::replace(&mut state.fleet.idle_timer, true) {
            self.set_timer(now + idle, Timer::Idle(self.index));
        }
        now
    }

    fn idle(&self) -> i64 {
        micros_of(
            self.config
                .as_ref()
                .map_or(limits::IDLE, |config| config.idle),
        )
    }

    /// Ends the processes that have been idle for long; one stays.
    pub(super) fn end_idle(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.fleet.idle_timer = false;
        let (now, idle) = (now(), self.idle());
        let waits = |state: &FunctionState| {
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
                    state.fleet.idle_timer = true;
                    return self.set_timer(until, Timer::Idle(self.index));
                }
                // All work; the next one that waits sets the timer.
                None => return,
            }
        }
    }
}
