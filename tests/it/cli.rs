//! The command line as a user has it: the built binary, its outputs and its exit status.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Machines are slow when they are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The demo computes pictures without optimization here.
const DEMO_PATIENCE: Duration = Duration::from_secs(600);

/// State machines that need no function.
const MACHINES: &[(&str, &str)] = &[
    (
        "greet.asl.json",
        r#"{"Comment": "Says hello", "StartAt": "Greet", "States": {"Greet": {"Type": "Pass", "Result": {"hello": "world"}, "End": true}}}"#,
    ),
    (
        "greet.input.schema.json",
        r#"{"type": "object", "properties": {"name": {"type": "string"}, "photo": {"type": "string", "format": "uri"}}}"#,
    ),
    (
        "fail.asl.json",
        r#"{"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Broken", "Cause": "it is broken"}}}"#,
    ),
    (
        "sleep.asl.json",
        r#"{"StartAt": "Sleep", "States": {"Sleep": {"Type": "Wait", "Seconds": 86400, "End": true}}}"#,
    ),
];

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobcast"));
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("JOBCAST_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn within(patience: Duration, child: Child) -> Output {
    let pid = pid(&child);
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    told.recv_timeout(patience)
        .unwrap_or_else(|_| {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("the command did not end within {patience:?}");
        })
        .unwrap()
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed()).unwrap()
}

/// What a command did: its exit status, standard output, standard error.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        Ran {
            status: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Each line of the output, as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }
}

fn run(arguments: &[&str]) -> Ran {
    Ran::of(within(PATIENCE, command(arguments).spawn().unwrap()))
}

/// Lines of a child's output as they come.
pub(crate) fn lines(child: &mut Child) -> Receiver<String> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        out.lines()
            .map_while(Result::ok)
            .try_for_each(|line| tell.send(line))
    });
    told
}

pub(crate) struct Serving {
    child: Child,
    pub(crate) url: String,
    out: Receiver<String>,
}

impl Serving {
    /// In a directory with [`MACHINES`] and without the samples.
    pub(crate) fn plain(directory: &Path) -> Serving {
        std::fs::write(directory.join("jobcast.toml"), "samples = false\n").unwrap();
        let machines = directory.join("state-machines");
        std::fs::create_dir_all(&machines).unwrap();
        for (name, text) in MACHINES {
            std::fs::write(machines.join(name), text).unwrap();
        }
        Serving::start(directory, "127.0.0.1:0")
    }

