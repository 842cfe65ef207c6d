//! Starts the watch of a subscription: finds what it asks to watch, counts its memory, and decides
//! which watchers share its payloads.

use std::sync::Arc;

use async_graphql::Request;
use async_graphql::parser::types::ExecutableDocument;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use job::{Filter, Job, JobId, Version};
use resolvers::Caller;
use resolvers::jobs::ListJobs;
use sha2::{Digest, Sha256};

use super::error::{Errors, errors_text, field_errors};
use super::executor::Executor;
use super::held::Held;
use super::limits::{self, TOO_MUCH};
use super::request::credentials::counted_name;
use super::request::plan::{self, Plan, Planned};
use super::request::prepare::Prepared;
use super::response::payload::ExecutedPayload;
use super::schema::subscription::{RequestedWatch, RequestedWatches};
use super::shortcut::{KnownWatch, Shortcuts};
use crate::auth::Authenticated;
use crate::realtime::hub::{ListScope, PayloadGroupKey, Render};
use crate::session::{self, Target, Watch};

/// Approximate memory of one field in a payload that is written directly, in bytes.
const WRITTEN_FIELD_BYTES: usize = 64;
/// Approximate memory of one field in a plan and in the library's document, in bytes.
const PLANNED_FIELD_BYTES: usize = 1024;

impl Executor {
    /// A watch for a subscription.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors.
    pub(super) async fn watch(
        &self,
        found: Authenticated,
        prepared: Prepared,
    ) -> Result<Watch, String> {
        let Prepared {
            request, mut plan, ..
        } = prepared;
        within_bounds(&request, &plan).map_err(|errors| errors.json())?;
        let shortcuts = self.shortcuts.as_ref();
        let written = shortcuts.and_then(|_| Shortcuts::try_payload(&plan));
        let document = plan.take_document();
        let requested = self.requested_watch(&document, &found.caller).await?;
        let bytes = held_bytes(&request, &plan, written.is_some());
        if let (Some(shortcuts), Some(payload)) = (shortcuts, &written)
            && let RequestedWatch::Job { id, after } = requested
            && let Some(known) =
                shortcuts.learn_on_job(&prepared.document, &request, (id, after), payload, bytes)
        {
            return self.watch_known(found, &known);
        }
        let caller = found.caller;
        let (target, scope) = self.target(&caller, requested)?;
        let held = self.hold(&caller, bytes)?;
        let render: Arc<dyn Render> = match written {
            Some(payload) => payload.render(held),
            None => Arc::new(ExecutedPayload {
                held,
                schema: self.schemas.schema.clone(),
                plan,
                document,
                caller,
            }),
        };
        Ok(Watch {
            target,
            group: payload_group(&scope, &request),
            render,
            expires_at: found.expires_at,
        })
    }

    /// A watch of one job by a document that [`Shortcuts`] knows.
    ///
    /// # Errors
    /// A JSON array of GraphQL errors.
    pub(super) fn watch_known(
        &self,
        found: Authenticated,
        known: &KnownWatch,
    ) -> Result<Watch, String> {
        let held = self.hold(&found.caller, known.bytes())?;
        Ok(Watch {
            group: known.group(found.caller.visible_scope()),
            render: known.render(held),
            expires_at: found.expires_at,
            target: self.job_target(found.caller, known.id, known.after),
        })
    }

    /// Executes the subscription's field once, which checks and records its arguments.
    async fn requested_watch(
        &self,
        document: &ExecutableDocument,
        caller: &Caller,
    ) -> Result<RequestedWatch, String> {
        let watches = Arc::new(RequestedWatches::default());
        let mut probe = Request::new("");
        probe.set_parsed_query(document.clone());
        let probe = probe.data(Arc::clone(&watches)).data(caller.clone());
        let mut responses = std::pin::pin!(self.schemas.schema.execute_stream(probe));
        while let Some(response) = responses.next().await {
            if !response.errors.is_empty() {
                return Err(field_errors(&response.errors));
            }
        }
        let mut watches = std::mem::take(&mut *watches.0.lock());
        match (watches.pop(), watches.is_empty()) {
            (Some(watch), true) => Ok(watch),
            (None, _) => Err(errors_text(plan::NO_FIELD, "ValidationError")),
            (Some(_), false) => Err(errors_text(plan::ONE_FIELD, "ValidationError")),
        }
    }

