//! Files of jobs: signed addresses that a client may PUT to or GET from, and the objects behind them. The HTTP itself is the edge's.
//!
//! An address is `BASE/files/UPLOAD/NAME?expires=MILLIS&…&signature=…`; whoever holds it may use it until it expires.

use std::fmt;
use std::sync::Arc;

use job::limits::check;
use job::{OverLimit, Time};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::token::Signer;

/// Bytes of one upload, at most: 1 GiB.
pub const UPLOAD_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of a file's name.
pub const NAME_BYTES: usize = 255;
/// How long a PUT address is good, in milliseconds: one hour.
pub const PUT_LIFE_MILLIS: i64 = 60 * 60 * 1000;
/// How long a GET address is good, in milliseconds: seven days (the longest that S3 signs for).
pub const GET_LIFE_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The files, over any object store.
#[derive(Clone)]
pub struct Files {
    objects: Arc<dyn ObjectStore>,
    signer: Signer,
    base: String,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// A place for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// `UPLOAD/NAME`: the object's key.
    pub id: String,
    /// The file's name.
    pub name: String,
    /// Where to PUT the bytes.
    pub put_url: String,
    /// Where to GET them.
    pub get_url: String,
    /// When the PUT address expires.
    pub expires_at: Time,
}

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

/// What an upload is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The name cannot be a file's.
    #[error(
        "`{0}` cannot be a file name: it must not be empty, `.` or `..`, and must hold no `/`, `\\` or control character"
    )]
    Name(String),
    /// The media type cannot be one.
    #[error("`{0}` is not a media type such as image/png")]
    ContentType(String),
    /// The size is not from 0 to the limit.
    #[error("size is {0} bytes, and it must be from 0 to {UPLOAD_BYTES}")]
    Size(i64),
    /// The name is too long.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
}

impl Files {
    /// Files in `objects`, at addresses that begin with `base` (`http://127.0.0.1:8080`).
    pub fn new(objects: Arc<dyn ObjectStore>, signer: Signer, base: impl Into<String>) -> Files {
        Files {
            objects,
            signer,
            base: base.into(),
        }
    }

    /// The store behind.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// A place for one file; `unique` makes its key.
    ///
    /// # Errors
    /// [`UploadError`].
    pub fn upload(
        &self,
        name: &str,
        content_type: Option<&str>,
        size: i64,
        unique: u128,
        now: Time,
    ) -> Result<Upload, UploadError> {
        check("name", "bytes", name.len(), NAME_BYTES)?;
        let bad = |c: char| c == '/' || c == '\\' || c.is_control();
        if name.is_empty() || name == "." || name == ".." || name.contains(bad) {
            return Err(UploadError::Name(name.to_owned()));
        }
        let content_type = content_type.unwrap_or("application/octet-stream");
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        if !content_type.contains('/')
            || content_type.len() > NAME_BYTES
            || !content_type.chars().all(plain)
        {
            return Err(UploadError::ContentType(content_type.to_owned()));
        }
        let size = u64::try_from(size)
            .ok()
            .filter(|size| *size <= UPLOAD_BYTES)
            .ok_or(UploadError::Size(size))?;
        let id = format!("{unique:032x}/{}", encode(name));
        let expires_at = now.plus_millis(PUT_LIFE_MILLIS);
        Ok(Upload {
            put_url: self.address("PUT", &id, expires_at, Some(size), content_type),
            get_url: self.address(
                "GET",
                &id,
                now.plus_millis(GET_LIFE_MILLIS),
                None,
                content_type,
            ),
            id,
            name: name.to_owned(),
            expires_at,
        })
    }

    fn address(
        &self,
        method: &str,
        id: &str,
        expires_at: Time,
        size: Option<u64>,
        content_type: &str,
    ) -> String {
        let size = size.map_or_else(String::new, |size| format!("&size={size}"));
        let query = format!(
            "expires={}{size}&type={}",
            expires_at.as_millis(),
            encode(content_type)
        );
        let signature = self.signer.sign(&format!("{method} {id}?{query}"));
        format!("{}/files/{id}?{query}&signature={signature}", self.base)
    }

