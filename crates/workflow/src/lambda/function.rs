//! One function: the pollers that ask for work, and the invocations that run. What waits is in
//! `queue`, its processes are in `fleet`; it starts none itself and speaks no HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::failure::{self, Failure};
use super::fleet::Fleet;
use super::host::{HostState, Timer};
use super::limits;
use super::outcome::{Caller, Outcome};
use super::process::Process;
use super::settings::{FunctionConfig, HostSettings};
use crate::arn::Scope;
use crate::task::TaskKey;
use crate::timers::{micros_of, now};

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Arc<str>,
    pub(crate) arn: String,
    pub(super) config: Option<FunctionConfig>,
    pub(super) index: usize,
    pub(super) timeout: Duration,
    pub(super) attach_wait: Duration,
    pub(super) host: Weak<HostState>,
    pub(super) state: Mutex<FunctionState>,
}

#[derive(Debug, Default)]
pub(super) struct FunctionState {
    /// The pollers that wait for work, the last comer at the end. That one gets the next work, so
    /// that idle processes stay idle.
    pub(super) pollers: Vec<Poller>,
    pub(super) queue: VecDeque<Invocation>,
    pub(super) running: HashMap<Uuid, Running>,
    /// When an invocation was begun last, or the queue was empty.
    pub(super) moved_at: i64,
    pub(super) watched: bool,
    pub(super) fleet: Fleet,
}

#[derive(Debug)]
pub(super) struct Poller {
    pub(super) process: Option<u64>,
    hand: oneshot::Sender<Dispatched>,
    /// When it began to wait, where more than one process waits.
    pub(super) since: i64,
}

/// What is not part of every invocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// The client context, as the header that the runtime gets.
    pub(crate) client_context: Option<HeaderValue>,
    /// The version or alias that was asked for: the end of the ARN that the function sees.
    pub(crate) qualifier: Option<String>,
    /// The caller wants the end of the function's output (`LogType=Tail`).
    pub(crate) tail: bool,
}

#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) id: Uuid,
    pub(super) key: Option<TaskKey>,
    payload: Bytes,
    extras: Option<Arc<Extras>>,
    pub(super) caller: Box<dyn Caller>,
    /// When it was put into the queue.
    pub(super) queued_at: i64,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) invocation: Invocation,
    pub(super) process: Option<u64>,
    deadline: i64,
}

/// An invocation in the hands of a process.
#[derive(Clone, Debug)]
pub(super) struct Dispatched {
    pub(super) id: Uuid,
    pub(super) payload: Bytes,
    /// Milliseconds since the Unix epoch.
    pub(super) deadline_millis: i64,
    pub(super) extras: Option<Arc<Extras>>,
}

/// A process that asks for work although it has an invocation that it did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StillAtWork;

/// What is no longer wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unwanted {
    Task(TaskKey),
    Invocation(Uuid),
}

impl Function {
    pub(super) fn new(
        index: usize,
        name: &str,
        config: Option<FunctionConfig>,
        settings: &HostSettings,
        host: Weak<HostState>,
    ) -> Function {
        let timeout = config
            .as_ref()
            .map_or(limits::TIMEOUT, |config| config.timeout)
            .min(limits::TIMEOUT);
        let scope = Scope {
            region: &settings.region,
            account: &settings.account,
        };
        Function {
            name: name.into(),
            arn: scope.function(name),
            config,
            index,
            timeout,
            attach_wait: settings.attach_wait,
            host,
            state: Mutex::default(),
        }
    }

    pub(super) fn has_command(&self) -> bool {
        self.config
            .as_ref()
            .is_some_and(|config| !config.command.is_empty())
    }

    pub(super) fn invoke(
        self: &Arc<Self>,
        id: Uuid,
        payload: Bytes,
        key: Option<TaskKey>,
        extras: Option<Arc<Extras>>,
        caller: Box<dyn Caller>,
    ) {
        let mut invocation = Invocation {
            id,
            key,
            payload,
            extras,
            caller,
            queued_at: 0,
        };
        let mut state = self.state.lock();
        while let Some(poller) = state.pollers.pop() {
            match self.hand_over(&mut state, invocation, poller) {
                Ok(()) => return,
                Err(back) => invocation = back,
            }
        }
        if state.queue.len() >= limits::QUEUE {
            drop(state);
            return invocation.caller.finished(Outcome::Refused {
                error: "Lambda.TooManyRequestsException",
                message: format!(
                    "Rate Exceeded: {} invocations of function `{}` wait already",
                    limits::QUEUE,
                    self.name
                ),
            });
        }
        invocation.queued_at = now();
        if state.queue.is_empty() {
            state.moved_at = invocation.queued_at;
        }
        if !state.watched {
            state.watched = true;
            let at = invocation.queued_at + micros_of(self.patience());
            self.set_timer(at, Timer::Queue(self.index));
        }
        state.queue.push_back(invocation);
        self.start_what_is_needed(&mut state);
    }

