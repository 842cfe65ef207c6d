//! Signed uploads and downloads: the address is the permission, for its method, its size and its time, and for nothing else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Client, Home};

async fn upload(client: &Client, name: &str, kind: &str, size: usize) -> Value {
    let document = "mutation($name: String!, $type: String, $size: Int!) { createUpload(name: $name, contentType: $type, size: $size) { id name putUrl getUrl expiresAt } }";
    client
        .data(
            document,
            json!({ "name": name, "type": kind, "size": size }),
        )
        .await
}

/// Status and text of a request with a body.
async fn send(client: &Client, method: Method, url: &str, body: Vec<u8>) -> (u16, String) {
    let response = client.request(method, url).body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn what_was_put_is_what_is_got() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    for (name, size) in [
        ("empty.bin", 0),
        ("one.bin", 1),
        ("schöne Bücher & mehr?.bin", 3_000_000),
    ] {
        let bytes: Vec<u8> = (0..size).map(|place: usize| (place % 251) as u8).collect();
        let place = upload(&client, name, "application/x-test", size).await;
        assert_eq!(place["name"], name);
        let (put, get) = (
            place["putUrl"].as_str().unwrap(),
            place["getUrl"].as_str().unwrap(),
        );
        let (status, text) = send(&client, Method::GET, get, vec![]).await;
        assert_eq!(status, 404);
        assert!(text.contains("nothing has been uploaded"), "{text}");
        assert_eq!(
            send(&client, Method::PUT, put, bytes.clone()).await,
            (204, String::new())
        );
        let got = client.request(Method::GET, get).send().await.unwrap();
        assert_eq!(got.headers()["content-type"], "application/x-test");
        assert_eq!(got.headers()["content-length"], size.to_string().as_str());
        assert_eq!(got.headers()["x-content-type-options"], "nosniff");
        assert!(got.headers().contains_key("content-security-policy"));
        assert!(got.bytes().await.unwrap() == bytes, "{name}");
    }
    // They are there after a restart, under addresses that were given out before.
    let place = upload(&client, "kept", "text/plain", 4).await;
    send(
        &client,
        Method::PUT,
        place["putUrl"].as_str().unwrap(),
        b"kept".to_vec(),
    )
    .await;
    let old = server.url.clone();
    server.kill().await;
    let server = home.start().await;
    let get = place["getUrl"].as_str().unwrap().replace(&old, &server.url);
    assert_eq!(
        send(&client, Method::GET, &get, vec![]).await,
        (200, "kept".to_owned())
    );
}

#[tokio::test]
async fn an_address_is_good_for_what_it_was_signed_for() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let place = upload(&client, "a.txt", "text/plain", 5).await;
    let (put, get) = (
        place["putUrl"].as_str().unwrap(),
        place["getUrl"].as_str().unwrap(),
    );
    let other = upload(&client, "b.txt", "text/plain", 5).await;
    let other = other["id"].as_str().unwrap();
    let id = place["id"].as_str().unwrap();
    for (method, url) in [
        (Method::PUT, get.to_owned()),
        (Method::GET, put.to_owned()),
        (Method::PUT, put.replace("size=5", "size=6")),
        (Method::PUT, put.replace(id, other)),
        (Method::PUT, put.replace("expires=", "expires=9")),
        (
            Method::PUT,
            put.split("&signature").next().unwrap().to_owned(),
        ),
        (Method::PUT, put.split('?').next().unwrap().to_owned()),
        (Method::PUT, put.replace("text%2Fplain", "text%2Fhtml")),
        (Method::GET, get.replace("signature=", "signature=A")),
    ] {
        let (status, text) = send(&client, method.clone(), &url, b"12345".to_vec()).await;
        assert_eq!(status, 403, "{method} {url}");
        assert!(text.contains("address is not valid"), "{text}");
    }
    for (body, said) in [
        ("1234", "has 4 bytes"),
        ("123456", "has more than 5 bytes"),
        ("", "has 0 bytes"),
    ] {
        let (status, text) = send(&client, Method::PUT, put, body.into()).await;
        assert_eq!(status, 400, "{text}");
        assert!(
            text.contains(said) && text.contains("nothing was kept"),
            "{text}"
        );
        assert_eq!(
            send(&client, Method::GET, get, vec![]).await.0,
            404,
            "nothing was kept"
        );
    }
    assert_eq!(
        send(&client, Method::PUT, put, b"12345".to_vec()).await.0,
        204
    );
    assert_eq!(
        send(&client, Method::GET, get, vec![]).await,
        (200, "12345".to_owned())
    );
}

#[tokio::test]
async fn an_expired_address_says_so() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    // Signed by the server's own key for a time that is over.
    let secret: [u8; 32] = std::fs::read(home.path("data/secret.key"))
        .unwrap()
        .try_into()
        .unwrap();
    let objects = std::sync::Arc::new(object_store::memory::InMemory::new());
    let files = resolvers::files::Files::new(
        objects,
        resolvers::token::Signer::new(secret),
        server.url.clone(),
    );
    let old = files
        .upload("a", None, 1, 7, job::Time::from_millis(0))
        .unwrap();
    for (method, url) in [(Method::PUT, old.put_url), (Method::GET, old.get_url)] {
        let (status, text) = send(&client, method, &url, b"1".to_vec()).await;
        assert_eq!(status, 403);
        assert!(text.contains("has expired: ask for a new one"), "{text}");
    }
    let fresh = files
        .upload("a", None, 1, 7, resolvers::jobs::now())
        .unwrap();
    assert_eq!(
        send(&client, Method::PUT, &fresh.put_url, b"1".to_vec())
            .await
            .0,
        204,
        "the key is the server's"
    );
}

#[tokio::test]
async fn an_upload_may_be_repeated() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let place = upload(&client, "a", "text/plain", 3).await;
    let (put, get) = (
        place["putUrl"].as_str().unwrap(),
        place["getUrl"].as_str().unwrap(),
    );
    for _ in 0..2 {
        assert_eq!(
            send(&client, Method::PUT, put, b"abc".to_vec()).await.0,
            204
        );
    }
    // A repeat that breaks off leaves what was there.
    assert_eq!(send(&client, Method::PUT, put, b"ab".to_vec()).await.0, 400);
    assert_eq!(
        send(&client, Method::GET, get, vec![]).await,
        (200, "abc".to_owned())
    );
}
