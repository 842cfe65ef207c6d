//! `jobcast-bench`: each benchmark runs to its end on small sizes and prints its figures. The
//! values of the figures are not compared.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

fn figures(arguments: &[&str]) -> Vec<serde_json::Value> {
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jobcast-bench"))
        .args(["--json", "--seconds", "1", "--data"])
        .arg(data.path())
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let left = std::fs::read_dir(data.path()).unwrap().count();
    assert_eq!(left, 0, "{arguments:?}: what it made is removed");
    let mut sections: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sections.len(), 1, "{arguments:?}");
    let figures = sections[0]["figures"].take();
    figures.as_array().unwrap().clone()
}

#[test]
fn every_benchmark_runs_to_its_end() {
    for arguments in [
        &["chain3", "--outstanding", "1,4"][..],
        &["chain3", "--outstanding", "4", "--learn", "list"],
        &["submit"],
        &["updates", "--writers", "8"],
        &["watch"],
        &["reconnect", "--watchers", "300"],
        &["start", "--finished", "150"],
        &["list", "--jobs", "300", "--requests", "1"],
        &["hostile"],
        &[
            "workflow",
            "--executions",
            "4",
            "--items",
            "100",
            "--waiting",
            "50",
            "--open",
            "20",
        ],
    ] {
        let figures = figures(arguments);
        assert!(!figures.is_empty(), "{arguments:?}");
        for figure in figures {
            assert!(figure["value"].is_number(), "{arguments:?}: {figure}");
            // A goal is met or missed, and nothing else has an opinion about that.
            let judged = figure["met"].is_boolean();
            assert_eq!(figure["goal"].is_string(), judged, "{figure}");
        }
    }
}

#[test]
fn what_cannot_be_measured_is_an_error_that_says_why() {
    for (arguments, status, said) in [
        (&["nothing"][..], 2, "nothing"),
        (&["--outstanding", "0"], 2, "from 1 to 10000"),
        (&["--json", "--markdown"], 2, "--markdown"),
        (&["--fail-at", "0.9"], 2, "from 1 to 1000"),
        (&["--fail-at", "NaN"], 2, "from 1 to 1000"),
        (
            &["updates", "--data", "/proc/none"],
            1,
            "another directory with --data",
        ),
        (
            &["submit", "--server", "/none/jobcast"],
            1,
            "the server /none/jobcast could not be run",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_jobcast-bench"))
            .args(arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{errors}");
        assert!(errors.contains(said), "{errors}");
    }
}
