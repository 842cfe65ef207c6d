//! Runs GraphQL requests: for HTTP, and for the sessions of the real-time doors.

use std::sync::Arc;

use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql::{Request, Response};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use job::{Filter, Job};
use resolvers::jobs::{ListJobs, now};
use resolvers::{Caller, Resolvers};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use wire::Refusal;

use crate::auth::{AuthError, Authenticated, Authenticator, Credentials};
use crate::graphql::Schemas;
use crate::graphql::held::{Held, Holdings};
use crate::graphql::request::bounds::{self, COMPLEXITY, TOKENS, TOO_MUCH};
use crate::graphql::request::plan::{self, Plan, Planned};
use crate::graphql::request::syntax::Document;
use crate::graphql::request::validated::{Documents, Lately};
use crate::graphql::request::{variables, weight};
use crate::graphql::response::allowance::{self, Allowance};
use crate::graphql::response::error::{self, Errors, errors_text, field_errors};
use crate::graphql::schema::JobSchema;
use crate::graphql::schema::subscription::{Wanted, Wish};
use crate::graphql::schema::types::TYPES;
use crate::graphql::shortcut::on_job::{OnJob, WatchedJob};
use crate::graphql::shortcut::payload::Projection;
use crate::graphql::shortcut::publish_job::{PUBLISH, Publishing};
use crate::realtime::hub::{Event, PayloadGroupKey, Render};
use crate::session::{self, Authorized, Started, Target, Watch};

/// Executes for everybody.
#[derive(Clone)]
pub struct Executor {
    schemas: Schemas,
    documents: Arc<Documents>,
    holdings: Holdings,
    /// Documents that only publish, by their text.
    publishing: Arc<Lately<Arc<Publishing>>>,
    /// Documents that only watch one job, by their text.
    on_job: Arc<Lately<Arc<OnJob>>>,
    resolvers: Resolvers,
    auth: Arc<Authenticator>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Executor")
    }
}

/// Whether a request may change anything: with GET it may not (GraphQL over HTTP, "GET").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Any operation may be executed.
    Allowed,
    /// A mutation is refused, at every door.
    Refused,
}

/// What became of a request over HTTP; its status depends on it (GraphQL over HTTP, "Status codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed, with or without errors of its fields.
    Executed,
    /// It was refused before its execution.
    Refused,
    /// It is a mutation, and [`Changes::Refused`].
    MutationOverGet,
}

/// The answer to a request over HTTP.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The JSON text.
    pub body: Bytes,
    /// What became of the request.
    pub outcome: Outcome,
}

