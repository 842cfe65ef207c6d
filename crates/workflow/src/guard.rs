//! Which requests may reach a listener on loopback: the checks that keep web pages away from it. A
//! page can send requests to `127.0.0.1`, and by DNS rebinding it can even read the answers; but
//! the browser says in each request which name it asked for (`Host`), whose page it is (`Origin`)
//! and from where it comes (`Sec-Fetch-Site`), and a page cannot change that.
//!
//! Not here: credentials. Other users of the machine are not kept away by these checks, but by a
//! [`secret`](crate::secret).

use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, StatusCode, Uri, Version};

/// Whether a page of another site, or of another port of this one, caused the request (Fetch
/// Metadata, section 2.3).
pub const FETCH_SITE: &str = "sec-fetch-site";

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not exactly one `Host` in an HTTP/1.1 request, or one that is not text (RFC 9112, section
    /// 3.2).
    #[error("a request must have exactly one Host header")]
    Host,
    /// A name that is not this machine's.
    #[error("this server answers to loopback names only: localhost, 127.0.0.1, [::1]")]
    ForeignHost,
    /// A web page.
    #[error("web pages may not use this listener: Origin and Sec-Fetch-Site must not be sent")]
    Page,
    /// A content type that a page may send without asking first.
    #[error("the content type must be {0}")]
    ContentType(&'static str),
    /// The internal listener requires its secret.
    #[error(
        "this listener requires the secret of the server's present start, which is in the file internal.key of its data directory: send \
         it as the first part of the path (http://HOST:PORT/SECRET), as `Authorization: Bearer SECRET`, or as the access key id of a signed \
         request"
    )]
    NoSecret,
    /// The listener of one process requires that process's secret.
    #[error(
        "this listener is one process's own: use the whole of its AWS_LAMBDA_RUNTIME_API, the path included"
    )]
    NotItsProcess,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Host => StatusCode::BAD_REQUEST,
            Refusal::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Page | Refusal::NoSecret | Refusal::NotItsProcess => StatusCode::FORBIDDEN,
            Refusal::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// The authority that a request asks for: of its target where that is a whole address, else its
/// `Host` (RFC 9112, section 3.3). `None` for a request of HTTP/1.0 without one.
///
/// # Errors
/// [`Refusal::Host`].
pub fn authority<'a>(
    version: Version,
    target: &'a Uri,
    headers: &'a HeaderMap,
) -> Result<Option<&'a str>, Refusal> {
    let mut hosts = headers.get_all(HOST).into_iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| Refusal::Host)?),
        (None, _) if version < Version::HTTP_11 => None,
        _ => return Err(Refusal::Host),
    };
    Ok(target
        .authority()
        .map(|authority| authority.as_str())
        .or(host))
}

