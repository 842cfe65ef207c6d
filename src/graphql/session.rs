//! Operations of sessions: who sends them, and how they start.

use std::sync::Arc;

use async_trait::async_trait;
use wire::Refusal;

use super::error::errors_text;
use super::executor::Executor;
use super::request::credentials::{SentCredentials, counted_name};
use super::request::prepare::Changes;
use crate::auth::{AuthError, Authenticated, Credentials};
use crate::session::{self, Authorized, Started};

impl Executor {
    async fn authenticate_sent(&self, sent: &SentCredentials) -> Result<Authenticated, AuthError> {
        self.authenticate(Credentials {
            authorization: sent.authorization.as_deref(),
            api_key: sent.api_key.as_deref(),
        })
        .await
    }
}

#[async_trait]
impl session::Executor for Executor {
    type Caller = Authenticated;

    async fn authorize(
        &self,
        credentials: session::Credentials,
    ) -> Result<Authorized<Authenticated>, Refusal> {
        let mut sent = SentCredentials::of_headers(&credentials.parts.headers);
        for object in [&credentials.appsync, &credentials.init]
            .into_iter()
            .flatten()
        {
            sent = sent.replaced_by(SentCredentials::of_object(object));
        }
        let found = self.authenticate_sent(&sent).await;
        let found = found.map_err(|error| match error {
            AuthError::Expired => Refusal::Expired(error.to_string()),
            AuthError::Missing | AuthError::Invalid => Refusal::Unauthorized(error.to_string()),
            AuthError::Unavailable => Refusal::Busy(error.to_string()),
        })?;
        Ok(Authorized {
            name: counted_name(&found.caller),
            expires_at: found.expires_at,
            caller: Arc::new(found),
        })
    }

    async fn start(&self, caller: Option<Arc<Authenticated>>, request: wire::Request) -> Started {
        let found = match &request.authorization {
            Some(authorization) => {
                let sent = SentCredentials::of_object(&authorization.header);
                self.authenticate_sent(&sent).await
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
