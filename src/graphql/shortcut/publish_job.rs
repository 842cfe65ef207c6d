//! `publishJob` without an execution. The reader of a job table's stream sends one document many
//! times, and watchers wait for its content. After the document has been executed without an error,
//! its arguments are read from the variables, and the response is written as a
//! [`Payload`](crate::graphql::shortcut::payload::Payload) is. A request with any other variables
//! is executed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::Name;
use async_graphql::parser::types::OperationType;
use job::Job;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::graphql::request::plan::Plan;
use crate::graphql::request::variables::Variables;
use crate::graphql::schema::types::TYPES;
use crate::graphql::shortcut::payload::PublishJobResponse;
use crate::graphql::shortcut::plain_field::PlainField;
use crate::graphql::syntax::Document;

/// Name of the field.
pub(super) const FIELD: &str = "publishJob";

/// A document that has only `publishJob`.
pub(super) struct PublishJob {
    operation: Option<Box<str>>,
    /// The variables of its arguments.
    new: Name,
    old: Option<Name>,
    pub(super) response: PublishJobResponse,
}

/// The change that a request publishes.
pub(super) struct Change {
    pub(super) new: Arc<Job>,
    pub(super) old: Option<Arc<Job>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl PublishJob {
    /// `None`: the document is to be executed.
    pub(super) fn of(document: &Document, name: Option<&str>) -> Option<Self> {
        let kind = OperationType::Mutation;
        let field = PlainField::of(document, name, kind, FIELD, ["new", "old"])?;
        let [Some(new), old] = field.arguments else {
            return None;
        };
        let plan = Plan::of(document, field.operation, &Variables::new(), &TYPES).ok()?;
        Some(Self {
            operation: name.map(Into::into),
            new: new.name.clone(),
            old: old.map(|old| old.name.clone()),
            response: PublishJobResponse::of(plan.fields.first()?)?,
        })
    }

    /// The change that a request of this document publishes; `None`: the request is to be executed,
    /// and may be refused.
    pub(super) fn read(&self, request: &wire::Request) -> Option<Change> {
        if self.operation.as_deref() != request.operation_name.as_deref() {
            return None;
        }
        let mut variables = self.variables(request.variables.as_deref()?)?;
        let job = |text: Text<'_>| {
            let text = json::check(&text.0).ok()?;
            json::object(text).map(Arc::new).ok()
        };
        let new = job(variables.remove(self.new.as_str())??)?;
        let old = self
            .old
            .as_ref()
            .and_then(|old| variables.remove(old.as_str()));
        let old = match old.flatten() {
            Some(text) => Some(job(text)?),
            None => None,
        };
        Some(Change { new, old })
    }

