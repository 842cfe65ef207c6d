//! Who asks: from credentials to a [`Caller`]. What a caller may do is decided in `resolvers`.
//!
//! Served are API keys (kept as SHA-256), and our own report and watch tokens. Without any key configured, on a loopback listener only,
//! whoever brings no token of ours is the `dev` caller.

use std::fmt;

use job::Time;
use resolvers::token::{PREFIX, Signer, TokenError};
use resolvers::{Caller, Role};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// An API key, as configured.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// SHA-256 of the key, as 64 hexadecimal digits: `printf %s KEY | sha256sum`.
    #[serde(deserialize_with = "digest")]
    pub sha256: [u8; 32],
    /// The caller's name: the owner of what it submits.
    pub subject: String,
    /// What it may do.
    pub roles: Vec<Role>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("subject", &self.subject)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || {
        serde::de::Error::custom(
            "sha256 is the SHA-256 of the key as 64 hexadecimal digits (printf %s KEY | sha256sum)",
        )
    };
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

/// What a request brings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// `Authorization`, with or without `Bearer`.
    pub authorization: Option<&'a str>,
    /// `x-api-key`.
    pub api_key: Option<&'a str>,
}

/// A caller, and until when its credentials are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is.
    pub caller: Caller,
    /// When the credentials end; `None`: never.
    pub expires_at: Option<Time>,
}

/// Why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// None were brought.
    #[error(
        "credentials are needed: an API key in `x-api-key`, or a token in `Authorization: Bearer …`"
    )]
    Missing,
    /// They are not valid.
    #[error("the credentials are not valid")]
    Invalid,
    /// They were valid once.
    #[error("Token has expired.")]
    Expired,
}

/// Knows the credentials of this service.
#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Vec<ApiKey>,
    signer: Signer,
}

impl Authenticator {
    /// With these keys; without any, strangers are the `dev` caller (the configuration allows that on loopback only).
    pub fn new(keys: Vec<ApiKey>, signer: Signer) -> Authenticator {
        Authenticator { keys, signer }
    }

    /// The caller that the credentials stand for.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn authenticate(
        &self,
        credentials: Credentials<'_>,
        now: Time,
    ) -> Result<Authenticated, AuthError> {
        let token = credentials.authorization.map(bearer);
        if let Some(token) = token.filter(|token| token.starts_with(PREFIX)) {
            let (caller, expires_at) =
                self.signer
                    .caller(token, now)
                    .map_err(|error| match error {
                        TokenError::Invalid => AuthError::Invalid,
                        TokenError::Expired => AuthError::Expired,
                    })?;
            return Ok(Authenticated {
                caller,
                expires_at: Some(expires_at),
            });
        }
        let forever = |caller| Authenticated {
            caller,
            expires_at: None,
        };
        if self.keys.is_empty() {
            return Ok(forever(Caller::dev()));
        }
        // An API key is accepted in either header: a client that knows only one of them can be served too.
        let key = credentials.api_key.or(token).ok_or(AuthError::Missing)?;
        let digest: [u8; 32] = Sha256::digest(key).into();
        let known = self
            .keys
            .iter()
            .find(|known| bool::from(known.sha256.ct_eq(&digest)));
        let known = known.ok_or(AuthError::Invalid)?;
        Ok(forever(Caller::new(known.subject.clone(), &known.roles)))
    }
}

fn bearer(authorization: &str) -> &str {
    let authorization = authorization.trim();
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => authorization,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ApiKey {
        ApiKey {
            sha256: Sha256::digest(text).into(),
            subject: "ann".into(),
            roles: vec![Role::Submitter],
        }
    }

    #[test]
    fn credentials_and_who_they_stand_for() {
        let signer = Signer::new([3; 32]);
        let now = Time::from_millis(1_000);
        let job = job::JobId::new(now, 1);
        let token = format!(
            "bearer {}",
            signer.watch_token(job, Time::from_millis(2_000))
        );
        let old = signer.watch_token(job, now);
        let with = |keys| Authenticator::new(keys, signer.clone());
        let ask = |auth: &Authenticator, authorization, api_key| {
            let answer = auth.authenticate(
                Credentials {
                    authorization,
                    api_key,
                },
                now,
            );
            answer.map(|found| found.caller.subject)
        };
        let closed = with(vec![key("secret")]);
        assert_eq!(ask(&closed, None, None), Err(AuthError::Missing));
        assert_eq!(ask(&closed, None, Some("wrong")), Err(AuthError::Invalid));
        assert_eq!(
            ask(&closed, Some("Bearer wrong"), None),
            Err(AuthError::Invalid)
        );
        assert_eq!(ask(&closed, None, Some("secret")), Ok("ann".into()));
        assert_eq!(ask(&closed, Some("Bearer secret"), None), Ok("ann".into()));
        let open = with(vec![]);
        assert_eq!(ask(&open, None, None), Ok("dev".into()));
        assert_eq!(ask(&open, None, Some("da2-anything")), Ok("dev".into()));
        for auth in [&open, &closed] {
            assert_eq!(ask(auth, Some(&token), None), Ok(format!("watch:{job}")));
            assert_eq!(ask(auth, Some(&old), None), Err(AuthError::Expired));
            assert_eq!(
                ask(auth, Some("Bearer jc1.forged.x"), None),
                Err(AuthError::Invalid)
            );
        }
    }
}