impl HttpAnswer {
    fn refused(outcome: Outcome, errors: &str) -> HttpAnswer {
        HttpAnswer {
            body: format!(r#"{{"errors":{errors}}}"#).into(),
            outcome,
        }
    }
}

impl Executor {
    /// Over this schema.
    pub fn new(schemas: Schemas, resolvers: Resolvers, auth: Arc<Authenticator>) -> Executor {
        Executor {
            schemas,
            documents: Arc::default(),
            holdings: Holdings::default(),
            publishing: Arc::default(),
            on_job: Arc::default(),
            resolvers,
            auth,
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
    ) -> Result<Authenticated, AuthError> {
        self.auth.authenticate(credentials, now()).await
    }

    /// Executes a query or, where changes are allowed, a mutation. A subscription is refused: it needs a streaming door.
    pub async fn execute(
        &self,
        caller: Caller,
        request: wire::Request,
        changes: Changes,
    ) -> HttpAnswer {
        if changes == Changes::Allowed
            && let Some(answer) = self.publish(&caller, &request).await
        {
            return answer;
        }
        let door = Door {
            changes,
            streams: false,
        };
        let (request, prepared) = self.prepare(request, door).await;
        match prepared {
            Ok(prepared) => HttpAnswer {
                body: self
                    .answer(request, prepared, caller, &Arc::default())
                    .await,
                outcome: Outcome::Executed,
            },
            Err(refused) => refused.into(),
        }
    }

    /// Executes requests one after the other, and answers them with a list. What one request may ask for they may ask for together: a
    /// batch over a bound is refused before anything of it is executed.
    pub async fn execute_batch(&self, caller: Caller, requests: Vec<wire::Request>) -> HttpAnswer {
        let refuse = |message: String, code| {
            HttpAnswer::refused(Outcome::Refused, &errors_text(&message, code))
        };
        if requests.is_empty() || requests.len() > bounds::BATCH {
            let text = format!(
                "a batch has from 1 to {} requests, and this one has {}",
                bounds::BATCH,
                requests.len()
            );
            return refuse(text, "BadRequest");
        }
        let door = Door {
            changes: Changes::Allowed,
            streams: false,
        };
        let mut all = Vec::with_capacity(requests.len());
        let (mut cost, mut tokens) = (0_usize, 0_usize);
        for request in requests {
            let (request, prepared) = self.prepare(request, door).await;
            if let Ok(prepared) = &prepared {
                cost = cost.saturating_add(prepared.cost);
                tokens += prepared.document.tokens;
            }
            all.push((request, prepared));
        }
        if cost > COMPLEXITY {
            return refuse(
                format!("the requests of the batch together: {}", too_complex()),
                TOO_MUCH,
            );
        }
        if tokens > TOKENS {
            let text =
                format!("the documents of the batch have more than {TOKENS} tokens: split it");
            return refuse(text, TOO_MUCH);
        }
        let allowance = Arc::default();
        let mut body = b"[".to_vec();
        for (at, (request, prepared)) in all.into_iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            let answer = match prepared {
                Ok(prepared) => {
                    self.answer(request, prepared, caller.clone(), &allowance)
                        .await
                }
                Err(refused) => HttpAnswer::from(refused).body,
            };
            body.extend_from_slice(&answer);
        }
        body.push(b']');
        HttpAnswer {
            body: body.into(),
            outcome: Outcome::Executed,
        }
    }

    /// The answer to a request that publishes as one did before it; `None`: it is to be executed.
    async fn publish(&self, caller: &Caller, request: &wire::Request) -> Option<HttpAnswer> {
        let publishing = self.publishing.get(&request.query)?;
        caller.may_publish().ok()?;
        let change = publishing.read(request)?;
        let publisher = &self.schemas.publisher;
        publisher
            .publish_first(change.old.as_ref(), &change.new)
            .await;
        Some(HttpAnswer {
            body: publishing.answer.body(&change.new),
            outcome: Outcome::Executed,
        })
    }

    /// Starts an operation of any kind, where changes are allowed.
    ///
    /// # Errors
    /// A mutation where they are not: the answer, whatever the door.
    pub async fn begin(
        &self,
        found: Authenticated,
        request: wire::Request,
        changes: Changes,
    ) -> Result<Started, HttpAnswer> {
        if let Some(known) = self.on_job.get(&request.query)
            && let Some(watched) = known.read(&request)
        {
            let watch = self.watch_job(found, watched, &known);
            return Ok(watch.map_or_else(Started::Invalid, Started::Watch));
        }
        // In a box, for it is large, and most watchers come with a document that is known.
        Box::pin(self.begin_unknown(found, request, changes)).await
    }

    async fn begin_unknown(
        &self,
        found: Authenticated,
        request: wire::Request,
        changes: Changes,
    ) -> Result<Started, HttpAnswer> {
        let door = Door {
            changes,
            streams: true,
        };
        let (request, prepared) = self.prepare(request, door).await;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(Refused::Request(errors)) => return Ok(Started::Invalid(errors.json())),
            Err(refused @ Refused::MutationOverGet) => return Err(refused.into()),
        };
        if prepared.plan.kind != OperationType::Subscription {
            let allowance = Arc::default();
            let answer = self.answer(request, prepared, found.caller, &allowance);
            return Ok(Started::Single(answer.await));
        }
        Ok(match self.watch(found, &request, prepared).await {
            Ok(watch) => Started::Watch(watch),
            Err(errors) => Started::Invalid(errors),
        })
    }

