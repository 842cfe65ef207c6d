//! Written payloads equal those of the library.

use std::sync::{Arc, LazyLock};

use async_graphql::Name;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use async_graphql_value::ConstValue;
use futures_util::FutureExt;
use job::{Job, JobError, JobId, NewJob, Status, Step, StepKind, StepStatus, Time, Version};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use resolvers::Caller;

use super::payload::Payload;
use crate::graphql::request::plan::Plan;
use crate::graphql::response::payload::ExecutedPayload;
use crate::graphql::schema::sdl::sdl;
use crate::graphql::schema::types::TYPES;
use crate::graphql::schema::{JobSchema, builder};
use crate::graphql::syntax::parse;
use crate::realtime::hub::{Event, JobChange, ListEventKind, Render};

const GIVEN: &str = r#"{"yes":true,"no":false}"#;

static SCHEMA: LazyLock<JobSchema> = LazyLock::new(|| builder().finish());

/// Fields that need more than the event.
const EXECUTED: [&str; 3] = ["history", "input", "result"];

/// The plan of a document, which is not always valid.
pub(super) fn planned(document: &str, operation: Option<&str>) -> Option<Plan> {
    let document = parse(document).expect("a document");
    let given: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(GIVEN).expect("variables");
    let value = |value: serde_json::Value| ConstValue::from_json(value).expect("a value");
    let given = given.into_iter();
    let variables = given
        .map(|(name, json)| (Name::new(name), value(json)))
        .collect();
    let operation = document.operation(operation)?;
    Plan::of(&document, operation, &variables, &TYPES).ok()
}

fn projection(document: &str) -> Option<Payload> {
    Payload::of(&planned(document, None)?)
}

