//! Tokens of an identity provider (OpenID Connect, Amazon Cognito): signed JWTs become callers.
//! There is no sign-in here; clients send the token that their provider gave them.
//!
//! Deny by default: a token is valid when its signature, issuer, audience and times are, and its
//! caller has only the rights that the configuration gives to its groups, or to all valid tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;

use job::Time;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use resolvers::{Caller, Role};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::api_key::ApiKey;
use super::credentials::Authenticated;
use super::jwks::{Jwks, JwksError, Source};
use super::refusal::{Check, Refusal, Shown};
use super::signature;
use crate::masked;

/// Maximum size of a token in bytes. Identity providers stay far below, since a token must fit into
/// a header.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// Maximum size of an owner's prefix in bytes, which leaves room for the name.
pub const PREFIX_BYTES: usize = job::limits::OWNER_BYTES / 2;
/// Maximum time by which the provider's clock may be ahead of ours. A token's end has no such
/// leeway.
pub const CLOCK_SKEW_MILLIS: i64 = 60_000;

/// One identity provider: `[auth.oidc]`, or several `[[auth.oidc]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The claim `iss`, compared exactly.
    pub issuer: String,
    /// The accepted audiences, one of which `aud` must name. In a token without `aud`, such as an
    /// access token of Cognito, `client_id` counts.
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// The address at which the provider publishes its keys.
    pub jwks_url: Option<String>,
    /// A file with its keys, instead of an address.
    #[serde(serialize_with = "masked::path_if_set")]
    pub jwks_file: Option<PathBuf>,
    /// The claim with the caller's name, which is the owner of the jobs it submits.
    #[serde(default = "sub")]
    pub subject_claim: String,
    /// The text before that name in the owner. Each of several providers has a different one,
    /// `issuer|` by default; see [`keep_apart`].
    #[serde(default)]
    pub owner_prefix: Option<String>,
    /// The claim with the caller's groups: a list of texts, or one text of words. A value that
    /// begins with `/` is a JSON pointer into the claims.
    #[serde(default = "cognito_groups")]
    pub groups_claim: String,
    /// The rights of the members of a group.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<Role>>,
    /// The rights of every caller with a valid token.
    #[serde(default)]
    pub everybody: Vec<Role>,
}

fn sub() -> String {
    "sub".to_owned()
}

fn cognito_groups() -> String {
    "cognito:groups".to_owned()
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text, or a list of texts")]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    })
}

/// Gives each of several providers a different prefix, and refuses a configuration that could give
/// two people one name: the owner of a job decides who sees it. A single provider gives names
/// without a prefix; those that an API key has as well are known, and refused with the token.
///
/// # Errors
/// [`OidcError::Invalid`].
pub fn keep_apart(providers: &mut [OidcConfig], keys: &[ApiKey]) -> Result<(), OidcError> {
    let several = providers
        .windows(2)
        .any(|two| two[0].issuer != two[1].issuer);
    for provider in providers.iter_mut().filter(|_| several) {
        let prefix = format!("{}|", provider.issuer);
        provider.owner_prefix.get_or_insert(prefix);
    }
    let providers = &*providers;
    for (place, one) in providers.iter().enumerate() {
        let invalid = |problem| OidcError::Invalid {
            issuer: one.issuer.clone(),
            problem,
        };
        let prefix = one.owner_prefix.as_deref().unwrap_or_default();
        if prefix.len() > PREFIX_BYTES {
            return Err(invalid(
                "owner_prefix (with several providers the issuer, unless it is given) is longer than 128 bytes: give a shorter one",
            ));
        }
        if !prefix.is_empty() && keys.iter().any(|key| key.subject.starts_with(prefix)) {
            return Err(invalid(
                "the subject of an API key begins with its owner_prefix, so a token could have the same name: choose another",
            ));
        }
        for other in &providers[..place] {
            let before = other.owner_prefix.as_deref().unwrap_or_default();
            if other.issuer == one.issuer {
                if other.subject_claim != one.subject_claim {
                    return Err(invalid(
                        "it is configured twice with another subject_claim, so two people could have the same name",
                    ));
                }
                continue;
            }
            let same = prefix.starts_with(before) || before.starts_with(prefix);
            let both = prefix.is_empty() == before.is_empty();
            if same && both {
                return Err(invalid(
                    "its owner_prefix is, or begins with, that of another provider, so two people could have the same name: choose another",
                ));
            }
        }
    }
    Ok(())
}

