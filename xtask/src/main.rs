//! Tasks of the project's own development, run as `cargo xtask TASK`.
//!
//! Without a task it lists all of them. This is a table of commands, not a test runner: `long` runs
//! a suite at its full size, which the suite reads from the environment, and `.ci/run` runs the
//! same suites at a small, seeded size. `recording` records the demo for the README; see
//! [`recording`].

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod recording;

use std::{
    env,
    process::{Command, ExitCode},
    time::Instant,
};

/// A suite with a small size for every run of the tests, and a full size for a release.
struct Suite {
    /// The argument of `cargo xtask long`.
    name: &'static str,
    /// The property that the suite shows, for the list of suites.
    about: &'static str,
    /// The environment that gives the suite its full size.
    environment: &'static [(&'static str, &'static str)],
    /// The program and its arguments, run in the root of the repository.
    command: &'static [&'static str],
}

/// Every suite with a full size.
const SUITES: &[Suite] = &[
    Suite {
        name: "asl-fuzz",
        about: "mutated definitions, paths, intrinsic functions and JSONata expressions, for ten minutes",
        environment: &[("JOBCAST_FUZZ_SECONDS", "600")],
        command: &["cargo", "test", "-p", "asl", "--test", "fuzz", "--locked"],
    },
    Suite {
        name: "asl-rules",
        about: "two thousand random definitions, each field of each changed in turn and refused at its location",
        environment: &[("JOBCAST_CASES", "2000")],
        command: &[
            "cargo",
            "test",
            "-p",
            "asl",
            "--test",
            "rules",
            "--locked",
            "--release",
            "--",
            "every_mutation",
        ],
    },
    Suite {
        name: "values",
        about: "10,000 random values through expressions of JSONata, to their last digit",
        environment: &[("JOBCAST_CASES", "10000")],
        command: &["cargo", "test", "-p", "asl", "--test", "values", "--locked"],
    },
    Suite {
        name: "json-doors",
        about: "JSON at its limits, 1,000 random texts, through every door that reads it",
        environment: &[("JOBCAST_CASES", "1000")],
        command: &[
            "cargo",
            "test",
            "-p",
            "jobcast",
            "--test",
            "it",
            "--locked",
            "json_doors::",
        ],
    },
    Suite {
        name: "functions",
        about: "function processes that fail in every way, thousands of times in parallel",
        environment: &[("JOBCAST_CASES", "3000")],
        command: &[
            "cargo", "test", "-p", "workflow", "--test", "it", "--locked", "faulty",
        ],
    },
    Suite {
        name: "documents",
        about: "10,000 random documents, executed here and by graphql-js",
        environment: &[("JOBCAST_CASES", "10000")],
        command: &["tests/clients/run", "graphql-js"],
    },
    Suite {
        name: "garbage-documents",
        about: "a million invalid documents through their limits and rules",
        environment: &[("JOBCAST_CASES", "1000000")],
        command: &[
            "cargo",
            "test",
            "-p",
            "jobcast",
            "--lib",
            "--locked",
            "graphql::request::garbage_tests",
        ],
    },
    Suite {
        name: "wire-fuzz",
        about: "the decoders of the wire protocols over random input, for ten minutes each",
        environment: &[("JOBCAST_FUZZ_SECONDS", "600")],
        command: &[
            "cargo", "test", "-p", "wire", "--test", "decoders", "--locked",
        ],
    },
    Suite {
        name: "frames",
        about: "conversations of each WebSocket protocol, cut at every byte and 3,000 times at random",
        environment: &[("JOBCAST_CASES", "3000")],
        command: &[
            "cargo", "test", "-p", "jobcast", "--test", "it", "--locked", "pieces::",
        ],
    },
    Suite {
        name: "retries",
        about: "100,000 executions with retries, whose events are late, repeated, gathered or lost",
        environment: &[("JOBCAST_CASES", "100000")],
        command: &["cargo", "test", "-p", "job", "--test", "retry", "--locked"],
    },
];

