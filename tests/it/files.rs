//! Signed uploads and downloads: the address is the permission, for its method, its size and its
//! time, and for nothing else.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::kit::{Client, Home, soon};

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
    for (body, expected, said) in [
        ("1234", 400, "has 4 bytes"),
        ("123456", 400, "has more than 5 bytes"),
        ("", 411, "has 0 bytes"),
    ] {
        let (status, text) = send(&client, Method::PUT, put, body.into()).await;
        assert_eq!(status, expected, "{text}");
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

/// A file of a hundred bytes, each pair of which is its own number.
async fn hundred(client: &Client, name: &str, kind: &str) -> (Value, Vec<u8>) {
    let bytes: Vec<u8> = (0..50)
        .flat_map(|place| format!("{place:02}").into_bytes())
        .collect();
    let place = upload(client, name, kind, bytes.len()).await;
    let (status, text) = send(
        client,
        Method::PUT,
        place["putUrl"].as_str().unwrap(),
        bytes.clone(),
    )
    .await;
    assert_eq!(status, 204, "{text}");
    (place, bytes)
}

#[tokio::test]
async fn parts_of_a_file() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let (place, bytes) = hundred(&client, "a.mp4", "video/mp4").await;
    let get = place["getUrl"].as_str().unwrap();
    let ask = async |method: Method, lines: &[(&str, &str)]| {
        let mut request = client.request(method, get);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let whole = ask(Method::GET, &[]).await;
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    let (tag, date) = (
        whole.headers()["etag"].clone(),
        whole.headers()["last-modified"].clone(),
    );
    let (tag, date) = (tag.to_str().unwrap(), date.to_str().unwrap());
    assert!(
        tag.starts_with('"') && date.ends_with(" GMT"),
        "{tag} {date}"
    );
    for (range, expected) in [
        ("bytes=10-19", Some(10..20)),
        ("bytes=50-", Some(50..100)),
        ("bytes=-7", Some(93..100)),
        ("bytes=0-1000", Some(0..100)),
        ("bytes=0-0,-1", None),
        ("lines=1-2", None),
    ] {
        let answer = ask(Method::GET, &[("range", range)]).await;
        assert_eq!(
            answer.status(),
            if expected.is_some() { 206 } else { 200 },
            "{range}"
        );
        let part = expected.clone().unwrap_or(0..100);
        if expected.is_some() {
            let said = format!("bytes {}-{}/100", part.start, part.end - 1);
            assert_eq!(answer.headers()["content-range"], said.as_str());
        }
        assert_eq!(
            answer.headers()["content-length"],
            part.len().to_string().as_str()
        );
        assert_eq!(answer.headers()["content-type"], "video/mp4");
        assert_eq!(answer.bytes().await.unwrap(), &bytes[part], "{range}");
    }
    for range in ["bytes=100-", "bytes=20-10", "bytes=-0", "bytes=x"] {
        let answer = ask(Method::GET, &[("range", range)]).await;
        assert_eq!(answer.status(), 416, "{range}");
        assert_eq!(answer.headers()["content-range"], "bytes */100");
    }
    let range = ("range", "bytes=0-1");
    for (lines, expected) in [
        (vec![("if-none-match", tag)], 304),
        (vec![("if-none-match", "\"other\"")], 200),
        (vec![("if-modified-since", date)], 304),
        (vec![("if-match", "\"other\"")], 412),
        (vec![("if-range", tag), range], 206),
        (vec![("if-range", date), range], 206),
        (vec![("if-range", "\"other\""), range], 200),
    ] {
        let answer = ask(Method::GET, &lines).await;
        assert_eq!(answer.status(), expected, "{lines:?}");
        assert_eq!(answer.headers()["etag"], tag);
    }
    let head = ask(Method::HEAD, &[]).await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], "100");
    assert_eq!(head.headers()["etag"], tag);
    assert!(head.bytes().await.unwrap().is_empty());
    assert_eq!(ask(Method::HEAD, &[range]).await.status(), 200);
}

