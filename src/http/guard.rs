//! The hosts and origins that may use the server. Against DNS rebinding and against foreign pages
//! in a developer's browser, a server on loopback answers only to loopback names, and a browser's
//! page only from an allowed origin.
//!
//! An `Origin` decides if there is one. Without one a browser still sends `Sec-Fetch-Site` if a
//! page of another site caused the request. Where callers need no credentials, that is refused too.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, HeaderName, ORIGIN, VARY};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use workflow::guard as loopback;

use super::cors;

/// Origins of pages that may use a server on loopback when `allowed_origins` is not set: the
/// addresses of usual development servers.
pub const DEVELOPMENT_ORIGINS: &[&str] = &[
    "http://localhost:3000",
    "http://localhost:3001",
    "http://localhost:4173",
    "http://localhost:4200",
    "http://localhost:4321",
    "http://localhost:5173",
    "http://localhost:5174",
    "http://localhost:8081",
    "http://127.0.0.1:3000",
    "http://127.0.0.1:5173",
];

/// The origins that are allowed when `allowed_origins` is not set. `open`: callers need no
/// credentials.
#[must_use]
pub fn usual_origins(open: bool) -> &'static [&'static str] {
    if open { DEVELOPMENT_ORIGINS } else { &[] }
}

/// Paths that a page of another site may fetch without an Origin: their addresses are credentials
/// themselves.
const SIGNED: &str = "/files/";

/// The allowed hosts and origins.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Only loopback names in `Host`.
    pub loopback_only: bool,
    /// Whether callers need no credentials.
    pub open: bool,
    /// Origins that are allowed besides the server's own: `https://app.example.com`, or `*` for all.
    pub origins: Vec<String>,
    /// The origin of `public_url`.
    pub own: Option<String>,
}

impl Guard {
    /// The answer to a request from a host or an origin that is not allowed.
    pub(super) fn refuses(&self, parts: &Parts) -> Option<(StatusCode, String)> {
        let authority = match loopback::authority(parts.version, &parts.uri, &parts.headers) {
            Ok(authority) => authority,
            Err(refused) => return Some((refused.status(), refused.to_string())),
        };
        if self.loopback_only && !authority.is_none_or(loopback::is_loopback) {
            let refused = loopback::Refusal::ForeignHost;
            return Some((refused.status(), refused.to_string()));
        }
        let mut origins = parts.headers.get_all(ORIGIN).into_iter();
        let foreign = match (origins.next(), origins.next()) {
            (None, _) => self.open && is_foreign_fetch(parts),
            (Some(origin), None) => !origin
                .to_str()
                .is_ok_and(|origin| self.allows(authority, origin)),
            (Some(_), Some(_)) => true,
        };
        foreign.then(|| {
            let text = "pages of this origin may not use this server: add it to allowed_origins in the configuration";
            (StatusCode::FORBIDDEN, text.to_owned())
        })
    }

    /// Whether pages of this origin may use the server at the address `authority`.
    fn allows(&self, authority: Option<&str>, origin: &str) -> bool {
        let same = |allowed: &str| allowed == "*" || is_same(allowed, origin);
        if self.own.as_deref().is_some_and(same) || self.origins.iter().any(|own| same(own)) {
            return true;
        }
        let own = origin.split_once("://").map(|(_, authority)| authority);
        own.is_some_and(|own| {
            !own.is_empty() && authority.is_some_and(|asked| asked.eq_ignore_ascii_case(own))
        })
    }
}

/// Whether a page of another site, or of another port of this machine, caused the request. A link
/// that a person follows does not count, nor a file that is fetched by its signed address.
fn is_foreign_fetch(parts: &Parts) -> bool {
    let is = |name: &str, wanted: &[&str]| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.is_some_and(|value| wanted.contains(&value))
    };
    let follows_link = matches!(parts.method, Method::GET | Method::HEAD)
        && is("sec-fetch-mode", &["navigate"])
        && is("sec-fetch-dest", &["document"])
        && parts.uri.query().is_none();
    is(loopback::FETCH_SITE, &["cross-site", "same-site"])
        && !follows_link
        && !parts.uri.path().starts_with(SIGNED)
}

/// Whether two origins are the same: the scheme and the host in any letter case, with or without
/// the scheme's default port.
fn is_same(one: &str, other: &str) -> bool {
    let parts = |origin: &str| {
        let (scheme, authority) = origin.split_once("://")?;
        let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let usual = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let authority = authority
            .strip_suffix(usual)
            .unwrap_or(&authority)
            .to_owned();
        Some((scheme, authority))
    };
    one == other || parts(one).is_some_and(|one| parts(other) == Some(one))
}

