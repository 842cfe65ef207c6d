//! Checks a recorded watch: each line of standard input is a job as an event had it, the last one
//! as `getJob` answers.
//!
//! ```sh
//! jobcast watch ID --json | cargo run -p jobcast-checker --example lines
//! ```

use std::io::{self, BufRead};
use std::process::ExitCode;

use checker::{JobTranscript, Seen};
use serde_json::Value;

/// The last event of a watch that kept the promise.
fn check(lines: impl Iterator<Item = io::Result<String>>) -> Result<Seen, String> {
    let mut transcript = JobTranscript::default();
    transcript.subscribed(0, None);
    for line in lines {
        let line = line.map_err(|error| error.to_string())?;
        let job: Value = serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
        transcript.event(Seen::read(&job).map_err(|error| error.to_string())?);
    }
    let newest = transcript.last().ok_or("there is no event")?;
    transcript
        .finish(newest)
        .map_err(|violation| violation.to_string())?;
    Ok(newest)
}

fn main() -> ExitCode {
    match check(io::stdin().lock().lines()) {
        Ok(newest) => {
            println!("the promise was kept up to version {}", newest.version);
            ExitCode::SUCCESS
        }
        Err(broken) => {
            eprintln!("{broken}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[&str]) -> Result<u64, String> {
        let lines = lines.iter().map(|line| Ok((*line).to_owned()));
        check(lines).map(|newest| newest.version)
    }

    #[test]
    fn rising_versions_keep_the_promise() {
        let lines = [
            r#"{ "version": 1, "status": "QUEUED" }"#,
            r#"{ "version": 3, "status": "SUCCEEDED" }"#,
        ];
        assert_eq!(verdict(&lines), Ok(3));
    }

    #[test]
    fn a_falling_version_breaks_the_promise() {
        let lines = [
            r#"{ "version": 3, "status": "RUNNING" }"#,
            r#"{ "version": 2, "status": "RUNNING" }"#,
        ];
        assert!(verdict(&lines).is_err());
    }
}