/// A task that is a list of programs, run in the root of the repository.
struct Task {
    /// The first argument of `cargo xtask`.
    name: &'static str,
    /// The further arguments, for the list of tasks; they are passed to the last program.
    arguments: &'static str,
    /// The purpose, for the list of tasks.
    about: &'static str,
    /// The environment of the programs.
    environment: &'static [(&'static str, &'static str)],
    /// The programs and their arguments, run until one fails.
    commands: &'static [&'static [&'static str]],
}

/// Every task besides `docs`, `long` and `recording`.
const TASKS: &[Task] = &[
    Task {
        name: "ci",
        arguments: "",
        about: "everything that must pass before a merge",
        environment: &[],
        commands: &[&[".ci/run"]],
    },
    Task {
        name: "bench",
        arguments: "[NAME…] [OPTION…]",
        about: "build the shipped profile and measure it; `--help` has the benchmarks",
        environment: &[],
        commands: &[
            &[
                "cargo",
                "build",
                "--locked",
                "--profile",
                "dist",
                "-p",
                "jobcast",
                "-p",
                "jobcast-bench",
            ],
            &["target/dist/jobcast-bench"],
        ],
    },
    Task {
        name: "clients",
        arguments: "[NAME…]",
        about: "the client libraries from npm and PyPI, and a browser",
        environment: &[],
        commands: &[&["tests/clients/run"]],
    },
    Task {
        name: "schema",
        arguments: "",
        about: "write schema.graphql from the schema that is served",
        environment: &[("UPDATE_SCHEMA", "1")],
        commands: &[&[
            "cargo",
            "test",
            "-p",
            "jobcast",
            "--lib",
            "--locked",
            "the_file_is_what_is_served",
        ]],
    },
];

/// The test that compares the reference of the configuration with the code, and writes it.
const REFERENCE: &[&str] = &[
    "cargo",
    "test",
    "-p",
    "jobcast",
    "--lib",
    "--locked",
    "the_reference_has_the_settings_of_the_code",
];

impl Task {
    fn run(&self, arguments: &[&str]) -> ExitCode {
        for (number, command) in self.commands.iter().enumerate() {
            let is_last = number + 1 == self.commands.len();
            let further = if is_last { arguments } else { &[] };
            if let Err(error) = call(command, further, self.environment) {
                eprintln!("failed: {error}");
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}

/// Runs a program to its end.
///
/// # Errors
///
/// Says which program failed, or why it could not be run.
fn call(command: &[&str], further: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let (program, arguments) = command
        .split_first()
        .expect("each command of the tables has a program");
    let status = Command::new(program)
        .args(arguments)
        .args(further)
        .envs(environment.iter().copied())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program} could not be run: {error}")),
    }
}

/// Writes the generated part of the reference, or only compares it.
fn docs(environment: &[(&str, &str)]) -> ExitCode {
    match call(REFERENCE, &[], environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    if let Err(error) = env::set_current_dir(root) {
        eprintln!("the repository {root} cannot be entered: {error}");
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["long", "all"] => run(SUITES.iter()),
        ["long", name] => match SUITES.iter().find(|suite| suite.name == name) {
            Some(suite) => run([suite].into_iter()),
            None => usage(&format!("there is no suite {name:?}")),
        },
        ["recording", binary, file] => match recording::record(binary.as_ref(), file.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the demo was not recorded: {error}");
                ExitCode::FAILURE
            }
        },
        ["docs"] => docs(&[("UPDATE_DOCS", "1")]),
        ["docs", "--check"] => docs(&[]),
        [name, ref further @ ..] => match TASKS.iter().find(|task| task.name == name) {
            Some(task) if further.is_empty() || !task.arguments.is_empty() => task.run(further),
            Some(task) => usage(&format!("the task {} takes no argument", task.name)),
            None => usage("the task is unknown, or its arguments are wrong"),
        },
        [] => usage("a task is missing"),
    }
}

/// Runs each suite to its end, prints the time it took, and fails if one of them failed.
fn run<'a>(suites: impl Iterator<Item = &'a Suite>) -> ExitCode {
    let mut failed = Vec::new();
    for suite in suites {
        println!("==> {}: {}", suite.name, suite.about);
        let started = Instant::now();
        let ran = call(suite.command, &[], suite.environment);
        println!("<== {}: {} s", suite.name, started.elapsed().as_secs());
        if let Err(error) = ran {
            failed.push(format!("{}: {error}", suite.name));
        }
    }
    for line in &failed {
        eprintln!("failed: {line}");
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the error of the command line and the commands that exist.
fn usage(wrong: &str) -> ExitCode {
    eprintln!("{wrong}\nusage: cargo xtask TASK\ntasks:");
    let own = [
        (
            "docs",
            "[--check]",
            "write or compare docs/reference/configuration.md",
        ),
        (
            "long",
            "SUITE|all",
            "one of the suites below, at its full size",
        ),
        ("recording", "BINARY FILE", "record the demo for the README"),
    ];
    let tasks = TASKS
        .iter()
        .map(|task| (task.name, task.arguments, task.about));
    for (name, arguments, about) in tasks.chain(own) {
        eprintln!("  {:30} {about}", format!("{name} {arguments}"));
    }
    eprintln!("suites:");
    for suite in SUITES {
        eprintln!("  {:12} {}", suite.name, suite.about);
    }
    ExitCode::from(2)
}