    /// Looks at a request before its execution. A large one does not hold up others meanwhile.
    async fn prepare(
        &self,
        request: wire::Request,
        door: Door,
    ) -> (wire::Request, Result<Prepared, Refused>) {
        let variables = request.variables.as_ref();
        let bytes = request.query.len() + variables.map_or(0, |variables| variables.get().len());
        if bytes < LARGE_BYTES {
            let prepared = self.prepared(&request, door);
            return (request, prepared);
        }
        let executor = self.clone();
        let large = tokio::task::spawn_blocking(move || {
            let prepared = executor.prepared(&request, door);
            (request, prepared)
        });
        large
            .await
            .expect("it does not panic, and nothing aborts it")
    }

    fn prepared(&self, request: &wire::Request, door: Door) -> Result<Prepared, Refused> {
        let document = self.documents.get(&request.query)?;
        let name = request.operation_name.as_deref();
        let Some(operation) = document.operation(name) else {
            return Err(Errors::one(no_operation(&document, name), "BadRequest").into());
        };
        match operation.kind {
            OperationType::Mutation if door.changes == Changes::Refused => {
                return Err(Refused::MutationOverGet);
            }
            OperationType::Subscription if !door.streams => {
                let text = "a subscription needs a stream: connect with WebSocket, or ask with Accept: text/event-stream";
                return Err(Errors::one(text, "OperationNotSupported").into());
            }
            _ => {}
        }
        let variables = variables::coerce(request.variables.as_deref(), operation, &TYPES);
        let variables = variables.map_err(|(message, code)| Errors::one(message, code))?;
        let plan = Plan::of(&document, operation, &variables, &TYPES);
        let plan = plan.map_err(|message| Errors::one(message, "BadRequest"))?;
        let cost = weight::of(&plan);
        if cost > COMPLEXITY {
            return Err(Errors::one(too_complex(), TOO_MUCH).into());
        }
        Ok(Prepared {
            document,
            plan,
            cost,
        })
    }

