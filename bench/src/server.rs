//! The server as a child process, on its own ports.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::error::Result;

/// A job that ends at once.
pub(crate) const PASS: &str =
    r#"{"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}}"#;
/// A job that stays open.
pub(crate) const WAIT: &str =
    r#"{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 86400, "End": true}}}"#;
/// Time allowed for a server to report that it listens.
const READY: Duration = Duration::from_secs(60);
/// Time allowed for a server to stop.
const STOP: Duration = Duration::from_secs(30);

/// The server's program in the directory of the program `own`.
///
/// # Errors
///
/// Says how to build the server if it is missing.
pub(crate) fn program_beside(own: &Path) -> Result<PathBuf> {
    let program = own.with_file_name("jobcast");
    if program.is_file() {
        return Ok(program);
    }
    let folder = own.parent().and_then(Path::file_name).unwrap_or_default();
    let folder = folder.to_string_lossy();
    let profile = if folder == "debug" { "dev" } else { &*folder };
    Err(format!(
        "the server {} is missing: build it with `cargo build --profile {profile} --bin jobcast`, or choose another with --server",
        program.display()
    )
    .into())
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) id: u32,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// Time from the start of the process until it reports that it listens.
    pub(crate) ready_after: Duration,
}

/// The configuration of a server.
#[derive(Debug)]
pub(crate) struct Setting {
    program: PathBuf,
    directory: PathBuf,
    configuration: String,
}

impl Setting {
    /// A server of the program `program` with its own directory below `place`, without the samples
    /// and without a limit of submits.
    pub(crate) fn new(program: PathBuf, place: &Path) -> Result<Setting> {
        let machines = place.join("state-machines");
        std::fs::create_dir_all(&machines)?;
        Ok(Setting {
            program,
            directory: place.to_path_buf(),
            configuration: format!(
                "samples = false\n[limits]\nsubmits_per_second = {}\n",
                u32::MAX
            ),
        })
    }

    /// Adds the sample job types and their functions.
    pub(crate) fn samples(mut self) -> Setting {
        self.configuration = self.configuration.replace("samples = false\n", "");
        self
    }

    pub(crate) fn machine(self, name: &str, definition: &str) -> Result<Setting> {
        let file = format!("state-machines/{name}.asl.json");
        std::fs::write(self.directory.join(file), definition)?;
        Ok(self)
    }

    /// Adds a function that the server's program serves under the name `serves`.
    pub(crate) fn function(
        mut self,
        name: &str,
        serves: &str,
        processes: usize,
    ) -> Result<Setting> {
        let program = serde_json::Value::from(self.program.display().to_string());
        self.configuration.push_str(&format!(
            "[functions.{name}]\ncommand = [{program}, \"function\", \"{serves}\"]\nconcurrency = {processes}\n"
        ));
        Ok(self)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts it and waits until it listens. It logs to `server.log` in its directory.
    pub(crate) async fn start(&self) -> Result<Server> {
        let file = self.directory.join("jobcast.toml");
        std::fs::write(&file, &self.configuration)?;
        let log_path = self.directory.join("server.log");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)?;
        let begun = Instant::now();
        let mut child = Command::new(&self.program)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let program = self.program.display();
                format!(
                    "the server {program} could not be run: {error}; choose another with --server"
                )
            })?;
        let id = child.id().ok_or("the server ended at once")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let address = tokio::time::timeout(READY, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("listening on http://") {
                    return Ok(address.to_owned());
                }
            }
            Err(std::io::Error::other("it ended"))
        });
        let address = address.await.map_err(std::io::Error::other).flatten();
        let ready_after = begun.elapsed();
        let address = address.map_err(|error| {
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            format!("the server did not start: {error}\n{log}")
        })?;
        // Reads the rest of its output, so that the server is not blocked.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Server {
            child,
            id,
            address,
            ready_after,
        })
    }
}

impl Server {
    /// Kills it, and waits for its end.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Stops it with SIGTERM, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.id).ok();
        let id = id.and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_is_an_error_that_says_how_to_build_it() {
        for (own, command) in [
            (
                "/none/target/dist/jobcast-bench",
                "cargo build --profile dist --bin jobcast",
            ),
            (
                "/none/target/debug/jobcast-bench",
                "cargo build --profile dev --bin jobcast",
            ),
        ] {
            let error = program_beside(Path::new(own)).expect_err("nothing is there");
            let error = error.to_string();
            assert!(
                error.contains(command) && error.contains("--server"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_server_beside_the_benchmarks_is_found() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let server = folder.path().join("jobcast");
        std::fs::write(&server, "").expect("a file");
        let found = program_beside(&folder.path().join("jobcast-bench"));
        assert_eq!(found.expect("it is there"), server);
    }
}
