//! `memory`: the server's memory when it is idle, and with 10,000 waiting jobs.

use std::time::Duration;

use super::report::Section;
use super::server::{Setting, WAIT};
use super::start::{leave, submit};
use super::usage::resident;
use super::{BenchArgs, Result};

/// Delay before memory is measured.
const SETTLE: Duration = Duration::from_secs(3);
const GOAL_IDLE: f64 = 30.0;
const GOAL_OPEN: f64 = 120.0;

pub(super) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("memory")?;
    let mut section = Section::new("memory", "resident memory of the server process");
    // A newcomer's server has the samples; their functions are separate processes.
    let setting = Setting::new(place.path())?.machine("wait", WAIT)?.samples();
    let server = setting.start().await?;
    tokio::time::sleep(SETTLE).await;
    section.at_most("idle", resident(server.id), "MB", GOAL_IDLE);
    submit(&server.address, "wait", args.open).await?;
    leave(&server.address, args.open, &["QUEUED", "RUNNING"]).await?;
    tokio::time::sleep(SETTLE).await;
    let open = resident(server.id);
    section.at_most(format!("{} open jobs", args.open), open, "MB", GOAL_OPEN);
    server.stop().await?;
    let server = setting.start().await?;
    tokio::time::sleep(SETTLE).await;
    let again = resident(server.id);
    section.plain(
        format!("{} open jobs, started anew", args.open),
        again,
        "MB",
    );
    server.stop().await?;
    Ok(section)
}
