//! The host: all functions by name, and the timers of their invocations and processes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::function::{Extras, Function, Unwanted};
use super::limits;
use super::outcome::{Caller, Outcome};
use super::settings::HostSettings;
use crate::arn::{function_name, is_function_name, qualifier};
use crate::ids;
use crate::task::TaskKey;
use crate::timers::Timers;

/// The key of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The function's timeout.
    Timeout(usize, Uuid),
    /// The time to check whether the queue of waiting invocations moves.
    Queue(usize),
    /// A process may be started again.
    Start(usize),
    /// The time to check for idle processes.
    Idle(usize),
}

#[derive(Debug)]
pub(crate) struct HostState {
    pub(super) settings: HostSettings,
    functions: RwLock<Functions>,
    pub(super) timers: Timers<Timer>,
    pub(super) stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Functions {
    all: Vec<Arc<Function>>,
    by_name: HashMap<Arc<str>, usize>,
}

/// The Lambda host. Clones are handles; when the last is dropped, its processes end.
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) shared: Arc<HostState>,
    _owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner(CancellationToken);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Host {
    /// A host whose processes start at once, in the background: the first of each function, the
    /// others when there is work for them. Call it within a Tokio runtime.
    #[must_use]
    pub fn new(settings: HostSettings) -> Host {
        let stop = CancellationToken::new();
        let shared = Arc::new_cyclic(|weak: &Weak<HostState>| {
            let mut functions = Functions::default();
            for config in &settings.functions {
                let index = functions.all.len();
                let function = Function::new(
                    index,
                    &config.name,
                    Some(config.clone()),
                    &settings,
                    weak.clone(),
                );
                functions.by_name.insert(function.name.clone(), index);
                functions.all.push(Arc::new(function));
            }
            HostState {
                settings,
                functions: RwLock::new(functions),
                timers: Timers::new(),
                stop: stop.clone(),
            }
        });
        for function in &shared.functions.read().all {
            function.start_first();
        }
        Handle::current().spawn(drive_timers(Arc::downgrade(&shared), stop.clone()));
        Host {
            shared,
            _owner: Arc::new(Owner(stop)),
        }
    }

    /// Invokes a function by name or ARN; the caller is notified.
    pub fn invoke(
        &self,
        function: &str,
        payload: Bytes,
        key: Option<TaskKey>,
        caller: Box<dyn Caller>,
    ) {
        let extras = qualifier(function).map(|qualifier| {
            Arc::new(Extras {
                qualifier: Some(qualifier.to_owned()),
                ..Extras::default()
            })
        });
        self.invoke_with(function, payload, key, extras, caller);
    }

    /// As [`Host::invoke`], with the optional parts of an invocation.
    pub(crate) fn invoke_with(
        &self,
        function: &str,
        payload: Bytes,
        key: Option<TaskKey>,
        extras: Option<Arc<Extras>>,
        caller: Box<dyn Caller>,
    ) {
        let name = function_name(function);
        match self.shared.find_or_attach(name) {
            Some(function) => function.invoke(ids::random(), payload, key, extras, caller),
            None => caller.finished(not_found(name)),
        }
    }

    /// The task's result is no longer wanted: an invocation that waits is forgotten, and one that
    /// runs is ended with its process.
    pub fn cancel(&self, key: TaskKey) {
        let functions = self.shared.functions.read();
        for function in &functions.all {
            if function.cancel(Unwanted::Task(key)) {
                return;
            }
        }
    }

    /// The names of the functions that are known.
    #[must_use]
    pub fn functions(&self) -> Vec<Arc<str>> {
        let functions = self.shared.functions.read();
        functions.all.iter().map(|one| one.name.clone()).collect()
    }

    /// Why no process can run a function of this plain name; `None` when one may.
    #[must_use]
    pub fn lacks(&self, name: &str) -> Option<String> {
        let shared = &self.shared;
        let runs = shared.find(name).is_some() || shared.may_attach(name);
        (!runs).then(|| not_configured(name))
    }

    /// Ends all processes.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }
}

impl HostState {
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Function>> {
        let functions = self.functions.read();
        let index = functions.by_name.get(name)?;
        functions.all.get(*index).cloned()
    }

    /// The function, made known by name if that is allowed.
    pub(crate) fn find_or_attach(self: &Arc<Self>, name: &str) -> Option<Arc<Function>> {
        if let Some(function) = self.find(name) {
            return Some(function);
        }
        if !self.may_attach(name) {
            return None;
        }
        let mut functions = self.functions.write();
        if let Some(index) = functions.by_name.get(name) {
            return functions.all.get(*index).cloned();
        }
        let index = functions.all.len();
        if index >= self.settings.functions.len() + limits::ATTACHED_FUNCTIONS {
            return None;
        }
        let weak = Arc::downgrade(self);
        let function = Arc::new(Function::new(index, name, None, &self.settings, weak));
        functions.by_name.insert(function.name.clone(), index);
        functions.all.push(function.clone());
        Some(function)
    }

    fn may_attach(&self, name: &str) -> bool {
        self.settings.attach_any && is_function_name(name)
    }

    fn on_timer(&self, timer: Timer) {
        let (Timer::Timeout(index, _)
        | Timer::Queue(index)
        | Timer::Start(index)
        | Timer::Idle(index)) = timer;
        let function = self.functions.read().all.get(index).cloned();
        let Some(function) = function else { return };
        match timer {
            Timer::Timeout(_, id) => function.time_out(id),
            Timer::Queue(_) => function.look_at_queue(),
            Timer::Start(_) => function.start_again(),
            Timer::Idle(_) => function.end_idle(),
        }
    }
}

pub(super) fn not_found(name: &str) -> Outcome {
    Outcome::Refused {
        error: "Lambda.ResourceNotFoundException",
        message: not_configured(name),
    }
}

fn not_configured(name: &str) -> String {
    format!(
        "function `{name}` is not configured: add [functions.{name}] with command = [\"PROGRAM\", …] to the configuration"
    )
}

async fn drive_timers(shared: Weak<HostState>, stop: CancellationToken) {
    loop {
        let Some(host) = shared.upgrade() else { return };
        let due = tokio::select! {
            () = stop.cancelled() => return,
            due = tokio::time::timeout(Duration::from_secs(1), host.timers.next()) => due,
        };
        for timer in due.unwrap_or_default() {
            host.on_timer(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::FunctionConfig;

    #[tokio::test]
    async fn functions_attach_up_to_their_limit_besides_those_of_the_configuration() {
        let host = Host::new(HostSettings {
            functions: vec![FunctionConfig::new("configured", Vec::new())],
            attach_any: true,
            ..HostSettings::default()
        });
        let find = |name: &str| host.shared.find_or_attach(name).is_some();
        for number in 0..limits::ATTACHED_FUNCTIONS {
            assert!(find(&format!("f{number}")), "{number}");
        }
        assert!(!find("another"));
        // Those that are known stay known.
        assert!(find("f0") && find("f999") && find("configured"));
        assert_eq!(host.functions().len(), limits::ATTACHED_FUNCTIONS + 1);
    }
}