    pub(crate) fn start(directory: &Path, listen: &str) -> Serving {
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut child = command(&["serve", "--listen", listen])
            .current_dir(directory)
            .stderr(log)
            .spawn()
            .unwrap();
        let out = lines(&mut child);
        let line = out.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| {
            let log = std::fs::read_to_string(directory.join("log")).unwrap();
            panic!("the server is not ready ({error}): {log}")
        });
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        let internal = out.recv_timeout(PATIENCE).unwrap();
        assert!(
            internal.starts_with("internal on http://127.0.0.1:"),
            "{internal}"
        );
        Serving { child, url, out }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Ran::of(within(PATIENCE, child))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("JOBCAST_URL", &self.url);
        command
    }

    pub(crate) fn submit(&self, arguments: &[&str]) -> String {
        let ran = self.run(&[&["submit"], arguments].concat());
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.out.trim().to_owned()
    }

    /// Sends a signal and gives the exit status.
    fn stop(mut self, signal: Signal) -> i32 {
        kill_process(pid(&self.child), signal).unwrap();
        // The output ends with the process.
        while self.out.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_job_from_its_submission_to_its_history() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());

    let types = server.run(&["types", "--json"]).json();
    let names: Vec<&str> = types
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["fail", "greet", "sleep"]);
    let one = server.run(&["types", "greet"]);
    assert!(
        one.out.contains("Says hello") && one.out.contains("\"StartAt\": \"Greet\""),
        "{one:?}"
    );

    let id = server.submit(&[
        "greet",
        "--input",
        r#"{"name": "Ada"}"#,
        "--tag",
        "team=web",
    ]);
    let watched = server.run(&["watch", &id]);
    assert_eq!(watched.status, 0, "{watched:?}");
    assert!(
        watched.out.contains(&format!("✔ greet {id} SUCCEEDED in ")),
        "{watched:?}"
    );
    assert!(watched.out.contains("\"hello\": \"world\""), "{watched:?}");
    assert!(
        !watched.out.contains('\u{1b}'),
        "no colours on a pipe: {watched:?}"
    );

    let got = server.run(&["get", &id, "--json"]).json().remove(0);
    assert_eq!(got["input"]["name"], "Ada", "the input is a value: {got}");
    assert_eq!(got["result"]["hello"], "world");
    assert_eq!(got["tags"][0], "team=web");
    let text = server.run(&["get", &id]);
    assert!(
        text.out.contains("owner      dev") && text.out.contains("\"name\": \"Ada\""),
        "{text:?}"
    );

    let cancelled = server.run(&["cancel", &id]);
    assert_eq!(cancelled.status, 1, "{cancelled:?}");
    assert!(
        cancelled
            .err
            .contains("only a job that is not finished can be cancelled"),
        "{cancelled:?}"
    );

    let history = server.run(&["history", &id, "--json"]).json();
    let kinds: Vec<&str> = history
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded"
        ]
    );
    let table = server.run(&["history", &id]);
    assert!(
        table
            .out
            .lines()
            .nth(2)
            .unwrap()
            .contains("PassStateEntered    Greet"),
        "{table:?}"
    );

    let failed = server.run(&["submit", "fail", "--watch", "--json"]);
    assert_eq!(
        failed.status, 1,
        "the job's status is the command's: {failed:?}"
    );
    let last = failed.json().pop().unwrap();
    assert_eq!(
        (&last["status"], &last["error"]["name"]),
        (&"FAILED".into(), &"Broken".into())
    );

    let listed = server
        .run(&["list", "--status", "succeeded", "--json"])
        .json();
    assert_eq!(
        listed.iter().map(|job| &job["id"]).collect::<Vec<_>>(),
        [id.as_str()]
    );
    let table = server.run(&["list", "--tag", "team=web"]);
    assert!(
        table.out.contains(&id) && table.out.lines().count() == 2,
        "{table:?}"
    );
    assert_eq!(server.run(&["list", "--type", "sleep"]).out, "");
}

#[test]
fn a_submission_is_accepted_once_and_from_anywhere() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let first = server.submit(&["greet", "--token", "once"]);
    assert_eq!(server.submit(&["greet", "--token", "once"]), first);
    let other = server.run(&[
        "submit",
        "greet",
        "--token",
        "once",
        "--input",
        r#"{"name": "x"}"#,
    ]);
    assert!(other.status == 1 && other.err.contains("once"), "{other:?}");
    assert_ne!(server.submit(&["greet"]), first);

    let input = |id: &str| server.run(&["get", id, "--json"]).json().remove(0)["input"].clone();
    let file = directory.path().join("input.json");
    std::fs::write(&file, r#"{"name": "from a file"}"#).unwrap();
    let id = server.submit(&["greet", "--input", &format!("@{}", file.display())]);
    assert_eq!(input(&id)["name"], "from a file");
    let ran = server.run_with(
        &["submit", "greet", "--input", "-"],
        r#"{"name": "from a pipe"}"#,
    );
    assert_eq!(input(ran.out.trim())["name"], "from a pipe");

    let photo = directory.path().join("photo.png");
    std::fs::write(&photo, "not really").unwrap();
    let photo = photo.to_str().unwrap();
    for argument in [photo.to_owned(), format!("photo={photo}")] {
        let id = server.submit(&["greet", "--input", r#"{"name": "x"}"#, "--file", &argument]);
        let input = input(&id);
        assert!(
            input["photo"].as_str().unwrap().contains("/photo.png?"),
            "{input}"
        );
        assert_eq!(input["name"], "x");
    }
}

#[test]
fn a_job_that_waits_is_cancelled_and_tried_again() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&["sleep"]);
    let mut watching = server.command(&["watch", &id, "--json"]).spawn().unwrap();
    let events = lines(&mut watching);
    await_status(&events, "WAITING");
    let cancelled = server
        .run(&["cancel", &id, "--reason", "not today", "--json"])
        .json()
        .remove(0);
    assert_eq!(
        (&cancelled["status"], &cancelled["error"]["message"]),
        (&"CANCELLED".into(), &"not today".into())
    );
    await_status(&events, "CANCELLED");
    assert_eq!(watching.wait().unwrap().code(), Some(1));
    assert_eq!(
        server.run(&["cancel", &id]).status,
        0,
        "to cancel twice is to cancel once"
    );

    let retried = server.run(&["retry", &id, "--json"]).json().remove(0);
    assert_eq!(retried["attempt"], 2);
    let none = server.run(&["resume", &id, "--output", "{}"]);
    assert_eq!(
        none.status, 1,
        "it waits for a time, not for an answer: {none:?}"
    );

    // Ctrl-C ends the watch, not the job.
    let mut watching = server.command(&["watch", &id]).spawn().unwrap();
    let out = lines(&mut watching);
    while !out.recv_timeout(PATIENCE).unwrap().contains("WAITING") {}
    kill_process(pid(&watching), Signal::INT).unwrap();
    let ran = Ran::of(within(PATIENCE, watching));
    assert!(
        ran.status == 130 && ran.err.contains(&format!("jobcast watch {id}")),
        "{ran:?}"
    );
}

