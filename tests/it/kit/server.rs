//! The built binary as a child process. It knows nothing of GraphQL.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Client, soon};

/// A directory with everything that a server needs: `jobcast.toml`, `state-machines/`, `data/`.
/// Removed at the end.
pub struct Home {
    directory: TempDir,
    config: String,
    functions: String,
    environment: Vec<(String, String)>,
    ignores_size_signals: bool,
}

impl Home {
    /// Without the sample job types and without any function.
    pub fn new() -> Home {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("state-machines")).unwrap();
        Home {
            directory,
            config: String::new(),
            functions: String::new(),
            environment: Vec::new(),
            ignores_size_signals: false,
        }
    }

    /// With a job type of no function: `pass` gives its input back, `wait` waits for an answer in
    /// the step `Ask`.
    pub fn simple() -> Home {
        Home::new()
            .machine(
                "pass",
                &json!({ "StartAt": "Only", "States": { "Only": { "Type": "Pass", "End": true } } }),
            )
            .machine(
                "wait",
                &json!({ "StartAt": "Ask", "States": {
                    "Ask": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                        "Parameters": { "FunctionName": "noop1", "Payload": { "job.$": "$.job" } },
                        "Next": "Done" },
                    "Done": { "Type": "Pass", "End": true } } }),
            )
            .noops(1)
    }

    /// With the functions `noop1`, `noop2` and `noop3`, each in this many processes.
    pub fn noops(mut self, concurrency: usize) -> Home {
        for name in ["noop1", "noop2", "noop3"] {
            self = self.sample_function(name, concurrency);
        }
        self
    }

    /// A function of the samples, run by the binary itself.
    pub fn sample_function(self, name: &str, concurrency: usize) -> Home {
        let program = env!("CARGO_BIN_EXE_jobcast");
        self.function(name, &[program, "function", name], concurrency)
    }

    /// A function that is any command.
    pub fn function(mut self, name: &str, command: &[&str], concurrency: usize) -> Home {
        self.functions.push_str(&format!(
            "[functions.{name}]\ncommand = {}\nconcurrency = {concurrency}\n",
            json!(command)
        ));
        self
    }

    /// A job type.
    pub fn machine(self, name: &str, definition: &Value) -> Home {
        json_file(
            &self.path(&format!("state-machines/{name}.asl.json")),
            definition,
        );
        self
    }

    /// The schema of a job type's input.
    pub fn schema(self, name: &str, schema: &Value) -> Home {
        json_file(
            &self.path(&format!("state-machines/{name}.input.schema.json")),
            schema,
        );
        self
    }

    /// Lines of the configuration, to stand before its sections.
    pub fn config(mut self, lines: &str) -> Home {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// The same, to stand before all sections that were given already.
    pub fn config_before(mut self, line: &str) -> Home {
        self.config.insert_str(0, &format!("{line}\n"));
        self
    }

    /// A variable of its servers.
    pub fn variable(mut self, name: &str, value: &str) -> Home {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its servers are not ended by SIGXFSZ when a file may not grow: as on a full disk, the write
    /// fails.
    #[cfg(target_os = "linux")]
    pub fn ignoring_size_signals(mut self) -> Home {
        self.ignores_size_signals = true;
        self
    }

    /// A path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the server has logged so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs another command of the binary, with the configuration: its exit status, what it printed
    /// and what it complained of.
    pub async fn run(&self, command: &str) -> (ExitStatus, String, String) {
        let mut command = self.command_of(command);
        let output = command.arg("--config").arg(self.path("jobcast.toml"));
        let output = soon("the end of a command", output.output()).await.unwrap();
        let [out, error] = [output.stdout, output.stderr].map(String::from_utf8);
        (output.status, out.unwrap(), error.unwrap())
    }

    fn command(&self) -> Command {
        let mut command = self.command_of("serve");
        command
            .arg("--data")
            .arg(self.path("data"))
            .arg("--config")
            .arg(self.path("jobcast.toml"));
        command
    }

    fn command_of(&self, name: &str) -> Command {
        let samples = if self.config.contains("samples") {
            ""
        } else {
            "samples = false\n"
        };
        let text = format!("{samples}{}{}", self.config, self.functions);
        // In one piece: a server that has just been started may be reading it.
        let mut file = NamedTempFile::new_in(self.directory.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.persist(self.path("jobcast.toml")).unwrap();
        let program = env!("CARGO_BIN_EXE_jobcast");
        let mut command = Command::new(if self.ignores_size_signals {
            "sh"
        } else {
            program
        });
        if self.ignores_size_signals {
            command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", program]);
        }
        command
            .arg(name)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts a server on a free port; returns when it is ready.
    pub async fn start(&self) -> Server {
        self.start_on("127.0.0.1:0").await
    }

    /// Starts a server on this address.
    pub async fn start_on(&self, listen: &str) -> Server {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"));
        let mut command = self.command();
        command
            .arg("--listen")
            .arg(listen)
            .stdout(Stdio::piped())
            .stderr(log.unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = async |what: &str| {
            let line = soon("a line of the server", lines.next_line())
                .await
                .unwrap();
            let address = line.as_deref().and_then(|line| line.strip_prefix(what));
            let Some(address) = address else {
                panic!("expected `{what}…`, got {line:?}; the log:\n{}", self.log());
            };
            address.to_owned()
        };
        let url = address("listening on ").await;
        // Elsewhere than in the server run the functions and executions of `[aws]`.
        let internal = match self.config.contains("[aws]") {
            true => None,
            false => Some(address("internal on ").await),
        };
        // With authentication it requires its secret, as the first part of the path.
        let internal = internal.map(|internal| match self.config.contains("[auth") {
            true => format!("{internal}/{}", self.internal_secret()),
            false => internal,
        });
        Server {
            child,
            url,
            internal,
        }
    }

    /// The secret of the internal listener of the server that runs here.
    pub fn internal_secret(&self) -> String {
        fs::read_to_string(self.path("data/internal.key")).unwrap()
    }

    /// Starts a server that must refuse to start: its exit status and what it said.
    pub async fn refuses(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let mut command = self.command();
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let output = command.args(arguments).output();
        let output = soon("the server's end", output).await.unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }
}

/// Writes a JSON file.
pub fn json_file(path: &Path, value: &Value) {
    fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

/// A server that serves. Killed when dropped.
pub struct Server {
    child: Child,
    /// The public listener: `http://127.0.0.1:PORT`.
    pub url: String,
    internal: Option<String>,
}

impl Server {
    /// The internal listener; its secret is in the path where one is required.
    pub fn internal(&self) -> &str {
        self.internal.as_deref().unwrap()
    }

    /// A client without credentials.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// `HOST:PORT` of the public listener.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(mut self) {
        soon("the end of a killed server", self.child.kill())
            .await
            .unwrap();
    }

    /// Asks it to stop, as Ctrl-C does, and waits for the exit status.
    pub async fn stop(self) -> ExitStatus {
        self.signal(Signal::INT);
        self.ended().await
    }

    /// Waits for the exit status.
    pub async fn ended(mut self) -> ExitStatus {
        soon("the end of the server", self.child.wait())
            .await
            .unwrap()
    }
}
