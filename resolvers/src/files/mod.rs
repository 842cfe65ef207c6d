//! Files of jobs: places that a client may PUT to or GET from, and the objects behind them. The HTTP itself is the edge's.
//!
//! | module | what |
//! |---|---|
//! | `address` | signed addresses |
//! | `mentioned` | the files whose addresses are in a text, such as a job's input |

mod address;
mod mentioned;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt;
use job::limits::check;
use job::{OverLimit, Time};
use object_store::{ObjectStore, ObjectStoreExt};

pub use self::address::{AddressError, Grant};
use self::address::{encode, is_name, key_name};
pub use self::mentioned::ADDRESSES;
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
}
