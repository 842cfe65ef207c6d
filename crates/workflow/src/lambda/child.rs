//! A child process with everything that it starts: how it is started and how all of it is ended.
//!
//! With a supervisor (see `supervisor`) all of it ends, also what moved into another session, and
//! also when the server is killed. Without one, the child's process group is killed; what left the
//! group lives on, and what is left by a server that is killed ends when it finds the Runtime API
//! closed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::failure::{Exit, Failure};
use super::limits;
use super::settings::FunctionConfig;
use super::supervisor::Report;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotStarted {
    #[error("it has no command")]
    NoCommand,
    #[error("fork/exec {program}: {}", reason(.error))]
    Program { program: String, error: io::Error },
    #[error("chdir {}: {}", .directory.display(), reason(.error))]
    Directory {
        directory: PathBuf,
        error: io::Error,
    },
    #[error("{}", reason(.0))]
    Io(#[from] io::Error),
}

impl NotStarted {
    /// Lambda's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            NotStarted::Directory { .. } => "Runtime.InvalidWorkingDir",
            _ => "Runtime.InvalidEntrypoint",
        }
    }

    pub(super) fn words(&self, function: &str) -> String {
        format!("{self}; check command in [functions.{function}], and its directory")
    }
}

/// An error in the words of the system, as Go's programs write them: without a number, in lower
/// case.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// A child process.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    program: String,
    /// Killed at the end.
    group: Group,
    supervisor: Option<Supervisor>,
}

#[derive(Debug)]
struct Supervisor {
    socket: UnixStream,
    said: Vec<u8>,
}

impl Child {
    pub(super) fn start(
        config: &FunctionConfig,
        environment: BTreeMap<OsString, OsString>,
        supervisor: &[OsString],
    ) -> Result<Child, NotStarted> {
        let program = config.command.first().ok_or(NotStarted::NoCommand)?.clone();
        let own = config.command.iter().map(OsString::from);
        let mut words = supervisor.iter().cloned().chain(own);
        let mut command = Command::new(words.next().ok_or(NotStarted::NoCommand)?);
        command
            .args(words)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = &config.directory {
            command.current_dir(directory);
        }
        let mut socket = None;
        if supervisor.is_empty() {
            command.kill_on_drop(true);
        } else {
            let (ours, theirs) = StdUnixStream::pair()?;
            ours.set_nonblocking(true)?;
            command.stdin(Stdio::from(OwnedFd::from(theirs)));
            socket = Some(UnixStream::from_std(ours)?);
        }
        let spawned = command.spawn();
        // The other end of the socket is in the command: it must close for the end to be seen.
        drop(command);
        let process = spawned.map_err(|error| {
            let directory = config.directory.as_ref();
            match directory.and_then(|at| Some((at, std::fs::metadata(at).err()?))) {
                Some((directory, error)) => NotStarted::Directory {
                    directory: directory.clone(),
                    error,
                },
                None => NotStarted::Program {
                    program: supervisor.first().map_or_else(
                        || program.clone(),
                        |supervisor| supervisor.to_string_lossy().into_owned(),
                    ),
                    error,
                },
            }
        })?;
        let own = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Child {
            process,
            program,
            // A supervisor ends what it started before it ends; killed, it could not.
            group: Group(own.filter(|_| socket.is_none())),
            supervisor: socket.map(|socket| Supervisor {
                socket,
                said: Vec::new(),
            }),
        })
    }

    /// What it writes.
    pub(super) fn output(&mut self) -> Vec<Box<dyn AsyncRead + Send + Unpin>> {
        let mut pipes: Vec<Box<dyn AsyncRead + Send + Unpin>> = Vec::new();
        if let Some(pipe) = self.process.stdout.take() {
            pipes.push(Box::new(pipe));
        }
        if let Some(pipe) = self.process.stderr.take() {
            pipes.push(Box::new(pipe));
        }
        pipes
    }

    /// Waits for its end. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Result<Failure, NotStarted> {
        let Some(supervisor) = &mut self.supervisor else {
            return Ok(Failure::Exited(self.process.wait().await?.into()));
        };
        supervisor.listen().await?;
        match Report::read(&supervisor.said) {
            Some(Report::Exited(exit)) => Ok(Failure::Exited(exit)),
            Some(Report::NotStarted(error)) => Err(NotStarted::Program {
                program: self.program.clone(),
                error: io::Error::from_raw_os_error(error),
            }),
            Some(Report::Started(_)) | None => Ok(Failure::Exited(Exit::Unknown)),
        }
    }

    /// Ends it with everything that it started, if it has not ended.
    pub(super) async fn end(mut self) {
        let Some(mut supervisor) = self.supervisor.take() else {
            return;
        };
        let asked = async {
            supervisor.socket.shutdown().await?;
            supervisor.listen().await
        };
        let ended = tokio::time::timeout(limits::END, asked).await;
        if let Some(Report::Started(group)) = Report::read(&supervisor.said) {
            // It did not report the end of the process: it was killed itself, or hangs.
            self.group = Group(Pid::from_raw(group));
        }
        if ended.is_err() {
            let _ = self.process.start_kill();
        }
    }
}

impl Supervisor {
    /// Reads what the supervisor reports, until it ends. Cancel-safe.
    async fn listen(&mut self) -> io::Result<()> {
        while self.socket.read_buf(&mut self.said).await? > 0 {}
        Ok(())
    }
}

/// A process with those that it started and that stayed in its group. Killed when dropped.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // All processes of the group may have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
