//! One function: who polls for work, what waits, what runs. It starts no process itself and speaks no HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::output::Tail;
use super::{Caller, FunctionConfig, HostSettings, Outcome, Ring, Shared, limits, now, process};
use crate::task::TaskKey;

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Arc<str>,
    pub(crate) arn: String,
    pub(super) config: Option<FunctionConfig>,
    index: usize,
    timeout: Duration,
    attach_wait: Duration,
    host: Weak<Shared>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pollers: VecDeque<Poller>,
    queue: VecDeque<Invocation>,
    running: HashMap<Uuid, Running>,
    processes: HashMap<u64, Arc<Process>>,
    last_process: u64,
}

#[derive(Debug)]
struct Poller {
    process: Option<u64>,
    hand: oneshot::Sender<Dispatched>,
}

#[derive(Debug)]
struct Invocation {
    id: Uuid,
    key: Option<TaskKey>,
    payload: Bytes,
    caller: Box<dyn Caller>,
    /// When nobody polls: give up then.
    attach_by: Option<i64>,
}

#[derive(Debug)]
struct Running {
    invocation: Invocation,
    process: Option<u64>,
    deadline: i64,
}

/// A child process as its function sees it.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) kill: Notify,
    pub(super) tail: Mutex<Tail>,
    /// It has asked for work: its initialization is over.
    ready: std::sync::atomic::AtomicBool,
    /// What it says about an initialization that failed.
    init_error: Mutex<Option<(String, Bytes)>>,
}

impl Process {
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// An invocation in the hands of a process.
#[derive(Clone, Debug)]
pub(super) struct Dispatched {
    pub(super) id: Uuid,
    pub(super) payload: Bytes,
    /// Milliseconds since the Unix epoch.
    pub(super) deadline_millis: i64,
}

impl Function {
    pub(super) fn new(
        index: usize,
        name: &str,
        config: Option<FunctionConfig>,
        settings: &HostSettings,
        host: Weak<Shared>,
    ) -> Function {
        let timeout = config
            .as_ref()
            .map_or(limits::TIMEOUT, |config| config.timeout)
            .min(limits::TIMEOUT);
        Function {
            name: name.into(),
            arn: format!(
                "arn:aws:lambda:{}:{}:function:{name}",
                settings.region, settings.account
            ),
            config,
            index,
            timeout,
            attach_wait: settings.attach_wait,
            host,
            state: Mutex::default(),
        }
    }

    fn has_command(&self) -> bool {
        self.config
            .as_ref()
            .is_some_and(|config| !config.command.is_empty())
    }

    pub(super) fn start_first(self: &Arc<Self>) {
        if self.has_command() {
            self.add_process(&mut self.state.lock());
        }
    }

    /// Starts one more process if all are at work and there may be more.
    fn add_process(self: &Arc<Self>, state: &mut State) {
        let Some(config) = self
            .config
            .as_ref()
            .filter(|config| !config.command.is_empty())
        else {
            return;
        };
        let starting = state
            .processes
            .values()
            .filter(|process| !process.is_ready())
            .count();
        if state.processes.len() >= config.concurrency.max(1)
            || (starting > 0 && starting >= state.queue.len())
        {
            return;
        }
        let Some(host) = self.host.upgrade() else {
            // The host is still being made, or gone.
            return;
        };
        state.last_process += 1;
        let id = state.last_process;
        let process = Arc::new(Process::default());
        state.processes.insert(id, process.clone());
        let stop = host.stop.child_token();
        tokio::spawn(process::supervise(self.clone(), id, process, stop));
    }

