//! `public_url`: the address at which clients reach the public listener, through any proxies. It is
//! checked at the start, since every issued address begins with it.

use std::fmt;
use std::net::SocketAddr;

use reqwest::Url;
use serde::{Serialize, Serializer};
use workflow::guard::is_loopback;

/// The address of the service for its clients: `https://jobs.example.com`, or with a path,
/// `https://example.com/jobs`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a slash at the end.
    text: String,
    origin: String,
    path: String,
    is_loopback: bool,
}

/// The reason why an address is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublic {
    /// It lacks `http://` or `https://`.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// It has white space, control characters or `\`.
    #[error("it must have no white space, control characters or \\")]
    Character,
    /// It has a query.
    #[error("it must have no query (?…)")]
    Query,
    /// It has a fragment.
    #[error("it must have no fragment (#…)")]
    Fragment,
    /// It has user information.
    #[error("it must have no user name or password (…@)")]
    User,
    /// Its path has a form that proxies would change.
    #[error("its path must have no empty segments, `.` or `..`")]
    Path,
    /// It has no valid host or port.
    #[error("it has no valid host or port")]
    Host,
}

/// An address to which this machine can connect. The unspecified address is replaced by loopback.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::from(([127, 0, 0, 1], address.port()));
    }
    address
}

/// The address for clients of a server that listens here and has no `public_url`.
#[must_use]
pub fn usual_url(public: SocketAddr) -> String {
    format!("http://{}", reachable(public))
}

impl PublicUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`NotPublic`].
    pub fn parse(text: &str) -> Result<PublicUrl, NotPublic> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(NotPublic::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NotPublic::Scheme)?;
        if !["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(NotPublic::Scheme);
        }
        for (mark, wrong) in [('?', NotPublic::Query), ('#', NotPublic::Fragment)] {
            if rest.contains(mark) {
                return Err(wrong);
            }
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(NotPublic::User);
        }
        if authority.is_empty() || authority.ends_with(':') {
            return Err(NotPublic::Host);
        }
        let path = path.trim_end_matches('/');
        let dots = |segment: &str| {
            let segment = segment.to_ascii_lowercase().replace("%2e", ".");
            matches!(segment.as_str(), "" | "." | "..")
        };
        if !path.is_empty() && path.split('/').any(dots) {
            return Err(NotPublic::Path);
        }
        let url = Url::parse(text).map_err(|_| NotPublic::Host)?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(NotPublic::Host)?;
        if url.port() == Some(0) {
            return Err(NotPublic::Host);
        }
        Ok(PublicUrl {
            text: url.as_str().trim_end_matches('/').to_owned(),
            origin: url.origin().ascii_serialization(),
            path: url.path().trim_end_matches('/').to_owned(),
            is_loopback: is_loopback(host),
        })
    }

    /// The whole address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its origin, as browsers send it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its path, without a slash at its end: empty, or `/jobs`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it can be used on this machine only.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl Serialize for PublicUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_public_address_is_accepted() {
        for (text, whole, origin, path, loopback) in [
            (
                "https://jobs.example.com",
                "https://jobs.example.com",
                "https://jobs.example.com",
                "",
                false,
            ),
            (
                "https://jobs.example.com/",
                "https://jobs.example.com",
                "https://jobs.example.com",
                "",
                false,
            ),
            (
                "HTTPS://Jobs.Example.com:443/a/b//",
                "https://jobs.example.com/a/b",
                "https://jobs.example.com",
                "/a/b",
                false,
            ),
            (
                "http://example.com:8080/jobs",
                "http://example.com:8080/jobs",
                "http://example.com:8080",
                "/jobs",
                false,
            ),
            (
                "https://bücher.example/söt",
                "https://xn--bcher-kva.example/s%C3%B6t",
                "https://xn--bcher-kva.example",
                "/s%C3%B6t",
                false,
            ),
            (
                "http://[2001:db8::1]:80",
                "http://[2001:db8::1]",
                "http://[2001:db8::1]",
                "",
                false,
            ),
            (
                "http://127.0.0.1:9000",
                "http://127.0.0.1:9000",
                "http://127.0.0.1:9000",
                "",
                true,
            ),
            (
                "http://localhost/jobs",
                "http://localhost/jobs",
                "http://localhost",
                "/jobs",
                true,
            ),
            (
                "http://[::1]:1",
                "http://[::1]:1",
                "http://[::1]:1",
                "",
                true,
            ),
        ] {
            let url = PublicUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = (url.as_str(), url.origin(), url.path(), url.is_loopback());
            assert_eq!(found, (whole, origin, path, loopback), "{text}");
        }
    }

    #[test]
    fn an_invalid_public_address_is_refused() {
        for (text, wrong) in [
            ("", NotPublic::Scheme),
            ("jobs.example.com", NotPublic::Scheme),
            ("jobs.example.com:8080", NotPublic::Scheme),
            ("//jobs.example.com", NotPublic::Scheme),
            ("/jobs", NotPublic::Scheme),
            ("http:jobs.example.com", NotPublic::Scheme),
            ("ftp://x", NotPublic::Scheme),
            ("ws://x", NotPublic::Scheme),
            ("file:///tmp", NotPublic::Scheme),
            ("javascript://x", NotPublic::Scheme),
            ("http://", NotPublic::Host),
            ("http:///jobs", NotPublic::Host),
            ("http://:8080", NotPublic::Host),
            ("http://x:", NotPublic::Host),
            ("http://x:0", NotPublic::Host),
            ("http://x:70000", NotPublic::Host),
            ("http://x:a", NotPublic::Host),
            ("http://a b", NotPublic::Character),
            (" http://x", NotPublic::Character),
            ("http://x\n", NotPublic::Character),
            ("http://x\t/", NotPublic::Character),
            ("http://x\\y", NotPublic::Character),
            ("http://x/?a=1", NotPublic::Query),
            ("http://x?", NotPublic::Query),
            ("http://x/#a", NotPublic::Fragment),
            ("http://user@x", NotPublic::User),
            ("http://user:password@x/", NotPublic::User),
            ("http://@x", NotPublic::User),
            ("http://x/a/../b", NotPublic::Path),
            ("http://x/./b", NotPublic::Path),
            ("http://x/a//b", NotPublic::Path),
            ("http://x/%2e%2e/b", NotPublic::Path),
        ] {
            assert_eq!(PublicUrl::parse(text).err(), Some(wrong), "{text:?}");
        }
    }
}