/// Reads versions that only rise until the job has the status.
fn await_status(events: &Receiver<String>, status: &str) {
    let mut last = 0;
    loop {
        let line = events.recv_timeout(PATIENCE).expect(status);
        let job: Value = serde_json::from_str(&line).unwrap();
        let version = job["version"].as_u64().unwrap();
        assert!(version > last, "version {version} after {last}");
        last = version;
        if job["status"] == status {
            return;
        }
    }
}

#[test]
fn a_watch_survives_the_server() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let id = server.submit(&["sleep"]);
    let mut watching = server.command(&["watch", &id, "--json"]).spawn().unwrap();
    let events = lines(&mut watching);
    await_status(&events, "WAITING");
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    drop(server);
    let server = Serving::start(directory.path(), &address);
    assert_eq!(server.run(&["cancel", &id]).status, 0);
    let ended: Value = serde_json::from_str(&events.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert_eq!(
        ended["status"], "CANCELLED",
        "nothing is told twice: {ended}"
    );
    let ran = Ran::of(within(PATIENCE, watching));
    assert_eq!(ran.status, 1);
    assert!(
        ran.err.contains("the connection was lost, trying again"),
        "{ran:?}"
    );
}

#[test]
fn an_approval_is_answered() {
    let directory = TempDir::new().unwrap();
    let server = Serving::start(directory.path(), "127.0.0.1:0");
    let id = server.submit(&[
        "approval",
        "--input",
        r#"{"subject": "Publish?", "approver": "you"}"#,
    ]);
    let mut watching = server.command(&["watch", &id, "--json"]).spawn().unwrap();
    let events = lines(&mut watching);
    await_status(&events, "WAITING");
    let ran = server.run(&[
        "resume",
        &id,
        "--output",
        r#"{"approved": true}"#,
        "--watch",
    ]);
    assert!(
        ran.status == 0 && ran.out.contains("\"approved\": true"),
        "{ran:?}"
    );
    await_status(&events, "SUCCEEDED");
    assert!(within(PATIENCE, watching).status.success());
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let server = Serving::plain(directory.path());
    let missing = "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f";
    let nobody = ["list", "--url", "http://127.0.0.1:1"];
    for (arguments, status, said) in [
        (&["get", "nonsense"][..], 2, "`nonsense` is not a job id"),
        (&["get", missing], 1, "there is no job 019ab0c4"),
        (&["watch", missing], 1, "there is no job 019ab0c4"),
        (&["history", missing], 1, "there is no job 019ab0c4"),
        (
            &["submit", "wrong"],
            1,
            "there is no job type `wrong`; known are: fail, greet, sleep",
        ),
        (
            &["submit", "wrong", "--file", "Cargo.toml"],
            1,
            "there is no job type `wrong`",
        ),
        (&["types", "wrong"], 1, "there is no job type `wrong`"),
        (
            &["submit", "greet", "--input", "{"],
            2,
            "--input is not JSON",
        ),
        (
            &["submit", "greet", "--input", "@/nowhere"],
            1,
            "/nowhere cannot be read",
        ),
        (
            &["submit", "greet", "--input", r#"{"name": 1}"#],
            1,
            "/name: 1 is not of type \"string\"",
        ),
        (
            &["submit", "greet", "--file", "/nowhere"],
            1,
            "/nowhere cannot be read",
        ),
        (
            &["submit", "sleep", "--file", "Cargo.toml"],
            2,
            "say which with --file FIELD=Cargo.toml",
        ),
        (&["list", "--status", "wrong"], 2, "possible values: QUEUED"),
        (
            &["list", "--url", "127.0.0.1:8080"],
            2,
            "it looks like http://127.0.0.1:8080",
        ),
        (
            &nobody,
            1,
            "Start one with `jobcast serve`, or give its address with --url or JOBCAST_URL",
        ),
        (&["wrong"], 2, "unrecognized subcommand 'wrong'"),
        (&["resume", missing], 2, "--output <JSON>|--error <NAME>"),
    ] {
        let ran = server.run(arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(said), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
    }
}

#[test]
fn somebody_else_at_the_address_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            // An answer before its request is another fault.
            let _ = socket.read(&mut [0; 4_096]);
            let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot found");
        }
    });
    let ran = run(&["list", "--url", &url]);
    assert!(
        ran.status == 1 && ran.err.contains("is not a Jobcast server"),
        "{ran:?}"
    );
}

