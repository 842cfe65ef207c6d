//! `/files/UPLOAD/NAME`: signed PUT and GET over the object store. The signature is the permission; there is no other.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use object_store::{ObjectStore, ObjectStoreExt, PutMultipartOptions};
use resolvers::files::{AddressError, Grant};
use resolvers::jobs::now;

use super::Doors;

/// Bytes that are held before they are written as one part. S3 takes no smaller parts, but for the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Bytes of a refused upload that are read all the same, so that its sender gets to read the answer.
const READ_ON_BYTES: usize = 16 * 1024 * 1024;
/// How long they are waited for.
const READ_ON_WITHIN: Duration = Duration::from_secs(5);

/// PUT: stores exactly as many bytes as the address was asked for with.
pub async fn put(State(doors): State<Doors>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let written = match grant(&doors, "PUT", &parts.uri) {
        Ok(Grant::Put { key, size, .. }) => {
            let store = doors.resolvers.files().objects();
            write(&**store, &key, size, &mut body).await
        }
        Ok(Grant::Get { .. }) => Err(text(
            StatusCode::FORBIDDEN,
            AddressError::Invalid.to_string(),
        )),
        Err(error) => Err(text(StatusCode::FORBIDDEN, error.to_string())),
    };
    match written {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(mut response) => {
            if !read_on(body).await {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            response
        }
    }
}

/// Reads what is left of a body, within bounds; whether it came to its end.
async fn read_on(mut body: BodyDataStream) -> bool {
    let reading = async {
        let mut left = READ_ON_BYTES;
        while let Some(Ok(chunk)) = body.next().await {
            let Some(less) = left.checked_sub(chunk.len()) else {
                return false;
            };
            left = less;
        }
        true
    };
    tokio::time::timeout(READ_ON_WITHIN, reading)
        .await
        .unwrap_or(false)
}

async fn write(
    store: &dyn ObjectStore,
    key: &object_store::path::Path,
    size: u64,
    chunks: &mut BodyDataStream,
) -> Result<(), Response> {
    let failed = |error: object_store::Error| {
        tracing::error!(%error, "a file could not be written");
        text(
            StatusCode::INSUFFICIENT_STORAGE,
            "the file could not be stored: is the disk full? Nothing was kept".to_owned(),
        )
    };
    let mut upload = store
        .put_multipart_opts(key, PutMultipartOptions::default())
        .await
        .map_err(failed)?;
    let (mut held, mut written) = (Vec::new(), 0_u64);
    let result = loop {
        let chunk = match chunks.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => {
                break Err(text(
                    StatusCode::BAD_REQUEST,
                    format!("the body broke off: {error}"),
                ));
            }
            None if written == size => break Ok(()),
            None => break Err(wrong_size(written, size)),
        };
        written += chunk.len() as u64;
        if written > size {
            break Err(wrong_size(written, size));
        }
        held.extend_from_slice(&chunk);
        if held.len() >= PART_BYTES
            && let Err(error) = upload.put_part(std::mem::take(&mut held).into()).await
        {
            break Err(failed(error));
        }
    };
    if let Err(response) = result {
        if let Err(error) = upload.abort().await {
            tracing::warn!(%error, "a broken upload was not removed");
        }
        return Err(response);
    }
    if !held.is_empty() || size == 0 {
        upload.put_part(held.into()).await.map_err(failed)?;
    }
    upload.complete().await.map_err(failed)?;
    Ok(())
}

/// GET: the bytes, as a stream.
pub async fn get(State(doors): State<Doors>, request: Request) -> Response {
    let (key, content_type) = match grant(&doors, "GET", request.uri()) {
        Ok(Grant::Get { key, content_type }) => (key, content_type),
        Ok(Grant::Put { .. }) => {
            return text(StatusCode::FORBIDDEN, AddressError::Invalid.to_string());
        }
        Err(error) => return text(StatusCode::FORBIDDEN, error.to_string()),
    };
    match doors.resolvers.files().objects().get(&key).await {
        Ok(found) => {
            let size = found.meta.size;
            let mut response = Response::new(Body::from_stream(found.into_stream()));
            let headers = response.headers_mut();
            let kind = HeaderValue::from_str(&content_type);
            headers.insert(
                CONTENT_TYPE,
                kind.unwrap_or(HeaderValue::from_static("application/octet-stream")),
            );
            headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
            // What somebody uploaded must not run as a page of this origin.
            headers.insert(
                HeaderName::from_static("content-security-policy"),
                HeaderValue::from_static(
                    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:",
                ),
            );
            headers.insert(
                HeaderName::from_static("x-content-type-options"),
                HeaderValue::from_static("nosniff"),
            );
            response
        }
        Err(object_store::Error::NotFound { .. }) => text(
            StatusCode::NOT_FOUND,
            "nothing has been uploaded to this address yet, or it was deleted".to_owned(),
        ),
        Err(error) => {
            tracing::error!(%error, "a file could not be read");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the file could not be read".to_owned(),
            )
        }
    }
}

fn grant(doors: &Doors, method: &str, uri: &Uri) -> Result<Grant, AddressError> {
    let id = uri.path().strip_prefix("/files/").unwrap_or_default();
    let query = uri.query().unwrap_or_default();
    doors.resolvers.files().grant(method, id, query, now())
}

fn wrong_size(written: u64, size: u64) -> Response {
    let more = if written > size { "more than " } else { "" };
    text(
        StatusCode::BAD_REQUEST,
        format!(
            "the body has {more}{} bytes, and createUpload was told {size}: nothing was kept",
            written.min(size)
        ),
    )
}

fn text(status: StatusCode, text: String) -> Response {
    (status, text).into_response()
}
