//! Files of jobs: signed addresses for PUT and GET, and the objects behind them. HTTP itself is
//! handled by the edge.
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

/// Maximum size of one upload in bytes: 1 GiB.
pub const UPLOAD_BYTES: u64 = 1024 * 1024 * 1024;
/// Number of bytes of an upload that are written at a time, unless the store requires more.
pub const PART_BYTES: usize = 256 * 1024;
/// Minimum size of a part of an upload to S3 in bytes, except for the last part.
pub const S3_PART_BYTES: usize = 5 * 1024 * 1024;
/// Maximum size of a file's name in bytes.
pub const NAME_BYTES: usize = 255;
/// Maximum size of a file's name within its key in bytes.
pub const KEY_NAME_BYTES: usize = 100;
/// Lifetime of a PUT address in milliseconds: one hour.
pub const PUT_LIFE_MILLIS: i64 = 60 * 60 * 1000;
/// Lifetime of a GET address in milliseconds: seven days (the maximum of S3).
pub const GET_LIFE_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Why the store of the files failed: one variant per thing that a client or an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The disk has no room, probably.
    Full,
    /// It does not answer, or has too many requests: a later try may succeed.
    Busy,
    /// It is not there, or refuses this server: its operator has to act.
    Broken,
}

/// Finds the reason of a store's error.
pub type OutageOf = fn(&object_store::Error) -> Outage;

/// The files, over any object store.
#[derive(Clone)]
pub struct Files {
    objects: Arc<dyn ObjectStore>,
    signer: Signer,
    base: String,
    part_bytes: usize,
    outage_of: OutageOf,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The addresses for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The object's key: a number, `/`, and the plain characters of the file's name.
    pub id: String,
    /// The file's name.
    pub name: String,
    /// The address to PUT the bytes to.
    pub put_url: String,
    /// The address to GET them from.
    pub get_url: String,
    /// When the PUT address expires.
    pub expires_at: Time,
}

/// Errors of a request for an upload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The name is not valid for a file.
    #[error(
        "`{0}` cannot be a file name: it must not be empty, `.` or `..`, and must hold no `/`, `\\` or control character"
    )]
    Name(String),
    /// The media type is not valid.
    #[error("`{0}` is not a media type such as image/png")]
    ContentType(String),
    /// The size is negative or over the limit.
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
            outage_of: |_| Outage::Full,
        }
    }

    /// The same for a store that is not a directory: `outage_of` finds the reason of its errors.
    #[must_use]
    pub fn with_outages(mut self, outage_of: OutageOf) -> Files {
        self.outage_of = outage_of;
        self
    }

    /// Why the store failed.
    pub fn outage(&self, error: &object_store::Error) -> Outage {
        (self.outage_of)(error)
    }

    /// The same for a store whose parts of an upload have a minimum size, except for the last part:
    /// 5 MiB in S3.
    #[must_use]
    pub fn with_parts_of(mut self, bytes: usize) -> Files {
        self.part_bytes = bytes;
        self
    }

    /// Number of bytes of an upload that are written as one part.
    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    /// The object store.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Deletes the files that were last written before this time, and returns their number.
    ///
    /// # Errors
    /// The store's error. Files that were deleted before it stay deleted.
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
                // Another sweep has already deleted it.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Creates the addresses for one file; `unique` becomes a part of its key.
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
