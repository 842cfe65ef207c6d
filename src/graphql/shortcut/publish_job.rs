//! `publishJob` without an execution. The reader of a job table's stream sends few documents many
//! times, and watchers wait for their content: one change, or a batch with an alias for each. After
//! a document has been executed without an error, its arguments are read from the variables, and
//! the response is written as a [`Payload`](crate::graphql::shortcut::payload::Payload) is. A
//! request with any other variables is executed.

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
use crate::graphql::shortcut::plain_field::PlainFields;
use crate::graphql::syntax::Document;

/// Name of the field.
pub(super) const FIELD: &str = "publishJob";

/// A document that has only `publishJob`, once or several times.
pub(super) struct PublishJob {
    operation: Option<Box<str>>,
    /// The variables of each field's arguments.
    fields: Vec<Arguments>,
    pub(super) response: PublishJobResponse,
}

struct Arguments {
    new: Name,
    old: Option<Name>,
}

/// A change that a request publishes.
pub(super) struct Change {
    pub(super) new: Arc<Job>,
    pub(super) old: Option<Arc<Job>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn job(&self) -> Option<Arc<Job>> {
        let text = json::check(&self.0).ok()?;
        json::object(text).map(Arc::new).ok()
    }
}

impl PublishJob {
    /// `None`: the document is to be executed.
    pub(super) fn of(document: &Document, name: Option<&str>) -> Option<Self> {
        let kind = OperationType::Mutation;
        let plain = PlainFields::of(document, name, kind, FIELD, ["new", "old"])?;
        let arguments = plain.arguments.iter().map(|[new, old]| {
            Some(Arguments {
                new: (*new)?.name.clone(),
                old: old.map(|old| old.name.clone()),
            })
        });
        let fields: Vec<Arguments> = arguments.collect::<Option<_>>()?;
        let plan = Plan::of(document, plain.operation, &Variables::new(), &TYPES).ok()?;
        let response = PublishJobResponse::of(&plan)?;
        // A field that is selected twice is one field of the plan.
        (response.jobs() == fields.len()).then_some(Self {
            operation: name.map(Into::into),
            fields,
            response,
        })
    }

    /// The changes that a request of this document publishes, in their order; `None`: the request
    /// is to be executed, and may be refused.
    pub(super) fn read(&self, request: &wire::Request) -> Option<Vec<Change>> {
        if self.operation.as_deref() != request.operation_name.as_deref() {
            return None;
        }
        let variables = self.variables(request.variables.as_deref()?)?;
        let changes = self.fields.iter().map(|field| {
            let new = variables.get(field.new.as_str())?.as_ref()?.job()?;
            let old = field
                .old
                .as_ref()
                .and_then(|old| variables.get(old.as_str()));
            let old = match old {
                Some(Some(text)) => Some(text.job()?),
                _ => None,
            };
            Some(Change { new, old })
        });
        changes.collect()
    }

