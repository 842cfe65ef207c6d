//! The work of Task states: as the engine's own runner does it, counted, and with functions that
//! can be killed.

use std::sync::Weak;

use asl::Resource;
use serde_json::Value;
use workflow::lambda::function_name;
use workflow::runner::Runner;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};

use super::begun::kill;
use super::inner::Inner;

/// The runner of the cloud.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) runner: Runner,
    pub(super) inner: Weak<Inner>,
}

impl TaskRunner for Tasks {
    fn run(&self, request: TaskRequest, responder: Responder) {
        if let (Some(inner), Some(function)) = (self.inner.upgrade(), function(&request.task)) {
            let key = request.key;
            inner.counts.invoked(&function, 1);
            if let Some(after) = inner.faults.take_kill(&function) {
                let (host, responder) = (inner.host.clone(), responder.clone());
                inner.spawn(async move {
                    tokio::time::sleep(after).await;
                    kill(&host, key, &responder);
                });
            }
            inner.begun.lock().add(&function, key, responder.clone());
        }
        self.runner.run(request, responder);
    }

    fn read_items(&self, request: asl::ReadItems, responder: Responder) {
        self.runner.read_items(request, responder);
    }

    fn write_results(&self, request: asl::WriteResults, responder: Responder) {
        self.runner.write_results(request, responder);
    }

    fn cancel(&self, key: TaskKey) {
        self.runner.cancel(key);
    }
}

/// The name of the function that does a task, if one does.
fn function(task: &asl::Task) -> Option<String> {
    let named = |function: &str| Some(function_name(function).to_owned());
    match &task.resource {
        Resource::Lambda { function } => named(function),
        Resource::Service { service, .. } if service == "lambda" => {
            let payload: Value = serde_json::from_str(&task.payload).ok()?;
            named(payload["FunctionName"].as_str()?)
        }
        Resource::Activity { .. } | Resource::Service { .. } => None,
    }
}
