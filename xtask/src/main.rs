//! Tasks of the project's own development, run as `cargo xtask TASK`.
//!
//! Without a task it lists all of them. This is a table of commands, not a test runner: `long` runs
//! a suite at its full size, which the suite reads from the environment, and `.ci/run` runs the
//! same suites at a small, seeded size. `recording` records the demo for the README; see
//! [`recording`]. `package-…` writes what the templates of `infra/` deploy; see [`infra`].

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod infra;
mod recording;

use std::{
    env,
    process::{Command, ExitCode},
    time::Instant,
};

/// A program that is run in the root of the repository.
enum Program {
    /// Tests of this repository.
    Tests(Tests),
    /// The program and its arguments.
    Other(&'static [&'static str]),
}

/// Tests that `cargo test` runs.
struct Tests {
    package: &'static str,
    target: Target,
    /// A part of the names of the tests; empty for all of them.
    filter: &'static str,
    /// Whether they are built in the release profile.
    release: bool,
}

/// The target that holds tests.
enum Target {
    Lib,
    Test(&'static str),
}

const fn tests(package: &'static str, target: Target, filter: &'static str) -> Program {
    Program::Tests(Tests {
        package,
        target,
        filter,
        release: false,
    })
}

impl Program {
    /// The same tests, built in the release profile.
    const fn in_release(self) -> Self {
        match self {
            Self::Tests(Tests {
                package,
                target,
                filter,
                ..
            }) => Self::Tests(Tests {
                package,
                target,
                filter,
                release: true,
            }),
            Self::Other(_) => self,
        }
    }

    /// The program and its arguments.
    fn words(&self) -> Vec<&'static str> {
        match self {
            Self::Other(words) => words.to_vec(),
            Self::Tests(tests) => {
                let mut words = vec!["cargo", "test", "-p", tests.package];
                match tests.target {
                    Target::Lib => words.push("--lib"),
                    Target::Test(name) => words.extend(["--test", name]),
                }
                words.push("--locked");
                if tests.release {
                    words.push("--release");
                }
                if !tests.filter.is_empty() {
                    words.push(tests.filter);
                }
                words
            }
        }
    }
}

/// A suite with a small size for every run of the tests, and a full size for a release.
struct Suite {
    /// The argument of `cargo xtask long`.
    name: &'static str,
    /// The property that the suite shows, for the list of suites.
    about: &'static str,
    /// The environment that gives the suite its full size.
    environment: &'static [(&'static str, &'static str)],
    command: Program,
}

