//! Authentication: from credentials to a [`Caller`]. The rights of a caller are applied in
//! `resolvers`.
//!
//! | module | mode |
//! |---|---|
//! | [`api_key`] | API keys |
//! | [`oidc`], with its keys in [`jwks`] and their signatures in `signature` | tokens of an identity provider (OpenID Connect, Cognito) |
//!
//! `credentials` has what is checked, and the result. Callers of different sources are different
//! people: see [`oidc::keep_apart`]. Refusals are logged: [`refusal`].
//!
//! Our own report and watch tokens are always accepted; the other modes are configured, several at
//! once. Without any of them, on a loopback listener only, a request without a token of ours has
//! the `dev` caller.

pub mod api_key;
mod credentials;
pub mod jwks;
pub mod oidc;
pub mod refusal;
mod signature;
#[cfg(test)]
mod tests;

use job::Time;
use resolvers::Caller;
use resolvers::caller::Rights;
use resolvers::token::{PREFIX, Signer, TokenError};

pub use api_key::ApiKey;
pub use credentials::{AuthError, Authenticated, Credentials};
pub use oidc::{Oidc, OidcConfig};

use refusal::{Check, Refusal, Refusals, Shown};

/// Checks the credentials of this service.
#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Vec<ApiKey>,
    issuers: Vec<Oidc>,
    signer: Signer,
    refusals: Refusals,
}

impl Authenticator {
    /// Accepts these keys and identity providers. Without any, callers without credentials are the
    /// `dev` caller (the configuration allows that on loopback only).
    pub fn new(keys: Vec<ApiKey>, issuers: Vec<Oidc>, signer: Signer) -> Authenticator {
        Authenticator {
            keys,
            issuers,
            signer,
            refusals: Refusals::default(),
        }
    }

    /// The caller of these credentials. A refusal is logged, and delayed when there are too many.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        now: Time,
    ) -> Result<Authenticated, AuthError> {
        match self.find(credentials, now).await {
            Ok(found) => Ok(found),
            Err(refusal) => Err(self.refusals.answer(refusal).await),
        }
    }

    async fn find(
        &self,
        credentials: Credentials<'_>,
        now: Time,
    ) -> Result<Authenticated, Refusal> {
        let token = credentials.authorization.map(bearer);
        if let Some(token) = token.filter(|token| token.starts_with(PREFIX)) {
            return self.own(token, now);
        }
        let forever = |caller| Authenticated {
            caller,
            expires_at: None,
        };
        if self.keys.is_empty() && self.issuers.is_empty() {
            return Ok(forever(Caller::dev()));
        }
        let mut check = Check::ApiKey;
        if credentials.api_key.is_none()
            && !self.issuers.is_empty()
            && let Some(token) = token
        {
            match self.of_a_provider(token, now).await {
                Err(Refusal::Failed(failed @ (Check::Form(_) | Check::Issuer { .. }))) => {
                    check = failed;
                }
                answer => return answer,
            }
        }
        // An API key is accepted in either header, for clients that can set only one of them.
        let key = credentials.api_key.or(token).ok_or(Refusal::Missing)?;
        let known = ApiKey::find(&self.keys, key).ok_or(check)?;
        Ok(forever(Caller::new(known.subject.clone(), &known.roles)))
    }

    /// The caller of a provider's token. A provider may be configured several times, for several
    /// audiences; each is tried.
    async fn of_a_provider(&self, token: &str, now: Time) -> Result<Authenticated, Refusal> {
        let issuer = oidc::issuer_of(token).map_err(Check::Form)?;
        let mut refused = Check::Issuer {
            got: Shown::claim(issuer.as_ref()),
        };
        let issuer = issuer.as_ref().and_then(serde_json::Value::as_str);
        for provider in &self.issuers {
            if Some(provider.issuer()) != issuer {
                continue;
            }
            match provider.authenticate(token, now).await {
                Ok(found) if self.is_taken(provider, &found.caller.subject) => {
                    return Err(Check::TakenName(Shown::new(&found.caller.subject)).into());
                }
                // For a token that is for this audience but too old, that error says more than the
                // wrong audience of another configuration.
                Err(Refusal::Failed(_)) if refused == Check::Expired => {}
                Err(Refusal::Failed(check)) => refused = check,
                answer => return answer,
            }
        }
        Err(refused.into())
    }

    /// Whether another source gives the same name as a provider without a prefix.
    fn is_taken(&self, provider: &Oidc, subject: &str) -> bool {
        let mut others = self.issuers.iter().map(Oidc::owner_prefix);
        provider.owner_prefix().is_empty()
            && (self.keys.iter().any(|key| key.subject == subject)
                || others.any(|prefix| !prefix.is_empty() && subject.starts_with(prefix)))
    }

    fn own(&self, token: &str, now: Time) -> Result<Authenticated, Refusal> {
        let found = self.signer.caller(token, now);
        let (mut caller, expires_at) = found.map_err(|error| match error {
            TokenError::Invalid => Check::OwnToken,
            TokenError::Expired => Check::Expired,
        })?;
        // Its connections are counted with the owner's.
        if let Rights::Watch(_) = caller.rights
            && let Some(owner) = self.signer.owner_in(token)
        {
            caller.subject = owner;
        }
        Ok(Authenticated {
            caller,
            expires_at: Some(expires_at),
        })
    }
}

fn bearer(authorization: &str) -> &str {
    let authorization = authorization.trim();
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => authorization,
    }
}
