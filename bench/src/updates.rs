//! `updates`: durable changes of jobs per second. Each writer reports progress on its own job
//! through the port, and continues when the commit is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use job::change::Report;
use job::{Change, Job, JobId, NewJob, Step, StepKind, Time, Update};
use resolvers::jobs::now;
use resolvers::store::sqlite::SqliteStore;
use resolvers::store::{CreateJob, JobStore};
use sqlite::{Database, Location};

use crate::args::BenchArgs;
use crate::disk;
use crate::error::Result;
use crate::report::{Section, Times};
use crate::threads::Threads;
use crate::usage::{Cpu, processors};

const GOAL: f64 = 30_000.0;

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("updates")?;
    let mut section = Section::new(
        "updates",
        format!(
            "{} writers, each reports on its own job through the job store's port and waits for the commit",
            args.writers
        ),
    );
    let store = SqliteStore::open(Database::open(&Location::File(
        place.path().join("jobcast.db"),
    ))?)?;
    let store: Arc<dyn JobStore> = Arc::new(store);
    let (length, warm_up) = (args.phase(), args.warm_up());
    let (count, times, cpu) = {
        let store = Arc::clone(&store);
        let writers = args.writers;
        // The port's callers are tasks on a server's threads, not on this thread.
        let threads = Threads::new()?;
        let measured = threads.spawn(async move { load(store, writers, warm_up, length).await });
        measured.await??
    };
    let rate = count / length.as_secs_f64();
    section.at_least("updates", rate, "updates/s", GOAL);
    let mut times = times;
    section.latency("until an update is on disk", &mut times, None);
    section.plain("CPU for an update", cpu.client * 1_000_000.0 / count, "µs");
    section.plain(
        "updates if all processors did nothing else",
        processors() * count / cpu.client,
        "updates/s",
    );
    section.plain(
        "other programs meanwhile",
        cpu.others() / length.as_secs_f64(),
        "cores",
    );
    drop(store);
    let group = i64::try_from(args.writers)?;
    let alone = disk::group_commit(place.path(), group)?;
    section.plain(
        format!("SQLite alone, {group} rows of 600 bytes in a commit"),
        alone,
        "rows/s",
    );
    disk::sync(place.path(), Duration::ZERO, &mut section)?;
    Ok(section)
}

/// The number of updates after the warm-up, their duration, and the CPU time of all.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 updates")]
async fn load(
    store: Arc<dyn JobStore>,
    writers: usize,
    warm_up: Duration,
    length: Duration,
) -> Result<(f64, Times, Cpu)> {
    let begin = Instant::now() + warm_up;
    let end = begin + length;
    let counted = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (store, counted) = (Arc::clone(&store), Arc::clone(&counted));
        tasks.spawn(async move {
            let job = open_job(&*store, "bench").await?;
            let (mut times, mut count) = (Times::default(), 0u32);
            while Instant::now() < end {
                count += 1;
                let change = Change::of(Update::Report(Report {
                    message: Some(format!("item {count}")),
                    ..Report::default()
                }));
                let begun = Instant::now();
                store.apply(job.id, change, now()).await?;
                let ended = Instant::now();
                if ended >= begin && ended <= end {
                    times.add(ended - begun);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok::<_, crate::error::Error>(times)
        });
    }
    tokio::time::sleep_until(begin.into()).await;
    let before = Cpu::now(None);
    tokio::time::sleep_until(end.into()).await;
    let cpu = Cpu::now(None).since(before);
    let mut times = Times::default();
    while let Some(one) = tasks.join_next().await {
        times.extend(one??);
    }
    Ok((counted.load(Ordering::Relaxed).max(1) as f64, times, cpu))
}

/// A running job with one step.
pub(crate) async fn open_job(store: &dyn JobStore, owner: &str) -> Result<Arc<Job>> {
    let created_at: Time = now();
    let new = NewJob {
        id: JobId::new(created_at, rand::random()),
        job_type: "bench".to_owned(),
        owner: owner.to_owned(),
        tags: Vec::new(),
        steps: vec![Step::pending("Work", 0, StepKind::Task)],
    };
    let create = CreateJob {
        job: new.into_job()?,
        input: "{}".into(),
        request: None,
    };
    let id = store.create(create).await?.job().id;
    let started = store.apply(id, Change::of(Update::Start), now()).await?;
    Ok(Arc::clone(started.job()))
}
