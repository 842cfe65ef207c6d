//! A crash with many open executions, each in the middle of a task: time until every task runs
//! again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};
use workflow::{Engine, NoListener};

use super::child::Child;
use super::engine::open;
use super::waiting::start_all;
use crate::args::{BenchArgs, Role};
use crate::error::Result;
use crate::report::Section;

const GOAL: f64 = 1_000.0;
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn run(args: &BenchArgs, section: &mut Section) -> Result<()> {
    let place = args.place("recovery")?;
    let count = args.open;
    let mut child = Child::start(Role::Begin, place.path().to_path_buf(), count)?;
    child.says("running", PATIENCE).await?;
    child.kill().await?;
    let begun = Instant::now();
    let mut child = Child::start(Role::GoOn, place.path().to_path_buf(), count)?;
    child.says("running", PATIENCE).await?;
    let taken = begun.elapsed();
    child.kill().await?;
    section.at_most(
        format!("after kill -9 until the tasks of {count} open executions run again, start of the process included"),
        taken.as_secs_f64() * 1_000.0,
        "ms",
        GOAL,
    );
    Ok(())
}

/// Starts the executions. Each passes one state and stays in its task.
pub(crate) async fn begin(place: &Path, count: usize) -> Result<()> {
    let tasks = Arc::new(Begun::default());
    let engine = engine(place, &tasks).await?;
    start_all(&engine, count).await?;
    tasks.until(count).await;
    println!("running");
    std::future::pending().await
}

/// Opens them after the crash.
pub(crate) async fn go_on(place: &Path, count: usize) -> Result<()> {
    let tasks = Arc::new(Begun::default());
    let _engine = engine(place, &tasks).await?;
    tasks.until(count).await;
    println!("running");
    std::future::pending().await
}

async fn engine(place: &Path, tasks: &Arc<Begun>) -> Result<Engine> {
    let definition = json!({"StartAt": "Pass", "States": {
        "Pass": {"Type": "Pass", "Next": "Task"},
        "Task": {"Type": "Task", "Resource": "never", "End": true},
    }});
    open(
        place,
        "bench",
        &definition.to_string(),
        tasks.clone(),
        Arc::new(NoListener),
    )
    .await
}

/// Counts the tasks that have begun, and answers none.
#[derive(Debug, Default)]
struct Begun {
    count: AtomicUsize,
    more: Notify,
}

impl Begun {
    async fn until(&self, count: usize) {
        loop {
            let more = self.more.notified();
            if self.count.load(Ordering::Acquire) >= count {
                return;
            }
            more.await;
        }
    }
}

impl TaskRunner for Begun {
    fn run(&self, _: TaskRequest, _: Responder) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.more.notify_one();
    }

    fn cancel(&self, _: TaskKey) {}
}