/// Refuses a foreign host or origin, and adds the headers that a browser needs for an allowed
/// origin.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refusal) = guard.refuses(&parts) {
        return refusal.into_response();
    }
    let asked = cors::Asked::of(&parts.headers);
    let options = parts.method == Method::OPTIONS;
    let mut response = if options {
        let allow = [(ALLOW, HeaderValue::from_static(cors::METHODS))];
        (StatusCode::NO_CONTENT, allow).into_response()
    } else {
        next.run(Request::from_parts(parts, body)).await
    };
    let headers = response.headers_mut();
    if let Some(asked) = asked {
        let everybody = guard.origins.iter().any(|origin| origin == "*");
        asked.answer(headers, options, everybody);
    }
    // A cached answer is valid for this origin only, or for requests without one.
    headers.append(VARY, HeaderValue::from_static("origin"));
    let nosniff = HeaderName::from_static("x-content-type-options");
    headers.insert(nosniff, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(target: &str, lines: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn local() -> Guard {
        Guard {
            loopback_only: true,
            open: true,
            origins: DEVELOPMENT_ORIGINS
                .iter()
                .map(ToString::to_string)
                .collect(),
            own: None,
        }
    }

    fn status(guard: &Guard, target: &str, lines: &[(&str, &str)]) -> Option<u16> {
        let refused = guard.refuses(&parts(target, lines));
        refused.map(|(status, _)| status.as_u16())
    }

    #[test]
    fn hosts() {
        for (hosts, target, refused) in [
            (vec!["localhost:8080"], "/", None),
            (vec!["127.0.0.1"], "/", None),
            (vec!["example.com"], "/", Some(421)),
            (vec![""], "/", Some(421)),
            (vec!["localhost"], "http://example.com/", Some(421)),
            (vec!["localhost", "localhost"], "/", Some(400)),
            (vec!["localhost", "example.com"], "/", Some(400)),
            (vec![], "/", Some(400)),
        ] {
            let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(
                status(&local(), target, &lines),
                refused,
                "{hosts:?} {target}"
            );
            let anywhere = status(&Guard::default(), target, &lines);
            assert_eq!(
                anywhere,
                refused.filter(|status| *status == 400),
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn origins() {
        let public = Guard {
            origins: vec!["https://app.example.com".into()],
            own: Some("https://jobs.example.com".into()),
            ..Guard::default()
        };
        let everybody = Guard {
            origins: vec!["*".into()],
            ..Guard::default()
        };
        for (guard, host, origin, allowed) in [
            (&local(), "localhost:8080", "http://localhost:3000", true),
            (&local(), "localhost:8080", "HTTP://LOCALHOST:5173", true),
            (&local(), "localhost:8080", "http://localhost:8080", true),
            (&local(), "127.0.0.1:8080", "http://localhost:8080", false),
            (&local(), "localhost:8080", "http://evil.localhost:1", false),
            (&local(), "localhost:8080", "http://127.1.2.3:99", false),
            (&local(), "localhost:8080", "http://localhost:9999", false),
            (&local(), "localhost:8080", "https://evil.example", false),
            (
                &local(),
                "localhost:8080",
                "http://localhost:3000.evil.example",
                false,
            ),
            (&local(), "localhost:8080", "null", false),
            (&local(), "localhost:8080", "", false),
            (&local(), "localhost:8080", "file://", false),
            (&public, "api.internal", "https://app.example.com", true),
            (&public, "api.internal", "https://app.example.com:443", true),
            (&public, "api.internal", "http://app.example.com", false),
            (&public, "api.internal", "https://jobs.example.com", true),
            (&public, "api.internal", "https://api.internal", true),
            (&public, "api.internal", "http://localhost:3000", false),
            (&public, "api.internal", "null", false),
            (&everybody, "api.internal", "https://anybody.example", true),
            (&everybody, "api.internal", "null", true),
        ] {
            let refused = status(guard, "/graphql", &[("host", host), ("origin", origin)]);
            assert_eq!(refused, (!allowed).then_some(403), "{host} {origin}");
        }
        let twice = [
            ("host", "localhost"),
            ("origin", "http://localhost"),
            ("origin", "http://localhost"),
        ];
        assert_eq!(status(&local(), "/", &twice), Some(403));
    }

    #[test]
    fn a_page_without_an_origin_is_judged_by_its_site() {
        let link = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        for (target, site, more, allowed) in [
            ("/graphql?query={a}", "none", &[][..], true),
            ("/graphql?query={a}", "same-origin", &[], true),
            ("/graphql?query={a}", "same-site", &[], false),
            ("/graphql?query={a}", "cross-site", &[], false),
            ("/graphql?query={a}", "cross-site", &link, false),
            ("/graphql", "cross-site", &link, true),
            ("/graphql", "cross-site", &link[..1], false),
            ("/files/a/b?signature=c", "cross-site", &[], true),
        ] {
            let lines = [&[("host", "localhost"), ("sec-fetch-site", site)], more].concat();
            let refused = status(&local(), target, &lines);
            assert_eq!(
                refused,
                (!allowed).then_some(403),
                "{target} {site} {more:?}"
            );
            let closed = Guard {
                open: false,
                ..local()
            };
            assert_eq!(status(&closed, target, &lines), None, "credentials decide");
        }
    }
}
