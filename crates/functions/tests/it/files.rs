//! Uploads and downloads, over real sockets.

use functions::{Job, MAX_ATTEMPTS, Places};
use futures_util::StreamExt;
use serde_json::json;

use crate::server::{Fault, Server};

#[tokio::test]
async fn an_upload_uses_the_signed_address_and_can_be_read_back() {
    let server = Server::start().await;
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    let uploaded = job.upload("note.txt", "text/plain", "hello").await.unwrap();
    assert_eq!((uploaded.name.as_str(), uploaded.bytes), ("note.txt", 5));
    assert!(
        uploaded.get_url.starts_with(&server.url),
        "made absolute: {}",
        uploaded.get_url
    );
    assert_eq!(
        server.file(&uploaded.get_url),
        ("text/plain".into(), "hello".into())
    );
    let back = job
        .download(&uploaded.get_url)
        .await
        .unwrap()
        .bytes(5)
        .await
        .unwrap();
    assert_eq!(back, "hello");
}

#[tokio::test]
async fn an_upload_is_retried_after_a_fault_of_either_address() {
    let server = Server::start().await;
    server.fault(Fault::Status(503));
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    job.upload("a", "text/plain", "a").await.unwrap();
    server.fault(Fault::Status(429));
    job.upload("b", "text/plain", "b").await.unwrap();
}

#[tokio::test]
async fn a_refused_upload_fails_at_once() {
    let server = Server::start().await;
    server.refuse("LimitExceeded", "a file may have 10 bytes");
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    let error = job
        .upload("a", "text/plain", vec![0; 11])
        .await
        .unwrap_err();
    assert_eq!((error.name(), server.requests()), ("Refused", 1));
    assert!(error.to_string().contains("10 bytes"), "{error}");
    let detached = Job::from_event(&json!({}))
        .unwrap()
        .upload("a", "text/plain", "a")
        .await
        .unwrap_err();
    assert_eq!(detached.name(), "InvalidEvent");
}

#[tokio::test]
async fn a_download_into_memory_has_a_limit() {
    let server = Server::start().await;
    let job = Job::from_event(&json!({})).unwrap();
    let url = server.put("ten", vec![7; 10]);
    assert_eq!(
        job.download(&url)
            .await
            .unwrap()
            .bytes(10)
            .await
            .unwrap()
            .len(),
        10
    );
    let error = job
        .download(&url)
        .await
        .unwrap()
        .bytes(9)
        .await
        .unwrap_err();
    assert_eq!(error.name(), "FileTooLarge");
    assert!(error.to_string().contains("limit is 9"), "{error}");
}

#[tokio::test]
async fn a_large_download_is_streamed_in_chunks() {
    let server = Server::start().await;
    let job = Job::from_event(&json!({})).unwrap();
    let url = server.put_repeated("large", vec![b'x'; 64 * 1024], 256);
    let download = job.download(&url).await.unwrap();
    assert_eq!(download.size(), Some(16 * 1024 * 1024));
    let (mut total, mut largest) = (0, 0);
    let mut chunks = std::pin::pin!(download.into_stream());
    while let Some(chunk) = chunks.next().await {
        let length = chunk.unwrap().len();
        total += length;
        largest = largest.max(length);
    }
    assert_eq!(total, 16 * 1024 * 1024);
    assert!(largest <= 1024 * 1024, "{largest}");
}

#[tokio::test]
async fn a_missing_file_is_not_retried_and_its_signature_is_hidden() {
    let server = Server::start().await;
    let job = Job::from_event(&json!({})).unwrap();
    let error = job
        .download(&format!("{}/files/none?signature=s3cr3t", server.url))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "FileNotAvailable");
    assert!(
        error.to_string().contains("404") && !error.to_string().contains("s3cr3t"),
        "{error}"
    );
    let url = server.put("some", "x");
    for _ in 0..MAX_ATTEMPTS {
        server.fault(Fault::Status(502));
    }
    let error = job.download(&url).await.unwrap_err();
    assert_eq!(error.name(), "ServiceUnavailable");
}

#[tokio::test]
async fn a_submitters_address_is_read_only_at_allowed_places() {
    let (server, other) = (Server::start().await, Server::start().await);
    let job = Job::from_event(&server.event(json!({}))).unwrap();
    let none = Places::default();
    let own = server.put("mine", "mine");
    let theirs = other.put("theirs", "theirs");
    let read = async |url: &str, places: &Places| {
        let download = job.download_from(url, places).await?;
        download.bytes(100).await
    };
    assert_eq!(read(&own, &none).await.unwrap(), "mine");
    assert_eq!(read("/files/mine", &none).await.unwrap(), "mine");
    let to_own = format!("{}/files/to/{own}", server.url);
    assert_eq!(read(&to_own, &none).await.unwrap(), "mine");
    for url in [
        theirs.clone(),
        format!("{}/files/to/{theirs}", server.url),
        format!("{}/files/to/{to_own}", other.url),
        format!("{}/graphql", server.url),
        format!("{}/files/../graphql", server.url),
        own.replace("http://", "http://user@"),
        "http://169.254.169.254/latest/meta-data/iam".to_owned(),
    ] {
        let error = read(&url, &none).await.unwrap_err();
        assert_eq!(error.name(), "AddressNotAllowed", "{url}: {error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("{}/files/", server.url)),
            "{error}"
        );
    }
    let allowed = Places::parse(&format!("{}/files/", other.url)).unwrap();
    assert_eq!(read(&theirs, &allowed).await.unwrap(), "theirs");
    let to_theirs = format!("{}/files/to/{theirs}", server.url);
    assert_eq!(read(&to_theirs, &allowed).await.unwrap(), "theirs");
    let endless = format!("{}/files/to/{}", server.url, "/files/to/".repeat(9));
    assert!(read(&endless, &none).await.is_err());
}
