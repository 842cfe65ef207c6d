//! Refused credentials: a line in the log names the check that they failed, and a brake slows down
//! guessing. The client receives only an [`AuthError`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use parking_lot::Mutex;

use super::credentials::AuthError;

/// Maximum number of log lines about refused credentials, for one check, within [`LINES_PERIOD`].
/// The next line has the number of omitted ones.
pub const LINES: u32 = 5;
/// The period of [`LINES`].
pub const LINES_PERIOD: Duration = Duration::from_secs(10);
/// Number of refused credentials that are answered at once after a silence. A client whose key was
/// withdrawn sends fewer.
pub const FREE_REFUSALS: f64 = 100.0;
/// Number of refused credentials per second that are answered at once, beyond [`FREE_REFUSALS`];
/// the others wait for [`BRAKE`]. Valid credentials never wait.
pub const REFUSALS_PER_SECOND: f64 = 20.0;
/// Delay of a refusal when there are too many of them.
pub const BRAKE: Duration = Duration::from_millis(100);
/// Maximum number of bytes of a claim in a line of the log.
const SHOWN_BYTES: usize = 100;

/// The check that credentials failed. Its text is for the operator: it may repeat an unproven
/// token's claim, never a key or a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Check {
    /// No key is equal.
    #[error("unknown API key")]
    ApiKey,
    /// One of our own tokens.
    #[error(
        "a report, watch or publisher token that this server did not sign, or that was changed"
    )]
    OwnToken,
    /// It is neither a key nor a readable token.
    #[error("the token is not a signed JSON Web Token: {0}")]
    Form(String),
    /// `iss`.
    #[error(
        "the token's issuer (iss) is {got}, and no [[auth.oidc]] has this issuer, letter by letter"
    )]
    Issuer {
        /// The value in the token.
        got: Shown,
    },
    /// `token_use`.
    #[error(
        "the token's use (token_use) is {got}, and id and access tokens are accepted: send the id or the access token of the sign-in"
    )]
    TokenUse {
        /// The value in the token.
        got: Shown,
    },
    /// `aud`, or `client_id`.
    #[error(
        "the token's audience ({claim}) is {got}, and the configured audience of its issuer is {wanted}"
    )]
    Audience {
        /// The claim that has the audience.
        claim: &'static str,
        /// The value in the token.
        got: Shown,
        /// The configured values.
        wanted: String,
    },
    /// `alg`.
    #[error("the token's algorithm is {0:?}, and RS256 and ES256 are accepted")]
    Algorithm(Algorithm),
    /// `crit`.
    #[error("the token's header has critical extensions (crit), and none is understood")]
    Critical,
    /// `kid`.
    #[error(
        "the provider's key set has no key for {algorithm:?} with the token's key id (kid) {kid}"
    )]
    KeyId {
        /// The value in the token.
        kid: Shown,
        /// The value in the token.
        algorithm: Algorithm,
    },
    /// The signature.
    #[error("the token's signature is not one of the provider's key")]
    Signature,
    /// A time is not a number.
    #[error("the token's {0} is not a number of seconds")]
    Time(&'static str),
    /// `nbf`.
    #[error("the token is not valid yet (nbf): is this machine's clock right?")]
    NotBefore,
    /// No `exp`.
    #[error("the token has no expiry (exp)")]
    NoExpiry,
    /// `exp` has passed.
    #[error("the token has expired (exp)")]
    Expired,
    /// The claim that names the caller.
    #[error(
        "the token has no subject in the claim `{claim}`, or one that is empty or longer than {} bytes",
        job::limits::OWNER_BYTES
    )]
    Subject {
        /// The configured name of the claim.
        claim: String,
    },
    /// The name would belong to another source.
    #[error(
        "the token's subject {0} is a name that an API key or another provider gives: set owner_prefix of its [[auth.oidc]]"
    )]
    TakenName(Shown),
}

impl Check {
    /// A short name, for filters and counts.
    pub fn name(&self) -> &'static str {
        match self {
            Check::ApiKey => "api_key",
            Check::OwnToken => "own_token",
            Check::Form(_) => "form",
            Check::Issuer { .. } => "issuer",
            Check::TokenUse { .. } => "token_use",
            Check::Audience { .. } => "audience",
            Check::Algorithm(_) => "algorithm",
            Check::Critical => "crit",
            Check::KeyId { .. } => "key_id",
            Check::Signature => "signature",
            Check::Time(_) => "time",
            Check::NotBefore => "not_before",
            Check::NoExpiry => "no_expiry",
            Check::Expired => "expiry",
            Check::Subject { .. } => "subject",
            Check::TakenName(_) => "taken_name",
        }
    }

    /// The error that the client receives.
    fn outward(&self) -> AuthError {
        match self {
            Check::Expired => AuthError::Expired,
            _ => AuthError::Invalid,
        }
    }
}