fn rendered(by: &dyn Render, event: &Event) -> String {
    let bytes = by.render(event.clone()).now_or_never();
    let bytes = bytes.expect("nothing is waited for").to_vec();
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn executed(document: &str, event: &Event) -> String {
    let mut plan = planned(document, None).expect("it is projected");
    let renderer = ExecutedPayload {
        schema: SCHEMA.clone(),
        document: plan.take_document(),
        plan,
        caller: Caller::dev(),
        held: None,
    };
    rendered(&renderer, event)
}

/// Selections of a type: its leaves and its objects, and the ways of writing them.
pub(super) fn selections(of: &'static str, depth: u32) -> BoxedStrategy<String> {
    let leaves: &[&str] = match of {
        "Job" => &[
            "id",
            "type",
            "owner",
            "status",
            "progress",
            "message",
            "tags",
            "attempt",
            "version",
            "createdAt",
            "startedAt",
            "updatedAt",
            "finishedAt",
            "expiresAt",
            "execution",
        ],
        "JobChange" => &["kind"],
        "Step" => &[
            "name",
            "index",
            "type",
            "status",
            "progress",
            "attempt",
            "itemsDone",
            "itemsTotal",
            "startedAt",
            "finishedAt",
        ],
        _ => &["name", "message", "step"],
    };
    let leaf = select(leaves).prop_map(str::to_owned);
    let leaf = prop_oneof![8 => leaf, 1 => Just("__typename".to_owned())].boxed();
    // The alias includes the field's name, because two fields of one key are not valid.
    let leaf = (leaf, any::<bool>()).prop_map(|(leaf, alias)| match alias {
        true => format!("of_{leaf}: {leaf}"),
        false => leaf,
    });
    let mut one = vec![(8, leaf.boxed())];
    if depth > 0 {
        let below: &[(&str, &str)] = match of {
            "Job" => &[("error", "JobError"), ("steps", "Step")],
            "JobChange" => &[("job", "Job")],
            "Step" => &[("error", "JobError")],
            _ => &[],
        };
        for (name, of) in below {
            let set = selections(of, depth - 1);
            one.push((
                1,
                set.prop_map(move |set| format!("{name} {{ {set} }}"))
                    .boxed(),
            ));
        }
        let set = selections(of, depth - 1);
        one.push((
            1,
            set.prop_map(move |set| format!("... on {of} {{ {set} }}"))
                .boxed(),
        ));
        let set = selections(of, depth - 1);
        one.push((1, set.prop_map(|set| format!("... {{ {set} }}")).boxed()));
        one.push((1, Just(format!("...All{of}")).boxed()));
    }
    let directive = prop_oneof![
        12 => Just(""),
        1 => select(&[
            " @skip(if: true)", " @skip(if: $no)", " @include(if: $yes)", " @include(if: $no)",
            " @include(if: true) @skip(if: $yes)",
        ][..]),
    ];
    let one = (Union::new_weighted(one), directive);
    let one = one.prop_map(|(one, directive)| match one.split_once('{') {
        Some((before, set)) => format!("{before}{directive} {{{set}"),
        None => format!("{one}{directive}"),
    });
    let some = proptest::collection::vec(one, 1..5);
    some.prop_map(|all| all.join(" ")).boxed()
}

/// The fragments that [`selections`] spread.
pub(super) const FRAGMENTS: &str = "fragment AllJob on Job { id status message error { ...AllJobError } } \
    fragment AllStep on Step { name status startedAt } \
    fragment AllJobError on JobError { name message step } \
    fragment AllJobChange on JobChange { kind job { version } }";

fn documents() -> impl Strategy<Value = String> {
    let root = prop_oneof![
        selections("Job", 3).prop_map(|set| format!("onJob(id: 1) {{ {set} }}")),
        selections("Job", 3).prop_map(|set| format!("one: onJob(id: 1) {{ {set} }}")),
        selections("JobChange", 4).prop_map(|set| format!("onJobs {{ {set} }}")),
    ];
    root.prop_map(|root| {
        format!("subscription ($yes: Boolean!, $no: Boolean!) {{ {root} }} {FRAGMENTS}")
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        "\\PC{0,12}",
        Just("\" \\ / \u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}\u{2028} €𝄞".to_owned()),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    any::<i64>().prop_map(Time::from_millis)
}

fn errors() -> impl Strategy<Value = Option<JobError>> {
    let error = (text(), text(), proptest::option::of(text()));
    let error = error.prop_map(|(name, message, step)| JobError {
        name,
        message,
        step,
    });
    proptest::option::of(error)
}

fn steps() -> impl Strategy<Value = Step> {
    let kind = select(
        &[
            StepKind::Task,
            StepKind::Map,
            StepKind::Parallel,
            StepKind::Wait,
        ][..],
    );
    let status = select(
        &[
            StepStatus::Pending,
            StepStatus::Running,
            StepStatus::Waiting,
            StepStatus::Succeeded,
            StepStatus::Failed,
            StepStatus::Cancelled,
            StepStatus::TimedOut,
            StepStatus::Skipped,
        ][..],
    );
    let counts = (any::<u8>(), any::<[u32; 2]>(), any::<[Option<u32>; 2]>());
    let times = [(); 2].map(|()| proptest::option::of(time()));
    (text(), kind, status, counts, times, errors()).prop_map(
        |(name, kind, status, (progress, counts, items), times, error)| Step {
            name,
            index: counts[0],
            kind,
            status,
            progress,
            attempt: counts[1],
            items_done: items[0],
            items_total: items[1],
            started_at: times[0],
            finished_at: times[1],
            error,
        },
    )
}

pub(super) fn jobs() -> impl Strategy<Value = Job> {
    let status = select(&Status::ALL[..]);
    let counts = (any::<u8>(), any::<u32>(), any::<u64>());
    let lists = (
        proptest::collection::vec(steps(), 0..4),
        proptest::collection::vec(text(), 0..3),
    );
    let times = [(); 3].map(|()| proptest::option::of(time()));
    let texts = (text(), text(), text(), proptest::option::of(text()));
    (
        status,
        counts,
        lists,
        [time(), time()],
        times,
        texts,
        errors(),
    )
        .prop_map(
            |(status, (progress, attempt, version), (steps, tags), always, times, texts, error)| {
                let (job_type, owner, execution, message) = texts;
                let new = NewJob {
                    id: JobId::new(Time::from_millis(1_764_000_000_000), 7),
                    job_type: "t".to_owned(),
                    owner: "o".to_owned(),
                    tags: Vec::new(),
                    steps: Vec::new(),
                };
                let job = new.into_job().expect("within the limits");
                Job {
                    job_type,
                    owner,
                    status,
                    progress,
                    message,
                    error,
                    steps,
                    tags,
                    attempt,
                    execution,
                    version: Version(version),
                    created_at: always[0],
                    updated_at: always[1],
                    started_at: times[0],
                    finished_at: times[1],
                    expires_at: times[2],
                    ..job
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_written_payload_equals_that_of_the_library(
        document in documents(),
        kind in select(&[ListEventKind::Enter, ListEventKind::Change, ListEventKind::Leave, ListEventKind::Snapshot, ListEventKind::Resync][..]),
        job in jobs(),
        with_job in any::<bool>(),
    ) {
        if let Some(projection) = projection(&document) {
            let job = Arc::new(job);
            let event = match document.contains("onJobs") {
                true => Event::Jobs(JobChange { kind, job: with_job.then_some(job) }),
                false => Event::Job(job),
            };
            let expected = executed(&document, &event);
            prop_assert_eq!(rendered(&projection, &event), expected, "{}", document);
        }
    }

    #[test]
    fn an_event_of_the_other_field_is_written_as_null(job in jobs()) {
        let event = Event::Job(Arc::new(job));
        let projection = projection("subscription { onJobs { kind } }").expect("all is in the event");
        prop_assert_eq!(rendered(&projection, &event), r#"{"data":{"onJobs":null}}"#);
    }
}

/// The fields of an object type of the schema, each with a selection of its fields.
fn fields(of: &str) -> Vec<(String, &'static str)> {
    let schema = parse_schema(sdl()).expect("the schema is GraphQL");
    let found = schema
        .definitions
        .into_iter()
        .find_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) if ty.node.name.node == of => Some(ty.node.kind),
            _ => None,
        });
    let Some(TypeKind::Object(object)) = found else {
        panic!("the schema has no object {of}");
    };
    let below = |ty: String| match ty.trim_matches(['[', ']', '!']) {
        "Job" => " { id }",
        "Step" | "JobError" => " { name }",
        "JobHistory" => " { next }",
        _ => "",
    };
    let fields = object.fields.into_iter().map(|field| field.node);
    fields
        .map(|field| {
            (
                field.name.node.to_string(),
                below(field.ty.node.to_string()),
            )
        })
        .collect()
}

#[test]
fn every_field_of_an_event_is_written_and_others_are_executed() {
    let written = |document: String| projection(&document).is_some();
    for (name, below) in fields("Job") {
        let document = format!("subscription {{ onJob(id: 1) {{ {name}{below} }} }}");
        assert_eq!(
            written(document),
            !EXECUTED.contains(&name.as_str()),
            "Job.{name}"
        );
    }
    for (name, below) in fields("JobChange") {
        let document = format!("subscription {{ onJobs {{ {name}{below} }} }}");
        assert!(written(document), "JobChange.{name}");
    }
    for (name, below) in fields("Step") {
        let document = format!("subscription {{ onJob(id: 1) {{ steps {{ {name}{below} }} }} }}");
        assert!(written(document), "Step.{name}");
    }
    for (name, _) in fields("JobError") {
        let document = format!("subscription {{ onJob(id: 1) {{ error {{ {name} }} }} }}");
        assert!(written(document), "JobError.{name}");
    }
}

#[test]
fn a_selection_that_needs_more_than_the_event_is_executed() {
    for document in [
        "subscription { onJobs { job { input } } }",
        "subscription { onJob(id: 1) { id history { next } } }",
        "subscription { __typename }",
        "subscription { onJob(id: 1) { id } onJobs { kind } }",
    ] {
        assert!(projection(document).is_none(), "{document}");
    }
    let one = "subscription A { onJob(id: 1) { id } } subscription B { onJobs { kind } }";
    let of = |name| planned(one, name).is_some_and(|plan| Payload::of(&plan).is_some());
    assert_eq!(
        [of(Some("A")), of(Some("B")), of(Some("C")), of(None)],
        [true, true, false, false]
    );
}