    /// Gives an invocation to a poller; back when the poller is gone.
    fn hand_over(
        &self,
        state: &mut FunctionState,
        invocation: Invocation,
        poller: Poller,
    ) -> Result<(), Invocation> {
        state.fleet.unpark(poller.process);
        let id = invocation.id;
        let dispatched = self.begin(state, invocation, poller.process);
        if poller.hand.send(dispatched).is_ok() {
            if let Some(running) = state.running.get(&id) {
                running.invocation.caller.started();
            }
            return Ok(());
        }
        match self.take_running(state, id) {
            Some(running) => Err(running.invocation),
            None => Ok(()),
        }
    }

    fn begin(
        &self,
        state: &mut FunctionState,
        invocation: Invocation,
        process: Option<u64>,
    ) -> Dispatched {
        let at = now();
        let deadline = at + micros_of(self.timeout);
        state.moved_at = at;
        self.set_timer(deadline, Timer::Timeout(self.index, invocation.id));
        let dispatched = Dispatched {
            id: invocation.id,
            payload: invocation.payload.clone(),
            deadline_millis: deadline / 1_000,
            extras: invocation.extras.clone(),
        };
        let tail = invocation.extras.as_ref().is_some_and(|extras| extras.tail);
        state.fleet.begin(process, invocation.id, tail);
        state.running.insert(
            invocation.id,
            Running {
                invocation,
                process,
                deadline,
            },
        );
        dispatched
    }

    pub(super) fn take_running(&self, state: &mut FunctionState, id: Uuid) -> Option<Running> {
        let running = state.running.remove(&id)?;
        self.cancel_timer(running.deadline, Timer::Timeout(self.index, id));
        state.fleet.end(running.process);
        Some(running)
    }

    pub(super) fn set_timer(&self, at: i64, timer: Timer) {
        if let Some(host) = self.host.upgrade() {
            host.timers.set(at, timer);
        }
    }

    fn cancel_timer(&self, at: i64, timer: Timer) {
        if let Some(host) = self.host.upgrade() {
            host.timers.cancel(at, timer);
        }
    }

    /// The next invocation for a process; waits until there is one. Cancel-safe: what was handed to
    /// a poller that is gone goes back. A process that the host gave up waits for ever.
    pub(super) async fn next(
        self: &Arc<Self>,
        process: Option<&Arc<Process>>,
    ) -> Result<Dispatched, StillAtWork> {
        match self.take_or_wait(process)? {
            Next::Work(dispatched) => Ok(dispatched),
            Next::Wait(waiting) => Ok(waiting.await_work().await),
            Next::Nothing => std::future::pending().await,
        }
    }

    fn take_or_wait(self: &Arc<Self>, process: Option<&Arc<Process>>) -> Result<Next, StillAtWork> {
        let mut state = self.state.lock();
        if let Some(process) = process
            && !self.admit(&mut state, process)?
        {
            return Ok(Next::Nothing);
        }
        let process = process.map(|process| process.id);
        if let Some(invocation) = state.queue.pop_front() {
            let dispatched = self.begin(&mut state, invocation, process);
            if let Some(running) = state.running.get(&dispatched.id) {
                running.invocation.caller.started();
            }
            return Ok(Next::Work(dispatched));
        }
        let since = self.park(&mut state, process);
        let (hand, taken) = oneshot::channel();
        state.pollers.push(Poller {
            process,
            hand,
            since,
        });
        // Those that went away without a word.
        if state.pollers.len() > 64 {
            state.pollers.retain(|poller| !poller.hand.is_closed());
        }
        Ok(Next::Wait(Waiting {
            function: self.clone(),
            taken,
        }))
    }

