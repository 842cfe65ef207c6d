//! `memory`: the server's memory when it is idle, and with 10,000 waiting jobs.

use std::time::Duration;

use crate::args::BenchArgs;
use crate::error::Result;
use crate::report::Section;
use crate::server::WAIT;
use crate::start::{leave, submit};
use crate::usage::resident;

/// Delay before memory is measured.
const SETTLE: Duration = Duration::from_secs(3);
const GOAL_IDLE: f64 = 30.0;
const GOAL_OPEN: f64 = 120.0;

pub(crate) async fn run(args: &BenchArgs) -> Result<Section> {
    let place = args.place("memory")?;
    let mut section = Section::new("memory", "resident memory of the server process");
    // A newcomer's server has the samples; their functions are separate processes.
    let setting = args.setting(&place)?.machine("wait", WAIT)?.samples();
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
        format!("{} open jobs, started again", args.open),
        again,
        "MB",
    );
    server.stop().await?;
    Ok(section)
}
