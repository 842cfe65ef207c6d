//! Invocations by the cloud's own parts, and the API of event source mappings.

use std::sync::Arc;

use http::Request;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use workflow::lambda::function_name;

use super::inner::{Bytes, FailedEvent, Inner, now};
use crate::mapping::config::{ApiError, SourceKind};
use crate::mapping::registry::Mapping;
use crate::mapping::shard::Ended;

impl Inner {
    /// Invokes a function and waits for its outcome. A kill ends the function's process, as the
    /// host does when its caller leaves.
    pub(super) async fn invoke(&self, function: &str, event: &Value, records: usize) -> Ended {
        let name = function_name(function);
        self.counts.invoked(name, records);
        let (id, killed) = self.faults.begin(name);
        let after = self.faults.take_kill(name);
        let dies = async {
            match after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = self.request_invocation(name, event) => ended,
            () = killed.cancelled() => Ended::FunctionError,
            () = dies => Ended::FunctionError,
        };
        self.faults.end(id);
        ended
    }

    async fn request_invocation(&self, name: &str, event: &Value) -> Ended {
        let request = Request::post(format!("/2015-03-31/functions/{name}/invocations"))
            .header("content-type", "application/json")
            .body(Bytes::from(event.to_string()));
        let request = request.expect("a name has no characters that an address cannot have");
        match self.forward(self.internal, request).await {
            Ok((answer, _)) if !answer.status().is_success() => Ended::NotInvoked,
            Ok((answer, _)) if answer.headers().contains_key("x-amz-function-error") => {
                Ended::FunctionError
            }
            Ok((_, body)) => Ended::Answered(body.to_vec()),
            Err(error) => {
                tracing::debug!(%error, name, "an invocation was not answered");
                Ended::FunctionError
            }
        }
    }

    /// Invokes a function asynchronously: twice more if it fails, then the event is given up.
    pub(super) async fn deliver(&self, function: &str, event: Value, records: usize) {
        let retries = self.timing.event_retries;
        for delay in retries.map(Some).into_iter().chain([None]) {
            let mut refused = 0;
            loop {
                match self.invoke(function, &event, records).await {
                    Ended::Answered(_) => return,
                    Ended::FunctionError => break,
                    // It waits in Lambda's own queue, which is no attempt.
                    Ended::NotInvoked if refused < 100 => {
                        refused += 1;
                        tokio::time::sleep(retries[0]).await;
                    }
                    Ended::NotInvoked => break,
                }
            }
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => break,
            }
        }
        tracing::warn!(function, "an event was given up after all retries");
        let function = function.to_owned();
        self.failed.lock().push(FailedEvent { function, event });
    }

    pub(super) fn create_mapping(self: &Arc<Self>, request: &Value) -> Result<Value, ApiError> {
        let mapping = {
            let uuid = self.uuid();
            let mut mappings = self.mappings.lock();
            let exists = |arn: &str| self.exists(arn);
            mappings.create(request, uuid, now(), exists)?.clone()
        };
        if let Some(destination) = &mapping.config.on_failure
            && !self.queues.lock().exists(destination)
        {
            let _ = self.mappings.lock().delete(&mapping.uuid);
            return Err(ApiError::invalid(format!(
                "localcloud sends failed batches to queues only, and there is no queue \
                 {destination}"
            )));
        }
        let shown = mapping.shown(&self.scope);
        self.run_mapping(mapping);
        Ok(shown)
    }

    fn exists(&self, arn: &str) -> bool {
        match SourceKind::of(arn) {
            Some(SourceKind::DynamoDb) => {
                let table = arn
                    .split(":table/")
                    .nth(1)
                    .and_then(|rest| rest.split('/').next());
                table.is_some_and(|table| self.stream_arn(table).as_deref() == Some(arn))
            }
            Some(SourceKind::Sqs | SourceKind::SqsFifo) => self.queues.lock().exists(arn),
            Some(SourceKind::Kinesis) | None => false,
        }
    }

    fn run_mapping(self: &Arc<Self>, mapping: Mapping) {
        self.mappings.lock().settle(&mapping.uuid);
        let stop = CancellationToken::new();
        let old = self
            .running
            .lock()
            .insert(mapping.uuid.clone(), stop.clone());
        if let Some(old) = old {
            old.cancel();
        }
        let inner = Arc::clone(self);
        let is_stream = mapping.config.kind.is_stream();
        self.spawn(async move {
            let work = async {
                if is_stream {
                    super::streams::drive(&inner, &mapping).await;
                } else {
                    super::queues::drive(&inner, &mapping).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// The API of mappings; the answer's status and body.
    pub(super) fn handle_mappings(
        self: &Arc<Self>,
        operation: &str,
        uuid: &str,
        request: &Value,
    ) -> Result<(u16, Value), ApiError> {
        match operation {
            "CreateEventSourceMapping" => Ok((202, self.create_mapping(request)?)),
            "GetEventSourceMapping" => {
                Ok((200, self.mappings.lock().find(uuid)?.shown(&self.scope)))
            }
            "UpdateEventSourceMapping" => {
                let mapping = self.mappings.lock().update(uuid, request, now())?.clone();
                let shown = mapping.shown(&self.scope);
                self.run_mapping(mapping);
                Ok((202, shown))
            }
            "DeleteEventSourceMapping" => {
                let deleted = self.mappings.lock().delete(uuid)?;
                if let Some(stop) = self.running.lock().remove(uuid) {
                    stop.cancel();
                }
                Ok((202, deleted.shown(&self.scope)))
            }
            _ => {
                let mappings = self.mappings.lock();
                let all = mappings.all().iter().map(|one| one.shown(&self.scope));
                Ok((200, json!({"EventSourceMappings": all.collect::<Vec<_>>()})))
            }
        }
    }

    /// Whether a mapping reads its source now.
    pub(super) fn reads(&self, mapping: &Mapping) -> bool {
        let enabled = self
            .mappings
            .lock()
            .find(&mapping.uuid)
            .is_ok_and(|one| one.state == "Enabled");
        enabled && !self.faults.is_paused(&mapping.config.source)
    }
}
