//! A secret that a caller of a loopback listener shows, and the ways to show it. The clients of AWS
//! send no header of ours, so there are three: the first part of the path, `Authorization: Bearer`,
//! and the access key id of a signed request (whose signature is not checked).
//!
//! It keeps other users of the machine away. It does not keep apart what runs as the server's own
//! user, which may read its files and the environments of its processes.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// Random bytes of a secret.
const BYTES: usize = 16;

/// 32 hexadecimal digits, which are not shown.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one.
    #[must_use]
    pub fn random() -> Secret {
        let bytes: [u8; BYTES] = rand::random();
        Secret(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }

    /// Its text, for those who may have it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares digests, so that the time taken says nothing about the secret.
    fn is(&self, shown: &str) -> bool {
        shown.len() == self.0.len() && Sha256::digest(shown) == Sha256::digest(self.0.as_bytes())
    }

    /// The path behind the secret, when that is its first part: at least `/`.
    #[must_use]
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix('/')?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (first, rest) = rest.split_at(end);
        self.is(first)
            .then_some(if rest.is_empty() { "/" } else { rest })
    }

    /// Whether the one `Authorization` header shows it.
    #[must_use]
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(AUTHORIZATION).into_iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return false;
        };
        let shown = value.to_str().ok().and_then(|value| {
            let (scheme, rest) = value.split_once(' ')?;
            match scheme {
                _ if scheme.eq_ignore_ascii_case("bearer") => Some(rest.trim()),
                // SigV4: Credential=ACCESS-KEY-ID/DATE/REGION/SERVICE/aws4_request.
                "AWS4-HMAC-SHA256" => rest
                    .split(',')
                    .find_map(|part| part.trim().strip_prefix("Credential="))
                    .and_then(|credential| credential.split('/').next()),
                _ => None,
            }
        });
        shown.is_some_and(|shown| self.is(shown))
    }
}

/// Which requests the internal listener takes.
#[derive(Clone, Debug, Default)]
pub enum Admission {
    /// Every program's on this machine. There is no secret.
    #[default]
    Open,
    /// Every program's on this machine. The secret changes nothing, so that a client which sends it
    /// need not know the setting.
    Optional(Secret),
    /// Only those that show the secret.
    Required(Secret),
}

impl Admission {
    /// The path that a request asks for, without the secret; `None`: it is not admitted.
    pub(crate) fn admit<'a>(&self, path: &'a str, headers: &HeaderMap) -> Option<&'a str> {
        let (secret, required) = match self {
            Admission::Open => return Some(path),
            Admission::Optional(secret) => (secret, false),
            Admission::Required(secret) => (secret, true),
        };
        match secret.strip(path) {
            Some(path) => Some(path),
            None if required && !secret.is_in(headers) => None,
            None => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn secrets_differ_and_are_not_shown() {
        let (one, other) = (Secret::random(), Secret::random());
        assert_eq!(one.reveal().len(), 2 * BYTES);
        assert!(one.reveal().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.reveal(), other.reveal());
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn a_path_shows_it_as_its_whole_first_part() {
        let secret = Secret("5ec2e7".into());
        for (path, rest) in [
            ("/5ec2e7", Some("/")),
            ("/5ec2e7/", Some("/")),
            ("/5ec2e7/greet/2018-06-01", Some("/greet/2018-06-01")),
            ("/5ec2e7//x", Some("//x")),
            ("/5ec2e", None),
            ("/5ec2e77/greet", None),
            ("/5EC2E7/greet", None),
            ("/greet/5ec2e7", None),
            ("//5ec2e7", None),
            ("5ec2e7/", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(secret.strip(path), rest, "{path}");
        }
    }

    #[test]
    fn a_header_shows_it_as_a_bearer_token_or_as_an_access_key() {
        let secret = Secret("5ec2e7".into());
        let signed = |key: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        for (value, shown) in [
            ("Bearer 5ec2e7".to_owned(), true),
            ("bearer  5ec2e7 ".to_owned(), true),
            (signed("5ec2e7"), true),
            (
                "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=5ec2e7/x,Signature=0".to_owned(),
                true,
            ),
            ("Bearer 5ec2e".to_owned(), false),
            ("Bearer5ec2e7".to_owned(), false),
            ("5ec2e7".to_owned(), false),
            ("Basic 5ec2e7".to_owned(), false),
            (signed("AKIDEXAMPLE"), false),
            (signed(""), false),
            ("AWS4-HMAC-SHA256 Signature=5ec2e7".to_owned(), false),
        ] {
            assert_eq!(secret.is_in(&headers(&[&value])), shown, "{value}");
        }
        assert!(!secret.is_in(&headers(&[])));
        assert!(!secret.is_in(&headers(&["Bearer 5ec2e7", "Bearer x"])));
    }

    #[test]
    fn who_is_admitted() {
        let secret = Secret("5ec2e7".into());
        let (none, right, wrong) = (
            headers(&[]),
            headers(&["Bearer 5ec2e7"]),
            headers(&["Bearer x"]),
        );
        let (open, optional, required) = (
            Admission::Open,
            Admission::Optional(secret.clone()),
            Admission::Required(secret),
        );
        for (admission, path, headers, admitted) in [
            (&open, "/greet/x", &none, Some("/greet/x")),
            (&optional, "/greet/x", &none, Some("/greet/x")),
            (&optional, "/greet/x", &wrong, Some("/greet/x")),
            (&optional, "/5ec2e7/greet/x", &none, Some("/greet/x")),
            (&required, "/greet/x", &none, None),
            (&required, "/greet/x", &wrong, None),
            (&required, "/greet/x", &right, Some("/greet/x")),
            (&required, "/5ec2e7/greet/x", &none, Some("/greet/x")),
            (&required, "/5ec2e7", &wrong, Some("/")),
            (&required, "/5ec2e8/greet/x", &none, None),
        ] {
            let found = admission.admit(path, headers);
            assert_eq!(found, admitted, "{admission:?} {path} {headers:?}");
        }
    }
}
