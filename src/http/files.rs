//! `/files/UPLOAD/NAME`: signed PUT and GET over the object store. The signature is the permission;
//! there is no other.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CONNECTION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EXPECT, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, PutMultipartOptions};
use resolvers::files::{AddressError, Grant};
use resolvers::jobs::now;

use super::body::{BodyError, Paced};
use super::connection::Connection;
use super::doors::{Doors, FILES};
use super::range::{RequestedPart, Version};

/// Number of bytes of a part that is not counted among the bodies in memory.
const UNCOUNTED_PART: usize = 256 * 1024;

/// PUT: stores exactly the number of bytes for which the address was issued.
pub async fn put(State(doors): State<Doors>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let connection = Connection::of(&parts.extensions);
    let mut body = Paced::new(body, connection);
    let written = match grant(&doors, "PUT", &parts.uri) {
        Ok(Grant::Put { key, size, .. }) => match not_announced(&parts.headers, size) {
            None => {
                if let Some(connection) = connection {
                    connection.peer.known();
                }
                write(&doors, connection, &key, size, &mut body).await
            }
            Some(refused) => Err(refused),
        },
        Ok(Grant::Get { .. }) => Err(text(
            StatusCode::FORBIDDEN,
            AddressError::Invalid.to_string(),
        )),
        Err(error) => Err(text(StatusCode::FORBIDDEN, error.to_string())),
    };
    match written {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(mut response) => {
            // A client that sends `Expect: 100-continue` gets the refusal before it sends the body.
            let asks = parts.headers.contains_key(EXPECT);
            if asks || response.status() == StatusCode::REQUEST_TIMEOUT || !body.read_on().await {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            response
        }
    }
}

/// The answer to a request that announces no body, or a body of another size.
fn not_announced(headers: &HeaderMap, size: u64) -> Option<Response> {
    let Some(length) = headers.get(CONTENT_LENGTH) else {
        if headers.contains_key(TRANSFER_ENCODING) || size == 0 {
            return None;
        }
        let said = format!(
            "the body has 0 bytes, and createUpload was called with {size}: nothing was kept. An upload needs a Content-Length, or \
             Transfer-Encoding: chunked"
        );
        return Some(text(StatusCode::LENGTH_REQUIRED, said));
    };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    match length {
        Some(length) if length != size => Some(wrong_size(length, size)),
        _ => None,
    }
}

async fn write(
    doors: &Doors,
    connection: Option<&Connection>,
    key: &Path,
    size: u64,
    body: &mut Paced,
) -> Result<(), Response> {
    let files = doors.resolvers.files();
    let (store, part_bytes) = (files.objects(), files.part_bytes());
    // Small parts are not counted: each connection has at most one.
    let counted = connection.filter(|_| part_bytes > UNCOUNTED_PART);
    let _room = match counted {
        Some(connection) => {
            let room = connection
                .served
                .room
                .take(part_bytes.min(usize::try_from(size).unwrap_or(usize::MAX)));
            Some(
                room.await
                    .ok_or(BodyError::NoRoom)
                    .map_err(IntoResponse::into_response)?,
            )
        }
        None => None,
    };
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
        let chunk = match body.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) if written == size => break Ok(()),
            Ok(None) => break Err(wrong_size(written, size)),
            Err(error) => break Err(error.into_response()),
        };
        written += chunk.len() as u64;
        if written > size {
            break Err(wrong_size(written, size));
        }
        held.extend_from_slice(&chunk);
        if held.len() >= part_bytes
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

/// GET: the bytes or a part of them, as a stream. HEAD: the same without them.
pub async fn get(State(doors): State<Doors>, request: Request) -> Response {
    let (key, name, content_type) = match grant(&doors, "GET", request.uri()) {
        Ok(Grant::Get {
            key,
            name,
            content_type,
        }) => (key, name, content_type),
        Ok(Grant::Put { .. }) => {
            return text(StatusCode::FORBIDDEN, AddressError::Invalid.to_string());
        }
        Err(error) => return text(StatusCode::FORBIDDEN, error.to_string()),
    };
    if let Some(connection) = Connection::of(request.extensions()) {
        connection.peer.known();
    }
    let store = doors.resolvers.files().objects();
    let answered = answer(&**store, &key, request.method(), request.headers()).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(object_store::Error::NotFound { .. }) => {
            return text(
                StatusCode::NOT_FOUND,
                "nothing has been uploaded to this address yet, or it was deleted".to_owned(),
            );
        }
        Err(error) => {
            tracing::error!(%error, "a file could not be read");
            return text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the file could not be read".to_owned(),
            );
        }
    };
    let headers = response.headers_mut();
    if !headers.contains_key(CONTENT_TYPE) {
        let kind = HeaderValue::from_str(&content_type);
        headers.insert(
            CONTENT_TYPE,
            kind.unwrap_or(HeaderValue::from_static("application/octet-stream")),
        );
    }
    if let Ok(disposition) = HeaderValue::from_str(&disposition(&content_type, &name)) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    // An uploaded file must not run as a page of this origin.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:",
        ),
    );
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    // A page of another origin may show the file; CORS decides what it can read.
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    response
}