/// A quoted, escaped and bounded text of a caller.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The quoted form of any text.
    pub fn new(text: &str) -> Shown {
        let start = job::limits::beginning(text, SHOWN_BYTES);
        let more = if start.len() < text.len() { "…" } else { "" };
        Shown(format!("{start:?}{more}"))
    }

    /// The quoted form of a claim: a text itself, any other value as JSON.
    pub fn claim(value: Option<&serde_json::Value>) -> Shown {
        match value {
            None => Shown("missing".to_owned()),
            Some(serde_json::Value::String(text)) => Shown::new(text),
            Some(other) => Shown::new(&other.to_string()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A check failed.
    Failed(Check),
    /// The request has no credentials.
    Missing,
    /// The provider's keys are not available.
    Unavailable,
}

impl From<Check> for Refusal {
    fn from(check: Check) -> Refusal {
        Refusal::Failed(check)
    }
}

/// The recent refusals of all callers.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<Lately>>);

#[derive(Debug, Default)]
struct Lately {
    /// By [`Check::name`]: the start of the period, the number of lines, and the number of omitted
    /// ones.
    lines: Vec<(&'static str, Instant, u32, u64)>,
    /// The number of used free refusals, and when it was computed.
    used: f64,
    at: Option<Instant>,
}

impl Refusals {
    /// Logs the check, and returns the client's error after the brake.
    pub(super) async fn answer(&self, refusal: Refusal) -> AuthError {
        let check = match refusal {
            Refusal::Missing => return AuthError::Missing,
            Refusal::Unavailable => return AuthError::Unavailable,
            Refusal::Failed(check) => check,
        };
        let error = check.outward();
        let now = Instant::now();
        if let Some(left_out) = self.line(check.name(), now) {
            tracing::info!(
                check = check.name(),
                left_out,
                "credentials were refused: {check}"
            );
        }
        // A token that has expired was valid once, so it is not a guess.
        if error == AuthError::Invalid && self.is_too_often(now) {
            tokio::time::sleep(BRAKE).await;
        }
        error
    }

    /// Whether to write a line, and the number of lines that were omitted before it.
    fn line(&self, name: &'static str, now: Instant) -> Option<u64> {
        let mut lately = self.0.lock();
        let place = lately.lines.iter().position(|line| line.0 == name);
        let place = place.unwrap_or_else(|| {
            lately.lines.push((name, now, 0, 0));
            lately.lines.len() - 1
        });
        let (_, since, lines, left_out) = &mut lately.lines[place];
        if now.duration_since(*since) >= LINES_PERIOD {
            (*since, *lines) = (now, 0);
        }
        if *lines >= LINES {
            *left_out += 1;
            return None;
        }
        *lines += 1;
        Some(std::mem::take(left_out))
    }

    fn is_too_often(&self, now: Instant) -> bool {
        let mut lately = self.0.lock();
        let since = lately
            .at
            .replace(now)
            .map_or(Duration::ZERO, |at| now.duration_since(at));
        let used = lately.used - since.as_secs_f64() * REFUSALS_PER_SECOND;
        lately.used = used.max(0.0) + 1.0;
        let over = lately.used > FREE_REFUSALS;
        lately.used = lately.used.min(FREE_REFUSALS);
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn omitted_log_lines_are_counted_in_the_next_one() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for _ in 0..LINES {
            assert_eq!(refusals.line("issuer", start), Some(0));
        }
        assert_eq!(refusals.line("issuer", start), None);
        assert_eq!(refusals.line("issuer", start), None);
        let other = refusals.line("audience", start);
        assert_eq!(other, Some(0), "each check has its lines");
        let later = start + LINES_PERIOD;
        assert_eq!(refusals.line("issuer", later), Some(2));
        assert_eq!(refusals.line("issuer", later), Some(0));
    }

    #[test]
    fn refusals_are_delayed_after_a_burst() {
        let refusals = Refusals::default();
        let start = Instant::now();
        for _ in 0..100 {
            assert!(!refusals.is_too_often(start));
        }
        assert!(refusals.is_too_often(start));
        let second = start + Duration::from_secs(1);
        for _ in 0..20 {
            assert!(!refusals.is_too_often(second));
        }
        assert!(refusals.is_too_often(second));
        let silence = second + Duration::from_secs(60);
        for _ in 0..100 {
            assert!(!refusals.is_too_often(silence));
        }
        assert!(refusals.is_too_often(silence));
    }

    #[test]
    fn a_claim_of_an_unproven_token_is_escaped_and_bounded() {
        let shown = Shown::new(&format!("a\n\u{1b}]0;{}", "é".repeat(200))).to_string();
        assert!(shown.starts_with("\"a\\n\\u{1b}]0;é"), "{shown}");
        assert!(shown.len() < 120 && shown.ends_with("\"…"), "{shown}");
        let number = serde_json::json!(1);
        assert_eq!(Shown::claim(Some(&number)).to_string(), "\"1\"");
        assert_eq!(Shown::claim(None).to_string(), "missing");
    }
}
