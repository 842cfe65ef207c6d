//! Tokens of our own making: what a job's functions and its watchers show. Signed with HMAC-SHA-256, not stored anywhere.
//!
//! A token is `jc1.` + base64url(claims) + `.` + base64url(signature over what stands before it).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use job::{JobId, Time};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::caller::{Caller, Rights};

/// What every token begins with; the 1 is the version of the format.
pub const PREFIX: &str = "jc1.";

/// The server's secret. All nodes of one service share it.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one of ours.
    #[error("the token is not valid: it is not one of this server's, or it was changed")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired: ask for a new one")]
    Expired,
}

impl Signer {
    /// Signs with this key.
    pub fn new(key: [u8; 32]) -> Signer {
        Signer { key }
    }

    /// The signature of a text, base64url.
    pub fn sign(&self, text: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Whether `signature` is the signature of `text`; in constant time.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        self.sign(text)
            .as_bytes()
            .ct_eq(signature.as_bytes())
            .into()
    }

    /// A token that may report on a job in one attempt.
    pub fn report_token(&self, job: JobId, attempt: u32, expires_at: Time) -> String {
        self.token(&format!(
            "report:{job}:{attempt}:{}",
            expires_at.as_millis()
        ))
    }

    /// A token that may read one job. All such tokens of the jobs of one owner are one caller: what a caller may hold open
    /// does not grow with the number of tokens.
    pub fn watch_token(&self, job: JobId, owner: &str, expires_at: Time) -> String {
        self.token(&format!("watch:{job}:0:{}:{owner}", expires_at.as_millis()))
    }

    fn token(&self, claims: &str) -> String {
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(&signed);
        format!("{signed}.{signature}")
    }

    /// The caller that a token stands for, and until when.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn caller(&self, token: &str, now: Time) -> Result<(Caller, Time), TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        if !self.verify(signed, signature) {
            return Err(TokenError::Invalid);
        }
        let claims = signed
            .strip_prefix(PREFIX)
            .and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok())
            .and_then(|claims| String::from_utf8(claims).ok())
            .ok_or(TokenError::Invalid)?;
        // The last one may have colons of its own.
        let mut parts = claims.splitn(5, ':');
        let mut next = || parts.next().ok_or(TokenError::Invalid);
        let (kind, job, attempt, expires_at) = (next()?, next()?, next()?, next()?);
        let job: JobId = job.parse().map_err(|_| TokenError::Invalid)?;
        let attempt = attempt.parse().map_err(|_| TokenError::Invalid)?;
        let expires_at = Time::from_millis(expires_at.parse().map_err(|_| TokenError::Invalid)?);
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        // Tokens of earlier versions name no owner.
        let subject = match parts.next() {
            Some(owner) if kind == "watch" => format!("watch:{owner}"),
            _ => format!("{kind}:{job}"),
        };
        let rights = match kind {
            "report" => Rights::Report { job, attempt },
            "watch" => Rights::Watch(job),
            _ => return Err(TokenError::Invalid),
        };
        Ok((Caller { subject, rights }, expires_at))
    }
}

/// What stands in the place of a hidden token.
pub const HIDDEN: &str = "hidden";

/// The text without the tokens that stand in it. The input of an execution carries the job's report token, and so may whatever comes of it:
/// who may only read must not find it there.
pub fn hide(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(PREFIX) {
        let end = at + token_bytes(&rest[at..]);
        if end == at {
            let after = at + PREFIX.len();
            shown.push_str(&rest[..after]);
            rest = &rest[after..];
            continue;
        }
        shown.push_str(&rest[..at]);
        shown.push_str(HIDDEN);
        rest = &rest[end..];
    }
    if shown.is_empty() {
        return text.into();
    }
    shown.push_str(rest);
    shown.into()
}

/// How long the token is with which the text begins; 0 when it is none.
fn token_bytes(text: &str) -> usize {
    let word = |text: &str| {
        let other = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
        text.find(other).unwrap_or(text.len())
    };
    let after = &text[PREFIX.len()..];
    if after.starts_with(PREFIX) {
        // The token begins at the second one.
        return 0;
    }
    let claims = word(after);
    let dot = PREFIX.len() + claims;
    if claims == 0 || text.as_bytes().get(dot) != Some(&b'.') {
        return 0;
    }
    match word(&text[dot + 1..]) {
        0 => 0,
        signature => dot + 1 + signature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden_and_nothing_else_is() {
        let job = JobId::new(Time::from_millis(1), 1);
        let token = Signer::new([7; 32]).report_token(job, 1, Time::from_millis(9));
        for (text, shown) in [
            ("", ""),
            (
                "nothing to hide, jc1. and jc1.x and jc1.x.",
                "nothing to hide, jc1. and jc1.x and jc1.x.",
            ),
            ("TOKEN", "hidden"),
            (
                r#"{"a":"TOKEN","b":"{\"c\":\"TOKEN\"}"}"#,
                r#"{"a":"hidden","b":"{\"c\":\"hidden\"}"}"#,
            ),
            ("jc1.TOKEN TOKEN ü", "jc1.hidden hidden ü"),
        ] {
            assert_eq!(hide(&text.replace("TOKEN", &token)), shown);
        }
    }

    #[test]
    fn a_token_stands_for_its_caller_until_it_expires_or_is_changed() {
        let signer = Signer::new([7; 32]);
        let (now, later) = (Time::from_millis(1_000), Time::from_millis(2_000));
        let job = JobId::new(now, 1);
        let token = signer.report_token(job, 2, later);
        let (caller, expires_at) = signer.caller(&token, now).unwrap();
        assert_eq!(
            (caller.rights, expires_at),
            (Rights::Report { job, attempt: 2 }, later)
        );
        assert_eq!(signer.caller(&token, later), Err(TokenError::Expired));
        assert_eq!(
            Signer::new([8; 32]).caller(&token, now),
            Err(TokenError::Invalid)
        );
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                signer.caller(&changed, now),
                Err(TokenError::Invalid),
                "{index}"
            );
        }
        for garbage in ["", ".", "jc1.", "jc1..", "a.b.c"] {
            assert_eq!(signer.caller(garbage, now), Err(TokenError::Invalid));
        }
        let other = JobId::new(now, 2);
        for (job, owner) in [(job, "ann:b"), (other, "ann:b"), (other, "")] {
            let watch = signer.watch_token(job, owner, later);
            let caller = signer.caller(&watch, now).unwrap().0;
            assert_eq!(caller.rights, Rights::Watch(job));
            assert_eq!(caller.subject, format!("watch:{owner}"));
        }
        let before = signer.token(&format!("watch:{job}:0:{}", later.as_millis()));
        let caller = signer.caller(&before, now).unwrap().0;
        assert_eq!(caller.subject, format!("watch:{job}"));
    }
}
