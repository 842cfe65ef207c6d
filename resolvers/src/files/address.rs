//! Signed addresses of files: `BASE/files/UPLOAD/NAME?expires=MILLIS&…&signature=…`. Whoever holds one may use it until it expires.
//!
//! What is signed is decoded, so that clients which write addresses in a form of their own are served too.

use std::collections::BTreeMap;

use job::Time;
use object_store::path::Path;

use super::{Files, KEY_NAME_BYTES, NAME_BYTES};

/// What an address allows, after its signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Write so many bytes.
    Put {
        /// The object.
        key: Path,
        /// Exactly so many bytes.
        size: u64,
        /// Its media type.
        content_type: String,
    },
    /// Read.
    Get {
        /// The object.
        key: Path,
        /// What it is called where it is kept.
        name: String,
        /// Its media type.
        content_type: String,
    },
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not signed by this server, or changed.
    #[error("the address is not valid: it is not one of this server's, or it was changed")]
    Invalid,
    /// Its time is over.
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

    /// What a request may do: `method` is `PUT` or `GET`, `id` the path after `/files/`, `query` the query, both as sent.
    ///
    /// What is signed is what an address means, not how it is written: a client may encode it otherwise, put its parameters into another
    /// order, or add some of its own.
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

    /// The decoded key and the address, when it is signed, whether or not it has expired.
    pub(super) fn signed(&self, method: &str, id: &str, query: &str) -> Option<(String, Address)> {
        let id = decode(id, false)?;
        // A `+` stands for a space in a form and for itself elsewhere; whichever of them was signed is meant.
        let readings = [true, false].map(|plus| self.read(method, &id, query, plus));
        let address = readings.into_iter().flatten().next()?;
        Some((id, address))
    }

    /// The address, when it is signed.
    fn read(&self, method: &str, id: &str, query: &str, plus_is_space: bool) -> Option<Address> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, plus_is_space)?;
            let known = ["expires", "size", "type", "name", "signature"].contains(&name.as_str());
            // Twice the same parameter would be read by others as the other one.
            if known && found.insert(name, decode(value, plus_is_space)?).is_some() {
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
    /// Not signed: it is only what a download is called, and a client may bring it into another normal form.
    name: Option<String>,
}

/// Path and query of an address, in the one form in which they are signed. `id` is not encoded.
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

/// Whether a file can have this name.
pub(super) fn is_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == '\\' || c.is_control();
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES && !name.contains(bad)
}

/// What a file is called in its key: letters, digits and `.`, `_`, `-` of its name, and at most [`KEY_NAME_BYTES`] of them, for a key must
/// be the same in every encoding and normal form, and fit into a directory of every file system.
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
    // What kind of file it is still shows.
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

pub(super) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' if plus_is_space => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}
