//! Holds localcloud to recordings of AWS: each recording of the directory `AWS_RECORDINGS` (JSON
//! files of recordings by name) is run with the configuration that its name and its own answers
//! say, and every answer, event and payload is compared. `AWS_VERBOSE` lists what was compared.
//!
//! A recording that differs fails the test, unless `differences` has it with a reason.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod differences;
mod executions;
mod gathered;
mod mappings;
mod moves;
mod queues;
mod streams;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// How a recording was run.
#[derive(Debug)]
enum Run {
    /// It was run: the differences, and the keys that were compared.
    Compared(Vec<String>, BTreeSet<String>),
    /// Nothing here answers what it recorded.
    Outside,
}

/// Which runner a file has.
fn run(file: &str, name: &str, recorded: &Value) -> Run {
    match file {
        "dynamodb-streams-to-lambda" | "kinesis-to-lambda" => streams::run(name, recorded),
        "sqs-to-lambda" => queues::run(name, recorded),
        "sqs-move-task" => moves::run(name, recorded),
        "dynamodb-streams" => streams::api(recorded),
        "stepfunctions-logs" | "stepfunctions-express-async" => executions::logs(name, recorded),
        "events-targets" => executions::targets(recorded),
        "stepfunctions-base-and-events" => executions::events(recorded),
        _ => Run::Outside,
    }
}

/// A run that ends in the middle differs, and the others go on.
fn run_safely(file: &str, name: &str, recorded: &Value) -> Run {
    let ran = std::panic::catch_unwind(|| run(file, name, recorded));
    ran.unwrap_or_else(|_| {
        let said = "the run ended in the middle: see above".to_owned();
        Run::Compared(vec![said], BTreeSet::new())
    })
}

#[test]
fn every_recording_is_answered_as_aws_answered() {
    let Ok(folder) = std::env::var("AWS_RECORDINGS") else {
        println!("AWS_RECORDINGS is not set: no recordings are compared");
        return;
    };
    let verbose = std::env::var("AWS_VERBOSE").is_ok();
    let (mut failures, mut scores) = (Vec::new(), BTreeMap::new());
    for entry in std::fs::read_dir(Path::new(&folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let recordings: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        for (name, recording) in recordings {
            let known = differences::reason(&file, &name);
            let outcome = run_safely(&file, &name, &recording["recorded-content"]);
            let score: &mut [usize; 4] = scores.entry(file.clone()).or_default();
            let (at, said) = match (&outcome, known) {
                (_, Some(reason)) => (1, reason.to_owned()),
                (Run::Outside, None) => (2, "outside".to_owned()),
                // A recording that holds nothing, or nothing of what is here.
                (Run::Compared(found, keys), None) if found.is_empty() && keys.is_empty() => {
                    (2, "nothing was compared".to_owned())
                }
                (Run::Compared(found, keys), None) if found.is_empty() => {
                    let all = recording["recorded-content"].as_object();
                    let left = all.into_iter().flatten().map(|one| one.0);
                    let left: Vec<_> = left.filter(|key| !keys.contains(*key)).collect();
                    (0, format!("equal; not compared: {left:?}"))
                }
                (Run::Compared(found, _), None) => {
                    failures.push(format!("{file} {name}\n    {}", found.join("\n    ")));
                    (3, "differs".to_owned())
                }
            };
            score[at] += 1;
            if verbose {
                println!("{file} {name}: {said}");
            }
        }
    }
    for (file, [equal, listed, outside, different]) in scores {
        println!("{file}: {equal} equal, {listed} listed, {outside} outside, {different} differ");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
