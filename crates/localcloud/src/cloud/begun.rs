//! The tasks that functions got from executions, to kill them.

use std::collections::{HashMap, VecDeque};

use serde_json::json;
use workflow::lambda::Host;
use workflow::task::{Responder, TaskKey};

/// Maximum number of tasks of a function that a kill reaches: the last ones that began.
const KILLABLE: usize = 1_024;

/// The tasks that functions got from executions, by function, the oldest first. Those that have
/// ended are among them: a kill does not change them.
#[derive(Debug, Default)]
pub(super) struct Begun(HashMap<String, VecDeque<(TaskKey, Responder)>>);

impl Begun {
    pub(super) fn add(&mut self, function: &str, key: TaskKey, responder: Responder) {
        let begun = self.0.entry(function.to_owned()).or_default();
        if begun.len() == KILLABLE {
            begun.pop_front();
        }
        begun.push_back((key, responder));
    }

    pub(super) fn kill(&mut self, function: &str, host: &Host) {
        for (key, responder) in self.0.remove(function).unwrap_or_default() {
            kill(host, key, &responder);
        }
    }
}

/// Ends the process that does a task, which fails the task as it does on AWS.
pub(super) fn kill(host: &Host, key: TaskKey, responder: &Responder) {
    host.cancel(key);
    let cause = json!({
        "errorType": "Runtime.ExitError",
        "errorMessage": "Error: Runtime exited with error: signal: killed",
    });
    responder.failed("Runtime.ExitError", cause.to_string());
}
