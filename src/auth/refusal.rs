//! Refused credentials: which check they failed, in a line of the log, and a brake on those who guess. Nothing of this is for the client,
//! which gets an [`AuthError`] only.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use parking_lot::Mutex;

use super::AuthError;

/// Lines of the log about refused credentials, for one check, within [`LINES_PERIOD`]; the next line says how many were left out.
pub const LINES: u32 = 5;
/// See [`LINES`].
pub const LINES_PERIOD: Duration = Duration::from_secs(10);
/// Refused credentials that are answered at once after a silence. A client whose key was withdrawn does not come so often.
pub const FREE_REFUSALS: f64 = 100.0;
/// Refused credentials that are answered at once in a second, beyond [`FREE_REFUSALS`]; the others wait for [`BRAKE`]. Valid credentials
/// never wait.
pub const REFUSALS_PER_SECOND: f64 = 20.0;
/// Wait before a refusal is answered when there are too many of them.
pub const BRAKE: Duration = Duration::from_millis(100);
/// Bytes of a claim that a line of the log repeats.
const SHOWN_BYTES: usize = 100;

/// The check that credentials failed. Its text is for the operator: it may repeat what an unproven token says, never a key or a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Check {
    /// No key is equal.
    #[error("unknown API key")]
    ApiKey,
    /// One of our own tokens.
    #[error("a report or watch token that this server did not sign, or that was changed")]
    OwnToken,
    /// It is neither a key nor a token that can be read.
    #[error("the token is no signed JSON Web Token: {0}")]
    Form(String),
    /// `iss`.
    #[error(
        "the token's issuer (iss) is {got}, and no [[auth.oidc]] has this issuer, letter by letter"
    )]
    Issuer {
        /// As the token says it.
        got: Shown,
    },
    /// `aud`, or `client_id`.
    #[error("the token's audience is {got}, and the configured audience of its issuer is {wanted}")]
    Audience {
        /// As the token says it.
        got: Shown,
        /// As configured.
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
        /// As the token says it.
        kid: Shown,
        /// As the token says it.
        algorithm: Algorithm,
    },
    /// The signature.
    #[error("the token's signature is not one of the provider's key")]
    Signature,
    /// A time that is no number.
    #[error("the token's {0} is no number of seconds")]
    Time(&'static str),
    /// `nbf`.
    #[error("the token is not valid yet (nbf): is this machine's clock right?")]
    NotBefore,
    /// No `exp`.
    #[error("the token has no expiry (exp)")]
    NoExpiry,
    /// `exp` is over.
    #[error("the token has expired (exp)")]
    Expired,
    /// The claim that names the caller.
    #[error(
        "the token has no subject in the claim `{claim}`, or one that is empty or longer than {} bytes",
        job::limits::OWNER_BYTES
    )]
    Subject {
        /// As configured.
        claim: String,
    },
    /// The name would be another source's.
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

    /// What the client is told.
    fn outward(&self) -> AuthError {
        match self {
            Check::Expired => AuthError::Expired,
            _ => AuthError::Invalid,
        }
    }
}

/// A text of somebody else's, quoted, escaped and bounded.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Of any text.
    pub fn new(text: &str) -> Shown {
        let start = job::limits::beginning(text, SHOWN_BYTES);
        let more = if start.len() < text.len() { "…" } else { "" };
        Shown(format!("{start:?}{more}"))
    }

    /// Of a claim: a text as it is, anything else as JSON.
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
    /// No credentials were brought.
    Missing,
    /// The provider's keys cannot be had.
    Unavailable,
}

impl From<Check> for Refusal {
    fn from(check: Check) -> Refusal {
        Refusal::Failed(check)
    }
}

/// What has been refused lately, by all who came.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Arc<Mutex<Lately>>);

#[derive(Debug, Default)]
struct Lately {
    /// By [`Check::name`]: since when, how many lines, and how many were left out.
    lines: Vec<(&'static str, Instant, u32, u64)>,
    /// How far the free refusals are used up, and when that was.
    used: f64,
    at: Option<Instant>,
}

impl Refusals {
    /// Logs the check, and gives what the client is told, after the brake.
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
        // A token that has expired was valid once: nobody guesses it.
        if error == AuthError::Invalid && self.is_too_often(now) {
            tokio::time::sleep(BRAKE).await;
        }
        error
    }

    /// Whether a line is to be written, and how many were left out before it.
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
    fn lines_up_to_their_limit_and_then_how_many_were_left_out() {
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
    fn a_burst_of_refusals_is_free_and_then_so_many_a_second() {
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
    fn what_an_unproven_token_says_is_escaped_and_bounded() {
        let shown = Shown::new(&format!("a\n\u{1b}]0;{}", "é".repeat(200))).to_string();
        assert!(shown.starts_with("\"a\\n\\u{1b}]0;é"), "{shown}");
        assert!(shown.len() < 120 && shown.ends_with("\"…"), "{shown}");
        let number = serde_json::json!(1);
        assert_eq!(Shown::claim(Some(&number)).to_string(), "\"1\"");
        assert_eq!(Shown::claim(None).to_string(), "missing");
    }
}
