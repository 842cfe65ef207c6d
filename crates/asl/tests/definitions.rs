//! Definitions that break one rule each, and valid ones that a stricter reader would refuse:
//! `definitions/refused.jsonl`, `definitions/accepted.jsonl`.
//!
//! They were written from the documents (the Amazon States Language, the developer guide of AWS
//! Step Functions, the rules of public validators). Where a recording or `rules.rs` differs, the
//! expected verdict or location was corrected after the first run. `rules.rs` checks the texts;
//! here only the verdict and the location count.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;

use asl::{Diagnostic, Severity, WorkflowType, validate_as};

/// The errors of a line's `definition`, or of its `text` if that is not JSON or repeats a name.
fn errors(line: &Value) -> Vec<Diagnostic> {
    let text = match line.get("text") {
        Some(text) => text.as_str().unwrap().to_owned(),
        None => line["definition"].to_string(),
    };
    let kind = match line["type"].as_str() {
        Some("EXPRESS") => WorkflowType::Express,
        _ => WorkflowType::Standard,
    };
    let found = validate_as(&text, kind).into_iter();
    found.filter(|d| d.severity == Severity::Error).collect()
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn a_broken_rule_is_reported_at_its_location() {
    let mut missed = vec![];
    for line in lines(include_str!("definitions/refused.jsonl")) {
        let found = errors(&line);
        let places: Vec<_> = found.iter().map(|d| d.location.as_str()).collect();
        if !places.contains(&line["place"].as_str().unwrap()) {
            let said: Vec<_> = found
                .iter()
                .map(|d| format!("{}: {}", d.location, d.message))
                .collect();
            missed.push(format!("{line}\n    {said:?}"));
        }
    }
    assert!(
        missed.is_empty(),
        "{} missed:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

#[test]
fn valid_definitions_are_accepted() {
    let mut refused = vec![];
    for line in lines(include_str!("definitions/accepted.jsonl")) {
        for said in errors(&line) {
            refused.push(format!("{line}\n    {}: {}", said.location, said.message));
        }
    }
    assert!(
        refused.is_empty(),
        "{} refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
}
