//! Which services there are and where. Nothing is called here.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use object_store::ObjectStore;
use reqwest::Url;

/// What is configured; a service without an endpoint fails its tasks with an error that says so.
#[derive(Clone)]
pub struct ServiceSettings {
    /// The region that requests are signed for.
    pub region: String,
    /// The credentials that sign requests; without them requests are not signed.
    pub credentials: Option<Credentials>,
    /// Where DynamoDB is: `https://dynamodb.REGION.amazonaws.com`, or an emulator's address.
    pub dynamodb: Option<Url>,
    /// Where SQS is: `https://sqs.REGION.amazonaws.com`, or an emulator's address.
    pub sqs: Option<Url>,
    /// The connections of `http:invoke`, by name.
    pub connections: BTreeMap<String, Connection>,
    /// Whether `TestState` may show what the connections add to a request: on AWS the permission
    /// `states:RevealSecrets`.
    pub reveal_secrets: bool,
    /// The buckets of `ItemReader` and `ResultWriter`, by name.
    pub buckets: HashMap<String, Arc<dyn ObjectStore>>,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        ServiceSettings {
            region: "us-east-1".to_owned(),
            credentials: None,
            dynamodb: None,
            sqs: None,
            connections: BTreeMap::new(),
            reveal_secrets: false,
            buckets: HashMap::new(),
        }
    }
}

impl fmt::Debug for ServiceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSettings")
            .field("region", &self.region)
            .field("dynamodb", &self.dynamodb.as_ref().map(Url::as_str))
            .field("sqs", &self.sqs.as_ref().map(Url::as_str))
            .field("connections", &self.connections.keys())
            .field("buckets", &self.buckets.keys())
            .finish_non_exhaustive()
    }
}

/// An access key.
#[derive(Clone)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What an EventBridge connection is on AWS: the secrets of an HTTP endpoint, and here also where
/// they may go.
#[derive(Clone, Default)]
pub struct Connection {
    /// Addresses that may be called: the same scheme, host and port, and a path below.
    pub allow: Vec<Url>,
    /// Headers that every request gets, such as `authorization`.
    pub headers: BTreeMap<String, String>,
    /// Query parameters that every request gets.
    pub query: BTreeMap<String, String>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allow: Vec<&str> = self.allow.iter().map(Url::as_str).collect();
        f.debug_struct("Connection")
            .field("allow", &allow)
            .field("headers", &self.headers.keys())
            .field("query", &self.query.keys())
            .finish()
    }
}

impl Connection {
    /// Whether the address lies below one of those that are allowed.
    pub(super) fn allows(&self, url: &Url) -> bool {
        self.allow.iter().any(|allowed| {
            let below = allowed.path().trim_end_matches('/');
            allowed.scheme() == url.scheme()
                && allowed.host() == url.host()
                && allowed.port_or_known_default() == url.port_or_known_default()
                && url
                    .path()
                    .strip_prefix(below)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_allows_what_lies_below() {
        let url = |text: &str| Url::parse(text).unwrap();
        let connection = Connection {
            allow: vec![
                url("https://api.example.com/v1/"),
                url("http://127.0.0.1:9"),
            ],
            headers: BTreeMap::from([("authorization".to_owned(), "secret".to_owned())]),
            ..Connection::default()
        };
        for (address, allowed) in [
            ("https://api.example.com/v1", true),
            ("https://api.example.com/v1/x?y=1", true),
            ("https://api.example.com:443/v1/x", true),
            ("http://127.0.0.1:9/anything", true),
            ("https://api.example.com/v12", false),
            ("https://api.example.com/v1/../v2", false),
            ("https://api.example.com/", false),
            ("http://api.example.com/v1", false),
            ("https://api.example.com:444/v1", false),
            ("https://api.example.com.evil.org/v1", false),
            ("https://api.example.com@evil.org/v1", false),
            ("http://127.0.0.1:10/", false),
        ] {
            assert_eq!(connection.allows(&url(address)), allowed, "{address}");
        }
        assert!(!format!("{connection:?}").contains("secret"));
    }
}
