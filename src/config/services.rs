//! The section `[services]`: services besides functions that Task states may call. It opens the
//! directories of buckets, and calls nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use workflow::services::{Connection, Credentials, ServiceSettings};

use crate::masked;

/// The bucket of the files that were sent to `createUpload`'s addresses. An upload's `id` is its
/// key.
pub const UPLOADS: &str = "uploads";

/// Services that state machines call: `[services]`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// The region for which requests are signed [default: us-east-1].
    pub region: Option<String>,
    /// The access key [default: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of
    /// the environment].
    #[serde(serialize_with = "masked::mask_if_set")]
    pub access_key_id: Option<String>,
    /// The secret of the access key.
    #[serde(serialize_with = "masked::mask_if_set")]
    pub secret_access_key: Option<String>,
    /// Address of DynamoDB.
    pub dynamodb: Option<Address>,
    /// Address of SQS.
    pub sqs: Option<Address>,
    /// Connections of HTTP endpoints, by name.
    pub connections: BTreeMap<String, HttpConnection>,
    /// Whether `TestState` may show the secrets of the connections.
    pub reveal_secrets: bool,
    /// Directories that state machines use as buckets, by the bucket's name.
    #[serde(serialize_with = "masked::paths")]
    pub buckets: BTreeMap<String, PathBuf>,
}

/// The secrets of an HTTP endpoint, and the addresses that may receive them:
/// `[services.connections.NAME]`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConnection {
    /// Addresses that may be called, with all paths below them.
    pub allow: Vec<Address>,
    /// Headers of every request.
    #[serde(serialize_with = "masked::mask_values")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters of every request.
    #[serde(serialize_with = "masked::mask_values")]
    pub query: BTreeMap<String, String>,
}

/// An `http` or `https` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Url);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        url.map(Address).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not an address such as https://api.example.com/"
            ))
        })
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&masked::addresses(self.as_str()))
    }
}

impl Address {
    /// The address as text, without a `/` at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("region", &self.region)
            .field("dynamodb", &self.dynamodb)
            .field("sqs", &self.sqs)
            .field("connections", &self.connections)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

impl Services {
    /// Resolves directories against the directory of the configuration file.
    pub(super) fn below(&mut self, base: &Path) {
        for directory in self.buckets.values_mut() {
            *directory = base.join(&directory);
        }
    }

    /// The settings of the engine; `uploads` are the uploaded files.
    ///
    /// # Errors
    /// If the directory of a bucket cannot be created or opened.
    pub fn settings(&self, uploads: Arc<dyn ObjectStore>) -> std::io::Result<ServiceSettings> {
        let mut settings = ServiceSettings {
            credentials: self.credentials(|name| std::env::var(name).ok()),
            dynamodb: self.dynamodb.clone().map(|address| address.0),
            sqs: self.sqs.clone().map(|address| address.0),
            reveal_secrets: self.reveal_secrets,
            ..ServiceSettings::default()
        };
        if let Some(region) = &self.region {
            settings.region.clone_from(region);
        }
        settings.buckets.insert(UPLOADS.to_owned(), uploads);
        for (name, directory) in &self.buckets {
            let named = |error: String| {
                std::io::Error::other(format!(
                    "the directory {} of the bucket {name}: {error}",
                    directory.display()
                ))
            };
            std::fs::create_dir_all(directory).map_err(|error| named(error.to_string()))?;
            let store = LocalFileSystem::new_with_prefix(directory)
                .map_err(|error| named(error.to_string()))?;
            settings.buckets.insert(name.clone(), Arc::new(store));
        }
        for (name, connection) in &self.connections {
            let connection = Connection {
                allow: connection.allow.iter().map(|url| url.0.clone()).collect(),
                headers: connection.headers.clone(),
                query: connection.query.clone(),
            };
            settings.connections.insert(name.clone(), connection);
        }
        Ok(settings)
    }

    /// The credentials of requests: those of the file, otherwise the variables of the AWS SDKs.
    pub(super) fn credentials(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Credentials> {
        if let (Some(access_key), Some(secret_key)) = (&self.access_key_id, &self.secret_access_key)
        {
            return Some(Credentials {
                access_key: access_key.clone(),
                secret_key: secret_key.clone(),
                session_token: None,
            });
        }
        Some(Credentials {
            access_key: variable("AWS_ACCESS_KEY_ID")?,
            secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
            session_token: variable("AWS_SESSION_TOKEN"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_read_and_its_secrets_are_hidden() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = r#"
            dynamodb = "http://127.0.0.1:8000"
            access_key_id = "mine"
            secret_access_key = "hush"
            buckets = { reports = "reports" }
            [connections.billing]
            allow = ["https://billing.example.com/v1/"]
            headers = { authorization = "Bearer hush" }
        "#;
        let mut services: Services = toml::from_str(text).expect("a section");
        services.below(directory.path());
        let uploads = Arc::new(object_store::memory::InMemory::new());
        let settings = services.settings(uploads).expect("settings");
        assert!(directory.path().join("reports").is_dir());
        let mut buckets: Vec<_> = settings.buckets.keys().map(String::as_str).collect();
        buckets.sort_unstable();
        assert_eq!(buckets, ["reports", UPLOADS]);
        assert_eq!(settings.region, "us-east-1");
        let shown = format!("{services:?} {settings:?} {:?}", settings.credentials);
        assert!(!shown.contains("hush"), "{shown}");
        assert!(settings.credentials.is_some() && settings.sqs.is_none());
        let none = Services::default().credentials(|_| None);
        let some = Services::default().credentials(|name| Some(name.to_owned()));
        assert!(none.is_none() && some.is_some());
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for text in ["sqs = \"somewhere\"", "dynamodb = \"file:///etc\""] {
            let error = toml::from_str::<Services>(text).expect_err(text);
            assert!(error.to_string().contains("is not an address"), "{error}");
        }
    }
}
