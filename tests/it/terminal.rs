//! The command line on a terminal, and on a pipe that is closed: what other people wrote acts on
//! nothing, lines fit, and every end of a command leaves the terminal as it was.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

use crate::cli::{PATIENCE, Ran, Serving, command, lines, pid, within};

/// Other people's text that would set a title, clear the screen, turn the line around and forge a
/// second one.
const HOSTILE: &str = "a\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\nforged";

/// A terminal with a command on it.
struct Terminal {
    child: Child,
    near: OwnedFd,
    shown: Arc<(Mutex<Vec<u8>>, Condvar)>,
}

impl Terminal {
    fn run(
        server: &Serving,
        arguments: &[&str],
        columns: u16,
        variables: &[(&str, &str)],
    ) -> Terminal {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let name = ptsname(&far, Vec::new()).unwrap();
        let near = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&near, size).unwrap();
        let side = || Stdio::from(near.try_clone().unwrap());
        let mut command = server.command(arguments);
        for name in ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        // As on a build server, so that what the variable does to a library is seen everywhere.
        command.envs([("TERM", "xterm"), ("CI", "true")]);
        command.envs(variables.iter().copied());
        let child = command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let shown = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let seen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let (mut far, mut buffer) = (File::from(far), [0; 4_096]);
            while let Ok(count) = far.read(&mut buffer) {
                seen.0.lock().unwrap().extend(&buffer[..count]);
                seen.1.notify_all();
            }
        });
        Terminal { child, near, shown }
    }

    fn on(server: &Serving, arguments: &[&str]) -> Terminal {
        Terminal::run(server, arguments, 100, &[])
    }

    /// Waits until this is shown.
    fn until(&self, text: &str) {
        let (seen, changed) = &*self.shown;
        let tried_until = Instant::now() + PATIENCE;
        let mut seen = seen.lock().unwrap();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let left = tried_until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{text} is not shown: {:?}",
                String::from_utf8_lossy(&seen)
            );
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until the process is in this state of `/proc`, or the modes are such.
    fn until_it(&self, what: &str, is: impl Fn(&Terminal) -> bool) {
        let tried_until = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < tried_until, "{what} in vain");
            std::thread::yield_now();
        }
    }

    fn shows_controls(&self) -> bool {
        tcgetattr(&self.near)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHOCTL)
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).unwrap();
    }

    /// The exit status, and all that was shown.
    fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        // What a command leaves behind shows that all before it is here.
        rustix::io::write(&self.near, b"<end>").unwrap();
        self.until("<end>");
        let shown = self.shown.0.lock().unwrap();
        (status, String::from_utf8_lossy(&shown).replace("<end>", ""))
    }
}

fn hostile_job(server: &Serving) -> String {
    let id = server.submit(&["sleep", "--tag", HOSTILE]);
    let cancelled = server.run(&["cancel", &id, "--reason", HOSTILE]);
    assert_eq!(cancelled.status, 0, "{cancelled:?}");
    id
}

fn is_harmless(text: &str) {
    let plain = anstream::adapter::strip_str(text).to_string();
    for sequence in [
        "\u{1b}]",
        "\u{1b}[2J",
        "\u{7}",
        "\u{9b}",
        "\u{202e}",
        "\u{200b}",
    ] {
        assert!(!text.contains(sequence), "{sequence:?}: {text:?}");
    }
    assert!(
        !plain.lines().any(|line| line.starts_with("forged")),
        "{text:?}"
    );
    assert!(plain.contains(r"owned\u{7}"), "it is shown: {text:?}");
}