#[test]
fn a_signal_stops_the_server() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = TempDir::new().unwrap();
        let server = Serving::plain(directory.path());
        assert_eq!(server.stop(signal), 0, "{signal:?}");
    }
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let server = Serving::plain(directory.path());
    let taken = server.url.strip_prefix("http://").unwrap().to_owned();
    let data = path("data");
    std::fs::write(path("typo.toml"), "lisen = \"127.0.0.1:0\"\n").unwrap();
    std::fs::create_dir(path("bad")).unwrap();
    let bad = r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}"#;
    std::fs::write(directory.path().join("bad/bad.asl.json"), bad).unwrap();
    for (arguments, status, said) in [
        (
            &["--listen", &taken, "--data", &path("other")][..],
            1,
            "another program uses this port",
        ),
        (
            &["--listen", "127.0.0.1:0", "--data", &data],
            1,
            "used by another jobcast server (process ",
        ),
        (
            &["--config", &path("typo.toml")],
            2,
            "unknown field `lisen`",
        ),
        (
            &["--config", &path("typo.toml")],
            2,
            "Did you mean `listen`?",
        ),
        (&["--listen", "nonsense"], 2, "--listen <ADDRESS>"),
        (
            &["--listen", "0.0.0.0:0"],
            2,
            "no authentication is configured",
        ),
        (&["--log", "a=b=c"], 2, "is not a valid filter"),
        (&["--log", "inof"], 2, "did you mean `info`?"),
        (&["--log", "jobcast=debgu"], 2, "did you mean `debug`?"),
        (
            &["--state-machines", &path("bad"), "--data", &path("other")],
            1,
            "bad.asl.json: state `A`: /States/A/Next: ",
        ),
    ] {
        for arguments in [arguments.to_vec(), [&["serve"], arguments].concat()] {
            let child = command(&arguments)
                .current_dir(directory.path())
                .spawn()
                .unwrap();
            let ran = Ran::of(within(PATIENCE, child));
            assert_eq!(ran.status, status, "{arguments:?}: {ran:?}");
            assert!(ran.err.contains(said), "{arguments:?}: {ran:?}");
            assert_eq!(ran.out, "", "{arguments:?}");
        }
    }
    assert_eq!(
        server.run(&["types"]).status,
        0,
        "the first one still serves"
    );
}

