//! Files of jobs: signed addresses that a client may PUT to or GET from, and the objects behind them. The HTTP itself is the edge's.
//!
//! An address is `BASE/files/UPLOAD/NAME?expires=MILLIS&…&signature=…`; whoever holds it may use it until it expires. What is signed is
//! decoded, so that clients which write addresses in a form of their own are served too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use job::limits::check;
use job::{OverLimit, Time};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::token::Signer;

/// Bytes of one upload, at most: 1 GiB.
pub const UPLOAD_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of an upload that are written at a time where the store does not ask for more.
pub const PART_BYTES: usize = 256 * 1024;
/// Bytes of one part of an upload to S3, but for the last; it takes no smaller ones.
pub const S3_PART_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of a file's name.
pub const NAME_BYTES: usize = 255;
/// Bytes of a file's name within its key.
pub const KEY_NAME_BYTES: usize = 100;
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
    part_bytes: usize,
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
    /// The object's key: a number, `/`, and what is plain of the file's name.
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
            part_bytes: PART_BYTES,
        }
    }

    /// The same, where parts of an upload must have this many bytes, but for the last: 5 MiB in S3.
    #[must_use]
    pub fn with_parts_of(mut self, bytes: usize) -> Files {
        self.part_bytes = bytes;
        self
    }

    /// Bytes of an upload that are held before they are written as one part.
    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    /// The store behind.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Deletes the files that were last written before this time, and returns how many they were.
    ///
    /// # Errors
    /// The store's own; what was deleted by then is gone.
    pub async fn delete_older(&self, before: Time) -> object_store::Result<usize> {
        let mut all = self.objects.list(None);
        let mut count = 0;
        while let Some(found) = all.next().await {
            let found = found?;
            if found.last_modified.timestamp_millis() >= before.as_millis() {
                continue;
            }
            match self.objects.delete(&found.location).await {
                Ok(()) => count += 1,
                // Another sweep was faster.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
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
        if !is_name(name) {
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
        let key_name = key_name(name);
        let id = format!("{unique:032x}/{key_name}");
        let expires_at = now.plus_millis(PUT_LIFE_MILLIS);
        let get_until = now.plus_millis(GET_LIFE_MILLIS);
        let mut get_url = self.address("GET", &id, get_until, None, content_type);
        if key_name != name {
            get_url.extend(["&name=", &encode(name)]);
        }
        Ok(Upload {
            put_url: self.address("PUT", &id, expires_at, Some(size), content_type),
            get_url,
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
        let id = decode(id, false).ok_or(AddressError::Invalid)?;
        // A `+` stands for a space in a form and for itself elsewhere; whichever of them was signed is meant.
        let readings = [true, false].map(|plus| self.read(method, &id, query, plus));
        let address = readings.into_iter().flatten().next();
        let address = address.ok_or(AddressError::Invalid)?;
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
struct Address {
    expires_at: i64,
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
fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Whether a file can have this name.
fn is_name(name: &str) -> bool {
    let bad = |c: char| c == '/' || c == '\\' || c.is_control();
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES && !name.contains(bad)
}

/// What a file is called in its key: letters, digits and `.`, `_`, `-` of its name, and at most [`KEY_NAME_BYTES`] of them, for a key must
/// be the same in every encoding and normal form, and fit into a directory of every file system.
fn key_name(name: &str) -> String {
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

fn decode(text: &str, plus_is_space: bool) -> Option<String> {
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

    /// As clients write an address: encoding, order, additions.
    fn written_otherwise(query: &str) -> Vec<String> {
        let (mut lower, mut rest) = (String::new(), query.chars());
        while let Some(c) = rest.next() {
            lower.push(c);
            if c == '%' {
                lower.extend(rest.by_ref().take(2).map(|c| c.to_ascii_lowercase()));
            }
        }
        let mut pairs: Vec<&str> = query.split('&').collect();
        pairs.reverse();
        let all: String = query
            .split('&')
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                let value = decode(value, false).unwrap();
                let value: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
                format!("{name}={value}&")
            })
            .collect();
        vec![
            lower,
            pairs.join("&"),
            all,
            query
                .replace("%2F", "/")
                .replace("%3B", ";")
                .replace("%3D", "="),
            query.replace("%20", "+"),
            query.replace("%2B", "+"),
            format!("utm_source=mail&{query}&_=1"),
            format!("{query}&"),
        ]
    }

    #[test]
    fn an_address_means_the_same_however_it_is_written() {
        let (files, now) = (files(), Time::from_millis(0));
        for name in [
            "plain.txt",
            "a b+c%20d.txt",
            "söt bild.png",
            "so\u{308}t.png",
            "привет мир.pdf",
            "日本語のファイル.csv",
            "עברית.txt",
            "العربية.txt",
            "👩‍👩‍👧.gif",
            "~tilde'quote(1)!*.txt",
            "#?&=;,.txt",
            &"ü".repeat(NAME_BYTES / 2),
            &format!("{}.tar", "%".repeat(NAME_BYTES - 4)),
        ] {
            for kind in ["image/svg+xml", "text/plain; charset=utf-8"] {
                let upload = files.upload(name, Some(kind), 5, 9, now).unwrap();
                assert!(last(&upload.id).len() <= KEY_NAME_BYTES, "{}", upload.id);
                for (method, url) in [("PUT", &upload.put_url), ("GET", &upload.get_url)] {
                    let (id, query) = split(url);
                    let encoded: String = id
                        .chars()
                        .map(|c| {
                            if c == '/' {
                                "/".to_owned()
                            } else {
                                format!("%{:02X}", u32::from(c))
                            }
                        })
                        .collect();
                    let granted = files.grant(method, &id, &query, now).unwrap();
                    assert_eq!(files.grant(method, &encoded, &query, now).unwrap(), granted);
                    if let Grant::Get { name: told, .. } = &granted {
                        assert_eq!(told, name);
                    }
                    for other in written_otherwise(&query) {
                        let found = files.grant(method, &id, &other, now);
                        let key = |grant: &Grant| match grant {
                            Grant::Put { key, .. } | Grant::Get { key, .. } => key.clone(),
                        };
                        assert_eq!(
                            key(&found.unwrap_or_else(|_| panic!("{other}"))),
                            key(&granted)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        let (files, now) = (files(), Time::from_millis(0));
        let upload = files.upload("a", None, 5, 9, now).unwrap();
        let (id, query) = split(&upload.put_url);
        for more in ["size=5", "expires=9", "signature=x", "%73ize=5", "type=a"] {
            let both = format!("{query}&{more}");
            assert_eq!(
                files.grant("PUT", &id, &both, now),
                Err(AddressError::Invalid),
                "{more}"
            );
        }
    }

    #[tokio::test]
    async fn old_files_are_deleted() {
        let files = files();
        let key = Path::from("a/b");
        files.objects().put(&key, "x".into()).await.unwrap();
        let written = files.objects().head(&key).await.unwrap().last_modified;
        let written = Time::from_millis(written.timestamp_millis());
        assert_eq!(files.delete_older(written).await.unwrap(), 0);
        assert!(files.objects().head(&key).await.is_ok());
        assert_eq!(files.delete_older(written.plus_millis(1)).await.unwrap(), 1);
        assert!(files.objects().head(&key).await.is_err());
    }

    #[test]
    fn addresses_of_earlier_versions_are_still_valid() {
        let (files, now) = (files(), Time::from_millis(0));
        let (id, query) = (
            format!("{:032x}/s%C3%B6t%20bild.png", 9),
            "expires=7&type=image%2Fpng",
        );
        let signature = Signer::new([1; 32]).sign(&format!("GET {id}?{query}"));
        let granted = files.grant("GET", &id, &format!("{query}&signature={signature}"), now);
        let Ok(Grant::Get { key, name, .. }) = granted else {
            panic!("{granted:?}")
        };
        assert_eq!(key, Path::from_url_path(&id).unwrap());
        assert_eq!(name, "söt bild.png");
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
