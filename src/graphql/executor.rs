//! Runs GraphQL requests: for HTTP, and for the sessions of the real-time doors.

use std::sync::Arc;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Request, Response, Variables};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use job::{Filter, Job};
use resolvers::jobs::{ListJobs, now};
use resolvers::{Caller, Resolvers};
use serde_json::value::RawValue;
use wire::Refusal;

use super::document;
use super::documents::{Documents, Lately};
use super::error::{errors_text, response_bytes, response_errors};
use super::projection::Projection;
use super::publishing::{PUBLISH, Publishing};
use super::subscription::{Wanted, Wish};
use super::validated::{self, Validated};
use super::{JobSchema, Schemas};
use crate::auth::{AuthError, Authenticated, Authenticator, Credentials};
use crate::hub::{Event, GroupKey, Render};
use crate::session::{self, Authorized, Started, Target, Watch};

/// Executes for everybody.
#[derive(Clone)]
pub struct Executor {
    schemas: Schemas,
    documents: Arc<Documents>,
    validated: Arc<Validated>,
    /// Documents that only publish, by their text.
    publishing: Arc<Lately<Arc<Publishing>>>,
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

    fn mutation_over_get() -> HttpAnswer {
        let errors = errors_text("a mutation must be sent with POST", "MutationOverGet");
        HttpAnswer::refused(Outcome::MutationOverGet, &errors)
    }
}

