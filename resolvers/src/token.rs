//! Tokens that this server issues to a job's functions and its watchers, and the token of the
//! function that publishes the job table's stream. They are signed with HMAC-SHA-256 and not stored
//! anywhere.
//!
//! A token is `jc1.` + base64url(claims) + `.` + base64url(signature over the text before it).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use job::{JobId, Time};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::caller::{Caller, Rights, Role};

/// The beginning of every token; the 1 is the version of the format.
pub const PREFIX: &str = "jc1.";
/// The name of the caller of a publisher token. It owns no jobs.
const PUBLISHER: &str = "publish";

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
    /// This server has not issued it.
    #[error("the token is not valid: it is not one of this server's, or it was changed")]
    Invalid,
    /// It has expired.
    #[error("the token has expired: ask for a new one")]
    Expired,
}

impl Signer {
    /// Signs with this key.
    pub fn new(key: [u8; 32]) -> Signer {
        Signer { key }
    }

    /// Signs with a digest of this secret, which may have any length.
    #[must_use]
    pub fn of_secret(secret: &str) -> Signer {
        use sha2::Digest as _;
        Signer::new(Sha256::digest(secret).into())
    }

    /// The signature of a text, in base64url.
    pub fn sign(&self, text: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Whether `signature` is the signature of `text`. Takes constant time.
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

    /// A token that may read one job and contains its owner: see [`Signer::owner_in`].
    pub fn watch_token_of(&self, job: JobId, owner: &str, expires_at: Time) -> String {
        let (owner, ends) = (URL_SAFE_NO_PAD.encode(owner), expires_at.as_millis());
        self.token(&format!("watch:{job}:0:{ends}:{owner}"))
    }

    /// A token that may publish the changes of all jobs, and nothing else. A program
    /// that has the secret can make one: the function that reads the job table's stream.
    #[must_use]
    pub fn publisher_token(&self, expires_at: Time) -> String {
        self.token(&format!("{PUBLISHER}:{}", expires_at.as_millis()))
    }

    /// The owner of the job of a watch token, if the token contains it. All clients with tokens of
    /// one owner are counted together with that owner. Only for a token that [`Signer::caller`] has
    /// accepted.
    pub fn owner_in(&self, token: &str) -> Option<String> {
        let (signed, _) = token.strip_prefix(PREFIX)?.rsplit_once('.')?;
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(signed).ok()?).ok()?;
        let owner = claims.strip_prefix("watch:")?.split(':').nth(3)?;
        String::from_utf8(URL_SAFE_NO_PAD.decode(owner).ok()?).ok()
    }

    fn token(&self, claims: &str) -> String {
        let signed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(&signed);
        format!("{signed}.{signature}")
    }

    /// The caller of a token, and when the token expires.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn caller(&self, token: &str, now: Time) -> Result<(Caller, Time), TokenError> {
        let (rights, expires_at) = self.claims(token)?;
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        let subject = match &rights {
            Rights::Report { job, .. } => format!("report:{job}"),
            Rights::Watch(job) => format!("watch:{job}"),
            Rights::Roles(_) => PUBLISHER.to_owned(),
        };
        Ok((Caller { subject, rights }, expires_at))
    }

    /// The rights of a token of this server, and when it expires, even if it has expired.
    fn claims(&self, token: &str) -> Result<(Rights, Time), TokenError> {
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
        let kind = next()?;
        if kind == PUBLISHER {
            return Ok((Rights::Roles(vec![Role::Publisher]), time(next()?)?));
        }
        let (job, attempt, expires_at) = (next()?, next()?, next()?);
        let job: JobId = job.parse().map_err(|_| TokenError::Invalid)?;
        let attempt = attempt.parse().map_err(|_| TokenError::Invalid)?;
        let rights = match kind {
            "report" => Rights::Report { job, attempt },
            "watch" => Rights::Watch(job),
            _ => return Err(TokenError::Invalid),
        };
        Ok((rights, time(expires_at)?))
    }
}

fn time(millis: &str) -> Result<Time, TokenError> {
    let millis = millis.parse().map_err(|_| TokenError::Invalid)?;
    Ok(Time::from_millis(millis))
}

/// The job of an execution, and the attempt for which it was started. An execution is named `JOB`
/// or `JOB-ATTEMPT`.
pub(crate) fn first_attempt(execution: &str) -> Option<(JobId, u32)> {
    let job = execution.get(..36)?.parse().ok()?;
    match execution.get(36..)?.strip_prefix('-') {
        None => Some((job, 1)),
        Some(attempt) => Some((job, attempt.parse().ok()?)),
    }
}

/// Replaces the report tokens in the payloads that a redriven execution passes to its tasks. A
/// redriven execution keeps its first input, and the token in that input belongs to an attempt that
/// has ended.
#[derive(Clone, Debug)]
pub struct Renewal {
    signer: Signer,
    life_millis: i64,
}

impl Renewal {
    /// The new tokens are signed with `signer` and valid for `life_millis`.
    pub fn new(signer: Signer, life_millis: i64) -> Renewal {
        Renewal {
            signer,
            life_millis,
        }
    }

