//! The only HTTP client: GraphQL requests with a job's token, and a bounded retry with back-off. It
//! does not throttle (`report.rs`) and has no notion of files (`files.rs`).

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use crate::error::{Error, folded};

/// Maximum number of times that one request is sent.
pub const MAX_ATTEMPTS: u32 = 5;
/// Delay before the second attempt. It doubles for each further attempt; a random part of up to a
/// half is added.
pub const RETRY_FIRST_DELAY: Duration = Duration::from_millis(100);
/// Maximum delay between attempts, without the random part.
pub const RETRY_MAX_DELAY: Duration = Duration::from_secs(2);
/// Maximum size of a GraphQL reply in bytes.
pub const MAX_REPLY_BYTES: usize = 1024 * 1024;

/// Maximum number of redirects that are followed.
pub(crate) const MAX_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const GRAPHQL_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which a transfer without any progress fails.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A pool of connections, created at the first use and shared by clones. A function keeps one
/// client for all its invocations.
///
/// Proxies of the environment (`HTTP_PROXY` and similar variables) are used, but not for this
/// machine.
#[derive(Debug, Clone, Default)]
pub struct Client {
    http: Arc<OnceLock<reqwest::Client>>,
    /// Follows no redirect.
    straight: Arc<OnceLock<reqwest::Client>>,
}

impl Client {
    /// A client without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(|| build(true))
    }

    pub(crate) fn straight(&self) -> &reqwest::Client {
        self.straight.get_or_init(|| build(false))
    }

    /// Sends one GraphQL request, once, and returns its `data`.
    pub(crate) async fn graphql_once(
        &self,
        what: &'static str,
        url: &Url,
        token: &str,
        query: &str,
        variables: Value,
    ) -> Result<Value, Attempt> {
        let sent = self
            .http()
            .post(url.clone())
            .bearer_auth(token)
            .timeout(GRAPHQL_TIMEOUT)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await
            .map_err(Attempt::transport)?;
        let status = sent.status();
        if is_transient(status) {
            return Err(Attempt::Again(format!("the server answered {status}")));
        }
        let body = read_bounded(sent).await?;
        let reply = serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null);
        if let Some(first) = reply["errors"].get(0) {
            return Err(refusal(what, first));
        }
        match reply.get("data") {
            Some(data) if status.is_success() => Ok(data.clone()),
            _ => Err(Attempt::Never(Error::Refused {
                what,
                code: format!("HTTP {}", status.as_u16()),
                message: "the response is not GraphQL; is `reportUrl` the address of /graphql?"
                    .into(),
            })),
        }
    }

    /// As [`Self::graphql_once`], but repeats after connection errors, 5xx and 429, at most
    /// [`MAX_ATTEMPTS`] times.
    pub(crate) async fn graphql(
        &self,
        what: &'static str,
        url: &Url,
        token: &str,
        query: &str,
        variables: &Value,
    ) -> Result<Value, Error> {
        retry(what, || {
            self.graphql_once(what, url, token, query, variables.clone())
        })
        .await
    }
}

/// The failure of one attempt.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The next attempt may succeed.
    Again(String),
    /// Another attempt would fail too.
    Never(Error),
}

impl Attempt {
    /// The transport's message without the address, which may contain a signature.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        Self::Again(describe(error))
    }
}

pub(crate) fn describe(error: reqwest::Error) -> String {
    use std::error::Error as _;
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        words.push_str(": ");
        words.push_str(&next.to_string());
        cause = next.source();
    }
    words
}

/// Runs `attempt` until it succeeds, fails for good, or has run [`MAX_ATTEMPTS`] times.
pub(crate) async fn retry<T, F, R>(what: &'static str, mut attempt: F) -> Result<T, Error>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, Attempt>>,
{
    let mut attempts = 1;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(Attempt::Never(error)) => return Err(error),
            Err(Attempt::Again(reason)) if attempts >= MAX_ATTEMPTS => {
                return Err(Error::Unavailable {
                    what,
                    attempts,
                    reason,
                });
            }
            Err(Attempt::Again(reason)) => {
                tracing::debug!(what, attempts, reason, "trying again");
                tokio::time::sleep(delay(attempts, random())).await;
                attempts += 1;
            }
        }
    }
}

