//! Signed addresses of files: `BASE/files/UPLOAD/NAME?expires=MILLIS&…&signature=…`. A holder of an
//! address may use it until it expires.
//!
//! The signature covers the decoded address, so that clients that encode addresses differently are
//! served too.

use std::collections::BTreeMap;

use job::Time;
use object_store::path::Path;

use crate::percent_decoded;

use super::{Files, KEY_NAME_BYTES, NAME_BYTES};

/// The request that an address allows, after its signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Write the object.
    Put {
        /// The object.
        key: Path,
        /// Exact number of bytes.
        size: u64,
        /// Its media type.
        content_type: String,
    },
    /// Read the object.
    Get {
        /// The object.
        key: Path,
        /// The file's name for a download.
        name: String,
        /// Its media type.
        content_type: String,
    },
}

/// The reason why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// This server has not signed it, or it was changed.
    #[error("the address is not valid: it is not one of this server's, or it was changed")]
    Invalid,
    /// It has expired.
    #[error("the address has expired: ask for a new one")]
    Expired,
}

impl Files {
    pub(super) fn address(
        &self,
        method: &str,
        id: &str,
        expires_at: Time,
        size: Option<u64>,
        content_type: &str,
    ) -> String {
        let (id, query) = signed(id, expires_at.as_millis(), size, content_type);
        let signature = self.signer.sign(&format!("{method} {id}?{query}"));
        format!("{}/files/{id}?{query}&signature={signature}", self.base)
    }

    /// The request that an address allows: `method` is `PUT` or `GET`, `id` the path after
    /// `/files/`, `query` the query, both as sent.
    ///
    /// The signature covers the meaning of an address, not its spelling: a client may encode it
    /// differently, reorder its parameters, or add further ones.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn grant(
        &self,
        method: &str,
        id: &str,
        query: &str,
        now: Time,
    ) -> Result<Grant, AddressError> {
        let (id, address) = self
            .signed(method, id, query)
            .ok_or(AddressError::Invalid)?;
        if Time::from_millis(address.expires_at) <= now {
            return Err(AddressError::Expired);
        }
        let key = Path::parse(&id).map_err(|_| AddressError::Invalid)?;
        Ok(match address.size {
            Some(size) => Grant::Put {
                key,
                size,
                content_type: address.content_type,
            },
            None => Grant::Get {
                name: address.name.unwrap_or_else(|| last(&id).to_owned()),
                key,
                content_type: address.content_type,
            },
        })
    }

    /// The decoded key and the address, if the signature is valid, even if the address has expired.
    pub(super) fn signed(&self, method: &str, id: &str, query: &str) -> Option<(String, Address)> {
        let id = percent_decoded(id, false)?;
        // A `+` means a space in a form and a plus sign elsewhere. The reading that was signed is
        // used.
        let readings = [true, false].map(|plus| self.read(method, &id, query, plus));
        let address = readings.into_iter().flatten().next()?;
        Some((id, address))
    }

    /// The address, if the signature is valid.
    fn read(&self, method: &str, id: &str, query: &str, plus_is_space: bool) -> Option<Address> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decoded(name, plus_is_space)?;
            let known = ["expires", "size", "type", "name", "signature"].contains(&name.as_str());
            // If a parameter occurs twice, other readers could use the other one.
            if known
                && found
                    .insert(name, percent_decoded(value, plus_is_space)?)
                    .is_some()
            {
                return None;
            }
        }
        let expires_at = found.get("expires")?.parse().ok()?;
        let size = found
            .get("size")
            .map(|size| size.parse())
            .transpose()
            .ok()?;
        let content_type = found.remove("type")?;
        let (id, query) = signed(id, expires_at, size, &content_type);
        let text = format!("{method} {id}?{query}");
        self.signer
            .verify(&text, found.get("signature")?)
            .then(|| Address {
                expires_at,
                size,
                content_type,
                name: found.remove("name").filter(|name| is_name(name)),
            })
    }
}

/// An address that was signed.
pub(super) struct Address {
    pub(super) expires_at: i64,
    size: Option<u64>,
    content_type: String,
    /// Not signed: it is only the name of a download, and a client may convert it to another normal
    /// form.
    name: Option<String>,
}

/// Path and query of an address in the normal form that is signed. `id` is not encoded.
fn signed(id: &str, expires_at: i64, size: Option<u64>, content_type: &str) -> (String, String) {
    let id: Vec<String> = id.split('/').map(encode).collect();
    let size = size.map_or_else(String::new, |size| format!("&size={size}"));
    let query = format!("expires={expires_at}{size}&type={}", encode(content_type));
    (id.join("/"), query)
}

/// The last segment of a key.
pub(super) fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Whether a text is a valid name of a file.
pub(super) fn is_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == '\\' || c.is_control();
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES && !name.contains(bad)
}

/// The file's name within its key: letters, digits and `.`, `_`, `-` of its name, at most
/// [`KEY_NAME_BYTES`]. A key must be the same in every encoding and normal form, and be valid in
/// every file system.
pub(super) fn key_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || ".-_".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if plain.len() <= KEY_NAME_BYTES {
        return plain;
    }
    // Keeps the extension.
    let kind = plain.rfind('.').map_or("", |at| &plain[at..]);
    let kind = if kind.len() <= KEY_NAME_BYTES / 4 {
        kind
    } else {
        ""
    };
    format!("{}{kind}", &plain[..KEY_NAME_BYTES - kind.len()])
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}
