//! Faster ways with the same results as an execution.
//!
//! | module | what |
//! |---|---|
//! | `payload` | payloads of events, written from what the plan selects |
//! | `on_job` | `onJob` of a document that was executed before |
//! | `publish_job` | `publishJob` of a document that was executed before, alone or as a batch |
//! | `plain_field` | which documents these are |
//!
//! `Executor` asks each `try_*` function in one place, and executes the operation where the
//! function returns `None`. Without this folder, and without these questions, every operation is
//! executed; `Executor::without_shortcuts` is that executor, and tests compare the two.

mod on_job;
mod payload;
#[cfg(test)]
mod payload_tests;
mod plain_field;
mod publish_job;

use std::sync::Arc;

use bytes::Bytes;
use job::{JobId, Version};
use resolvers::Caller;

use super::held::Held;
use super::limits::ANSWER_BYTES;
use super::request::cache::DocumentCache;
use super::request::plan::Plan;
use super::syntax::Document;
use crate::realtime::hub::{PayloadGroupKey, Render};
use crate::realtime::publisher::Publisher;
use on_job::OnJob;
use payload::Payload;
use publish_job::PublishJob;

/// The documents that have a shortcut, by their text.
#[derive(Clone, Default)]
pub(super) struct Shortcuts(Arc<KnownDocuments>);

#[derive(Default)]
struct KnownDocuments {
    publish_job: DocumentCache<Arc<PublishJob>>,
    on_job: DocumentCache<Arc<OnJob>>,
}

/// A watch of one job by a known document.
pub(super) struct KnownWatch {
    /// The job.
    pub(super) id: JobId,
    /// The version that the client has.
    pub(super) after: Option<Version>,
    document: Arc<OnJob>,
}

impl KnownWatch {
    /// Approximate memory of the watch.
    pub(super) fn bytes(&self) -> usize {
        self.document.bytes
    }

    /// The watchers that share its payloads.
    pub(super) fn group(&self, scope: &str) -> PayloadGroupKey {
        self.document.group(scope)
    }

    /// Writes its payloads.
    pub(super) fn render(&self, held: Option<Held>) -> Arc<dyn Render> {
        self.document.payload.render(held)
    }
}

impl Shortcuts {
    /// Publishes the jobs of a request whose document is known. The result is the response as JSON
    /// text; `None`: the request is to be executed.
    pub(super) async fn try_publish_job(
        &self,
        caller: &Caller,
        request: &wire::Request,
        publisher: &Publisher,
    ) -> Option<Bytes> {
        let known = self.0.publish_job.get(&request.query)?;
        caller.may_publish().ok()?;
        let changes = known.read(request)?;
        for change in &changes {
            publisher
                .publish_first(change.old.as_ref(), &change.new)
                .await;
        }
        let body = known
            .response
            .body(changes.iter().map(|change| &*change.new));
        // An execution refuses so large a response. That these versions are published again has no
        // effect.
        (body.len() <= ANSWER_BYTES).then_some(body)
    }

    /// The watch of a request whose document is known; `None`: the request is to be executed.
    pub(super) fn try_on_job(&self, request: &wire::Request) -> Option<KnownWatch> {
        let document = self.0.on_job.get(&request.query)?;
        let (id, after) = document.read(request)?;
        Some(KnownWatch {
            id,
            after,
            document,
        })
    }

    /// Writes the payloads of a subscription from its events; `None`: its plan is to be executed
    /// for each event.
    pub(super) fn try_payload(plan: &Plan) -> Option<Arc<Payload>> {
        Payload::of(plan).map(Arc::new)
    }

    /// Remembers a document that was executed without an error, if it only publishes jobs.
    pub(super) fn learn_publish_job(&self, document: &Document, request: &wire::Request) {
        if request.query.contains(publish_job::FIELD)
            && let Some(known) = PublishJob::of(document, request.operation_name.as_deref())
        {
            self.0.publish_job.insert(&request.query, Arc::new(known));
        }
    }

    /// Remembers a document that was executed without an error, if it only watches one job. The
    /// result is the watch of this request.
    pub(super) fn learn_on_job(
        &self,
        document: &Document,
        request: &wire::Request,
        (id, after): (JobId, Option<Version>),
        payload: &Arc<Payload>,
        bytes: usize,
    ) -> Option<KnownWatch> {
        let document = Arc::new(OnJob::of(document, request, payload, bytes)?);
        self.0.on_job.insert(&request.query, Arc::clone(&document));
        Some(KnownWatch {
            id,
            after,
            document,
        })
    }
}
