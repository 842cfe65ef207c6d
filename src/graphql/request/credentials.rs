//! Credentials inside a message: AppSync's header, and the payload of `connection_init`.

use std::sync::Arc;

use resolvers::Caller;
use serde_json::value::RawValue;

/// Credentials that a client has sent.
#[derive(Default)]
pub(in crate::graphql) struct SentCredentials {
    pub(in crate::graphql) authorization: Option<String>,
    pub(in crate::graphql) api_key: Option<String>,
}

impl SentCredentials {
    /// The credentials in an object. Names of fields match in any letter case.
    pub(in crate::graphql) fn of_object(object: &RawValue) -> Self {
        let fields = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>;
        let Ok(fields) = fields(object.get()) else {
            return Self::default();
        };
        let field = |names: &[&str]| {
            let mut found = fields
                .iter()
                .filter(|(field, _)| names.iter().any(|name| field.eq_ignore_ascii_case(name)));
            found
                .next()
                .and_then(|(_, value)| value.as_str())
                .map(str::to_owned)
        };
        Self {
            authorization: field(&["authorization"]),
            api_key: field(&["x-api-key", "apiKey"]),
        }
    }

    /// The credentials of a request's headers.
    pub(in crate::graphql) fn of_headers(headers: &http::HeaderMap) -> Self {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            authorization: header("authorization"),
            api_key: header("x-api-key"),
        }
    }

    /// These credentials, replaced by others where there are any.
    pub(in crate::graphql) fn replaced_by(self, other: Self) -> Self {
        Self {
            authorization: other.authorization.or(self.authorization),
            api_key: other.api_key.or(self.api_key),
        }
    }
}

/// The name under which the connections and subscriptions of a caller are counted. Without
/// authentication all callers are the same `dev`, which is not counted.
#[must_use]
pub fn counted_name(caller: &Caller) -> Option<Arc<str>> {
    (*caller != Caller::dev()).then(|| caller.subject.as_str().into())
}