    /// Executes a query or a mutation.
    async fn answer(
        &self,
        request: wire::Request,
        prepared: Prepared,
        caller: Caller,
        allowance: &Arc<Allowance>,
    ) -> Bytes {
        let Prepared {
            document, mut plan, ..
        } = prepared;
        let mut graphql = Request::new("").data(caller).data(Arc::clone(allowance));
        graphql.set_parsed_query(plan.take_document());
        let response = if plan.fields.is_empty() {
            Response::default()
        } else {
            self.schemas.schema.execute(graphql).await
        };
        if allowance.is_over() {
            let errors = errors_text(&allowance::too_large(), "PayloadTooLarge");
            return format!(r#"{{"data":null,"errors":{errors}}}"#).into();
        }
        if response.errors.is_empty()
            && request.query.contains(PUBLISH)
            && let Some(publishing) = Publishing::of(&document, request.operation_name.as_deref())
        {
            self.publishing.keep(&request.query, Arc::new(publishing));
        }
        error::executed(&plan, &response).into()
    }

    async fn watch(
        &self,
        found: Authenticated,
        request: &wire::Request,
        prepared: Prepared,
    ) -> Result<Watch, String> {
        let refuse = |error: resolvers::Error| errors_text(&error.to_string(), error.code());
        let mut plan = prepared.plan;
        within_a_subscription(request, &plan).map_err(|errors| errors.json())?;
        let wish = Arc::new(Wish::default());
        let projection = Projection::of(&plan).map(Arc::new);
        let document = plan.take_document();
        let mut probe = Request::new("");
        probe.set_parsed_query(document.clone());
        let probe = probe.data(Arc::clone(&wish)).data(found.caller.clone());
        let mut answers = std::pin::pin!(self.schemas.schema.execute_stream(probe));
        while let Some(answer) = answers.next().await {
            if !answer.errors.is_empty() {
                return Err(field_errors(&answer.errors));
            }
        }
        let mut wanted = std::mem::take(&mut *wish.0.lock());
        let wanted = match (wanted.pop(), wanted.is_empty()) {
            (Some(wanted), true) => wanted,
            (None, _) => return Err(errors_text(plan::NO_FIELD, "ValidationError")),
            (Some(_), false) => return Err(errors_text(plan::ONE_FIELD, "ValidationError")),
        };
        let bytes = held_bytes(request, &plan, projection.is_some());
        if let Wanted::Job { id, after } = wanted
            && let Some(projection) = &projection
            && let Some(known) = OnJob::of(&prepared.document, request, projection, bytes)
        {
            let known = Arc::new(known);
            self.on_job.keep(&request.query, Arc::clone(&known));
            return self.watch_job(found, (id, after), &known);
        }
        let caller = found.caller;
        let visible = caller.narrow(Filter::default()).ok();
        let target = match wanted {
            Wanted::Job { id, after } => Target::Job {
                id,
                after,
                snapshot: self.snapshot(caller.clone(), id),
            },
            Wanted::Jobs(filter) => {
                let visible = caller.narrow(Filter::default()).map_err(refuse)?;
                let scope = Arc::new(crate::realtime::hub::ListScope {
                    filter: (*filter).clone(),
                    visible,
                });
                let (resolvers, caller) = (self.resolvers.clone(), caller.clone());
                Target::Jobs {
                    scope,
                    page: Arc::new(move || {
                        let list = ListJobs {
                            filter: (*filter).clone(),
                            limit: i64::try_from(job::limits::LIST_PAGE).unwrap_or(i64::MAX),
                            ..ListJobs::default()
                        };
                        let (resolvers, caller) = (resolvers.clone(), caller.clone());
                        Box::pin(async move {
                            let page = resolvers.list_jobs(&caller, list).await;
                            page.map(|page| page.items).map_err(unread)
                        })
                    }),
                }
            }
        };
        // What a caller sees of the payload is its scope's; which jobs it sees is part of the key for lists, and for one job it is
        // checked before the first payload.
        let scope = match &target {
            Target::Job { .. } => caller.visible_scope().to_owned(),
            Target::Jobs { .. } => serde_json::to_string(&visible).expect("a filter is JSON"),
        };
        let held = self.hold(&caller, bytes)?;
        let render: Arc<dyn Render> = match projection {
            Some(projection) => projection.shared(held),
            None => Arc::new(Renderer {
                held,
                schema: self.schemas.schema.clone(),
                plan,
                document,
                caller,
            }),
        };
        Ok(Watch {
            target,
            group: group_of(&scope, request),
            render,
            expires_at: found.expires_at,
        })
    }

    /// A watch of one job, by a document of which all is known.
    fn watch_job(
        &self,
        found: Authenticated,
        (id, after): WatchedJob,
        known: &OnJob,
    ) -> Result<Watch, String> {
        let held = self.hold(&found.caller, known.bytes)?;
        Ok(Watch {
            group: known.group(found.caller.visible_scope()),
            render: known.projection.shared(held),
            expires_at: found.expires_at,
            target: Target::Job {
                id,
                after,
                snapshot: self.snapshot(found.caller, id),
            },
        })
    }

    /// Counts what a subscription holds in memory, where that is counted.
    fn hold(&self, caller: &Caller, bytes: usize) -> Result<Option<Held>, String> {
        let name = connections_of(caller);
        let held = name.map(|name| self.holdings.take(&name, bytes));
        held.transpose()
            .map_err(|(text, code)| errors_text(&text, code))
    }

    fn snapshot(
        &self,
        caller: Caller,
        id: job::JobId,
    ) -> session::BoxFuture<session::ReadResult<Arc<Job>>> {
        let resolvers = self.resolvers.clone();
        Box::pin(async move {
            let job = resolvers.get_job(&caller, id).await;
            let job = job.and_then(|job| job.ok_or(resolvers::Error::NotFound(id)));
            job.map_err(unread)
        })
    }
}

#[async_trait]
impl session::Executor for Executor {
    type Caller = Authenticated;

