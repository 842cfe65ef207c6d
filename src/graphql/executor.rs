//! Runs GraphQL requests: for HTTP, and for the sessions of the real-time transports.
//!
//! `prepare` reads and checks a request, the library executes its plan, and `response` writes the
//! result. `batch` executes lists of requests, `watch` starts subscriptions, `session` serves
//! sessions. A shortcut is asked for its result before each of these ways; see `shortcut`.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response};
use bytes::Bytes;
use resolvers::jobs::now;
use resolvers::{Caller, Resolvers};

use super::Schemas;
use super::error::errors_text;
use super::held::Holdings;
pub use super::request::credentials::counted_name;
pub use super::request::prepare::Changes;
use super::request::prepare::{Prepared, Refused, Supported, prepare};
use super::request::validated::ValidatedDocuments;
use super::response::data;
pub use super::response::http::{HttpReply, Outcome};
use super::schema::allowance::{self, Allowance};
use super::shortcut::Shortcuts;
use crate::auth::{AuthError, Authenticated, Authenticator, Credentials};
use crate::session::Started;

/// Executes the requests of all callers.
#[derive(Clone)]
pub struct Executor {
    pub(super) schemas: Schemas,
    pub(super) documents: Arc<ValidatedDocuments>,
    pub(super) holdings: Holdings,
    /// Faster ways with the same results; without them every operation is executed.
    pub(super) shortcuts: Option<Shortcuts>,
    pub(super) resolvers: Resolvers,
    auth: Arc<Authenticator>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Executor")
    }
}

impl Executor {
    /// An executor over a schema, with all shortcuts.
    #[must_use]
    pub fn new(schemas: Schemas, resolvers: Resolvers, auth: Arc<Authenticator>) -> Self {
        Self {
            schemas,
            documents: Arc::default(),
            holdings: Holdings::default(),
            shortcuts: Some(Shortcuts::default()),
            resolvers,
            auth,
        }
    }

    /// The same executor without shortcuts. Its results are equal, and it needs more time and
    /// memory. Tests compare the two.
    #[must_use]
    pub fn without_shortcuts(self) -> Self {
        Self {
            shortcuts: None,
            ..self
        }
    }

    /// The caller that sent these credentials.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
    ) -> Result<Authenticated, AuthError> {
        self.auth.authenticate(credentials, now()).await
    }

    /// Executes a query or, where changes are allowed, a mutation. A subscription is refused: it
    /// needs a transport that streams.
    pub async fn execute(
        &self,
        caller: Caller,
        request: wire::Request,
        changes: Changes,
    ) -> HttpReply {
        if changes == Changes::Allowed
            && let Some(shortcuts) = &self.shortcuts
            && let publisher = &self.schemas.publisher
            && let Some(body) = shortcuts
                .try_publish_job(&caller, &request, publisher)
                .await
        {
            return HttpReply::executed(body);
        }
        let supported = Supported {
            changes,
            subscriptions: false,
        };
        match prepare(&self.documents, request, supported).await {
            Ok(prepared) => {
                let body = self.run(prepared, caller, &Arc::default()).await;
                HttpReply::executed(body)
            }
            Err(refused) => refused.into(),
        }
    }

    /// Starts an operation of any kind, where changes are allowed.
    ///
    /// # Errors
    /// The operation is a mutation and changes are refused. The reply is for every transport.
    pub async fn begin(
        &self,
        found: Authenticated,
        request: wire::Request,
        changes: Changes,
    ) -> Result<Started, HttpReply> {
        if let Some(shortcuts) = &self.shortcuts
            && let Some(known) = shortcuts.try_on_job(&request)
        {
            let watch = self.watch_known(found, &known);
            return Ok(watch.map_or_else(Started::Invalid, Started::Watch));
        }
        // In a box, because the future is large and most watchers send a document that is known.
        Box::pin(self.begin_unknown(found, request, changes)).await
    }

    async fn begin_unknown(
        &self,
        found: Authenticated,
        request: wire::Request,
        changes: Changes,
    ) -> Result<Started, HttpReply> {
        let supported = Supported {
            changes,
            subscriptions: true,
        };
        let prepared = match prepare(&self.documents, request, supported).await {
            Ok(prepared) => prepared,
            Err(Refused::Request(errors)) => return Ok(Started::Invalid(errors.json())),
            Err(refused @ Refused::MutationOverGet) => return Err(refused.into()),
        };
        if prepared.plan.kind != OperationType::Subscription {
            let body = self.run(prepared, found.caller, &Arc::default()).await;
            return Ok(Started::Single(body));
        }
        let watch = self.watch(found, prepared).await;
        Ok(watch.map_or_else(Started::Invalid, Started::Watch))
    }

    /// Executes a query or a mutation. The result is the response as JSON text.
    pub(super) async fn run(
        &self,
        prepared: Prepared,
        caller: Caller,
        allowance: &Arc<Allowance>,
    ) -> Bytes {
        let Prepared {
            request,
            document,
            mut plan,
            ..
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
            && let Some(shortcuts) = &self.shortcuts
        {
            shortcuts.learn_publish_job(&document, &request);
        }
        data::executed(&plan, &response).into()
    }
}