    /// An invocation that no process received goes back to the front.
    fn put_back(self: &Arc<Self>, id: Uuid) {
        let mut state = self.state.lock();
        let Some(running) = self.take_running(&mut state, id) else {
            return;
        };
        state.queue.push_front(running.invocation);
        // A poller may wait by now.
        while let Some(poller) = state.pollers.pop() {
            let Some(first) = state.queue.pop_front() else {
                return state.pollers.push(poller);
            };
            if let Err(back) = self.hand_over(&mut state, first, poller) {
                state.queue.push_front(back);
            }
        }
        if !state.watched {
            state.watched = true;
            self.set_timer(now() + micros_of(self.patience()), Timer::Queue(self.index));
        }
        self.start_what_is_needed(&mut state);
    }

    /// A process answered. Whether it had the invocation.
    pub(crate) fn succeed(&self, id: Uuid, process: Option<u64>, payload: Bytes) -> bool {
        self.finish(id, process, |log| Outcome::Success { payload, log })
    }

    /// A process said that it failed. Whether it had the invocation.
    pub(crate) fn fail(
        &self,
        id: Uuid,
        process: Option<u64>,
        error: String,
        payload: Bytes,
    ) -> bool {
        self.finish(id, process, |log| Outcome::Failed {
            error,
            payload,
            log,
        })
    }

    fn finish(
        &self,
        id: Uuid,
        process: Option<u64>,
        outcome: impl FnOnce(Vec<u8>) -> Outcome,
    ) -> bool {
        let (running, process) = {
            let mut state = self.state.lock();
            if state
                .running
                .get(&id)
                .is_none_or(|running| running.process != process)
            {
                return false;
            }
            let Some(running) = self.take_running(&mut state, id) else {
                return false;
            };
            (running, state.fleet.process(process))
        };
        let log = process.map_or_else(Vec::new, |process| process.tail.lock().bytes());
        running.invocation.caller.finished(outcome(log));
        true
    }

    /// The function's timeout is over: the invocation fails, and its process is replaced.
    pub(super) fn time_out(self: &Arc<Self>, id: Uuid) {
        let (running, process) = {
            let mut state = self.state.lock();
            let Some(running) = self.take_running(&mut state, id) else {
                return;
            };
            let process = self.replace(&mut state, running.process, "its invocation timed out");
            (running, process)
        };
        let log = process.map_or_else(Vec::new, |process| process.tail.lock().bytes());
        let failure = Failure::TimedOut(self.timeout);
        running.invocation.caller.finished(failure.outcome(id, log));
    }

    /// Fails the invocation of a process that ended. When the process never asked for work, the
    /// invocation that waits longest fails, as on AWS, where each invocation has its own start.
    /// After a second failed start, or one that took too long, all waiting invocations fail, unless
    /// another process works.
    pub(super) fn process_ended(self: &Arc<Self>, process: &Arc<Process>, failure: &Failure) {
        let mut lost = Vec::new();
        {
            let mut state = self.state.lock();
            if let Some(ended) = state.fleet.remove(process, now()) {
                state
                    .pollers
                    .retain(|poller| poller.process != Some(process.id));
                if let Some(id) = ended.current {
                    let running = self.take_running(&mut state, id);
                    lost.extend(running.map(|running| running.invocation));
                }
                if !process.came_up() {
                    lost.extend(state.queue.pop_front());
                    if state.fleet.none_came_up() && (ended.again || failure.took_too_long()) {
                        lost.extend(state.queue.drain(..));
                    }
                }
                self.start_what_is_needed(&mut state);
            }
        }
        if lost.is_empty() {
            return;
        }
        let log = process.tail.lock().bytes();
        let failure = failure::FailureReport {
            failure,
            during_init: !process.came_up(),
            output: &log,
        };
        for invocation in lost {
            let outcome = failure.outcome(invocation.id);
            invocation.caller.finished(outcome);
        }
    }
}

/// What a process that asks for work gets.
enum Next {
    Work(Dispatched),
    Wait(Waiting),
    Nothing,
}

/// A poller that waits. Dropped with an invocation in its hand, it gives it back.
struct Waiting {
    function: Arc<Function>,
    taken: oneshot::Receiver<Dispatched>,
}

impl Waiting {
    async fn await_work(mut self) -> Dispatched {
        match (&mut self.taken).await {
            Ok(dispatched) => dispatched,
            // The process polls again on another connection, or has ended in the eyes of the host:
            // nothing will come.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.taken.close();
        if let Ok(dispatched) = self.taken.try_recv() {
            self.function.put_back(dispatched.id);
        }
    }
}