    pub(super) fn invoke(
        self: &Arc<Self>,
        id: Uuid,
        payload: Bytes,
        key: Option<TaskKey>,
        caller: Box<dyn Caller>,
    ) {
        let mut invocation = Invocation {
            id,
            key,
            payload,
            caller,
            attach_by: None,
        };
        let mut state = self.state.lock();
        while let Some(poller) = state.pollers.pop_front() {
            let (dispatched, process) = self.begin(&mut state, invocation, poller.process);
            match poller.hand.send(dispatched) {
                Ok(()) => {
                    if let Some(running) = state.running.get(&id) {
                        running.invocation.caller.started();
                    }
                    return;
                }
                // It no longer polls.
                Err(_) => {
                    let Some(back) = self.take_running(&mut state, id) else {
                        return;
                    };
                    debug_assert_eq!(back.process, process);
                    invocation = back.invocation;
                }
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
        if !self.has_command() && state.running.is_empty() {
            let by = now() + self.attach_wait.as_micros() as i64;
            invocation.attach_by = Some(by);
            self.set_alarm(by, Ring::Unattended(self.index, id));
        }
        state.queue.push_back(invocation);
        self.add_process(&mut state);
    }

    fn begin(
        &self,
        state: &mut State,
        invocation: Invocation,
        process: Option<u64>,
    ) -> (Dispatched, Option<u64>) {
        let deadline = now() + self.timeout.as_micros() as i64;
        if let Some(by) = invocation.attach_by {
            self.cancel_alarm(by, Ring::Unattended(self.index, invocation.id));
        }
        self.set_alarm(deadline, Ring::Timeout(self.index, invocation.id));
        let dispatched = Dispatched {
            id: invocation.id,
            payload: invocation.payload.clone(),
            deadline_millis: deadline / 1_000,
        };
        if let Some(process) = process.and_then(|process| state.processes.get(&process)) {
            process.tail.lock().begin(invocation.id);
        }
        state.running.insert(
            invocation.id,
            Running {
                invocation,
                process,
                deadline,
            },
        );
        (dispatched, process)
    }

    fn take_running(&self, state: &mut State, id: Uuid) -> Option<Running> {
        let running = state.running.remove(&id)?;
        self.cancel_alarm(running.deadline, Ring::Timeout(self.index, id));
        Some(running)
    }

    fn set_alarm(&self, at: i64, ring: Ring) {
        if let Some(host) = self.host.upgrade() {
            host.alarms.set(at, ring);
        }
    }

    fn cancel_alarm(&self, at: i64, ring: Ring) {
        if let Some(host) = self.host.upgrade() {
            host.alarms.cancel(at, ring);
        }
    }

    /// The next invocation for a process; waits until there is one. Cancel-safe: what was handed to a poller that is gone goes back.
    pub(super) async fn next(self: &Arc<Self>, process: Option<u64>) -> Dispatched {
        let waiting = {
            let mut state = self.state.lock();
            if let Some(process) = process.and_then(|process| state.processes.get(&process)) {
                process
                    .ready
                    .store(true, std::sync::atomic::Ordering::Release);
            }
            if let Some(invocation) = state.queue.pop_front() {
                let (dispatched, _) = self.begin(&mut state, invocation, process);
                if let Some(running) = state.running.get(&dispatched.id) {
                    running.invocation.caller.started();
                }
                return dispatched;
            }
            let (hand, taken) = oneshot::channel();
            state.pollers.push_back(Poller { process, hand });
            // Those that went away without a word.
            if state.pollers.len() > 64 {
                state.pollers.retain(|poller| !poller.hand.is_closed());
            }
            Waiting {
                function: self.clone(),
                taken,
            }
        };
        waiting.await_work().await
    }

    /// An invocation that nobody received goes back to the front.
    fn put_back(self: &Arc<Self>, id: Uuid) {
        let mut state = self.state.lock();
        if let Some(running) = self.take_running(&mut state, id) {
            state.queue.push_front(running.invocation);
        }
        let next = state.queue.pop_front();
        drop(state);
        // A poller may wait by now.
        if let Some(next) = next {
            self.invoke(next.id, next.payload, next.key, next.caller);
        }
    }

    /// A process answered. Whether the invocation was running.
    pub(crate) fn succeed(&self, id: Uuid, payload: Bytes) -> bool {
        self.finish(id, |log| Outcome::Success { payload, log })
    }

    /// A process said that it failed. Whether the invocation was running.
    pub(crate) fn fail(&self, id: Uuid, error: String, payload: Bytes) -> bool {
        self.finish(id, |log| Outcome::Failed {
            error,
            payload,
            log,
        })
    }

    fn finish(&self, id: Uuid, outcome: impl FnOnce(Vec<u8>) -> Outcome) -> bool {
        let (running, process) = {
            let mut state = self.state.lock();
            let Some(running) = self.take_running(&mut state, id) else {
                return false;
            };
            let process = running
                .process
                .and_then(|process| state.processes.get(&process).cloned());
            (running, process)
        };
        let log = process.map_or_else(Vec::new, |process| process.tail.lock().bytes());
        running.invocation.caller.finished(outcome(log));
        true
    }

    /// The process says that its initialization failed; it ends next.
    pub(crate) fn init_failed(&self, process: Option<u64>, error: String, payload: Bytes) {
        let state = self.state.lock();
        if let Some(process) = process.and_then(|process| state.processes.get(&process)) {
            *process.init_error.lock() = Some((error, payload));
        }
    }

    pub(super) fn time_out(&self, id: Uuid) {
        let process = {
            let state = self.state.lock();
            let Some(running) = state.running.get(&id) else {
                return;
            };
            running
                .process
                .and_then(|process| state.processes.get(&process).cloned())
        };
        let seconds = self.timeout.as_secs_f64();
        self.fail(
            id,
            "Sandbox.Timedout".to_owned(),
            error_payload(
                "Sandbox.Timedout",
                &format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"),
            ),
        );
        if let Some(process) = process {
            process.kill.notify_one();
        }
    }

    pub(super) fn unattended(&self, id: Uuid) {
        let mut state = self.state.lock();
        let at = state
            .queue
            .iter()
            .position(|invocation| invocation.id == id && invocation.attach_by.is_some());
        let Some(invocation) = at.and_then(|at| state.queue.remove(at)) else {
            return;
        };
        drop(state);
        let name = &self.name;
        invocation.caller.finished(Outcome::Refused {
            error: "Lambda.ResourceNotFoundException",
            message: format!(
                "nobody runs function `{name}`: add [functions.{name}] with command = [\"PROGRAM\", …] to the configuration, or start a \
                 process that polls the Runtime API for it"
            ),
        });
    }

    pub(super) fn cancel(&self, key: TaskKey) {
        let mut state = self.state.lock();
        if !state.queue.is_empty() {
            state.queue.retain(|one| one.key != Some(key));
        }
    }

    /// A process ended: what it worked on fails, and when it never got to work, so does what waits for nobody else.
    pub(super) fn process_ended(&self, id: u64, process: &Process, how: &str) {
        let mut state = self.state.lock();
        let lost: Vec<Uuid> = state
            .running
            .iter()
            .filter(|(_, running)| running.process == Some(id))
            .map(|(id, _)| *id)
            .collect();
        let mut callers = Vec::new();
        for id in lost {
            callers.extend(self.take_running(&mut state, id));
        }
        state.pollers.retain(|poller| poller.process != Some(id));
        let init_failed = !process.is_ready();
        let others = state
            .processes
            .iter()
            .any(|(other, process)| *other != id && process.is_ready());
        let waiting: Vec<Invocation> = if init_failed && !others {
            state.queue.drain(..).collect()
        } else {
            Vec::new()
        };
        process
            .ready
            .store(false, std::sync::atomic::Ordering::Release);
        drop(state);
        let log = process.tail.lock().bytes();
        let init_error = process.init_error.lock().take();
        let callers = callers.into_iter().map(|running| running.invocation);
        for invocation in callers.chain(waiting) {
            let (error, payload) = init_error.clone().unwrap_or_else(|| {
                let message = format!(
                    "RequestId: {} Error: Runtime exited with error: {how}",
                    invocation.id
                );
                let error = "Runtime.ExitError";
                (error.to_owned(), error_payload(error, &message))
            });
            let log = log.clone();
            invocation.caller.finished(Outcome::Failed {
                error,
                payload,
                log,
            });
        }
    }
}

fn error_payload(error: &str, message: &str) -> Bytes {
    json!({"errorType": error, "errorMessage": message})
        .to_string()
        .into()
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
            // The process has ended in the eyes of the host: nothing will come.
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
