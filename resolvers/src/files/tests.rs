//! Addresses and names of files.

use object_store::memory::InMemory;
use object_store::path::Path;

use super::address::last;
use super::*;
use crate::percent_decoded;

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

/// The spellings of an address that clients use: encoding, order, additions.
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
            let value = percent_decoded(value, false).unwrap();
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
fn an_address_is_valid_in_every_spelling() {
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
fn a_repeated_parameter_is_refused() {
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
fn an_address_of_an_earlier_version_is_valid() {
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
fn an_invalid_name_size_or_type_is_refused() {
    let (files, now) = (files(), Time::from_millis(0));
    let try_it = |name: &str, kind: &str, size: i64| files.upload(name, Some(kind), size, 1, now);
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
