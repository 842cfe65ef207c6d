//! The addresses of a job that a function may read. A submitter could name any address, also one
//! inside the network. This module opens none of them.

use reqwest::Url;

use crate::client::{address, shown};
use crate::error::Error;

/// A set of addresses, each with everything below its path, such as
/// `https://files.example.com/pictures/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<Url>);

impl Places {
    /// Reads addresses that are separated by commas or spaces.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] for the first that is not an absolute `http` or `https` address, or
    /// that has a query.
    pub fn parse(text: &str) -> Result<Places, Error> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        let words = words.filter(|word| !word.is_empty());
        let places = words.map(|word| {
            let url = address(word, None)?;
            let plain = url.query().is_none() && url.fragment().is_none() && !has_user(&url);
            plain.then_some(url).ok_or_else(|| Error::InvalidUrl {
                url: shown(word),
                reason: "a place consists of a scheme, a host and a path only".into(),
            })
        });
        places.collect::<Result<_, _>>().map(Places)
    }

    /// These addresses and one more.
    #[must_use]
    pub fn and(mut self, place: Option<Url>) -> Places {
        self.0.extend(place.filter(|place| !self.0.contains(place)));
        self
    }

    /// Whether an address is in the set.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        !has_user(url) && self.0.iter().any(|place| is_below(place, url))
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<&str> = self.0.iter().map(Url::as_str).collect();
        f.write_str(&places.join(", "))
    }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether scheme, host and port are equal, and the path is the place's path or below it. `.` and
/// `..` in the address are already resolved. An address that hides them behind percent signs is
/// below no place.
fn is_below(place: &Url, url: &Url) -> bool {
    let path = url.path().strip_prefix(place.path());
    let is_part =
        |rest: &str| rest.is_empty() || rest.starts_with('/') || place.path().ends_with('/');
    let encoded = url.path().to_ascii_lowercase();
    let plain = !["%2e", "%2f", "%5c"]
        .iter()
        .any(|hidden| encoded.contains(hidden));
    place.origin() == url.origin() && plain && path.is_some_and(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_below_a_place_is_allowed() {
        let places = Places::parse("http://127.0.0.1:8080/files/, https://pictures.test").unwrap();
        for (url, allowed) in [
            ("http://127.0.0.1:8080/files/a/b.png?signature=x", true),
            ("http://127.0.0.1:8080/files/./a", true),
            ("https://pictures.test/a?b#c", true),
            ("https://pictures.test:443/a", true),
            ("http://127.0.0.1:8080/filesystem", false),
            ("http://127.0.0.1:8080/files", false),
            ("http://127.0.0.1:8080/files/../graphql", false),
            ("http://127.0.0.1:8080/files/%2e%2e/graphql", false),
            ("http://127.0.0.1:8080/files/..%2fgraphql", false),
            ("http://127.0.0.1:8081/files/a", false),
            ("https://127.0.0.1:8080/files/a", false),
            ("http://169.254.169.254/latest/meta-data/iam", false),
            ("http://127.0.0.1:8080@evil.test/files/a", false),
            ("http://user@127.0.0.1:8080/files/a", false),
            ("http://pictures.test/a", false),
            ("https://pictures.test.evil.test/a", false),
            ("https://sub.pictures.test/a", false),
        ] {
            assert_eq!(places.allows(&Url::parse(url).unwrap()), allowed, "{url}");
        }
        let part = Places::parse("https://pictures.test/a").unwrap();
        for (url, allowed) in [
            ("https://pictures.test/a/b", true),
            ("https://pictures.test/a", true),
            ("https://pictures.test/ab", false),
        ] {
            assert_eq!(part.allows(&Url::parse(url).unwrap()), allowed, "{url}");
        }
    }

    #[test]
    fn an_invalid_place_is_refused() {
        assert_eq!(Places::parse(" ,\n").unwrap(), Places::default());
        for text in [
            "pictures.test",
            "file:///etc",
            "https://a.test/?x=1",
            "https://user:secret@a.test/",
        ] {
            let error = Places::parse(text).unwrap_err();
            assert_eq!(error.name(), "InvalidUrl", "{text}");
        }
    }
}