#[test]
fn what_other_people_wrote_acts_on_nothing() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = hostile_job(&server);
    for arguments in [
        &["list"][..],
        &["get", &id],
        &["watch", &id],
        &["cancel", &id],
    ] {
        let (_, shown) = Terminal::on(&server, arguments).ended();
        is_harmless(&shown);
        let piped = server.run(arguments);
        is_harmless(&piped.out);
        let json = server.run(&[arguments, &["--json"]].concat());
        assert!(
            !json.out.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
            "{json:?}"
        );
        let job = json.json().pop().unwrap();
        assert_eq!(job["error"]["message"], HOSTILE, "JSON means the same");
    }
    let (_, history) = Terminal::on(&server, &["history", &id, "--verbose"]).ended();
    assert!(!history.contains("\u{1b}]0"), "{history:?}");
    for arguments in [
        &["submit", HOSTILE][..],
        &["get", HOSTILE],
        &["submit", "greet", "--file", HOSTILE],
    ] {
        let refused = server.run(arguments);
        let plain = refused.err.replace('\n', "");
        let harmless = !plain.contains(|c: char| c.is_control() || c == '\u{202e}');
        assert!(refused.status > 0 && harmless, "{refused:?}");
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_gets_lines() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&["sleep"]);
    for variables in [
        &[("TERM", "dumb")][..],
        &[("TERM", "")],
        &[("TERM", "dumb"), ("NO_COLOR", "1")],
    ] {
        let terminal = Terminal::run(&server, &["watch", &id], 80, variables);
        terminal.until("WAITING");
        terminal.signal(Signal::INT);
        let (status, shown) = terminal.ended();
        assert_eq!(status.code(), Some(130), "{shown:?}");
        if variables[0].1 == "dumb" {
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
    }
    for variables in [&[("NO_COLOR", "1")][..], &[("CLICOLOR", "0")]] {
        let terminal = Terminal::run(&server, &["watch", &id], 80, variables);
        terminal.until("WAITING");
        terminal.signal(Signal::TERM);
        let (_, shown) = terminal.ended();
        assert!(!shown.contains("\u{1b}[3"), "no colour: {shown:?}");
    }
}

#[test]
fn whatever_ends_a_watch_the_terminal_is_as_it_was() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&["sleep"]);
    for (signal, number) in [
        (Signal::TERM, 15),
        (Signal::INT, 2),
        (Signal::HUP, 1),
        (Signal::QUIT, 3),
    ] {
        let terminal = Terminal::on(&server, &["watch", &id]);
        assert!(terminal.child.id() > 0);
        terminal.until("WAITING");
        assert!(!terminal.shows_controls(), "while the bars are drawn");
        terminal.signal(signal);
        let near = terminal.near.try_clone().unwrap();
        let (status, shown) = terminal.ended();
        assert_eq!(status.code(), Some(128 + number), "{signal:?}: {shown:?}");
        assert!(shown.contains(&format!("jobcast watch {id}")), "{shown:?}");
        assert!(
            tcgetattr(&near)
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHOCTL),
            "{signal:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_watch_that_is_stopped_gives_the_terminal_back_meanwhile() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&["sleep"]);
    let terminal = Terminal::on(&server, &["watch", &id]);
    terminal.until("WAITING");
    terminal.signal(Signal::TSTP);
    terminal.until_it("it was to stop", |terminal| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", terminal.child.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    });
    assert!(terminal.shows_controls(), "the shell has its modes");
    terminal.signal(Signal::CONT);
    terminal.until_it("it was to take the terminal again", |terminal| {
        !terminal.shows_controls()
    });
    terminal.signal(Signal::TERM);
    let near = terminal.near.try_clone().unwrap();
    assert_eq!(terminal.ended().0.code(), Some(143));
    assert!(
        tcgetattr(&near)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHOCTL)
    );
}

#[test]
fn lines_fit_into_narrow_terminals() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&[
        "sleep",
        "--tag",
        "東京東京東京東京東京東京",
        "--tag",
        "👩\u{200d}🚀",
    ]);
    assert_eq!(
        server
            .run(&["cancel", &id, "--reason", &"why ".repeat(50)])
            .status,
        0
    );
    for (columns, variables) in [
        (20, &[][..]),
        (200, &[("COLUMNS", "20")]),
        (20, &[("TERM", "dumb")]),
        (0, &[("COLUMNS", "20")]),
    ] {
        let (status, shown) = Terminal::run(&server, &["list"], columns, variables).ended();
        assert!(status.success(), "{shown:?}");
        let shown = anstream::adapter::strip_str(&shown).to_string();
        for line in shown.lines().filter(|line| !line.starts_with(&id)) {
            // A wide character takes two columns.
            let wide: usize = line
                .chars()
                .map(|c| if c > '\u{2e80}' { 2 } else { 1 })
                .sum();
            assert!(wide <= 21, "{columns}: {line:?}");
        }
        assert!(shown.contains(&id), "an id is never cut: {shown:?}");
    }
}

