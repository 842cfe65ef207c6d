//! A function's files. Uploads use a signed PUT address that Jobcast issues; downloads accept any
//! `http(s)` address. Both are streamed. The report token is sent only to Jobcast, never to a
//! file's address.

use bytes::Bytes;
use futures_util::Stream;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Attempt, MAX_REDIRECTS, address, describe, is_transient, retry, shown};
use crate::error::Error;
use crate::job::Job;
use crate::places::Places;

/// Maximum size of an upload in bytes: the maximum of GraphQL's `Int`.
pub const MAX_UPLOAD_BYTES: u64 = i32::MAX as u64;

const CREATE_UPLOAD: &str = "mutation Upload($name: String!, $contentType: String, $size: Int!) { \
     createUpload(name: $name, contentType: $contentType, size: $size) { id name putUrl getUrl } }";

/// A stored file and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uploaded {
    /// The upload's id.
    pub id: String,
    /// The file's name.
    pub name: String,
    /// The signed address that a client can open. Put it into the result.
    pub get_url: String,
    /// Its size in bytes.
    pub bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upload {
    id: String,
    name: String,
    put_url: String,
    get_url: String,
}

impl Job {
    /// Stores `bytes` under `name` and returns their address. Safe to repeat: a repeat creates a
    /// new file.
    ///
    /// # Errors
    /// [`Error::Detached`] without a job, [`Error::TooLarge`] over [`MAX_UPLOAD_BYTES`],
    /// [`Error::Refused`] if the service refuses it, [`Error::Unavailable`] if the service cannot
    /// be reached.
    pub async fn upload(
        &self,
        name: &str,
        content_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Uploaded, Error> {
        let bytes = bytes.into();
        let size = checked_size(bytes.len() as u64)?;
        let to = self
            .inner
            .to
            .as_ref()
            .ok_or(Error::Detached { what: "an upload" })?;
        let client = &self.inner.client;
        let variables = json!({ "name": name, "contentType": content_type, "size": size });
        let mut data = client
            .graphql("an upload", &to.url, &to.token, CREATE_UPLOAD, &variables)
            .await?;
        let upload =
            Upload::deserialize(data["createUpload"].take()).map_err(|error| Error::Refused {
                what: "an upload",
                code: "unexpected answer".into(),
                message: format!("createUpload: {error}"),
            })?;
        let put_url = address(&upload.put_url, Some(&to.url))?;
        retry("an upload", || async {
            let request = client
                .http()
                .put(put_url.clone())
                .header(CONTENT_TYPE, content_type);
            let answer = request
                .body(bytes.clone())
                .send()
                .await
                .map_err(Attempt::transport)?;
            let status = answer.status();
            if status.is_success() {
                Ok(())
            } else if is_transient(status) {
                Err(Attempt::Again(format!(
                    "the file's address answered {status}"
                )))
            } else {
                Err(Attempt::Never(Error::Refused {
                    what: "an upload",
                    code: format!("HTTP {}", status.as_u16()),
                    message: "the signed address did not take the file".into(),
                }))
            }
        })
        .await?;
        let get_url = address(&upload.get_url, Some(&to.url))?.to_string();
        Ok(Uploaded {
            id: upload.id,
            name: upload.name,
            get_url,
            bytes: bytes.len() as u64,
        })
    }

    /// Opens a file by its address, such as the `getUrl` of an upload. Only the head of the
    /// response is read.
    ///
    /// Do not use it for an address that the submitter of the job gave: use
    /// [`Self::download_from`].
    ///
    /// # Errors
    /// [`Error::InvalidUrl`], [`Error::NotAvailable`] for 4xx, [`Error::Unavailable`] after the
    /// retries.
    pub async fn download(&self, url: &str) -> Result<Download, Error> {
        let target = self.absolute(url)?;
        Ok(get(self.inner.client.http(), &target).await?.into())
    }

    /// As [`Self::download`], but only from the files of the job's own server and from `places`.
    /// Redirects are checked too.
    ///
    /// # Errors
    /// As [`Self::download`], and [`Error::NotAllowed`].
    pub async fn download_from(&self, url: &str, places: &Places) -> Result<Download, Error> {
        let own = self
            .inner
            .to
            .as_ref()
            .and_then(|to| to.url.join("files/").ok());
        let places = places.clone().and(own);
        let mut target = self.absolute(url)?;
        for _ in 0..=MAX_REDIRECTS {
            if !places.allows(&target) {
                return Err(Error::NotAllowed {
                    url: shown(target.as_str()),
                    allowed: places.to_string(),
                });
            }
            let answer = get(self.inner.client.straight(), &target).await?;
            if !answer.status().is_redirection() {
                return Ok(answer.into());
            }
            let location = answer.headers().get(LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            target = address(location.unwrap_or_default(), Some(&target))?;
        }
        Err(Error::Refused {
            what: "a download",
            code: "redirects".into(),
            message: format!("the file's address led to another more than {MAX_REDIRECTS} times"),
        })
    }

    /// The address as an absolute URL. If it begins with a slash, it is on the job's server.
    fn absolute(&self, url: &str) -> Result<Url, Error> {
        let base = self.inner.to.as_ref().map(|to| &to.url);
        address(url, base.filter(|_| url.starts_with('/')))
    }
}

/// A response that has a file, or a redirect.
async fn get(client: &reqwest::Client, target: &Url) -> Result<reqwest::Response, Error> {
    retry("a download", || async {
        let answer = client
            .get(target.clone())
            .send()
            .await
            .map_err(Attempt::transport)?;
        let status = answer.status();
        let leads_on = status.is_redirection() && answer.headers().contains_key(LOCATION);
        if status.is_success() || leads_on {
            Ok(answer)
        } else if is_transient(status) {
            Err(Attempt::Again(format!(
                "the file's address answered {status}"
            )))
        } else {
            Err(Attempt::Never(Error::NotAvailable {
                url: shown(target.as_str()),
                status: status.as_u16(),
            }))
        }
    })
    .await
}

/// A download in progress, chunk by chunk. Memory holds one chunk for a file of any size.
#[derive(Debug)]
pub struct Download {
    response: reqwest::Response,
    size: Option<u64>,
    received: u64,
}

impl From<reqwest::Response> for Download {
    fn from(response: reqwest::Response) -> Download {
        Download {
            size: response.content_length(),
            received: 0,
            response,
        }
    }
}

impl Download {
    /// The whole size in bytes, if the server sends it.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the transfer is interrupted. Start the download again to retry.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.response.chunk().await {
            Ok(Some(chunk)) => {
                self.received += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(Error::Interrupted {
                received: self.received,
                reason: describe(error),
            }),
        }
    }

    /// The whole file in memory, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as the size is known to be over `limit`, [`Error::Interrupted`].
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, Error> {
        let too_large = |size| Error::TooLarge {
            what: "the file",
            size,
            limit,
        };
        if let Some(size) = self.size.filter(|size| *size > limit) {
            return Err(too_large(size));
        }
        let mut whole = Vec::with_capacity(self.size.unwrap_or(0) as usize);
        while let Some(chunk) = self.chunk().await? {
            if self.received > limit {
                return Err(too_large(self.received));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// The chunks as a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        futures_util::stream::unfold(Some(self), |download| async {
            let mut download = download?;
            match download.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(download))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

fn checked_size(size: u64) -> Result<u64, Error> {
    if size > MAX_UPLOAD_BYTES {
        return Err(Error::TooLarge {
            what: "the upload",
            size,
            limit: MAX_UPLOAD_BYTES,
        });
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_over_its_limit_is_refused() {
        assert_eq!(checked_size(MAX_UPLOAD_BYTES), Ok(MAX_UPLOAD_BYTES));
        assert_eq!(
            checked_size(MAX_UPLOAD_BYTES + 1).unwrap_err().name(),
            "FileTooLarge"
        );
    }
}