    fn variables<'r>(&self, variables: &'r RawValue) -> Option<HashMap<&'r str, Option<Text<'r>>>> {
        let variables: HashMap<&str, Option<Text<'_>>> =
            serde_json::from_str(variables.get()).ok()?;
        let mut known = 0;
        for field in &self.fields {
            known += usize::from(variables.contains_key(field.new.as_str()));
            let old = field.old.as_ref();
            known += usize::from(old.is_some_and(|old| variables.contains_key(old.as_str())));
        }
        // Each field has its own variables, so that any other one makes the counts differ.
        (known == variables.len()).then_some(variables)
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

    const BATCH: &str = "mutation($a: AWSJSON!, $b: AWSJSON!, $c: AWSJSON) { a: publishJob(new: $a) { ...J } b: publishJob(new: $b, old: $c) { ...J } } fragment J on Job { id }";
    const TWO: &str = "mutation A($n: AWSJSON!) { publishJob(new: $n) { id } } mutation B($n: AWSJSON!, $o: AWSJSON) { p: publishJob(old: $o, new: $n) { id } }";

    #[test]
    fn only_a_document_with_nothing_but_publish_job_has_the_shortcut() {
        for (document, operation, expected) in [
            (BATCH, None, true),
            (
                "mutation($a: AWSJSON!, $b: AWSJSON!) { a: publishJob(new: $a) { ...J } publishJob(new: $b) { ...J } } fragment J on Job { id }",
                None,
                true,
            ),
            // The selections may differ.
            (
                "mutation($a: AWSJSON!, $b: AWSJSON!) { a: publishJob(new: $a) { id } b: publishJob(new: $b) { id } }",
                None,
                false,
            ),
            (
                "mutation($a: AWSJSON!, $b: AWSJSON!) { a: publishJob(new: $a) { ...J } b: publishJob(new: $b) { ...K } } fragment J on Job { id } fragment K on Job { id }",
                None,
                false,
            ),
            (
                "mutation($a: AWSJSON!, $b: AWSJSON!) { a: publishJob(new: $a) { ...J } b: publishJob(new: $b) { ...J id } } fragment J on Job { id }",
                None,
                false,
            ),
            (
                "mutation($a: AWSJSON!, $b: AWSJSON!) { a: publishJob(new: $a) { ...J } b: publishJob(new: $b) { ...J @skip(if: true) } } fragment J on Job { id }",
                None,
                false,
            ),
            (
                "mutation($a: AWSJSON!, $b: ID!) { a: publishJob(new: $a) { ...J } b: cancelJob(id: $b) { ...J } } fragment J on Job { id }",
                None,
                false,
            ),
            // They are one field.
            (
                "mutation($a: AWSJSON!) { publishJob(new: $a) { ...J } publishJob(new: $a) { ...J } } fragment J on Job { id }",
                None,
                false,
            ),
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

    fn job(version: u64) -> String {
        let job = json!({
            "id": "01a21ee7-9c16-7c3b-8488-a292049b6131", "type": "t", "owner": "o", "status": "RUNNING", "progress": 1,
            "attempt": 1, "version": version, "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-01T00:00:00.000Z", "execution": "e",
        });
        job.to_string()
    }

    /// The versions of the changes that a request publishes.
    fn read(
        document: &str,
        operation: Option<&str>,
        variables: Option<String>,
    ) -> Option<Vec<(u64, Option<u64>)>> {
        // The document is known under the name of operation B, where it has several.
        let known = document.contains("mutation B").then_some("B");
        let publishing = publishing(document, known).expect("it only publishes");
        let changes = publishing.read(&wire::Request {
            query: document.to_owned(),
            operation_name: operation.map(str::to_owned),
            variables: variables.map(|text| RawValue::from_string(text).expect("JSON")),
            extensions: None,
            authorization: None,
        })?;
        let versions = changes.iter().map(|change| {
            (
                change.new.version.0,
                change.old.as_ref().map(|old| old.version.0),
            )
        });
        Some(versions.collect())
    }

    #[test]
    fn only_variables_that_are_jobs_are_read() {
        // The values of a job without their names.
        let listed = |job: &str| {
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(job).expect("an object");
            serde_json::Value::from_iter(fields.into_values()).to_string()
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
            let found = read(TWO, Some("B"), Some(variables.to_string()));
            assert_eq!(found, expected.map(|one| vec![one]), "{variables}");
        }
        let good = json!({"n": job(2)}).to_string();
        assert_eq!(read(TWO, Some("A"), Some(good.clone())), None);
        assert_eq!(read(TWO, None, Some(good)), None);
        assert_eq!(read(TWO, Some("B"), None), None);
    }

    #[test]
    fn a_batch_is_read_whole_or_not_at_all() {
        for (variables, expected) in [
            (
                json!({"a": job(2), "b": job(3), "c": job(1)}),
                Some(vec![(2, None), (3, Some(1))]),
            ),
            (
                json!({"b": job(3), "a": job(2)}),
                Some(vec![(2, None), (3, None)]),
            ),
            (json!({"a": job(2)}), None),
            (json!({"a": job(2), "b": "{}"}), None),
            (json!({"a": job(2), "b": job(3), "c": "{"}), None),
            (json!({"a": job(2), "b": job(3), "d": null}), None),
        ] {
            let found = read(BATCH, None, Some(variables.to_string()));
            assert_eq!(found, expected, "{variables}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn the_response_equals_that_of_the_library(set in selections("Job", 3), job in jobs(), count in 0..4_usize) {
            let set = set.replace("$yes", "true").replace("$no", "false");
            let fields = match count {
                0 => format!("publishJob(new: $new0) {{ {set} }}"),
                1 => format!("one: publishJob(new: $new0) {{ {set} }}"),
                _ => (0..count).map(|at| format!("r{at}: publishJob(new: $new{at}) {{ ...All }} ")).collect(),
            };
            let count = count.max(1);
            let definitions: String = (0..count).map(|at| format!("$new{at}: AWSJSON! ")).collect();
            let document = format!("mutation({definitions}) {{ {fields} }} fragment All on Job {{ {set} }} {FRAGMENTS}");
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
            let variables: Variables = (0..count)
                .map(|at| (Name::new(format!("new{at}")), new.clone()))
                .collect();
            let operation = parsed.operation(None).expect("the only one");
            let mut plan = Plan::of(&parsed, operation, &variables, &TYPES).expect("no condition is null");
            let mut request = Request::new("").data(Caller::dev());
            request.set_parsed_query(plan.take_document());
            let executed = schema.execute(request).now_or_never().expect("nobody watches");
            prop_assert!(executed.errors.is_empty(), "{document}: {:?}", executed.errors);
            let executed = data::executed(&plan, &executed);
            if let Some(publishing) = publishing(&document, None) {
                let job: Job = serde_json::from_str(&text).expect("it was read before");
                let jobs = std::iter::repeat_n(&job, count);
                prop_assert_eq!(&publishing.response.body(jobs)[..], &executed[..], "{}", document);
            }
        }
    }
}