#[test]
fn a_reader_that_has_enough_ends_a_command_quietly() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&["sleep"]);
    for arguments in [
        &["list"][..],
        &["history", &id],
        &["get", &id],
        &["types"],
        &["--help"],
        &["serve", "--help"],
    ] {
        let mut child = server.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ran = Ran::of(within(PATIENCE, child));
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
    // A watch has nothing to print for hours, and how the job ended is not known.
    for more in [&[][..], &["--json"]] {
        let mut child = server
            .command(&[&["watch", &id], more].concat())
            .spawn()
            .unwrap();
        let mut first = [0; 1];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut first).unwrap();
        drop(out);
        let ran = Ran::of(within(PATIENCE, child));
        assert_eq!((ran.status, ran.err.as_str()), (141, ""), "{more:?}");
    }
}

#[test]
fn no_proxy_is_asked_for_a_server_of_this_machine() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let proxies = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let through = |arguments: &[&str]| {
        let mut command = server.command(arguments);
        command.envs(proxies.map(|name| (name, "http://127.0.0.1:9")));
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        Ran::of(within(PATIENCE, command.spawn().unwrap()))
    };
    let ran = through(&["submit", "greet", "--watch"]);
    assert!(ran.status == 0 && ran.out.contains("SUCCEEDED"), "{ran:?}");
    // Elsewhere the proxy is asked, by both of the command line's clients.
    for arguments in [
        &["list", "--url", "http://jobs.test"][..],
        &[
            "watch",
            "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f",
            "--url",
            "http://jobs.test",
        ],
    ] {
        let ran = through(arguments);
        assert!(
            ran.status == 1 && ran.err.contains("no server answers at http://jobs.test"),
            "{ran:?}"
        );
    }
}

#[test]
fn names_that_were_meant_are_told() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    std::fs::write(
        directory.path().join("input.json"),
        "\u{feff}{\"name\": \"Ada\"}\r\n",
    )
    .unwrap();
    let input = format!("@{}", directory.path().join("input.json").display());
    let id = server.submit(&["greet", "--input", &input]);
    assert_eq!(
        server.run(&["get", &id, "--json"]).json()[0]["input"]["name"],
        "Ada"
    );
    let utf16: Vec<u8> = "\u{feff}{}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(directory.path().join("input.json"), utf16).unwrap();
    let ran = server.run(&["submit", "greet", "--input", &input]);
    assert!(
        ran.status == 1 && ran.err.contains("it is UTF-16: save it as UTF-8"),
        "{ran:?}"
    );

    let mut lost = command(&["list", "--url", "http://127.0.0.1:1"]);
    lost.env("JOBCAST_ULR", "http://127.0.0.1:2");
    let ran = Ran::of(within(PATIENCE, lost.spawn().unwrap()));
    assert!(ran.err.contains("JOBCAST_ULR is set"), "{ran:?}");

    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut child = command(&["serve", "--listen", "127.0.0.1:0"])
        .current_dir(&other)
        .env("JOBCAST_LISTNE", "127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .spawn()
        .unwrap();
    let out = lines(&mut child);
    out.recv_timeout(PATIENCE).unwrap();
    kill_process(pid(&child), Signal::TERM).unwrap();
    let ran = Ran::of(within(PATIENCE, child));
    assert!(
        ran.err.contains(
            "JOBCAST_LISTNE is set, and no setting has that name; did you mean `JOBCAST_LISTEN`?"
        ),
        "{ran:?}"
    );
}