/// Why a provider cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// A value that is never valid.
    #[error("auth.oidc of the issuer `{issuer}`: {problem}")]
    Invalid {
        /// The issuer as configured.
        issuer: String,
        /// The problem, and what to do.
        problem: &'static str,
    },
    /// The keys cannot be read.
    #[error("auth.oidc of the issuer `{issuer}`: {source}")]
    Keys {
        /// The issuer as configured.
        issuer: String,
        /// The problem.
        source: JwksError,
    },
}

impl OidcConfig {
    /// Checks whether a token of this provider can ever be valid.
    ///
    /// # Errors
    /// [`OidcError::Invalid`].
    pub fn check(&self) -> Result<(), OidcError> {
        let empty = |texts: &[String]| texts.is_empty() || texts.iter().any(String::is_empty);
        let problem = if self.issuer.is_empty() {
            "issuer is empty, and it must be the claim `iss` of the tokens"
        } else if empty(&self.audience) {
            "audience is empty, and it must be the provider's name of this application: otherwise tokens for other applications would be valid here"
        } else if self.source().is_none() {
            "exactly one of jwks_url and jwks_file is needed"
        } else if self.jwks_url.as_deref().is_some_and(|url| !is_safe(url)) {
            "jwks_url must begin with https:// (http:// only for a loopback address): otherwise the keys can be replaced on their way, and any token signed"
        } else if self.everybody.is_empty() && self.groups.values().all(Vec::is_empty) {
            "no token may do anything: give roles to `everybody`, or to groups"
        } else {
            return Ok(());
        };
        Err(OidcError::Invalid {
            issuer: self.issuer.clone(),
            problem,
        })
    }

    fn source(&self) -> Option<Source> {
        match (&self.jwks_url, &self.jwks_file) {
            (Some(url), None) => Some(Source::Url(url.clone())),
            (None, Some(file)) => Some(Source::File(file.clone())),
            _ => None,
        }
    }
}

fn is_safe(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else {
        return false;
    };
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    url.scheme() == "https" && has_host || url.scheme() == "http" && outgoing::is_loopback(&url)
}

/// A provider, with its keys.
#[derive(Clone, Debug)]
pub struct Oidc {
    config: OidcConfig,
    keys: Jwks,
}

impl Oidc {
    /// A provider of this configuration. Keys in a file are read now, those at an address with the
    /// first token.
    ///
    /// # Errors
    /// [`OidcError`].
    pub fn open(config: OidcConfig, now: Time) -> Result<Oidc, OidcError> {
        config.check()?;
        signature::install();
        let source = config.source().expect("check asked for exactly one");
        let keys = Jwks::open(source, now).map_err(|source| OidcError::Keys {
            issuer: config.issuer.clone(),
            source,
        })?;
        Ok(Oidc { config, keys })
    }

    /// The issuer of its tokens: the claim `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The text before a name that this provider gives.
    pub(super) fn owner_prefix(&self) -> &str {
        self.config.owner_prefix.as_deref().unwrap_or_default()
    }

