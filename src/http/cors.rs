//! The headers with which a browser lets a page of another origin use the server (Fetch, section
//! 3.3, "CORS protocol"). [`super::guard`] decides which origins are allowed. A page of an allowed
//! origin may send any header, since a browser never adds credentials of this server by itself.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// The methods that a page may use.
pub(super) const METHODS: &str = "GET, HEAD, POST, PUT, OPTIONS";
/// The headers of answers that a page may read, besides the default ones.
const EXPOSED: &str = "x-amzn-errortype, x-amzn-requestid, retry-after, allow, www-authenticate, accept-ranges, content-disposition, content-length, content-range, etag";
/// Seconds for which a browser may cache the answer to a preflight: the maximum of any browser.
const MAX_AGE: &str = "86400";
/// Asks whether a page of a public site may use a server of the private network (Private Network
/// Access).
const ASKS_PRIVATE: &str = "access-control-request-private-network";
const ALLOWS_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The request of a page, as CORS sees it.
pub(super) struct Asked {
    origin: HeaderValue,
    headers: Option<HeaderValue>,
    private_network: bool,
}

impl Asked {
    /// Reads the headers of a request; `None` if it has no origin.
    pub(super) fn of(headers: &HeaderMap) -> Option<Asked> {
        Some(Asked {
            origin: headers.get(ORIGIN)?.clone(),
            headers: headers.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned(),
            private_network: headers.get(ASKS_PRIVATE).is_some_and(|asks| asks == "true"),
        })
    }

    /// Allows the request. If every origin is allowed, no page may send cookies: a proxy may accept
    /// them as credentials.
    pub(super) fn answer(self, headers: &mut HeaderMap, preflight: bool, everybody: bool) {
        if everybody {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        if !preflight {
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(EXPOSED),
            );
            return;
        }
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
        if let Some(names) = self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.append(
            VARY,
            HeaderValue::from_static("access-control-request-headers"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        if self.private_network {
            headers.insert(ALLOWS_PRIVATE, HeaderValue::from_static("true"));
        }
    }
}
