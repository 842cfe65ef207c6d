//! How requests leave a process: through the proxy that the environment names (`HTTP_PROXY`,
//! `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, each also in lower case, which has priority), and
//! directly to this machine's own addresses, which no proxy can reach. This crate sends nothing.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

/// Entries for `NO_PROXY` that mean this machine. A name includes its subdomains.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1,0.0.0.0,::,::ffff:127.0.0.0/104";

/// The proxies of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    all: Option<String>,
    direct: String,
}

impl Proxies {
    /// The proxies of this process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The proxies that the given variables name.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let named = |name: &str| {
            let small = variable(&name.to_lowercase());
            let named = small.or_else(|| variable(name));
            named.filter(|value| !value.trim().is_empty())
        };
        // A web server passes the header `Proxy` of a request to a program as HTTP_PROXY.
        let http = match variable("REQUEST_METHOD") {
            Some(_) => variable("http_proxy"),
            None => named("HTTP_PROXY"),
        };
        let direct = named("NO_PROXY").unwrap_or_default();
        Self {
            http,
            https: named("HTTPS_PROXY"),
            all: named("ALL_PROXY"),
            direct: format!("{direct},{LOOPBACK}"),
        }
    }

    /// Sets the proxies of a client. They apply to redirected requests too.
    pub fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        let direct = NoProxy::from_string(&self.direct);
        let http = self.http.as_deref().map(Proxy::http);
        let https = self.https.as_deref().map(Proxy::https);
        let all = self.all.as_deref().map(Proxy::all);
        let mut builder = builder.no_proxy();
        for (name, proxy) in [
            ("HTTP_PROXY", http),
            ("HTTPS_PROXY", https),
            ("ALL_PROXY", all),
        ] {
            match proxy {
                Some(Ok(proxy)) => builder = builder.proxy(proxy.no_proxy(direct.clone())),
                // The address may contain a password.
                Some(Err(_)) => {
                    tracing::warn!("{name} is not the address of an HTTP proxy: it is not used")
                }
                None => {}
            }
        }
        builder
    }

    /// The proxy to use for an address that is not requested by HTTP. The caller asks this proxy
    /// for a tunnel.
    #[must_use]
    pub fn tunnel(&self, url: &Url) -> Option<Tunnel> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let matcher = Matcher::builder()
            .http(text(&self.http))
            .https(text(&self.https))
            .all(text(&self.all))
            .no(self.direct.clone())
            .build();
        let found = matcher.intercept(&url.as_str().parse().ok()?)?;
        Some(Tunnel {
            proxy: found.uri().clone(),
            authorization: found.basic_auth().cloned(),
        })
    }
}

/// A proxy to ask for a tunnel (`CONNECT`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Its address.
    pub proxy: Uri,
    /// Its `Proxy-Authorization`.
    pub authorization: Option<HeaderValue>,
}

/// The builder of a client that uses the proxies of this process's environment.
pub fn client() -> ClientBuilder {
    Proxies::from_env().apply(reqwest::Client::builder())
}

/// Whether an address is this machine's own.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let name = host.trim_end_matches('.');
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address))
            if address
                .to_ipv4_mapped()
                .is_some_and(|address| address.is_loopback()) =>
        {
            true
        }
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(pairs: &'static [(&str, &str)]) -> Proxies {
        Proxies::of(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn way(proxies: &Proxies, url: &str) -> Option<String> {
        let tunnel = proxies.tunnel(&Url::parse(url).expect(url))?;
        Some(tunnel.proxy.authority().expect("a host").to_string())
    }

    const LOCAL: &[&str] = &[
        "http://127.0.0.1:1",
        "http://127.8.9.1",
        "https://localhost",
        "http://jobs.localhost:80/x",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0:8080",
        "https://[::]/",
    ];

    #[test]
    fn a_request_to_this_machine_uses_no_proxy() {
        for pairs in [
            &[
                ("HTTP_PROXY", "http://proxy:1"),
                ("HTTPS_PROXY", "http://proxy:1"),
            ][..],
            &[("ALL_PROXY", "http://proxy:1")],
            &[("all_proxy", "proxy:1"), ("NO_PROXY", "example.com")],
            &[
                ("http_proxy", "proxy:1"),
                ("https_proxy", "proxy:1"),
                ("no_proxy", ""),
            ],
        ] {
            let proxies = proxies(pairs);
            for url in LOCAL {
                assert_eq!(way(&proxies, url), None, "{pairs:?} {url}");
                assert!(is_loopback(&Url::parse(url).expect(url)), "{url}");
            }
            for url in [
                "http://jobs.test",
                "https://jobs.test/x",
                "http://10.0.0.1",
                "http://localhost.test",
            ] {
                assert_eq!(
                    way(&proxies, url).as_deref(),
                    Some("proxy:1"),
                    "{pairs:?} {url}"
                );
                assert!(!is_loopback(&Url::parse(url).expect(url)), "{url}");
            }
        }
    }

    #[test]
    fn the_variables_of_the_environment_have_their_usual_priority() {
        let both = proxies(&[
            ("HTTP_PROXY", "http://large:1"),
            ("http_proxy", "http://small:1"),
            ("HTTPS_PROXY", "http://ann:secret@safe:2"),
            ("NO_PROXY", "inside.test,10.0.0.0/8"),
        ]);
        assert_eq!(way(&both, "http://jobs.test").as_deref(), Some("small:1"));
        assert!(way(&both, "https://jobs.test").is_some_and(|way| way.ends_with("safe:2")));
        for url in [
            "https://inside.test",
            "http://a.inside.test",
            "http://10.1.2.3",
        ] {
            assert_eq!(way(&both, url), None, "{url}");
        }
        let tunnel = both
            .tunnel(&Url::parse("https://jobs.test").expect("a URL"))
            .expect("a proxy");
        assert!(
            tunnel
                .authorization
                .is_some_and(|header| header.is_sensitive() || !header.is_empty())
        );
        let script = proxies(&[("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(way(&script, "http://jobs.test"), None);
        let none = proxies(&[("HTTP_PROXY", "")]);
        assert_eq!(way(&none, "http://jobs.test"), None);
    }
}
