//! `list`: the first page of `listJobs` over HTTP with a million jobs in the store, for every
//! filter of the schema.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use job::{Change, Job, JobError, JobId, NewJob, Status, Step, StepKind, Time, Update};
use resolvers::jobs::now;
use resolvers::store::sqlite::SqliteStore;
use resolvers::store::{CreateJob, JobStore};
use serde_json::json;
use sqlite::{Database, Location};

use crate::args::BenchArgs;
use crate::error::Result;
use crate::http::Client;
use crate::report::{Section, Times};
use crate::threads::Threads;

const GOAL: f64 = 5.0;
/// Number of concurrent writers that fill the store.
const WRITERS: usize = 256;
/// Period before now in which the jobs were submitted.
const SPREAD_MILLIS: i64 = 30 * 24 * 3_600 * 1_000;

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("list")?;
    let count = args.jobs;
    let mut section = Section::new(
        "list",
        format!(
            "listJobs over HTTP, limit 20, {count} jobs, {} requests for each filter",
            args.requests
        ),
    );
    let setting = args.setting(&place)?;
    std::fs::create_dir_all(setting.data())?;
    let first = now().plus_millis(-SPREAD_MILLIS);
    let begun = Instant::now();
    let store = SqliteStore::open(Database::open(&Location::File(
        setting.data().join("jobcast.db"),
    ))?)?;
    fill(Arc::new(store), count, first).await?;
    section.plain("filling the store", begun.elapsed().as_secs_f64(), "s");
    let server = setting.start().await?;
    let client = Client::new(&server.address, 1);
    let (mut all, mut slowest) = (Times::default(), Vec::new());
    for filter in filters(first, count) {
        let query = format!(
            "{{ listJobs(limit: 20, filter: {filter}) {{ items {{ id type owner status progress createdAt tags }} nextToken }} }}"
        );
        let mut times = Times::default();
        for _ in 0..args.requests {
            let begun = Instant::now();
            let answer = client.graphql(&query, &json!({})).await?;
            times.add(begun.elapsed());
            if answer.contains("\"errors\"") {
                return Err(format!("{filter}: {answer}").into());
            }
        }
        slowest.push((times.millis(0.99), times.millis(0.5), filter));
        all.extend(times);
    }
    let filters = slowest.len();
    section.at_most(
        format!("{filters} filters, all requests, p99"),
        all.millis(0.99),
        "ms",
        GOAL,
    );
    section.plain(
        format!("{filters} filters, all requests, p50"),
        all.millis(0.5),
        "ms",
    );
    slowest.sort_by(|one, other| other.0.total_cmp(&one.0));
    let over = slowest.iter().filter(|one| one.0 > GOAL).count();
    let over = u32::try_from(over)?;
    section.at_most(
        "filters whose own p99 is over the goal",
        f64::from(over),
        "",
        0.0,
    );
    for (p99, _, filter) in slowest.iter().take(3) {
        section.plain(format!("p99 of {filter}"), *p99, "ms");
    }
    slowest.sort_by(|one, other| other.1.total_cmp(&one.1));
    for (_, p50, filter) in slowest.iter().take(3) {
        section.plain(format!("p50 of {filter}"), *p50, "ms");
    }
    server.stop().await?;
    Ok(section)
}

/// Job number `n` of the store.
fn new_job(n: usize, count: usize, first: Time) -> Result<Job> {
    let share = i64::try_from(n)? * SPREAD_MILLIS / i64::try_from(count)?;
    let created_at = first.plus_millis(share);
    let new = NewJob {
        id: JobId::new(created_at, rand::random()),
        job_type: format!("type-{}", n % 20),
        owner: format!("owner-{}", n % 997),
        tags: vec![format!("team-{}", n % 50), format!("order-{n}")],
        steps: vec![Step::pending("Work", 0, StepKind::Task)],
    };
    Ok(new.into_job()?)
}

/// The end of job number `n`: of a thousand, 940 succeed, 40 fail, 15 are cancelled, and 5 stay
/// open.
fn ending(n: usize) -> Vec<Update> {
    let error = |name| JobError::new(name, "as in every thousandth job of a benchmark");
    match n % 1_000 {
        0..940 => vec![Update::Start, Update::Succeed],
        940..980 => vec![Update::Start, Update::Fail(error("Broken"))],
        980..995 => vec![Update::Cancel(error("Cancelled"))],
        995..998 => vec![Update::Start],
        _ => vec![],
    }
}

