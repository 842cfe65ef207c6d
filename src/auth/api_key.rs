//! API keys as configured: kept as SHA-256, found in constant time. The position of a key in a
//! request is not decided here.

use std::fmt;

use resolvers::Role;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::masked;

/// An API key, as configured.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// SHA-256 of the key, as 64 hexadecimal digits: `printf %s KEY | sha256sum`.
    #[serde(deserialize_with = "digest", serialize_with = "masked::mask")]
    pub sha256: [u8; 32],
    /// The caller's name, which is the owner of the jobs it submits.
    pub subject: String,
    /// The rights of the caller.
    pub roles: Vec<Role>,
}

impl ApiKey {
    /// The key among `keys` that equals `text`. All keys are compared, so that the time reveals
    /// nothing.
    pub(super) fn find<'a>(keys: &'a [ApiKey], text: &str) -> Option<&'a ApiKey> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        keys.iter().fold(None, |found, key| {
            if bool::from(key.sha256.ct_eq(&digest)) {
                Some(key)
            } else {
                found
            }
        })
    }
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
