//! `onJob` without an execution. After a restart thousands of watchers send one document, each with
//! the id of a job. After the document has been executed without an error, its arguments are read
//! from the variables, and the watchers share its [`Payload`]. A request with any other variables
//! is executed.

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

use crate::graphql::limits;
use crate::graphql::shortcut::payload::Payload;
use crate::graphql::shortcut::plain_field::PlainField;
use crate::graphql::syntax::Document;
use crate::realtime::hub::PayloadGroupKey;

/// A document that has only `onJob`.
pub(super) struct OnJob {
    operation: Option<Box<str>>,
    /// The variable of the argument `id`.
    id: Name,
    after: Option<After>,
    /// Equal for all requests of this operation, and only for those.
    digest: Box<str>,
    pub(super) payload: Arc<Payload>,
    /// Approximate memory of the payload's fields, in bytes.
    pub(super) bytes: usize,
}

/// The variable of the argument `after`.
struct After {
    name: Name,
    is_nullable: bool,
}

/// The job that a request watches, and the version that its client has.
pub(super) type WatchedJob = (JobId, Option<Version>);

impl OnJob {
    /// `None`: the document is to be executed. The document is valid, and the request is within the
    /// bounds of a subscription.
    pub(super) fn of(
        document: &Document,
        request: &wire::Request,
        payload: &Arc<Payload>,
        bytes: usize,
    ) -> Option<Self> {
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
        Some(Self {
            operation: operation.map(Into::into),
            id: id.name.clone(),
            after: after.map(|after| After {
                name: after.name.clone(),
                is_nullable: after.kind.nullable,
            }),
            digest: URL_SAFE_NO_PAD.encode(digest.finalize()).into(),
            payload: Arc::clone(payload),
            bytes,
        })
    }

    /// The job that a request of this document watches; `None`: the request is to be executed, and
    /// may be refused.
    pub(super) fn read(&self, request: &wire::Request) -> Option<WatchedJob> {
        if self.operation.as_deref() != request.operation_name.as_deref() {
            return None;
        }
        let variables = request.variables.as_ref()?.get();
        if variables.len() > limits::SUBSCRIPTION_BYTES {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(variables);
        let given = reader.deserialize_map(Variables(self)).ok()?;
        reader.end().ok()?;
        Some((given.id?.0.parse().ok()?, given.after))
    }

    /// The group of its watchers in a scope. The variables are not part of the key: they decide
    /// which job is watched from which version, and not how its payload looks. The blank separates
    /// the key from the keys of other documents.
    pub(super) fn group(&self, scope: &str) -> PayloadGroupKey {
        let mut key = String::with_capacity(scope.len() + 1 + self.digest.len());
        key.push_str(scope);
        key.push(' ');
        key.push_str(&self.digest);
        PayloadGroupKey(key.into())
    }
}

/// Reads the two variables, and fails on any other field.
struct Variables<'a>(&'a OnJob);

/// Borrowed if the text has no escapes.
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