/// Whether an authority (`localhost:8080`, `[::1]:80`) names this machine.
pub fn is_loopback(authority: &str) -> bool {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or((rest, "")),
        None => match authority.split_once(':') {
            Some((name, _)) => (name, &authority[name.len()..]),
            None => (authority, ""),
        },
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if !(port.is_empty() || port.strip_prefix(':').is_some_and(digits)) {
        return false;
    }
    // "localhost." is the same name (RFC 6761, section 6.3).
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Judges a request to a listener that no web page may use.
///
/// # Errors
/// [`Refusal`].
pub fn check(version: Version, target: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    if !authority(version, target, headers)?.is_none_or(is_loopback) {
        return Err(Refusal::ForeignHost);
    }
    let sites = headers.get_all(FETCH_SITE);
    if headers.contains_key(ORIGIN) || sites.into_iter().any(|site| site != "none") {
        return Err(Refusal::Page);
    }
    Ok(())
}

/// Judges the content type of a request that changes something: one of `types`, which are all such
/// that a page cannot send them without asking first. A request without one needs `Authorization`,
/// which a page cannot send either.
///
/// # Errors
/// [`Refusal::ContentType`] with `said`.
pub fn content_type(
    headers: &HeaderMap,
    types: &[&str],
    said: &'static str,
) -> Result<(), Refusal> {
    let mut given = headers.get_all(CONTENT_TYPE).into_iter();
    let allowed = match (given.next(), given.next()) {
        (None, _) => headers.contains_key(AUTHORIZATION),
        (Some(kind), None) => kind.to_str().is_ok_and(|kind| {
            let media = kind.split(';').next().unwrap_or("").trim();
            types.iter().any(|known| media.eq_ignore_ascii_case(known))
        }),
        _ => false,
    };
    allowed.then_some(()).ok_or(Refusal::ContentType(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn names_of_this_machine() {
        for (authority, ours) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("app.localhost:1", true),
            ("127.0.0.1:8080", true),
            ("127.8.9.1", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("", false),
            ("example.com", false),
            ("127.0.0.1.example.com", false),
            ("localhost.example.com:80", false),
            ("127.0.0.1:80@example.com", false),
            ("localhost:80:90", false),
            ("[::1]example.com", false),
            ("2130706433", false),
            ("0x7f.1", false),
            ("127.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_loopback(authority), ours, "{authority}");
        }
    }

    #[test]
    fn requests_that_come_from_pages_or_for_other_names() {
        let ours = ("host", "127.0.0.1:1");
        for (target, lines, refused) in [
            ("/", vec![ours], None),
            ("/", vec![ours, ("sec-fetch-site", "none")], None),
            ("/", vec![], Some(Refusal::Host)),
            ("/", vec![ours, ours], Some(Refusal::Host)),
            (
                "/",
                vec![("host", "evil.example")],
                Some(Refusal::ForeignHost),
            ),
            (
                "http://evil.example/",
                vec![ours],
                Some(Refusal::ForeignHost),
            ),
            ("http://localhost/", vec![ours], None),
            ("/", vec![ours, ("origin", "null")], Some(Refusal::Page)),
            (
                "/",
                vec![ours, ("origin", "http://127.0.0.1:1")],
                Some(Refusal::Page),
            ),
            (
                "/",
                vec![ours, ("sec-fetch-site", "cross-site")],
                Some(Refusal::Page),
            ),
            (
                "/",
                vec![ours, ("sec-fetch-site", "same-site")],
                Some(Refusal::Page),
            ),
            (
                "/",
                vec![ours, ("sec-fetch-site", "same-origin")],
                Some(Refusal::Page),
            ),
        ] {
            let found = check(Version::HTTP_11, &target.parse().unwrap(), &headers(&lines));
            assert_eq!(found.err(), refused, "{target} {lines:?}");
        }
        assert_eq!(
            check(Version::HTTP_10, &Uri::from_static("/"), &headers(&[])),
            Ok(())
        );
    }

    #[test]
    fn content_types_that_a_page_cannot_send() {
        let types = ["application/json", "application/x-amz-json-1.0"];
        for (lines, allowed) in [
            (vec![("content-type", "application/json")], true),
            (
                vec![("content-type", "Application/JSON; charset=utf-8")],
                true,
            ),
            (vec![("content-type", "application/x-amz-json-1.0")], true),
            (vec![("content-type", "text/plain")], false),
            (vec![("content-type", "text/plain;application/json")], false),
            (
                vec![("content-type", "application/x-www-form-urlencoded")],
                false,
            ),
            (
                vec![("content-type", "multipart/form-data; boundary=x")],
                false,
            ),
            (
                vec![("content-type", "text/plain"), ("authorization", "AWS4")],
                false,
            ),
            (
                vec![
                    ("content-type", "application/json"),
                    ("content-type", "text/plain"),
                ],
                false,
            ),
            (vec![], false),
            (
                vec![("authorization", "AWS4-HMAC-SHA256 Credential=x")],
                true,
            ),
        ] {
            let found = content_type(&headers(&lines), &types, "JSON");
            assert_eq!(found.is_ok(), allowed, "{lines:?}");
        }
    }
}
