//! Which hosts and origins may talk to the server. Against DNS rebinding and against foreign pages in a developer's browser: a server on
//! loopback answers only to loopback names, and a browser's page only from an allowed origin.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// What is allowed.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Only loopback names in `Host`.
    pub loopback_only: bool,
    /// Origins that are allowed besides the server's own and, on loopback, every loopback one.
    pub origins: Vec<String>,
}

impl Guard {
    /// What a request hears that may not come from where it comes.
    pub(super) fn refuses(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        if !self.host_is_allowed(headers) {
            let text = "this server answers to loopback names only (localhost, 127.0.0.1, [::1])";
            return Some((StatusCode::MISDIRECTED_REQUEST, text));
        }
        let origin = headers.get(ORIGIN)?.to_str().ok();
        if origin.is_some_and(|origin| self.origin_is_allowed(headers, origin)) {
            return None;
        }
        let text = "pages of this origin may not use this server: add it to allowed_origins in the configuration";
        Some((StatusCode::FORBIDDEN, text))
    }

    fn host_is_allowed(&self, headers: &HeaderMap) -> bool {
        !self.loopback_only || host(headers).is_none_or(is_loopback)
    }

    fn origin_is_allowed(&self, headers: &HeaderMap, origin: &str) -> bool {
        if self
            .origins
            .iter()
            .any(|allowed| allowed == origin || allowed == "*")
        {
            return true;
        }
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        host(headers).is_some_and(|own| own == authority)
            || self.loopback_only && is_loopback(authority)
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).and_then(|host| host.to_str().ok())
}

/// Whether an authority (`localhost:8080`, `[::1]:80`) names this machine.
fn is_loopback(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Refuses a foreign host or origin, and gives an allowed origin what a browser needs (Fetch, "CORS protocol").
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if let Some(refusal) = guard.refuses(request.headers()) {
        return refusal.into_response();
    }
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    if preflight {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT"),
        );
        let names = "authorization, content-type, last-event-id, x-api-key, x-amz-date, x-amz-security-token, x-amz-user-agent";
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(names),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str) -> HeaderMap {
        HeaderMap::from_iter([(HOST, host.parse().expect("a header"))])
    }

    #[test]
    fn hosts() {
        let guard = Guard {
            loopback_only: true,
            origins: vec![],
        };
        for (host, allowed) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("app.localhost:1", true),
            ("127.0.0.1:8080", true),
            ("127.8.9.1", true),
            ("[::1]:8080", true),
            ("example.com", false),
            ("127.0.0.1.example.com", false),
            ("localhost.example.com:80", false),
        ] {
            assert_eq!(guard.host_is_allowed(&headers(host)), allowed, "{host}");
            assert!(Guard::default().host_is_allowed(&headers(host)));
        }
    }

    #[test]
    fn origins() {
        let local = Guard {
            loopback_only: true,
            origins: vec![],
        };
        let open = Guard {
            loopback_only: false,
            origins: vec!["https://app.example.com".into()],
        };
        for (guard, host, origin, allowed) in [
            (&local, "localhost:8080", "http://localhost:3000", true),
            (&local, "localhost:8080", "https://evil.example", false),
            (&local, "localhost:8080", "null", false),
            (&open, "api.example.com", "https://app.example.com", true),
            (&open, "api.example.com", "https://api.example.com", true),
            (&open, "api.example.com", "http://localhost:3000", false),
        ] {
            assert_eq!(
                guard.origin_is_allowed(&headers(host), origin),
                allowed,
                "{origin}"
            );
        }
    }
}