/// The delay after the `attempt`-th failure (from 1). `spread` in 0.0..1.0 adds up to a half, so
/// that functions that failed together do not retry together.
pub(crate) fn delay(attempt: u32, spread: f64) -> Duration {
    let doubled = RETRY_FIRST_DELAY.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.min(RETRY_MAX_DELAY).mul_f64(1.0 + spread / 2.0)
}

/// A number in 0.0..1.0. The hasher's seed is random per call.
pub(crate) fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

pub(crate) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

fn refusal(what: &'static str, error: &Value) -> Attempt {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let code = text(&error["extensions"]["code"])
        .or_else(|| text(&error["errorType"]))
        .unwrap_or_else(|| "GraphQL error".into());
    let message = text(&error["message"]).unwrap_or_default();
    match folded(&code).as_str() {
        "internal"
        | "internalfailure"
        | "internalservererror"
        | "serviceunavailable"
        | "unavailable"
        | "throttled"
        | "toomanyrequests"
        | "throttlingexception"
        | "conflict"
        | "versionconflict"
        | "conflictingversion" => Attempt::Again(format!("{code}: {message}")),
        _ => Attempt::Never(Error::Refused {
            what,
            code,
            message,
        }),
    }
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Vec<u8>, Attempt> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Attempt::transport)? {
        if body.len() + chunk.len() > MAX_REPLY_BYTES {
            return Err(Attempt::Never(Error::TooLarge {
                what: "the server's reply",
                size: (body.len() + chunk.len()) as u64,
                limit: MAX_REPLY_BYTES as u64,
            }));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The address without query and fragment, which is safe to show.
pub(crate) fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// An absolute `http` or `https` address. Relative ones are resolved against `base`.
pub(crate) fn address(text: &str, base: Option<&Url>) -> Result<Url, Error> {
    let invalid = |reason: String| Error::InvalidUrl {
        url: shown(text),
        reason,
    };
    let parsed = match base {
        Some(base) => base.join(text),
        None => Url::parse(text),
    };
    let url = parsed.map_err(|error| invalid(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(invalid(format!(
            "the scheme is {other}, only http and https are supported"
        ))),
    }
}

fn build(follows: bool) -> reqwest::Client {
    // If another provider is already installed, that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        outgoing::client()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL_TIMEOUT)
            .redirect(match follows {
                true => Policy::limited(MAX_REDIRECTS),
                false => Policy::none(),
            })
            .user_agent(concat!("jobcast-functions/", env!("CARGO_PKG_VERSION")))
    };
    builder().build().unwrap_or_else(|error| {
        // A machine without root certificates can still connect to a server on the same machine.
        tracing::warn!(
            error = describe(error),
            "no TLS roots found: https addresses will not be trusted"
        );
        builder()
            .tls_certs_only([])
            .build()
            .expect("a client without the system's certificates has no other source of failure")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_up_to_its_maximum() {
        let millis: Vec<_> = (1..=7)
            .map(|attempt| delay(attempt, 0.0).as_millis())
            .collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(delay(1, 1.0).as_millis(), 150);
        assert_eq!(delay(u32::MAX, 0.0), RETRY_MAX_DELAY);
        assert!((0.0..=1.0).contains(&random()));
    }

    #[test]
    fn an_address_is_http_and_shown_without_its_signature() {
        assert!(address("https://host/a?sig=1", None).is_ok());
        let base = Url::parse("http://127.0.0.1:8080/graphql").unwrap();
        assert_eq!(
            address("/files/a", Some(&base)).unwrap().as_str(),
            "http://127.0.0.1:8080/files/a"
        );
        for bad in [
            "file:///etc/passwd?sig=1",
            "ftp://x/?sig=1",
            "nonsense?sig=1",
            "",
        ] {
            let error = address(bad, None).unwrap_err();
            assert_eq!(error.name(), "InvalidUrl");
            assert!(!error.to_string().contains("sig"), "{error}");
        }
    }
}