    async fn authorize(
        &self,
        credentials: session::Credentials,
    ) -> Result<Authorized<Authenticated>, Refusal> {
        let headers = &credentials.parts.headers;
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let mut authorization = header("authorization");
        let mut api_key = header("x-api-key");
        for object in [&credentials.appsync, &credentials.init]
            .into_iter()
            .flatten()
        {
            let (other, key) = carried(object);
            authorization = other.or(authorization);
            api_key = key.or(api_key);
        }
        let found = self.authenticate(Credentials {
            authorization: authorization.as_deref(),
            api_key: api_key.as_deref(),
        });
        let found = found.await;
        let found = found.map_err(|error| match error {
            AuthError::Expired => Refusal::Expired(error.to_string()),
            AuthError::Missing | AuthError::Invalid => Refusal::Unauthorized(error.to_string()),
            AuthError::Unavailable => Refusal::Busy(error.to_string()),
        })?;
        Ok(Authorized {
            name: connections_of(&found.caller),
            expires_at: found.expires_at,
            caller: Arc::new(found),
        })
    }

    async fn start(&self, caller: Option<Arc<Authenticated>>, request: wire::Request) -> Started {
        let found = match &request.authorization {
            Some(authorization) => {
                let (authorization, api_key) = carried(&authorization.header);
                self.authenticate(Credentials {
                    authorization: authorization.as_deref(),
                    api_key: api_key.as_deref(),
                })
                .await
            }
            None => caller
                .map(|caller| (*caller).clone())
                .ok_or(AuthError::Expired),
        };
        match found {
            Ok(found) => match self.begin(found, request, Changes::Allowed).await {
                Ok(started) => started,
                Err(_) => unreachable!("changes are allowed"),
            },
            Err(error) => Started::Invalid(errors_text(&error.to_string(), error.code())),
        }
    }
}

fn unread(error: resolvers::Error) -> session::Unread {
    session::Unread {
        errors: errors_text(&error.to_string(), error.code()),
        unavailable: matches!(error, resolvers::Error::Unavailable { .. }),
    }
}

/// Whose connections are counted together. Without authentication everybody is the same `dev`, whom nothing is kept from.
pub fn connections_of(caller: &Caller) -> Option<Arc<str>> {
    (*caller != Caller::dev()).then(|| caller.subject.as_str().into())
}

/// The credentials in an object such as AppSync's header or the payload of `connection_init`; names in any letter case.
fn carried(object: &RawValue) -> (Option<String>, Option<String>) {
    let Ok(fields) =
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(object.get())
    else {
        return (None, None);
    };
    let field = |wanted: &[&str]| {
        let found = fields.iter().find(|(name, _)| {
            wanted
                .iter()
                .any(|wanted| name.eq_ignore_ascii_case(wanted))
        });
        found
            .and_then(|(_, value)| value.as_str())
            .map(str::to_owned)
    };
    (field(&["authorization"]), field(&["x-api-key", "apiKey"]))
}

/// Executes one subscription's plan on events: what [`Projection`] leaves to the library.
pub(super) struct Renderer {
    pub(super) schema: JobSchema,
    pub(super) plan: Plan,
    /// The plan for the library.
    pub(super) document: ExecutableDocument,
    pub(super) caller: Caller,
    /// The memory that it takes, where that is counted.
    #[expect(dead_code, reason = "it counts until it is dropped")]
    pub(super) held: Option<Held>,
}

#[async_trait]
impl Render for Renderer {
    async fn render(&self, event: Event) -> Bytes {
        let allowance = Arc::<Allowance>::default();
        let mut request = Request::new("")
            .data(event)
            .data(self.caller.clone())
            .data(Arc::clone(&allowance));
        request.set_parsed_query(self.document.clone());
        let response = self
            .schema
            .execute_stream(request)
            .next()
            .map(Option::unwrap_or_default)
            .await;
        error::executed(&self.plan, &response).into()
    }
}

/// Size in bytes of a document with its variables from which on they are read beside the workers.
const LARGE_BYTES: usize = 32 * 1024;

/// What the door of a request allows.
#[derive(Clone, Copy)]
struct Door {
    changes: Changes,
    /// Whether it carries subscriptions.
    streams: bool,
}

/// A valid request.
struct Prepared {
    document: Arc<Document>,
    plan: Plan,
    cost: usize,
}

/// A request that is not executed.
enum Refused {
    Request(Errors),
    MutationOverGet,
}

impl From<Errors> for Refused {
    fn from(errors: Errors) -> Self {
        Refused::Request(errors)
    }
}

impl From<Refused> for HttpAnswer {
    fn from(refused: Refused) -> HttpAnswer {
        match refused {
            Refused::Request(errors) => HttpAnswer::refused(Outcome::Refused, &errors.json()),
            Refused::MutationOverGet => {
                let errors = errors_text("a mutation must be sent with POST", "MutationOverGet");
                HttpAnswer::refused(Outcome::MutationOverGet, &errors)
            }
        }
    }
}

fn no_operation(document: &Document, name: Option<&str>) -> &'static str {
    match (name, document.operations.len()) {
        (None, 0) => "the document has no operation: only fragments",
        (None, _) => "Missing operation name.",
        (Some(_), _) => "the document has no operation of that name",
    }
}