    /// The payload of a task, in which each report token of an earlier attempt of the same job is
    /// replaced by a token of the current attempt. Each redrive is an attempt. `None` if there is
    /// no such token.
    pub fn renewed(
        &self,
        execution: &str,
        redrives: u32,
        payload: &str,
        now: Time,
    ) -> Option<Arc<str>> {
        let (job, first) = first_attempt(execution)?;
        let current = first.checked_add(redrives)?;
        let mut new = None;
        let renewed = replaced(payload, |token| {
            let (rights, _) = self.signer.claims(token).ok()?;
            let earlier = matches!(rights, Rights::Report { job: of, attempt } if of == job && attempt < current);
            earlier.then(|| {
                let expires_at = now.plus_millis(self.life_millis);
                let new =
                    new.get_or_insert_with(|| self.signer.report_token(job, current, expires_at));
                new.clone().into()
            })
        });
        match renewed {
            Cow::Borrowed(_) => None,
            Cow::Owned(renewed) => Some(renewed.into()),
        }
    }
}

/// The replacement of a hidden token.
pub const HIDDEN: &str = "hidden";

/// The text without tokens. The input of an execution contains the job's report token, and so may
/// everything derived from it. A caller that may only read must not see the token.
pub fn hide(text: &str) -> Cow<'_, str> {
    replaced(text, |_| Some(HIDDEN.into()))
}

/// The text in which each token for which `by` returns a replacement is replaced.
fn replaced<'a>(
    text: &'a str,
    mut by: impl FnMut(&str) -> Option<Cow<'static, str>>,
) -> Cow<'a, str> {
    let mut shown = String::new();
    // Up to here the text is already in `shown`.
    let mut copied = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find(PREFIX) {
        let at = from + found;
        let length = token_bytes(&text[at..]);
        from = at + length.max(PREFIX.len());
        if length > 0
            && let Some(other) = by(&text[at..from])
        {
            shown.push_str(&text[copied..at]);
            shown.push_str(&other);
            copied = from;
        }
    }
    if copied == 0 {
        return text.into();
    }
    shown.push_str(&text[copied..]);
    shown.into()
}

/// Length of the token at the beginning of the text; 0 if there is none.
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
    fn only_tokens_are_hidden() {
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
    fn a_redriven_execution_gets_tokens_of_its_attempt() {
        let signer = Signer::new([7; 32]);
        let (now, over) = (Time::from_millis(1_000), Time::from_millis(1));
        let (job, other) = (JobId::new(now, 1), JobId::new(now, 2));
        let first = signer.report_token(job, 1, over);
        let foreign = signer.report_token(other, 1, over);
        let watch = signer.watch_token(job, over);
        let strange = Signer::new([8; 32]).report_token(job, 1, over);
        let renewal = Renewal::new(signer.clone(), 500);
        let payload = format!(
            r#"{{"a":"{first}","b":"{{\"c\":\"{first}\"}}","d":"{foreign} {watch} {strange}"}}"#
        );
        for (execution, redrives, attempt) in [
            (job.to_string(), 1, 2),
            (job.to_string(), 7, 8),
            (format!("{job}-3"), 2, 5),
        ] {
            let second = signer.report_token(job, attempt, Time::from_millis(1_500));
            let renewed = renewal.renewed(&execution, redrives, &payload, now);
            assert_eq!(renewed.as_deref(), Some(&*payload.replace(&first, &second)));
            // A payload is renewed only once.
            let again = renewal.renewed(&execution, redrives, &renewed.unwrap(), now);
            assert_eq!(again, None);
        }
        for execution in ["", "x", &other.to_string()[..35], &format!("{job}-x")] {
            assert_eq!(renewal.renewed(execution, 1, &payload, now), None);
        }
        assert_eq!(renewal.renewed(&job.to_string(), 1, "{}", now), None);
    }

    #[test]
    fn a_publisher_token_may_publish_and_nothing_else() {
        let signer = Signer::new([7; 32]);
        let (now, later) = (Time::from_millis(1_000), Time::from_millis(2_000));
        let token = signer.publisher_token(later);
        let (caller, expires_at) = signer.caller(&token, now).unwrap();
        assert_eq!(caller, Caller::new("publish", &[Role::Publisher]));
        assert_eq!(expires_at, later);
        assert!(caller.may_publish().is_ok());
        assert!(caller.may_submit().is_err() && caller.may_upload().is_err());
        assert!(!caller.may_operate());
        assert_eq!(signer.owner_in(&token), None);
        assert_eq!(signer.caller(&token, later), Err(TokenError::Expired));
        let other = Signer::new([8; 32]).publisher_token(later);
        assert_eq!(signer.caller(&other, now), Err(TokenError::Invalid));
        // A signed text of another form is no token.
        for claims in ["publish", "publish:", "publish:x", "submit:9:9:9"] {
            let token = signer.token(claims);
            assert_eq!(signer.caller(&token, now), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn a_token_gives_its_caller_until_it_expires_or_is_changed() {
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
        assert_eq!(signer.owner_in(&watch), None);
        let owned = signer.watch_token_of(job, "https://id.example|ann:é", later);
        let owner = signer.owner_in(&owned);
        assert_eq!(owner.as_deref(), Some("https://id.example|ann:é"));
        assert_eq!(
            signer.caller(&owned, now).unwrap().0.rights,
            Rights::Watch(job)
        );
        assert_eq!(
            signer.caller(&watch, now).unwrap().0.rights,
            Rights::Watch(job)
        );
    }
}
