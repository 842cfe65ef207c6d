//! The server as a child process: this program, on its own ports.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::Result;

/// A job that ends at once.
pub(super) const PASS: &str =
    r#"{"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": true}}}"#;
/// A job that stays open.
pub(super) const WAIT: &str =
    r#"{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 86400, "End": true}}}"#;
/// Time allowed for a server to report that it listens.
const READY: Duration = Duration::from_secs(60);
/// Time allowed for a server to stop.
const STOP: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) id: u32,
    /// `127.0.0.1:PORT`.
    pub(super) address: String,
    /// Time from the start of the process until it reports that it listens.
    pub(super) ready_after: Duration,
}

/// The configuration of a server.
#[derive(Debug)]
pub(super) struct Setting {
    directory: PathBuf,
    configuration: String,
}

impl Setting {
    /// A server with its own directory below `place`, without the samples and without a limit of
    /// submits.
    pub(super) fn new(place: &Path) -> Result<Setting> {
        let machines = place.join("state-machines");
        std::fs::create_dir_all(&machines)?;
        Ok(Setting {
            directory: place.to_path_buf(),
            configuration: format!(
                "samples = false\n[limits]\nsubmits_per_second = {}\n",
                u32::MAX
            ),
        })
    }

    /// Adds the sample job types and their functions.
    pub(super) fn samples(mut self) -> Setting {
        self.configuration = self.configuration.replace("samples = false\n", "");
        self
    }

    pub(super) fn machine(self, name: &str, definition: &str) -> Result<Setting> {
        let file = format!("state-machines/{name}.asl.json");
        std::fs::write(self.directory.join(file), definition)?;
        Ok(self)
    }

    /// Adds a function that this program serves under the name `serves`.
    pub(super) fn function(
        mut self,
        name: &str,
        serves: &str,
        processes: usize,
    ) -> Result<Setting> {
        let program = std::env::current_exe()?;
        let program = serde_json::Value::from(program.display().to_string());
        self.configuration.push_str(&format!(
            "[functions.{name}]\ncommand = [{program}, \"function\", \"{serves}\"]\nconcurrency = {processes}\n"
        ));
        Ok(self)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts it and waits until it listens. It logs to `server.log` in its directory.
    pub(super) async fn start(&self) -> Result<Server> {
        let file = self.directory.join("jobcast.toml");
        std::fs::write(&file, &self.configuration)?;
        let log_path = self.directory.join("server.log");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)?;
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
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
    pub(super) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Stops it with SIGTERM, and waits for its end.
    pub(super) async fn stop(mut self) -> Result<()> {
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