impl Executor {
    /// Over this schema.
    pub fn new(schemas: Schemas, resolvers: Resolvers, auth: Arc<Authenticator>) -> Executor {
        Executor {
            schemas,
            documents: Arc::default(),
            validated: Arc::default(),
            publishing: Arc::default(),
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
        request: &wire::Request,
        changes: Changes,
    ) -> HttpAnswer {
        if changes == Changes::Allowed
            && let Some(answer) = self.publish(&caller, request).await
        {
            return answer;
        }
        let refuse = |message: &str, code: &str| {
            HttpAnswer::refused(Outcome::Refused, &errors_text(message, code))
        };
        let (document, variables) = match self.parse(request) {
            Ok(parsed) => parsed,
            Err(errors) => return HttpAnswer::refused(Outcome::Refused, &errors),
        };
        match operation_type(&document, request.operation_name.as_deref()) {
            Err(message) => return refuse(message, "BadRequest"),
            Ok(OperationType::Subscription) => {
                return refuse(
                    "a subscription needs a stream: connect with WebSocket, or ask with Accept: text/event-stream",
                    "OperationNotSupported",
                );
            }
            Ok(OperationType::Mutation) if changes == Changes::Refused => {
                return HttpAnswer::mutation_over_get();
            }
            Ok(_) => {}
        }
        let variables = match variables {
            Ok(variables) => variables,
            Err(message) => return refuse(&message, "BadRequest"),
        };
        let response = self.answer(request, document, variables, caller).await;
        let executed = was_executed(&response);
        // As it was sent: what this request left out another one may have.
        if response.errors.is_empty()
            && request.query.contains(PUBLISH)
            && let Ok(document) = self.documents.parse(&request.query)
            && let Some(publishing) = Publishing::of(&document, request.operation_name.as_deref())
        {
            self.publishing.keep(&request.query, Arc::new(publishing));
        }
        HttpAnswer {
            body: response_bytes(&response, executed),
            outcome: if executed {
                Outcome::Executed
            } else {
                Outcome::Refused
            },
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
        if changes == Changes::Refused
            && let Ok((document, _)) = self.parse(&request)
            && operation_type(&document, request.operation_name.as_deref())
                == Ok(OperationType::Mutation)
        {
            return Err(HttpAnswer::mutation_over_get());
        }
        Ok(self.start_any(found, request).await)
    }

    async fn start_any(&self, found: Authenticated, request: wire::Request) -> Started {
        let (document, variables) = match self.parse(&request) {
            Ok(parsed) => parsed,
            Err(errors) => return Started::Invalid(errors),
        };
        match operation_type(&document, request.operation_name.as_deref()) {
            Err(message) => return Started::Invalid(errors_text(message, "BadRequest")),
            Ok(OperationType::Subscription) => {}
            Ok(OperationType::Query | OperationType::Mutation) => {
                let answer = match variables {
                    Ok(variables) => {
                        self.answer(&request, document, variables, found.caller)
                            .await
                    }
                    Err(message) => return Started::Invalid(errors_text(&message, "BadRequest")),
                };
                if !was_executed(&answer) {
                    return Started::Invalid(response_errors(&answer));
                }
                return Started::Single(response_bytes(&answer, true));
            }
        }
        match self.watch(found, &request, document, variables).await {
            Ok(watch) => Started::Watch(watch),
            Err(errors) => Started::Invalid(errors),
        }
    }

    /// Executes a query or a mutation.
    async fn answer(
        &self,
        request: &wire::Request,
        document: ExecutableDocument,
        variables: Variables,
        caller: Caller,
    ) -> Response {
        let (schema, unknown) = self.schema_for(request, &document, &variables);
        let request = graphql_request(request, document, variables).data(caller);
        let response = schema.execute(request).await;
        if let Some(key) = unknown.filter(|_| was_executed(&response)) {
            self.validated.insert(&key);
        }
        response
    }

    /// The schema that validates the request, or the one that does not where an equal one was found valid; and what to remember when this one
    /// is.
    fn schema_for(
        &self,
        request: &wire::Request,
        document: &ExecutableDocument,
        variables: &Variables,
    ) -> (&JobSchema, Option<validated::Key>) {
        match validated::Key::new(request, document, variables) {
            Some(key) if self.validated.contains(&key) => (&self.schemas.validated, None),
            unknown => (&self.schemas.requests, unknown),
        }
    }

    /// The document and its variables, each read once. Variables that cannot be read are an error later on.
    fn parse(&self, request: &wire::Request) -> Result<(ExecutableDocument, Supplied), String> {
        let mut document = self.documents.parse(&request.query)?;
        let variables = variables_of(request);
        if let Ok(variables) = &variables {
            document::omit_unsupplied(&mut document, request.operation_name.as_deref(), variables);
        }
        Ok((document, variables))
    }

    async fn watch(
        &self,
        found: Authenticated,
        request: &wire::Request,
        mut document: ExecutableDocument,
        supplied: Supplied,
    ) -> Result<Watch, String> {
        let refuse = |error: resolvers::Error| errors_text(&error.to_string(), error.code());
        let wish = Arc::new(Wish::default());
        let none = Variables::default();
        let given = supplied.as_ref().unwrap_or(&none);
        document::one_root_field(&mut document, request.operation_name.as_deref(), given)
            .map_err(|message| errors_text(message, "ValidationError"))?;
        let variables = supplied.map_err(|message| errors_text(&message, "BadRequest"))?;
        let prepared = graphql_request(request, document.clone(), variables.clone());
        let probe = prepared.data(Arc::clone(&wish)).data(found.caller.clone());
        let (schema, unknown) = self.schema_for(request, &document, &variables);
        let mut answers = std::pin::pin!(schema.execute_stream(probe));
        while let Some(answer) = answers.next().await {
            if !answer.errors.is_empty() {
                return Err(response_errors(&answer));
            }
        }
        if let Some(key) = unknown {
            self.validated.insert(&key);
        }
        let mut wanted = std::mem::take(&mut *wish.0.lock());
        let wanted = match (wanted.pop(), wanted.is_empty()) {
            (Some(wanted), true) => wanted,
            (None, _) => return Err(errors_text(document::NO_FIELD, "ValidationError")),
            (Some(_), false) => return Err(errors_text(document::ONE_FIELD, "ValidationError")),
        };
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
                let wanted = Arc::new(crate::hub::Wanted {
                    filter: (*filter).clone(),
                    visible,
                });
                let (resolvers, caller) = (self.resolvers.clone(), caller.clone());
                Target::Jobs {
                    wanted,
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
        let said = request
            .variables
            .as_ref()
            .map_or("", |variables| variables.get());
        // What a caller sees of the payload is its scope's; which jobs it sees is part of the key for lists, and for one job it is
        // checked before the first payload.
        let scope = match &target {
            Target::Job { .. } => caller.visible_scope().to_owned(),
            Target::Jobs { .. } => serde_json::to_string(&visible).expect("a filter is JSON"),
        };
        let operation = request.operation_name.as_deref().unwrap_or("");
        let key = format!("{scope}\0{operation}\0{said}\0{}", request.query);
        let projection = Projection::of(&document, request.operation_name.as_deref(), &variables);
        let render: Arc<dyn Render> = match projection {
            Some(projection) => Arc::new(projection),
            None => Arc::new(Renderer {
                schema: self.schemas.validated.clone(),
                document,
                operation: request.operation_name.clone(),
                variables,
                caller,
            }),
        };
        Ok(Watch {
            target,
            group: GroupKey(key.into()),
            render,
            expires_at: found.expires_at,
        })
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
            Ok(found) => self.start_any(found, request).await,
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

/// Executes one subscription's document on events: what [`Projection`] leaves to the library.
pub(super) struct Renderer {
    pub(super) schema: JobSchema,
    pub(super) document: ExecutableDocument,
    pub(super) operation: Option<String>,
    pub(super) variables: Variables,
    pub(super) caller: Caller,
}

#[async_trait]
impl Render for Renderer {
    async fn render(&self, event: Event) -> Bytes {
        let mut request = Request::new("")
            .variables(self.variables.clone())
            .data(event)
            .data(self.caller.clone());
        request.operation_name.clone_from(&self.operation);
        request.set_parsed_query(self.document.clone());
        let response = self
            .schema
            .execute_stream(request)
            .next()
            .map(Option::unwrap_or_default)
            .await;
        response_bytes(&response, true)
    }
}

fn operation_type(
    document: &ExecutableDocument,
    name: Option<&str>,
) -> Result<OperationType, &'static str> {
    let found = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => {
            return Err("the document has no operation of that name: its only one has none");
        }
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(_), None) => return Err("Missing operation name."),
    };
    found
        .map(|operation| operation.node.ty)
        .ok_or("the document has no operation of that name")
}

/// The variables of a request, or what is wrong with them.
type Supplied = Result<Variables, String>;

fn variables_of(request: &wire::Request) -> Supplied {
    let Some(text) = &request.variables else {
        return Ok(Variables::default());
    };
    serde_json::from_str::<Option<Variables>>(text.get())
        .map(Option::unwrap_or_default)
        .map_err(|error| format!("variables must be an object: {error}"))
}

fn graphql_request(
    request: &wire::Request,
    document: ExecutableDocument,
    variables: Variables,
) -> Request {
    let mut graphql = Request::new("").variables(variables);
    graphql.operation_name.clone_from(&request.operation_name);
    graphql.set_parsed_query(document);
    graphql
}

/// A response with errors that have no path was refused before execution.
fn was_executed(response: &Response) -> bool {
    response.errors.is_empty() || response.errors.iter().any(|error| !error.path.is_empty())
}