    fn variables<'r>(&self, variables: &'r RawValue) -> Option<HashMap<&'r str, Option<Text<'r>>>> {
        let variables: HashMap<&str, Option<Text<'_>>> =
            serde_json::from_str(variables.get()).ok()?;
        let known =
            |name: &&str| *name == self.new || self.old.as_ref().is_some_and(|old| *name == old);
        variables.keys().all(known).then_some(variables)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Request;
    use async_graphql_value::ConstValue;
    use futures_util::FutureExt;
    use job::{Step, Time};
    use proptest::prelude::*;
    use resolvers::Caller;
    use serde_json::json;

    use super::*;
    use crate::graphql::response::data;
    use crate::graphql::schema::builder;
    use crate::graphql::shortcut::payload_tests::{FRAGMENTS, jobs, selections};
    use crate::graphql::syntax::parse;
    use crate::realtime::hub::Hub;
    use crate::realtime::publisher::Publisher;

    fn publishing(document: &str, operation: Option<&str>) -> Option<PublishJob> {
        PublishJob::of(&parse(document).expect("a document"), operation)
    }

    const TWO: &str = "mutation A($n: AWSJSON!) { publishJob(new: $n) { id } } mutation B($n: AWSJSON!, $o: AWSJSON) { p: publishJob(old: $o, new: $n) { id } }";

    #[test]
    fn only_a_document_with_publish_job_alone_has_the_shortcut() {
        for (document, operation, expected) in [
            (TWO, Some("A"), true),
            (TWO, Some("B"), true),
            (TWO, Some("C"), false),
            (TWO, None, false),
            (
                "mutation($n: AWSJSON!) { publishJob(new: $n) { id steps { name } } }",
                None,
                true,
            ),
            // The field is read from the store.
            (
                "mutation($n: AWSJSON!) { publishJob(new: $n) { input } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) { publishJob(new: $n) { id } cancelJob(id: 1) { id } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) { publishJob(new: $n) { id } __typename }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) { ... { publishJob(new: $n) { id } } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) { publishJob(new: $n) @include(if: true) { id } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) @other { publishJob(new: $n) { id } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!, $b: Boolean!) { publishJob(new: $n) { id @skip(if: $b) } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON! = \"{}\") { publishJob(new: $n) { id } }",
                None,
                false,
            ),
            ("mutation { publishJob(new: \"{}\") { id } }", None, false),
            (
                "mutation($o: AWSJSON) { publishJob(old: $o) { id } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) { publishJob(new: $n, other: $n) { id } }",
                None,
                false,
            ),
            (
                "mutation($n: AWSJSON!) { submitJob(new: $n) { id } }",
                None,
                false,
            ),
            (
                "subscription($n: ID!) { onJob(id: $n) { id } }",
                None,
                false,
            ),
        ] {
            let found = publishing(document, operation).is_some();
            assert_eq!(found, expected, "{document} {operation:?}");
        }
    }

    #[test]
    fn only_variables_that_are_jobs_are_read() {
        let publishing = publishing(TWO, Some("B")).expect("it only publishes");
        let job = |version: u64| {
            let job = json!({
                "id": "01a21ee7-9c16-7c3b-8488-a292049b6131", "type": "t", "owner": "o", "status": "RUNNING", "progress": 1,
                "attempt": 1, "version": version, "createdAt": "2026-01-01T00:00:00.000Z",
                "updatedAt": "2026-01-01T00:00:00.000Z", "execution": "e",
            });
            job.to_string()
        };
        // The values of a job without their names.
        let listed = |job: &str| {
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(job).expect("an object");
            serde_json::Value::from_iter(fields.into_values()).to_string()
        };
        let read = |operation: Option<&str>, variables: Option<String>| {
            let change = publishing.read(&wire::Request {
                query: TWO.to_owned(),
                operation_name: operation.map(str::to_owned),
                variables: variables.map(|text| RawValue::from_string(text).expect("JSON")),
                extensions: None,
                authorization: None,
            })?;
            Some((change.new.version.0, change.old.map(|old| old.version.0)))
        };
        for (variables, expected) in [
            (json!({"n": job(2)}), Some((2, None))),
            (json!({"n": job(2), "o": null}), Some((2, None))),
            (json!({"o": job(1), "n": job(2)}), Some((2, Some(1)))),
            (json!({"n": null}), None),
            (json!({"o": job(1)}), None),
            (json!({"n": job(2), "other": "x"}), None),
            (json!({"n": job(2), "o": "{}"}), None),
            (json!({"n": "{}"}), None),
            (json!({"n": "{"}), None),
            (json!({"n": 1}), None),
            (json!({"n": {"id": 1}}), None),
            (json!([job(2)]), None),
            (json!({"n": listed(&job(2))}), None),
            (json!({"n": job(2), "o": listed(&job(1))}), None),
            (
                json!({"n": job(1).replacen('{', "{\"version\":1,", 1).replace("\"version\":1,\"created", "\"version\":2,\"created")}),
                Some((2, None)),
            ),
        ] {
            assert_eq!(
                read(Some("B"), Some(variables.to_string())),
                expected,
                "{variables}"
            );
        }
        let good = json!({"n": job(2)}).to_string();
        assert_eq!(read(Some("A"), Some(good.clone())), None);
        assert_eq!(read(None, Some(good)), None);
        assert_eq!(read(Some("B"), None), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn the_response_equals_that_of_the_library(set in selections("Job", 3), job in jobs(), alias in any::<bool>()) {
            let set = set.replace("$yes", "true").replace("$no", "false");
            let alias = if alias { "one: " } else { "" };
            let document = format!("mutation($new: AWSJSON!) {{ {alias}publishJob(new: $new) {{ {set} }} }} {FRAGMENTS}");
            let time = |time: Time| Time::from_millis(time.as_millis().rem_euclid(4_000_000_000_000));
            let job = Job {
                created_at: time(job.created_at),
                updated_at: time(job.updated_at),
                started_at: job.started_at.map(time),
                finished_at: job.finished_at.map(time),
                expires_at: job.expires_at.map(time),
                steps: job.steps.into_iter().map(|step| Step {
                    started_at: step.started_at.map(time),
                    finished_at: step.finished_at.map(time),
                    ..step
                }).collect(),
                ..job
            };
            let text = serde_json::to_string(&job).expect("a job is JSON");
            let publisher = Publisher::new(Arc::new(Hub::default()), None, None);
            let schema = builder().data(publisher).finish();
            let parsed = parse(&document).expect("a document");
            let new = ConstValue::String(text.clone());
            let variables = Variables::from([(Name::new("new"), new)]);
            let operation = parsed.operation(None).expect("the only one");
            let mut plan = Plan::of(&parsed, operation, &variables, &TYPES).expect("no condition is null");
            let mut request = Request::new("").data(Caller::dev());
            request.set_parsed_query(plan.take_document());
            let executed = schema.execute(request).now_or_never().expect("nobody watches");
            prop_assert!(executed.errors.is_empty(), "{document}: {:?}", executed.errors);
            let executed = data::executed(&plan, &executed);
            if let Some(publishing) = publishing(&document, None) {
                let job = serde_json::from_str(&text).expect("it was read before");
                prop_assert_eq!(&publishing.response.body(&job)[..], &executed[..], "{}", document);
            }
        }
    }
}
