//! As much of S3 as uploads in parts and reads need: one bucket in memory, addressed by path.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

/// S3 takes no smaller parts, but for the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

#[derive(Default)]
struct Bucket {
    parts: BTreeMap<u32, Bytes>,
    objects: HashMap<String, Bytes>,
    is_slow: bool,
}

type Shared = Arc<Mutex<Bucket>>;

/// An S3 that takes one upload at a time.
pub struct S3 {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    bucket: Shared,
    _serving: AbortOnDropHandle<()>,
}

impl S3 {
    /// The bucket's name.
    pub const BUCKET: &str = "files";

    pub async fn start() -> S3 {
        let bucket = Shared::default();
        let method = get(answer).post(answer).put(answer);
        let app = Router::new()
            .route("/{bucket}/{*key}", method)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&bucket));
        let (listener, endpoint) = super::aws::listen().await;
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        S3 {
            endpoint,
            bucket,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// The sizes of all objects but the probes of nodes.
    pub fn sizes(&self) -> Vec<usize> {
        let bucket = self.bucket.lock();
        let files = bucket
            .objects
            .iter()
            .filter(|(key, _)| *key != "jobcast-probe");
        files.map(|(_, object)| object.len()).collect()
    }

    /// Answers `SlowDown` from now on.
    pub fn slow_down(&self) {
        self.bucket.lock().is_slow = true;
    }
}

async fn answer(
    State(bucket): State<Shared>,
    Path((name, key)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: http::HeaderMap,
    body: Bytes,
) -> Response {
    let signed = headers.get("authorization").is_some_and(|signature| {
        let signature = signature.to_str().unwrap();
        signature.starts_with("AWS4-HMAC-SHA256 Credential=test/")
            && signature.contains("/us-east-1/s3/")
    });
    if !signed {
        return StatusCode::FORBIDDEN.into_response();
    }
    if name != S3::BUCKET {
        return (
            StatusCode::NOT_FOUND,
            "<Error><Code>NoSuchBucket</Code></Error>",
        )
            .into_response();
    }
    let mut bucket = bucket.lock();
    if bucket.is_slow {
        let error = "<Error><Code>SlowDown</Code></Error>";
        return (StatusCode::SERVICE_UNAVAILABLE, error).into_response();
    }
    let part = query
        .get("partNumber")
        .map(|number| number.parse().unwrap());
    match (method, part) {
        (Method::PUT, Some(number)) => {
            bucket.parts.insert(number, body);
            [("etag", format!("\"{number}\""))].into_response()
        }
        (Method::PUT, None) => {
            bucket.objects.insert(key, body);
            [("etag", "\"whole\"")].into_response()
        }
        (Method::POST, _) if query.contains_key("uploads") => {
            "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
                .into_response()
        }
        (Method::POST, _) => {
            let parts: Vec<Bytes> = std::mem::take(&mut bucket.parts).into_values().collect();
            let (_, before) = parts.split_last().unwrap();
            if before.iter().any(|part| part.len() < PART_BYTES) {
                return (StatusCode::BAD_REQUEST, "EntityTooSmall").into_response();
            }
            bucket.objects.insert(key, parts.concat().into());
            "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>"
                .into_response()
        }
        (Method::GET, _) => match bucket.objects.get(&key) {
            Some(object) => {
                let headers = [
                    ("etag", "\"whole\""),
                    ("last-modified", "Wed, 25 Nov 2026 09:00:00 GMT"),
                ];
                (headers, object.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