    /// What is watched, and the scope of its payloads: callers with equal scopes see the same.
    ///
    /// For a list the scope includes which jobs the caller sees. For one job this is checked
    /// before its first payload.
    fn target(
        &self,
        caller: &Caller,
        requested: RequestedWatch,
    ) -> Result<(Target, String), String> {
        match requested {
            RequestedWatch::Job { id, after } => {
                let scope = caller.visible_scope().to_owned();
                Ok((self.job_target(caller.clone(), id, after), scope))
            }
            RequestedWatch::Jobs(filter) => {
                let visible = caller
                    .narrow(Filter::default())
                    .map_err(resolvers::Error::from)
                    .map_err(|error| errors_text(&error.to_string(), error.code()))?;
                let scope = serde_json::to_string(&Some(&visible)).expect("a filter is JSON");
                let filter = *filter;
                let target = Target::Jobs {
                    scope: Arc::new(ListScope {
                        filter: filter.clone(),
                        visible,
                    }),
                    page: self.first_page(caller.clone(), filter),
                };
                Ok((target, scope))
            }
        }
    }

    fn job_target(&self, caller: Caller, id: JobId, after: Option<Version>) -> Target {
        Target::Job {
            id,
            after,
            snapshot: self.snapshot(caller, id),
        }
    }

    fn snapshot(
        &self,
        caller: Caller,
        id: JobId,
    ) -> session::BoxFuture<session::ReadResult<Arc<Job>>> {
        let resolvers = self.resolvers.clone();
        Box::pin(async move {
            let job = resolvers.get_job(&caller, id).await;
            let job = job.and_then(|job| job.ok_or(resolvers::Error::NotFound(id)));
            job.map_err(unread)
        })
    }

    fn first_page(&self, caller: Caller, filter: Filter) -> session::ReadPage {
        let resolvers = self.resolvers.clone();
        Arc::new(move || {
            let list = ListJobs {
                filter: filter.clone(),
                limit: i64::try_from(job::limits::LIST_PAGE).unwrap_or(i64::MAX),
                ..ListJobs::default()
            };
            let (resolvers, caller) = (resolvers.clone(), caller.clone());
            Box::pin(async move {
                let page = resolvers.list_jobs(&caller, list).await;
                page.map(|page| page.items).map_err(unread)
            })
        })
    }

    /// Counts the memory of a subscription, if its caller's memory is counted.
    fn hold(&self, caller: &Caller, bytes: usize) -> Result<Option<Held>, String> {
        let held = counted_name(caller).map(|name| self.holdings.take(&name, bytes));
        held.transpose()
            .map_err(|(text, code)| errors_text(&text, code))
    }
}

fn unread(error: resolvers::Error) -> session::Unread {
    session::Unread {
        errors: errors_text(&error.to_string(), error.code()),
        unavailable: matches!(error, resolvers::Error::Unavailable { .. }),
    }
}

/// Refuses a subscription that is over a bound, or does not select exactly one field.
fn within_bounds(request: &wire::Request, plan: &Plan) -> Result<(), Errors> {
    match plan.fields.len() {
        0 => return Err(Errors::one(plan::NO_FIELD, "ValidationError")),
        1 => {}
        _ => return Err(Errors::one(plan::ONE_FIELD, "ValidationError")),
    }
    let variables = request.variables.as_ref();
    let variables = variables.map_or(0, |variables| variables.get().len());
    for (what, bytes) in [("document", request.query.len()), ("variables", variables)] {
        if bytes > limits::SUBSCRIPTION_BYTES {
            let limit = limits::SUBSCRIPTION_BYTES;
            let text = format!(
                "the {what} of a subscription may have {limit} bytes, and this has {bytes}: \
                 shorten it"
            );
            return Err(Errors::one(text, TOO_MUCH));
        }
    }
    let fields = plan.fields[0].count();
    if fields > limits::SUBSCRIPTION_FIELDS {
        let limit = limits::SUBSCRIPTION_FIELDS;
        let text = format!(
            "a subscription may select {limit} fields, and this selects {fields}: select fewer"
        );
        return Err(Errors::one(text, TOO_MUCH));
    }
    Ok(())
}

/// Approximate memory of a subscription, in bytes.
fn held_bytes(request: &wire::Request, plan: &Plan, is_written: bool) -> usize {
    let fields: usize = plan.fields.iter().map(Planned::count).sum();
    let each = if is_written {
        WRITTEN_FIELD_BYTES
    } else {
        PLANNED_FIELD_BYTES
    };
    fields * each + request.query.len()
}

/// The group of watchers with the same scope and the same request. The key is a digest: it is
/// short, and two requests do not share it by chance.
fn payload_group(scope: &str, request: &wire::Request) -> PayloadGroupKey {
    let mut digest = Sha256::new();
    let operation = request.operation_name.as_deref().unwrap_or("");
    let variables = request.variables.as_ref();
    let variables = variables.map_or("", |variables| variables.get());
    for part in [scope, operation, variables, &request.query] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    PayloadGroupKey(URL_SAFE_NO_PAD.encode(digest.finalize()).into())
}
