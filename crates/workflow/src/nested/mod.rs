//! Executions that Task states start: they are started, waited for, and stopped when their task is
//! cancelled. What starting means is in `start`.

mod order;

use std::collections::HashMap;
use std::sync::Arc;

use asl::Pattern;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use self::order::{NestedExecutions, NestedRequest};
use crate::Engine;
use crate::task::{Responder, TaskKey, TaskRequest};

/// The tasks that wait for an execution, with its ARN once it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nested(Arc<Mutex<HashMap<TaskKey, Waiting>>>);

#[derive(Debug)]
struct Waiting {
    responder: Responder,
    arn: Option<String>,
}

impl Nested {
    /// Starts the execution of a task, and waits for its end when the pattern says so.
    pub(crate) fn start(&self, request: TaskRequest, responder: Responder, pattern: Pattern) {
        let waits = matches!(pattern, Pattern::Sync | Pattern::Sync2);
        if waits {
            let waiting = Waiting {
                responder: responder.clone(),
                arn: None,
            };
            self.0.lock().insert(request.key, waiting);
        }
        let nested = self.clone();
        tokio::spawn(async move {
            nested.run(&request, &responder, pattern).await;
            nested.0.lock().remove(&request.key);
        });
    }

    async fn run(&self, request: &TaskRequest, responder: &Responder, pattern: Pattern) {
        let Some(engine) = Engine::of(responder) else {
            return;
        };
        let executions = NestedExecutions(engine);
        let nested = match NestedRequest::read(&request.task.payload) {
            Ok(nested) => nested,
            Err(error) => {
                return responder.failed(
                    "States.Runtime",
                    format!("the parameters of states:startExecution cannot be read: {error}"),
                );
            }
        };
        let started = executions
            .start(&nested, &own_name(request), request.again)
            .await;
        let execution = match started {
            Ok(execution) => execution,
            // The task is done again after the start.
            Err(_) if executions.0.is_closed() => return,
            Err((error, cause)) => {
                responder.started(None);
                return responder.failed(error, cause);
            }
        };
        responder.started(None);
        let accepted = json::write(&execution.accepted).into();
        let parsed = match pattern {
            Pattern::RequestResponse => return responder.succeeded(accepted),
            Pattern::WaitForTaskToken => return responder.submitted(accepted),
            Pattern::Sync => false,
            Pattern::Sync2 => true,
        };
        responder.submitted(accepted);
        let waits = match self.0.lock().get_mut(&request.key) {
            Some(waiting) => {
                waiting.arn = Some(execution.arn.clone());
                true
            }
            None => false,
        };
        if !waits {
            // Cancelled while it was being started.
            return executions.stop(&execution.arn).await;
        }
        match executions.end(&execution.arn, parsed).await {
            Ok(Ok(result)) => responder.succeeded(json::write(&result).into()),
            Ok(Err((error, cause))) => responder.failed(error, cause),
            // The engine stops: the task is done again after the start.
            Err(_) => {}
        }
    }

    /// Stops the execution that a task waited for.
    pub(crate) fn cancel(&self, key: TaskKey) {
        let Some(waiting) = self.0.lock().remove(&key) else {
            return;
        };
        let (Some(arn), Some(engine)) = (waiting.arn, Engine::of(&waiting.responder)) else {
            return;
        };
        tokio::spawn(async move { NestedExecutions(engine).stop(&arn).await });
    }
}

/// The same task attempt always names the same execution.
fn own_name(request: &TaskRequest) -> String {
    let mut hash = Sha256::new();
    hash.update(request.machine.as_bytes());
    hash.update([0]);
    hash.update(request.execution.as_bytes());
    hash.update(request.key.execution.to_be_bytes());
    hash.update(request.key.task.0.to_be_bytes());
    let hash = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}
