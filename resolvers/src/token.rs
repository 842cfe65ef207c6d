//! Tokens of our own making: what a job's functions and its watchers show. Signed with HMAC-SHA-256, not stored anywhere.
//!
//! A token is `jc1.` + base64url(claims) + `.` + base64url(signature over what stands before it).

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

    /// A token that may read one job.
    pub fn watch_token(&self, job: JobId, expires_at: Time) -> String {
        self.token(&format!("watch:{job}:0:{}", expires_at.as_millis()))
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
        let mut parts = claims.split(':');
        let mut next = || parts.next().ok_or(TokenError::Invalid);
        let (kind, job, attempt, expires_at) = (next()?, next()?, next()?, next()?);
        let job: JobId = job.parse().map_err(|_| TokenError::Invalid)?;
        let attempt = attempt.parse().map_err(|_| TokenError::Invalid)?;
        let expires_at = Time::from_millis(expires_at.parse().map_err(|_| TokenError::Invalid)?);
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        let rights = match kind {
            "report" => Rights::Report { job, attempt },
            "watch" => Rights::Watch(job),
            _ => return Err(TokenError::Invalid),
        };
        Ok((
            Caller {
                subject: format!("{kind}:{job}"),
                rights,
            },
            expires_at,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let watch = signer.watch_token(job, later);
        assert_eq!(
            signer.caller(&watch, now).unwrap().0.rights,
            Rights::Watch(job)
        );
    }
}
