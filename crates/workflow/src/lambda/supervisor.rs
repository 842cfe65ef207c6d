//! The process between the server and a function's process: it starts the function, and ends it
//! with everything that it started when it exits, when the server asks, or when the server is gone,
//! killed or not. It is this program again, so that no `unsafe` is needed to prepare a child
//! between fork and exec.
//!
//! On Linux a descendant that loses its parent becomes its child ("subreaper"), also in another
//! session. Elsewhere a process that leaves the function's process group is not ended.
//!
//! Its standard input is a socket. What it reports there are lines: one report each. The end of
//! what it reads there is the order to end.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};

use super::failure::Exit;

/// Time allowed for killed processes to end.
const KILLED: Duration = Duration::from_secs(2);
/// The wait between two looks at what is still there.
const LOOK: Duration = Duration::from_millis(2);

/// What a supervisor reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The function's process runs, and leads its own process group.
    Started(i32),
    /// It could not be started: an error number.
    NotStarted(i32),
    /// It ended.
    Exited(Exit),
}

impl Report {
    fn line(self) -> String {
        match self {
            Report::Started(process) => format!("started {process}\n"),
            Report::NotStarted(error) => format!("failed {error}\n"),
            Report::Exited(Exit::Code(code)) => format!("code {code}\n"),
            Report::Exited(Exit::Signal(signal)) => format!("signal {signal}\n"),
            Report::Exited(Exit::Unknown) => "unknown 0\n".to_owned(),
        }
    }

    /// The last report of a text.
    pub(super) fn read(text: &[u8]) -> Option<Report> {
        let text = std::str::from_utf8(text).ok()?;
        let (word, number) = text.lines().last()?.split_once(' ')?;
        let number = number.parse().ok()?;
        Some(match word {
            "started" => Report::Started(number),
            "failed" => Report::NotStarted(number),
            "code" => Report::Exited(Exit::Code(number)),
            "signal" => Report::Exited(Exit::Signal(number)),
            "unknown" => Report::Exited(Exit::Unknown),
            _ => return None,
        })
    }
}

/// Runs a command as the child of this process until one of the two ends is due. The whole of a
/// process that the Lambda host starts with [`super::HostSettings::supervisor`]; it has no threads
/// yet.
pub fn supervise(command: &[OsString]) -> ExitCode {
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The server may be gone, and standard error with it.
            let _ = writeln!(io::stderr(), "a function's supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &[OsString]) -> io::Result<()> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no command is given"))?;
    // Closed in the child, as every file of ours is.
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let function = match started {
        Ok(child) => child.id().cast_signed(),
        Err(error) => {
            let report =
                Report::NotStarted(error.raw_os_error().unwrap_or(Errno::NOENT.raw_os_error()));
            return socket.write_all(report.line().as_bytes());
        }
    };
    let group =
        Pid::from_raw(function).ok_or_else(|| io::Error::other("a process has a number"))?;
    socket.write_all(Report::Started(function).line().as_bytes())?;
    let mut orders = socket.try_clone()?;
    thread::spawn(move || {
        // Input of any kind is ignored: only the end of the stream counts.
        let _ = io::copy(&mut orders, &mut io::sink());
        let _ = kill_process_group(group, Signal::KILL);
        kill_below();
    });
    let exit = wait_for(group);
    let _ = kill_process_group(group, Signal::KILL);
    end_the_rest();
    socket.write_all(Report::Exited(exit).line().as_bytes())
}

/// Waits for the function's process, and takes in what lost its parent meanwhile.
fn wait_for(function: Pid) -> Exit {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((process, status))) if process == function => return exit(status),
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Exit::Unknown,
        }
    }
}

fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

/// Kills what the function left, until nothing is left of it.
fn end_the_rest() {
    let until = Instant::now() + KILLED;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            // No child is left.
            Err(_) => return,
            Ok(None) => {
                if Instant::now() >= until {
                    return;
                }
                kill_below();
                thread::sleep(LOOK);
            }
        }
    }
}

/// Kills every process below this one that can be found.
fn kill_below() {
    for process in below(std::process::id().cast_signed()) {
        if let Some(process) = Pid::from_raw(process) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// The processes below one, as the kernel lists them; none where it does not.
fn below(top: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parents: Vec<(i32, i32)> = entries
        .flatten()
        .filter_map(|entry| {
            let process: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((process, parent(&stat)?))
        })
        .collect();
    let mut found = vec![top];
    let mut looked = 0;
    while let Some(&parent) = found.get(looked) {
        looked += 1;
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(process, _)| *process));
    }
    found.remove(0);
    found
}

/// The parent in `/proc/PID/stat`: the second word after the command, which may hold anything.
fn parent(stat: &str) -> Option<i32> {
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_written() {
        for report in [
            Report::Started(7),
            Report::NotStarted(2),
            Report::Exited(Exit::Code(3)),
            Report::Exited(Exit::Signal(9)),
            Report::Exited(Exit::Unknown),
        ] {
            let text = format!("{}{}", Report::Started(1).line(), report.line());
            assert_eq!(Report::read(text.as_bytes()), Some(report));
        }
        for text in ["", "code\n", "code x\n", "other 1\n"] {
            assert_eq!(Report::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_parent_is_found_behind_any_command() {
        assert_eq!(parent("12 (a) b) (c) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (sh) R x"), None);
        assert_eq!(parent(""), None);
    }
}