/// GraphQL's `Int` has 32 bits with its sign.
fn version<E: serde::de::Error>(number: u32) -> Result<Version, E> {
    if i32::try_from(number).is_err() {
        return Err(E::custom("it is no Int"));
    }
    Ok(Version(number.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use async_graphql::Request;
    use futures_util::{FutureExt, StreamExt};
    use proptest::prelude::*;
    use proptest::sample::select;
    use resolvers::Caller;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::graphql::request::plan::Plan;
    use crate::graphql::request::variables;
    use crate::graphql::schema::builder;
    use crate::graphql::schema::subscription::{RequestedWatch, RequestedWatches};
    use crate::graphql::schema::types::TYPES;
    use crate::graphql::syntax::parse;

    const JOB: &str = "01a21ee7-9c16-7c3b-8488-a292049b6131";
    const AFTER: &str =
        "subscription($id: ID!, $after: Int) { onJob(id: $id, after: $after) { id version } }";
    const NEEDED: &str =
        "subscription($after: Int!, $id: ID!) { one: onJob(after: $after, id: $id) { id } }";
    const ID: &str = "subscription A($i: ID!) { onJob(id: $i) { id steps { name } } } subscription B($i: ID!) { onJob(id: $i) { status } }";

    fn request(query: &str, operation: Option<&str>, variables: Option<&Value>) -> wire::Request {
        let raw = |value: &Value| RawValue::from_string(value.to_string()).expect("JSON");
        wire::Request {
            query: query.to_owned(),
            operation_name: operation.map(str::to_owned),
            variables: variables.map(raw),
            extensions: None,
            authorization: None,
        }
    }

    fn known(query: &str, operation: Option<&str>, variables: &Value) -> Option<OnJob> {
        let request = request(query, operation, Some(variables));
        let document = parse(query).expect("a document");
        let found = document.operation(operation)?;
        let variables = variables::coerce(request.variables.as_deref(), found, &TYPES).ok()?;
        let plan = Plan::of(&document, found, &variables, &TYPES).ok()?;
        let payload = Arc::new(Payload::of(&plan)?);
        OnJob::of(&document, &request, &payload, 0)
    }

    /// The watch that the library finds.
    fn executed(query: &str, operation: Option<&str>, variables: &Value) -> Option<WatchedJob> {
        let document = parse(query).expect("a document");
        let found = document.operation(operation)?;
        let raw = RawValue::from_string(variables.to_string()).expect("JSON");
        let variables = variables::coerce(Some(&raw), found, &TYPES).ok()?;
        let mut plan = Plan::of(&document, found, &variables, &TYPES).ok()?;
        let wish = Arc::new(RequestedWatches::default());
        let mut probe = Request::new("").data(Arc::clone(&wish)).data(Caller::dev());
        probe.set_parsed_query(plan.take_document());
        let schema = builder().finish();
        let answers: Vec<_> = schema
            .execute_stream(probe)
            .collect()
            .now_or_never()
            .expect("nothing is waited for");
        if answers.iter().any(|answer| !answer.errors.is_empty()) {
            return None;
        }
        match wish.0.lock().pop() {
            Some(RequestedWatch::Job { id, after }) => Some((id, after)),
            other => panic!("it watches a job, and not {other:?}"),
        }
    }

    #[test]
    fn only_a_document_with_on_job_alone_has_the_shortcut() {
        let given = json!({"id": JOB, "i": JOB, "yes": true, "after": 1});
        for (document, operation, expected) in [
            (AFTER, None, true),
            (NEEDED, None, true),
            (ID, Some("A"), true),
            (ID, Some("B"), true),
            (ID, Some("C"), false),
            (ID, None, false),
            (
                "subscription($id: ID!) { onJob(id: $id) { ...F } } fragment F on Job { id @skip(if: true) }",
                None,
                true,
            ),
            // The field is read from the store.
            (
                "subscription($id: ID!) { onJob(id: $id) { input } }",
                None,
                false,
            ),
            (
                "subscription($id: ID!, $yes: Boolean!) { onJob(id: $id) { id @include(if: $yes) } }",
                None,
                false,
            ),
            (
                "subscription($id: ID!, $yes: Boolean!) { onJob(id: $id) { ...F } } fragment F on Job { id @include(if: $yes) }",
                None,
                false,
            ),
            (
                "subscription($id: ID!) { onJob(id: $id) @include(if: true) { id } }",
                None,
                false,
            ),
            (
                "subscription($id: ID!) { ... { onJob(id: $id) { id } } }",
                None,
                false,
            ),
            (
                "subscription($id: ID!, $after: Int = 3) { onJob(id: $id, after: $after) { id } }",
                None,
                false,
            ),
            (
                "subscription($id: ID!) { onJob(id: $id, after: 3) { id } }",
                None,
                false,
            ),
            ("subscription { onJob(id: 1) { id } }", None, false),
            ("subscription { onJobs { kind } }", None, false),
            ("query($id: ID!) { getJob(id: $id) { id } }", None, false),
        ] {
            let found = known(document, operation, &given).is_some();
            assert_eq!(found, expected, "{document} {operation:?}");
        }
    }

    #[test]
    fn only_variables_that_are_a_job_and_a_version_are_read() {
        let id: JobId = JOB.parse().expect("an id");
        let at = |version: u64| Some((id, Some(Version(version))));
        for (document, variables, expected) in [
            (AFTER, json!({"id": JOB}), Some((id, None))),
            (AFTER, json!({"after": null, "id": JOB}), Some((id, None))),
            (AFTER, json!({"after": 0, "id": JOB}), at(0)),
            (
                AFTER,
                json!({"id": JOB, "after": i32::MAX}),
                at(2_147_483_647),
            ),
            (NEEDED, json!({"id": JOB, "after": 7}), at(7)),
            // These are to be executed, and most are refused.
            (AFTER, json!({"id": JOB, "after": 2_147_483_648_u64}), None),
            (AFTER, json!({"id": JOB, "after": -1}), None),
            (AFTER, json!({"id": JOB, "after": 1.0}), None),
            (AFTER, json!({"id": JOB, "after": "1"}), None),
            (AFTER, json!({"id": JOB, "other": 1}), None),
            (AFTER, json!({"id": null}), None),
            (AFTER, json!({"id": 7}), None),
            (AFTER, json!({"id": [JOB]}), None),
            (AFTER, json!({"id": &JOB[1..]}), None),
            (AFTER, json!({"after": 1}), None),
            (AFTER, json!({}), None),
            (AFTER, json!([JOB]), None),
            (AFTER, json!(null), None),
            (NEEDED, json!({"id": JOB}), None),
            (NEEDED, json!({"id": JOB, "after": null}), None),
        ] {
            let known =
                known(document, None, &json!({"id": JOB, "after": 1})).expect("it is known");
            let found = known.read(&request(document, None, Some(&variables)));
            assert_eq!(found, expected, "{document} {variables}");
        }
        let known = known(AFTER, None, &json!({"id": JOB})).expect("it is known");
        assert_eq!(known.read(&request(AFTER, None, None)), None);
        let other = request(AFTER, Some("A"), Some(&json!({"id": JOB})));
        assert_eq!(known.read(&other), None);
        let read = |text: String| {
            let mut request = request(AFTER, None, None);
            request.variables = Some(RawValue::from_string(text).expect("JSON"));
            known.read(&request)
        };
        let spaced = |bytes: usize| format!("{{\"id\":\"{JOB}\"{}}}", " ".repeat(bytes - 45));
        assert_eq!(read(spaced(limits::SUBSCRIPTION_BYTES)), Some((id, None)));
        assert_eq!(read(spaced(limits::SUBSCRIPTION_BYTES + 1)), None);
        assert_eq!(read(format!(r#"{{"\u0069d":"{JOB}"}}"#)), Some((id, None)));
        assert_eq!(read(format!(r#"{{"id":"{JOB}","id":"{JOB}"}}"#)), None);
        assert_eq!(
            read(format!(r#"{{"id":"{JOB}","after":1,"after":1}}"#)),
            None
        );
    }

    #[test]
    fn each_operation_and_scope_has_its_group() {
        let given = json!({"id": JOB, "i": JOB, "after": 1});
        let mut groups = HashSet::new();
        for (document, operation) in [
            (AFTER, None),
            (NEEDED, None),
            (ID, Some("A")),
            (ID, Some("B")),
        ] {
            let known = known(document, operation, &given).expect("it is known");
            for scope in ["roles", "watch", "report"] {
                assert_eq!(known.group(scope), known.group(scope));
                assert!(
                    groups.insert(known.group(scope)),
                    "{document} {operation:?}"
                );
            }
        }
    }

    fn given() -> impl Strategy<Value = Value> {
        let value = prop_oneof![
            4 => Just(json!(JOB)),
            1 => select(vec![
                json!(null), json!(7), json!("7"), json!(""), json!([JOB]), json!({"id": JOB}),
                json!(true), json!(JOB.to_uppercase()), json!(JOB.replace('-', "")),
            ]),
        ];
        let after = prop_oneof![
            any::<i32>().prop_map(|number| json!(number)),
            any::<i64>().prop_map(|number| json!(number)),
            any::<f64>().prop_map(|number| json!(number)),
            (-9..9_i32).prop_map(|number| json!(f64::from(number))),
            Just(json!(null)),
            Just(json!("1")),
        ];
        let fields = (value, proptest::option::of(after), any::<bool>());
        fields.prop_map(|(id, after, more)| {
            let mut all = json!({"id": id.clone(), "i": id});
            if let Some(after) = after {
                all["after"] = after;
            }
            if more {
                all["more"] = json!(1);
            }
            all
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn the_read_watch_equals_that_of_the_library(given in given(), document in select(vec![AFTER, NEEDED, ID])) {
            let operation = (document == ID).then_some("A");
            let mut given = given;
            let unknown = if operation.is_some() { ["id", "after"] } else { ["i", ""] };
            let fields = given.as_object_mut().expect("an object");
            unknown.iter().for_each(|name| drop(fields.remove(*name)));
            let known = known(document, operation, &json!({"id": JOB, "i": JOB, "after": 1})).expect("it is known");
            let found = known.read(&request(document, operation, Some(&given)));
            if found.is_some() {
                prop_assert_eq!(found, executed(document, operation, &given), "{} {}", document, given);
            }
        }
    }
}