/// Every suite with a full size.
const SUITES: &[Suite] = &[
    Suite {
        name: "asl-fuzz",
        about: "mutated definitions, paths, intrinsic functions and JSONata expressions, for ten minutes",
        environment: &[("JOBCAST_FUZZ_SECONDS", "600")],
        command: tests("asl", Target::Test("fuzz"), ""),
    },
    Suite {
        name: "asl-rules",
        about: "two thousand random definitions, each field of each changed in turn and refused at its location",
        environment: &[("JOBCAST_CASES", "2000")],
        command: tests("asl", Target::Test("rules"), "every_mutation").in_release(),
    },
    Suite {
        name: "values",
        about: "10,000 random values through expressions of JSONata, to their last digit",
        environment: &[("JOBCAST_CASES", "10000")],
        command: tests("asl", Target::Test("values"), ""),
    },
    Suite {
        name: "json-doors",
        about: "JSON at its limits, 1,000 random texts, through every door that reads it",
        environment: &[("JOBCAST_CASES", "1000")],
        command: tests("jobcast", Target::Test("it"), "json_doors::"),
    },
    Suite {
        name: "lambda-publish",
        about: "10,000 records of the table's stream with one bad of a hundred through `lambda-publish`, to a node",
        environment: &[("JOBCAST_CASES", "10000")],
        command: tests("jobcast", Target::Test("it"), "one_bad_record_of_a_hundred").in_release(),
    },
    Suite {
        name: "functions",
        about: "function processes that fail in every way, thousands of times in parallel",
        environment: &[("JOBCAST_CASES", "3000")],
        command: tests("workflow", Target::Test("it"), "faulty"),
    },
    Suite {
        name: "documents",
        about: "10,000 random documents, executed here and by graphql-js",
        environment: &[("JOBCAST_CASES", "10000")],
        command: Program::Other(&["tests/clients/run", "graphql-js"]),
    },
    Suite {
        name: "garbage-documents",
        about: "a million invalid documents through their limits and rules",
        environment: &[("JOBCAST_CASES", "1000000")],
        command: tests("jobcast", Target::Lib, "graphql::request::garbage_tests"),
    },
    Suite {
        name: "interleavings",
        about: "10,000 random interleavings of everything that can happen to the hub and to live lists",
        environment: &[("JOBCAST_CASES", "10000")],
        command: tests("jobcast", Target::Lib, "every_interleaving"),
    },
    Suite {
        name: "wire-fuzz",
        about: "the decoders of the wire protocols over random input, for ten minutes each",
        environment: &[("JOBCAST_FUZZ_SECONDS", "600")],
        command: tests("wire", Target::Test("decoders"), ""),
    },
    Suite {
        name: "frames",
        about: "conversations of each WebSocket protocol, cut at every byte and 3,000 times at random",
        environment: &[("JOBCAST_CASES", "3000")],
        command: tests("jobcast", Target::Test("it"), "pieces::"),
    },
    Suite {
        name: "intake-lambda",
        about: "1,000 messages of SQS, each delivered one to three times, while lambda-intake is killed 30 times",
        environment: &[("JOBCAST_CASES", "1000")],
        command: tests(
            "jobcast",
            Target::Test("it"),
            "lambda_intake::each_message_of_sqs",
        ),
    },
    Suite {
        name: "intake",
        about: "1,000 messages of a queue, each sent one to three times, while the server is killed 30 times",
        environment: &[("JOBCAST_CASES", "1000")],
        command: tests(
            "jobcast",
            Target::Test("it"),
            "intake::each_message_is_one_job",
        ),
    },
    Suite {
        name: "retries",
        about: "100,000 executions with retries, whose events are late, repeated, gathered or lost",
        environment: &[("JOBCAST_CASES", "100000")],
        command: tests("job", Target::Test("retry"), ""),
    },
    Suite {
        name: "pushed",
        about: "1,000 executions on AWS whose log entries are lost, doubled and shuffled",
        environment: &[("JOBCAST_CASES", "1000")],
        command: tests("resolvers", Target::Test("pushed"), ""),
    },
    Suite {
        name: "account",
        about: "a restart of three nodes with 1,000 open jobs within the budget of reads",
        environment: &[("JOBCAST_CASES", "1000")],
        command: tests(
            "resolvers",
            Target::Test("account"),
            "a_restart_of_three_nodes_stays_within_the_budget_and_finds_every_job",
        ),
    },
    Suite {
        name: "drain",
        about: "a node with 1,000 watchers is replaced behind a load balancer",
        environment: &[("JOBCAST_CASES", "1000")],
        command: tests("jobcast", Target::Test("it"), "rollout::"),
    },
    Suite {
        name: "image",
        about: "the files of the image with the binary of a release: their size, and a start",
        environment: &[("PROFILE", "dist")],
        command: Program::Other(&["tests/packages/run", "image"]),
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
    /// The programs, run until one fails.
    commands: &'static [Program],
}

/// Every task besides those that are functions of this program.
const TASKS: &[Task] = &[
    Task {
        name: "ci",
        arguments: "",
        about: "everything that must pass before a merge",
        environment: &[],
        commands: &[Program::Other(&[".ci/run"])],
    },
    Task {
        name: "bench",
        arguments: "[NAME…] [OPTION…]",
        about: "build the shipped profile and measure it; `--help` has the benchmarks",
        environment: &[],
        commands: &[
            Program::Other(&[
                "cargo",
                "build",
                "--locked",
                "--profile",
                "dist",
                "-p",
                "jobcast",
                "-p",
                "jobcast-bench",
            ]),
            Program::Other(&["target/dist/jobcast-bench"]),
        ],
    },
    Task {
        name: "clients",
        arguments: "[NAME…]",
        about: "the client libraries from npm and PyPI, and a browser",
        environment: &[],
        commands: &[Program::Other(&["tests/clients/run"])],
    },
    Task {
        name: "schema",
        arguments: "",
        about: "write schema.graphql from the schema that is served",
        environment: &[("UPDATE_SCHEMA", "1")],
        commands: &[tests(
            "jobcast",
            Target::Lib,
            "schema_graphql_equals_the_served_schema",
        )],
    },
];

/// The test that compares the reference of the configuration with the code, and writes it.
const REFERENCE: Program = tests(
    "jobcast",
    Target::Lib,
    "the_reference_has_the_settings_of_the_code",
);

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
fn call(command: &Program, further: &[&str], environment: &[(&str, &str)]) -> Result<(), String> {
    let words = command.words();
    let (program, arguments) = words
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
    match call(&REFERENCE, &[], environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn packaged(done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nothing can be deployed: {error}");
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
        ["package-machines", ref options @ ..] => packaged(infra::machines::package(options)),
        ["package-functions", ref options @ ..] => packaged(infra::functions::package(options)),
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
        let ran = call(&suite.command, &[], suite.environment);
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
        (
            "package-functions",
            "--programs DIR [--state-machines DIR]",
            "write target/infra/functions, for the templates of infra",
        ),
        (
            "package-machines",
            "--account N --region R [--prefix P] [--function-prefix P] [--from DIR] [--partition P]",
            "write target/infra/machines.yaml and its state machines",
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
        eprintln!("  {:13} {}", suite.name, suite.about);
    }
    ExitCode::from(2)
}

#[cfg(test)]
mod tests_of_the_tables {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    /// `cargo test` succeeds when its filter matches no test, so a renamed test would go unnoticed.
    #[test]
    fn every_filter_names_a_module_or_a_test_of_its_target() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let suites = SUITES.iter().map(|suite| &suite.command);
        let tasks = TASKS.iter().flat_map(|task| task.commands);
        for program in suites.chain(tasks).chain([&REFERENCE]) {
            let Program::Tests(tests) = program else {
                continue;
            };
            let package = match tests.package {
                "jobcast" => root.to_owned(),
                "resolvers" => root.join("resolvers"),
                name => root.join("crates").join(name),
            };
            let mut files = Vec::new();
            match tests.target {
                Target::Lib => sources(&package.join("src"), &mut files),
                Target::Test(name) => {
                    let (file, folder) = (format!("tests/{name}.rs"), format!("tests/{name}"));
                    files.extend(Some(package.join(file)).filter(|file| file.exists()));
                    if package.join(&folder).is_dir() {
                        sources(&package.join(folder), &mut files);
                    }
                }
            }
            assert!(!files.is_empty(), "{:?}: no such target", program.words());
            let last = tests.filter.trim_end_matches(':').rsplit("::").next();
            let last = last.unwrap_or_default();
            let names = [format!("mod {last}"), format!("fn {last}")];
            let is_there = files.iter().any(|file| {
                let text = fs::read_to_string(file).unwrap();
                names.iter().any(|name| text.contains(name.as_str()))
            });
            assert!(
                last.is_empty() || is_there,
                "{:?}: no such test",
                program.words()
            );
        }
    }
}
