//! Memory of a waiting execution.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use workflow::NoListener;
use workflow::task::{Responder, TaskKey, TaskRequest, TaskRunner};

use super::child::Child;
use super::engine::open;
use crate::args::{BenchArgs, Role};
use crate::error::Result;
use crate::report::Section;
use crate::usage::resident;

const GOAL: f64 = 1_000.0;
/// Number of concurrent starts.
const STARTS: usize = 512;
/// Time allowed for each ten thousand executions.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 executions")]
pub(crate) async fn run(args: &BenchArgs, section: &mut Section) -> Result<()> {
    let place = args.place("waiting")?;
    let count = args.waiting;
    let mut child = Child::start(Role::Wait, place.path().to_path_buf(), count)?;
    child.says("open", PATIENCE).await?;
    let before = resident(child.id());
    let patience = PATIENCE * u32::try_from(count.div_ceil(10_000))?;
    child.says("waiting", patience).await?;
    let grown = resident(child.id()) - before;
    child.kill().await?;
    section.at_most(
        format!("memory of a waiting execution, of {count}"),
        grown * 1_000_000.0 / count as f64,
        "bytes",
        GOAL,
    );
    Ok(())
}

pub(crate) async fn child(place: &Path, count: usize) -> Result<()> {
    let definition = json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 86_400, "End": true}}});
    let engine = open(
        place,
        "bench",
        &definition.to_string(),
        Arc::new(Silent),
        Arc::new(NoListener),
    )
    .await?;
    println!("open");
    start_all(&engine, count).await?;
    println!("waiting");
    std::future::pending().await
}

/// Starts executions `0`, `1`, …
pub(crate) async fn start_all(engine: &workflow::Engine, count: usize) -> Result<()> {
    let input: Arc<str> = r#"{"n": 0}"#.into();
    let starts = (0..count).map(|number| {
        let input = input.clone();
        async move { engine.start("bench", &number.to_string(), input).await }
    });
    let mut starts = std::pin::pin!(stream::iter(starts).buffer_unordered(STARTS));
    while let Some(started) = starts.next().await {
        started?;
    }
    Ok(())
}

/// Runs no task.
#[derive(Debug)]
struct Silent;

impl TaskRunner for Silent {
    fn run(&self, _: TaskRequest, _: Responder) {}

    fn cancel(&self, _: TaskKey) {}
}