/// The file, a part of it, or a status without a body, as the request's conditions ask for it.
async fn answer(
    store: &dyn ObjectStore,
    key: &Path,
    method: &Method,
    headers: &HeaderMap,
) -> object_store::Result<Response> {
    let is_head = method == Method::HEAD;
    let mut options = GetOptions {
        head: is_head,
        ..GetOptions::default()
    };
    let mut part = None;
    if CONDITIONS.iter().any(|name| headers.contains_key(name)) {
        let options_of_head = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let version = version(&store.get_opts(key, options_of_head).await?.meta);
        match version.wanted(headers) {
            RequestedPart::Whole => {}
            // Ranges apply to GET only (RFC 9110, section 14.2).
            RequestedPart::Part(_) | RequestedPart::Unsatisfiable if is_head => {}
            RequestedPart::Part(range) => {
                options.range = Some(GetRange::Bounded(range.clone()));
                part = Some(range);
            }
            RequestedPart::NotModified => return Ok(bare(StatusCode::NOT_MODIFIED, &version)),
            RequestedPart::Failed => return Ok(bare(StatusCode::PRECONDITION_FAILED, &version)),
            RequestedPart::Unsatisfiable => return Ok(unsatisfiable(&version)),
        }
    }
    let found = store.get_opts(key, options).await?;
    let version = version(&found.meta);
    let body = match is_head {
        true => Body::empty(),
        false => Body::from_stream(found.into_stream()),
    };
    Ok(with_part(body, &version, part))
}

/// The headers that make a request conditional or ask for a part.
const CONDITIONS: [HeaderName; 5] = [
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// An answer without a body.
fn bare(status: StatusCode, version: &Version) -> Response {
    let mut response = status.into_response();
    describe(response.headers_mut(), version);
    response
}

fn unsatisfiable(version: &Version) -> Response {
    let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE, version);
    let all = HeaderValue::from_str(&format!("bytes */{}", version.size));
    let all = all.expect("a number is a header's value");
    response.headers_mut().insert(CONTENT_RANGE, all);
    response
}

/// The body of the whole file, or of a part of it.
fn with_part(body: Body, version: &Version, part: Option<Range<u64>>) -> Response {
    let mut response = Response::new(body);
    let length = part
        .as_ref()
        .map_or(version.size, |part| part.end - part.start);
    let headers = response.headers_mut();
    describe(headers, version);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(part) = part {
        let (last, size) = (part.end - 1, version.size);
        let range = HeaderValue::from_str(&format!("bytes {}-{last}/{size}", part.start));
        let range = range.expect("numbers are a header's value");
        headers.insert(CONTENT_RANGE, range);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn version(meta: &ObjectMeta) -> Version {
    let tag = meta.e_tag.as_deref();
    Version {
        size: meta.size,
        tag: tag.map(|tag| match tag.starts_with('"') {
            true => tag.to_owned(),
            false => format!("\"{tag}\""),
        }),
        modified: Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or_default(),
    }
}

fn describe(headers: &mut HeaderMap, version: &Version) {
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for (name, value) in [(ETAG, version.tag.clone()), (LAST_MODIFIED, version.date())] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
}

/// Whether a browser shows the file or saves it, and its name (RFC 6266). Pictures, sound, films
/// and plain text are shown. A browser might run any other type as a page.
fn disposition(content_type: &str, name: &str) -> String {
    let media = content_type.split(';').next().unwrap_or("").trim();
    let media = media.to_ascii_lowercase();
    let shown = ["image/", "audio/", "video/"]
        .iter()
        .any(|kind| media.starts_with(kind))
        || matches!(
            media.as_str(),
            "text/plain" | "text/csv" | "application/json"
        );
    let how = if shown { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|c| match c {
            ' '..='~' if !matches!(c, '"' | '\\' | '%') => c,
            _ => '_',
        })
        .collect();
    let encoded = name.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    });
    if plain == name {
        return format!("{how}; filename=\"{plain}\"");
    }
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn grant(doors: &Doors, method: &str, uri: &Uri) -> Result<Grant, AddressError> {
    let id = uri.path().strip_prefix(FILES).unwrap_or_default();
    let query = uri.query().unwrap_or_default();
    doors.resolvers.files().grant(method, id, query, now())
}

fn wrong_size(written: u64, size: u64) -> Response {
    let more = if written > size { "more than " } else { "" };
    text(
        StatusCode::BAD_REQUEST,
        format!(
            "the body has {more}{} bytes, and createUpload was called with {size}: nothing was kept",
            written.min(size)
        ),
    )
}

fn text(status: StatusCode, text: String) -> Response {
    (status, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_shown_or_saved_by_its_type() {
        for (content_type, name, expected) in [
            ("image/png", "a.png", "inline; filename=\"a.png\""),
            ("IMAGE/PNG", "a.png", "inline; filename=\"a.png\""),
            (
                "text/plain; charset=utf-8",
                "a.txt",
                "inline; filename=\"a.txt\"",
            ),
            ("text/html", "a.html", "attachment; filename=\"a.html\""),
            ("application/xhtml+xml", "a", "attachment; filename=\"a\""),
            (
                "application/pdf",
                "a b.pdf",
                "attachment; filename=\"a b.pdf\"",
            ),
            (
                "application/octet-stream",
                "a\"b",
                "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b",
            ),
            (
                "video/mp4",
                "söt%.mp4",
                "inline; filename=\"s_t_.mp4\"; filename*=UTF-8''s%C3%B6t%25.mp4",
            ),
        ] {
            assert_eq!(disposition(content_type, name), expected);
        }
    }
}