    /// What a request may do: `method` is `PUT` or `GET`, `id` the path after `/files/`, `query` the query, both as sent.
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
        let (signed, signature) = query
            .rsplit_once("&signature=")
            .ok_or(AddressError::Invalid)?;
        if !self
            .signer
            .verify(&format!("{method} {id}?{signed}"), signature)
        {
            return Err(AddressError::Invalid);
        }
        let value = |name: &str| {
            signed
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let expires_at = value("expires")
            .and_then(|millis| millis.parse().ok())
            .ok_or(AddressError::Invalid)?;
        if Time::from_millis(expires_at) <= now {
            return Err(AddressError::Expired);
        }
        let content_type = value("type")
            .and_then(decode)
            .ok_or(AddressError::Invalid)?;
        let key = Path::from_url_path(id).map_err(|_| AddressError::Invalid)?;
        Ok(match value("size").map(str::parse) {
            Some(size) => Grant::Put {
                key,
                size: size.map_err(|_| AddressError::Invalid)?,
                content_type,
            },
            None => Grant::Get { key, content_type },
        })
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn files() -> Files {
        Files::new(
            Arc::new(InMemory::new()),
            Signer::new([1; 32]),
            "http://host",
        )
    }

    fn split(url: &str) -> (String, String) {
        let (id, query) = url
            .strip_prefix("http://host/files/")
            .unwrap()
            .split_once('?')
            .unwrap();
        (id.to_owned(), query.to_owned())
    }

    #[test]
    fn an_address_allows_its_method_until_it_expires() {
        let (files, now) = (files(), Time::from_millis(0));
        let upload = files
            .upload("söt bild.png", Some("image/png"), 5, 9, now)
            .unwrap();
        let (id, query) = split(&upload.put_url);
        let granted = files.grant("PUT", &id, &query, now).unwrap();
        assert!(
            matches!(granted, Grant::Put { size: 5, ref content_type, .. } if content_type == "image/png")
        );
        assert_eq!(
            files.grant("GET", &id, &query, now),
            Err(AddressError::Invalid)
        );
        assert_eq!(
            files.grant("PUT", &id, &query, upload.expires_at),
            Err(AddressError::Expired)
        );
        assert_eq!(
            files.grant("PUT", &id, &query.replace("size=5", "size=6"), now),
            Err(AddressError::Invalid)
        );
        let (id, query) = split(&upload.get_url);
        assert!(matches!(
            files.grant("GET", &id, &query, now),
            Ok(Grant::Get { .. })
        ));
    }

    #[test]
    fn names_sizes_and_types_that_cannot_be() {
        let (files, now) = (files(), Time::from_millis(0));
        let try_it =
            |name: &str, kind: &str, size: i64| files.upload(name, Some(kind), size, 1, now);
        for name in ["", ".", "..", "a/b", "a\\b", "a\nb"] {
            assert!(
                matches!(try_it(name, "a/b", 1), Err(UploadError::Name(_))),
                "{name:?}"
            );
        }
        assert!(try_it(&"x".repeat(NAME_BYTES), "a/b", 0).is_ok());
        assert!(matches!(
            try_it(&"x".repeat(NAME_BYTES + 1), "a/b", 0),
            Err(UploadError::OverLimit(_))
        ));
        let most = i64::try_from(UPLOAD_BYTES).unwrap();
        assert!(try_it("x", "a/b", most).is_ok());
        assert_eq!(
            try_it("x", "a/b", most + 1),
            Err(UploadError::Size(most + 1))
        );
        assert_eq!(try_it("x", "a/b", -1), Err(UploadError::Size(-1)));
        assert!(matches!(
            try_it("x", "nonsense", 1),
            Err(UploadError::ContentType(_))
        ));
    }
}
