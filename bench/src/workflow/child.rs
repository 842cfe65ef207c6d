//! This program as a child process: for memory, which is measured in a process without other work,
//! and for crashes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child as Process, ChildStdout, Command};

use crate::args::Role;
use crate::error::Result;

/// The parent's handle to a child.
pub(crate) struct Child {
    process: Process,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    pub(crate) fn start(role: Role, place: PathBuf, count: usize) -> Result<Child> {
        let role = role.to_possible_value().ok_or("a role has a name")?;
        let mut process = Command::new(std::env::current_exe()?)
            .args([
                "--role",
                role.get_name(),
                "--count",
                &count.to_string(),
                "--data",
            ])
            .arg(place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("the child has no output")?;
        Ok(Child {
            process,
            lines: BufReader::new(output).lines(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap_or(0)
    }

    /// Waits until the child prints this word.
    pub(crate) async fn says(&mut self, word: &str, within: Duration) -> Result<()> {
        tokio::time::timeout(within, async {
            while let Some(line) = self.lines.next_line().await? {
                if line == word {
                    return Ok(());
                }
            }
            Err(format!("the child ended before it said `{word}`").into())
        })
        .await
        .map_err(|_| format!("the child did not say `{word}` within {within:?}"))?
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.process.kill().await?;
        Ok(())
    }
}