    /// The caller of a token.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) async fn authenticate(
        &self,
        token: &str,
        now: Time,
    ) -> Result<Authenticated, Refusal> {
        let header = decode_header(token).map_err(|error| Check::Form(error.to_string()))?;
        // RFC 7515, section 4.1.11: a recipient must refuse critical extensions that it does not
        // support; none are supported.
        if header.crit.is_some() {
            return Err(Check::Critical.into());
        }
        let algorithm = header.alg;
        if !signature::ALGORITHMS.contains(&algorithm) {
            return Err(Check::Algorithm(algorithm).into());
        }
        let keys = self.keys.find(header.kid.as_deref(), algorithm, now).await;
        let keys = keys.map_err(|_| Refusal::Unavailable)?;
        if keys.is_empty() {
            let kid = header.kid.map(Value::String);
            let kid = Shown::claim(kid.as_ref());
            return Err(Check::KeyId { kid, algorithm }.into());
        }
        // The claims are checked below, against `now` and with the provider's peculiarities.
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = keys
            .iter()
            .find_map(|key: &DecodingKey| {
                decode::<Map<String, Value>>(token, key, &validation).ok()
            })
            .ok_or(Check::Signature)?
            .claims;
        Ok(self.caller(&claims, now)?)
    }

    /// The caller of claims whose signature is valid.
    fn caller(&self, claims: &Map<String, Value>, now: Time) -> Result<Authenticated, Check> {
        let config = &self.config;
        if text(claims, "iss") != Some(&config.issuer) {
            let got = Shown::claim(claims.get("iss"));
            return Err(Check::Issuer { got });
        }
        if !self.is_for_us(claims) {
            let got = Shown::claim(claims.get("aud").or(claims.get("client_id")));
            let wanted = config.audience.join(" or ");
            return Err(Check::Audience { got, wanted });
        }
        let begins = time(claims, "nbf")?;
        let ends = time(claims, "exp")?.ok_or(Check::NoExpiry)?;
        if begins.is_some_and(|begins| begins.as_millis() > now.as_millis() + CLOCK_SKEW_MILLIS) {
            return Err(Check::NotBefore);
        }
        if ends <= now {
            return Err(Check::Expired);
        }
        let subject = text(claims, &config.subject_claim)
            .filter(|subject| !subject.is_empty())
            .map(|subject| format!("{}{subject}", self.owner_prefix()))
            .filter(|subject| subject.len() <= job::limits::OWNER_BYTES);
        let subject = subject.ok_or_else(|| Check::Subject {
            claim: config.subject_claim.clone(),
        })?;
        let mut roles = config.everybody.clone();
        for group in groups(claims, &config.groups_claim) {
            roles.extend(config.groups.get(group).into_iter().flatten());
        }
        Ok(Authenticated {
            caller: Caller::new(subject, &roles),
            expires_at: Some(ends),
        })
    }

    fn is_for_us(&self, claims: &Map<String, Value>) -> bool {
        let is_ours = |name: &Value| {
            name.as_str()
                .is_some_and(|name| self.config.audience.iter().any(|ours| ours == name))
        };
        match claims.get("aud") {
            Some(Value::Array(names)) => names.iter().any(is_ours),
            Some(name) => is_ours(name),
            None => claims.get("client_id").is_some_and(is_ours),
        }
    }
}

/// The issuer that a token names, which is not proven yet. An error says why it is not a token.
pub(super) fn issuer_of(token: &str) -> Result<Option<Value>, String> {
    if token.len() > TOKEN_BYTES {
        let bytes = token.len();
        return Err(format!(
            "it has {bytes} bytes, and the limit is {TOKEN_BYTES}"
        ));
    }
    insecure_decode_claims::<Map<String, Value>>(token)
        .map(|mut claims| claims.remove("iss"))
        .map_err(|error| error.to_string())
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a String> {
    match claims.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// A NumericDate (RFC 7519, section 2): seconds, possibly with a fraction.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Time>, Check> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().ok_or(Check::Time(name))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from a float saturates, and Time::from_millis clamps"
    )]
    Ok(Some(Time::from_millis((seconds * 1000.0) as i64)))
}

fn groups<'a>(claims: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let found = match name.strip_prefix('/') {
        // The first name of a JSON pointer is a claim.
        Some(path) => {
            let (first, rest) = path
                .find('/')
                .map_or((path, ""), |slash| path.split_at(slash));
            let first = first.replace("~1", "/").replace("~0", "~");
            claims.get(&first).and_then(|claim| claim.pointer(rest))
        }
        None => claims.get(name),
    };
    match found {
        Some(Value::String(words)) => words.split_ascii_whitespace().collect(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
