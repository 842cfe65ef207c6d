//! `onJob` without an execution. Thousands of watchers send one document, each with the id of a job. Once a document was executed without
//! an error, it is known what it asks for: its arguments are read from the variables, and the watchers share its
//! [`Projection`]. Whatever is not as it was then is executed.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::Name;
use async_graphql::parser::types::OperationType;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use job::{JobId, Version};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use sha2::{Digest, Sha256};

use super::bounds;
use super::plain_field::PlainField;
use super::projection::Projection;
use super::syntax::Document;
use crate::hub::GroupKey;

/// What a document with `onJob`, and nothing else, asks for.
pub(super) struct OnJob {
    operation: Option<Box<str>>,
    /// The variable that is the argument `id`.
    id: Name,
    after: Option<After>,
    /// The same for all requests of this operation, and for no others.
    digest: Box<str>,
    pub(super) projection: Arc<Projection>,
    /// About what the projection takes in memory.
    pub(super) bytes: usize,
}

/// The variable that is the argument `after`.
struct After {
    name: Name,
    is_nullable: bool,
}

/// The job that a request watches, and the version that its client has.
pub(super) type WatchedJob = (JobId, Option<Version>);

impl OnJob {
    /// `None`: the document is to be executed. It is valid, and the request within the bounds of a subscription.
    pub(super) fn of(
        document: &Document,
        request: &wire::Request,
        projection: &Arc<Projection>,
        bytes: usize,
    ) -> Option<OnJob> {
        let operation = request.operation_name.as_deref();
        let kind = OperationType::Subscription;
        let field = PlainField::of(document, operation, kind, "onJob", ["id", "after"])?;
        let [Some(id), after] = field.arguments else {
            return None;
        };
        let mut digest = Sha256::new();
        let name = operation.unwrap_or_default();
        digest.update(name.len().to_le_bytes());
        digest.update(name);
        digest.update(&request.query);
        Some(OnJob {
            operation: operation.map(Into::into),
            id: id.name.clone(),
            after: after.map(|after| After {
                name: after.name.clone(),
                is_nullable: after.kind.nullable,
            }),
            digest: URL_SAFE_NO_PAD.encode(digest.finalize()).into(),
            projection: Arc::clone(projection),
            bytes,
        })
    }

    /// What a request of this document watches; `None`: it is to be executed, and may be refused.
    pub(super) fn read(&self, request: &wire::Request) -> Option<WatchedJob> {
        if self.operation.as_deref() != request.operation_name.as_deref() {
            return None;
        }
        let variables = request.variables.as_ref()?.get();
        if variables.len() > bounds::SUBSCRIPTION_BYTES {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(variables);
        let given = reader.deserialize_map(Variables(self)).ok()?;
        reader.end().ok()?;
        Some((given.id?.0.parse().ok()?, given.after))
    }

    /// The group of its watchers in a scope. The variables are no part of it: they say which job is watched and from when on, not what
    /// is told of it. The blank tells it from the groups of other documents.
    pub(super) fn group(&self, scope: &str) -> GroupKey {
        let mut key = String::with_capacity(scope.len() + 1 + self.digest.len());
        key.push_str(scope);
        key.push(' ');
        key.push_str(&self.digest);
        GroupKey(key.into())
    }
}

/// Reads the two variables, and gives up on whatever else there is.
struct Variables<'a>(&'a OnJob);

/// Borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default)]
struct Given<'de> {
    id: Option<Text<'de>>,
    after: Option<Version>,
}

impl<'de> Visitor<'de> for Variables<'_> {
    type Value = Given<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the variables of the document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given<'de>, A::Error> {
        let mut given = Given::default();
        let mut has_after = false;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match &self.0.after {
                _ if self.0.id == *name.0 && given.id.is_none() => {
                    given.id = Some(map.next_value()?);
                }
                Some(after) if after.name == *name.0 && !has_after => {
                    has_after = true;
                    given.after = map.next_value::<Option<u32>>()?.map(version).transpose()?;
                }
                _ => return Err(A::Error::custom("it is unknown, or there twice")),
            }
        }
        let needs_after = self
            .0
            .after
            .as_ref()
            .is_some_and(|after| !after.is_nullable);
        if needs_after && given.after.is_none() {
            return Err(A::Error::custom("it is missing"));
        }
        Ok(given)
    }
}

/// An `Int` of GraphQL has 32 bits with its sign.
fn version<E: serde::de::Error>(number: u32) -> Result<Version, E> {
    if i32::try_from(number).is_err() {
        return Err(E::custom("it is no Int"));
    }
    Ok(Version(number.into()))
}
