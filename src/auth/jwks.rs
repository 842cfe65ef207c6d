//! An identity provider's public keys (JWKS, RFC 7517): read from a file or an address, cached, and
//! read again when the provider rotates them. Which tokens are valid is not decided here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use job::Time;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use serde::Deserialize;

use super::credentials::AuthError;

/// Maximum size of a key set in bytes.
pub const JWKS_BYTES: usize = 256 * 1024;
/// Maximum number of keys of a set that are used.
pub const KEYS: usize = 100;
/// Time after which the set is read again, so that a key that the provider withdrew ends here too.
pub const FRESH_MILLIS: i64 = 10 * 60 * 1000;
/// Time for which the last set stays valid while no new one can be read.
pub const STALE_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Minimum time between two readings because of an unknown key: a caller that invents key ids must
/// not make this server flood the provider.
pub const READ_EVERY_MILLIS: i64 = 10_000;
/// Time allowed for one reading; less than a session waits for an answer.
pub const READ_WITHIN: Duration = Duration::from_secs(5);

/// The source of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a file, which may be replaced at any time.
    File(PathBuf),
    /// At an address.
    Url(String),
}

/// Why the keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file cannot be read.
    #[error("jwks_file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The address cannot be read.
    #[error("jwks_url cannot be read: {0}")]
    Url(String),
    /// It is larger than [`JWKS_BYTES`].
    #[error("the key set is too large: the limit is {JWKS_BYTES} bytes")]
    TooLarge,
    /// It is not a key set.
    #[error("the key set is not {{\"keys\": […]}}: {0}")]
    Malformed(serde_json::Error),
    /// None of its keys can be used.
    #[error("the key set has no key for RS256 (RSA of 2048 bits or more) or ES256 (P-256)")]
    Empty,
}

/// The keys of one provider.
#[derive(Clone, Debug)]
pub struct Jwks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    http: reqwest::Client,
    known: Mutex<Known>,
    /// Held by the task that reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<[Key]>,
    /// When the keys were read; `None` for never.
    read_at: Option<Time>,
    /// When the last reading began.
    tried_at: Option<Time>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Known {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<DecodingKey> {
        let fits = |key: &&Key| {
            // A provider with one key may omit the ids on either side.
            let same = id.is_none() || key.id.is_none() || key.id.as_deref() == id;
            same && key.algorithm == algorithm
        };
        let found = self.keys.iter().filter(fits);
        found.map(|key| key.key.clone()).collect()
    }

    fn is_younger(&self, now: Time, millis: i64) -> bool {
        let since = |at: Time| now.as_millis().saturating_sub(at.as_millis());
        self.read_at.is_some_and(|at| since(at) < millis)
    }

    fn was_tried_just_now(&self, now: Time) -> bool {
        let since = |at: Time| now.as_millis().saturating_sub(at.as_millis());
        self.tried_at
            .is_some_and(|at| since(at) < READ_EVERY_MILLIS)
    }
}

impl Jwks {
    /// The keys at `source`. A file is read now, so that an invalid one is found at the start.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn open(source: Source, now: Time) -> Result<Jwks, JwksError> {
        let known = match &source {
            Source::File(path) => Known {
                keys: parse(&read_file(path)?)?,
                read_at: Some(now),
                tried_at: None,
            },
            Source::Url(_) => Known::default(),
        };
        Ok(Jwks {
            shared: Arc::new(Shared {
                source,
                http: http(),
                known: Mutex::new(known),
                reading: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// The keys that may have signed a token with this key id and algorithm; empty if there are
    /// none.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the set cannot be read and the last one is too old.
    pub async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Time,
    ) -> Result<Vec<DecodingKey>, AuthError> {
        let known = self.known();
        let found = known.find(id, algorithm);
        if found.is_empty() {
            let _reading = self.shared.reading.lock().await;
            self.read(now).await;
        } else if !known.is_younger(now, FRESH_MILLIS) {
            // One task reads; the others continue with the present set.
            if let Ok(_reading) = self.shared.reading.try_lock() {
                self.read(now).await;
            }
        } else {
            return Ok(found);
        }
        let known = self.known();
        if known.is_younger(now, STALE_MILLIS) {
            return Ok(known.find(id, algorithm));
        }
        Err(AuthError::Unavailable)
    }

    fn known(&self) -> Known {
        self.shared.known.lock().clone()
    }

    async fn read(&self, now: Time) {
        {
            let mut known = self.shared.known.lock();
            if known.was_tried_just_now(now) {
                return;
            }
            known.tried_at = Some(now);
        }
        let read = match &self.shared.source {
            Source::File(path) => read_file(path),
            Source::Url(url) => self.fetch(url).await,
        };
        match read.and_then(|text| parse(&text)) {
            Ok(keys) => {
                let mut known = self.shared.known.lock();
                known.keys = keys;
                known.read_at = Some(now);
            }
            Err(error) => {
                tracing::warn!(%error, source = ?self.shared.source, "the keys of an identity provider cannot be read");
            }
        }
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, JwksError> {
        let broken = |error: reqwest::Error| JwksError::Url(error.without_url().to_string());
        let sent = self.shared.http.get(url).timeout(READ_WITHIN).send().await;
        let response = sent
            .and_then(reqwest::Response::error_for_status)
            .map_err(broken)?;
        let mut text = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(broken)?;
            if text.len() + chunk.len() > JWKS_BYTES {
                return Err(JwksError::TooLarge);
            }
            text.extend_from_slice(&chunk);
        }
        Ok(text)
    }
}

/// No redirects: the keys are at the configured address only.
fn http() -> reqwest::Client {
    // A second installation fails, which is right: the first one is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || outgoing::client().redirect(reqwest::redirect::Policy::none());
    // A machine without root certificates can still read keys at a loopback address.
    builder().build().unwrap_or_else(|_| {
        let built = builder().tls_certs_only([]).build();
        built.expect("a client without the system's certificates has no other source of failure")
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, JwksError> {
    let text = std::fs::read(path).map_err(|source| JwksError::File {
        path: path.to_path_buf(),
        source,
    })?;
    if text.len() > JWKS_BYTES {
        return Err(JwksError::TooLarge);
    }
    Ok(text)
}

/// The usable keys. Others are skipped, since a provider may publish keys for other purposes beside
/// them.
fn parse(text: &[u8]) -> Result<Arc<[Key]>, JwksError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(text)
        .and_then(json::object_of)
        .map_err(JwksError::Malformed)?;
    let keys: Arc<[Key]> = set
        .keys
        .into_iter()
        .take(KEYS)
        .filter_map(|key| usable(&json::object_of(key).ok()?))
        .collect();
    if keys.is_empty() {
        return Err(JwksError::Empty);
    }
    Ok(keys)
}

fn usable(key: &Jwk) -> Option<Key> {
    let common = &key.common;
    let (algorithm, name) = match &key.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let same = common.key_algorithm.is_none_or(|given| given == name);
    (signs && same).then_some(())?;
    Some(Key {
        id: common.key_id.clone(),
        algorithm,
        key: DecodingKey::from_jwk(key).ok()?,
    })
}