#[test]
fn a_directory_of_state_machines_is_checked() {
    let directory = TempDir::new().unwrap();
    let machines = directory.path().join("state-machines");
    std::fs::create_dir(&machines).unwrap();
    let write = |name: &str, text: &str| std::fs::write(machines.join(name), text).unwrap();
    MACHINES.iter().for_each(|(name, text)| write(name, text));
    let check = |more: &[&str]| {
        let child = command(&[&["types", "--check"], more].concat())
            .current_dir(directory.path())
            .spawn();
        Ran::of(within(PATIENCE, child.unwrap()))
    };
    let good = check(&[]);
    assert!(
        good.status == 0 && good.out.contains("3 state machines: no problems"),
        "{good:?}"
    );

    write("broken.asl.json", "{\n  \"StartAt\": ");
    write(
        "lost.asl.json",
        r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}"#,
    );
    write("odd.asl.json", MACHINES[0].1);
    write("odd.input.schema.json", r#"{"type": "no type"}"#);
    let bad = check(&[machines.to_str().unwrap()]);
    assert_eq!(bad.status, 1, "{bad:?}");
    for said in [
        "broken.asl.json",
        "line 2, column ",
        "MISSING_TRANSITION_TARGET",
        "state `A`",
        "/States/A/Next",
        "the schema itself is not valid",
        "6 state machines: ",
    ] {
        assert!(bad.out.contains(said), "{said}: {bad:?}");
    }
    let problems = check(&["--json"]);
    assert_eq!(problems.status, 1);
    let lost = problems
        .json()
        .into_iter()
        .find(|problem| problem["state"] == "A")
        .unwrap();
    assert_eq!(
        (&lost["severity"], &lost["location"]),
        (&"ERROR".into(), &"/States/A/Next".into())
    );
    assert_eq!(check(&["nowhere"]).status, 2);
}

#[test]
fn the_help_is_complete() {
    let help = run(&["--help"]);
    assert_eq!(help.status, 0);
    let commands = [
        "serve", "demo", "submit", "watch", "list", "get", "cancel", "retry", "resume", "types",
        "history", "config", "enqueue", "dlq",
    ];
    for name in commands {
        assert!(
            help.out.contains(&format!("  {name} ")),
            "{name}: {}",
            help.out
        );
        let own = run(&[name, "--help"]);
        assert!(
            own.status == 0 && own.out.contains("Usage: jobcast "),
            "{name}: {own:?}"
        );
    }
    let serve = run(&["serve", "--help"]).out;
    for key in [
        "JOBCAST_LISTEN",
        "[functions.resize]",
        "[[auth.api_keys]]",
        "retention",
        "allowed_origins",
    ] {
        assert!(serve.contains(key), "{key}: {serve}");
    }
}

#[test]
fn the_demo_runs_from_anywhere_and_its_results_can_be_served_again() {
    let directory = TempDir::new().unwrap();
    // What lies around where it is started is none of its business.
    std::fs::write(directory.path().join("jobcast.toml"), "nonsense").unwrap();
    let child = command(&["demo", "--data", "results"])
        .current_dir(directory.path())
        .spawn();
    let ran = Ran::of(within(DEMO_PATIENCE, child.unwrap()));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.out.matches(" SUCCEEDED in ").count(), 5, "{ran:?}");
    assert!(
        ran.out.contains("InvalidImage in step Inspect: "),
        "{ran:?}"
    );
    assert!(
        ran.out
            .contains("as expected: this photograph is damaged on purpose"),
        "{ran:?}"
    );
    let paths: Vec<&str> = ran
        .out
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('/') && line.contains("/results/files/"))
        .collect();
    assert_eq!(
        paths.len(),
        6,
        "four contact sheets, a report, a chart: {ran:?}"
    );
    for path in &paths {
        assert!(std::fs::metadata(path).unwrap().len() > 1_000, "{path}");
    }
    std::fs::remove_file(directory.path().join("jobcast.toml")).unwrap();
    let again = ran
        .out
        .lines()
        .find(|line| line.contains(" serve --listen "))
        .unwrap();
    let arguments: Vec<&str> = again.split_whitespace().skip(1).collect();
    let mut child = command(&arguments)
        .current_dir(directory.path())
        .spawn()
        .unwrap();
    let out = lines(&mut child);
    let line = out.recv_timeout(PATIENCE).unwrap();
    let server = Serving {
        url: line.strip_prefix("listening on ").unwrap().to_owned(),
        child,
        out,
    };
    assert_eq!(
        server
            .run(&["list", "--tag", "demo", "--json"])
            .json()
            .len(),
        6
    );
    let address = ran
        .out
        .lines()
        .find(|line| line.contains("/chart.svg?"))
        .unwrap()
        .trim();
    let chart = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        client
            .get(address)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    });
    assert!(chart.starts_with("<svg"), "{address}: {chart}");
}
