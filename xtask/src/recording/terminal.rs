//! A program on a pseudo terminal. What the bytes mean is not decided here.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Bytes that the program wrote, and when.
pub(crate) struct Written {
    /// Since the start of the program.
    pub(crate) at: Duration,
    pub(crate) bytes: Vec<u8>,
}

/// Runs `binary demo --data DATA` to its end, on a terminal of this size.
pub(crate) fn run(
    binary: &Path,
    data: &Path,
    columns: usize,
    rows: usize,
) -> io::Result<Vec<Written>> {
    let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&far)?;
    unlockpt(&far)?;
    let name = ptsname(&far, Vec::new())?;
    let near = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    let size = |number: usize| u16::try_from(number).map_err(io::Error::other);
    tcsetwinsize(
        &near,
        Winsize {
            ws_row: size(rows)?,
            ws_col: size(columns)?,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    let mut command = Command::new(binary.canonicalize()?);
    // Paths in what it prints begin with its own name.
    std::os::unix::process::CommandExt::arg0(&mut command, "jobcast");
    command.args(["demo", "--data"]).arg(data);
    for name in ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color");
    command
        .stdin(Stdio::from(near.try_clone()?))
        .stdout(Stdio::from(near.try_clone()?))
        .stderr(Stdio::from(near));
    let started = Instant::now();
    let mut child = command.spawn()?;
    // It holds the near side too; only the child's keep the terminal open.
    drop(command);
    let mut written = Vec::new();
    let mut far = File::from(far);
    let mut buffer = [0; 64 * 1024];
    // The end of a terminal is an error.
    while let Ok(count @ 1..) = far.read(&mut buffer) {
        written.push(Written {
            at: started.elapsed(),
            bytes: buffer[..count].to_vec(),
        });
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(written);
    }
    Err(io::Error::other(format!("the demo ended with {status}")))
}