async fn fill(store: Arc<dyn JobStore>, count: usize, first: Time) -> Result<()> {
    let threads = Threads::new()?;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        let writing = async move {
            for n in (writer..count).step_by(WRITERS) {
                let create = CreateJob {
                    job: new_job(n, count, first)?,
                    input: "{}".into(),
                    request: None,
                };
                let job = store.create(create).await?;
                let updates = ending(n);
                if !updates.is_empty() {
                    let at = job.job().created_at.plus_millis(1_500);
                    let change = Change {
                        updates,
                        ..Change::default()
                    };
                    store.apply(job.job().id, change, at).await?;
                }
            }
            Ok::<_, crate::error::Error>(())
        };
        writers.push(threads.spawn(writing));
    }
    for written in writers {
        written.await??;
    }
    Ok(())
}

/// Every operator of every field of `JobFilter`, with values that many, few and no jobs have, and
/// some usual combinations.
fn filters(first: Time, count: usize) -> Vec<String> {
    let middle = first.plus_millis(SPREAD_MILLIS / 2);
    let late = first.plus_millis(SPREAD_MILLIS - 60_000);
    let time = |time: Time| format!("\"{time}\"");
    let id = |at: Time| format!("\"{}\"", JobId::least_at(at));
    let text = |value: &str| format!("\"{value}\"");
    let mut all = vec!["{}".to_owned()];
    let mut add = |field: &str, operator: &str, value: &str| {
        all.push(format!("{{{field}: {{{operator}: {value}}}}}"));
    };
    let compared = |add: &mut dyn FnMut(&str, &str, &str), field: &str, low: &str, high: &str| {
        for value in [low, high] {
            for operator in ["eq", "ne", "lt", "le", "gt", "ge"] {
                add(field, operator, value);
            }
        }
        for operator in ["in", "notIn", "between"] {
            add(field, operator, &format!("[{low}, {high}]"));
        }
    };
    compared(&mut add, "id", &id(middle), &id(late));
    for field in ["createdAt", "updatedAt", "finishedAt"] {
        compared(&mut add, field, &time(middle), &time(late));
    }
    for operator in ["eq", "ne"] {
        add("finishedAt", operator, "null");
    }
    compared(&mut add, "progress", "0", "100");
    compared(&mut add, "attempt", "1", "2");
    for (field, common, none) in [
        ("owner", "owner-5", "owner-none"),
        ("type", "type-5", "type-none"),
    ] {
        compared(&mut add, field, &text(common), &text(none));
        for operator in ["contains", "notContains", "beginsWith"] {
            add(field, operator, &text(common));
            add(field, operator, &text(none));
        }
        add(
            field,
            "containsAny",
            &format!("[{}, {}]", text(common), text(none)),
        );
    }
    for status in Status::ALL {
        add("status", "eq", status.as_str());
        add("status", "ne", status.as_str());
    }
    add("status", "in", "[QUEUED, RUNNING, WAITING]");
    add("status", "in", "[FAILED, TIMED_OUT]");
    add("status", "notIn", "[SUCCEEDED]");
    for value in ["team-5", &format!("order-{}", count / 2), "no-such-tag"] {
        for operator in ["eq", "ne", "contains", "notContains", "beginsWith"] {
            add("tags", operator, &text(value));
        }
        add(
            "tags",
            "containsAny",
            &format!("[{}, \"team-6\"]", text(value)),
        );
    }
    add("tags", "eq", "null");
    add("tags", "ne", "null");
    all.extend(
        [
            "{owner: {eq: \"owner-5\"}, status: {eq: FAILED}}",
            "{owner: {eq: \"owner-5\"}, type: {eq: \"type-6\"}}",
            "{type: {eq: \"type-5\"}, status: {in: [QUEUED, RUNNING]}}",
            "{tags: {contains: \"team-5\"}, status: {eq: CANCELLED}}",
            "{status: {eq: SUCCEEDED}, progress: {lt: 100}}",
        ]
        .map(str::to_owned),
    );
    let mut wide = String::from("{owner: {in: [");
    for n in 0..job::limits::FILTER_VALUES {
        let _ = write!(wide, "\"owner-{n}\", ");
    }
    wide.push_str("]}, status: {eq: FAILED}}");
    all.push(wide);
    all
}
