//! Tasks of the project's own development, run as `cargo xtask TASK`.
//!
//! `cargo xtask long SUITE` runs a suite at its full size. `.ci/run` runs the same suites at a
//! small, seeded size. This is a table of commands, not a test runner: each suite reads its size
//! from the environment.
//!
//! `cargo xtask recording BINARY FILE` records the demo for the README; see [`recording`].

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

fn main() -> ExitCode {
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
        _ => usage("a task is missing or unknown"),
    }
}

/// Runs each suite to its end, prints the time it took, and fails if one of them failed.
fn run<'a>(suites: impl Iterator<Item = &'a Suite>) -> ExitCode {
    let mut failed = Vec::new();
    for suite in suites {
        println!("==> {}: {}", suite.name, suite.about);
        let started = Instant::now();
        let (program, arguments) = suite
            .command
            .split_first()
            .expect("each suite of the table has a program");
        let status = Command::new(program)
            .args(arguments)
            .envs(suite.environment.iter().copied())
            .status();
        println!("<== {}: {} s", suite.name, started.elapsed().as_secs());
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => failed.push(format!("{}: {status}", suite.name)),
            Err(error) => failed.push(format!(
                "{}: {program} could not be run: {error}",
                suite.name
            )),
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
    eprintln!("{wrong}\nusage: cargo xtask long SUITE|all");
    eprintln!("       cargo xtask recording BINARY FILE\nsuites:");
    for suite in SUITES {
        eprintln!("  {:12} {}", suite.name, suite.about);
    }
    ExitCode::from(2)
}