fn too_complex() -> String {
    format!(
        "the request asks for too much: each field counts 1 or its weight, in a page as often as it may have items, and the limit is {COMPLEXITY}"
    )
}

/// Refuses a subscription that is over a bound of its own, or does not select one field.
fn within_a_subscription(request: &wire::Request, plan: &Plan) -> Result<(), Errors> {
    match plan.fields.len() {
        0 => return Err(Errors::one(plan::NO_FIELD, "ValidationError")),
        1 => {}
        _ => return Err(Errors::one(plan::ONE_FIELD, "ValidationError")),
    }
    let variables = request.variables.as_ref();
    let variables = variables.map_or(0, |variables| variables.get().len());
    for (what, bytes) in [("document", request.query.len()), ("variables", variables)] {
        if bytes > bounds::SUBSCRIPTION_BYTES {
            let limit = bounds::SUBSCRIPTION_BYTES;
            let text = format!(
                "the {what} of a subscription may have {limit} bytes, and this has {bytes}: shorten it"
            );
            return Err(Errors::one(text, TOO_MUCH));
        }
    }
    let fields = plan.fields[0].count();
    if fields > bounds::SUBSCRIPTION_FIELDS {
        let limit = bounds::SUBSCRIPTION_FIELDS;
        let text = format!(
            "a subscription may select {limit} fields, and this selects {fields}: select fewer"
        );
        return Err(Errors::one(text, TOO_MUCH));
    }
    Ok(())
}

/// About what one field takes in a projection.
const PROJECTED_BYTES: usize = 64;
/// About what one field takes in a plan and in the library's document.
const PLANNED_BYTES: usize = 1024;

/// About what a subscription holds in memory.
fn held_bytes(request: &wire::Request, plan: &Plan, is_projected: bool) -> usize {
    let fields: usize = plan.fields.iter().map(Planned::count).sum();
    let each = if is_projected {
        PROJECTED_BYTES
    } else {
        PLANNED_BYTES
    };
    fields * each + request.query.len()
}

/// The same for watchers of the same scope who sent the same request: a digest, which is short and which nobody can meet by chance.
fn group_of(scope: &str, request: &wire::Request) -> PayloadGroupKey {
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