#[tokio::test]
async fn names_of_every_length_and_script() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let names = [1, 99, 100, 101, 200, 253, 254, 255].map(|length| "x".repeat(length));
    let more = [
        "ü".repeat(127),
        format!("{}.pdf", "日本".repeat(40)),
        "%".repeat(255),
        "привет мир.txt".to_owned(),
        "👩‍👩‍👧.gif".to_owned(),
        "a+b &=#?;\"'<>|*:.txt".to_owned(),
        ".hidden".to_owned(),
        "con.".to_owned(),
    ];
    for name in names.into_iter().chain(more) {
        let (place, bytes) = hundred(&client, &name, "text/plain").await;
        assert_eq!(place["name"], name.as_str());
        let get = client.request(Method::GET, place["getUrl"].as_str().unwrap());
        let answer = get.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        let disposition = answer.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            disposition.starts_with("inline; filename=\""),
            "{disposition}"
        );
        assert_eq!(answer.bytes().await.unwrap(), bytes, "{name}");
    }
    let (place, _) = hundred(&client, "söt.html", "text/html").await;
    let get = client.request(Method::GET, place["getUrl"].as_str().unwrap());
    let answer = get.send().await.unwrap();
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename=\"s_t.html\"; filename*=UTF-8''s%C3%B6t.html"
    );
}

#[tokio::test]
async fn an_upload_says_how_long_it_is() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let place = upload(&client, "a", "text/plain", 3).await;
    let path = place["putUrl"]
        .as_str()
        .unwrap()
        .strip_prefix(&server.url)
        .unwrap()
        .to_owned();
    let put = async |lines: &str, body: &str| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut socket = tokio::net::TcpStream::connect(server.address())
            .await
            .unwrap();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n{body}"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(put("", "").await, "411");
    assert_eq!(put("Content-Length: 4\r\n", "abcd").await, "400");
    // A client that asks before it sends is answered before it sends.
    assert_eq!(
        put("Content-Length: 4\r\nExpect: 100-continue\r\n", "").await,
        "400"
    );
    assert_eq!(
        put("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n").await,
        "204"
    );
    assert_eq!(put("Content-Length: 3\r\n", "abc").await, "204");
}

#[tokio::test]
async fn a_function_uploads_for_its_job_while_that_lasts() {
    let home = crate::access::home();
    let server = home.start().await;
    let ann = server.client().with_key("ann-key");
    let id = ann.submit("wait", &json!({})).await;
    let job = ann.until_status(&id, "WAITING").await;
    let execution = job["execution"].as_str().unwrap();
    let token =
        crate::access::report_token(server.internal(), &server.client(), "wait", execution).await;
    let function = server.client().with_token(&token);
    let document = "mutation { createUpload(name: \"a\", size: 1) { id } }";
    function.data(document, json!({})).await;
    ann.cancel(&id).await;
    let (code, message) = function.error(document, json!({})).await;
    assert_eq!(code, "InvalidStatus", "{message}");
    assert!(message.contains("CANCELLED"), "{message}");
}

/// The files of unfinished uploads below a directory: the store names them after the file with `#`
/// and a number.
fn unfinished(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let counts = entries.flatten().map(|entry| {
        if entry.path().is_dir() {
            unfinished(&entry.path())
        } else {
            usize::from(entry.file_name().to_string_lossy().contains('#'))
        }
    });
    counts.sum()
}

#[tokio::test]
async fn what_was_written_of_a_broken_upload_is_removed() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let size = resolvers::files::PART_BYTES * 2;
    let place = upload(&client, "a.bin", "text/plain", size).await;
    let url = place["putUrl"].as_str().unwrap();
    let address = client.url.strip_prefix("http://").unwrap();
    let path = &url[url.find("/files/").unwrap()..];
    let head = format!("PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {size}\r\n\r\n");
    let data = home.path("data");
    let until = async |what: &str, wanted: usize| {
        let counted = async {
            while unfinished(&data) != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(what, counted).await;
    };
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&vec![7; size * 2 / 3]).await.unwrap();
    until("a part on the disk", 1).await;
    drop(socket);
    until("its removal", 0).await;
    let got = send(
        &client,
        Method::GET,
        place["getUrl"].as_str().unwrap(),
        vec![],
    )
    .await;
    assert_eq!(got.0, 404, "{}", got.1);
    // The address is valid as before.
    assert_eq!(send(&client, Method::PUT, url, vec![7; size]).await.0, 204);
    assert_eq!(unfinished(&data), 0);
}
